"""Seeds that are added until claims are decided: which verdicts ask for more, for which arms, and what they say meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpreter.check.anytime import half_width
from interpreter.check.types import Growth
from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.run.seeds import Wanted
from interpreter.spec.measures import Measure
from interpreter.verdicts.growth import more_seeds
from interpreter.verdicts.judge import judge
from interpreter.verdicts.types import Judgement
from tests.plans import make_claim, make_plan, make_project, write_record, write_records

ACCURACY = {"accuracy": Measure(metric="val/accuracy", read="best")}
RNG = np.random.default_rng(0)
# Against `a`: `far` is decided with six seeds, `near` is not.
A = list(0.80 + 0.01 * RNG.normal(size=12))
VALUES = {
    "a": A,
    "far": [x + 0.1 + 0.01 * (i % 3) for i, x in enumerate(A)],
    "near": [x + 0.02 * (-1) ** i for i, x in enumerate(A)],
}


def grown(
    seeds: int, claims: list[Any], most: int = 9, alpha: float = 0.05, arms: tuple[str, ...] = ("a", "far", "near")
) -> Plan:
    set_ = {"far": {"head.dropout": 0.5}, "near": {"head.dropout": 0.1}}
    growth = Growth(("lba",), 6, most, alpha)
    return make_plan(
        {arm: ["lba"] for arm in arms}, seeds=seeds, epochs=2, set_=set_, measures=ACCURACY, claims=claims, growth=growth
    )


def judged(project: Project, plan: Plan) -> Judgement:
    write_records(project, plan, lambda arm, seed, stage: {"val/loss": [1, 1], "val/accuracy": [0, VALUES[arm][seed]]})
    ingest(project, [plan])
    (judgement,) = judge(project, plan)
    return judgement


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


FAR, NEAR = make_claim("far > a", name="far"), make_claim("near > a", name="near")


def test_only_the_arms_of_what_is_not_decided_get_one_more(project: Project) -> None:
    plan = grown(6, [FAR, NEAR])
    judgement = judged(project, plan)
    assert [v.state for v in judgement.verdicts] == ["supported", "undecided"]
    entry = plan.entries[0].id
    assert more_seeds(plan, [judgement]) == (Wanted(entry, "a", 7, ("near",)), Wanted(entry, "near", 7, ("near",)))


def test_the_interval_is_that_of_the_sequence_at_an_equal_share_of_the_error(project: Project) -> None:
    far, near = judged(project, grown(8, [FAR, NEAR], alpha=0.1)).verdicts
    for verdict, arm in ((far, "far"), (near, "near")):
        d = np.subtract(VALUES[arm][:8], A[:8])
        assert verdict.level == pytest.approx(0.95)
        assert verdict.lo is not None and verdict.hi is not None
        assert verdict.hi - verdict.lo == pytest.approx(2 * half_width(8, 0.95) * d.std(ddof=1))
        assert verdict.seeds_to_settle is None
    assert far.method == (
        "paired confidence sequence (normal mixture, g = 1) over seeds, its error shared equally in a family of 2"
    )
    assert near.explanation.endswith("; there may be 1 more seed")


def test_there_is_an_end_to_it(project: Project) -> None:
    plan = grown(9, [NEAR])
    judgement = judged(project, plan)
    assert more_seeds(plan, [judgement]) == ()
    assert judgement.verdicts[0].explanation.endswith("; the page allows no more seeds")


def test_an_arm_that_another_claim_gave_more_is_met_by_its_partner(project: Project) -> None:
    plan = grown(8, [NEAR])
    (entry,) = plan.entries
    arms = tuple(replace(arm, trials=arm.trials[:6]) if arm.name == "near" else arm for arm in entry.arms)
    plan = replace(plan, entries=(replace(entry, arms=arms),))
    judgement = judged(project, plan)
    assert judgement.verdicts[0].n == 6
    assert "left out, having no partner: seeds 6,7, added for other claims" in judgement.verdicts[0].notes
    assert more_seeds(plan, [judgement]) == (Wanted(entry.id, "near", 7, ("near",)),)


def test_what_more_seeds_can_not_decide_asks_for_none(project: Project) -> None:
    same = make_claim("a > b", name="same")
    best = make_claim("best thaw > a", name="best", points={"thaw": ["far", "near"]}, chosen_by="accuracy")
    plan = grown(6, [best, make_claim("a > 0.5", over="examples", name="examples")])
    assert more_seeds(plan, [judged(project, plan)]) == ()
    both = make_plan(
        {"a": ["lba"], "b": ["lba"]}, seeds=6, epochs=2, measures=ACCURACY, claims=[same], growth=Growth(("lba",), 6, 9, 0.05)
    )
    VALUES["b"] = A
    judgement = judged(project, both)
    assert judgement.verdicts[0].state == "undecided"
    assert more_seeds(both, [judgement]) == ()


def test_a_side_that_has_a_fixed_number_of_seeds_keeps_the_other_from_growing(project: Project) -> None:
    plan = grown(6, [NEAR])
    (entry,) = plan.entries
    arms = tuple(replace(arm, growth=None) if arm.name == "a" else arm for arm in entry.arms)
    plan = replace(plan, entries=(replace(entry, arms=arms),))
    judgement = judged(project, plan)
    assert judgement.verdicts[0].open
    assert "confidence sequence" in judgement.verdicts[0].method
    assert more_seeds(plan, [judgement]) == ()


def test_what_is_missing_is_run_before_anything_is_added(project: Project) -> None:
    plan = grown(6, [NEAR])
    stopped = plan.entries[0].arms[0].trials[3].key_of("lba")
    for arm in plan.entries[0].arms:
        for trial in arm.trials:
            if (key := trial.key_of("lba")) != stopped:
                write_record(project, plan.stages[key], {"val/loss": [1, 1], "val/accuracy": [0, VALUES[arm.name][trial.seed]]})
    ingest(project, [plan])
    (judgement,) = judge(project, plan)
    assert judgement.verdicts[0].state == "incomplete"
    assert more_seeds(plan, [judgement]) == ()


def test_fewer_than_an_interval_needs_are_told_as_that(project: Project) -> None:
    (verdict,) = judged(project, grown(3, [NEAR])).verdicts
    assert (verdict.state, verdict.lo) == ("undecided", None)
    assert verdict.explanation.endswith("undecided, too few seeds for an interval that may be looked at after each of them")
