"""Complexes as voxels: small ones made here and broken in every way, real ones, and the generated ones."""

import csv
import gzip
import json
import os
import pickle
import shutil

import lmdb
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from interpreter.errors import DataMissing
from interpreter.parts.build import build_data
from interpreter.parts.contract import Draw
from interpreter.parts.datasets import atom3d_lba, complexes, generated_complexes
from interpreter.parts.datasets.lmdb_items import ATOM_COLUMNS, atom_table, serialized, write_items
from interpreter.spec.components.volumes import Atom3dLba
from tests.conftest import ROOT

BINDING = ROOT.parent / "shared" / "data" / "binding"
binding = pytest.mark.skipif(not BINDING.is_dir(), reason="the real complexes are not at ../shared/data/binding")
IMAGE = {"voxels": 12, "resolution_A": 1.0, "channels": ["C", "N", "O", "*"]}
SPLITS = ("train", "val", "test")


def table(atoms):
    """A table of atoms (x, y, z, element), or with resname and occupancy as well."""
    full = [(*atom, "ALA", 1.0)[: max(6, len(atom))] if len(atom) < 6 else atom for atom in atoms]
    rows = dict.fromkeys(ATOM_COLUMNS, [" "] * len(atoms))
    for place, name in enumerate(("x", "y", "z", "element", "resname", "occupancy")):
        rows[name] = [atom[place] for atom in full]
    return atom_table(rows)


PROTEIN = [(3.0, 0.0, 0.0, "N"), (0.0, 3.0, 0.0, "C"), (3.5, 1.0, 0.0, "H"), (0.0, 0.0, 4.0, "O", "HOH", 1.0)]
LIGAND = [(0.0, 0.0, 0.0, "C"), (1.5, 0.0, 0.0, "O"), (1.9, 0.9, 0.0, "H")]


def item(name="a", protein=None, ligand=None, label=6.0, **more):
    parts = {"pocket": PROTEIN if protein is None else protein, "ligand": LIGAND if ligand is None else ligand}
    tables = {f"atoms_{part}": table(atoms) for part, atoms in parts.items()}
    return {**tables, "id": name, "seq": [], "smiles": "CO", "scores": {"neglog_aff": label}, **more}


def write(folder, **items_of):
    """A source with some items in each split; those of the splits that are not given are sound."""
    for split in SPLITS:
        items = items_of.get(split, [item(f"{split}{i}", label=5.0 + i) for i in range(3)])
        write_items(folder / split, [(each.get("id", "no id"), serialized(each)) for each in items])
    return folder


def overwrite(folder, key, value):
    with lmdb.open(str(folder), map_size=1 << 24) as env, env.begin(write=True) as transaction:
        assert transaction.delete(key) if value is None else transaction.put(key, value)


def build(source, cache=None, **settings):
    settings = {"type": "atom3d_lba", "source": "lba", "split": "identity30", "atoms": "pocket", "image": IMAGE, **settings}
    return build_data(settings, source, cache or source.parent / "cache")


def images(data, split="train", draw=None):
    part = data.splits[split]
    return part.batch(np.arange(len(part)), draw)[0]


def told(data):
    out = {}
    for code, text in data.findings:
        out.setdefault(code, []).append(text)
    return out


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "source")


# What is read.


def test_a_sound_source_has_no_findings_and_is_what_the_facts_say(source):
    data = build(source)
    config = Atom3dLba(source="lba", split="identity30", atoms="pocket", image=data.splits["train"].image)
    assert data.findings == ()
    assert data.facts["n"] == {"train": 3, "val": 3, "test": 3}
    assert config.facts().splits == tuple(data.splits)
    assert (data.shape, data.outputs, data.target_space) == ((4, 12, 12, 12), 1, config.facts().target_space)
    assert data.origin == "real: complexes of the source `lba`"
    assert data.splits["val"].ids == ["val0", "val1", "val2"]
    x, y = data.splits["val"].batch(np.array([2, 0]), None)
    assert (x.shape, x.dtype, y.dtype) == ((2, 4, 12, 12, 12), torch.float32, torch.float32)
    assert y.tolist() == [[7.0], [5.0]]
    assert data.splits["val"].targets.shape == (3, 1)
    assert data.facts["elements"]["train"] == {"C": 6, "N": 3, "O": 3}
    assert data.facts["atoms"]["test"] == 12
    assert (data.facts["target_mean_pK"]["train"], data.facts["target_sd_pK"]["train"]) == (6.0, pytest.approx((2 / 3) ** 0.5))


