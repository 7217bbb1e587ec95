"""Complexes as voxels: what is read, poses, numbers, caches; on small sources made here, and on real complexes."""

import csv
import gzip
import json
import pickle
import shutil

import lmdb
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from interpreter.errors import DataMissing
from interpreter.parts.contract import Draw
from interpreter.parts.datasets import complexes
from interpreter.parts.datasets.lmdb_items import ATOM_COLUMNS
from interpreter.spec.components.volumes import Atom3dLba
from tests.conftest import ROOT
from tests.parts.made_complexes import IMAGE, LIGAND, SPLITS, build, images, item, rmse, write

BINDING = ROOT.parent / "shared" / "data" / "binding"
binding = pytest.mark.skipif(not BINDING.is_dir(), reason="the real complexes are not at ../shared/data/binding")


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
def test_an_image_is_what_the_file_says_it_is(real):
    """Binary voxels without rotation, against a few lines that know nothing of the code at hand."""
    image = {"voxels": 21, "resolution_A": 1.0, "channels": ["C", "O", "N", "F"], "fill": "binary"}
    config = {"split": "identity30", "atoms": "pocket", "rotation": "none", "hydrogens": True}
    with lmdb.open(str(BINDING / "val"), readonly=True, lock=False, readahead=False) as env, env.begin() as transaction:
        items = [json.loads(gzip.decompress(transaction.get(str(i).encode()))) for i in range(12)]
    split = real(image=image, **config).splits["val"]
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
    moved = images(build(again), "val")
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
def real(tmp_path_factory):
    """Builds the real complexes, with one cache for all of them."""
    cache = tmp_path_factory.mktemp("real")
    return lambda **settings: build(BINDING, cache, **settings)


@binding
def test_the_trivial_rules_reach_on_real_data_what_its_readme_says(real):
    data = real(image={**IMAGE, "channels": ["C", "N", "O", "S|SE", "*", "ligand"]})
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
def test_real_complexes_are_those_of_the_index(real):
    data = real(image=IMAGE, hydrogens=True)
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
    with pytest.raises(DataMissing) as caught:
        real(atoms="protein")
    assert "`atoms: pocket` may be there" in caught.value.hint
