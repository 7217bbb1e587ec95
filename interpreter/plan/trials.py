"""The trials of an arm: which seeds its stages have in each."""

from __future__ import annotations

import itertools

from interpreter.check.types import CheckedArm


def replicates(arm: CheckedArm) -> list[tuple[int, dict[str, int]]]:
    """Each trial of `arm` as its label and the seed of each stage: every combination of the levels that were given.

    The label is the seed where one level varies; with several, trials are counted from 0 in nested order.
    """
    names = list(arm.seeds)
    if not arm.levels:
        seeds = arm.seeds[names[0]]
        return [(seed, dict.fromkeys(names, seed)) for seed in seeds]
    out = []
    varying = [level for level in arm.levels if len(arm.seeds[level]) > 1]
    for index, seeds in enumerate(itertools.product(*(arm.seeds[level] for level in arm.levels))):
        chosen = dict(zip(arm.levels, seeds, strict=True))
        levels, current = {}, seeds[0]
        for name in names:
            current = chosen.get(name, current)
            levels[name] = current
        label = chosen[varying[0]] if len(varying) == 1 else index
        out.append((label, levels))
    return out