@pytest.mark.parametrize(
    ("settings", "n", "elements"),
    [
        ({}, 4, {"C": 2, "N": 1, "O": 1}),
        ({"hydrogens": True}, 6, {"C": 2, "H": 2, "N": 1, "O": 1}),
        ({"water": True}, 5, {"C": 2, "O": 2, "N": 1}),
        ({"hydrogens": True, "water": True}, 7, {"C": 2, "H": 2, "O": 2, "N": 1}),
    ],
)
def test_hydrogens_and_water_are_left_out_unless_asked_for(source, settings, n, elements):
    data = build(source, rotation="none", **settings)
    assert data.facts["elements"]["train"] == {name: 3 * count for name, count in elements.items()}
    assert images(data)[0].sum().item() == pytest.approx(n, abs=1e-5)


def test_the_centre_is_the_mean_of_the_ligand_atoms_that_are_kept(source):
    heavy, all_ = (build(source, hydrogens=h).splits["train"].centre_A[0] for h in (False, True))
    assert heavy.tolist() == [0.75, 0.0, 0.0]
    assert all_ == pytest.approx([3.4 / 3, 0.3, 0.0])


def test_masks_hold_what_their_name_says(source):
    image = {**IMAGE, "channels": ["C", "*", "polymer", "ligand"]}
    sums = images(build(source, image=image)).sum(dim=(2, 3, 4))
    assert sums.numpy() == pytest.approx(np.tile([2.0, 2.0, 2.0, 2.0], (3, 1)), abs=1e-5)
    one = {**IMAGE, "channels": ["ligand", "C"]}
    assert images(build(source, image=one)).sum(dim=(2, 3, 4))[0].numpy() == pytest.approx([2.0, 2.0], abs=1e-5)


def test_deuterium_is_a_hydrogen_and_columns_may_come_in_any_order(tmp_path):
    odd = item("odd", ligand=[*LIGAND, (2.0, 2.0, 0.0, " d ")])
    order = np.random.default_rng(0).permutation(len(ATOM_COLUMNS))
    for part in ("atoms_pocket", "atoms_ligand"):
        odd[part]["columns"] = [odd[part]["columns"][i] for i in order]
        odd[part]["data"] = [[row[i] for i in order] for row in odd[part]["data"]]
    data = build(write(tmp_path / "source", train=[odd, item("plain")]), rotation="none")
    assert torch.equal(images(data)[0], images(data)[1])


@binding
def test_an_image_is_what_the_file_says_it_is():
    """Binary voxels without rotation, against a few lines that know nothing of the code at hand."""
    image = {"voxels": 21, "resolution_A": 1.0, "channels": ["C", "O", "N", "F"], "fill": "binary"}
    config = {"split": "identity30", "atoms": "pocket", "rotation": "none", "hydrogens": True}
    complexes_ = {split: atom3d_lba.read_complexes(BINDING / split, split, "pocket", True, False, ROOT / "nowhere")
                  for split in ()}  # fmt: skip
    assert complexes_ == {}
    with lmdb.open(str(BINDING / "val"), readonly=True, lock=False, readahead=False) as env, env.begin() as transaction:
        items = [json.loads(gzip.decompress(transaction.get(str(i).encode()))) for i in range(12)]
    split = build_real(image=image, **config).splits["val"]
    x = split.batch(np.arange(12), None)[0].numpy()
    for number, each in enumerate(items):
        rows = {part: [dict(zip(each[part]["columns"], row, strict=True)) for row in each[part]["data"]]
                for part in ("atoms_pocket", "atoms_ligand")}  # fmt: skip
        places = {part: np.array([[row[axis] for axis in "xyz"] for row in rows[part]]) for part in rows}
        centre = places["atoms_ligand"].mean(axis=0)
        expected = np.zeros((4, 21, 21, 21), np.float32)
        for part, atoms in rows.items():
            voxel = np.floor(places[part] - centre + 10.5).astype(int)
            for row, at in zip(atoms, voxel, strict=True):
                if row["element"] in image["channels"] and (at >= 0).all() and (at < 21).all():
                    expected[(image["channels"].index(row["element"]), *at)] = 1
        assert (x[number] != expected).sum() <= 1  # an atom within float32's rounding of a border
        assert expected.sum() > 150


