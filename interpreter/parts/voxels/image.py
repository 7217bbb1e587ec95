"""Images of atoms: rotated, shifted, culled and drawn in one pass, and normalized channel by channel."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from interpreter.parts.voxels.atoms import Atoms
from interpreter.parts.voxels.overlap import draw
from interpreter.spec.components.volumes import VoxelImage, VoxelNormalize

STD_FLOOR = 1e-3
"""A channel that is all but empty in training keeps a scale at which an atom of the validation split does not blow up."""


def voxelize(
    atoms: Atoms,
    structures: NDArray[np.int64],
    rotations: NDArray[np.float64],
    origins_A: NDArray[np.float64],
    image: VoxelImage,
) -> NDArray[np.float32]:
    """Images, one for each of `structures`: its atom at x is drawn at R @ (x - origin), the grid is centred on 0.

    Voxel v has its centre at (v - (L - 1) / 2) * resolution. Atoms outside the grid, and those whose position is not finite, are
    not drawn. Numbers depend on nothing but the arguments: one thread, atoms in their order.

    Shape: structures (B,), rotations (B, 3, 3), origins (B, 3) -> (B, C, L, L, L).
    Raises: ValueError where shapes don't fit, or the channels of the atoms were looked up for another image.
    """
    structures = np.ascontiguousarray(structures, np.int64)
    rotations = np.ascontiguousarray(rotations, np.float64)
    origins_A = np.ascontiguousarray(origins_A, np.float64)
    n = len(structures)
    if structures.shape != (n,) or rotations.shape != (n, 3, 3) or origins_A.shape != (n, 3):
        raise ValueError(f"{structures.shape} structures, {rotations.shape} rotations and {origins_A.shape} origins don't fit")
    if n and not 0 <= structures.min() <= structures.max() < len(atoms):
        raise ValueError(f"structures {structures.min()} to {structures.max()} are asked for, of {len(atoms)}")
    radius_A = image.resolution_A / 2 if image.radius_A is None else image.radius_A
    images = np.empty((n, *image.shape()), np.float32)
    known = draw(
        atoms.xyz_A,
        atoms.channel,
        atoms.mask,
        atoms.occupancy,
        atoms.first,
        structures,
        rotations,
        origins_A,
        image.resolution_A,
        radius_A,
        image.fill == "binary",
        images,
    )
    if not known:
        raise ValueError(f"an atom has a channel that this image of {len(image.channels)} has not")
    return images


def normalized(x: NDArray[np.float32], constants: VoxelNormalize | None) -> NDArray[np.float32]:
    """The images less their mean and over their standard deviation, in place; as they are without constants.

    Shape: (..., C, L, L, L), and the same back.
    """
    if constants is not None:
        x -= _per_channel(constants.mean)
        x /= _per_channel(constants.std)
    return x


def computed(batches: Iterable[NDArray[np.float32]]) -> VoxelNormalize:
    """Mean and standard deviation of each channel over all voxels of raw images, summed in float64.

    Shape: batches of (..., C, L, L, L).
    Raises: ValueError without any image.
    """
    voxels, total, squares = 0, np.zeros(()), np.zeros(())
    for batch in batches:
        values = np.moveaxis(batch, -4, 0).reshape(batch.shape[-4], -1).astype(np.float64)
        voxels += values.shape[1]
        total = total + values.sum(axis=1)
        squares = squares + np.einsum("cv,cv->c", values, values)
    if not voxels:
        raise ValueError("without an image there is nothing to take a mean of")
    mean = total / voxels
    std = np.sqrt(np.maximum(squares / voxels - mean**2, 0.0))
    return VoxelNormalize(mean=mean.tolist(), std=np.maximum(std, STD_FLOOR).tolist())


def _per_channel(numbers: float | list[float]) -> NDArray[np.float32]:
    return np.asarray(numbers, np.float32).reshape(-1, 1, 1, 1)
