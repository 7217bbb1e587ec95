"""Pooling of fields: half the voxels a side, blurred so that little depends on where the grid of voxels lies."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from interpreter.parts.models.equivariant.fields import Field
from interpreter.parts.models.equivariant.nonlinear import Sampled

_REACH = 4  # standard deviations


class FieldPool(Sampled):
    """Halves each side, rounding down.

    `extreme`: of each 2 x 2 x 2 voxels and each sample the value largest in absolute value, then the blur; of +v and -v it is
    +v. Otherwise the blur alone, of coefficients. `centered`: the voxels that stay lie around the middle of those that were, so
    that pooling commutes with rotations of a cube; otherwise the first one stays, then every second.

    Shape: (B, F * size, X, Y, Z) -> (B, F * size, X // 2, Y // 2, Z // 2).
    """

    def __init__(self, field: Field, grid: str, samples: int, by: str, sigma_voxels: float, centered: bool) -> None:
        super().__init__(field, grid, samples)
        self.by, self.sigma_voxels, self.centered = by, sigma_voxels, centered

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The pooled map."""
        halves = tuple(side // 2 for side in x.shape[2:])
        if self.by == "average":
            return self._blurred(x, halves)
        samples = self.sampled(x).unflatten(-1, x.shape[2:])
        for axis in (-3, -2, -1):
            samples = extreme(samples, axis)
        return self.transformed(self._blurred(samples, halves).flatten(3), halves)

    def _blurred(self, x: torch.Tensor, halves: tuple[int, ...]) -> torch.Tensor:
        # A Gaussian is a product of three: one matrix an axis, rather than one kernel of all three.
        *_, a, b, c = x.shape
        first, second, third = (
            torch.tensor(blur(side, half, self.sigma_voxels, self.centered), dtype=x.dtype, device=x.device)
            for side, half in zip((a, b, c), halves, strict=True)
        )
        x = torch.matmul(first, x.flatten(-2)).unflatten(-1, (b, c))
        return torch.matmul(torch.matmul(second, x), third.T)


def extreme(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Of each two neighbours along an axis the one larger in absolute value; of +v and -v, +v. One shorter along the axis."""
    n = x.shape[axis] - 1
    a, b = x.narrow(axis, 0, n), x.narrow(axis, 1, n)
    return torch.where((a + b >= 0) == (a >= b), a, b)


@cache
def blur(side: int, out: int, sigma_voxels: float, centered: bool) -> NDArray[np.float64]:
    """Gaussian weights from `side` voxels to `out` of them, two apart; each row adds up to 1, at the edges as well. Read-only.

    Shape: (out, side).
    """
    start = (side - 1) / 2 - (out - 1) if centered else 0
    offset = np.abs(np.arange(side) - (start + 2 * np.arange(out)[:, None]))
    # A kernel on a voxel reaches 4 sigma, rounded; one between two voxels half a voxel more.
    reach = round(_REACH * sigma_voxels) + (0.5 if start % 1 else 0)
    weights = np.where(offset <= reach, np.exp(-0.5 * (offset / sigma_voxels) ** 2), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    weights.setflags(write=False)
    return weights
