"""The chance of any false verdict in a family stays at alpha, by simulation: also for claims that share arms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from interpreter.verdicts.compare import ALPHA, Question, decide
from interpreter.verdicts.intervals import Sample

Claims = list[tuple[int, int, str, float]]
REPEATS = 1500
# Means of arms 0, 1, ... in units of the trials' standard deviation; claims compare them pairwise.
FAMILIES: dict[str, tuple[list[float], Claims]] = {
    "all equal, every pair": ([0, 0, 0], [(0, 1, "<", 0), (1, 2, "<", 0), (0, 2, ">", 0)]),
    "one far off": ([5, 0, 0], [(0, 1, "<", 0), (1, 2, "<", 0), (0, 2, "<", 0)]),
    "many against one baseline": ([5, 5, 0, 0], [(0, 3, "<", 0), (1, 3, ">", 0), (2, 3, "<", 0)]),
    "at the margin": ([-0.8, 0, 0], [(0, 1, "<", 0.8), (0, 2, "~", 0.8), (1, 2, "<", 0)]),
    "wide likeness at its edge": ([3, 0, 9], [(0, 1, "~", 3), (2, 1, "<", 0), (0, 2, "<", 6)]),
    "nearly equal": ([0.3, 0, 0.3], [(0, 1, "<", 0), (1, 2, "<", 0)]),
    "alone, at the margin": ([-2, 0], [(0, 1, "<", 2)]),
}


def false_verdict(state: str, relation: str, margin: float, true: float) -> bool:
    toward = -true if relation == "<" else true
    if relation == "~":
        return (state == "supported" and abs(true) >= margin) or (state == "contradicted" and abs(true) <= margin)
    return (
        (state == "supported" and toward <= margin)
        or (state == "equivalent" and abs(true) >= margin)
        or (state == "contradicted" and toward >= 0)
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_false_verdicts_of_a_family_stay_below_alpha(name: str) -> None:
    means, claims = FAMILIES[name]
    rng = np.random.default_rng(20)
    wrong = 0
    for trials in rng.normal(size=(REPEATS, 5, len(means))) + np.array(means):
        questions = [Question(r, m, Sample(trials[:, a] - trials[:, b])) for a, b, r, m in claims]
        answers = decide(questions, len(claims))
        wrong += any(
            false_verdict(answer.state, r, m, means[a] - means[b]) for answer, (a, b, r, m) in zip(answers, claims, strict=True)
        )
    assert wrong / REPEATS < ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / REPEATS)


def test_power_of_five_seeds_is_what_the_documentation_says() -> None:
    rng = np.random.default_rng(21)
    alone = [decide([Question("<", 0.0, Sample(d))], 1)[0].state for d in rng.normal(-1, 1, (REPEATS, 5))]
    assert abs(alone.count("supported") / REPEATS - 0.40) < 0.05
    four = [
        decide([Question("<", 0.0, Sample(d)), *[Question("<", 0.0, None)] * 3], 4)[0].state
        for d in rng.normal(-1, 1, (REPEATS, 5))
    ]
    assert abs(four.count("supported") / REPEATS - 0.15) < 0.04
