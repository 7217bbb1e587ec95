"""The order of keys on a page: that of the fields of the model that reads each mapping. Names keep the order of their author."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args, get_origin

from interpreter.source.nodes import Mapping, Node, Scalar, Sequence
from interpreter.spec.base import Config
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.grammar import Named, WrittenPage, keys
from interpreter.spec.measures import Reference
from interpreter.spec.page import KINDS

Path = tuple[str | int, ...]
# The config class of a component by its kind ("dataset") and type, or None when there is none.
Lookup = Callable[[str, str], type[Config] | None]

_FIRST = ("type", "extends")  # what a component is


def orders(page: Mapping, lookup: Lookup) -> dict[Path, tuple[str, ...]]:
    """The order of the keys of each mapping of `page` that has one, by its path; names of arms, models and so on have none."""
    return dict(_Walk(page, lookup).below(page, (), [WrittenPage]))


def component_class(page: Mapping, plural: str, node: Mapping, lookup: Lookup) -> type[Config] | None:
    """The class that reads the component `node`: by its own type, or that of what it extends on this page; None if unknown."""
    if plural == "schedules":
        return Schedule
    named, seen = page.get(plural), set()
    while True:
        type_, extends = node.get("type"), node.get("extends")
        if isinstance(type_, Scalar):
            return lookup(KINDS[plural], type_.text)
        if not isinstance(extends, Scalar) or extends.text in seen or not isinstance(named, Mapping):
            return None
        seen.add(extends.text)
        following = named.get(extends.text)
        if isinstance(following, Scalar):
            return lookup(KINDS[plural], following.text)
        if not isinstance(following, Mapping):
            return None
        node = following


class _Walk:
    """Goes down a page and, beside it, down the models of the grammar."""

    def __init__(self, page: Mapping, lookup: Lookup) -> None:
        self.page, self.lookup = page, lookup

    def below(self, node: Node, path: Path, annotations: list[Any]) -> Iterator[tuple[Path, tuple[str, ...]]]:
        """Pairs of path and order, from `node` down, which may be any of `annotations`."""
        forms = [form for annotation in annotations for form in _forms(annotation)]
        if isinstance(node, Sequence):
            parts = [form[1] for form in forms if isinstance(form, tuple) and form[0] is list]
            for index, item in enumerate(node.items):
                yield from self.below(item, (*path, index), parts)
        if not isinstance(node, Mapping):
            return
        cls, is_component = self._class(node, forms)
        if cls is not None or is_component:
            yield path, self._keys(node, cls, is_component)
        values = [form[1] for form in forms if isinstance(form, tuple) and form[0] is dict]
        for key, item in node.items.items():
            yield from self.below(item, (*path, key), _field(cls, key) if cls is not None else values)

    def _class(self, node: Mapping, forms: list[Any]) -> tuple[type[Config] | None, bool]:
        """The model that reads `node`, and whether it is a component (whose model may be unknown)."""
        for form in forms:
            if isinstance(form, Named):
                return component_class(self.page, form.plural, node, self.lookup), True
        classes: list[type[Config]] = [form for form in forms if isinstance(form, type)]
        if not classes:
            return None, False
        type_ = node.get("type")
        if isinstance(type_, Scalar):
            said = [c for c in classes if "type" in c.model_fields and c.model_fields["type"].default == type_.value]
            classes = said or classes
        # Of several forms of one thing, the one whose first key is there; else the one with the most keys in common.
        return max(classes, key=lambda c: (keys(c)[0] in node.items, len(set(keys(c)) & set(node.items)))), False

    def _keys(self, node: Mapping, cls: type[Config] | None, is_component: bool) -> tuple[str, ...]:
        known = keys(cls) if cls is not None else ()
        if cls is Reference:  # its values are written flat, and first
            return (*(key for key in node.items if key not in known), *known)
        first = _FIRST if is_component or "type" in known else ()
        return tuple(dict.fromkeys((*first, *known)))


def _field(cls: type[Config], key: str) -> list[Any]:
    """What the value at `key` of a mapping read by `cls` may be."""
    for name, info in cls.model_fields.items():
        if key == (info.alias or name):
            named = [item for item in info.metadata if isinstance(item, Named)]
            return named or [info.annotation]
    return []


def _forms(annotation: Any) -> Iterator[Any]:
    """What a value of `annotation` may be: a Config class, a Named component, (dict, of what) or (list, of what)."""
    if isinstance(annotation, Named) or (isinstance(annotation, type) and issubclass(annotation, Config)):
        yield annotation
    elif get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        named = [mark for mark in marks if isinstance(mark, Named)]
        yield from named or _forms(inner)
    elif get_origin(annotation) is dict:
        yield dict, get_args(annotation)[1]
    elif get_origin(annotation) in (list, tuple):
        for part in get_args(annotation):
            yield list, part
    else:
        for part in get_args(annotation):
            yield from _forms(part)
