"""Where the settings of a stage were written: each value of its typed parts, with a place, or without one for a default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interpreter.check.types import CheckedStage
from interpreter.errors import Place
from interpreter.source import nodes
from interpreter.source.nodes import Node
from interpreter.spec.base import Config

# What settings call a part -> the keys of a stage that say it.
_KEYS = {"objective": ("fit", "probe"), "data": ("data", "evaluate", "score")}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is told whole, and where it was written; `place` is None where nobody wrote it."""

    value: Any
    place: Place | None


Values = Mapping[str, "Values | Leaf"]


def values(config: Any, node: Node | None) -> Values | Leaf:
    """`config` as it is written on a page: a mapping for a config, down to leaves. `node` is what it was read from."""
    if isinstance(config, Config):
        shown = {info.alias or name: getattr(config, name) for name, info in type(config).model_fields.items()}
        return {key: values(value, _below(node, key)) for key, value in shown.items()}
    if isinstance(config, Mapping) and config:
        return {str(key): values(value, _below(node, str(key))) for key, value in config.items()}
    return Leaf(_plain(config), node.place if node is not None else None)


def part(stage: CheckedStage, name: str) -> tuple[Any, Node | None]:
    """The part of `stage` that settings call `name` ("objective", "keep", "part"), and what it was read from."""
    written = stage.written
    key = next((k for k in _KEYS.get(name, (name,)) if written is not None and k in written.items), name)
    return getattr(stage, name, None), written.get(key) if written is not None else None


def setting(stage: CheckedStage, path: str) -> tuple[Any, Node | None]:
    """The setting at the dotted `path` as plain data, and what it was read from; None for what is absent or a default."""
    first, *rest = path.split(".")
    value, node = part(stage, first)
    for step in rest:
        if isinstance(value, Config):
            names = {name: info.alias or name for name, info in type(value).model_fields.items()}
            name = next((n for n, alias in names.items() if step in (n, alias)), "")
            value, step = getattr(value, name, None), names.get(name, step)
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
        node = _below(node, step)
    return _plain(value), node


def _below(node: Node | None, key: str) -> Node | None:
    """What `key` was read from: a value in brief, `lr_schedule: cosine`, is what all of it was read from."""
    return node.get(key) if isinstance(node, nodes.Mapping) else node


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.model_dump(by_alias=True)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
