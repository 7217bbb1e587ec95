"""All or any of several points: the interval by hand, that it decides as its points do, and the rate of false verdicts."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from interpreter.verdicts.compare import ALPHA, Question, answer_at, decide, despite, seeds_to_settle
from interpreter.verdicts.evidence import Decision, Points
from interpreter.verdicts.intervals import Bracket, Sample
from tests.plans import make_claim

REPEATS = 800


def spread(mean: float, scale: float = 1.0, n: int = 5) -> Sample:
    """A sample with the given mean and a standard deviation of `scale`."""
    z = np.arange(n) - (n - 1) / 2
    return Sample(mean + scale * z / np.std(z, ddof=1))


def points(quantifier: Literal["all", "any"], *samples: Sample) -> Points:
    return Points(tuple(f"p{i}" for i in range(len(samples))), samples, quantifier)


def half(level: float, scale: float = 1.0, n: int = 5) -> float:
    return float(stats.t.ppf((1 + level) / 2, n - 1)) * scale / math.sqrt(n)


@pytest.mark.parametrize(
    ("quantifier", "relation", "largest"), [("all", "<", True), ("any", ">", True), ("all", ">", False), ("any", "<", False)]
)
def test_an_order_is_a_statement_on_the_largest_or_the_smallest(
    quantifier: Literal["all", "any"], relation: str, largest: bool
) -> None:
    found = points(quantifier, spread(-3.0), spread(-1.0, 0.2), spread(-2.0, 2.0)).decision(relation, 0.5, 0.95)
    shared = 1 - 0.05 / 3
    assert found is not None
    if largest:  # the widest interval has the highest upper bound, the narrow one the highest lower bound
        assert (found.lo, found.hi) == pytest.approx((-1 - half(shared, 0.2), -2 + half(0.95, 2.0)))
        assert found.at == 1
    else:
        assert (found.lo, found.hi) == pytest.approx((-2 - half(0.95, 2.0), -3 + half(shared)))
        assert found.at == 0


@pytest.mark.parametrize(
    ("quantifier", "means", "margin", "decided", "at", "adjusted"),
    [
        ("all", (0.1, -0.6), 2.0, "supported", 1, False),  # within everywhere, each at the level itself
        ("all", (0.1, 9.0), 2.0, "contradicted", 1, True),  # outside somewhere, at a shared level
        ("all", (0.1, 1.5), 2.0, "undecided", 1, True),
        ("all", (0.1, 3.5), 2.0, "undecided", 1, True),  # outside at 95 %, not at 97.5 %
        ("any", (0.1, 9.0), 2.0, "supported", 0, True),
        ("any", (-9.0, 3.5), 2.0, "contradicted", 1, False),
        ("any", (-9.0, 0.7), 2.0, "undecided", 1, True),  # within at 95 %, not at 97.5 %
    ],
)
def test_a_likeness_shows_the_point_that_decides(
    quantifier: Literal["all", "any"], means: tuple[float, ...], margin: float, decided: str, at: int, adjusted: bool
) -> None:
    evidence = points(quantifier, *map(spread, means))
    found = answer_at(Question("~", margin, evidence), 0.95)
    wide = half(0.975 if adjusted else 0.95)
    assert (found.state, found.at) == (decided, at)
    assert (found.lo, found.hi) == pytest.approx((means[at] - wide, means[at] + wide))


@given(
    st.sampled_from(["all", "any"]),
    st.sampled_from("<>~"),
    st.lists(st.tuples(st.floats(-4, 4), st.floats(0.1, 2)), min_size=1, max_size=4),
    st.floats(0.1, 3),
)
def test_supported_is_what_the_points_say(
    quantifier: Literal["all", "any"], relation: str, drawn: list[tuple[float, float]], margin: float
) -> None:
    samples = [spread(mean, scale) for mean, scale in drawn]
    state = answer_at(Question(relation, margin, points(quantifier, *samples)), 0.95).state
    level = 0.95 if quantifier == "all" else 1 - 0.05 / len(samples)
    each = [answer_at(Question(relation, margin, sample), level).state == "supported" for sample in samples]
    assert (state == "supported") is (all(each) if quantifier == "all" else any(each))


def test_one_point_alone_is_the_point() -> None:
    alone = spread(-1.0)
    for quantifier in ("all", "any"):
        for relation in "<>~":
            lo, hi = alone.interval(0.95) or (0, 0)
            found = points(quantifier, alone).decision(relation, 0.5, 0.95)  # type: ignore[arg-type]
            assert found == Decision(pytest.approx(lo), pytest.approx(hi), 0)


def test_a_point_without_an_interval_leaves_none() -> None:
    evidence = points("all", spread(-1.0), Sample(np.full(5, -2.0)))
    answer = answer_at(Question("<", 0.0, evidence), 0.95)
    assert (answer.lo, answer.state, answer.at) == (None, "undecided", 0)


# Means of points 1, 2, ... less the baseline, in standard deviations of a trial: several at their edge, or only one.
TRUE = {
    "all at the edge": (0.0, 0.0, 0.0, 0.0),
    "one at the edge": (0.0, -9.0, -9.0, -9.0),
    "at the margin": (-0.8, -0.8, -0.8, -0.8),
    "one at the margin": (-0.8, -9.0, -9.0, -9.0),
    "both edges": (0.8, -0.8, 0.8, -0.8),
    "wide": (3.0, -3.0, 3.0, -3.0),
    "slightly apart": (0.3, 0.0, -0.3, 0.1),
}


def false_verdict(state: str, quantifier: str, relation: str, margin: float, means: tuple[float, ...]) -> bool:
    """Whether a verdict on the extreme point is wrong. On the edge itself an interval that passes it is wrong."""
    if relation == "~":
        size = (max if quantifier == "all" else min)(abs(mean) for mean in means)
        return (state == "supported" and size > margin) or (state == "contradicted" and size <= margin)
    toward = [-mean if relation == "<" else mean for mean in means]
    decisive = min(toward) if quantifier == "all" else max(toward)
    return (
        (state == "supported" and decisive <= margin)
        or (state == "equivalent" and abs(decisive) >= margin)
        or (state == "contradicted" and decisive >= 0)
    )


@pytest.mark.parametrize("relation", ["<", ">", "~"])
@pytest.mark.parametrize("quantifier", ["all", "any"])
@pytest.mark.parametrize("name", TRUE)
def test_false_verdicts_stay_below_alpha_when_points_share_a_baseline(
    name: str, quantifier: Literal["all", "any"], relation: str
) -> None:
    means = TRUE[name]
    rng = np.random.default_rng(31)
    trials = rng.normal(size=(REPEATS, 5, len(means) + 1))
    differences = trials[..., 1:] + np.array(means) - trials[..., :1]
    for margin in (0.0, 0.8, 3.0) if relation != "~" else (0.8, 3.0):
        wrong = 0
        for each in differences:
            evidence = points(quantifier, *(Sample(column) for column in each.T))
            (answer,) = decide([Question(relation, margin, evidence)], 1)
            wrong += false_verdict(answer.state, quantifier, relation, margin, means)
        assert wrong / REPEATS < ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / REPEATS), margin


def test_without_the_shared_level_false_contradictions_would_pass_alpha() -> None:
    """What the lower bound at alpha/k is for: by each point's own interval, four points err far too often."""
    rng = np.random.default_rng(32)
    trials = rng.normal(size=(REPEATS, 5, 4))
    wrong = sum(any((Sample(column).interval(0.95) or (0, 0))[0] > 0 for column in each.T) for each in trials)
    assert wrong / REPEATS > ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / REPEATS)