# Poses.


def test_an_evaluated_complex_keeps_the_pose_that_its_id_decides(source, tmp_path):
    fixed = images(build(source), "val")
    assert not torch.allclose(fixed[0], fixed[1])  # the same atoms under other ids
    for draw in (Draw(1, 0), Draw(2, 5)):
        assert torch.equal(images(build(source), "val", draw), fixed)
    again = write(tmp_path / "again", val=[item("val2"), item("new"), item("val0")])
    moved = images(build(again, label_seed=1) if False else build(again), "val")
    assert torch.equal(moved[[2, 0]], fixed[[0, 2]])
    assert not torch.allclose(images(build(source, rotation="uniform_angle"), "val"), fixed)


def test_looks_at_an_evaluated_complex_are_several_fixed_poses(source):
    data = build(source, val_poses=4)
    assert data.poses == {"val": 4, "test": 4}
    assert data.anew == frozenset()
    part = data.splits["val"]
    x, y = part.batch(np.arange(12), None)
    assert torch.equal(x[:3], images(build(source), "val"))
    assert torch.equal(y, part.targets.repeat(4, 1))
    assert len({each.numpy().tobytes() for each in x}) == 12
    assert torch.equal(part.batch(np.array([10, 0, 4]), None)[0], x[[10, 0, 4]])


def test_evaluated_complexes_turn_each_epoch_where_that_is_asked_for(source):
    data = build(source, val_rotation="each_epoch")
    assert data.anew == {"val", "test"}
    first, second = (images(data, "val", Draw(3, epoch)) for epoch in (0, 1))
    assert not torch.allclose(first, second)
    assert torch.equal(images(data, "val", Draw(3, 0)), first)
    assert torch.equal(images(data, "val"), images(build(source), "val"))


@pytest.mark.parametrize("rotation", ["haar", "uniform_angle", "fibonacci_400"])
def test_training_draws_a_pose_for_each_stream_epoch_and_index(source, rotation):
    part = build(source, rotation=rotation).splits["train"]
    index = np.arange(300)
    turns = part.turns(index, Draw(7, 0))
    assert turns.shape == (300, 3, 3)
    assert turns @ turns.transpose(0, 2, 1) == pytest.approx(np.tile(np.eye(3), (300, 1, 1)), abs=1e-12)
    assert np.linalg.det(turns) == pytest.approx(np.ones(300))
    assert np.array_equal(part.turns(index[[299, 4]], Draw(7, 0)), turns[[299, 4]])
    for other in (Draw(7, 1), Draw(8, 0)):
        assert (np.abs(part.turns(index, other) - turns).max(axis=(1, 2)) > 0.01).mean() > 0.98
    different = len({turn.round(6).tobytes() for turn in turns})
    assert different == 300 if rotation != "fibonacci_400" else 180 < different < 240  # 300 of 400: 211 expected
    turned = np.arccos(np.clip((np.trace(turns, axis1=1, axis2=2) - 1) / 2, -1, 1)).mean()
    assert turned == pytest.approx({"haar": np.pi / 2 + 2 / np.pi, "uniform_angle": np.pi / 2}.get(rotation, turned), abs=0.11)


