"""Zones and atoms of a macromol_gym database: one SQLite file, opened for reading only, in each process anew.

Vectors are .npy files and atoms Parquet files, as bytes in the tables. Atoms are read when a batch needs them: a database may be
larger than memory.
"""

from __future__ import annotations

import io
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from interpreter.errors import DataMissing
from interpreter.parts.datasets.zones import ZoneTable
from interpreter.parts.voxels.atoms import Atoms, Part
from interpreter.spec.components.volumes import MASKS, VoxelImage

SUFFIXES = (".sqlite", ".sqlite3", ".db")
_HYDROGENS = ("H", "D")
_RECENT = 64  # assemblies kept in memory by a process

# Connections that came through a fork. They must not be used here, nor closed: that would disturb the process they belong to.
_foreign: list[sqlite3.Connection] = []

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Gym:
    """What a database says, without its atoms. Zones whose neighbours are none are left out."""

    zones: ZoneTable  # their structures are assemblies, by row of `assemblies`
    splits: tuple[str, ...]  # of each zone
    assemblies: Ints  # ids in the database
    structures: int
    directions: NDArray[np.float64]  # (K, 3), of length 1
    neighbor_distance_A: float
    zone_A: float | None  # side of a zone, where the database says it
    lonely: int  # zones without a neighbour


def database_in(source: Path, name: str) -> Path | None:
    """The database that the data source is, or holds; None where it is another kind of folder.

    Raises: DataMissing where it holds several.
    """
    if source.is_file():
        return source
    found = sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataMissing(f"`{name}` holds several databases: {names}", hint="name the one file in expt.toml")
    return found[0] if found else None


def read(path: Path) -> Gym:
    """Everything but the atoms. Raises: DataMissing for a file that is no such database."""
    with _telling(path):
        connection = _connected(path)
        try:
            return _read(connection, path)
        finally:
            connection.close()


def _read(connection: sqlite3.Connection, path: Path) -> Gym:
    neighbors = connection.execute("SELECT id, offset_A FROM neighbor ORDER BY id").fetchall()
    if not neighbors:
        raise DataMissing(f"{path.name} has no neighbours: the table `neighbor` is empty")
    column = {id_: n for n, (id_, _) in enumerate(neighbors)}
    offsets = np.stack([_vector(blob) for _, blob in neighbors])
    lengths = np.linalg.norm(offsets, axis=1)
    if not (lengths > 0).all():
        raise DataMissing(f"{path.name} has a neighbour without a direction: its offset is 0")
    rows = connection.execute(
        "SELECT zone.id, zone.center_A, assembly.id, structure.pdb_id, split.name FROM zone "
        "JOIN assembly ON assembly.id = zone.assembly_id JOIN structure ON structure.id = assembly.struct_id "
        "JOIN split ON split.id = structure.split_id ORDER BY zone.id"
    ).fetchall()
    if not rows:
        raise DataMissing(f"{path.name} has no zones in a split: no structure has been given one, or the table is empty")
    row_of = {row[0]: n for n, row in enumerate(rows)}
    allowed = np.zeros((len(rows), len(neighbors)), bool)
    # All at once: the table often has no index by zone, without which asking zone by zone takes a thousand times as long.
    for zone, neighbor in connection.execute("SELECT zone_id, neighbor_id FROM zone_neighbor"):
        if zone in row_of:
            allowed[row_of[zone], column[neighbor]] = True
    assemblies, which = np.unique(np.array([row[2] for row in rows], np.int64), return_inverse=True)
    table = ZoneTable(
        tuple(f"{row[3]}/zone-{row[0]}" for row in rows),
        which.astype(np.int64),
        np.stack([_vector(row[1]) for row in rows]),
        allowed,
    )
    some = np.flatnonzero(allowed.any(axis=1))
    return Gym(
        zones=table.of(some),
        splits=tuple(rows[n][4] for n in some.tolist()),
        assemblies=assemblies,
        structures=len({row[3] for row in rows}),
        directions=offsets / lengths[:, None],
        neighbor_distance_A=float(lengths.mean()),
        zone_A=_metadata(connection, "zone_size_A"),
        lonely=len(rows) - len(some),
    )