def test_what_was_chosen_by_the_compared_numbers_is_never_supported() -> None:
    pushed_down = frozenset({-1})
    assert despite(pushed_down, "supported", -3, -2) == "undecided"
    assert despite(pushed_down, "equivalent", -0.1, 0.1) == "undecided"
    assert despite(pushed_down, "contradicted", 0.1, 0.3) == "contradicted"  # above although it was chosen for being low
    assert despite(pushed_down, "contradicted", -0.3, -0.1) == "undecided"
    assert despite(frozenset({-1, 1}), "contradicted", 0.1, 0.3) == "undecided"
    assert despite(frozenset(), "supported", -3, -2) == "supported"


def test_a_favoured_claim_does_not_leave_its_family() -> None:
    strong = spread(-9.0)
    favoured, other = decide([Question("<", 0.0, strong, frozenset({-1})), Question("<", 0.0, spread(-1.0))], 2)
    assert (favoured.state, favoured.level, other.level) == ("undecided", 0.975, 0.975)


def test_seeds_to_settle_are_those_of_the_point_that_needs_most() -> None:
    claim = make_claim("a < b", margin=0.5)
    alone = seeds_to_settle(claim, spread(0.0, 0.4), 0.95)
    several = seeds_to_settle(claim, points("all", spread(0.3, 0.1), spread(-0.2, 0.4)), 0.95)
    assert alone == (9, 40)
    assert several is not None
    assert several[0] > 9
    assert several[1] > 40


def test_a_bracket_covers_what_lies_between_its_two_means() -> None:
    low, high = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.8, 0.9])
    found = Bracket(low, upper=high).interval(0.95)
    wide = half(0.95, float(np.std(high, ddof=1)), 3)
    assert found == pytest.approx((0.2 - wide, 0.7 + wide))
    assert Bracket(low[:1], upper=high[:1]).interval(0.95) is None
    assert Bracket(np.zeros(3), upper=np.ones(3)).interval(0.95) is None
    assert seeds_to_settle(make_claim("a < b", margin=0.5), Bracket(low, upper=high), 0.95) is None
