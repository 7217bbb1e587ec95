"""Complexes of a protein and a ligand, read from ATOM3D's items into arrays. What can't be used is left out, counted and named.

What is read is kept in the cache folder, named by what decides it, so that the next stage need not parse JSON again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpreter.errors import DataMissing
from interpreter.parts.datasets.array_cache import Arrays, kept
from interpreter.parts.datasets.lmdb_items import BadItem, Item, StoredItems, columns, numbers, words
from interpreter.spec.canonical import key_of

HYDROGENS = ("H", "D")
WATER = ("HOH", "WAT", "DOD")
FAR_A = 6.0  # a pocket is what is within this of the ligand: without any of it there is nothing to bind to

_RULE = 1  # of what is kept: another number when the code below reads otherwise
_NAMED = 5  # items that are named where there are more
_COLUMNS = ("x", "y", "z", "element", "resname", "occupancy")
_LEFT_OUT = {
    "corrupt-item": "can't be read",
    "missing-item": "are not there",
    "nan-coordinates": "have atoms whose place is no number",
    "no-atoms": "have no atoms of the protein or of the ligand",
    "bad-label": "have no finite affinity",
    "repeated-id": "have the id of an item before them",
}

Finding = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Complexes:
    """The complexes of one split, N of them with A atoms in all."""

    ids: list[str]
    affinity_pK: NDArray[np.float64]  # (N,)
    centre_A: NDArray[np.float64]  # (N, 3), mean of the ligand's atoms that are kept
    ligand_heavy: NDArray[np.int64]  # (N,), ligand atoms that are not hydrogens
    xyz_A: NDArray[np.float32]  # (A, 3)
    element: NDArray[np.int32]  # (A,), index into `elements`
    polymer: NDArray[np.bool_]  # (A,), True for the protein
    occupancy: NDArray[np.float32]  # (A,)
    first: NDArray[np.int64]  # (N + 1,): complex i is atoms first[i] to first[i + 1]
    elements: list[str]
    findings: list[Finding]
    key: str  # of what is kept

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class _Complex:
    """One item, read."""

    name: str
    affinity_pK: float
    centre_A: NDArray[np.float64]
    ligand_heavy: int
    xyz_A: NDArray[np.float32]
    element: NDArray[np.str_]
    polymer: NDArray[np.bool_]
    occupancy: NDArray[np.float32]
    full: int  # atoms whose occupancy was taken to be 1, for want of a usable one
    far_A: float  # from the ligand to the nearest atom of the protein


@dataclass(slots=True)
class _Told:
    """What is said of a split, gathered while it is read."""

    left_out: dict[str, list[str]] = field(default_factory=dict)  # code -> items, in words
    far: list[str] = field(default_factory=list)
    full: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)

    def findings(self, split: str, n: int, odd: Sequence[str]) -> list[Finding]:
        """One of each kind."""
        out = [("items-do-not-add-up", f"{split}: {text}") for text in odd]
        out += [
            (code, f"{split}: {len(items)} of {n} items {_LEFT_OUT[code]} and are left out: {_listed(items)}")
            for code, items in self.left_out.items()
        ]
        for code, what, items in (
            ("id-mismatch", "items have another id than `id_to_idx` says, and keep it", self.renamed),
            (
                "far-ligand",
                f"complexes have no atom of the protein within {FAR_A:g} angstrom of the ligand, and are kept",
                self.far,
            ),
            ("no-occupancy", "complexes have atoms without a usable occupancy, which are taken as fully there", self.full),
        ):
            if items:
                out.append((code, f"{split}: {len(items)} of {n} {what}: {_listed(items)}"))
        return out


def read_complexes(folder: Path, split: str, atoms: str, hydrogens: bool, water: bool, cache: Path) -> Complexes:
    """The complexes of the split in `folder`, with the `atoms` (pocket or protein) of the protein; from the cache where they are.

    Raises: DataMissing when there is no database, it is damaged, or none of its items can be used.
    """
    file = folder / "data.mdb"
    stamp = None
    if file.is_file():
        stat = file.stat()
        stamp = [str(file.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino]
    key = key_of(["complexes", _RULE, stamp, split, atoms, hydrogens, water])
    found = kept(cache / "complexes" / f"{key}.npz", lambda: _read(folder, split, atoms, hydrogens, water))
    return Complexes(
        ids=found["ids"].tolist(),
        affinity_pK=found["affinity_pK"],
        centre_A=found["centre_A"],
        ligand_heavy=found["ligand_heavy"],
        xyz_A=found["xyz_A"],
        element=found["element"],
        polymer=found["polymer"],
        occupancy=found["occupancy"],
        first=found["first"],
        elements=found["elements"].tolist(),
        findings=[(code, text) for code, text in json.loads(str(found["findings"]))],
        key=key,
    )


def _read(folder: Path, split: str, atoms: str, hydrogens: bool, water: bool) -> Arrays:
    told, read, seen = _Told(), [], set()
    with StoredItems(folder) as items:
        if items.n == 0:
            raise DataMissing(f"the {split} split at {folder} has no items", hint="each of train, val and test needs some")
        for index in range(items.n):
            try:
                complex_ = _complex(items.item(index), atoms, hydrogens, water)
                if complex_.name in seen:
                    raise BadItem("repeated-id", complex_.name)
            except BadItem as error:
                told.left_out.setdefault(error.code, []).append(f"{items.name(index)} (key {index}: {error})")
                continue
            seen.add(complex_.name)
            read.append(complex_)
            _tell(told, complex_, items.name(index), known=bool(items.ids))
        n, odd = items.n, items.odd
    if not read:
        raise _nothing(folder, split, atoms, told)
    return _joined(read, told.findings(split, n, odd))


def _complex(item: Item, atoms: str, hydrogens: bool, water: bool) -> _Complex:
    """An item as arrays, its atoms chosen. Raises: BadItem."""
    if not isinstance(item["id"], str):
        raise BadItem("corrupt-item", "its `id` is no text")
    affinity = _affinity(item)
    protein, ligand = parts = [_atoms(item, f"atoms_{atoms}"), _atoms(item, "atoms_ligand")]
    dry = ~np.isin(protein.resname, WATER)
    far_A = _nearest_A(protein.xyz_A[dry], ligand.xyz_A)
    keep = [part.heavy | hydrogens for part in parts]
    if not water:
        keep[0] &= dry
    if not (keep[0].any() and keep[1].any() and ligand.heavy.any()):
        which = "ligand" if not (keep[1].any() and ligand.heavy.any()) else "protein"
        raise BadItem("no-atoms", f"none of the {which}")
    return _Complex(
        name=item["id"],
        affinity_pK=affinity,
        centre_A=ligand.xyz_A[keep[1]].astype(np.float64).mean(axis=0),
        ligand_heavy=int(ligand.heavy.sum()),
        xyz_A=np.concatenate([part.xyz_A[kept_] for part, kept_ in zip(parts, keep, strict=True)]),
        element=np.concatenate([part.element[kept_] for part, kept_ in zip(parts, keep, strict=True)]),
        polymer=np.repeat([True, False], [int(kept_.sum()) for kept_ in keep]),
        occupancy=np.concatenate([part.occupancy[kept_] for part, kept_ in zip(parts, keep, strict=True)]),
        full=sum(int(part.guessed[kept_].sum()) for part, kept_ in zip(parts, keep, strict=True)),
        far_A=far_A,
    )


def _affinity(item: Item) -> float:
    scores = item.get("scores")
    if not isinstance(scores, dict) or "neglog_aff" not in scores:
        raise BadItem("corrupt-item", "no `scores.neglog_aff`")
    (value,) = numbers([scores["neglog_aff"]], "scores.neglog_aff").tolist()
    if not np.isfinite(value):
        raise BadItem("bad-label", f"`scores.neglog_aff` is {value}")
    return float(value)


@dataclass(slots=True)
class _Table:
    """A table of atoms."""

    xyz_A: NDArray[np.float32]
    element: NDArray[np.str_]  # in capitals
    heavy: NDArray[np.bool_]
    resname: NDArray[np.str_]
    occupancy: NDArray[np.float32]
    guessed: NDArray[np.bool_]  # occupancies that the table does not have


def _atoms(item: Item, table: str) -> _Table:
    found = columns(item, table, _COLUMNS)
    if not found["x"]:
        raise BadItem("no-atoms", f"`{table}` is empty")
    with np.errstate(over="ignore"):  # a place beyond float32 is infinite, and so no place
        xyz_A = np.stack([numbers(found[axis], f"{table}.{axis}") for axis in "xyz"], axis=1).astype(np.float32)
    if bad := int((~np.isfinite(xyz_A)).any(axis=1).sum()):
        raise BadItem("nan-coordinates", f"{bad} of {len(xyz_A)} atoms of `{table}`")
    element = words(found["element"], f"{table}.element")
    occupancy = numbers(found["occupancy"], f"{table}.occupancy")
    guessed = ~((occupancy >= 0) & (occupancy <= 1))
    if not (occupancy[~guessed] > 0).any():
        guessed[:] = True  # none at all: the file does not use the column
    return _Table(
        xyz_A=xyz_A,
        element=element,
        heavy=~np.isin(element, HYDROGENS),
        resname=words(found["resname"], f"{table}.resname"),
        occupancy=np.where(guessed, 1.0, occupancy).astype(np.float32),
        guessed=guessed,
    )


def _nearest_A(protein: NDArray[np.float32], ligand: NDArray[np.float32]) -> float:
    """The smallest distance between two sets of atoms; infinite where one is empty."""
    if not (len(protein) and len(ligand)):
        return float("inf")
    a, b = protein.astype(np.float64) - ligand[0], ligand.astype(np.float64) - ligand[0]  # near 0, where squares keep digits
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return float(np.sqrt(max(squares.min(), 0.0)))


def _tell(told: _Told, complex_: _Complex, name: str, known: bool) -> None:
    if known and complex_.name != name:
        told.renamed.append(f"{complex_.name} (not {name})")
    if complex_.far_A > FAR_A:
        told.far.append(f"{complex_.name} ({complex_.far_A:.1f})")
    if complex_.full:
        told.full.append(f"{complex_.name} ({complex_.full} atoms)")


def _nothing(folder: Path, split: str, atoms: str, told: _Told) -> DataMissing:
    code, items = max(told.left_out.items(), key=lambda kind: len(kind[1]))
    hint = "these are no items of ATOM3D's task LBA, or all of them are damaged"
    if f"no `atoms_{atoms}`" in items[0]:
        hint = "the data has no such atoms: `atoms: " + ("pocket" if atoms == "protein" else "protein") + "` may be there"
    return DataMissing(
        f"no item of the {split} split at {folder} can be used: {len(items)} {_LEFT_OUT[code]}: {items[0]}", hint=hint
    )


def _joined(read: Sequence[_Complex], findings: Sequence[Finding]) -> dict[str, NDArray[Any]]:
    counts = np.array([len(each.xyz_A) for each in read], dtype=np.int64)
    numbered: dict[str, int] = {}
    element = []
    for each in read:
        names, which = np.unique(each.element, return_inverse=True)
        element.append(np.array([numbered.setdefault(name, len(numbered)) for name in names.tolist()], np.int32)[which])
    return {
        "ids": np.array([each.name for each in read]),
        "affinity_pK": np.array([each.affinity_pK for each in read]),
        "centre_A": np.stack([each.centre_A for each in read]),
        "ligand_heavy": np.array([each.ligand_heavy for each in read], dtype=np.int64),
        "xyz_A": np.concatenate([each.xyz_A for each in read]),
        "element": np.concatenate(element),
        "polymer": np.concatenate([each.polymer for each in read]),
        "occupancy": np.concatenate([each.occupancy for each in read]),
        "first": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "elements": np.array(list(numbered)),
        "findings": np.array(json.dumps(findings)),
    }


def _listed(items: Sequence[str]) -> str:
    more = f", and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    return ", ".join(items[:_NAMED]) + more