def _metadata(connection: sqlite3.Connection, key: str) -> float | None:
    found = connection.execute("SELECT value FROM metadata WHERE key = ?", (key,)).fetchone()
    return None if found is None or found[0] is None else float(found[0])


class GymAtoms:
    """The atoms of assemblies, read when they are asked for; those asked for lately are remembered."""

    def __init__(self, path: Path, assemblies: Ints, image: VoxelImage) -> None:
        self._path, self._assemblies, self._image = path, assemblies, image
        self._forget()

    def _forget(self) -> None:
        self._connections: dict[tuple[int, int], sqlite3.Connection] = {}
        self._recent: OrderedDict[int, Part] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"_path": self._path, "_assemblies": self._assemblies, "_image": self._image}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def of(self, structures: Ints) -> tuple[Atoms, Ints]:
        """Atoms in which these structures are, and the number of each there. Shape: (B,) -> (B,).

        Raises: DataMissing for atoms that can't be read.
        """
        some, which = np.unique(structures, return_inverse=True)
        return Atoms.of([self._part(int(self._assemblies[s])) for s in some], self._image), which.astype(np.int64)

    def _part(self, assembly: int) -> Part:
        part = self._recent.pop(assembly, None)
        if part is None:
            with _telling(self._path):
                # An id must be an int: SQLite would look for the bytes of a numpy integer, and find nothing.
                (blob,) = self._connection().execute("SELECT atoms FROM assembly WHERE id = ?", (assembly,)).fetchone()
            part = self._atoms(blob, assembly)
        self._recent[assembly] = part
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        return part

    def _connection(self) -> sqlite3.Connection:
        mine = (os.getpid(), threading.get_ident())
        for key in [key for key in self._connections if key[0] != mine[0]]:
            _foreign.append(self._connections.pop(key))
        if mine not in self._connections:
            self._connections[mine] = _connected(self._path)
        return self._connections[mine]

    def _atoms(self, blob: bytes, assembly: int) -> Part:
        """Heavy atoms that are not water."""
        where = f"the atoms of assembly {assembly} in {self._path.name}"
        try:
            table = pq.read_table(io.BytesIO(blob), use_threads=False)
            xyz_A = np.stack([np.asarray(table[axis], dtype=np.float32) for axis in "xyz"], axis=1)
            elements = np.char.upper(np.asarray(table["element"].to_pylist(), dtype=str))
        except (KeyError, ValueError, TypeError, pa.ArrowException) as error:
            raise DataMissing(f"{where} can't be read: {error}") from None
        if not np.isfinite(xyz_A).all():
            raise DataMissing(f"{where} have coordinates that are not numbers")
        known = set(table.column_names)
        occupancy = np.asarray(table["occupancy"], dtype=np.float32) if "occupancy" in known else np.ones(len(xyz_A), np.float32)
        heavy = ~np.isin(elements, _HYDROGENS)
        polymer = np.ones(len(xyz_A), bool)
        if "comp_id" in known:
            names, which = np.unique(np.asarray(table["comp_id"].to_pylist(), dtype=str), return_inverse=True)
            kinds = [gemmi.find_tabulated_residue(str(name)) for name in names]
            heavy &= ~np.array([kind.is_water() for kind in kinds], bool)[which]
            polymer = np.array([kind.is_amino_acid() or kind.is_nucleic_acid() for kind in kinds], bool)[which]
        if "is_polymer" in known:
            polymer = np.asarray(table["is_polymer"].to_pylist(), dtype=bool)
        elif "comp_id" not in known and set(self._image.channels) & set(MASKS):
            raise DataMissing(f"{where} don't say what is polymer: no column `is_polymer` or `comp_id`")
        return xyz_A[heavy], elements[heavy], polymer[heavy], occupancy[heavy]


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _vector(blob: bytes) -> NDArray[np.float64]:
    vector = np.asarray(np.load(io.BytesIO(blob), allow_pickle=False), dtype=np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all():
        raise ValueError(f"a vector of shape {vector.shape}, or not of numbers")
    return vector


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """What goes wrong with the file within, as DataMissing."""
    try:
        yield
    except (sqlite3.Error, ValueError, TypeError, KeyError, EOFError, OSError) as error:
        raise DataMissing(
            f"{path.name} is no macromol_gym database that can be read: {error}", hint="was it copied whole?"
        ) from None
