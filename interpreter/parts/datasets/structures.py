"""Structures of macromolecules in PDB and mmCIF files: which there are, their atoms, and what is wrong with them.

Of a file its first model is read, without water and hydrogens; of alternative places of an atom the one with the highest
occupancy. The atoms of all files are kept in the cache folder, in one table.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from interpreter.errors import DataMissing
from interpreter.fingerprint import walk
from interpreter.parts.datasets.array_cache import Arrays, kept
from interpreter.parts.datasets.image_cache import hashes
from interpreter.parts.voxels.atoms import Atoms, Part
from interpreter.spec.canonical import key_of
from interpreter.spec.components.datasets import SPLITS
from interpreter.spec.components.volumes import VoxelImage

RULE = 1  # raise it when other atoms come out of the same file
ATOM = np.dtype([("xyz_A", "<f4", 3), ("element", "<U2"), ("polymer", "?"), ("occupancy", "<f4")])
INDEX = "index.csv"
_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif")
_NAMED = 20  # structures that are told by name in one finding

Finding = tuple[str, str]


class Unreadable(ValueError):
    """A file is not a structure that can be used: why, in words."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Files of structures, and what is said about them: a row each."""

    names: tuple[str, ...]
    paths: tuple[Path, ...]
    splits: tuple[str, ...]  # "" where nothing says it
    clusters: tuple[str, ...]  # "" where nothing says it
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Structures:
    """The atoms of listed files, those that can't be used left out: a row each."""

    names: tuple[str, ...]
    splits: tuple[str, ...]
    clusters: tuple[str, ...]
    digests: tuple[str, ...]  # of the files
    table: NDArray[Any]  # (A,) of ATOM
    first: NDArray[np.int64]  # (S + 1,): structure s is atoms first[s] to first[s + 1]
    left_out: Mapping[str, str]  # name -> why
    findings: tuple[Finding, ...]
    key: str  # of everything here

    def atoms(self, structure: int) -> NDArray[Any]:
        """The atoms of one structure. Shape: (n,) of ATOM."""
        return self.table[self.first[structure] : self.first[structure + 1]]

    def elements(self) -> dict[str, int]:
        """How many atoms there are of each element, the most frequent first; X is an element that is not known."""
        names, counts = np.unique(self.table["element"], return_counts=True)
        return dict(Counter(dict(zip(names.tolist(), counts.tolist(), strict=True))).most_common())


class StructureAtoms:
    """The atoms of structures with their channels, joined when they are first asked for, in each process anew."""

    def __init__(self, structures: Structures, image: VoxelImage) -> None:
        self._structures = structures
        self._image = image
        self._joined: Atoms | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_joined": None}

    def of(self, structures: NDArray[np.int64]) -> tuple[Atoms, NDArray[np.int64]]:
        """Atoms in which these structures are, and the number of each there. Shape: (B,) -> (B,)."""
        if self._joined is None:
            whole = self._structures
            self._joined = Atoms.of([_part(whole.atoms(s)) for s in range(len(whole.names))], self._image)
        return self._joined, structures


def _part(atoms: NDArray[Any]) -> Part:
    return atoms["xyz_A"], atoms["element"], atoms["polymer"], atoms["occupancy"]


def listed(folder: Path, source: str) -> Listed:
    """The structures below `folder`, in the order of their paths, with what its index.csv says.

    A structure is named after its file; by its whole path where several files have one name.
    Raises: DataMissing where there are none, or the index can't be understood.
    """
    found = [(_stem(relative), path) for relative, path in walk(folder) if _stem(relative)]
    if not found:
        raise DataMissing(f"`{source}` has no structures", hint="it is a folder of .pdb or .cif files, each may be .gz")
    often = Counter(Path(stem).name for stem, _ in found)
    names = [Path(stem).name if often[Path(stem).name] == 1 else stem for stem, _ in found]
    paths = [path for _, path in found]
    index = folder / INDEX
    if not index.is_file():
        blank = ("",) * len(names)
        return Listed(tuple(names), tuple(paths), blank, blank)
    return _indexed(names, paths, _read_index(index, source))


def _stem(relative: str) -> str:
    """The path of a structure's file without what its ending says, or "" for another file."""
    plain = _unzipped(relative)
    suffix = Path(plain).suffix
    return plain[: -len(suffix)] if suffix.lower() in _SUFFIXES else ""


def _unzipped(name: str) -> str:
    return name[: -len(".gz")] if name.lower().endswith(".gz") else name


def _read_index(index: Path, source: str) -> list[dict[str, str]]:
    try:
        with index.open(encoding="utf-8-sig", newline="") as file:
            rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataMissing(f"{INDEX} of `{source}` can't be read: {error}") from None
    if not rows or "id" not in rows[0]:
        raise DataMissing(f"{INDEX} of `{source}` has no column `id`", hint="its columns are id, split, seq_cluster")
    for line, row in enumerate(rows, start=2):
        if row.get("split") and row["split"] not in SPLITS:
            raise DataMissing(f"{INDEX} of `{source}`, row {line}: `{row['split']}` is none of {', '.join(SPLITS)}")
    twice = [name for name, count in Counter(row["id"] for row in rows).items() if count > 1]
    if twice:
        raise DataMissing(f"{INDEX} of `{source}` has {', '.join(twice[:_NAMED])} twice")
    return rows


