"""What tests of equivariant layers and networks share."""

from __future__ import annotations

import torch

from interpreter.parts.models.equivariant.norm import FieldNorm


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.get_default_dtype())


def shaken(module):
    """With statistics and biases that do something: as built, normalizations are the identity but for rounding."""
    generator = torch.Generator().manual_seed(3)
    for layer in module.modules():
        if isinstance(layer, FieldNorm):
            layer.running_mean.copy_(torch.randn(layer.running_mean.shape, generator=generator))
            layer.running_var.copy_(0.5 + torch.rand(layer.running_var.shape, generator=generator))
            layer.weight.data = 0.5 + torch.rand(layer.weight.shape, generator=generator).to(layer.weight)
            layer.bias.data = torch.randn(layer.bias.shape, generator=generator).to(layer.bias)
    return module
