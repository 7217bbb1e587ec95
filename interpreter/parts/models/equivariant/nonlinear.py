"""Nonlinearities of fields: pointwise on samples, and gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import nn
from torch.nn import functional as F

from interpreter.parts.models.equivariant.fields import Field, fourier


def leaky_hardshrink(x: torch.Tensor) -> torch.Tensor:
    """hardshrink(x, 2) + 0.1 x: a tenth of what is small, all and a tenth of what is large."""
    return F.hardshrink(x, 2.0).add(x, alpha=0.1)


FUNCTIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = MappingProxyType({
    "relu": F.relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "leaky_hardshrink": leaky_hardshrink,
})  # fmt: skip


class Sampled(nn.Module):
    """What acts on samples of fields: the two Fourier transforms, which are not saved, since settings decide them."""

    def __init__(self, field: Field, grid: str, samples: int) -> None:
        super().__init__()
        self.field = field
        for name, matrix in zip(("to_samples", "from_samples"), fourier(field, grid, samples), strict=True):
            self.register_buffer(name, torch.tensor(matrix, dtype=torch.get_default_dtype()), persistent=False)

    def sampled(self, x: torch.Tensor) -> torch.Tensor:
        """Coefficients to samples. Shape: (B, F * size, X, Y, Z) -> (B, F, samples, X * Y * Z)."""
        return torch.matmul(self.to_samples, x.reshape(len(x), -1, self.field.size, x[0, 0].numel()))

    def transformed(self, samples: torch.Tensor, sides: tuple[int, ...]) -> torch.Tensor:
        """Samples to coefficients. Shape: (B, F, samples, X * Y * Z) -> (B, F * size, X, Y, Z)."""
        return torch.matmul(self.from_samples, samples).reshape(len(samples), -1, *sides)


class FourierPointwise(Sampled):
    """A function of each sample of each field; back to coefficients, it is cut at the band limit.

    It commutes with the rotations that take the grid to itself, and nearly so with others.

    Shape: (B, F * size, X, Y, Z) -> the same.
    """

    def __init__(self, field: Field, grid: str, samples: int, function: str) -> None:
        super().__init__(field, grid, samples)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The map, nonlinear."""
        return self.transformed(FUNCTIONS[self.function](self.sampled(x)), x.shape[2:])


class Gate(nn.Module):
    """Each field times a sigmoid of a scalar of its own, which a learned bias is taken from. Commutes with all rotations.

    Shape: (B, F + F * size, X, Y, Z), scalars first -> (B, F * size, X, Y, Z).
    """

    def __init__(self, field: Field, count: int) -> None:
        super().__init__()
        self.size = field.size
        self.bias = nn.Parameter(torch.randn(count, 1, 1, 1, 1))  # gates differ from the start, as in escnn

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The gated fields."""
        count = len(self.bias)
        gates = torch.sigmoid(x[:, :count, None] - self.bias)
        return (x[:, count:].unflatten(1, (count, self.size)) * gates).flatten(1, 2)