def _indexed(names: Sequence[str], paths: Sequence[Path], rows: Sequence[Mapping[str, str]]) -> Listed:
    """The files with what the index says. Where it has splits, files that it gives none are left out, and told."""
    said = {row["id"]: row for row in rows}
    has_splits = any(row.get("split") for row in rows)
    kept_at = [n for n, name in enumerate(names) if not has_splits or said.get(name, {}).get("split")]
    left, absent = set(names) - {names[n] for n in kept_at}, set(said) - set(names)
    findings = told("structure-not-in-index", f"left out, having no split in {INDEX}", left)
    findings += told("structure-without-file", f"in {INDEX} and not in the folder", absent)
    rows_of = [said.get(names[n], {}) for n in kept_at]
    return Listed(
        tuple(names[n] for n in kept_at),
        tuple(paths[n] for n in kept_at),
        tuple(row.get("split", "") for row in rows_of),
        tuple(row.get("seq_cluster", "") for row in rows_of),
        tuple(findings),
    )


def told(code: str, text: str, things: Iterable[str]) -> list[Finding]:
    """One finding about `things`, counted and the first of them named; none where there are none."""
    names = sorted(things)
    if not names:
        return []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [(code, f"{len(names)} structure{'s' * (len(names) > 1)} {text}: {', '.join(names[:_NAMED])}{more}")]


def read(files: Listed, folder: Path, cache: Path) -> Structures:
    """The atoms of the files, read now or found from before; those that can't be used are left out and told.

    Raises: DataMissing where no structure remains, or a file can't be opened.
    """
    digests = hashes(folder, [(str(path), path) for path in files.paths], cache)
    key = key_of(["structures", RULE, list(zip(files.names, files.splits, files.clusters, digests, strict=True))])
    found = kept(cache / "structures" / f"{key}.npz", lambda: _read_all(files))
    why = json.loads(str(found["errors"]))
    good = [n for n, name in enumerate(files.names) if name not in why]
    if not good:
        raise DataMissing(
            f"none of {len(why)} structures can be used: {next(f'{name} {text}' for name, text in why.items())}",
            hint=f"looked in {folder}: a structure has atoms, other than water and hydrogens, whose places are numbers",
        )
    unknown = found["table"]["element"] == "X"
    findings = [*files.findings, *told("unreadable-structure", "left out", (f"{name} ({text})" for name, text in why.items()))]
    if unknown.any():
        where = {files.names[good[s]] for s in np.searchsorted(found["first"], np.flatnonzero(unknown), "right") - 1}
        findings += told(
            "unknown-element", f"with {int(unknown.sum())} atoms of no known element, which only the channel `*` holds", where
        )
    names, splits, clusters, of_files = (
        tuple(column[n] for n in good) for column in (files.names, files.splits, files.clusters, digests)
    )
    return Structures(names, splits, clusters, of_files, found["table"], found["first"], why, tuple(findings), key)


def _read_all(files: Listed) -> Arrays:
    tables, why = [], {}
    for name, path in zip(files.names, files.paths, strict=True):
        try:
            tables.append(atoms_of(path))
        except Unreadable as error:
            why[name] = str(error)
    first = np.concatenate([[0], np.cumsum([len(table) for table in tables], dtype=np.int64)]).astype(np.int64)
    return {"table": np.concatenate([np.empty(0, ATOM), *tables]), "first": first, "errors": np.array(json.dumps(why))}


def atoms_of(path: Path) -> NDArray[Any]:
    """The atoms of one file. Shape: (n,) of ATOM. Raises: Unreadable."""
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.decompress(content)  # gemmi takes what can't be unpacked for an empty structure
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"can't be unpacked: {error}") from None
    try:
        if _unzipped(path.name).lower().endswith((".pdb", ".ent")):
            structure = gemmi.read_pdb_string(content)
        else:
            structure = gemmi.make_structure_from_block(gemmi.cif.read_string(content.decode("utf-8", "replace"))[0])
    except (RuntimeError, ValueError, IndexError) as error:  # gemmi's own errors are these
        raise Unreadable(f"can't be read: {str(error).splitlines()[0] if str(error) else 'no structure'}") from None
    if not len(structure):
        raise Unreadable("no atoms")
    rows = [row for chain in structure[0] for residue in _one_of_each(chain) for row in _rows(residue)]
    if not rows:
        raise Unreadable("no atoms but water and hydrogens" if structure[0].count_atom_sites() else "no atoms")
    atoms = np.array(rows, dtype=ATOM)
    if not np.isfinite(atoms["xyz_A"]).all() or not np.isfinite(atoms["occupancy"]).all():
        raise Unreadable("coordinates that are not numbers")
    return atoms


def _one_of_each(chain: Any) -> list[Any]:
    """The residues of a chain, of different ones at one place the one with the highest occupancy."""
    chosen: dict[Any, Any] = {}
    for number, residue in enumerate(chain):
        elsewhere = any(atom.altloc == "\0" for atom in residue)
        place = number if elsewhere else (str(residue.seqid), residue.het_flag)
        other = chosen.get(place)
        if other is None or _occupancy(residue) > _occupancy(other):
            chosen[place] = residue
    return list(chosen.values())


def _occupancy(residue: Any) -> float:
    return max((float(atom.occ) for atom in residue), default=0.0)


def _rows(residue: Any) -> list[tuple[Any, ...]]:
    """The heavy atoms of a residue, of alternative places of one the first with the highest occupancy."""
    kind = gemmi.find_tabulated_residue(residue.name)
    if kind.is_water():
        return []
    polymer = kind.is_amino_acid() or kind.is_nucleic_acid()
    best: dict[Any, Any] = {}
    for number, atom in enumerate(residue):
        if atom.is_hydrogen():
            continue
        place = number if atom.altloc == "\0" else atom.name
        if place not in best or atom.occ > best[place].occ:
            best[place] = atom
    return [((atom.pos.x, atom.pos.y, atom.pos.z), atom.element.name.upper(), polymer, atom.occ) for atom in best.values()]