def test_atoms_turn_about_the_centre(source):
    part = build(source, image={**IMAGE, "voxels": 40, "resolution_A": 0.3}).splits["train"]
    x = part.batch(np.arange(3), Draw(1, 0))[0].sum(1).numpy()
    grid = (np.arange(40) - 19.5) * 0.3
    for number, turn in enumerate(part.turns(np.arange(3), Draw(1, 0))):
        mass = np.stack([(x[number].sum(axis=tuple({0, 1, 2} - {axis})) * grid).sum() for axis in range(3)]) / x[number].sum()
        heavy = np.array([[3, 0, 0], [0, 3, 0], [0, 0, 0], [1.5, 0, 0]]) - [0.75, 0, 0]
        assert mass == pytest.approx(turn @ heavy.mean(axis=0), abs=0.08)


# Dirt.

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
    assert text.endswith(": lost (9.1)")
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
        assert build(tmp_path / "lba", split=split).splits["train"].ids == [name]
    alone = tmp_path / "lba" / "split-by-sequence-identity-60"
    assert build(alone, split="identity60").splits["train"].ids == ["sixty"]
    assert "no complexes split by identity30" in missing(alone)
    shutil.rmtree(tmp_path / "lba" / "split-by-sequence-identity-30")
    said = missing(tmp_path / "lba")
    assert "it has split-by-sequence-identity-60" in said and "split-by-sequence-identity-30/data" in said


# Numbers around the images.


def test_normalization_is_computed_from_train_and_recorded(source):
    image = {**IMAGE, "normalize": "computed"}
    raw, data = build(source), build(source, image=image)
    recorded = data.facts["normalization"]
    x = images(raw).double().transpose(0, 1).flatten(1)
    assert recorded["computed"] is True
    assert recorded["mean"] == pytest.approx(x.mean(1).tolist())
    assert recorded["std"][:3] == pytest.approx(x.std(1, correction=0)[:3].tolist())
    assert raw.facts["normalization"] is None
    assert raw.facts["voxels"]["mean"] == recorded["mean"]
    assert raw.facts["voxels"]["filled"][3] == 0
    assert raw.facts["voxels"]["filled"][0] == pytest.approx(float((x[0] != 0).double().mean()))
    mean, std = (torch.tensor(recorded[name], dtype=torch.float32)[:, None, None, None] for name in ("mean", "std"))
    assert torch.allclose(images(data, "test"), (images(raw, "test") - mean) / std, atol=1e-6)
    given = build(source, image={**IMAGE, "normalize": {"mean": 0.5, "std": 2.0}})
    assert torch.allclose(images(given), (images(raw) - 0.5) / 2.0)
    assert (given.facts["normalization"]["mean"], given.facts["normalization"]["computed"]) == (0.5, False)


def test_the_rule_of_ligand_size_is_the_least_squares_line(tmp_path):
    def sized(name, heavy, label):
        return item(name, ligand=[(1.5 * i, 0.0, 0.0, "C") for i in range(heavy)] + [(0.0, 1.0, 0.0, "H")], label=label)

    train = [sized("a", 2, 5.0), sized("b", 4, 6.5), sized("c", 6, 7.0)]
    data = build(write(tmp_path / "source", train=train, val=[sized("v", 8, 0.0)]), hydrogens=True)
    rule = data.rules["ligand_size"]
    assert data.facts["ligand_size"] == pytest.approx({"intercept_pK": 25 / 6, "slope_pK": 0.5})
    assert rule["train"].numpy() == pytest.approx(np.array([[31 / 6], [37 / 6], [43 / 6]]))
    assert rule["val"].numpy() == pytest.approx(np.array([[49 / 6]]))
    assert rule["val"].dtype == torch.float32
    level = build(write(tmp_path / "level"))
    assert level.rules["ligand_size"]["test"].tolist() == [[6.0]] * 3


# Kept, pickled, and in other processes.


def test_atoms_are_parsed_once_and_again_when_the_file_changes(source, monkeypatch):
    first = build(source)
    with monkeypatch.context() as patch:
        patch.setattr(complexes, "StoredItems", None)
        assert torch.equal(images(build(source)), images(first))
        with pytest.raises(TypeError):
            build(source, hydrogens=True)
    write(source.parent / "new", train=[item("changed")])
    shutil.copy(source.parent / "new" / "train" / "data.mdb", source / "train" / "data.mdb")
    assert build(source).splits["train"].ids == ["changed"]


