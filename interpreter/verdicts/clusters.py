"""Examples that belong together, by what their ids share: views of one structure, frames of one film."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

SEPARATORS = "/:"


def clusters(ids: Sequence[str], rule: str) -> tuple[Ints, int]:
    """The cluster of each id, (N,) from 0, and how many there are.

    rule: "" (each example is one of its own), "prefix" (ids that share the part before the first `/` or `:`) or "prefix SEP"
    (before the first SEP, such as `_`). An id without a separator is a cluster of its own. 0 clusters: the rule is not one of
    these, or cuts no id at all.
    """
    if not rule:
        return np.arange(len(ids), dtype=np.int64), len(ids)
    cut = _cutter(rule)
    parts = [cut(i) for i in ids] if cut is not None else list(ids)
    if parts == list(ids):
        return np.zeros(len(ids), dtype=np.int64), 0
    names, places = np.unique(np.array(parts, dtype=np.str_), return_inverse=True)
    return places.astype(np.int64).ravel(), len(names)


def _cutter(rule: str) -> Callable[[str], str] | None:
    word, _, separator = rule.partition(" ")
    if word != "prefix":
        return None
    marks = [separator] if separator else list(SEPARATORS)

    def cut(text: str) -> str:
        ends = [place for place in map(text.find, marks) if place >= 0]
        return text[: min(ends)] if ends else text

    return cut
