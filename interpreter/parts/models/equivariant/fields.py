"""Fields: what a map of a rotation-equivariant network has at each voxel, and how it turns with the volume.

A field is a function on the sphere or on SO(3) with a band limit, given by its Fourier coefficients: copies of irreducible
representations, by increasing order. A map of F fields has F * size channels, those of one field side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from interpreter.parts.models.equivariant import grids
from interpreter.parts.models.so3 import euler, harmonics, wigner

Floats = NDArray[np.float64]

_RIDGE = 1e-8  # keeps the least squares from samples to coefficients solvable


@dataclass(frozen=True, slots=True)
class Field:
    """One kind of field: a scalar is a quotient field of order 0."""

    kind: str  # "regular": on SO(3); "quotient": on the sphere
    max_frequency: int

    def orders(self) -> Iterator[tuple[int, int, slice]]:
        """Each order l, how many copies of it there are, and its channels within a field."""
        start = 0
        for order in range(self.max_frequency + 1):
            width = 2 * order + 1
            copies = width if self.kind == "regular" else 1
            yield order, copies, slice(start, start + copies * width)
            start += copies * width

    @property
    def size(self) -> int:
        """Channels of one field. The first of them does not change with rotations."""
        return sum(copies * (2 * order + 1) for order, copies, _ in self.orders())

    def turned(self, rotation: Floats) -> Floats:
        """How a rotation of space, (3, 3), changes a field at its voxel. Shape: (size, size)."""
        matrix = np.zeros((self.size, self.size))
        angles = euler(rotation)
        for order, copies, channels in self.orders():
            matrix[channels, channels] = np.kron(np.eye(copies), wigner(order, *angles))
        return matrix


SCALAR = Field("quotient", 0)


@cache
def fourier(field: Field, grid: str, samples: int) -> tuple[Floats, Floats]:
    """The matrix from coefficients to samples, and the least-squares one back; read-only.

    `grid`: "thomson_cube" or "thomson". Rows of the first have norm 1.

    Shape: (samples, size) and (size, samples).
    Source: escnn's FourierPointwise and QuotientFourierPointwise.
    """
    cubic = grid == "thomson_cube"
    if field.kind == "regular":
        # The value at a rotation: matrix elements of each order l, weighted by sqrt(2l + 1).
        angles = grids.rotations(samples, cubic)
        values = [
            np.sqrt(2 * order + 1) * np.stack([wigner(order, *each).T.ravel() for each in angles]) for order, *_ in field.orders()
        ]
    else:
        # The weights are escnn's: harmonics of each order have norm 1 at a point, so that no order outweighs another.
        points = grids.directions(samples, cubic)
        values = [harmonics(order, points) for order, *_ in field.orders()]
    to = np.concatenate(values, axis=1)
    to /= np.linalg.norm(to, axis=1, keepdims=True)
    back = np.linalg.solve(to.T @ to + _RIDGE * np.eye(field.size), to.T)
    to.setflags(write=False)
    back.setflags(write=False)
    return to, back
