"""Nonlinearities of fields: pointwise on samples, and gates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from interpreter.parts.models.equivariant.fields import Field, fourier
from interpreter.parts.models.equivariant.precision import full_precision

CACHED = 2**18  # numbers: a megabyte, of single precision, which is in a processor's cache at once


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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What comes of the map, computed in the precision of the transforms, also where others compute in less."""
        with full_precision(x.device):
            return self.transform(x.to(self.to_samples.dtype))

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """What comes of the map."""
        raise NotImplementedError

    def per_field(self, x: torch.Tensor) -> torch.Tensor:
        """Maps of single fields. Shape: (B, F * size, X, Y, Z) -> (B * F, size, X * Y * Z)."""
        return x.reshape(-1, self.field.size, x[0, 0].numel())


class _Pointwise(torch.autograd.Function):
    """Coefficients to samples, a function, and back to coefficients, voxels a share at a time.

    Samples are many times the coefficients. Of a share they stay in the processor's cache, and nothing of them is kept for the
    gradient, which finds them anew: that is cheaper than to write and read them.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, to: torch.Tensor, back: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        ctx.save_for_backward(x, to, back)
        ctx.function = function
        out = torch.empty_like(x)
        for share in shares(x, len(to)):
            out[share] = torch.matmul(back, function(torch.matmul(to, x[share])))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, to, back = ctx.saved_tensors
        out = torch.empty_like(x)
        for share in shares(x, len(to)):
            samples = torch.matmul(to, x[share]).requires_grad_()
            with torch.enable_grad():
                values = ctx.function(samples)
            (of_samples,) = torch.autograd.grad(values, samples, torch.matmul(back.T, slope[share]))
            out[share] = torch.matmul(to.T, of_samples)
        return out, None, None, None


def shares(x: torch.Tensor, samples: int) -> Iterator[tuple[slice, slice, slice]]:
    """Index expressions of parts of x (N, size, V), which together are all of it; on a processor with few samples each."""
    n, _, voxels = x.shape
    most = CACHED if x.device.type == "cpu" else max(1, n * voxels * samples)
    width = max(1, min(voxels, most // samples))
    height = max(1, most // (samples * width)) if width == voxels else 1
    for i in range(0, n, height):
        for j in range(0, voxels, width):
            yield slice(i, i + height), slice(None), slice(j, j + width)


class FourierPointwise(Sampled):
    """A function of each sample of each field; back to coefficients, it is cut at the band limit.

    It commutes with the rotations that take the grid to itself, and nearly so with others.

    Shape: (B, F * size, X, Y, Z) -> the same.
    """

    def __init__(self, field: Field, grid: str, samples: int, function: str) -> None:
        super().__init__(field, grid, samples)
        self.function = function

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """The map, nonlinear."""
        function = FUNCTIONS[self.function]
        out: torch.Tensor = _Pointwise.apply(self.per_field(x), self.to_samples, self.from_samples, function)
        return out.view(x.shape)


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
