"""Builder of `wrn28_10`."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

from interpreter.parts.models.layers import global_pool, init_kaiming
from interpreter.spec.components.images import Wrn28

STEM, WIDTHS, BLOCKS = 16, (160, 320, 640), 4  # 28 layers: of 3 stages, 4 blocks of 2 convolutions, and the stem and shortcuts


class PreActivation(nn.Module):
    """A pre-activation block: normalization, ReLU and convolution of 3, twice, added to the shortcut (He et al. 2016).

    The shortcut is the input as it came in, or a convolution of 1 of it (`downsample`), without normalization. A convolution of
    stride 2 is not padded on all sides: its input has two more rows and columns of zeros, at the bottom and at the right.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.pad = nn.ZeroPad2d((0, 2, 0, 2)) if stride > 1 else nn.Identity()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=0 if stride > 1 else 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        same = inputs == outputs and stride == 1
        self.downsample = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output.

        Shape: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride), rounded up.
        """
        y = self.conv1(self.pad(functional.relu(self.bn1(x))))
        y = self.conv2(self.dropout(functional.relu(self.bn2(y))))
        summed: torch.Tensor = self.downsample(x) + y
        return summed


def build(config: Wrn28, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The encoder, its children named conv1, layer1, layer2, layer3 and bn, and its number of features."""
    channels = STEM
    children: OrderedDict[str, nn.Module] = OrderedDict(conv1=nn.Conv2d(shape[0], STEM, 3, padding=1, bias=False))
    for number, width in enumerate(WIDTHS, start=1):
        first = PreActivation(channels, width, 1 if number == 1 else 2, config.dropout)
        rest = [PreActivation(width, width, dropout=config.dropout) for _ in range(BLOCKS - 1)]
        children[f"layer{number}"] = nn.Sequential(first, *rest)
        channels = width
    children |= {"bn": nn.BatchNorm2d(channels), "relu": nn.ReLU()}
    children["pool"], features = global_pool("avg", channels, shape[1:])
    encoder = nn.Sequential(children)
    init_kaiming(encoder)
    return encoder, features
