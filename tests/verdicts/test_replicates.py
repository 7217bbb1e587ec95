"""What counts as a replicate when trials share stages."""

from __future__ import annotations

import itertools

import pytest

from interpreter.plan.types import Input, Plan, Stage
from interpreter.verdicts.replicates import Replicates, replicates
from interpreter.verdicts.types import Pair
from tests.plans import make_fit


def crossed(backbones: int, heads: int) -> tuple[Plan, list[Stage]]:
    """A plan of `heads` heads on each of `backbones` backbones, and the heads in nested order."""
    bodies = [make_fit("backbone", seed) for seed in range(backbones)]
    tops = [
        make_fit("head", seed, inputs=(Input("start", b.key, "best", "encoder"),))
        for b, seed in itertools.product(bodies, range(heads))
    ]
    stages = {stage.key: stage for stage in (*bodies, *tops)}
    return Plan("2024-06-28", "", "", "", "", "", (), stages), tops


def against_zero(plan: Plan, tops: list[Stage], values: list[float]) -> Replicates:
    pairs = [Pair(i, value, 0.0) for i, value in enumerate(values)]
    return replicates(plan, pairs, {i: ((top.key,), ()) for i, top in enumerate(tops)}, {}, same_measure=False)


def test_independent_trials_are_replicates() -> None:
    plan, tops = crossed(4, 1)
    made = against_zero(plan, tops, [1, 2, 3, 4])
    assert (made.differences.tolist(), made.given, made.notes) == ([1, 2, 3, 4], (), ())


def test_heads_on_one_backbone_are_replicates_given_it() -> None:
    plan, tops = crossed(1, 3)
    made = against_zero(plan, tops, [1, 2, 4])
    assert (made.differences.tolist(), made.given, made.notes) == ([1, 2, 4], ("backbone",), ())


def test_heads_on_two_backbones_are_two_replicates() -> None:
    plan, tops = crossed(2, 3)
    made = against_zero(plan, tops, [1, 2, 3, 5, 6, 7])
    assert (made.differences.tolist(), made.given) == ([2, 6], ())
    assert made.notes == ("6 trials in 2 groups that share a stage: a group's mean is one replicate",)


def test_equal_records_count_once() -> None:
    plan, tops = crossed(2, 1)
    made = against_zero(plan, [tops[0], tops[0], tops[1]], [1, 1, 3])
    assert made.differences.tolist() == [1, 3]
    assert made.notes == ("3 seeds, but only 2 different records: equal ones count once",)


@pytest.mark.parametrize(("same_measure", "same"), [(True, True), (False, False)])
def test_two_readings_of_one_record_are_the_same_only_by_one_measure(same_measure: bool, same: bool) -> None:
    plan, tops = crossed(3, 1)
    pairs = [Pair(i, 0.5, 0.5) for i in range(3)]
    keys = {i: ((top.key,), (top.key,)) for i, top in enumerate(tops)}
    assert replicates(plan, pairs, keys, {}, same_measure=same_measure).same_record is same


def test_what_all_pairs_have_a_part_in_is_given_on_whichever_side() -> None:
    # The left side of seed 0 is the fit that the right side of seed 1 starts from: independent only given that fit.
    plan, tops = crossed(2, 1)
    body = plan.stages[tops[1].inputs[0].key]
    pairs = [Pair(0, 1.0, 0.0), Pair(1, 3.0, 0.0)]
    made = replicates(plan, pairs, {0: ((body.key,), (tops[0].key,)), 1: ((), (tops[1].key,))}, {}, same_measure=False)
    assert made.given == ("backbone",)
    assert made.differences.tolist() == [1.0, 3.0]
