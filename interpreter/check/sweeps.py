"""Sweeps: from `vary`, `zip`, `points` and `one_at_a_time` to points, each with its factors and the changes that make it.

The size is known, and refused when it is too large, before anything is written out.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from interpreter.check.changes import told_apart
from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence, kind_of, plain
from interpreter.spec.names import LABEL
from interpreter.spec.points import POINT

MAX_POINTS = 10_000
AS_WRITTEN = "as-written"


@dataclass(frozen=True, slots=True)
class Point:
    """One point: label by factor, and the changes, each as (path, value, where the value was written)."""

    factors: dict[str, str] = field(default_factory=dict)
    changes: tuple[tuple[str, Node, Place], ...] = ()

    def __add__(self, other: Point) -> Point:
        return Point({**self.factors, **other.factors}, self.changes + other.changes)


def points(arm: Mapping, path: str, problems: Problems) -> list[Point] | None:
    """The points of an arm's sweep in order, [Point()] for an arm without one; None with what is wrong."""
    before = len(problems.found)
    _written(arm, path, problems)
    alone = arm.get("one_at_a_time")
    if isinstance(alone, Mapping):
        axes = _axes(alone, f"{path}.one_at_a_time", problems)
        found = [Point({POINT: AS_WRITTEN}), *itertools.chain.from_iterable(axes)]
        wrong = len(problems.found) > before
        return None if wrong or too_many(len(found), "", alone, f"{path}.one_at_a_time", problems) else found
    vary, zipped, listed = (arm.get(key) for key in ("vary", "zip", "points"))
    names = _factor_names([p for node in (vary, zipped) if isinstance(node, Mapping) for p in node.items])
    axes = []
    if isinstance(listed, Mapping):
        axes.append(_listed(listed, f"{path}.points", problems))
    if isinstance(zipped, Mapping):
        axes.append(_zipped(zipped, names, f"{path}.zip", problems))
    if isinstance(vary, Mapping):
        axes += _axes(vary, f"{path}.vary", problems, names)
    if len(problems.found) > before:
        return None
    sizes = [len(axis) for axis in axes]
    if too_many(math.prod(sizes), " x ".join(map(str, sizes)), arm, path, problems):
        return None
    return [sum(chosen, Point()) for chosen in itertools.product(*axes)]


def _written(arm: Mapping, path: str, problems: Problems) -> None:
    """Tell sweeps over nothing, and paths that two of an arm's sweeps would change."""
    where: dict[str, str] = {}
    for key in ("points", "zip", "vary", "one_at_a_time"):
        node = arm.get(key)
        if not isinstance(node, Mapping):
            continue
        if not node.items:
            text = f"`{key}` has nothing to vary over"
            problems.add(Problem("empty-sweep", text, node.place, f"{path}.{key}", hint=f"leave `{key}` out for one arm"))
        members = [each for each in node.items.values() if isinstance(each, Mapping)] if key == "points" else [node]
        for member in members:
            for dotted in member.items:
                if where.setdefault(dotted, key) != key:
                    text = f"`{dotted}` is changed under `{where[dotted]}` too"
                    problems.add(Problem("factor-twice", text, member.keys[dotted], f"{path}.{key}", hint="keep one of them"))


def unused(changes: Mapping, points: list[Point], path: str, problems: Problems) -> None:
    """Tell each change of an arm's `set` that every point of its sweep puts another value in place of."""
    for dotted, node in changes.items.items():
        over = [place for p, value, place in points[0].changes if _replaces(p, value, dotted, node)] if points else []
        if over and all(any(_replaces(p, value, dotted, node) for p, value, _ in point.changes) for point in points):
            text = f"`{dotted}` has no effect: every point of the sweep changes it (line {over[0].line})"
            problems.add(Problem("factor-twice", text, changes.keys[dotted], path, got=dotted, hint="keep one of them"))


def _replaces(path: str, value: Node, dotted: str, node: Node) -> bool:
    """Whether nothing is left of `node` at `dotted` when `path` is changed to `value`."""
    if path != dotted and not dotted.startswith(f"{path}."):
        return False
    for step in dotted[len(path) + 1 :].split(".") if path != dotted else ():
        if not isinstance(value, Mapping):
            return True
        if step not in value.items:
            return False
        value = value.items[step]
    return _covers(value, node)


def _covers(over: Node, node: Node) -> bool:
    if not (isinstance(over, Mapping) and isinstance(node, Mapping)):
        return True
    return all(key in over.items and _covers(over.items[key], below) for key, below in node.items.items())


def too_many(size: int, told: str, node: Node, path: str, problems: Problems) -> bool:
    """Whether a sweep has too many points, which is told."""
    if size <= MAX_POINTS:
        return False
    place = node.place
    if isinstance(node, Mapping):
        place = next((node.keys[key] for key in ("vary", "zip", "points") if key in node.items), node.place)
    hint = "vary fewer things"
    if not path.endswith("one_at_a_time"):
        hint += " together, or one at a time (`one_at_a_time`)"
    size_told = f"{size:,}" if told in ("", str(size)) else f"{told} = {size:,}"
    problems.add(
        Problem(
            "sweep-too-large",
            f"this sweep has {size_told} points",
            place,
            path,
            f"at most {MAX_POINTS:,}",
            hint=hint,
        )
    )
    return True


