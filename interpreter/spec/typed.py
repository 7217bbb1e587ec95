"""From a mapping of a page to a config class: pydantic's findings become Problems with the place that caused them."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from interpreter.errors import Problem, Problems
from interpreter.source.nodes import Mapping, Node, kind_of, locate, plain
from interpreter.spec.base import Config, description
from interpreter.spec.names import did_you_mean

C = TypeVar("C", bound=Config)

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def read(cls: type[C], node: Mapping, problems: Problems, path: str, extra: dict[str, Any] | None = None) -> C | None:
    """`node` as a `cls`, or None with what is wrong in `problems`. `extra` is set beside what was written."""
    try:
        return cls.model_validate({**plain(node), **(extra or {})})
    except ValidationError as error:
        for item in _one_branch(node, error.errors(include_url=False)):
            problems.add(_problem(cls, node, path, item))
        return None


def _one_branch(node: Mapping, items: list[Any]) -> list[Any]:
    """Of a value that may be one thing or another, pydantic tells why it is neither: keep what its author meant.

    A value of the right kind that is out of range, or a mapping with a wrong key, was meant as that kind; only a value
    of no possible kind is told as a wrong type, once.
    """
    by_place: dict[tuple[Any, ...], list[Any]] = {}
    for item in items:
        used = locate(node, item["loc"])[2]
        by_place.setdefault(used, []).append(item)
    kept = []
    for used, group in by_place.items():
        if all(item["type"] in _EXPECTED for item in group):
            deeper = any(len(other) > len(used) and other[: len(used)] == used for other in by_place)
            if not deeper:
                kinds = dict.fromkeys(_EXPECTED[item["type"]] for item in group)
                kept.append({**group[0], "expected": " or ".join(kinds)})
        else:
            kept += [item for item in group if item["type"] not in _EXPECTED]
    return kept


def _problem(cls: type[Config], node: Mapping, path: str, item: Any) -> Problem:
    loc, kind = item["loc"], item["type"]
    at, place, used = locate(node, loc)
    dotted = ".".join(str(step) for step in (path, *used) if step != "")
    if kind == "extra_forbidden":
        key = str(loc[-1])
        known = _siblings(cls, loc)
        return Problem("unknown-key", f"there is no key `{key}` here", place, dotted, got=key, hint=did_you_mean(key, known))
    if kind == "missing":
        key = str(loc[-1])
        return Problem("missing-key", f"`{key}` is missing", place, dotted, expected=f"a key `{key}`", hint=_describe(cls, loc))
    got = _shown(at)
    if kind in _EXPECTED:
        expected = item["expected"]
        return Problem("wrong-type", f"`{_last(used)}` must be {expected}", at.place, dotted, expected, got)
    if kind in ("union_tag_invalid", "literal_error"):
        context = item.get("ctx", {})
        expected = str(context.get("expected") or context.get("expected_tags", ""))
        where, place = at, at.place
        if kind == "union_tag_invalid" and isinstance(at, Mapping) and "type" in at.items:
            where, place = at.items["type"], at.items["type"].place
        value = plain(where)
        known = [word.strip(" '\"") for word in expected.replace(" or ", ", ").split(",")]
        return Problem(
            "bad-value",
            f"`{_last(used)}` can't be {value!r}",
            place,
            dotted,
            expected.replace("'", "`"),
            _shown(where),
            did_you_mean(value, known) if isinstance(value, str) else "",
        )
    if kind == "union_tag_not_found":
        return Problem("missing-key", "`type` is missing", place, dotted, expected="a key `type`")
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return Problem(
        "bad-value", f"`{_last(used)}`: {message[0].lower()}{message[1:]}" if used else message, at.place, dotted, got=got
    )


def _last(used: tuple[str | int, ...]) -> str:
    names = [step for step in used if isinstance(step, str)]
    return names[-1] if names else "this"


def _shown(node: Node) -> str:
    text = repr(plain(node))
    return f"{kind_of(node)}: {text if len(text) <= 60 else text[:57] + '...'}"


def _model_at(cls: type[Config], loc: tuple[Any, ...]) -> list[type[Config]]:
    """The config classes that the mapping at `loc[:-1]` may be read as."""
    classes = [cls]
    for step in loc[:-1]:
        following: list[type[Config]] = []
        for c in classes:
            if step in c.model_fields:
                following += _configs_in(c.model_fields[step].annotation)
        if following:
            tagged = [c for c in following if "type" in c.model_fields and step == c.model_fields["type"].default]
            classes = tagged or following
        else:
            tagged = [c for c in classes if "type" in c.model_fields and c.model_fields["type"].default == step]
            classes = tagged or classes
    return classes


def _configs_in(annotation: Any) -> list[type[Config]]:
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    return [c for arg in getattr(annotation, "__args__", ()) for c in _configs_in(arg)]


def _siblings(cls: type[Config], loc: tuple[Any, ...]) -> list[str]:
    return [info.alias or name for c in _model_at(cls, loc) for name, info in c.model_fields.items()]


def _describe(cls: type[Config], loc: tuple[Any, ...]) -> str:
    for c in _model_at(cls, loc):
        name = next((n for n, info in c.model_fields.items() if loc[-1] in (n, info.alias)), None)
        if name is not None and (text := description(c, name)):
            return text.split("\n")[0]
    return ""
