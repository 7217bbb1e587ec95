"""Layers that several models share: nonlinearities by the names pages use, the way from maps to features, residual blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import nn

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType({
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
})  # fmt: skip
CONVOLUTIONS = MappingProxyType({2: nn.Conv2d, 3: nn.Conv3d})  # by the dimensions of images
NORMS = MappingProxyType({2: nn.BatchNorm2d, 3: nn.BatchNorm3d})
_MEANS = MappingProxyType({2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d})
_MAXIMA = MappingProxyType({2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d})


def global_pool(rule: str, channels: int, sides: Sequence[int]) -> tuple[nn.Sequential, int]:
    """What turns the last maps, of so many channels and these sides, into features, and how many there are.

    `avg` and `max` are over positions; `flatten` has all positions side by side.

    Shape: (B, channels, *sides) -> (B, features).
    """
    if rule == "flatten":
        return nn.Sequential(nn.Flatten()), channels * math.prod(sides)
    pools = {"avg": _MEANS, "max": _MAXIMA}[rule]
    return nn.Sequential(pools[len(sides)](1), nn.Flatten()), channels


def init_kaiming(network: nn.Module) -> None:
    """Redraws the weights of all convolutions from N(0, 2 / (k^d C_out)), k^d being the kernel's size (He et al. 2015)."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


class _PostActivation(nn.Module):
    """What residual blocks of He et al. (2015) share: the nonlinearity comes after the sum of shortcut and branch.

    The shortcut is the input, or, to `project`, a convolution of 1 and a normalization (`downsample`; made last, as libraries
    do, since schedules may go by the order of parameters). Convolutions have no bias, and padding keeps the side where the
    stride is 1.
    """

    downsample: nn.Module

    def __init__(self, dims: int, activation: str) -> None:
        super().__init__()
        self.dims = dims
        self.activation = ACTIVATIONS[activation]()

    def _conv(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
        return CONVOLUTIONS[self.dims](inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)

    def _norm(self, channels: int) -> nn.Module:
        return NORMS[self.dims](channels)

    def _shortcut(self, inputs: int, outputs: int, stride: int, project: bool) -> nn.Module:
        return nn.Sequential(self._conv(inputs, outputs, 1, stride), self._norm(outputs)) if project else nn.Identity()

    def branch(self, x: torch.Tensor) -> torch.Tensor:
        """What is added to the shortcut."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output.

        Shape: (B, inputs, ...) -> (B, outputs, ...), with sides divided by the stride and rounded up.
        """
        summed: torch.Tensor = self.activation(self.branch(x) + self.downsample(x))
        return summed


class BasicBlock(_PostActivation):
    """Two convolutions of 3, the first with the stride."""

    def __init__(
        self, dims: int, inputs: int, outputs: int, *, stride: int = 1, project: bool = False, activation: str = "relu"
    ) -> None:
        super().__init__(dims, activation)
        self.conv1, self.bn1 = self._conv(inputs, outputs, 3, stride), self._norm(outputs)
        self.conv2, self.bn2 = self._conv(outputs, outputs, 3), self._norm(outputs)
        self.downsample = self._shortcut(inputs, outputs, stride, project)

    def branch(self, x: torch.Tensor) -> torch.Tensor:
        """What is added to the shortcut."""
        x = self.activation(self.bn1(self.conv1(x)))
        out: torch.Tensor = self.bn2(self.conv2(x))
        return out


class Bottleneck(_PostActivation):
    """Convolutions of 1, 3 and 1, the middle one with the stride, and with `middle` channels between them."""

    def __init__(
        self,
        dims: int,
        inputs: int,
        middle: int,
        outputs: int,
        *,
        stride: int = 1,
        project: bool = False,
        activation: str = "relu",
    ) -> None:
        super().__init__(dims, activation)
        self.conv1, self.bn1 = self._conv(inputs, middle, 1), self._norm(middle)
        self.conv2, self.bn2 = self._conv(middle, middle, 3, stride), self._norm(middle)
        self.conv3, self.bn3 = self._conv(middle, outputs, 1), self._norm(outputs)
        self.downsample = self._shortcut(inputs, outputs, stride, project)

    def branch(self, x: torch.Tensor) -> torch.Tensor:
        """What is added to the shortcut."""
        x = self.activation(self.bn1(self.conv1(x)))
        x = self.activation(self.bn2(self.conv2(x)))
        out: torch.Tensor = self.bn3(self.conv3(x))
        return out