def test_findings_are_kept_with_the_atoms_and_a_torn_file_is_made_again(tmp_path):
    source = write(tmp_path / "source", train=[item("a"), item("b", label=None)])
    findings = build(source).findings
    assert findings
    assert build(source).findings == findings
    for path in (tmp_path / "cache" / "complexes").iterdir():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert build(source).findings == findings
    assert len(list((tmp_path / "cache" / "complexes").iterdir())) == 4  # three splits and the statistics


def test_a_split_can_be_pickled_and_read_by_loader_processes(source):
    part = build(source, image={**IMAGE, "normalize": "computed"}).splits["train"]
    copy = pickle.loads(pickle.dumps(part))
    expected = [part.batch(np.array([i]), Draw(4, 2))[0] for i in range(3)]
    assert all(torch.equal(copy.batch(np.array([i]), Draw(4, 2))[0], x) for i, x in enumerate(expected))

    class Fetch(torch.utils.data.Dataset):
        def __getitem__(self, i):
            return part.batch(np.array([i]), Draw(4, 2))[0]

    loader = DataLoader(Fetch(), batch_size=None, sampler=range(3), num_workers=2, generator=torch.Generator())
    assert all(torch.equal(x, y) for x, y in zip(loader, expected, strict=True))


# Real complexes.


@pytest.fixture(scope="module")
def real_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("real")


_cache = {}


def build_real(**settings):
    return build(BINDING, _cache["real"], **settings)


@pytest.fixture(scope="module", autouse=True)
def _one_cache(tmp_path_factory):
    _cache["real"] = tmp_path_factory.mktemp("real")


def rmse(outputs, targets):
    return float(np.sqrt(np.square(np.asarray(outputs, np.float64) - np.asarray(targets, np.float64)).mean()))


@binding
def test_the_trivial_rules_reach_on_real_data_what_its_readme_says():
    data = build_real(image={**IMAGE, "channels": ["C", "N", "O", "S|SE", "*", "ligand"]})
    assert data.findings == ()
    assert data.facts["n"] == {"train": 772, "val": 167, "test": 168}
    y = {split: part.targets.numpy() for split, part in data.splits.items()}
    line = data.rules["ligand_size"]
    assert round(rmse(y["train"].mean(), y["test"]), 3) == 1.280
    assert round(rmse(line["test"], y["test"]), 3) == 1.036
    assert round(rmse(line["val"], y["val"]), 3) == 1.114
    assert round(rmse(line["train"], y["train"]), 3) == 1.253
    assert round(data.facts["ligand_size"]["intercept_pK"], 4) == 4.9137
    assert round(data.facts["ligand_size"]["slope_pK"], 5) == 0.07382
    assert round(float(np.corrcoef(line["test"].numpy()[:, 0], y["test"][:, 0])[0, 1]), 3) == 0.613
    assert data.facts["target_mean_pK"]["train"] == pytest.approx(6.965, abs=5e-4)
    assert data.facts["target_sd_pK"]["test"] == pytest.approx(1.280, abs=5e-4)


@binding
def test_real_complexes_are_those_of_the_index():
    data = build_real(image=IMAGE, hydrogens=True)
    with (BINDING / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for split in SPLITS:
        mine = sorted((row for row in rows if row["split"] == split), key=lambda row: int(row["index"]))
        part = data.splits[split]
        assert part.ids == [row["id"] for row in mine]
        assert part.targets[:, 0].tolist() == [np.float32(row["neglog_aff"]) for row in mine]
        n_atoms = [int(row["n_lig_atoms"]) + int(row["n_pocket_atoms"]) for row in mine]
        assert np.diff(part.atoms.first).tolist() == n_atoms
        assert data.facts["ligand_heavy_atoms"][split] == pytest.approx(np.mean([int(row["n_lig_heavy"]) for row in mine]))
    missing_ = missing_protein()
    assert "`atoms: pocket` may be there" in missing_


def missing_protein():
    with pytest.raises(DataMissing) as caught:
        build_real(atoms="protein")
    return f"{caught.value} | {caught.value.hint}"


# Generated complexes.


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The cache that the generated complexes are written into, and their items, split by split, read by hand."""
    cache = tmp_path_factory.mktemp("generated")
    folder, items = generated_complexes.written(cache), {}
    for split in SPLITS:
        with lmdb.open(str(folder / split), readonly=True, lock=False, readahead=False) as env, env.begin() as transaction:
            n = int(transaction.get(b"num_examples"))
            items[split] = [json.loads(gzip.decompress(transaction.get(str(i).encode()))) for i in range(n)]
    return cache, items


def embedded(cache, **settings):
    settings = {"type": "atom3d_lba", "source": "embedded", "split": "identity30", "atoms": "pocket", "image": IMAGE, **settings}
    return build_data(settings, None, cache)


def atoms(item_, part):
    """Places, elements and residues' names and numbers of a table."""
    frame = item_[f"atoms_{part}"]
    rows = [dict(zip(frame["columns"], row, strict=True)) for row in frame["data"]]
    column = {name: np.array([row[name] for row in rows]) for name in ("element", "resname", "residue")}
    return np.array([[row[axis] for axis in "xyz"] for row in rows]), column


def distances(a, b):
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))


