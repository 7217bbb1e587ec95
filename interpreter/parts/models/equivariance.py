"""Turns of a volume by a cube's rotations, and how far a network is from commuting with them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

# From a volume's axes to coordinates (x, y, z): x runs along the last axis, y and z against the middle and the first.
_COORDINATES = np.array([[0, 0, 1], [0, -1, 0], [-1, 0, 0]], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Turn:
    """One of the 24 rotations that take a cube to itself: axes change places, and some of them direction."""

    axes: tuple[int, int, int]  # axis i of the turned volume is this one of the volume
    flipped: tuple[bool, bool, bool]  # whether it runs backwards

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The rotation of space, in coordinates (x, y, z). Shape: (3, 3)."""
        of_axes = np.zeros((3, 3))
        for axis, (source, backwards) in enumerate(zip(self.axes, self.flipped, strict=True)):
            of_axes[axis, source] = -1 if backwards else 1
        return _COORDINATES @ of_axes @ _COORDINATES.T

    def volume(self, x: torch.Tensor) -> torch.Tensor:
        """The turned volumes, channels as they are. Shape: (..., X, Y, Z) -> these three in another order."""
        lead = x.ndim - 3
        x = x.permute(*range(lead), *(lead + axis for axis in self.axes))
        return x.flip([lead + axis for axis in range(3) if self.flipped[axis]])


@cache
def turns() -> tuple[Turn, ...]:
    """All 24, the identity first."""
    found = []
    for axes in itertools.permutations(range(3)):
        for flipped in itertools.product((False, True), repeat=3):
            turn = Turn(axes, flipped)
            if np.linalg.det(turn.rotation) > 0:
                found.append(turn)
    return tuple(found)


@runtime_checkable
class Turning(Protocol):
    """An encoder that says how its features turn with a volume."""

    def turned(self, features: torch.Tensor, turn: Turn) -> torch.Tensor:
        """What the features of turned volumes should be, given those of the volumes."""
        ...


def equivariance_error(encoder: nn.Module, x: torch.Tensor, under: Sequence[Turn] | None = None) -> float:
    """How far the features of turned volumes are from the turned features: the largest relative error of the cube's rotations,
    or of those `under` which it is asked for.

    An encoder that doesn't say how its features turn (see `Turning`) is held to features that don't: this is then its
    `invariance_error`. Errors and features are measured by their root mean square over the batch; 0 is equivariant to these
    rotations, and two unrelated vectors have some 1.4. The encoder is evaluated, and is in the mode it was in afterwards.

    Shape: x (B, C, X, Y, Z); of unequal sides, rotations that change them are left out.
    """
    expected = encoder.turned if isinstance(encoder, Turning) else _unchanged
    return _error(encoder, x, expected, under)


def invariance_error(network: nn.Module, x: torch.Tensor, under: Sequence[Turn] | None = None) -> float:
    """How much turns of a volume change what the network gives for it, measured as `equivariance_error` is."""
    return _error(network, x, _unchanged, under)


def _unchanged(features: torch.Tensor, turn: Turn) -> torch.Tensor:
    return features


def _error(
    network: nn.Module, x: torch.Tensor, expected: Callable[[torch.Tensor, Turn], torch.Tensor], under: Sequence[Turn] | None
) -> float:  # fmt: skip
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        with torch.no_grad():
            features = network(x)
            errors = []
            for turn in under or turns():
                turned = turn.volume(x)
                if turned.shape == x.shape:
                    errors.append((network(turned) - expected(features, turn)).square().mean())
    finally:
        for module in training:
            module.training = True
    scale = features.square().mean()
    # Features that are all 0 are what they should be, whatever the turn, where the others are 0 as well.
    return float((torch.stack(errors).max() / scale.clamp_min(torch.finfo(scale.dtype).tiny)).sqrt())
