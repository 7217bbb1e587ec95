"""Pairs of cubes: where each lies, and a split made of them.

A pair is its number. Of the numbers drawn for it come the place of the first cube in its zone, the direction of the second, the
side of the first where the second is to lie, and the noise; so the label is known without an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from interpreter.parts import rotations
from interpreter.parts.contract import Draw
from interpreter.parts.datasets.zones import ZoneTable
from interpreter.parts.random import uniform
from interpreter.parts.voxels.atoms import Atoms
from interpreter.parts.voxels.image import normalized, voxelize
from interpreter.spec.components.volumes import View, VoxelImage, VoxelNormalize

# The order of the sides is that of the faces of a cube in escnn's `sphere_grid`, as in macromol_gym.
SIDES = np.array([(0, -1, 0), (0, 1, 0), (-1, 0, 0), (1, 0, 0), (0, 0, 1), (0, 0, -1)], dtype=np.float64)
SIDE_NAMES = ("-y", "+y", "-x", "+x", "+z", "-z")

# Numbers drawn for a pair. The label's are first, so that it can be known alone; noise comes last, so that two views of one pair
# differ in nothing else.
_LABEL, _PLACE, _DIRECTION, _NEIGHBOR = 0, slice(1, 4), slice(4, 6), 6
_SHIFT, _SHIFT_LENGTH, _AXIS, _ANGLE = slice(7, 9), 9, slice(10, 12), 12
DRAWS = 13

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class AtomSource(Protocol):
    """Where atoms of structures are, with the channels of an image."""

    def of(self, structures: Ints) -> tuple[Atoms, Ints]:
        """Atoms in which these structures are, and the number of each there. Shape: (B,) -> (B,)."""
        ...


@dataclass(frozen=True, slots=True)
class Geometry:
    """How pairs lie: what does not change from one to the next."""

    directions: Floats  # (K, 3): where neighbours were looked for
    zone_A: float  # side of a zone
    cube_A: float  # side of a cube
    view: View

    def distance_A(self) -> float:
        """Between the centres of both cubes, before the shift."""
        return self.cube_A + self.view.gap_A


@dataclass(frozen=True, slots=True)
class Poses:
    """Pairs: an atom at x is seen at R @ (x - origin), by either cube."""

    side: Ints  # (B,) of SIDES: where the second cube lies to the first
    structure: Ints  # (B,)
    rotations: Floats  # (B, 2, 3, 3)
    origins_A: Floats  # (B, 2, 3)


def sides(u: Floats) -> Ints:
    """The labels of pairs. Shape: (B, at least 1) -> (B,)."""
    return np.minimum((u[:, _LABEL] * len(SIDES)).astype(np.int64), len(SIDES) - 1)


def poses(zones: ZoneTable, u: Floats, geometry: Geometry) -> Poses:
    """One pair in each of `zones`, of the numbers `u` in [0, 1). Shape: (B, DRAWS) for B zones."""
    view, side = geometry.view, sides(u)
    home_A = zones.center_A + (u[:, _PLACE] - 0.5) * geometry.zone_A
    turn = rotations.minimal(_direction(zones.allowed, u, geometry.directions), SIDES[side])
    shift_A = rotations.unit_vectors(u[:, _SHIFT]) * (view.max_shift_A * u[:, _SHIFT_LENGTH])[:, None]
    seen_at_A = geometry.distance_A() * SIDES[side] + shift_A  # the second cube's centre, as the first sees it
    tilt = rotations.about(rotations.unit_vectors(u[:, _AXIS]), np.deg2rad(view.max_angle_deg) * u[:, _ANGLE])
    neighbor_A = home_A + np.einsum("bji,bj->bi", turn, seen_at_A)
    return Poses(side, zones.structure, np.stack([turn, tilt @ turn], axis=1), np.stack([home_A, neighbor_A], axis=1))


def _direction(allowed: NDArray[np.bool_], u: Floats, directions: Floats) -> Floats:
    """Unit vectors, each around one of its zone's allowed directions. Shape: (B, 3).

    An even direction is turned as the direction nearest to it is turned, by the smallest rotation, into the one that was chosen:
    macromol_gym's rule. So it is as far from that one as an even direction is from the nearest of all (up to 37.4 degrees). It
    may be nearer to another one all the same, as a cell of the 20 is no circle, and is not laid onto the other exactly.
    """
    even = rotations.unit_vectors(u[:, _DIRECTION])
    nearest = (even @ directions.T).argmax(axis=1)
    count = allowed.sum(axis=1)
    which = np.minimum((u[:, _NEIGHBOR] * count).astype(np.int64), count - 1)
    chosen = (np.cumsum(allowed, axis=1) > which[:, None]).argmax(axis=1)
    turned: Floats = np.einsum("bij,bj->bi", rotations.minimal(directions[nearest], directions[chosen]), even)
    return turned


class PairSplit:
    """One split of pairs, voxelized when asked for. What is drawn for a pair is counted by its number.

    Training pairs are drawn anew for each draw; those of a split with `fixed` never are, so that every epoch and every arm is
    evaluated on the same ones.
    """

    def __init__(
        self,
        zones: ZoneTable,
        examples: int | None,
        atoms: AtomSource,
        geometry: Geometry,
        image: VoxelImage,
        constants: VoxelNormalize | None,
        stream: int,
        fixed: bool,
    ) -> None:
        n = len(zones)
        count = n if examples is None else examples
        # Fewer examples than zones are spread over them; more are further looks at each.
        self.numbers = np.arange(count, dtype=np.int64) if count >= n else np.arange(count, dtype=np.int64) * n // count
        self.ids: Sequence[str] = [
            zones.ids[number % n] + (f"/look-{number // n}" if number >= n else "") for number in self.numbers.tolist()
        ]
        self.zones, self.atoms, self.geometry = zones, atoms, geometry
        self.image, self.constants = image, constants
        self.stream, self.fixed = stream, fixed
        self._looks = n * -(-count // n)  # numbers of one look at all examples
        self.targets = torch.from_numpy(sides(uniform(stream, 0, self.numbers, 1)))

    def __len__(self) -> int:
        return len(self.numbers)

    def poses(self, index: Ints, draw: Draw | None) -> Poses:
        """The pairs at `index`: index i + k * len(self) is look k at example i."""
        number = self.numbers[index % len(self)] + index // len(self) * self._looks
        stream, epoch = (self.stream, 0) if draw is None or self.fixed else (draw.stream, draw.epoch)
        return poses(self.zones.of(number % len(self.zones)), uniform(stream, epoch, number, DRAWS), self.geometry)

    def raw(self, index: Ints, draw: Draw | None) -> tuple[NDArray[np.float32], Ints]:
        """Images that are not normalized, (B, 2, C, L, L, L), and the sides."""
        found = self.poses(index, draw)
        atoms, structures = self.atoms.of(found.structure)
        flat = (structures.repeat(2), found.rotations.reshape(-1, 3, 3), found.origins_A.reshape(-1, 3))
        return voxelize(atoms, *flat, self.image).reshape(-1, 2, *self.image.shape()), found.side

    def batch(self, index: Ints, draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The pairs at `index`. Shape: (B, 2, C, L, L, L) float32 and (B,) int64, the side where the second cube lies."""
        x, side = self.raw(index, draw)
        return torch.from_numpy(normalized(x, self.constants)), torch.from_numpy(side)
