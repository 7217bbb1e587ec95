"""The tree of a page: scalars, mappings and sequences, frozen, each with its place; and how trees are read and merged."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from interpreter.errors import Place

OFF = "off"
_LINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A leaf: `value` as resolved (None, bool, int, float or str), `text` as written."""

    place: Place
    value: bool | int | float | str | None
    text: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys are always text; `keys` tells where each was written, `base` what stood here before anything was changed."""

    place: Place
    items: dict[str, Node]
    keys: dict[str, Place]
    base: Mapping | None = field(default=None, compare=False, repr=False)

    def get(self, key: str) -> Node | None:
        """The node at `key`, or None."""
        return self.items.get(key)

    def without(self, *names: str) -> Mapping:
        """The same mapping less the keys `names`."""
        items = {k: v for k, v in self.items.items() if k not in names}
        return Mapping(self.place, items, {k: self.keys[k] for k in items})

    def put(self, key: str, node: Node, place: Place) -> Mapping:
        """The same mapping with `node` at `key`, which was written at `place`."""
        return Mapping(self.place, {**self.items, key: node}, {**self.keys, key: place}, self.base)

    def changed(self, key: str, node: Node, place: Place) -> Mapping:
        """The same, remembering what it was changed from: what another line says, an `extends`, a `set` or a profile."""
        return Mapping(self.place, {**self.items, key: node}, {**self.keys, key: place}, self.base or self)

    def changes(self, loc: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node, Node | None]]:
        """What was changed here and below: the keys that lead to it, what stands there now, and what stood there, if anything."""
        for key, node in self.items.items():
            old = self.base.get(key) if self.base is not None else node
            if isinstance(node, Mapping) and isinstance(old, Mapping) and node.base is not None:
                yield from node.changes((*loc, key))
            elif old is not node:
                yield (*loc, key), node, old


Node = Scalar | Sequence | Mapping


def lines_of(text: str) -> list[str]:
    """The lines of a page as YAML counts them, without their ends: letters that only look like a line's end don't end one."""
    return _LINE.split(text)


def plain(node: Node) -> Any:
    """`node` as plain Python data: dicts, lists and scalars."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(item) for key, item in node.items.items()}


def content(node: Node) -> Hashable:
    """What `node` says, wherever it stands: equal for equal text, to look things up by."""
    if isinstance(node, Scalar):
        return node.value.__class__, node.value  # 1, 1.0 and true are one key of a dict, and three values
    if isinstance(node, Sequence):
        return tuple([content(item) for item in node.items])
    return Mapping, tuple([(key, content(item)) for key, item in node.items.items()])


def kind_of(node: Node) -> str:
    """What a node is, in words for its author."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.value is None:
        return "nothing"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names[type(node.value)]


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every node below and including `node`, with its dotted path, in file order."""
    yield path, node
    if isinstance(node, Mapping):
        for key, item in node.items.items():
            yield from walk(item, f"{path}.{key}" if path else key)
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from walk(item, f"{path}[{index}]")


def locate(node: Node, loc: tuple[str | int, ...]) -> tuple[Node, Place, tuple[str | int, ...]]:
    """The node that `loc` leads to, or its nearest parent; the place of the key that names it; the part of `loc` used.

    Steps that are in no mapping (tags that pydantic puts into locations) are passed over when the next one fits.
    """
    place, used = node.place, []
    for index, step in enumerate(loc):
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.items:
            place, node = node.keys[step], node.items[step]
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            place = node.place
        elif index + 1 < len(loc):
            continue
        else:
            break
        used.append(step)
    return node, place, tuple(used)


def place_of(node: Node, loc: tuple[str | int, ...]) -> Place:
    """Where the value that `loc` leads to stands; the key that is nearest to it where there is none."""
    at, place, used = locate(node, loc)
    return at.place if len(used) == len(loc) else place


def merge(base: Node, over: Node) -> Node:
    """`base` changed by `over`: mappings merge, everything else is replaced; a changed `type` drops its siblings."""
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    old, new = base.get("type"), over.get("type")
    if isinstance(new, Scalar) and (not isinstance(old, Scalar) or old.value != new.value):
        return over
    merged = base
    for key, node in over.items.items():
        below = merged.get(key)
        merged = merged.changed(key, node if below is None else merge(below, node), over.keys[key])
    return merged
