"""Changes of the tree of an arm, by paths: what `set`, the points of a sweep and profiles say in place of what is written.

What they come to does not depend on the order they are written in: what is nearer to the top is changed first, and a `type`
before what is beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, kind_of, merge
from interpreter.spec.names import did_you_mean
from interpreter.spec.page import KINDS, PageText
from interpreter.spec.typed import wrong_type

if TYPE_CHECKING:
    from interpreter.check.trees import Trees

ROOTS = (*KINDS, "stages", "seeds")


def change(trees: Trees, root: Mapping, changes: Node, path: str, page: PageText) -> Mapping:
    """`root` with every change of a `set` or a profile of `page` applied."""
    if not isinstance(changes, Mapping):
        trees.problems.add(wrong_type("changes", changes, path, "a mapping of paths to values"))
        return root
    told_apart(changes, path, trees.problems)
    return apply(trees, root, changes, path, page)


def apply(trees: Trees, root: Mapping, changes: Mapping, path: str, page: PageText) -> Mapping:
    """The same, whatever order they are written in: a path after those above it, and a `type` before what is beside it."""
    for dotted in sorted(changes.items, key=_depth):
        node, steps = changes.items[dotted], dotted.split(".")
        place = changes.keys[dotted]
        if steps[0] not in ROOTS:
            trees.problems.add(
                Problem(
                    "unknown-path",
                    f"no path begins with `{steps[0]}`",
                    place,
                    path,
                    f"one of {', '.join(ROOTS)}",
                    dotted,
                    did_you_mean(steps[0], ROOTS),
                )
            )
            continue
        typed = steps[:-1] if steps[-1] == "type" else steps if isinstance(node, Mapping) and "type" in node.items else []
        known = trees.type_at(typed, root, page) if len(typed) > 1 else None
        whole = _put(root, steps, node, place, dotted, known, trees.problems)
        if isinstance(whole, Mapping):
            root = whole
    return root


def told_apart(changes: Mapping, path: str, problems: Problems) -> None:
    """Tell each of these changes that another one, of something above it, makes too: which holds would depend on their order."""
    for dotted, place in changes.keys.items():
        steps = dotted.split(".")
        above = next((up for n in range(1, len(steps)) if (up := ".".join(steps[:n])) in changes.items), None)
        if above is not None:
            text = f"`{dotted}` is part of `{above}`, which is changed here too (at {_at(changes.keys[above], place)})"
            hint = f"write both as one: `{above}: {{...}}`"
            problems.add(Problem("factor-twice", text, place, path, got=dotted, hint=hint))


def _put(
    node: Node, steps: list[str], value: Node, place: Place, dotted: str, known: Node | None, problems: Problems, depth: int = 0
) -> Node:
    """`node` with `value` at `steps` below it. `known`: the type of what stands there now, where `value` says one."""
    if not steps:
        named = isinstance(node, Scalar) and isinstance(node.value, str) and depth >= 2
        if named and isinstance(value, Mapping) and not {"type", "extends"} & set(value.items):
            value = value.put("extends", node, node.place)  # settings for what is named here: a changed copy of it
        return merge(_of_type(node, known), value)
    step, rest = steps[0], steps[1:]
    if isinstance(node, Scalar) and isinstance(node.value, str) and depth >= 2:
        # A name stands here: change a copy of what it names.
        node = Mapping(node.place, {"extends": node}, {"extends": node.place})
    if not isinstance(node, Mapping):
        problems.add(
            Problem("unknown-path", f"`{dotted}` goes through {kind_of(node)}", place, dotted, "a path through mappings", dotted)
        )
        return node
    if steps == ["type"] and known is not None:
        return merge(_of_type(node, known), Mapping(place, {"type": value}, {"type": place}))
    below = node.get(step)
    if below is None and depth <= 1 and not (depth == 0 and step == "seeds"):
        problems.add(
            Problem(
                "unknown-path",
                f"`{dotted}`: there is no `{step}` here",
                place,
                dotted,
                got=dotted,
                hint=did_you_mean(step, node.items),
            )
        )
        return node
    if below is None:
        below = Mapping(place, {}, {}) if rest else value
        if not rest:
            return node.changed(step, value, place)
    made = _put(below, rest, value, place, dotted, known, problems, depth + 1)
    kept = rest and made.place == below.place  # what a new type dropped stands where that was written
    return node.changed(step, made, node.keys.get(step, place) if kept else place)


def _at(place: Place, seen_from: Place) -> str:
    """A place in words, from another one: its column, its line, or its file as well."""
    if place.file != seen_from.file:
        return str(place)
    return f"column {place.column}" if place.line == seen_from.line else f"line {place.line}"


def _depth(dotted: str) -> tuple[int, bool]:
    """What changes are put in order by: what is nearer to the top is first, and a `type` before what is beside it."""
    steps = dotted.split(".")
    typed = steps[-1] == "type"
    return len(steps) - typed, typed


def _of_type(node: Node, known: Node | None) -> Node:
    """`node` with its type said, where it has that from what it extends."""
    if not isinstance(node, Mapping) or known is None or "type" in node.items:
        return node
    return node.put("type", known, known.place)