def counted(item_):
    """Polar contacts, carbon contacts and heavy ligand atoms: what the docstring says, once more."""
    (pocket, of_pocket), (ligand, of_ligand) = atoms(item_, "pocket"), atoms(item_, "ligand")
    near = distances(pocket, ligand) <= 4.5
    polar = np.isin(of_pocket["element"], ["N", "O"])[:, None] & np.isin(of_ligand["element"], ["N", "O"])
    carbon = (of_pocket["element"] == "C")[:, None] & (of_ligand["element"] == "C")
    return (near & polar).sum(), (near & carbon).sum(), (of_ligand["element"] != "H").sum()


def test_generated_complexes_say_so_and_are_read_as_real_ones_are(generated):
    cache, items = generated
    data = embedded(cache)
    assert data.origin.startswith("generated: 400 made-up complexes")
    assert Atom3dLba.generated
    assert data.facts["n"] == {"train": 240, "val": 80, "test": 80}
    assert data.findings == ()
    ids = [name for part in data.splits.values() for name in part.ids]
    assert len(set(ids)) == len(ids) == 400
    for split, part in data.splits.items():
        assert part.targets[:, 0].tolist() == [np.float32(each["scores"]["neglog_aff"]) for each in items[split]]
    assert set(items["train"][0]["types"]) == set(items["train"][0])
    assert items["train"][0]["types"]["bonds"] == "<class 'pandas.core.frame.DataFrame'>"


def test_leaving_out_hydrogens_water_and_the_shell_matters(generated):
    cache, _ = generated
    n = {
        name: embedded(cache, **settings).facts["atoms"]["val"]
        for name, settings in {
            "pocket": {},
            "protein": {"atoms": "protein"},
            "hydrogens": {"hydrogens": True},
            "water": {"atoms": "protein", "water": True},
        }.items()
    }
    assert n["protein"] > 1.5 * n["pocket"]
    assert n["hydrogens"] > 1.3 * n["pocket"]
    assert n["water"] - n["protein"] > 80 * 5
    assert embedded(cache, water=True).facts["atoms"]["val"] == n["pocket"]


def test_generated_geometry_is_plausible(generated):
    for each in generated[1]["train"][:40]:
        ligand, of_ligand = atoms(each, "ligand")
        heavy = of_ligand["element"] != "H"
        bonds = np.array([bond[:2] for bond in each["bonds"]["data"]])
        length = np.linalg.norm(ligand[bonds[:, 0]] - ligand[bonds[:, 1]], axis=1)
        assert length == pytest.approx(np.full(len(bonds), 1.5), abs=0.003)
        bonded = np.eye(heavy.sum(), dtype=bool)
        bonded[bonds[:, 0], bonds[:, 1]] = bonded[bonds[:, 1], bonds[:, 0]] = True
        between = distances(ligand[heavy], ligand[heavy])
        assert between[~bonded].min() > 2.29
        assert set(of_ligand["element"]) <= {"C", "N", "O", "S", "F", "H"}
        protein, of_protein = atoms(each, "protein")
        assert distances(protein[of_protein["element"] != "H"], ligand[heavy]).min() > 2.69
        near = distances(protein, ligand[heavy]).min(axis=1) <= 6.0
        wanted = set(of_protein["residue"][near & (of_protein["resname"] != "HOH")].tolist())
        pocket, of_pocket = atoms(each, "pocket")
        assert set(of_pocket["residue"].tolist()) == wanted
        assert np.array_equal(pocket, protein[np.isin(of_protein["residue"], list(wanted))])
        assert "HOH" not in of_pocket["resname"] and "HOH" in of_protein["resname"]


