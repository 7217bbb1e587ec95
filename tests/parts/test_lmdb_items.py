"""ATOM3D's items on disk: written and read back, real ones read as their README says, and files broken in every way."""

import gzip
import hashlib
import json
import pickle
from pathlib import Path

import lmdb
import numpy as np
import pytest

from interpreter.errors import DataMissing
from interpreter.parts.datasets.lmdb_items import (
    ATOM_COLUMNS,
    BadItem,
    StoredItems,
    atom_table,
    columns,
    numbers,
    serialized,
    words,
    write_items,
)
from tests.conftest import ROOT

BINDING = ROOT.parent / "shared" / "data" / "binding"
binding = pytest.mark.skipif(not BINDING.is_dir(), reason="the real complexes are not at ../shared/data/binding")


def items(n):
    """Items that are pages long after compression, too."""
    return [(f"x{i}", serialized({"id": f"x{i}", "n": i, "long": long(i)})) for i in range(n)]


def long(i):
    return np.random.default_rng(i).integers(1 << 40, size=3000).tolist()


@pytest.fixture
def folder(tmp_path):
    """A split of five items."""
    write_items(tmp_path / "train", items(5))
    return tmp_path / "train"


def put(folder, **entries):
    """Overwrite entries of a split, keys without their b; None takes one away."""
    with lmdb.open(str(folder), map_size=1 << 24) as env, env.begin(write=True) as transaction:
        for key, value in entries.items():
            name = key.removeprefix("k").encode()
            assert transaction.delete(name) if value is None else transaction.put(name, value)


def refusal(folder):
    with pytest.raises(DataMissing) as caught, StoredItems(folder):
        pass
    return f"{caught.value} | {caught.value.hint}"


def read(folder, index=0):
    with StoredItems(folder) as stored:
        return stored.item(index)


def test_what_is_written_has_the_layout_of_atom3d(folder):
    with lmdb.open(str(folder), readonly=True, lock=False, readahead=False) as env, env.begin() as transaction:
        entries = {bytes(key): bytes(value) for key, value in transaction.cursor()}
    assert entries.keys() == {b"0", b"1", b"2", b"3", b"4", b"num_examples", b"serialization_format", b"id_to_idx"}
    assert (entries[b"num_examples"], entries[b"serialization_format"]) == (b"5", b"json")
    assert json.loads(entries[b"id_to_idx"]) == {f"x{i}": i for i in range(5)}
    item = json.loads(gzip.decompress(entries[b"3"]))
    assert (item["id"], item["n"], item["types"]["n"], item["types"]["types"]) == ("x3", 3, "<class 'int'>", "<class 'dict'>")
    assert sorted(path.name for path in folder.iterdir()) == ["data.mdb", "lock.mdb"]


def test_a_table_is_written_in_split_orientation_and_named_as_a_table():
    table = atom_table({name: [f"{name}1", f"{name}2"] for name in ATOM_COLUMNS})
    assert (table["columns"], table["index"]) == (list(ATOM_COLUMNS), [0, 1])
    assert table["data"][1] == [f"{name}2" for name in ATOM_COLUMNS]
    assert json.loads(serialized({"atoms_ligand": table}))["types"]["atoms_ligand"] == "<class 'pandas.core.frame.DataFrame'>"


def test_written_items_are_read_back(folder):
    with StoredItems(folder) as stored:
        assert (stored.n, stored.odd, stored.ids) == (5, [], {i: f"x{i}" for i in range(5)})
        assert [stored.item(i)["long"] for i in range(5)] == [long(i) for i in range(5)]
        with pytest.raises(BadItem, match="no such key") as caught:
            stored.item(5)
    assert caught.value.code == "missing-item"


def test_nothing_is_open_after_reading_and_nothing_is_changed(folder):
    def state():
        return {path.name: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in folder.iterdir()}

    (folder / "lock.mdb").unlink()
    before = state()
    with StoredItems(folder) as stored:
        stored.item(0)
        maps = Path("/proc/self/maps")
        assert not maps.exists() or "data.mdb" in maps.read_text()
    assert not maps.exists() or "data.mdb" not in maps.read_text()
    with pytest.raises(BadItem, match="closed"):
        stored.item(0)
    assert state() == before


