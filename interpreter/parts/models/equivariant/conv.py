"""Convolutions between fields, with kernels that commute with rotations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from interpreter.parts.models.equivariant.bases import kernel_basis
from interpreter.parts.models.equivariant.fields import Field
from interpreter.parts.models.equivariant.precision import full_precision


@dataclass(frozen=True, slots=True)
class _Block:
    """The part of a kernel between one order of one kind of output and one order of the inputs."""

    weights: slice
    basis: str  # name of the buffer
    rows: slice  # of the kernel: those of all outputs of this kind
    outputs: tuple[int, int, slice, int, int]  # fields, their size, this order's channels in one, its copies, their size
    inputs: tuple[int, int, slice, int, int]

    def view(self, kernel: torch.Tensor) -> torch.Tensor:
        """Its part of a kernel (rows, columns, taps), as (fields, copies, fields, copies, size, size, taps)."""
        (n2, size2, at2, copies2, order2), (n1, size1, at1, copies1, order1) = self.outputs, self.inputs
        part = kernel[self.rows].view(n2, size2, n1, size1, -1)[:, at2, :, at1]
        return part.unflatten(3, (copies1, order1)).unflatten(1, (copies2, order2)).permute(0, 1, 3, 4, 2, 5, 6)


class _Assemble(torch.autograd.Function):
    """Weights times basis kernels, put in their places: blocks share a few small bases, so most of it is copying."""

    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, shape: tuple[int, int, int], blocks: Sequence[_Block], *bases: torch.Tensor
    ) -> torch.Tensor:
        ctx.blocks = blocks
        ctx.save_for_backward(*bases)
        kernel = weight.new_zeros(shape)
        for block, basis in zip(blocks, bases, strict=True):
            into = block.view(kernel)
            into.copy_((weight[block.weights].view(-1, len(basis)) @ basis.flatten(1)).view(into.shape))
        return kernel

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        slope = slope.contiguous()
        parts = []
        for block, basis in zip(ctx.blocks, ctx.saved_tensors, strict=True):
            parts.append((block.view(slope).reshape(-1, basis[0].numel()) @ basis.flatten(1).T).flatten())
        return torch.cat(parts), None, None, *[None] * len(ctx.blocks)


class SteerableConv3d(nn.Module):
    """A convolution from `count` fields to several kinds of fields, equivariant to rotations of the volume; no bias.

    Its one parameter is `weight`, a coefficient for each basis kernel between each pair of copies. The kernel is assembled
    from it at every pass; without gradients it is kept, together with the weights it belongs to, and neither saved nor copied
    with the module.

    Shape: (B, count * size, X, Y, Z) -> (B, channels of the outputs, X', Y', Z'); sides shrink by kernel - 1 - 2 * padding.
    Source: Weiler et al., 3D Steerable CNNs, 2018; initialization: generalized He (Weiler & Cesa 2019), as in escnn.
    """

    def __init__(self, field: Field, count: int, outputs: Sequence[tuple[Field, int]], kernel: int = 3, padding: int = 0) -> None:
        super().__init__()
        self.kernel, self.padding = kernel, padding
        self.shape = (sum(out.size * n for out, n in outputs), field.size * count)
        blocks: list[_Block] = []
        scales: list[torch.Tensor] = []
        row = at = 0
        for out, n in outputs:
            rows = slice(row, row + out.size * n)
            row = rows.stop
            for order2, copies2, channels2 in out.orders():
                bases = {order1: kernel_basis(order1, order2, kernel) for order1, _, _ in field.orders()}
                sources = sum(len(basis) > 0 for basis in bases.values())
                for order1, copies1, channels1 in field.orders():
                    basis = bases[order1]
                    if not len(basis):
                        continue
                    size = len(basis) * n * copies2 * count * copies1
                    name = f"basis_{order1}_{order2}"
                    if name not in self._buffers:
                        self.register_buffer(name, torch.tensor(basis, dtype=torch.get_default_dtype()), persistent=False)
                    blocks.append(_Block(
                        slice(at, at + size), name, rows,
                        (n, out.size, channels2, copies2, 2 * order2 + 1),
                        (count, field.size, channels1, copies1, 2 * order1 + 1),
                    ))  # fmt: skip
                    # So many terms add up in an output, in equal parts from each order of the inputs.
                    scales.append(torch.full((size,), 1 / math.sqrt(sources * len(basis) * count * copies1)))
                    at += size
        self.blocks = tuple(blocks)
        self.weight = nn.Parameter(torch.cat(scales) * torch.randn(at))
        self._kept: tuple[bool, torch.Tensor, torch.Tensor] | None = None

    def assembled(self, center: bool = False) -> torch.Tensor:
        """The kernel; of its middle voxel alone where that is all that meets no padding.

        Shape: (channels out, channels in, k, k, k), or (channels out, channels in).
        """
        bases = [getattr(self, block.basis) for block in self.blocks]
        middle = self.kernel // 2
        if center:
            bases = [basis[..., middle, middle, middle].contiguous() for basis in bases]
        taps = 1 if center else self.kernel**3
        with full_precision(self.weight.device):
            kernel: torch.Tensor = _Assemble.apply(self.weight, (*self.shape, taps), self.blocks, *bases)
        return kernel.squeeze(-1) if center else kernel.unflatten(-1, (self.kernel,) * 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The convolved map."""
        sides = x.shape[2:]
        if self.padding == self.kernel // 2 and all(side == 1 for side in sides):
            return nn.functional.linear(x.flatten(1), self._kernel(center=True))[..., None, None, None]
        return nn.functional.conv3d(x, self._kernel(center=False), padding=self.padding)

    def _kernel(self, center: bool) -> torch.Tensor:
        if torch.is_grad_enabled() or self.training or self.weight.is_meta:
            return self.assembled(center)
        # What was kept is compared by value: no way of changing weights can leave a kernel behind.
        kept = self._kept
        same = (
            kept is not None and kept[0] == center and kept[1].dtype == self.weight.dtype and kept[1].device == self.weight.device
        )
        if kept is None or not same or not torch.equal(kept[1], self.weight):
            kept = self._kept = (center, self.weight.detach().clone(), self.assembled(center))
        return kept[2]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}