def test_the_generated_affinity_is_the_stated_function_of_contacts(generated):
    _, items = generated
    g = generated_complexes
    count = {split: np.array([counted(each) for each in items[split]], float) for split in SPLITS}
    y = {split: np.array([each["scores"]["neglog_aff"] for each in items[split]]) for split in SPLITS}
    true = {
        split: g.BASE + g.POLAR * (1 - np.exp(-c[:, 0] / g.POLAR_SCALE)) + g.CARBON * (1 - np.exp(-c[:, 1] / g.CARBON_SCALE))
        + g.SIZE * c[:, 2] for split, c in count.items()
    }  # fmt: skip
    everything, noise = np.concatenate(list(y.values())), np.concatenate([y[split] - true[split] for split in SPLITS])
    assert (round(everything.mean(), 2), round(everything.std(), 2)) == (6.50, 1.40)
    assert round(rmse(noise, 0), 2) == 0.60
    assert abs(noise.mean()) < 3 * 0.6 / 20
    assert round(0.6**2 / everything.var(), 2) == 0.18
    design = {split: np.column_stack([np.ones(len(c)), c[:, :2]]) for split, c in count.items()}
    weights = np.linalg.lstsq(design["train"], y["train"], rcond=None)[0]
    size = np.polynomial.Polynomial.fit(count["train"][:, 2], y["train"], 1)
    reached = {"mean": y["train"].mean(), "size": size(count["test"][:, 2]), "contacts": design["test"] @ weights, "true": true["test"]}
    assert {name: round(rmse(outputs, y["test"]), 2) for name, outputs in reached.items()} == {
        "mean": 1.38, "size": 1.33, "contacts": 0.67, "true": 0.56,
    }  # fmt: skip


def test_the_fingerprint_is_of_the_items_and_is_checked(generated, tmp_path, monkeypatch):
    cache, items = generated
    known = [generated_complexes.item(number) for number in (0, 239, 240, 399)]
    assert [json.loads(text) for _, text in known] == [items["train"][0], items["train"][239], items["val"][0], items["test"][79]]
    texts = [json.dumps(each).encode() for split in SPLITS for each in items[split]]
    assert generated_complexes.fingerprint(texts) == Atom3dLba.embedded_fingerprint
    monkeypatch.setattr(generated_complexes, "item", lambda number: (f"x{number}", texts[number] + b" "))
    assert generated_complexes.written(cache).is_dir()  # those that are there are not made again
    with pytest.raises(DataMissing, match=f"not {Atom3dLba.embedded_fingerprint}"):
        generated_complexes.written(tmp_path)
    assert list((tmp_path / "generated-complexes").glob("*")) == []


def test_damaged_generated_complexes_are_made_again(generated, tmp_path, monkeypatch):
    cache, items = generated
    made = [(each["id"], json.dumps(each).encode()) for split in SPLITS for each in items[split]]
    monkeypatch.setattr(generated_complexes, "item", lambda number: made[number])
    folder = shutil.copytree(generated_complexes.written(cache).parent, tmp_path / "generated-complexes")
    folder = folder / Atom3dLba.embedded_fingerprint
    for damage in (
        lambda: overwrite(folder / "val", b"7", gzip.compress(b"{}")),
        lambda: os.truncate(folder / "test" / "data.mdb", 9000),
        lambda: shutil.rmtree(folder / "train"),
    ):
        damage()
        assert generated_complexes.written(tmp_path) == folder
        assert embedded(tmp_path).facts["n"] == {"train": 240, "val": 80, "test": 80}
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
