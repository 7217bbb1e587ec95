"""Complexes that are made up, for a machine that has no real ones: written in ATOM3D's format, and read as the real ones are.

A ligand is a random self-avoiding tree of chains and six-membered rings with bonds of 1.5 angstrom, of C, N, O, S and F.
Residues, each a backbone and a side chain, are put around it with the tip of the side chain towards it, as many and as near
as drawn for the complex; a shell of residues further out, a few water molecules and now and then a zinc ion make up the protein.
Its pocket is every residue, not water, with an atom within 6 angstrom of the ligand. Nothing of it is real chemistry.

The affinity is a function of contacts, pairs of a pocket atom and a ligand atom, both no hydrogens, within 4.5 angstrom:

    pK = BASE + POLAR (1 - exp(-p / POLAR_SCALE)) + CARBON (1 - exp(-c / CARBON_SCALE)) + SIZE h + NOISE z

with p contacts of N or O with N or O, c contacts of C with C, h heavy atoms of the ligand, and z from a standard normal
distribution. Over all 400 complexes pK is 6.50 +- 1.40, of whose variance the noise is 18 %. The true function without its
noise has an RMSE of 0.60 (0.56 on test), and no model is better but by chance; the training mean has 1.38 on test, the line on
the ligand's size 1.33, and the best line on p and c 0.67.

All numbers come from `interpreter.parts.random`. Places are rounded to 0.001 angstrom and affinities to 0.0001 before
anything is counted or hashed, so that the last bit of a machine's sine decides nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpreter.errors import DataMissing
from interpreter.fingerprint import LENGTH
from interpreter.parts import rotations
from interpreter.parts.datasets import residues
from interpreter.parts.datasets.lmdb_items import BadItem, StoredItems, atom_table, serialized, write_items
from interpreter.parts.random import derive, uniform
from interpreter.spec.components.volumes import Atom3dLba

COUNTS = {"train": 240, "val": 80, "test": 80}
ORIGIN = "400 made-up complexes whose affinity is a known function of their contacts, plus noise"
CONTACT_A, POCKET_A = 4.5, 6.0
BASE, POLAR, POLAR_SCALE, CARBON, CARBON_SCALE, SIZE, NOISE = 2.38, 2.6, 6.0, 5.0, 40.0, 0.02, 0.6

_STREAM = derive("atom3d_lba", "generated")
_BOND_A, _APART_A = 1.5, 2.3  # of bonded atoms; the least of two others of a ligand
_BONDS = {"C": 3, "N": 3, "O": 2, "S": 2, "F": 1}  # heavy neighbours that an atom may have
_NEAR, _SHELL = 120, 60  # places tried for residues

Array = NDArray[np.float64]


class _Dice:
    """Uniform numbers of one complex, one after the other."""

    def __init__(self, number: int) -> None:
        self.number = np.array([number], dtype=np.int64)
        self.block = 0
        self.left = np.empty(0)

    def take(self, *shape: int) -> Array:
        """The next numbers in [0, 1)."""
        n = int(np.prod(shape))
        while len(self.left) < n:
            self.left = np.concatenate([self.left, uniform(_STREAM, self.block, self.number, 4096)[0]])
            self.block += 1
        taken, self.left = self.left[:n], self.left[n:]
        return taken.reshape(shape)

    def one(self) -> float:
        """The next number in [0, 1)."""
        return float(self.take(1)[0])

    def whole(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        return least + int(self.one() * (most + 1 - least))

    def directions(self, n: int) -> Array:
        """Even directions. Shape: (n, 3)."""
        return rotations.unit_vectors(self.take(n, 2))

    def normal(self) -> float:
        """A number from a standard normal distribution (Box and Muller 1958)."""
        u, v = self.take(2)
        return float(np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v))


@dataclass(slots=True)
class _Ligand:
    """A ligand as it grows."""

    xyz: list[Array] = field(default_factory=list)
    element: list[str] = field(default_factory=list)
    bonds: list[tuple[int, int, float]] = field(default_factory=list)
    degree: list[int] = field(default_factory=list)

    def add(self, xyz: Array, element: str, to: Sequence[int] = (), order: float = 1.0) -> int:
        """A further atom, bonded to those numbered `to`; its own number."""
        mine = len(self.xyz)
        self.xyz.append(xyz)
        self.element.append(element)
        self.degree.append(len(to))
        for other in to:
            self.bonds.append((other, mine, order))
            self.degree[other] += 1
        return mine


def written(cache: Path) -> Path:
    """The folder with the generated train, val and test splits; made now where they are not there, or are not as they were.

    Raises: DataMissing when what is made here is not what the fingerprint was taken of.
    """
    folder = cache / "generated-complexes" / Atom3dLba.embedded_fingerprint
    if _found(folder) == Atom3dLba.embedded_fingerprint:
        return folder
    items = [item(number) for number in range(sum(COUNTS.values()))]
    if (made := fingerprint([text for _, text in items])) != Atom3dLba.embedded_fingerprint:
        raise DataMissing(
            f"the generated complexes are not the known ones: fingerprint {made}, not {Atom3dLba.embedded_fingerprint}",
            hint="numpy computes differently here: name a real data source instead, or raise the component's version",
        )
    beside = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        start = 0
        for split, count in COUNTS.items():
            write_items(beside / split, items[start : start + count])
            start += count
        _put(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def fingerprint(items: Sequence[bytes]) -> str:
    """The first 40 hex digits of the sha256 of the serialized items, one after the other."""
    return hashlib.sha256(b"".join(items)).hexdigest()[:LENGTH]


def item(number: int) -> tuple[str, bytes]:
    """The id of a complex, and its item as it is stored, before compression."""
    name, dice = f"made{number:04d}", _Dice(number)
    ligand = _ligand(dice)
    grown = np.array(ligand.xyz)
    groups = _protein(dice, grown)
    frame, shift_A = rotations.haar(dice.take(3)), (dice.take(3) - 0.5) * 80
    ligand_xyz = ((grown @ frame.T) + shift_A).round(3)
    for number, group in enumerate(groups, start=1):
        group.number = number
        group.xyz = ((group.xyz @ frame.T) + shift_A).round(3)
    hydrogens = (_hydrogens(ligand, grown) @ frame.T + shift_A).round(3)
    whole = np.concatenate([ligand_xyz, hydrogens])
    pocket = [group for group in groups if group.resname != "HOH" and _distances(group.xyz, whole).min() <= POCKET_A]
    affinity = BASE + _signal(*contacts(pocket, ligand_xyz, ligand.element)) + NOISE * dice.normal()
    content: dict[str, Any] = {
        "atoms_protein": _protein_table(name, groups),
        "atoms_pocket": _protein_table(name, pocket),
        "atoms_ligand": _ligand_table(name, ligand, ligand_xyz, hydrogens),
        "bonds": {
            "columns": ["atom1", "atom2", "type"],
            "index": list(range(len(ligand.bonds))),
            "data": [list(bond) for bond in ligand.bonds],
        },
        "id": name,
        "seq": [[[name, "0", name, "1", "A"], "".join(residues.LETTERS.get(group.resname, "") for group in groups)]],
        "smiles": "",
        "scores": {"neglog_aff": round(float(affinity), 4)},
    }
    return name, serialized(content)


def contacts(pocket: Sequence[residues.Group], ligand_A: Array, elements: Sequence[str]) -> tuple[int, int, int]:
    """Polar contacts, contacts of carbon with carbon, and heavy atoms of the ligand."""
    mine = np.concatenate([group.xyz[group.heavy] for group in pocket] or [np.empty((0, 3))])
    theirs = np.array([name for group in pocket for name in np.array(group.element)[group.heavy]], dtype=str)
    near = _distances(mine, ligand_A) <= CONTACT_A
    polar = np.isin(theirs, ["N", "O"])[:, None] & np.isin(elements, ["N", "O"])
    carbon = (theirs == "C")[:, None] & (np.array(elements) == "C")
    return int((near & polar).sum()), int((near & carbon).sum()), len(elements)


def _signal(polar: int, carbon: int, heavy: int) -> float:
    saturated = POLAR * (1 - np.exp(-polar / POLAR_SCALE)) + CARBON * (1 - np.exp(-carbon / CARBON_SCALE))
    return float(saturated + SIZE * heavy)


def _ligand(dice: _Dice) -> _Ligand:
    """A molecule of 10 to 32 heavy atoms, or somewhat less where no room is found for the last."""
    out, wanted, polar = _Ligand(), dice.whole(10, 32), 0.1 + 0.4 * dice.one()
    out.add(np.zeros(3), "C")
    for _ in range(120):
        if len(out.xyz) >= wanted:
            break
        open_ = [i for i, element in enumerate(out.element) if out.degree[i] < _BONDS[element]]
        if not open_:
            break
        parent = open_[dice.whole(0, len(open_) - 1)]
        ring = wanted - len(out.xyz) >= 6 and dice.one() < 0.3
        (_add_ring if ring else _add_atom)(out, dice, parent, polar)
    return out


def _element(dice: _Dice, polar: float) -> str:
    u, v = dice.take(2).tolist()
    if u >= polar:
        return "C"
    return "N" if v < 0.4 else "O" if v < 0.8 else "S" if v < 0.9 else "F"


def _add_atom(out: _Ligand, dice: _Dice, parent: int, polar: float) -> None:
    places = out.xyz[parent] + _BOND_A * dice.directions(16)
    free = _free(out, places[:, None], parent)
    if free.any():
        out.add(places[free.argmax()], _element(dice, polar), (parent,))


def _add_ring(out: _Ligand, dice: _Dice, parent: int, polar: float) -> None:
    """A regular hexagon whose first atom is bonded to `parent`, and whose centre is in line with both."""
    ways, rolls = dice.directions(16), dice.take(16) * 2 * np.pi
    angles = np.pi + np.arange(6) * np.pi / 3  # the first atom is the one next to the parent
    flat = _BOND_A * np.stack([np.cos(angles), np.sin(angles), np.zeros(6)], axis=1)
    x_axis = np.array([1.0, 0.0, 0.0])
    turn = rotations.minimal(x_axis, ways) @ rotations.about(np.tile(x_axis, (16, 1)), rolls)
    places = out.xyz[parent] + 2 * _BOND_A * ways[:, None] + flat @ turn.transpose(0, 2, 1)
    free = _free(out, places, parent)
    if not free.any():
        return
    ring = places[free.argmax()]
    first = last = out.add(ring[0], "C", (parent,))
    for place in ring[1:]:
        element = "N" if dice.one() < polar / 2 else "C"
        last = out.add(place, element, (last,), 1.5)
    out.bonds.append((first, last, 1.5))
    out.degree[first] += 1
    out.degree[last] += 1


def _free(out: _Ligand, places: Array, parent: int) -> NDArray[np.bool_]:
    """Which of M groups of n atoms are far enough from all atoms but the parent. Shape: (M, n, 3) -> (M,)."""
    others = np.array([xyz for i, xyz in enumerate(out.xyz) if i != parent])
    if not len(others):
        return np.ones(len(places), dtype=bool)
    near: NDArray[np.bool_] = (_distances(places.reshape(-1, 3), others).min(axis=1) < _APART_A).reshape(places.shape[:2])
    return ~near.any(axis=1)


def _hydrogens(ligand: _Ligand, xyz: Array) -> Array:
    """A hydrogen on each atom that has a bond to spare, away from its neighbours. Shape: (n, 3)."""
    away = np.zeros_like(xyz)
    for a, b, _ in ligand.bonds:
        away[a] += xyz[a] - xyz[b]
        away[b] += xyz[b] - xyz[a]
    length = np.linalg.norm(away, axis=1)
    spare = [ligand.degree[i] < _BONDS[name] and length[i] > 0.3 for i, name in enumerate(ligand.element)]
    at = np.flatnonzero(spare)
    return xyz[at] + away[at] / length[at, None]


def _protein(dice: _Dice, ligand: Array) -> list[residues.Group]:
    """Residues around the ligand, a shell of them further out, water, and now and then a zinc ion."""
    near, polar, gap_A = dice.whole(3, 26), 0.1 + 0.7 * dice.one(), 2.8 + 0.9 * dice.one()
    taken = [ligand]
    out = _placed(dice, ligand, taken, _NEAR, near, polar, (gap_A, gap_A + 0.8), 2.8)
    out += _placed(dice, ligand, taken, _SHELL, 16, 0.4, (8.0, 12.0), 7.0)
    lone = [("ZN", dice.one() < 0.15), *[("HOH", True)] * 8]
    for resname, there in lone:
        places = ligand[dice.whole(0, len(ligand) - 1)] + dice.directions(8) * (2.9 + 3 * dice.take(8))[:, None]
        free = _distances(places, np.concatenate(taken)).min(axis=1) > 2.7
        if there and free.any():
            place = places[free.argmax()][None]
            taken.append(place)
            out.append(residues.lone(resname, place))
    return out


def _placed(
    dice: _Dice,
    ligand: Array,
    taken: list[Array],
    tries: int,
    wanted: int,
    polar: float,
    reach_A: tuple[float, float],
    clear_A: float,
) -> list[residues.Group]:
    """Up to `wanted` residues whose tips are `reach_A` from a ligand atom, which they point to. Added to `taken`, too."""
    kinds = [residues.pick(*pair) for pair in np.stack([dice.take(tries) < polar, dice.take(tries)], axis=1).tolist()]
    ways = dice.directions(tries)
    anchors = ligand[(dice.take(tries) * len(ligand)).astype(np.int64)]
    tips = anchors + ways * (reach_A[0] + (reach_A[1] - reach_A[0]) * dice.take(tries))[:, None]
    up = np.array([0.0, 0.0, 1.0])
    turn = rotations.minimal(up, -ways) @ rotations.about(np.tile(up, (tries, 1)), dice.take(tries) * 2 * np.pi)
    out: list[residues.Group] = []
    others = np.concatenate(taken)  # the ligand first
    for kind, tip, matrix in zip(kinds, tips, turn, strict=True):
        if len(out) == wanted:
            break
        group = residues.residue(kind, tip, matrix)
        heavy = group.xyz[group.heavy]
        apart_A = _distances(heavy, others)
        if apart_A.min() < 2.8 or apart_A[:, : len(ligand)].min() < clear_A:
            continue
        taken.append(heavy)
        others = np.concatenate([others, heavy])
        out.append(group)
    return out


def _distances(a: Array, b: Array) -> Array:
    return np.sqrt(np.square(a[:, None] - b[None]).sum(axis=-1))


def _protein_table(name: str, groups: Sequence[residues.Group]) -> dict[str, Any]:
    rows = [
        (group.number, group.resname, element, atom, *xyz)
        for group in groups
        for element, atom, xyz in zip(group.element, group.name, group.xyz.tolist(), strict=True)
    ]
    return _table(name, "A", rows)


def _ligand_table(name: str, ligand: _Ligand, heavy: Array, hydrogens: Array) -> dict[str, Any]:
    elements, places = [*ligand.element, *["H"] * len(hydrogens)], [*heavy.tolist(), *hydrogens.tolist()]
    rows = [
        (999, "LIG", element, f"{element}{i}", *xyz) for i, (element, xyz) in enumerate(zip(elements, places, strict=True), 1)
    ]
    return _table(name, "LIG", rows)


def _table(name: str, chain: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    residue, resname, element, atom, x, y, z = zip(*rows, strict=True) if rows else ((),) * 7
    n = len(rows)
    same = {"ensemble": name, "subunit": 0, "structure": name, "model": 1, "chain": chain, "hetero": " ", "insertion_code": " ",
            "segid": "    ", "altloc": " ", "occupancy": 1.0, "bfactor": 0.0}  # fmt: skip
    return atom_table({
        **{column: (value,) * n for column, value in same.items()},
        "residue": residue, "resname": resname, "x": x, "y": y, "z": z, "element": element, "name": atom,
        "fullname": [f" {text:<3}" for text in atom], "serial_number": range(1, n + 1),
    })  # fmt: skip


def _found(folder: Path) -> str:
    """The fingerprint of what is in `folder`, "" where it is not all there."""
    try:
        return fingerprint([text for split in COUNTS for text in _texts(folder / split)])
    except (DataMissing, BadItem):
        return ""


def _texts(folder: Path) -> Iterator[bytes]:
    with StoredItems(folder) as items:
        for index in range(items.n):
            yield items.text(index)


def _put(made: Path, folder: Path) -> None:
    """Rename a finished folder to where it belongs; another process may have done the same, which is as good."""
    if folder.exists():
        aside = folder.with_name(f"{folder.name}.{os.getpid()}.old")
        os.replace(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        os.replace(made, folder)
    except OSError:
        if not folder.is_dir():
            raise
