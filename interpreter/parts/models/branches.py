"""Networks side by side that need not be alike: a pass may go through some of them, and some have fewer features than others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from interpreter.spec.members import member_name


class Branches(nn.Module):
    """Networks by number, of which the `running` ones are called, or without that all.

    Outputs shorter than `width` are followed by zeros. A network that is not called has NaN for outputs, and no part in any
    gradient: what belongs to it alone has none, rather than one of zero, which an optimizer would decay and carry momentum for.

    Shape: -> (B, M, width).
    """

    def __init__(self, networks: Sequence[nn.Module], width: int) -> None:
        super().__init__()
        for number, network in enumerate(networks):
            self.add_module(member_name(number), network)
        self.width = width

    @property
    def networks(self) -> list[nn.Module]:
        """All networks, by number."""
        return [network for network in self._modules.values() if network is not None]

    def forward(self, x: Tensor, running: Sequence[int] | None = None) -> Tensor:
        """The outputs of all networks, side by side."""
        count = len(self._modules)
        chosen = range(count) if running is None else running
        made = dict(zip(chosen, self.outputs(x, chosen), strict=True))
        absent = made[chosen[0]].new_full((len(x), self.width), math.nan)
        return torch.stack([self._padded(made[number]) if number in made else absent for number in range(count)], dim=1)

    def outputs(self, x: Tensor, chosen: Sequence[int]) -> list[Tensor]:
        """The outputs of the `chosen` networks, in that order. Shape: each (B, width) or narrower."""
        raise NotImplementedError

    def _padded(self, made: Tensor) -> Tensor:
        return functional.pad(made, (0, self.width - made.shape[1]))


class BranchHeads(Branches):
    """A head for each network, which sees only the features that the network has: the first `sizes[m]` of a row.

    Shape: (B, M, features) -> (B, M, outputs).
    """

    def __init__(self, heads: Sequence[nn.Module], sizes: Sequence[int], outputs: int) -> None:
        super().__init__(heads, outputs)
        self.sizes = tuple(sizes)

    def outputs(self, x: Tensor, chosen: Sequence[int]) -> list[Tensor]:
        """The outputs of the heads of the `chosen` networks."""
        heads = self.networks
        return [heads[number](x[:, number, : self.sizes[number]]) for number in chosen]
