"""The generated complexes: their format, their geometry, and that their affinity is the stated function of contacts."""

import gzip
import json
import os
import shutil

import lmdb
import numpy as np
import pytest

from interpreter.errors import DataMissing
from interpreter.parts.build import build_data
from interpreter.parts.datasets import generated_complexes
from interpreter.spec.components.volumes import Atom3dLba
from tests.parts.made_complexes import IMAGE, SPLITS, overwrite, rmse


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
        near = distances(protein, ligand).min(axis=1) <= 6.0
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
    reached = {
        "mean": y["train"].mean(),
        "size": size(count["test"][:, 2]),
        "contacts": design["test"] @ weights,
        "true": true["test"],
    }
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
        lambda: (os.truncate(folder / "test" / "data.mdb", 9000), shutil.rmtree(folder / "train")),
    ):
        damage()
        assert generated_complexes.written(tmp_path) == folder
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert embedded(tmp_path).facts["n"] == {"train": 240, "val": 80, "test": 80}