def _axes(node: Mapping, path: str, problems: Problems, names: dict[str, str] | None = None) -> list[list[Point]]:
    names = names if names is not None else _factor_names(list(node.items))
    axes = []
    for dotted, below in node.items.items():
        values = _values(dotted, below, f"{path}.{dotted}", problems)
        _alike(((label, plain(value), value.place) for label, value in values), f"{path}.{dotted}", problems)
        axes.append([Point({names[dotted]: label}, ((dotted, value, node.keys[dotted]),)) for label, value in values])
    return axes


def _zipped(node: Mapping, names: dict[str, str], path: str, problems: Problems) -> list[Point]:
    columns = {dotted: _values(dotted, below, f"{path}.{dotted}", problems) for dotted, below in node.items.items()}
    lengths = {dotted: len(values) for dotted, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"`{dotted.rpartition('.')[2]}` {n}" for dotted, n in lengths.items())
        problems.add(
            Problem(
                "zip-lengths", f"lists that go together must be equally long: {told}", node.place, path, "lists of one length"
            )
        )
        return []
    rows = list(zip(*columns.values(), strict=True))
    settings = ((", ".join(label for label, _ in row), [plain(v) for _, v in row], row[0][1].place) for row in rows if row)
    _alike(settings, path, problems)
    return [
        sum(
            (Point({names[d]: label}, ((d, value, node.keys[d]),)) for d, (label, value) in zip(columns, row, strict=True)),
            Point(),
        )
        for row in rows
    ]


def _listed(node: Mapping, path: str, problems: Problems) -> list[Point]:
    found = []
    for label, changes in node.items.items():
        _check_label(label, node.keys[label], path, problems)
        if isinstance(changes, Mapping):  # what is none was told when the arm's form was read
            told_apart(changes, f"{path}.{label}", problems)
            found.append(Point({POINT: label}, tuple((p, value, changes.keys[p]) for p, value in changes.items.items())))
    settings = ((label, plain(item), node.keys[label]) for label, item in node.items.items() if isinstance(item, Mapping))
    _alike(settings, path, problems)
    return found


def _values(dotted: str, node: Node, path: str, problems: Problems) -> list[tuple[str, Node]]:
    """The values of one path as (label, value), labels unique. What is no list or mapping was told with the arm's form."""
    rows: list[tuple[str, Node, Place]] = []
    if isinstance(node, Mapping):
        rows = [(key, value, node.keys[key]) for key, value in node.items.items()]
        for key, _, place in rows:
            _check_label(key, place, path, problems)
    elif isinstance(node, Sequence):
        for item in node.items:
            label = _label(item)
            if label is None:
                problems.add(
                    Problem(
                        "unlabelled-value",
                        f"a value of `{dotted.rpartition('.')[2]}` needs a label",
                        item.place,
                        path,
                        "label: value",
                        kind_of(item),
                        "write the values as a mapping, {label: value}: labels are what legends and claims call them",
                    )
                )
                continue
            rows.append((label, item, item.place))
    if not rows and isinstance(node, (Mapping, Sequence)) and not node.items:
        problems.add(Problem("empty-sweep", f"`{dotted}` has no values to vary over", node.place, path, "at least one value"))
    seen: set[str] = set()
    for called, _, place in rows:
        if called in seen:
            problems.add(Problem("duplicate-value", f"the value `{called}` is twice here", place, path, got=called))
        seen.add(called)
    return [(called, value) for called, value, _ in rows]


def _alike(settings: Iterable[tuple[str, Any, Place]], path: str, problems: Problems) -> None:
    """Tell each label whose settings another one before it has too: two names for one point."""
    first: dict[str, str] = {}
    for label, said, place in settings:
        other = first.setdefault(json.dumps(_same(said), sort_keys=True), label)
        if other != label:
            text = f"`{label}` is `{other}` again: both set the same"
            problems.add(Problem("duplicate-value", text, place, path, got=label, hint="leave one of them out"))


def _same(value: Any) -> Any:
    """`value` with each whole number written one way."""
    if isinstance(value, dict):
        return {key: _same(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_same(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _label(node: Node) -> str | None:
    """What a value is called: its text, or the texts of a short list; None where it needs a label of its own."""
    if isinstance(node, Scalar):
        return node.text if LABEL.fullmatch(node.text) else None
    if isinstance(node, Sequence) and node.items and all(isinstance(item, Scalar) for item in node.items):
        text = "-".join(item.text for item in node.items if isinstance(item, Scalar))
        return text if LABEL.fullmatch(text) and len(text) <= 40 else None
    return None


def _check_label(label: str, place: Place, path: str, problems: Problems) -> None:
    if not LABEL.fullmatch(label):
        problems.add(
            Problem("bad-label", f"`{label}` can't be a label", place, path, "a word without spaces and , = [ ] / # @", label)
        )


def _factor_names(paths: list[str]) -> dict[str, str]:
    """What each path's factor is called: its last word, and as many before it as it takes to tell them apart."""
    out = {}
    for dotted in paths:
        steps = dotted.split(".")
        for n in range(1, len(steps) + 1):
            name = ".".join(steps[-n:])
            if sum(other == name or other.endswith(f".{name}") for other in paths) == 1 or n == len(steps):
                out[dotted] = name
                break
    return out
