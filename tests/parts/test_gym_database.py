"""A macromol_gym database, written here in its schema: read without being written to, in every process anew."""

import io
import json
import multiprocessing
import os
import pickle
import sqlite3
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from interpreter.errors import DataMissing
from interpreter.parts.build import build_data
from interpreter.parts.contract import Draw
from interpreter.parts.datasets.gym_database import GymAtoms, database_in, read
from interpreter.parts.datasets.zones import directions
from interpreter.spec.components.volumes import NeighborLocation, VoxelImage
from tests.parts.molecules import IMAGE, globule

SCHEMA = """
CREATE TABLE metadata (key TEXT PRIMARY KEY, value);
CREATE TABLE split (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE structure (id INTEGER PRIMARY KEY, split_id INTEGER REFERENCES split(id), pdb_id TEXT UNIQUE, model_id TEXT);
CREATE TABLE assembly (id INTEGER PRIMARY KEY, struct_id INTEGER REFERENCES structure(id), pdb_id TEXT, atoms BLOB,
                       UNIQUE (struct_id, pdb_id));
CREATE TABLE zone (id INTEGER PRIMARY KEY, assembly_id INTEGER REFERENCES assembly(id), center_A BLOB);
CREATE TABLE subchain (zone_id INTEGER, pdb_id TEXT, symmetry_mate INTEGER);
CREATE TABLE neighbor (id INTEGER PRIMARY KEY, offset_A BLOB);
CREATE TABLE zone_neighbor (zone_id INTEGER REFERENCES zone(id), neighbor_id INTEGER REFERENCES neighbor(id));
CREATE TABLE curriculum (zone_id INTEGER, random_seed INTEGER, difficulty REAL, UNIQUE (zone_id, random_seed));
"""
SPLITS = ("train", "train", "val", "test")
SETTINGS = {"type": "neighbor_location", "source": "gym", "image": IMAGE}


def npy(vector):
    out = io.BytesIO()
    np.save(out, np.asarray(vector, float))
    return out.getvalue()


