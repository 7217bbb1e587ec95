"""ATOM3D's items on disk, read and written: an LMDB folder a split, items as JSON, their tables of atoms in "split" orientation.

    b"0" ... b"N-1"              an item: JSON, compressed with gzip
    b"num_examples"              N in decimal digits
    b"serialization_format"      b"json"
    b"id_to_idx"                 a JSON map from id to index, not compressed

A table is {columns, index, data}, its data row by row, and is read by the names of its columns: their order differs from file to
file. Reading takes no lock and changes no file. ATOM3D also knows the formats pkl and msgpack, which are refused.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from types import NoneType, TracebackType
from typing import Any

import lmdb
import numpy as np
from numpy.typing import NDArray

from interpreter.errors import DataMissing

FORMAT = "json"
ATOM_COLUMNS = (
    "ensemble", "subunit", "structure", "model", "chain", "hetero", "insertion_code", "residue", "segid", "resname",
    "altloc", "occupancy", "bfactor", "x", "y", "z", "element", "name", "fullname", "serial_number",
)  # fmt: skip
"""The columns of a table of atoms, as ATOM3D writes them."""

_REFUSED = {
    "pkl": "a pickle runs code of whoever wrote it when it is read",
    "msgpack": "only JSON is read here",
}
_LEVEL = 6  # of compression, as ATOM3D's own writer
_TABLE = "<class 'pandas.core.frame.DataFrame'>"  # what `types` says of a table

Item = Mapping[str, Any]
Table = dict[str, Any]


class BadItem(Exception):
    """An item that can't be used. `code` is the finding it becomes, the text says why."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class StoredItems:
    """The items of one split, open within a `with` block: nothing is held before or after it, or taken along into a fork.

    n: items there are said to be. ids: index -> id, as far as `id_to_idx` tells. odd: what does not add up, in words.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.n = 0
        self.ids: dict[int, str] = {}
        self.odd: list[str] = []

    def __enter__(self) -> StoredItems:
        """Open the folder. Raises: DataMissing when it holds no items that can be read."""
        file = self.folder / "data.mdb"
        if not file.is_file():
            raise DataMissing(
                f"{self.folder} has no data.mdb", hint="a split is a folder that ATOM3D wrote: data.mdb and lock.mdb"
            )
        if file.stat().st_size == 0:
            raise DataMissing(f"{file} is empty", hint="copy or download it anew")
        try:
            self._env = lmdb.open(str(self.folder), readonly=True, lock=False, readahead=False, create=False)
        except (lmdb.Error, OSError) as error:
            raise DataMissing(f"{file} is no LMDB database, or a damaged one: {error}", hint="copy or download it anew") from None
        try:
            self._check_whole(file)
            self._transaction = self._env.begin(buffers=False)
            self._read_header(file)
        except BaseException:
            self._env.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._transaction.abort()
        self._env.close()

    def item(self, index: int) -> dict[str, Any]:
        """The item at `index`, with an `id` if it has none of its own. Raises: BadItem."""
        try:
            item = json.loads(self.text(index))
        except (ValueError, RecursionError) as error:
            raise BadItem("corrupt-item", f"no JSON: {error}") from None
        if not isinstance(item, dict):
            raise BadItem("corrupt-item", f"the JSON is a {type(item).__name__}, not a mapping")
        item.setdefault("id", self.name(index))
        return item

    def text(self, index: int) -> bytes:
        """The item at `index` as it was serialized. Raises: BadItem."""
        try:
            return gzip.decompress(self._stored(index))
        except (OSError, EOFError, zlib.error) as error:  # a bad magic number is an OSError
            raise BadItem("corrupt-item", f"no whole gzip file: {error}") from None

    def _stored(self, index: int) -> bytes:
        try:
            found = self._transaction.get(str(index).encode())
        except lmdb.Error as error:
            raise BadItem("corrupt-item", f"damaged database: {error}") from None
        if found is None:
            raise BadItem("missing-item", "the database has no such key")
        return bytes(found)

    def name(self, index: int) -> str:
        """The id of the item at `index` as far as it is known without reading it; its index where it is not."""
        return self.ids.get(index, str(index))

    def _check_whole(self, file: Path) -> None:
        """Reading a page behind the end of a cut file would end the process."""
        expected = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        if (size := file.stat().st_size) < expected:
            raise DataMissing(f"{file} is cut off: it has {size:,} bytes of {expected:,}", hint="copy or download it anew")

    def _read_header(self, file: Path) -> None:
        try:
            count, written, ids = (self._transaction.get(key) for key in (b"num_examples", b"serialization_format", b"id_to_idx"))
            entries = self._transaction.stat()["entries"]
        except lmdb.Error as error:
            raise DataMissing(f"{file} is damaged: {error}", hint="copy or download it anew") from None
        written = "nothing" if written is None else bytes(written).decode("utf-8", "replace")
        if written != FORMAT:
            why = _REFUSED.get(written, "no such format is known")
            raise DataMissing(f"the items of {file} are written as {written}, not as json: {why}",
                              hint="let ATOM3D write them again with serialization_format='json'")  # fmt: skip
        if count is None or not bytes(count).strip().isdigit():
            raise DataMissing(f"{file} does not say how many items it has", hint="`num_examples` is a number in decimal digits")
        self.n = int(bytes(count))
        if (beyond := entries - 3 - self.n) > 0:
            self.odd.append(f"{beyond} keys beyond the {self.n} items that `num_examples` tells of were not read")
        self.ids = self._indices(ids)

    def _indices(self, written: Any) -> dict[int, str]:
        try:
            table = json.loads(bytes(written)) if written is not None else None
        except ValueError:
            table = None
        if not isinstance(table, dict) or not all(type(index) is int for index in table.values()):
            self.odd.append("`id_to_idx` is no map from ids to indices: ids are those of the items")
            return {}
        ids = {index: name for name, index in table.items()}
        if self.n and (len(ids), len(table), min(ids, default=-1), max(ids, default=-1)) != (self.n, self.n, 0, self.n - 1):
            self.odd.append(f"`id_to_idx` has {len(table)} ids of {len(ids)} indices, and `num_examples` is {self.n}")
        return ids


def columns(item: Item, table: str, wanted: Sequence[str]) -> dict[str, list[Any]]:
    """Some columns of a table of `item`, by name.

    Raises: BadItem when the table or one of them is not there, or rows are torn.
    """
    found = item.get(table)
    if found is None:
        raise BadItem("corrupt-item", f"no `{table}`")
    if not (isinstance(found, dict) and isinstance(found.get("columns"), list) and isinstance(found.get("data"), list)):
        raise BadItem("corrupt-item", f"`{table}` is no table of columns and data")
    names, rows = found["columns"], found["data"]
    if missing := [name for name in wanted if name not in names]:
        raise BadItem("corrupt-item", f"`{table}` has no column `{missing[0]}`")
    if set(map(type, rows)) - {list} or set(map(len, rows)) - {len(names)}:
        raise BadItem("corrupt-item", f"`{table}` has rows of other lengths than its {len(names)} columns")
    return {name: list(map(itemgetter(names.index(name)), rows)) for name in wanted}


def numbers(values: Sequence[Any], what: str) -> NDArray[np.float64]:
    """Values as float64, null as NaN. Raises: BadItem for text or a structure."""
    if set(map(type, values)) - {int, float, NoneType}:
        raise BadItem("corrupt-item", f"`{what}` holds something that is no number")
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:  # an integer beyond all floats
        raise BadItem("corrupt-item", f"`{what}` holds a number that is too large") from None


def words(values: Sequence[Any], what: str) -> NDArray[np.str_]:
    """Values as text in capitals without blanks around it, null as "". Raises: BadItem for anything else."""
    if set(map(type, values)) - {str, NoneType}:
        raise BadItem("corrupt-item", f"`{what}` holds something that is no text")
    spelled = {value: "" if value is None else value.strip().upper() for value in set(values)}  # few, of many atoms
    return np.array([spelled[value] for value in values], dtype=str)


def atom_table(rows: Mapping[str, Sequence[Any]]) -> Table:
    """A table of atoms as it is stored, of all its columns. Raises: KeyError for a column that is not given."""
    data = [list(row) for row in zip(*(rows[name] for name in ATOM_COLUMNS), strict=True)]
    return {"columns": list(ATOM_COLUMNS), "index": list(range(len(data))), "data": data}


def serialized(item: Item) -> bytes:
    """An item as JSON, with what `types` says of its fields: what is stored, before compression."""
    types = {name: _TABLE if _is_table(value) else f"<class '{type(value).__name__}'>" for name, value in item.items()}
    return json.dumps({**item, "types": {**types, "types": "<class 'dict'>"}}).encode()


def write_items(folder: Path, items: Iterable[tuple[str, bytes]]) -> int:
    """Write a split, of ids and serialized items, into the empty folder `folder`; how many there are.

    Raises: OSError when the folder can't be made; lmdb.Error when the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored: dict[bytes, bytes] = {}
    id_to_idx: dict[str, int] = {}
    for index, (name, text) in enumerate(items):
        stored[str(index).encode()] = gzip.compress(text, compresslevel=_LEVEL, mtime=0)
        id_to_idx[name] = index
    n = len(stored)
    stored[b"num_examples"] = str(n).encode()
    stored[b"serialization_format"] = FORMAT.encode()
    stored[b"id_to_idx"] = json.dumps(id_to_idx).encode()
    # A value takes whole pages, and the tree some more; a map that is larger than its content costs nothing on disk.
    room = sum(len(value) + 8192 for value in stored.values()) + (1 << 20)
    with lmdb.open(str(folder), map_size=room) as env, env.begin(write=True) as transaction:
        for key, value in stored.items():
            transaction.put(key, value)
    return n


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"columns", "index", "data"}
