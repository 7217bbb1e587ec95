"""The residual block of the equivariant network."""

from __future__ import annotations

import torch
from torch import nn

from interpreter.parts.models.equivariant.conv import SteerableConv3d
from interpreter.parts.models.equivariant.fields import SCALAR, Field
from interpreter.parts.models.equivariant.nonlinear import FourierPointwise, Gate
from interpreter.parts.models.equivariant.norm import FieldNorm
from interpreter.spec.components.volume_models import EquivariantResnet


class Block(nn.Module):
    """Convolve, normalize, gate, convolve, normalize; add the shortcut; a nonlinearity on samples.

    The shortcut is the input, or a convolution of 1 without normalization where the number of fields changes.

    Shape: (B, inputs * size, X, Y, Z) -> (B, outputs * size, X, Y, Z).
    """

    def __init__(self, config: EquivariantResnet, field: Field, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        gated = config.gate == "gated"
        inner = [(SCALAR, middle), (field, middle)] if gated else [(field, middle)]
        self.conv1 = SteerableConv3d(field, inputs, inner, padding=1)
        self.norm1 = FieldNorm(inner)
        sampled = (field, config.grid, config.samples, config.pointwise)
        self.gate = Gate(field, middle) if gated else FourierPointwise(*sampled)
        self.conv2 = SteerableConv3d(field, middle, [(field, outputs)], padding=1)
        self.norm2 = FieldNorm([(field, outputs)])
        self.shortcut = SteerableConv3d(field, inputs, [(field, outputs)], kernel=1) if inputs != outputs else nn.Identity()
        self.pointwise = FourierPointwise(*sampled)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output."""
        branch = self.conv2(self.gate(self.norm1(self.conv1(x))))
        out: torch.Tensor = self.pointwise(self.norm2(branch) + self.shortcut(x))
        return out
