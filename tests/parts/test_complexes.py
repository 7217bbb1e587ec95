"""Dirty complexes: each bad item is left out, counted and named; what can't be used at all is told with a hint."""

import gzip
import os
import shutil

import pytest
import torch

from interpreter.errors import DataMissing
from tests.parts.made_complexes import IMAGE, LIGAND, PROTEIN, build, images, item, overwrite, told, write


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "source")


HUGE = 1e300
DIRT = [
    ("corrupt-item", item("bad", label="high"), "holds something that is no number"),
    ("corrupt-item", {k: v for k, v in item("bad").items() if k != "scores"}, "no `scores.neglog_aff`"),
    ("corrupt-item", {k: v for k, v in item("bad").items() if k != "atoms_ligand"}, "no `atoms_ligand`"),
    ("corrupt-item", item("bad", ligand=[(0.0, "1.0", 0.0, "C")]), "`atoms_ligand.y` holds something that is no number"),
    ("corrupt-item", item("bad", ligand=[(0.0, 1.0, 0.0, 6)]), "`atoms_ligand.element` holds something that is no text"),
    ("corrupt-item", item("bad", atoms_pocket={"columns": ["x"], "index": [0], "data": [[1.0]]}), "no column `y`"),
    ("corrupt-item", item(name="bad", seq=[]) | {"id": 7}, "its `id` is no text"),
    ("bad-label", item("bad", label=float("nan")), "is nan"),
    ("bad-label", item("bad", label=float("inf")), "is inf"),
    ("bad-label", item("bad", label=None), "is nan"),
    ("nan-coordinates", item("bad", ligand=[*LIGAND, (float("nan"), 0.0, 0.0, "C")]), "1 of 4 atoms of `atoms_ligand`"),
    ("nan-coordinates", item("bad", protein=[*PROTEIN, (0.0, None, 0.0, "C")]), "1 of 5 atoms of `atoms_pocket`"),
    ("nan-coordinates", item("bad", protein=[(HUGE, 0.0, 0.0, "C")]), "1 of 1 atoms of `atoms_pocket`"),
    ("no-atoms", item("bad", ligand=[]), "`atoms_ligand` is empty"),
    ("no-atoms", item("bad", protein=[]), "`atoms_pocket` is empty"),
    ("no-atoms", item("bad", ligand=[(0.0, 0.0, 0.0, "H")]), "none of the ligand"),
    ("no-atoms", item("bad", protein=[(3.0, 0.0, 0.0, "O", "HOH", 1.0)]), "none of the protein"),
    ("repeated-id", item("a"), "a (key 1: a)"),
]


@pytest.mark.parametrize(("code", "bad", "why"), DIRT, ids=[f"{code}-{i}" for i, (code, _, _) in enumerate(DIRT)])
def test_a_bad_item_is_left_out_counted_and_named(tmp_path, code, bad, why):
    data = build(write(tmp_path / "source", train=[item("a"), bad, item("b", label=7.0)]))
    (text,) = told(data)[code]
    assert text.startswith("train: 1 of 3 items ")
    assert "left out" in text
    assert why in text
    assert "(key 1: " in text
    assert data.splits["train"].ids == ["a", "b"]
    assert data.splits["train"].targets.tolist() == [[6.0], [7.0]]
    assert data.facts["n"] == {"train": 2, "val": 3, "test": 3}
    assert torch.isfinite(images(data)).all()


def test_bytes_that_are_no_item_are_left_out(source):
    overwrite(source / "val", b"0", b"no gzip")
    overwrite(source / "val", b"1", gzip.compress(b'{"id": '))
    overwrite(source / "test", b"2", None)
    found = told(build(source))
    assert found.keys() == {"corrupt-item", "missing-item"}
    assert "val: 2 of 3 items can't be read and are left out: val0 (key 0: no whole gzip file" in found["corrupt-item"][0]
    assert "val1 (key 1: no JSON" in found["corrupt-item"][0]
    assert "test: 1 of 3 items are not there and are left out: test2 (key 2" in found["missing-item"][0]


def test_many_bad_items_are_counted_and_a_few_named(tmp_path):
    bad = [item(f"bad{i}", label=None) for i in range(12)]
    (text,) = told(build(write(tmp_path / "source", test=[*bad, item("good")])))["bad-label"]
    assert text.startswith("test: 12 of 13 items")
    assert "bad4" in text and "bad5" not in text
    assert text.endswith("and 7 more")


def test_counts_and_ids_that_do_not_add_up_are_findings(tmp_path):
    source = write(tmp_path / "source", train=[item("a"), item("b")])
    overwrite(source / "train", b"num_examples", b"1")
    overwrite(source / "val", b"id_to_idx", b'{"val0": 0, "other": 1, "val2": 2}')
    data = build(source)
    assert data.splits["train"].ids == ["a"]
    assert data.splits["val"].ids == ["val0", "val1", "val2"]
    assert any("1 keys beyond the 1 items" in text for text in told(data)["items-do-not-add-up"])
    assert "val1 (not other)" in told(data)["id-mismatch"][0]


