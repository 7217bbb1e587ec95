"""Builder of `interpensemble`: a wide network, and narrow ones whose convolutions are blocks of the wide one's.

Cut all channels into g parts. There are g * g narrow networks, one for each pair of a `home` and an `inner` part: number
1 + g * home + inner (the wide network is number 0). What a narrow network hands from one residual block to the next are the
channels of its home part; between the two convolutions of a block it has those of its inner part. So at each of these
convolutions the pairs (outputs, inputs) of the narrow networks are all pairs of parts, once each: together they use every block
of the weight exactly once. With g = 2 the networks of home 0, inner 0 and of home 1, inner 1 stay in their half; the other two
zig-zag.

A narrow network has only its own channels, never zeros in place of the others', so it is a network of the same kind and 1 / g of
the width, and computes what that would. It keeps a first convolution, normalizations and a head of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from torch import Tensor, nn
from torch.func import functional_call

from interpreter.parts.models.branches import Branches
from interpreter.spec.components.contract import Model
from interpreter.spec.components.images import Interpensemble, WideResnet18

Block = tuple[int, int]  # part of the outputs, part of the inputs


class Make(Protocol):
    """Makes networks."""

    def __call__(self, number: int, of: Model | None = None) -> tuple[nn.Module, int]:
        """One with random weights number `number`, and how many features it gives: the inner network, or that of `of`."""
        ...


def build(config: Interpensemble, shape: tuple[int, ...], make: Make) -> tuple[Nested, int]:
    """The networks, and how many features the wide one gives; the narrow ones give 1 / groups as many, then zeros.

    What narrow network number n has for itself begins as in a narrow network alone with random weights number n.

    Shape: (B, C, H, W) -> (B, 1 + groups * groups, features).
    """
    assert isinstance(config.of, WideResnet18)
    wide, features = make(0)
    narrow = config.of.model_copy(update={"width": config.of.width // config.groups})
    others = [make(number, narrow)[0] for number in config.draws()[1:]]
    return Nested(wide, others, config.groups, features, switched=config.shortcut == "switched"), features


class Nested(Branches):
    """The wide network, number 0, and the narrow ones inside it.

    The shared weights are parameters of the wide network, and of it alone; narrow networks are lent their blocks for a pass.
    """

    def __init__(self, wide: nn.Module, narrow: Sequence[nn.Module], parts: int, features: int, *, switched: bool) -> None:
        super().__init__([wide, *narrow], features)
        self.parts = parts
        self.shared = tuple(_shared(wide))
        self.blocks = tuple(
            {name: _block(name, home, inner, switched) for name in self.shared} for home in range(parts) for inner in range(parts)
        )
        for network in narrow:
            for name in self.shared:
                network.get_submodule(name.removesuffix(".weight")).register_parameter("weight", None)

    def outputs(self, x: Tensor, chosen: Sequence[int]) -> list[Tensor]:
        """The features of the `chosen` networks. Shape: (B, C, H, W) -> each (B, features) or (B, features / parts)."""
        networks = self.networks
        grids = {name: self._grid(name) for name in self.shared} if any(chosen) else {}
        made = []
        for number in chosen:
            if number == 0:
                made.append(networks[0](x))
                continue
            lent = {name: grids[name][out][into] for name, (out, into) in self.blocks[number - 1].items()}
            made.append(functional_call(networks[number], lent, (x,)))
        return made

    def _grid(self, name: str) -> list[tuple[Tensor, ...]]:
        """A shared weight cut into its blocks, rows by outputs. Cut at once, its gradient is put together at once too."""
        weight = self.networks[0].get_parameter(name)
        return [row.chunk(self.parts, dim=1) for row in weight.chunk(self.parts, dim=0)]


def _shared(wide: nn.Module) -> Iterator[str]:
    """Names of the weights that are cut: of all convolutions but the first, whose inputs are the image."""
    names = [f"{name}.weight" for name, module in wide.named_modules() if isinstance(module, nn.Conv2d)]
    yield from names[1:]


def _block(name: str, home: int, inner: int, switched: bool) -> Block:
    """The block that the narrow network (`home`, `inner`) uses of a shared weight, by where in a residual block that is.

    The shortcut has one convolution where the branch has two. `switched`: it goes from the home part to the inner one, as the
    branch's first convolution does, and its outputs are taken for those of the home part. (The home part is where a narrow
    network reads from: a shortcut that read from its inner part would see nothing.) Otherwise it stays in the home part.
    """
    *_, place, last = name.removesuffix(".weight").split(".")
    if last == "conv1":
        return inner, home
    if last == "conv2":
        return home, inner
    assert place == "downsample", name
    return (inner if switched else home), home
