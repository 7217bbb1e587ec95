"""From records to verdicts on sweeps: all, any, mean and best points, main effects, what is missing and what is confounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.spec.claims import Claim
from interpreter.spec.measures import Measure
from interpreter.verdicts.judge import judge
from interpreter.verdicts.types import Verdict
from tests.plans import make_claim, make_plan, make_project, write_record, write_records

MEASURES = {"accuracy": Measure(metric="val/accuracy", read="best")}
THAW = ("thaw[size=1]", "thaw[size=2]", "thaw[size=3]")
POINTS = {"thaw": THAW}
NAIVE = [0.80, 0.82, 0.78, 0.81, 0.79]
VALUES: dict[str, Sequence[float]] = {
    "naive": NAIVE,
    THAW[0]: [0.88, 0.89, 0.86, 0.90, 0.87],
    THAW[1]: [0.84, 0.85, 0.83, 0.86, 0.82],
    THAW[2]: [0.92, 0.93, 0.91, 0.95, 0.93],
}


def plan_of(claims: Sequence[Claim], seeds: int = 5, arms: Sequence[str] = tuple(VALUES), **more: Any) -> Plan:
    """A plan of an arm `naive` and a sweep `thaw` over the dropout of the head."""
    changed = {name: {"head.dropout": i / 10} for i, name in enumerate(VALUES) if name in arms}
    fields: dict[str, Any] = {"set_": changed, "measures": MEASURES, "epochs": 4, **more}
    return make_plan({arm: ["lba"] for arm in arms}, seeds=seeds, claims=claims, **fields)


def curve(best: float) -> dict[str, list[float]]:
    """A history of four epochs whose third has the best accuracy."""
    return {"val/loss": [0.9, 0.8, 0.6, 0.7], "val/accuracy": [best - 0.2, best - 0.1, best, best - 0.01]}


def record(project: Project, plan: Plan, values: Mapping[str, Sequence[float]] = VALUES) -> None:
    write_records(project, plan, lambda arm, seed, stage: curve(values[arm][seed]))


def verdicts_of(project: Project, plan: Plan) -> tuple[Verdict, ...]:
    ingest(project, [plan])
    (judgement,) = judge(project, plan)
    return judgement.verdicts


def verdict_of(project: Project, plan: Plan) -> Verdict:
    (verdict,) = verdicts_of(project, plan)
    return verdict


def interval(arm: str, level: float) -> tuple[float, float]:
    found = stats.ttest_rel(VALUES[arm], NAIVE).confidence_interval(level)
    return float(found.low), float(found.high)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def test_all_points_are_above(project: Project) -> None:
    plan = plan_of([make_claim("all thaw > naive", margin=0.02, points=POINTS)])
    record(project, plan)
    found = verdict_of(project, plan)
    level = 1 - 0.05 / 3
    assert (found.state, found.n, found.family) == ("supported", 5, 1)
    assert found.effect == pytest.approx(0.04)  # that of the worst point
    lows, highs = [interval(arm, 0.95)[0] for arm in THAW], [interval(arm, level)[1] for arm in THAW]
    assert (found.lo, found.hi) == pytest.approx((min(lows), min(highs)))
    assert [pair.a for pair in found.pairs] == VALUES[THAW[1]]
    assert found.explanation.startswith("thaw[size=2], the worst of 3 points, reaches a higher accuracy than naive by 0.040 (")
    assert found.explanation.endswith("supported, margin 0.02")
    assert found.method == "paired Student t over seeds, all of 3 by intersection-union"
    assert "taken by themselves 3 of 3 are supported" in found.notes


def test_all_and_any_at_a_margin_that_two_points_pass(project: Project) -> None:
    claims = [
        make_claim("all thaw > naive", margin=0.08, points=POINTS, name="all"),
        make_claim("any thaw > naive", margin=0.06, points=POINTS, name="any"),
        make_claim("all thaw < naive", points=POINTS, name="wrong"),
        make_claim("naive < any thaw", margin=0.06, points=POINTS, name="turned"),
        make_claim("all thaw ~ naive", margin=0.06, points=POINTS, name="alike"),
        make_claim("any thaw ~ naive", margin=0.08, points=POINTS, name="one-alike"),
        make_claim("all thaw > 0.75", points=POINTS, name="value"),
    ]
    plan = plan_of(claims)
    record(project, plan)
    found = {verdict.claim.name: verdict for verdict in verdicts_of(project, plan)}
    states = {name: verdict.state for name, verdict in found.items()}
    # The smallest effect, 0.04, is within the margin for certain; the largest passes it.
    assert states == {
        "all": "equivalent", "any": "supported", "wrong": "contradicted", "turned": "supported", "alike": "contradicted",
        "one-alike": "supported", "value": "supported",
    }  # fmt: skip
    assert found["any"].effect == pytest.approx(0.128)
    assert found["turned"].effect == pytest.approx(-0.128)
    assert "thaw[size=3], the best of 3 points," in found["turned"].explanation
    assert "thaw[size=3], the farthest of 3 points," in found["alike"].explanation
    assert "thaw[size=2], the nearest of 3 points," in found["one-alike"].explanation
    assert found["value"].method.startswith("one-sample Student t over seeds, all of 3")
    assert "taken by themselves 2 of 3 are supported: all but thaw[size=2]" in found["any"].notes
    assert "taken by themselves 1 of 3 are supported: thaw[size=2]" in found["one-alike"].notes


def test_the_mean_of_points_is_one_number_a_seed(project: Project) -> None:
    plan = plan_of([make_claim("mean thaw > naive", margin=0.02, points=POINTS)])
    record(project, plan)
    found = verdict_of(project, plan)
    means = np.mean([VALUES[arm] for arm in THAW], axis=0)
    want = stats.ttest_rel(means, NAIVE).confidence_interval(0.95)
    assert (found.state, found.n) == ("supported", 5)
    assert (found.effect, found.lo, found.hi) == pytest.approx((np.mean(means - NAIVE), want.low, want.high))
    assert found.explanation.startswith("mean thaw reaches a higher accuracy than naive by")


def test_the_mean_waits_for_all_points(project: Project) -> None:
    plan = plan_of([make_claim("mean thaw > naive", points=POINTS)], seeds=2)
    for arm in plan.entries[0].arms:
        for trial in arm.trials:
            if (arm.name, trial.seed) != (THAW[1], 1):
                write_record(project, plan.stages[trial.key_of("lba")], curve(VALUES[arm.name][trial.seed]))
    found = verdict_of(project, plan)
    assert found.state == "incomplete"
    assert [pair.seed for pair in found.pairs] == [0]
    assert "incomplete, 1 of 2 pairs are there: thaw[size=2] at seed 1: lba was not run" in found.explanation


def test_missing_points_keep_all_from_being_judged(project: Project) -> None:
    plan = plan_of([make_claim("all thaw > naive", points=POINTS)], seeds=2)
    for arm in plan.entries[0].arms:
        if arm.name != THAW[1]:
            for trial in arm.trials:
                write_record(project, plan.stages[trial.key_of("lba")], curve(VALUES[arm.name][trial.seed]))
    found = verdict_of(project, plan)
    assert (found.state, found.effect) == ("incomplete", None)
    assert found.explanation.endswith(
        "incomplete, 4 of 6 pairs are there: thaw[size=2] at seed 0: lba was not run; thaw[size=2] at seed 1: lba was not run"
    )


def test_a_sweep_that_was_not_begun_is_named_as_one(project: Project) -> None:
    plan = plan_of([make_claim("all thaw > naive", points=POINTS)])
    for trial in plan.entries[0].arms[0].trials:
        write_record(project, plan.stages[trial.key_of("lba")], curve(0.8))
    assert verdict_of(project, plan).explanation == "all thaw.accuracy > naive.accuracy: not-run, thaw was not run"


def test_a_main_effect_is_over_matched_points(project: Project) -> None:
    arms = [f"thaw[by={by},size={size}]" for by in ("a", "b") for size in (1, 2)]
    points = {"thaw[by=a]": arms[:2], "thaw[by=b]": arms[2:]}
    values = {
        arms[0]: [0.90, 0.91, 0.92], arms[1]: [0.70, 0.73, 0.71], arms[2]: [0.86, 0.85, 0.88], arms[3]: [0.65, 0.66, 0.65],
    }  # fmt: skip
    changed = {arm: {"head.dropout": i // 2 / 10, "model.hidden": [32 + i % 2]} for i, arm in enumerate(arms)}
    plan = make_plan(
        {arm: ["lba"] for arm in arms}, seeds=3, epochs=4, measures=MEASURES, set_=changed,
        claims=[make_claim("thaw[by=a] > thaw[by=b]", points=points)],
    )  # fmt: skip
    record(project, plan, values)
    found = verdict_of(project, plan)
    differences = np.mean([np.subtract(values[arms[0]], values[arms[2]]), np.subtract(values[arms[1]], values[arms[3]])], axis=0)
    want = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (found.effect, found.lo, found.hi) == pytest.approx((differences.mean(), want.low, want.high))
    assert found.state == "supported"
    assert "mean over 2 matched points: a main effect" in found.notes
    assert found.confounds == ()  # the dropout is what `by` stands for


@pytest.mark.parametrize(
    ("chosen_by", "state"), [("test", "supported"), ("", "undecided"), ("accuracy", "undecided"), ("other", "undecided")]
)
def test_the_best_point_is_chosen_on_other_data(project: Project, chosen_by: str, state: str) -> None:
    measures = {
        **MEASURES, "test": Measure(metric="final/accuracy"), "other": Measure(metric="val/loss", read="best"),
    }  # fmt: skip
    claim = make_claim("best thaw > naive", margin=0.02, points=POINTS, chosen_by=chosen_by)
    plan = plan_of([claim], measures=measures, evaluate=["final"])
    best = [THAW[0], THAW[2], THAW[0], THAW[1], THAW[2]]  # by the evaluation

    def history(arm: str, seed: int, stage: str) -> dict[str, list[float]]:
        if stage == "final":
            return {"final/accuracy": [0.9 if best[seed] == arm else 0.5]}
        return curve(VALUES[arm][seed])

    write_records(project, plan, history)
    found = verdict_of(project, plan)
    assert found.state == state
    if chosen_by == "test":
        assert [pair.a for pair in found.pairs] == [VALUES[arm][seed] for seed, arm in enumerate(best)]
    else:
        # Of equal losses the first point; by the accuracy itself the one with the highest.
        chosen = THAW[0] if chosen_by == "other" else THAW[2]
        assert [pair.a for pair in found.pairs] == list(VALUES[chosen])
        assert "the numbers that are compared have chosen the point" in found.explanation or chosen_by == "other"
        assert any(note.startswith("best thaw is chosen by") for note in found.notes)
        assert found.seeds_to_settle is None


def test_a_favoured_point_that_is_still_worse_contradicts(project: Project) -> None:
    values = {**VALUES, "naive": [0.98, 0.99, 0.97, 0.99, 0.98]}
    plan = plan_of([make_claim("best thaw > naive", points=POINTS)])
    record(project, plan, values)
    assert verdict_of(project, plan).state == "contradicted"


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        (make_claim("thaw > naive", points=POINTS), "thaw has 3 points: say all, any, mean or best"),
        (make_claim("all thaw > any thaw", points=POINTS), "only one side of a claim can speak of all or any of several points"),
    ],
)
def test_points_without_a_word_are_not_compared(project: Project, claim: Claim, why: str) -> None:
    plan = plan_of([claim], seeds=2)
    record(project, plan)
    found = verdict_of(project, plan)
    assert (found.state, found.effect) == ("incomplete", None)
    assert why in found.explanation


def test_a_points_own_setting_is_declared_and_another_is_told_once(project: Project) -> None:
    changed = {arm: {"head.dropout": (i + 1) / 10, "model.hidden": [64]} for i, arm in enumerate(THAW)}
    changed[THAW[2]]["schedule.clip"] = {"norm": 1.0}
    plan = plan_of([make_claim("all thaw > naive", points=POINTS)], set_=changed)
    record(project, plan)
    told = [(c.rule, c.text) for c in verdict_of(project, plan).confounds]
    # `clip` differs among the points: it is part of the sweep too. What all of them have is a confound, once.
    assert told == [("declared", "lba model.hidden: [64] -> [32] (the only difference)")]


def test_another_split_at_one_point_is_unfair_and_names_it(project: Project) -> None:
    changed = {arm: {"head.dropout": (i + 1) / 10} for i, arm in enumerate(THAW)}
    changed[THAW[1]]["data.split_seed"] = 1
    plan = plan_of([make_claim("all thaw > naive", points=POINTS)], set_=changed)
    record(project, plan)
    found = verdict_of(project, plan)
    assert found.state == "unfair"
    assert found.confounds[0].text == "thaw and naive are not measured on the same data: split_seed: 1 -> 0 (at thaw[size=2])"


def test_one_seed_is_anecdotal_whatever_the_number_of_points(project: Project) -> None:
    plan = plan_of([make_claim("all thaw > naive", points=POINTS)], seeds=1)
    record(project, plan)
    found = verdict_of(project, plan)
    assert (found.state, found.n, found.lo) == ("anecdotal", 1, None)
    assert found.effect == pytest.approx(0.04)


def test_a_point_whose_differences_do_not_vary_is_named(project: Project) -> None:
    values = {**VALUES, THAW[0]: [x + 0.1 for x in NAIVE]}
    plan = plan_of([make_claim("all thaw > naive", points=POINTS)])
    record(project, plan, values)
    found = verdict_of(project, plan)
    assert (found.state, found.lo) == ("undecided", None)
    assert "thaw[size=1]: differences do not vary" in found.notes


def test_points_of_one_family_are_one_claim(project: Project) -> None:
    plan = plan_of([make_claim("all thaw > naive", points=POINTS, name="x"), make_claim("thaw[size=1] > naive", name="y")])
    record(project, plan)
    assert [verdict.family for verdict in verdicts_of(project, plan)] == [2, 2]