@pytest.mark.parametrize(
    ("written", "words_"),
    [
        (b"msgpack", "written as msgpack, not as json: only JSON is read here"),
        (b"parquet", "written as parquet, not as json: no such format is known"),
        (b"\xff", "no such format is known"),
        (None, "written as nothing"),
    ],
)
def test_other_formats_are_refused(folder, written, words_):
    put(folder, serialization_format=written)
    said = refusal(folder)
    assert words_ in said
    assert "serialization_format='json'" in said


class _Burglar:
    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


def test_a_pickle_is_refused_and_never_run(folder, tmp_path):
    burglar = _Burglar()
    burglar.path = str(tmp_path / "been-here")
    evil = pickle.dumps(burglar)
    put(folder, serialization_format=b"pkl", id_to_idx=evil, k0=gzip.compress(evil))
    assert "a pickle runs code of whoever wrote it" in refusal(folder)
    put(folder, serialization_format=b"json")
    with StoredItems(folder) as stored, pytest.raises(BadItem, match="no JSON"):
        stored.item(0)
    assert not (tmp_path / "been-here").exists()
    pickle.loads(evil)
    assert (tmp_path / "been-here").exists()


def test_a_cut_file_is_told_at_every_length(folder):
    file = folder / "data.mdb"
    whole = file.read_bytes()
    with StoredItems(folder) as stored:
        assert stored.n == 5
    for cut in [1, 100, 4095, 4096, 5000, 8192, *range(10_000, len(whole), 5000), len(whole) - 1]:
        file.write_bytes(whole[:cut])
        said = refusal(folder)
        assert ("is cut off" in said and f"{cut:,} bytes of {len(whole):,}" in said) or (cut < 8192 and "damaged one" in said), (
            cut
        )
        assert "copy or download it anew" in said


def test_what_is_no_database_is_told(folder, tmp_path):
    assert "has no data.mdb" in refusal(tmp_path / "nowhere")
    (folder / "data.mdb").write_bytes(b"no database " * 5000)
    assert "no LMDB database" in refusal(folder)
    (folder / "data.mdb").write_bytes(b"")
    assert "is empty" in refusal(folder)


def test_a_damaged_page_costs_its_items_and_no_more(folder):
    file = folder / "data.mdb"
    whole = file.read_bytes()
    page = whole.index(gzip.compress(items(5)[2][1], compresslevel=6, mtime=0)) // 4096
    file.write_bytes(whole[: page * 4096] + bytes(4096) + whole[(page + 1) * 4096 :])
    with StoredItems(folder) as stored:
        for index in range(5):
            if index == 2:
                with pytest.raises(BadItem) as caught:
                    stored.item(index)
                assert caught.value.code == "corrupt-item"
            else:
                assert stored.item(index)["n"] == index


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (b"plain text", "no whole gzip file"),
        (gzip.compress(b"{}" * 1000, mtime=0)[:-9], "no whole gzip file"),
        (gzip.compress(b"{}" * 1000, mtime=0)[:12] + b"\0" * 40, "no whole gzip file"),
        (gzip.compress(b'{"id": "x', mtime=0), "no JSON"),
        (gzip.compress(b"\xff\xfe\xfa", mtime=0), "no JSON"),
        (gzip.compress(b"[" * 200_000, mtime=0), "no JSON"),
        (gzip.compress(b"[1, 2]", mtime=0), "a list, not a mapping"),
        (None, "no such key"),
    ],
)
def test_a_bad_item_is_told_and_the_others_are_read(folder, stored, why):
    put(folder, k1=stored)
    with pytest.raises(BadItem, match=why) as caught:
        read(folder, 1)
    assert caught.value.code == ("missing-item" if stored is None else "corrupt-item")
    assert read(folder, 2)["n"] == 2


def test_an_item_without_an_id_has_that_of_the_index(folder):
    put(folder, k1=gzip.compress(b"{}"))
    assert read(folder, 1)["id"] == "x1"
    put(folder, id_to_idx=b"{}")
    assert read(folder, 1)["id"] == "1"


