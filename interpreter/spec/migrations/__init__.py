"""Lifting pages from older versions of the language: one file a version, each a list of named steps. Comments stay.

A step looks at a page's spans and answers with edits of its text. All steps of a version look at the same text, so that what
can't be lifted is told at the line where its author wrote it; then all their edits are made at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from interpreter.errors import ExptError, Place, Problem, Problems
from interpreter.source.load import parse
from interpreter.source.nodes import Mapping, Scalar
from interpreter.source.spans import Edit, apply, comments, spans
from interpreter.spec.migrations import v0_to_v1
from interpreter.spec.migrations.draft import Draft, Step

CURRENT = 1
# By version: what makes its text ready for edits, without a change of meaning or lines, and its steps.
CHAIN: dict[int, tuple[Callable[[str], str], tuple[Step, ...]]] = {0: (v0_to_v1.prepared, v0_to_v1.STEPS)}


@dataclass(frozen=True, slots=True)
class Lifted:
    """A page in the present version: its text, the version it was in, and the names of the steps that changed something."""

    text: str
    version: int
    steps: tuple[str, ...]


def lift(text: str, shown: str) -> Lifted:
    """`text`, a page called `shown` in messages, in the present version of the language.

    Raises: PageError where it can't be read or lifted, with everything that is in the way; ExptError for a bug of ours.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    text = text if text.endswith("\n") else text + "\n"
    first = version = _version(text, shown)
    steps: list[str] = []
    while version < CURRENT:
        prepare, chain = CHAIN[version]
        _edits(chain, text, shown)  # told with the places of the text as it is
        ready = prepare(text)
        made = _edits(chain, ready, shown)
        steps += [name for name, edits in made if edits]
        lifted = apply(ready, [edit for _, edits in made for edit in edits])
        if comments(lifted) != comments(text) or _version(lifted, shown) != version + 1:
            raise ExptError(
                f"{shown}: lifting it would lose something", hint="this is a bug of ours: please report it with the page"
            )
        text, version = lifted, version + 1
    return Lifted(text, first, tuple(steps))


def _edits(chain: tuple[Step, ...], text: str, shown: str) -> list[tuple[str, list[Edit]]]:
    """The edits of each step, by its name. Raises: PageError."""
    draft = Draft(text, spans(text), shown, Problems())
    made = [(step.name, step.look(draft)) for step in chain]
    draft.problems.raise_if_fatal()
    return made


def _version(text: str, shown: str) -> int:
    """The version of the language that `text` says it is in. Raises: PageError."""
    problems = Problems()
    tree = parse(text, shown, problems)
    problems.raise_if_fatal()
    assert isinstance(tree, Mapping)
    key = "expt" if "expt" in tree.items else "version"
    node = tree.get(key)
    if node is None:
        hint = "begin it with `expt: 1`, or with `version: 0` where it is of the draft before that"
        problems.add(Problem("missing-key", "the page doesn't say its version of the language", Place(shown, 1, 1), hint=hint))
    elif not isinstance(node, Scalar) or type(node.value) is not int or (key, node.value) not in (("version", 0), ("expt", 1)):
        known = "`version: 0` or `expt: 1`"
        problems.add(Problem("language-version", "this version of the language is unknown", node.place, key, expected=known))
    problems.raise_if_fatal()
    assert isinstance(node, Scalar) and isinstance(node.value, int)
    return node.value
