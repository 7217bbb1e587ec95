"""States from intervals: every one by hand, and that they are a partition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.verdicts.compare import DECIDED, Question, decide, seeds_to_settle, state_of
from interpreter.verdicts.intervals import Sample
from tests.plans import make_claim

numbers = st.floats(-10, 10, allow_nan=False)
margins = st.one_of(st.just(0.0), st.floats(0, 5))


@pytest.mark.parametrize(
    ("relation", "margin", "lo", "hi", "state"),
    [
        ("<", 0.02, -0.05, -0.03, "supported"),
        ("<", 0.02, -0.05, -0.02, "undecided"),  # the bound is reached, not passed
        ("<", 0.02, -0.01, 0.01, "equivalent"),
        ("<", 0.02, 0.001, 0.01, "equivalent"),  # above, but by less than matters
        ("<", 0.02, 0.001, 0.05, "contradicted"),
        ("<", 0.02, -0.03, 0.001, "undecided"),
        ("<", 0.0, -0.03, -0.001, "supported"),
        ("<", 0.0, -0.03, 0.001, "undecided"),
        ("<", 0.0, 0.001, 0.03, "contradicted"),
        (">", 0.02, 0.03, 0.05, "supported"),
        (">", 0.02, -0.05, -0.001, "contradicted"),
        (">", 0.02, -0.01, 0.01, "equivalent"),
        (">", 0.02, 0.01, 0.05, "undecided"),
        ("~", 0.03, -0.02, 0.01, "supported"),
        ("~", 0.03, 0.04, 0.05, "contradicted"),
        ("~", 0.03, -0.05, -0.04, "contradicted"),
        ("~", 0.03, 0.02, 0.05, "undecided"),
        ("~", 0.03, -0.03, 0.01, "undecided"),
        ("~", 0.0, 0.0, 0.0, "undecided"),
    ],
)
def test_states_by_hand(relation: str, margin: float, lo: float, hi: float, state: str) -> None:
    assert state_of(relation, margin, lo, hi) == state


@given(st.sampled_from("<>~"), margins, numbers, numbers)
def test_one_state_for_any_interval(relation: str, margin: float, x: float, y: float) -> None:
    assert state_of(relation, margin, min(x, y), max(x, y)) in DECIDED | {"undecided"}


@given(margins, numbers, numbers)
def test_greater_is_less_turned_round(margin: float, x: float, y: float) -> None:
    lo, hi = min(x, y), max(x, y)
    assert state_of("<", margin, lo, hi) == state_of(">", margin, -hi, -lo)


@given(st.sampled_from("<>~"), margins, numbers, numbers, st.floats(0, 1), st.floats(0, 1))
def test_a_narrower_interval_keeps_a_decision(relation: str, margin: float, x: float, y: float, s: float, t: float) -> None:
    lo, hi = min(x, y), max(x, y)
    inner = sorted((min(max(lo + s * (hi - lo), lo), hi), min(max(lo + t * (hi - lo), lo), hi)))
    outer_state, state = state_of(relation, margin, lo, hi), state_of(relation, margin, inner[0], inner[1])
    if outer_state in DECIDED:
        assert state in DECIDED
        # What is a decision for both is the same, but that "above" may narrow to "above, by less than matters".
        assert state == outer_state or (outer_state, state) == ("contradicted", "equivalent")


@given(st.sampled_from("<>~"), margins, numbers, numbers, numbers)
def test_decided_states_are_true_of_every_value_in_the_interval(
    relation: str, margin: float, x: float, y: float, d: float
) -> None:
    lo, hi = min(x, y), max(x, y)
    if lo <= d <= hi:
        state = state_of(relation, margin, lo, hi)
        toward = {"<": -d, ">": d}.get(relation, 0.0)
        if relation == "~":
            assert state != "supported" or abs(d) < margin
            assert state != "contradicted" or abs(d) > margin
        else:
            assert state != "supported" or toward > margin
            assert state != "equivalent" or abs(d) < margin
            assert state != "contradicted" or toward < 0


def spread(mean: float, n: int = 5, scale: float = 1.0) -> Sample:
    """A sample with the given mean and a standard deviation of `scale`."""
    z = np.arange(n) - (n - 1) / 2
    return Sample(mean + scale * z / np.std(z, ddof=1))


def test_holm_goes_down_only_as_far_as_claims_are_decided() -> None:
    questions = [Question("<", 0.0, spread(m)) for m in (-9.0, -1.7, -1.4, 0.0)]
    answers = decide(questions, 4)
    # t of -1.7 is 3.80, two-sided p 0.019 > 0.05/3: undecided after the first left; -1.4 likewise, at that level.
    assert [a.state for a in answers] == ["supported", "undecided", "undecided", "undecided"]
    assert [a.level for a in answers] == pytest.approx([1 - 0.05 / 4] + [1 - 0.05 / 3] * 3)


def test_holm_reaches_what_bonferroni_does_not() -> None:
    # Two-sided p-values 0.0001, 0.011 and 0.040: Bonferroni decides two, Holm all three.
    questions = [Question("<", 0.0, spread(m)) for m in (-9.0, -2.02, -1.36)]
    answers = decide(questions, 3)
    assert [a.state for a in answers] == ["supported"] * 3
    assert [a.level for a in answers] == pytest.approx([1 - 0.05 / 3, 1 - 0.05 / 3, 0.95])


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=6))
def test_the_decided_are_those_of_holm_on_p_values(means: list[float]) -> None:
    from scipy import stats

    k = len(means)
    p = [2 * float(stats.t.sf(abs(m) * math.sqrt(5), 4)) for m in means]
    rejected = set()
    for rank, i in enumerate(sorted(range(k), key=lambda i: p[i])):
        if p[i] >= 0.05 / (k - rank):
            break
        rejected.add(i)
    answers = decide([Question("<", 0.0, spread(m)) for m in means], k)
    assert {i for i, a in enumerate(answers) if a.state in DECIDED} == rejected


def test_claims_without_data_stay_in_the_family() -> None:
    answers = decide([Question("<", 0.0, spread(-9.0)), Question("<", 0.0, None)], 2)
    assert [a.level for a in answers] == pytest.approx([0.975, 0.95])
    assert answers[1].lo is None
    assert answers[1].state == "undecided"


def test_seeds_to_settle_do_not_look_at_the_effect() -> None:
    claim = make_claim("a < b", margin=0.5)
    ranges = {seeds_to_settle(claim, spread(mean, 5, 0.4), 0.95) for mean in (-0.5, 0.0, 0.7)}
    assert ranges == {(9, 40)}
    assert seeds_to_settle(make_claim("a < b", margin=0.0), spread(0.1), 0.95) is None
    assert seeds_to_settle(claim, Sample(np.array([0.1])), 0.95) is None