@pytest.mark.parametrize(
    ("entries", "n", "words_"),
    [
        ({"num_examples": b"3"}, 3, ["2 keys beyond the 3 items", "5 ids of 5 indices, and `num_examples` is 3"]),
        ({"num_examples": b"7"}, 7, ["5 ids of 5 indices, and `num_examples` is 7"]),
        ({"id_to_idx": b'{"x0": 0, "x1": 0}'}, 5, ["2 ids of 1 indices"]),
        ({"id_to_idx": b'{"x0": "0"}'}, 5, ["no map from ids to indices"]),
        ({"id_to_idx": b"\x80\x04"}, 5, ["no map from ids to indices"]),
    ],
)
def test_what_does_not_add_up_is_told(folder, entries, n, words_):
    put(folder, **entries)
    with StoredItems(folder) as stored:
        assert stored.n == n
        assert len(stored.odd) == len(words_)
        assert all(expected in said for expected, said in zip(words_, stored.odd, strict=True))


def test_items_of_one_id_are_all_written_and_told(tmp_path):
    assert write_items(tmp_path, [("x", b"{}"), ("y", b"{}"), ("x", b"{}")]) == 3
    with StoredItems(tmp_path) as stored:
        assert (stored.n, stored.ids) == (3, {1: "y", 2: "x"})
        assert stored.odd == ["`id_to_idx` has 2 ids of 2 indices, and `num_examples` is 3"]


@pytest.mark.parametrize("written", [b"five", b"-1", b"", None])
def test_a_count_is_needed(folder, written):
    put(folder, num_examples=written)
    assert "does not say how many items" in refusal(folder)


def test_columns_are_found_by_name_in_any_order():
    table = {"columns": ["z", "element", "x"], "index": [0, 1], "data": [[3.0, "C", 1], [6.0, "N", 4]]}
    assert columns({"t": table}, "t", ("x", "z")) == {"x": [1, 4], "z": [3.0, 6.0]}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (None, "no `t`"),
        ([1], "no table"),
        ({"columns": ["x"]}, "no table"),
        ({"columns": ["y"], "data": []}, "no column `x`"),
        ({"columns": ["x", "y"], "data": [[1, 2], [1]]}, "rows of other lengths"),
        ({"columns": ["x", "y"], "data": [[1, 2], "ab"]}, "rows of other lengths"),
    ],
)
def test_a_torn_table_is_a_bad_item(table, why):
    with pytest.raises(BadItem, match=why):
        columns({"t": table}, "t", ("x",))


def test_values_are_what_they_should_be():
    assert np.array_equal(numbers([1, 2.5, None], "x"), [1, 2.5, np.nan], equal_nan=True)
    for wrong in (["1.5"], [True], [[1.0]], [10**400]):
        with pytest.raises(BadItem, match="`x` holds"):
            numbers(wrong, "x")
    assert words([" c ", None, "Cl"], "e").tolist() == ["C", "", "CL"]
    with pytest.raises(BadItem, match="no text"):
        words(["C", 6], "e")


@binding
def test_real_items_are_what_their_own_reader_gives():
    with lmdb.open(str(BINDING / "test"), readonly=True, lock=False, readahead=False) as env, env.begin() as transaction:
        n = int(transaction.get(b"num_examples"))
        expected = [json.loads(gzip.decompress(transaction.get(str(i).encode()))) for i in range(n)]
    with StoredItems(BINDING / "test") as stored:
        assert (stored.n, stored.odd) == (n, []) == (168, [])
        for index, item in enumerate(expected):
            found = stored.item(index)
            assert found == item
            assert found["id"] == stored.name(index)
            for table in ("atoms_pocket", "atoms_ligand"):
                assert tuple(item[table]["columns"]) == ATOM_COLUMNS
                rows = [dict(zip(item[table]["columns"], row, strict=True)) for row in item[table]["data"]]
                mine = columns(found, table, ("element", "x"))
                assert mine["element"] == [row["element"] for row in rows]
                assert numbers(mine["x"], "x").tolist() == [row["x"] for row in rows]
