"""Pooling of fields: half the voxels a side, blurred so that little depends on where the grid of voxels lies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.function import once_differentiable

from interpreter.parts.models.equivariant.extreme import compiled_for, extreme, given_back, picked
from interpreter.parts.models.equivariant.fields import Field
from interpreter.parts.models.equivariant.nonlinear import CACHED, Sampled

_REACH = 4  # standard deviations
_LEAST_ROWS = 16  # of a product of matrices: with fewer it would read more than it computes


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

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """The pooled map."""
        sides, halves = x.shape[2:], tuple(side // 2 for side in x.shape[2:])
        thinner = 1 if self.by == "extreme" else 0
        blurs = [
            torch.tensor(blur(side - thinner, half, self.sigma_voxels, self.centered), dtype=x.dtype, device=x.device)
            for side, half in zip(sides, halves, strict=True)
        ]
        if self.by == "average":
            return blurred(x, blurs)
        fields = self.per_field(x).unflatten(-1, sides)
        if compiled_for(x):
            samples = _ExtremeSamples.apply(fields, self.to_samples, *blurs)
        else:
            samples = blurred(extreme(torch.matmul(self.to_samples, fields.flatten(2)).unflatten(-1, sides)), blurs)
        return torch.matmul(self.from_samples, samples.flatten(2)).view(*x.shape[:2], *halves)


class _ExtremeSamples(torch.autograd.Function):
    """Coefficients (N, size, X, Y, Z) to samples, their extremes, blurred; a share at a time, as `_Pointwise` does."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, to: torch.Tensor, *blurs: torch.Tensor) -> torch.Tensor:
        sides = x.shape[2:]
        out = x.new_empty((len(x), len(to), *(len(each) for each in blurs)))
        choices = []
        for maps, rows in _shares(x, len(to)):
            samples = torch.matmul(to[rows], x[maps].flatten(2)).unflatten(-1, sides)
            samples, choice = picked(samples, ctx.needs_input_grad[0])
            out[maps, rows] = blurred(samples, blurs)
            choices.append(choice)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(to, *blurs, *choices)
            ctx.shape = x.shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        to, first, second, third, *choices = ctx.saved_tensors
        n, size, *sides = ctx.shape
        out = slope.new_zeros((n, size, math.prod(sides)))
        for (maps, rows), choice in zip(_shares(out.unflatten(-1, sides), len(to)), choices, strict=True):
            of_extremes = blurred(slope[maps, rows], (first.T, second.T, third.T))
            out[maps] += torch.matmul(to[rows].T, given_back(of_extremes, choice, sides).flatten(2))
        return out.view(ctx.shape), *[None] * 4


def _shares(x: torch.Tensor, samples: int) -> Iterator[tuple[slice, slice]]:
    """Which maps of x (N, size, X, Y, Z), and which of their samples, to do at a time."""
    voxels = x[0, 0].numel()
    height = max(_LEAST_ROWS, CACHED // voxels)
    together = max(1, height // samples)
    for i in range(0, len(x), together):
        for j in range(0, samples, height):
            yield slice(i, i + together), slice(j, j + height)


def blurred(x: torch.Tensor, blurs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Each axis times its matrix: a Gaussian is a product of three. Shape: (..., X, Y, Z) -> (..., X', Y', Z')."""
    first, second, third = blurs
    x = torch.matmul(first, x.flatten(-2)).unflatten(-1, x.shape[-2:])
    return torch.matmul(torch.matmul(second, x), third.T)


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
