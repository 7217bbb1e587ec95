"""From a mapping of a page to a config class: pydantic's findings become Problems with the place that caused them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence, kind_of, locate, plain
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


# What pydantic says of limits, in words for the author of a page.
_LIMITS = {
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "has {actual_length} members, and needs at least {min_length}",
    "too_long": "has {actual_length} members, and may have at most {max_length}",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must be {read_as}",
}
_PATTERNS = {
    "^[a-z][a-z0-9_-]*$": "a name: a small letter, then letters, digits, _ or -",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "a day, YYYY-MM-DD",
    "^[0-9a-f]{64}$": "64 hexadecimal digits",
    "^[a-z][a-z0-9_-]*/[a-z][a-z0-9_]*$": "a metric, split/name, such as val/loss",
}


def wrong_type(what: str, node: Node, path: str, expected: str) -> Problem:
    """`what` must be `expected`, and `node` is something else."""
    return Problem("wrong-type", f"{what} must be {expected}", node.place, path, expected, kind_of(node))


def unknown_key(what: str, key: str, node: Mapping, path: str, known: Iterable[str]) -> Problem:
    """`what` has no key `key`, which `node` has."""
    dotted = f"{path}.{key}".lstrip(".")
    return Problem("unknown-key", f"{what} has no key `{key}`", node.keys[key], dotted, got=key, hint=did_you_mean(key, known))


def read(cls: type[C], node: Mapping, problems: Problems, path: str, extra: dict[str, Any] | None = None) -> C | None:
    """`node` as a `cls`, or None with what is wrong in `problems`. `extra` is set beside what was written."""
    made, items = _tried(cls, {**plain(node), **(extra or {})})
    for item in _one_branch(node, [item for item, _ in _meant(node, [(item, item["loc"]) for item in items])]):
        problems.add(_problem(cls, node, path, item, extra or {}))
    return made


def _tried(cls: type[C], data: dict[str, Any]) -> tuple[C | None, list[Any]]:
    """`data` as a `cls`, or None and pydantic's findings."""
    try:
        return cls.model_validate(data), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


_Found = tuple[Any, tuple[Any, ...]]  # one of pydantic's findings, and what of its location is left


def _meant(node: Node, items: list[_Found]) -> list[_Found]:
    """Of a mapping that may be one form or another, the findings about the form that it has most of; each with the rest of
    its location below `node`."""
    own: list[_Found] = []
    below: dict[Any, list[_Found]] = {}
    forms: dict[Any, list[_Found]] = {}
    for item, rest in items:
        if not rest or (len(rest) == 1 and item["type"] in ("missing", "extra_forbidden")):
            own.append((item, rest))
        elif _member(node, rest[0]) is not None:
            below.setdefault(rest[0], []).append((item, rest[1:]))
        else:
            forms.setdefault(rest[0], []).append((item, rest[1:]))
    if len(forms) > 1 and isinstance(node, Mapping):
        forms = dict([min(forms.items(), key=lambda form: _unlike(form[1]))])
    kept = own
    for step, found in below.items():
        at = _member(node, step)
        assert at is not None
        kept += _meant(at, found)
    for found in forms.values():
        kept += _meant(node, found)
    return kept


def _member(node: Node, step: Any) -> Node | None:
    if isinstance(node, Mapping):
        return node.items.get(step)
    return node.items[step] if isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items) else None


def _unlike(items: list[_Found]) -> tuple[int, int, int]:
    """How unlike a form a mapping is: of another kind altogether; keys it doesn't have; keys that are not there."""
    here = [item["type"] for item, rest in items if len(rest) <= 1]
    whole = [item["type"] for item, rest in items if not rest]
    other = sum(kind in _EXPECTED or kind == "literal_error" for kind in whole)
    return other, here.count("extra_forbidden"), here.count("missing")


