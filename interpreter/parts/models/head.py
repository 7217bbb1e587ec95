"""The head: from features to outputs; of several networks, or of several groups of features, one each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from interpreter.parts.models.branches import BranchHeads
from interpreter.parts.models.members import Groups, Members
from interpreter.spec.components.models import Head

MakeHead = Callable[[int], nn.Module]


def build_head(config: Head, features: int, outputs: int) -> nn.Sequential:
    """The head as a sequence; torch's own initialization of linear layers.

    Shape: (B, features) -> (B, outputs).
    """
    layers: list[nn.Module] = []
    for width in config.widths():
        layers += [nn.Linear(features, width), nn.ReLU()]
        if config.dropout:
            layers.append(nn.Dropout(config.dropout))
        features = width
    if config.dropout and not config.widths():
        layers.append(nn.Dropout(config.dropout))
    layers.append(nn.Linear(features, outputs))
    return nn.Sequential(*layers)


def heads_of_members(make: MakeHead, draws: Sequence[int], *, shared: bool) -> Members:
    """A head for each network; `make(n)` is one with random weights number n. `shared`: one head for all, called as often.

    Shape: (B, M, features) -> (B, M, outputs).
    """
    heads = [make(draws[0])] * len(draws) if shared else [make(number) for number in draws]
    return Members(heads, 2)


def heads_of_branches(
    make: Callable[[int, int], nn.Module], draws: Sequence[int], sizes: Sequence[int], outputs: int
) -> BranchHeads:
    """A head for each network, of which each has its own number of features; `make(n, size)` is one with weights number n.

    Shape: (B, M, features) -> (B, M, outputs).
    """
    return BranchHeads([make(number, size) for number, size in zip(draws, sizes, strict=True)], sizes, outputs)


def heads_of_groups(make: MakeHead, count: int) -> Groups:
    """A head for each of `count` equal groups of features. Shape: (B, features) -> (B, count, outputs)."""
    return Groups([make(number) for number in range(count)], 2)
