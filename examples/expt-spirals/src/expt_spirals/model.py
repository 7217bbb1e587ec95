"""Builder of `fourier_mlp`."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import nn

from expt_spirals.config import FourierMlp


class FourierFeatures(nn.Module):
    """Sines and cosines of random projections. Shape: (B, N) -> (B, 2 * frequencies)."""

    projection: torch.Tensor

    def __init__(self, inputs: int, frequencies: int, scale: float) -> None:
        super().__init__()
        # A buffer: it is drawn once, kept with the weights, and never trained.
        self.register_buffer("projection", 2 * math.pi * scale * torch.randn(inputs, frequencies))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The features of inputs (B, N)."""
        angle = x @ self.projection
        return torch.cat([angle.cos(), angle.sin()], dim=1)


def build(config: FourierMlp, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The encoder, layers named layer1, layer2, ..., and its number of features.

    torch's generator is seeded with the trial's seed and these settings by whoever calls: plain `torch.randn` is repeatable here.
    """
    blocks: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    blocks["fourier"] = FourierFeatures(math.prod(shape), config.frequencies, config.scale)
    features = 2 * config.frequencies
    for number, width in enumerate(config.hidden, start=1):
        blocks[f"layer{number}"] = nn.Sequential(nn.Linear(features, width), nn.ReLU())
        features = width
    return nn.Sequential(blocks), features
