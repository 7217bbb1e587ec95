"""The side that the first cube's centre of mass leans to: what is known of a pair without looking at the second cube.

At the border of a molecule one side of a cube is empty, and the neighbour is never there. So this rule beats chance, and a
network should beat the rule. Whether the neighbour lies where the mass leans to or away from it, and how often, is taken from
training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from interpreter.parts.datasets.pairs import SIDES, PairSplit
from interpreter.parts.voxels.atoms import Atoms

FIT_LIMIT = 2_000  # training examples that the rule is fitted on
LIMIT = 20_000  # examples of an evaluated split; a larger one is left out
_CHUNK = 256

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is inside both cubes of pairs: a row each."""

    atoms: Floats  # (n, 2): in the first and in the second, by occupancy
    center_A: Floats  # (n, 3): the first one's centre of mass, as it sees it; 0 where it is empty


@dataclass(frozen=True, slots=True)
class Rule:
    """Which way, and how sure."""

    towards: bool
    hits: int
    of: int

    def outputs(self, seen: Seen) -> torch.Tensor:
        """Log-probabilities of the sides; even where the first cube is empty. Shape: (n, 6)."""
        # One more of each side than was counted, for no side to be impossible.
        p = (self.hits + 1) / (self.of + len(SIDES))
        outputs = np.full((len(seen.atoms), len(SIDES)), np.log((1 - p) / (len(SIDES) - 1)))
        outputs[np.arange(len(outputs)), self.said(seen)] = np.log(p)
        outputs[seen.atoms[:, 0] == 0] = -np.log(len(SIDES))
        return torch.from_numpy(outputs).float()

    def said(self, seen: Seen) -> Ints:
        """The side that the rule names. Shape: (n,)."""
        return _leaning(seen.center_A if self.towards else -seen.center_A)


def _leaning(center_A: Floats) -> Ints:
    return np.asarray((center_A @ SIDES.T).argmax(axis=1), dtype=np.int64)


def fitted(seen: Seen, targets: Ints) -> Rule:
    """The better of both ways, on these pairs."""
    rules = [Rule(towards, 0, len(targets)) for towards in (True, False)]
    hits = [int((rule.said(seen) == targets).sum()) for rule in rules]
    return Rule(hits[0] >= hits[1], max(hits), len(targets))


def look(split: PairSplit, index: Ints) -> Seen:
    """What is inside the cubes of the pairs at `index`, without a draw."""
    atoms, center_A = np.zeros((len(index), 2)), np.zeros((len(index), 3))
    half_A = split.geometry.cube_A / 2
    for start in range(0, len(index), _CHUNK):
        found = split.poses(index[start : start + _CHUNK], None)
        source, structures = split.atoms.of(found.structure)
        for n, structure in enumerate(structures.tolist()):
            for view in range(2):
                weight, sum_A = _inside(source, structure, found.rotations[n, view], found.origins_A[n, view], half_A)
                atoms[start + n, view] = weight
                if view == 0 and weight > 0:
                    center_A[start + n] = sum_A / weight
    return Seen(atoms, center_A)


def _inside(atoms: Atoms, structure: int, rotation: Floats, origin_A: Floats, half_A: float) -> tuple[float, Floats]:
    """The occupancy of the atoms inside a cube, and the sum of their positions weighted by it."""
    own = slice(atoms.first[structure], atoms.first[structure + 1])
    near = np.abs(atoms.xyz_A[own] - origin_A.astype(np.float32)).max(axis=1) <= half_A * 1.7321
    xyz_A = (atoms.xyz_A[own][near] - origin_A) @ rotation.T
    weight = np.where((np.abs(xyz_A) <= half_A).all(axis=1), atoms.occupancy[own][near], 0.0)
    return float(weight.sum()), np.asarray(weight @ xyz_A, dtype=np.float64)
