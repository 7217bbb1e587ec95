"""Paths under `assumed` must lead to settings that the entry has, through names and `extends` where they stand in the way."""

from __future__ import annotations

from interpreter.check.changes import ROOTS
from interpreter.check.trees import Trees, kind_at
from interpreter.errors import Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence
from interpreter.spec.names import did_you_mean
from interpreter.spec.page import PageText


def check_assumed(node: Mapping, root: Mapping, trees: Trees, page: PageText, problems: Problems) -> None:
    """Tell each path of `assumed` that leads nowhere."""
    below = node.get("assumed")
    for item in below.items if isinstance(below, Sequence) else ():
        if isinstance(item, Scalar) and isinstance(item.value, str):
            _follow(item, root, trees, page, problems)


def _follow(item: Scalar, root: Mapping, trees: Trees, page: PageText, problems: Problems) -> None:
    steps, here = item.text.split("."), root
    at: Node = here
    for depth, step in enumerate(steps):
        plural = kind_at(steps[:depth])
        if plural is not None and not isinstance(at, Sequence):
            at = trees.component(plural, at, root, page) or at
        if not isinstance(at, Mapping) or step not in at.items:
            known = at.items if isinstance(at, Mapping) else ()
            text = f"`{item.text}` leads nowhere: there is no `{step}` {'here' if depth else 'at the top'}"
            hint = did_you_mean(step, known if depth else ROOTS)
            problems.add(Problem("unknown-path", text, item.place, "assumed", got=item.text, hint=hint))
            return
        at = at.items[step]
