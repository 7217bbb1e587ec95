"""How deep below the head each parameter lies, in layers: what layer-wise decay of the rate counts by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from interpreter.parts.models.groups import HEAD, groups
from interpreter.parts.models.members import first_member
from interpreter.spec.members import alone

STACKS = (nn.Sequential, nn.ModuleList)


def depths(model: nn.Module) -> dict[str, int]:
    """Parameter name -> layers between it and the output: 0 in the head, 1 in the encoder's last layer, and so on.

    Layers are what the encoder says they are, by the method `group_matcher` that timm's models have: so the numbers are those
    that published recipes for them count by (in a transformer each block; embeddings together the deepest; the last
    normalization with the last block, or with the head where timm has it there). Of other encoders they are the named groups
    (see `interpreter/parts/models/groups.py`) in the order of the network, where a stack of blocks counts as its blocks. A
    shared parameter is where its first name is. Of several networks of one kind, each parameter is as deep as in one.
    """
    encoder = first_member(model.encoder)
    layers, top = _said(encoder) if hasattr(encoder, "group_matcher") else _found(model)
    return {name: max(0, top - layers.get(alone(name), top)) for name, _ in model.named_parameters()}


def _said(encoder: nn.Module) -> tuple[dict[str, int], int]:
    """Parameters of a model with this encoder -> their layer, from 0 at the input, as the encoder itself numbers them.

    And the head's layer, which is that of the classifier the encoder would have, had it one of its own.
    """
    from timm.models import group_parameters  # takes a while to import, and an encoder that has the method has done it

    classifier = getattr(encoder, "pretrained_cfg", {}).get("classifier") or HEAD
    own = f"{classifier if isinstance(classifier, str) else classifier[0]}.weight"
    names = tuple(name for name, _ in encoder.named_parameters())
    found = group_parameters(_Names((*names, own)), encoder.group_matcher(coarse=False), reverse=True)
    return {f"encoder.{name}": found[name] for name in names}, found[own]


@dataclass(frozen=True, slots=True)
class _Names:
    """As much of a module as timm looks at to group parameters: their names."""

    names: tuple[str, ...]

    def named_parameters(self) -> Iterator[tuple[str, None]]:
        """The names, and nothing under them."""
        return ((name, None) for name in self.names)


def _found(model: nn.Module) -> tuple[dict[str, int], int]:
    """The same by the order in which the encoder's layers were made."""
    numbers: dict[str, int] = {}
    layers: dict[str, int] = {}
    for group, names in groups(model).items():
        for name in dict.fromkeys(map(alone, names)) if group != HEAD else ():
            layers[name] = numbers.setdefault(_layer(first_member(model.encoder), name), len(numbers))
    return layers, len(numbers)


def _layer(encoder: nn.Module, name: str) -> str:
    """The module that is the layer of a parameter: the encoder's child it is in or, of a stack of blocks, the block.

    A stack of blocks is a sequence of modules that are made of modules themselves; a convolution with its normalization is
    a sequence too, and one layer.
    """
    _, *path, last = name.split(".")
    module = encoder
    place: list[str] = []
    for part in path:
        if place and not (isinstance(module, STACKS) and all(list(child.children()) for child in _weighted(module))):
            break
        module = getattr(module, part)
        place.append(part)
    return ".".join(place) or last


def _weighted(module: nn.Module) -> list[nn.Module]:
    return [child for child in module.children() if any(True for _ in child.parameters())]
