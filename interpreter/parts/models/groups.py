"""Named groups of a model's parameters, for what treats the parts of a network differently: thawing, rates by layer."""

from __future__ import annotations

from interpreter.parts.contract import Model
from interpreter.spec.members import alone

HEAD = "head"


def groups(model: Model) -> dict[str, tuple[str, ...]]:
    """Group name -> names of its parameters, in the order of the network: the encoder's groups, then "head".

    A group of the encoder is one of its top-level children that has parameters (`conv1` of a cnn2d, `layer4` of a ResNet,
    `blocks` of a transformer), or a parameter that belongs to no child (`cls_token`). A child called `head` is
    "encoder.head", since "head" is the stage's. Every parameter is in exactly one group: one that several parts share is in
    the first's. Groups of several networks of one kind are those of one, with the parameters of all in each.
    """
    found: dict[str, list[str]] = {}
    for name, _ in model.named_parameters():  # tells a shared parameter once
        part, _, below = alone(name).partition(".")
        child = below.partition(".")[0]
        group = HEAD if part == HEAD else f"encoder.{child}" if child == HEAD else child
        found.setdefault(group, []).append(name)
    return {group: tuple(names) for group, names in found.items()}
