"""The atoms of many structures side by side, with the channel of an image that each is drawn in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interpreter.spec.components.volumes import MASKS, VoxelImage

Part = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]
"""A structure: xyz_A (n, 3), elements (n,) as text, polymer (n,) true for atoms of the macromolecule, occupancy (n,)."""


@dataclass(frozen=True, slots=True)
class Atoms:
    """Atoms of S structures, joined; their channels are those of the image they were looked up for."""

    xyz_A: NDArray[np.float32]  # (A, 3)
    channel: NDArray[np.int16]  # (A,), of the atom's element; -1: no channel holds it
    mask: NDArray[np.int16]  # (A,), of the mask the atom is in as well; -1: of none
    occupancy: NDArray[np.float32]  # (A,)
    first: NDArray[np.int64]  # (S + 1,): structure s is atoms first[s] to first[s + 1]

    @classmethod
    def of(cls, parts: Sequence[Part], image: VoxelImage) -> Atoms:
        """The structures joined, and each atom's channels looked up.

        Raises: ValueError where the columns of a structure differ in length.
        """
        by_element, others, masks = channels_of(image)
        columns = [_checked(part, number) for number, part in enumerate(parts)]
        counts = [len(elements) for _, elements, _, _ in columns]
        atoms = sum(counts)
        xyz_A, occupancy = np.empty((atoms, 3), np.float32), np.empty(atoms, np.float32)
        channel, mask = np.empty(atoms, np.int16), np.empty(atoms, np.int16)
        first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
        for (positions, elements, polymer, weights), start, end in zip(columns, first, first[1:], strict=False):
            names, which = np.unique(elements, return_inverse=True)
            lookup = np.array([by_element.get(str(name).strip().upper(), others) for name in names], np.int16)
            xyz_A[start:end] = positions
            channel[start:end] = lookup[which]
            mask[start:end] = np.where(polymer, masks["polymer"], masks["ligand"])
            occupancy[start:end] = weights
        return cls(xyz_A, channel, mask, occupancy, first)

    def __len__(self) -> int:
        """How many structures there are."""
        return len(self.first) - 1


def channels_of(image: VoxelImage) -> tuple[dict[str, int], int, dict[str, int]]:
    """The channel of each element that is named, that of all others, and that of each mask; -1 where there is none."""
    by_element, others, masks = {}, -1, dict.fromkeys(MASKS, -1)
    for number, name in enumerate(image.channels):
        if name == "*":
            others = number
        elif name in masks:
            masks[name] = number
        else:
            by_element.update(dict.fromkeys(name.split("|"), number))
    return by_element, others, masks


def in_no_channel(counts: Mapping[str, int], image: VoxelImage) -> str:
    """What is said of elements that no channel holds, given how many atoms there are of each; "" where all have one."""
    by_element, others, _ = channels_of(image)
    lost = {name: n for name, n in counts.items() if by_element.get(name, others) < 0}
    if not lost:
        return ""
    return f"{sum(lost.values()) / sum(counts.values()):.2%} of the atoms are of elements that no channel holds: {told(lost)}"


def told(counts: Mapping[str, int]) -> str:
    """Elements, and how many atoms there are of each."""
    return ", ".join(f"{name or '(blank)'} {n}" for name, n in counts.items())


def _checked(part: Part, number: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    xyz_A, elements, polymer, occupancy = (np.asarray(column) for column in part)
    lengths = (*xyz_A.shape[:1], *elements.shape, *polymer.shape, *occupancy.shape)
    if xyz_A.shape[1:] != (3,) or lengths != (len(xyz_A),) * 4:
        shapes = ", ".join(str(column.shape) for column in (xyz_A, elements, polymer, occupancy))
        raise ValueError(f"structure {number} has columns of different lengths: {shapes}")
    return xyz_A, elements, polymer, occupancy
