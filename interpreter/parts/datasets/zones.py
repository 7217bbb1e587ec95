"""Zones: the places of a structure where a pair of cubes may begin, and the directions in which the second may lie.

A lattice through the mean of the atoms, along their principal axes; of its points those stay around which there are enough
atoms, and enough of them in at least one of 20 directions as well. After Kale Kundert's macromol_gym (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpreter.spec.components.volumes import Zones

RULE = 1  # raise it when other zones come out of the same atoms
NM3 = 1000.0  # cubic angstrom
_MOST_VOXELS = 2**27  # of a density: a structure that needs more is not one

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ZoneTable:
    """Zones of many structures: a row each."""

    ids: tuple[str, ...]  # "<structure>/zone-<n>"
    structure: Ints  # (Z,)
    center_A: Floats  # (Z, 3)
    allowed: NDArray[np.bool_]  # (Z, K): whether a neighbour may lie in each of K directions

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, rows: Ints) -> ZoneTable:
        """The zones of these rows."""
        ids = tuple(self.ids[row] for row in rows.tolist())
        return ZoneTable(ids, self.structure[rows], self.center_A[rows], self.allowed[rows])


@dataclass(frozen=True, slots=True)
class Found:
    """The zones of one structure, and what became of the other points of its lattice."""

    number: Ints  # (Z,): of the point in the lattice
    center_A: Floats  # (Z, 3)
    allowed: NDArray[np.bool_]  # (Z, 20)
    points: int = 0  # of the lattice
    sparse: int = 0  # points around which there are too few atoms
    lonely: int = 0  # dense points without a dense neighbour
    why: str = ""  # the structure is left out


def directions() -> Floats:
    """Unit vectors through the faces of an icosahedron, which are the corners of a dodecahedron. Shape: (20, 3)."""
    golden = (1 + np.sqrt(5)) / 2
    signs = np.array([-1.0, 1.0])
    cube = np.stack(np.meshgrid(signs, signs, signs, indexing="ij"), axis=-1).reshape(8, 3)
    flat = np.array([(0.0, a / golden, b * golden) for a in signs for b in signs])
    corners = np.concatenate([cube, *(np.roll(flat, turn, axis=1) for turn in range(3))])
    return np.asarray(corners / np.sqrt(3), dtype=np.float64)


class Density:
    """Atoms per cubic nanometre in a ball around each point, weighted by occupancy."""

    def __init__(self, xyz_A: Floats, occupancy: Floats, radius_A: float, voxel_A: float) -> None:
        """Raises: ValueError for atoms so far apart that they are no structure."""
        self._voxel_A = voxel_A
        self._middle_A = xyz_A.mean(axis=0)
        reach = np.abs(xyz_A - self._middle_A).max(axis=0) + radius_A + voxel_A
        self._half = np.ceil(reach / voxel_A).astype(np.int64)
        shape = 2 * self._half + 1
        if np.prod(shape.astype(np.float64)) > _MOST_VOXELS:
            raise ValueError(f"atoms {2 * (reach - radius_A).max():.0f} angstrom apart")
        at = np.rint((xyz_A - self._middle_A) / voxel_A).astype(np.int64) + self._half
        atoms = np.bincount(np.ravel_multi_index(tuple(at.T), tuple(shape)), occupancy, int(np.prod(shape))).reshape(shape)
        ball = _ball(radius_A / voxel_A, shape)
        # Nothing comes round from the other side: atoms are farther from it than the radius.
        summed = np.fft.irfftn(np.fft.rfftn(atoms) * np.fft.rfftn(ball), s=tuple(shape), axes=(0, 1, 2))
        # What the transform leaves of rounding must not decide a comparison.
        self.per_nm3 = np.round(np.maximum(summed, 0.0), 6) / (ball.sum() * voxel_A**3) * NM3

    def at(self, points_A: Floats) -> Floats:
        """The density at points, linear between voxel centres. Shape: (..., 3) -> (...)."""
        place = (points_A - self._middle_A) / self._voxel_A + self._half
        low = np.floor(place).astype(np.int64)
        part = place - low
        total = np.zeros(points_A.shape[:-1])
        for corner in np.ndindex(2, 2, 2):
            index = low + corner
            inside = ((index >= 0) & (index < self.per_nm3.shape)).all(axis=-1)
            weight = np.where(np.array(corner) == 1, part, 1 - part).prod(axis=-1)
            index = np.where(inside[..., None], index, 0)
            total += np.where(inside, weight * self.per_nm3[index[..., 0], index[..., 1], index[..., 2]], 0.0)
        return total


def _ball(radius: float, shape: NDArray[np.int64]) -> Floats:
    """1 in the voxels whose centre is within `radius` of voxel 0, all around it."""
    away = [np.minimum(np.arange(n), n - np.arange(n)).astype(np.float64) for n in shape]
    squares = away[0][:, None, None] ** 2 + away[1][None, :, None] ** 2 + away[2][None, None, :] ** 2
    return np.asarray(squares <= radius**2 + 1e-9, dtype=np.float64)


def lattice(xyz_A: Floats, size_A: float) -> Floats:
    """Points `size_A` apart along the principal axes, one at the mean; at most half a step beyond the atoms. Shape: (P, 3)."""
    middle = xyz_A.mean(axis=0)
    axes = _axes(xyz_A - middle)
    along = (xyz_A - middle) @ axes
    first = np.ceil(along.min(axis=0) / size_A - 0.5).astype(np.int64)
    last = np.floor(along.max(axis=0) / size_A + 0.5).astype(np.int64)
    steps = np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(first, last, strict=True)), indexing="ij")
    return np.asarray(middle + np.stack(steps, axis=-1).reshape(-1, 3) * size_A @ axes.T, dtype=np.float64)


def _axes(centered_A: Floats) -> Floats:
    """Principal axes as columns, the longest first, each pointing to where its largest part is positive. Shape: (3, 3)."""
    _, vectors = np.linalg.eigh(centered_A.T @ centered_A)
    axes = vectors[:, ::-1]
    return np.asarray(axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(3)]), dtype=np.float64)


def zones_of(atoms: NDArray[Any], config: Zones) -> Found:
    """The zones of a structure. `atoms`: (n,) with fields xyz_A and occupancy."""
    xyz_A, occupancy = atoms["xyz_A"].astype(np.float64), atoms["occupancy"].astype(np.float64)
    try:
        density = Density(xyz_A, occupancy, config.density_radius_A, config.density_voxel_A)
    except ValueError as error:
        return _none(str(error))
    highest = float(density.per_nm3.max())
    if highest > config.max_density_per_nm3:
        return _none(f"{highest:.1f} atoms per nm3")
    points = lattice(xyz_A, config.size_A)
    dense = np.flatnonzero(density.at(points) > config.min_density_per_nm3)
    around = points[dense][:, None] + config.neighbor_distance_A * directions()
    allowed = density.at(around) > config.min_density_per_nm3
    some = allowed.any(axis=1)
    sparse, lonely = len(points) - len(dense), int((~some).sum())
    return Found(dense[some], points[dense[some]], allowed[some], len(points), sparse, lonely)


def _none(why: str) -> Found:
    return Found(np.empty(0, np.int64), np.empty((0, 3)), np.empty((0, 20), bool), why=why)


def joined(names: Sequence[str], found: Sequence[Found]) -> ZoneTable:
    """The zones of structures with these names, side by side."""
    return ZoneTable(
        tuple(f"{name}/zone-{n}" for name, each in zip(names, found, strict=True) for n in each.number.tolist()),
        np.repeat(np.arange(len(found), dtype=np.int64), [len(each.number) for each in found]),
        np.concatenate([np.empty((0, 3)), *(each.center_A for each in found)]),
        np.concatenate([np.empty((0, 20), bool), *(each.allowed for each in found)]),
    )