def _one_branch(node: Mapping, items: list[Any]) -> list[Any]:
    """Of a value that may be one thing or another, pydantic tells why it is neither: keep what its author meant.

    A value of the right kind that is out of range, or a mapping with a wrong key, was meant as that kind; only a value
    of no possible kind is told as a wrong type, once.
    """
    by_place: dict[tuple[Any, ...], list[Any]] = {}
    for item in items:
        used = locate(node, item["loc"])[2]
        by_place.setdefault(used, []).append(item)
    for used, group in by_place.items():
        # A mapping was not meant as one of a few words, when there is anything else to say of it or of what is in it.
        inside = [item for other, items in by_place.items() if other[: len(used)] == used for item in items]
        others = [item for item in inside if item["type"] != "literal_error" and item["type"] not in _EXPECTED]
        if others and isinstance(locate(node, used)[0], Mapping):
            group[:] = [item for item in group if item["type"] != "literal_error"]
    kept = []
    for used, group in by_place.items():
        if all(item["type"] in _EXPECTED for item in group):
            deeper = any(len(other) > len(used) and other[: len(used)] == used for other in by_place)
            if not deeper:
                kinds = dict.fromkeys(_EXPECTED[item["type"]] for item in group)
                kept.append({**group[0], "expected": " or ".join(kinds)})
        else:
            kinds = dict.fromkeys(f" or {_EXPECTED[item['type']]}" for item in group if item["type"] in _EXPECTED)
            kept += [{**item, "or": "".join(kinds)} for item in group if item["type"] not in _EXPECTED]
    return kept


def _problem(cls: type[Config], node: Mapping, path: str, item: Any, extra: dict[str, Any]) -> Problem:
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
        return Problem("wrong-type", f"{_called(used)} must be {expected}", at.place, dotted, expected, got)
    if kind in ("union_tag_invalid", "literal_error"):
        context = item.get("ctx", {})
        expected = str(context.get("expected") or context.get("expected_tags", ""))
        where, place = at, at.place
        if kind == "union_tag_invalid" and isinstance(at, Mapping) and "type" in at.items:
            where, place = at.items["type"], at.items["type"].place
        value = plain(where)
        known = [word.strip(" '\"") for word in expected.replace(" or ", ", ").split(",")]
        hint = did_you_mean(value, known) if isinstance(value, str) else ""
        return Problem(
            "bad-value",
            f"{_called(used)} can't be {value!r}",
            place,
            dotted,
            expected.replace("'", "`") + item.get("or", ""),
            _shown(where),
            hint if hint.startswith("did you mean") else "",  # what is known was told as what is expected
        )
    if kind == "union_tag_not_found":
        return Problem("missing-key", "`type` is missing", place, dotted, expected="a key `type`")
    got = "" if isinstance(at, Mapping) else got  # the message speaks of keys that are seen above
    limit = _LIMITS.get(kind)
    if limit is not None:
        context = item.get("ctx", {})
        pattern = str(context.get("pattern", ""))
        wanted = limit.format(**context, read_as=_PATTERNS.get(pattern, pattern))
        return Problem("bad-value", f"{_called(used)} {wanted}", at.place, dotted, got=got)
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = f"{_called(used)}: {message[0].lower()}{message[1:]}" if used else message
    return Problem("bad-value", message, _broken_at(cls, node, item, extra), dotted, got=got)


def _broken_at(cls: type[Config], node: Mapping, item: Any, extra: dict[str, Any]) -> Place:
    """Where a rule over several keys of a mapping was broken: at the last change without which it holds.

    A mapping that was written so, or would be wrong without any one of its changes, is told as a whole.
    """
    at, _, used = locate(node, item["loc"])
    changes = list(at.changes()) if isinstance(at, Mapping) else []

    def holds_without(*taken_back: tuple[tuple[str, ...], Node, Node | None]) -> bool:
        data = plain(node)
        for loc, _, old in taken_back:
            below = data
            for step in (*used, *loc[:-1]):
                below = below[step]
            below.update({loc[-1]: plain(old)}) if old is not None else below.pop(loc[-1])
        found = _tried(cls, {**data, **extra})[1]
        return all((other["loc"], other["type"]) != (item["loc"], item["type"]) for other in found)

    causes = [change for change in changes if holds_without(change)]
    causes = causes or (changes if changes and holds_without(*changes) else [])
    places = [now.place for _, now, _ in causes]
    return max(places, key=lambda place: (place.file, place.line, place.column), default=at.place)


def _called(used: tuple[str | int, ...]) -> str:
    """What a value is called: its key, or a member of it."""
    names = [step for step in used if isinstance(step, str)]
    member = "a member of " if used and isinstance(used[-1], int) else ""
    return f"{member}`{names[-1]}`" if names else "this"


def _shown(node: Node) -> str:
    if isinstance(node, Scalar) and node.value is None:
        return kind_of(node)
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