@pytest.mark.parametrize(("channels", "what"), [(["C", "N", "O"], "in no channel"), (["C", "*"], "drawn in the channel `*`")])
def test_unknown_elements_go_to_the_others_or_are_counted(tmp_path, channels, what):
    strange = item("a", protein=[*PROTEIN, (2.0, 2.0, 2.0, "Xx"), (2.0, 2.0, -2.0, ""), (2.0, -2.0, 2.0, None)])
    source = write(tmp_path / "source", train=[strange, item("b")])
    data = build(source, image={**IMAGE, "channels": channels}, rotation="none")
    (text,) = told(data)["unknown-element"]
    assert what in text
    assert "(blank) 2, XX 1" in text
    assert images(data)[0].sum().item() == pytest.approx(7 if "*" in channels else 4, abs=1e-5)
    assert ("no-channel" in told(data)) == ("*" not in channels)


def test_elements_without_a_channel_are_counted(source):
    data = build(source, image={**IMAGE, "channels": ["C", "S"]}, hydrogens=True)
    assert "train: 66.67% of the atoms are of elements that no channel holds: H 6, N 3, O 3" in told(data)["no-channel"]


def test_a_ligand_far_from_the_protein_is_named_and_kept(tmp_path):
    far = [(x + 9.0, y, z, *rest) for x, y, z, *rest in PROTEIN[:2]]
    just = [(0.0, -5.99, 0.0, "H"), (0.0, -6.8, 0.0, "C")]
    data = build(write(tmp_path / "source", train=[item("near"), item("lost", protein=far), item("just", protein=just)]))
    (text,) = told(data)["far-ligand"]
    assert text.endswith(": lost (7.4)")
    assert data.splits["train"].ids == ["near", "lost", "just"]


def test_occupancies_weigh_atoms_and_unusable_ones_are_taken_as_1(tmp_path):
    protein = [(3.0, 0.0, 0.0, "N", "ALA", 0.25), (0.0, 3.0, 0.0, "N", "ALA", None), (0.0, -3.0, 0.0, "N", "ALA", 7.0)]
    ligand = [(*atom, "LIG", 0.0) for atom in LIGAND]
    data = build(write(tmp_path / "source", train=[item("a", protein=protein, ligand=ligand), item("b")]), rotation="none")
    assert images(data)[0].sum(dim=(1, 2, 3)).numpy() == pytest.approx([1.0, 2.25, 1.0, 0.0], abs=1e-5)
    assert "a (4 atoms)" in told(data)["no-occupancy"][0]


def test_ids_in_two_splits_are_a_finding(tmp_path):
    data = build(write(tmp_path / "source", val=[item("train1"), item("v"), item("train0")], test=[item("v")]))
    assert told(data)["split-overlap"] == ["2 ids are in train and in val: train0, train1", "1 ids are in val and in test: v"]


def missing(source, **settings):
    with pytest.raises(DataMissing) as caught:
        build(source, **settings)
    return f"{caught.value} | {caught.value.hint}"


def test_what_can_not_be_used_at_all_is_told_with_a_hint(tmp_path):
    source = write(tmp_path / "source")
    said = missing(source, atoms="protein")
    assert "no item of the train split" in said and "no `atoms_protein`" in said and "`atoms: pocket` may be there" in said
    with pytest.raises(DataMissing, match="`lba` is not here"):
        build(None, tmp_path / "cache")
    file = source / "val" / "data.mdb"
    os.truncate(file, file.stat().st_size - 4096)
    assert "val/data.mdb is cut off" in missing(source)
    file.unlink()
    assert "has no data.mdb" in missing(source)
    shutil.rmtree(source / "val")
    assert "has no val split" in missing(source)
    assert "it has no folders" in missing(tmp_path / "nowhere")


def test_an_empty_split_and_other_formats_are_told(tmp_path):
    assert "the val split at" in missing(write(tmp_path / "a", val=[])) and "has no items" in missing(tmp_path / "a")
    all_bad = write(tmp_path / "b", val=[item("x", label=None), item("y", label=None)])
    assert "no item of the val split" in missing(all_bad)
    source = write(tmp_path / "c")
    overwrite(source / "test", b"serialization_format", b"pkl")
    assert "a pickle runs code" in missing(source)


def test_the_folders_that_atom3d_unpacks_to_are_found(tmp_path):
    write(tmp_path / "lba" / "split-by-sequence-identity-30" / "data", train=[item("thirty")])
    write(tmp_path / "lba" / "split-by-sequence-identity-60" / "data", train=[item("sixty")])
    for split, name in (("identity30", "thirty"), ("identity60", "sixty")):
        assert build(tmp_path / "lba", tmp_path, split=split).splits["train"].ids == [name]
    alone = tmp_path / "lba" / "split-by-sequence-identity-60"
    assert build(alone, tmp_path, split="identity60").splits["train"].ids == ["sixty"]
    assert "no complexes split by identity30" in missing(alone)
    shutil.rmtree(tmp_path / "lba" / "split-by-sequence-identity-30")
    said = missing(tmp_path / "lba")
    assert "it has split-by-sequence-identity-60" in said and "split-by-sequence-identity-30/data" in said
