"""Builder of `ensemble`."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from interpreter.parts.models.members import Members
from interpreter.spec.components.images import Ensemble

Make = Callable[[int], tuple[nn.Module, int]]


def build(config: Ensemble, shape: tuple[int, ...], make: Make) -> tuple[Members, int]:
    """The members, and how many features each gives. `make(n)` is the inner network with random weights number n.

    With `share: all` one network is there `members` times, and called as often, in turn: each call updates its statistics.

    Shape: (B, C, ...) or (B, M, C, ...) -> (B, M, features).
    """
    if config.share == "all":
        network, features = make(0)
        return Members([network] * config.members, 1 + len(shape)), features
    made = [make(number) for number in config.draws()]
    members = Members([network for network, _ in made], 1 + len(shape))
    if config.passes == "vectorized":
        members.run_at_once(shape)
    return members, made[0][1]
