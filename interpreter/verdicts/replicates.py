"""Which pairs of trials are replicates of a comparison, and what they have in common that no replicate varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from interpreter.plan.differences import ancestors
from interpreter.plan.types import Plan
from interpreter.verdicts.intervals import Floats
from interpreter.verdicts.types import Pair

Keys = tuple[str, ...]
"""Keys of the stages that one side of a comparison is read off: one, several where points are taken together, () for a number."""


@dataclass(frozen=True, slots=True)
class Replicates:
    """Differences (n,), one for each independent replicate, and what to say about how they came about.

    `given`: names of the stages that are one and the same in every pair: the claim is about these, whatever the seed.
    """

    differences: Floats
    given: tuple[str, ...]
    same_record: bool
    notes: tuple[str, ...]


def replicates(
    plan: Plan,
    pairs: Sequence[Pair],
    keys: Mapping[int, tuple[Keys, Keys]],
    names: Mapping[str, str],
    *,
    same_measure: bool,
) -> Replicates:
    """The replicates in `pairs`. `keys`: seed -> keys of the stages that the two sides are read off.
    `names`: key -> what the arms call a stage.

    Pairs read off the same records are one replicate. Pairs that share a stage which not all share are averaged
    into one: they say one thing about that stage, however many seeds came after it. What all pairs share is `given`.
    """
    distinct: dict[tuple[Keys, Keys], Pair] = {}
    for pair in pairs:
        distinct.setdefault(keys[pair.seed], pair)
    notes: list[str] = []
    if len(distinct) < len(pairs):
        notes.append(
            f"{len(pairs)} seeds, but only {len(distinct)} different record{'s' * (len(distinct) != 1)}: equal ones count once"
        )
    made_of = [
        {s.key: names.get(s.key, s.name) for side in both for key in side for s in ancestors(plan, key)} for both in distinct
    ]
    common = set.intersection(*(set(stages) for stages in made_of)) if len(made_of) > 1 else set()
    given = tuple(dict.fromkeys(name for key, name in (made_of[0].items() if made_of else ()) if key in common))
    groups = _groups([set(stages) - common for stages in made_of])
    values = np.array([pair.difference for pair in distinct.values()], dtype=np.float64)
    if len(groups) < len(values):
        notes.append(f"{len(values)} trials in {len(groups)} groups that share a stage: a group's mean is one replicate")
        values = np.array([values[members].mean() for members in groups])
    same = bool(distinct) and same_measure and all(a and a == b for a, b in distinct)
    return Replicates(values, given, same, tuple(notes))


def _groups(sets: Sequence[set[str]]) -> list[list[int]]:
    """Indices of `sets` in groups, so that sets with a common element, directly or through others, are in one."""
    owner: dict[str, int] = {}
    parent = list(range(len(sets)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, elements in enumerate(sets):
        for element in elements:
            if element in owner:
                parent[root(i)] = root(owner[element])
            else:
                owner[element] = i
    groups: dict[int, list[int]] = {}
    for i in range(len(sets)):
        groups.setdefault(root(i), []).append(i)
    return list(groups.values())
