"""References of an entry: numbers from elsewhere, each by the name of the measure that it stands beside."""

from __future__ import annotations

from collections.abc import Iterable

from interpreter.errors import Problem, Problems, Severity
from interpreter.source.nodes import Mapping, Node, Scalar
from interpreter.spec.measures import Reference
from interpreter.spec.names import did_you_mean, nearest
from interpreter.spec.typed import read, wrong_type

_FACTS = ("source", "split", "data", "n", "sd")
_SPLITS = ("train", "val", "test")


def read_references(
    node: Node | None,
    arms: list[str],
    measures: Iterable[str],
    stages: Iterable[str],
    data: Iterable[str],
    problems: Problems,
) -> dict[str, Reference]:
    """The references of an entry, whose words are held against the names of its arms, measures, stages and datasets."""
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        problems.add(wrong_type("`references`", node, "references", "a mapping of names"))
        return {}
    known = {"split": {*_SPLITS, *stages}, "data": set(data)}
    found = {}
    for name, item in node.items.items():
        path = f"references.{name}"
        if name in arms:
            text, hint = f"`{name}` is an arm already, and claims would mean that", "give the reference another name"
            problems.add(Problem("bad-name", text, node.keys[name], path, got=name, hint=hint))
        if not isinstance(item, Mapping):
            problems.add(wrong_type(f"`{name}`", item, path, "a mapping: {measure: value, source: where from}"))
            continue
        values = {k: v for k, v in item.items.items() if k not in _FACTS}
        numbers = {}
        for key, value in values.items():
            if isinstance(value, Scalar) and type(value.value) in (int, float):
                numbers[key] = float(value.value)  # type: ignore[arg-type]
            else:
                problems.add(wrong_type(f"`{key}`", value, f"{path}.{key}", "a number"))
        _doubts(item, numbers, path, set(measures), known, problems)
        made = read(Reference, item.without(*values), problems, path, {"values": numbers})
        if made is not None:
            found[name] = made
    return found


def _doubts(
    item: Mapping, numbers: Iterable[str], path: str, measures: set[str], known: dict[str, set[str]], problems: Problems
) -> None:
    """Numbers that belong to no measure, and words that look like those of the page misspelt: others may be of elsewhere."""
    for key in numbers:
        if key not in measures:
            text, hint = f"there is no measure `{key}` that this could be compared with", did_you_mean(key, measures)
            problems.add(
                Problem("unknown-measure", text, item.keys[key], f"{path}.{key}", got=key, hint=hint, severity=Severity.WARNING)
            )
    # Splits are few, and datasets of elsewhere are often called nearly like one's own.
    for key, code, what, cutoff in (("split", "unknown-split", "split", 0.6), ("data", "unknown-dataset", "dataset", 0.75)):
        below = item.get(key)
        word = below.text if isinstance(below, Scalar) else ""
        hint = nearest(word, known[key], cutoff) if word not in known[key] else ""
        if below is not None and hint:
            text = f"there is no {what} `{word}` here: whatever is compared with this is unfair"
            problems.add(Problem(code, text, below.place, f"{path}.{key}", got=word, hint=hint, severity=Severity.WARNING))
