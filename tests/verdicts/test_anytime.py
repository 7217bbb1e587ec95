"""Intervals that may be looked at after every seed: by their definition, and by simulation for each kind of claim."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from interpreter.check.anytime import fewest, half_width
from interpreter.verdicts.compare import ALPHA, DECIDED, Question, answer_at, decide
from interpreter.verdicts.evidence import Evidence, Points
from interpreter.verdicts.intervals import Bracket, Sample

REPEATS = 1000
MOST = 30
Make = Callable[[np.ndarray], Evidence]


def e_process(mu: float, values: np.ndarray, g: float = 1.0) -> float:
    """The e-value against the mean `mu`, written as it is defined."""
    n = len(values)
    nu = n - 1
    t2 = n * (values.mean() - mu) ** 2 / values.var(ddof=1)
    return (1 + n * g) ** -0.5 * ((1 + t2 / nu) / (1 + t2 / (nu * (1 + n * g)))) ** (n / 2)


def grown(values: np.ndarray) -> Sample:
    return Sample(values, anytime=True)


@pytest.mark.parametrize("n", [6, 9, 20, 200])
@pytest.mark.parametrize("level", [0.95, 1 - 0.05 / 3])
def test_the_ends_are_where_the_e_value_reaches_its_bound(n: int, level: float) -> None:
    values = np.random.default_rng(n).normal(0.3, 2.0, n)
    interval = grown(values).interval(level)
    assert interval is not None
    for end in interval:
        assert e_process(end, values) == pytest.approx(1 / (1 - level))
    inside = values.mean() + 0.99 * (interval[1] - values.mean())
    assert e_process(inside, values) < 1 / (1 - level)


def test_with_few_seeds_it_is_the_whole_line() -> None:
    assert [fewest(level) for level in (0.95, 1 - 0.05 / 2, 1 - 0.05 / 3, 1 - 0.05 / 10)] == [5, 6, 6, 7]
    assert math.isinf(half_width(4, 0.95)) and math.isinf(half_width(1, 0.95))
    assert half_width(5, 0.95) < math.inf
    assert grown(np.array([0.1, 0.2, 0.15, 0.12])).interval(0.95) is None


def test_its_width_is_the_one_the_documentation_has_and_above_that_of_students_t() -> None:
    assert half_width(20, 0.95) == pytest.approx(0.77, abs=0.005)
    for n in range(5, 200):
        assert half_width(n, 0.95) > stats.t.ppf(0.975, n - 1) / math.sqrt(n)
    assert half_width(10_000, 0.95) < 0.04


def stops(values: np.ndarray, make: Make, relation: str, margin: float, level: float, first: int = 5) -> tuple[str, int]:
    """The state at which looking after every seed ends, and after how many."""
    for n in range(first, len(values) + 1):
        answer = answer_at(Question(relation, margin, make(values[:n])), level)
        if answer.state in DECIDED:
            return answer.state, n
    return "undecided", len(values)


def test_peeking_at_students_t_is_wrong_a_quarter_of_the_time_and_this_is_not() -> None:
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(REPEATS, MOST + 1))
    peeked = np.mean([stops(values, Sample, "<", 0.0, 0.95, first=2)[0] != "undecided" for values in drawn])
    held = np.mean([stops(values, grown, "<", 0.0, 0.95, first=2)[0] != "undecided" for values in drawn])
    assert 0.22 < peeked < 0.30
    assert held < 0.03


@pytest.mark.parametrize(("effect", "median"), [(1.0, 12), (1.5, 8), (2.0, 7)])
def test_effects_are_settled_at_the_seeds_that_the_documentation_has(effect: float, median: int) -> None:
    rng = np.random.default_rng(2)
    found = [stops(values, grown, ">", 0.0, 0.95) for values in rng.normal(effect, 1.0, (600, 60))]
    assert abs(float(np.median([n for _, n in found])) - median) <= 1
    assert all(state == "supported" for state, _ in found)


def test_of_three_claims_one_of_a_standard_deviation_is_settled_by_twenty_seeds_in_three_quarters_of_runs() -> None:
    rng = np.random.default_rng(3)
    found = [stops(values, grown, ">", 0.0, 1 - ALPHA / 3, first=6)[0] for values in rng.normal(1.0, 1.0, (1000, 20))]
    assert abs(found.count("supported") / len(found) - 0.74) < 0.05


# What a claim of each kind is judged by, from columns of independent trials: arm 0 is the baseline of all others.
def _difference(trials: np.ndarray) -> Evidence:
    return grown(trials[:, 1] - trials[:, 0])


def _value(trials: np.ndarray) -> Evidence:
    return grown(trials[:, 1])


def _mean_of_points(trials: np.ndarray) -> Evidence:
    return grown(trials[:, 1:].mean(axis=1) - trials[:, 0])


def _slope(trials: np.ndarray) -> Evidence:
    at = np.arange(trials.shape[1]) - (trials.shape[1] - 1) / 2
    return grown(trials @ at / (at @ at))


def _all_of(trials: np.ndarray) -> Evidence:
    return _points(trials, "all")


def _any_of(trials: np.ndarray) -> Evidence:
    return _points(trials, "any")


def _points(trials: np.ndarray, quantifier: str) -> Evidence:
    parts = tuple(grown(trials[:, i] - trials[:, 0]) for i in range(1, trials.shape[1]))
    return Points(tuple(map(str, range(len(parts)))), parts, quantifier)  # type: ignore[arg-type]


def _shape(trials: np.ndarray) -> Evidence:
    """A number that is known between two others, where it is the lower of them: what lies above says nothing."""
    return Bracket(trials[:, 1], anytime=True, upper=trials[:, 1] + 0.4 + 0.1 * trials[:, 2])


# Of each kind the means of the arms, at which neither the claim nor its opposite is true, by as little as can be.
CASES: dict[str, tuple[Make, list[float], str, float]] = {
    "order, no difference": (_difference, [0, 0], "<", 0.0),
    "order, just at the margin": (_difference, [0, -0.8], "<", 0.8),
    "likeness, at its edge": (_difference, [0, 0.8], "~", 0.8),
    "likeness, wide": (_difference, [0, 3.0], "~", 3.0),
    "value": (_value, [0, 0], ">", 0.0),
    "mean of points": (_mean_of_points, [0, 0.5, -0.5], "<", 0.0),
    "trend, none": (_slope, [0, 0, 0, 0], ">", 0.0),
    "all points, one not": (_all_of, [0, -3, -3, 0], "<", 0.0),
    "all points, all level": (_all_of, [0, 0, 0, 0], "<", 0.0),
    "any point, none": (_any_of, [0, 0, 0, 0], "<", 0.0),
    "flat: all contrasts, one at the edge": (_all_of, [0, 0, 0, 1.0], "~", 1.0),
    "shape, none": (_shape, [0, 0, 0], ">", 0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_false_verdicts_of_each_kind_stay_below_alpha_when_looked_at_after_every_seed(name: str) -> None:
    make, means, relation, margin = CASES[name]
    rng = np.random.default_rng(4)
    repeats, states = 800, []
    for trials in rng.normal(size=(repeats, 20, len(means))) + np.array(means):
        states.append(stops(trials, make, relation, margin, 1 - ALPHA)[0])
    wrong = sum(_false(state, name, relation) for state in states)
    assert wrong / repeats < ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / repeats)


def _false(state: str, name: str, relation: str) -> bool:
    """At all these truths the claim is just not true, and its opposite isn't either."""
    if relation == "~":  # at the edge of the range: neither within nor beyond
        return state in ("supported", "contradicted")
    if "margin" in name:  # 0.8 below is not more than 0.8 below; it is no likeness and no opposite either
        return state in ("supported", "equivalent", "contradicted")
    return state in ("supported", "contradicted")


def test_a_reference_with_a_spread_of_its_own_is_covered_too() -> None:
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(1500):
        theirs = rng.normal(size=3)
        se, df = theirs.std(ddof=1) / math.sqrt(3), 2
        values = rng.normal(size=20) - theirs.mean()
        wrong += (
            stops(values, lambda v, se=se, df=df: Sample(v, se, df, anytime=True), ">", 0.0, 0.95)[0] != "undecided"  # type: ignore[misc]
        )
    assert wrong / 1500 < ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 1500)


def test_levels_of_a_family_do_not_follow_from_what_was_decided() -> None:
    rng = np.random.default_rng(6)
    clear, open_ = grown(rng.normal(5, 1, 12)), grown(rng.normal(0, 1, 12))
    questions = [Question(">", 0.0, clear), Question(">", 0.0, open_)]
    assert [a.level for a in decide(questions, 2)] == pytest.approx([0.975, 0.95])
    assert [a.level for a in decide(questions, 2, 0.1, stepping=False)] == pytest.approx([0.95, 0.95])