def frame(xyz_A, n_water=3, **more):
    """Atoms as Parquet: of the globule, some hydrogens among them, then water."""
    n = len(xyz_A) + n_water
    xyz_A = np.concatenate([xyz_A, np.zeros((n_water, 3))])
    columns = {
        **{axis: xyz_A[:, k] for k, axis in enumerate("xyz")},
        "element": ["C", "N", "c", "O", "H"] * (n // 5) + ["C"] * (n % 5),
        "comp_id": ["ALA"] * (n - n_water - 5) + ["HEM"] * 5 + ["HOH"] * n_water,
        "occupancy": np.full(n, 0.5),
    }
    out = io.BytesIO()
    pq.write_table(pa.table({k: v for k, v in {**columns, **more}.items() if v is not None}), out)
    return out.getvalue()


@pytest.fixture
def database(tmp_path):
    return make(tmp_path / "in" / "gym.sqlite")


def make(path, frames=None, zone_A=10.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as db:
        db.executescript(SCHEMA)
        db.execute("INSERT INTO metadata VALUES ('zone_size_A', ?)", (zone_A,))
        db.executemany("INSERT INTO split VALUES (?, ?)", [(1, "train"), (2, "val"), (3, "test")])
        db.executemany("INSERT INTO neighbor VALUES (?, ?)", [(n + 1, npy(30 * d)) for n, d in enumerate(directions())])
        for s, split in enumerate(SPLITS):
            blob = frame(globule(s, radius_A=20.0)) if frames is None else frames[s]
            db.execute(
                "INSERT INTO structure VALUES (?, ?, ?, '1')", (10 + s, 1 + ("train", "val", "test").index(split), f"{s}abc")
            )
            db.execute("INSERT INTO assembly VALUES (?, ?, '1', ?)", (100 + s, 10 + s, blob))
            for z in range(5):
                db.execute("INSERT INTO zone VALUES (?, ?, ?)", (1000 + 10 * s + z, 100 + s, npy([z, -z, s])))
                # The fifth zone of each has no neighbour.
                db.executemany(
                    "INSERT INTO zone_neighbor VALUES (?, ?)", [(1000 + 10 * s + z, 1 + z + k) for k in range(2 * (z < 4))]
                )
    db.close()
    return path


def test_what_a_database_says(database):
    gym = read(database)
    assert len(gym.zones) == 16
    assert gym.lonely == 4
    assert gym.zones.ids[:5] == ("0abc/zone-1000", "0abc/zone-1001", "0abc/zone-1002", "0abc/zone-1003", "1abc/zone-1010")
    assert gym.splits == ("train",) * 8 + ("val",) * 4 + ("test",) * 4
    assert gym.assemblies.tolist() == [100, 101, 102, 103]
    assert gym.zones.structure.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert gym.zones.center_A[6].tolist() == [2, -2, 1]
    assert [np.flatnonzero(row).tolist() for row in gym.zones.allowed[:4]] == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert np.allclose(gym.directions, directions())
    assert (gym.neighbor_distance_A, gym.zone_A, gym.structures) == (pytest.approx(30), 10.0, 4)


def test_pairs_of_a_database(database, tmp_path):
    data = build_data(SETTINGS, database, tmp_path / "cache")
    assert data.facts["n"] == {"train": 8, "val": 4, "test": 4}
    assert data.origin == "real: the macromol_gym database gym.sqlite of the source `gym`"
    assert data.findings == ()
    assert data.facts["zones"]["without_neighbor"] == 4
    assert data.facts["allowed"]["zones"][:3] == [0, 16, 0]
    train = data.splits["train"]
    x, y = train.batch(np.arange(8), Draw(1, 0))
    assert x.shape == (8, 2, 6, 21, 21, 21)
    pose = train.poses(np.arange(8), Draw(1, 0))
    assert y.tolist() == pose.side.tolist()
    assert (np.abs(pose.origins_A[:, 0] - train.zones.center_A) <= 5).all()
    copy = pickle.loads(pickle.dumps(train))
    assert torch.equal(copy.batch(np.arange(8), Draw(1, 0))[0], x)
    folder = build_data(SETTINGS, database.parent, tmp_path / "cache2")  # the folder that holds it
    assert torch.equal(folder.splits["train"].batch(np.arange(8), Draw(1, 0))[0], x)
    assert len(data.rules["center_of_mass"]["val"]) == 4


def test_atoms_are_heavy_dry_and_in_their_channels(database):
    image = VoxelImage.model_validate({**IMAGE, "channels": ["C", "N", "O", "polymer", "ligand"]})
    source = GymAtoms(database, np.array([100, 101, 102, 103]), image)
    joined, rows = source.of(np.array([3, 1, 3, 3], dtype=np.int64))
    assert rows.tolist() == [1, 0, 1, 1]
    assert len(joined) == 2
    for row, seed in ((0, 1), (1, 3)):
        own = slice(joined.first[row], joined.first[row + 1])
        xyz_A = globule(seed, radius_A=20.0)
        n = len(xyz_A)
        elements = (["C", "N", "C", "O", "H"] * (n // 5 + 2))[: (n + 3) // 5 * 5] + ["C"] * 5
        heavy = np.array([e != "H" for e in elements[:n]])
        assert np.allclose(joined.xyz_A[own], xyz_A[heavy], atol=1e-3)
        assert joined.channel[own].tolist() == [["C", "N", "O"].index(e) for e, h in zip(elements, heavy, strict=False) if h]
        assert (joined.mask[own] == 4).sum() == heavy[-5:].sum()  # the cofactor
        assert set(joined.occupancy[own].tolist()) == {0.5}


def test_nothing_is_written_to_a_database(database, tmp_path):
    before = database.read_bytes()
    os.chmod(database, 0o444)
    os.chmod(database.parent, 0o555)
    try:
        build_data(SETTINGS, database, tmp_path / "cache").splits["train"].batch(np.arange(3), None)
    finally:
        os.chmod(database.parent, 0o755)
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["gym.sqlite"]
    source = GymAtoms(database, np.array([100]), VoxelImage.model_validate(IMAGE))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        source._connection().execute("DELETE FROM zone")


def child(split, pipe):
    mine = split.atoms._connection()
    pipe.send(
        (id(mine), [pid for pid, _ in split.atoms._connections], sha256(split.batch(np.arange(4), None)[0].numpy()).hexdigest())
    )


def test_a_connection_does_not_cross_a_fork(database, tmp_path):
    split = build_data(SETTINGS, database, tmp_path / "cache").splits["val"]
    here = sha256(split.batch(np.arange(4), None)[0].numpy()).hexdigest()
    assert [pid for pid, _ in split.atoms._connections] == [os.getpid()]
    mine = id(split.atoms._connection())
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(split, send))
    process.start()
    assert receive.poll(60), "the child has nothing to say"
    theirs, pids, total = receive.recv()
    process.join()
    assert process.exitcode == 0
    assert total == here
    assert pids == [process.pid]
    assert theirs != mine
    assert sha256(split.batch(np.arange(4), None)[0].numpy()).hexdigest() == here  # it still works where it came from


def test_zone_settings_are_the_databases(tmp_path):
    wide = make(tmp_path / "wide.db", zone_A=4.0)
    data = build_data({**SETTINGS, "zones": {"size_A": 6.0}}, wide, tmp_path / "cache")
    assert dict(data.findings) == {
        "zones-of-the-database": "zones are those of wide.db, so `zones` decides nothing; they are 4 angstrom wide"
    }
    train = data.splits["train"]
    found = np.concatenate([train.poses(np.arange(8), Draw(1, e)).origins_A[:, 0] - train.zones.center_A for e in range(40)])
    assert 1.9 < np.abs(found).max() <= 2.0


def test_splits_of_other_names_are_told_and_missing_ones_are_missing_data(database, tmp_path):
    with sqlite3.connect(database) as db:
        db.execute("UPDATE split SET name = 'holdout' WHERE name = 'test'")
    db.close()
    with pytest.raises(DataMissing, match="the test split of `gym` has no zone"):
        build_data(SETTINGS, database, tmp_path / "cache")
    data = build_data({**SETTINGS, "structures": {"test": 0.0}}, database, tmp_path / "cache")
    assert set(data.splits) == {"train", "val"}
    assert dict(data.findings)["unknown-split"].startswith("left out: zones in splits named holdout")
    assert set(NeighborLocation.model_validate({**SETTINGS, "structures": {"test": 0.0}}).facts().splits) == {"train", "val"}


def test_a_folder_of_several_databases_is_missing_data(tmp_path):
    folder = tmp_path / "in"
    make(folder / "a.sqlite")
    assert database_in(folder, "gym") == folder / "a.sqlite"
    make(folder / "b.db")
    with pytest.raises(DataMissing, match=r"several databases: a.sqlite, b.db"):
        database_in(folder, "gym")


@pytest.mark.parametrize("damage", ["garbage", "torn", "no table", "no vector", "other file"])
def test_a_damaged_database_is_missing_data(database, tmp_path, damage):
    if damage == "garbage":
        database.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    elif damage == "torn":
        database.write_bytes(database.read_bytes()[:5000])
    elif damage == "other file":
        database.write_text(json.dumps({"no": "database"}))
    else:
        with sqlite3.connect(database) as db:
            db.execute("DROP TABLE zone_neighbor" if damage == "no table" else "UPDATE zone SET center_A = x'00'")
        db.close()
    with pytest.raises(DataMissing, match=r"gym.sqlite is no macromol_gym database that can be read"):
        build_data(SETTINGS, database, tmp_path / "cache")


def test_atoms_that_can_not_be_read_name_their_assembly(tmp_path):
    xyz_A = globule(0, radius_A=12.0)
    good = frame(xyz_A)
    nan = frame(np.where(np.arange(len(xyz_A))[:, None] == 3, np.nan, xyz_A))
    image = VoxelImage.model_validate(IMAGE)
    masked = VoxelImage.model_validate({**IMAGE, "channels": ["C", "polymer"]})
    path = make(tmp_path / "bad.sqlite", frames=[b"no parquet", nan, frame(xyz_A, element=None), frame(xyz_A, comp_id=None)])
    for row, words in (
        (0, "assembly 100 in bad.sqlite can't be read"),
        (1, r"assembly 101 .* not numbers"),
        (2, "assembly 102"),
    ):
        with pytest.raises(DataMissing, match=words):
            GymAtoms(path, np.array([100, 101, 102, 103]), image).of(np.array([row]))
    GymAtoms(path, np.array([103]), image).of(np.array([0]))
    with pytest.raises(DataMissing, match="don't say what is polymer"):
        GymAtoms(path, np.array([103]), masked).of(np.array([0]))
    polymer = frame(xyz_A, comp_id=None, is_polymer=np.arange(len(xyz_A) + 3) % 2 == 0)
    other = make(tmp_path / "good.sqlite", frames=[good, good, good, polymer])
    joined, _ = GymAtoms(other, np.array([103]), masked).of(np.array([0]))
    assert 0 < (joined.mask == 1).sum() < len(joined.mask)
