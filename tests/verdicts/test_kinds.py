"""From records to verdicts: trends, curves' shapes, reproduced arms, finished trials, claims over examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from interpreter.plan.types import ArmPlan, Plan, Trial
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.spec.claims import Claim, Side
from interpreter.spec.measures import Measure
from interpreter.verdicts.judge import judge
from interpreter.verdicts.types import Verdict
from tests.claims import make_finishes, make_shape, make_trend
from tests.plans import make_claim, make_fit, make_plan, make_project, write_record, write_records
from tests.verdicts.example_records import classified, logits, write_predicted

ONE = "1 of 3 trials did not reach the planned end: naive at seed 1:"
MEASURES = {"accuracy": Measure(metric="val/accuracy", read="best")}
LEVELS = {"wide[size=1]": 1.0, "wide[size=2]": 2.0, "wide[size=4]": 4.0}
RISING = {
    "wide[size=1]": [0.70, 0.71, 0.69, 0.72, 0.70], "wide[size=2]": [0.72, 0.74, 0.71, 0.75, 0.71],
    "wide[size=4]": [0.77, 0.76, 0.75, 0.79, 0.78],
}  # fmt: skip


def curve(best: float) -> dict[str, list[float]]:
    return {"val/loss": [0.9, 0.8, 0.6, 0.7], "val/accuracy": [best - 0.2, best - 0.1, best, best - 0.01]}


def sweep(claims: Sequence[Claim], **more: Any) -> Plan:
    changed = {arm: {"model.hidden": [int(x)]} for arm, x in LEVELS.items()}
    fields: dict[str, Any] = {"seeds": 5, "set_": changed, "measures": MEASURES, "epochs": 4, **more}
    return make_plan({arm: ["lba"] for arm in LEVELS}, claims=claims, **fields)


def record(project: Project, plan: Plan, values: Mapping[str, Sequence[float]]) -> None:
    write_records(project, plan, lambda arm, seed, stage: curve(values[arm][seed]))


def verdict_of(project: Project, plan: Plan) -> Verdict:
    ingest(project, [plan])
    (judgement,) = judge(project, plan)
    (verdict,) = judgement.verdicts
    return verdict


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def slopes() -> list[float]:
    return [float(stats.linregress([1, 2, 4], [RISING[arm][seed] for arm in LEVELS]).slope) for seed in range(5)]


@pytest.mark.parametrize(("way", "margin", "state"), [("rising", 0.01, "supported"), ("falling", 0.01, "contradicted")])
def test_a_trend_is_the_mean_slope_over_seeds(project: Project, way: str, margin: float, state: str) -> None:
    plan = sweep([make_trend(way, LEVELS, margin=margin)])
    record(project, plan, RISING)
    found = verdict_of(project, plan)
    want = stats.ttest_1samp(slopes(), 0).confidence_interval(0.95)
    assert found.state == state
    assert (found.effect, found.lo, found.hi, found.n) == pytest.approx((np.mean(slopes()), want.low, want.high, 5))
    assert [pair.a for pair in found.pairs] == pytest.approx(slopes())
    assert {pair.b for pair in found.pairs} == {0.0}
    assert found.explanation.startswith("accuracy rises by 0.0220 per unit of size along wide (95 % interval 0.0164 to 0.0276")
    assert found.method == "one-sample Student t over seeds"
    assert found.confounds == ()


def test_flat_bounds_every_contrast(project: Project) -> None:
    wide, near = make_trend("flat", LEVELS, margin=0.02), make_trend("flat", LEVELS, margin=0.1)
    far = sweep([wide])
    record(project, far, RISING)
    found = verdict_of(project, far)
    assert found.state == "contradicted"
    low, high = RISING["wide[size=1]"], RISING["wide[size=4]"]
    want = stats.ttest_rel(high, low).confidence_interval(1 - 0.05 / 3)
    assert (found.effect, found.lo, found.hi) == pytest.approx((np.mean(np.subtract(high, low)), want.low, want.high))
    assert found.explanation.startswith("size 4 and size 1 (the largest of 3 contrasts) differ in accuracy by 0.066")
    assert verdict_of(project, sweep([near])).state == "supported"


def test_two_levels_are_no_trend(project: Project) -> None:
    few = {arm: x for arm, x in LEVELS.items() if x > 1}
    plan = sweep([make_trend("rising", few)])
    record(project, plan, RISING)
    found = verdict_of(project, plan)
    assert (found.state, found.effect) == ("incomplete", None)
    assert found.explanation == (
        "wide.accuracy rising along size: incomplete, a trend needs three points, and two different values of size at least"
    )


def test_a_trend_waits_for_every_level(project: Project) -> None:
    plan = sweep([make_trend("rising", LEVELS)], seeds=2)
    for arm in plan.entries[0].arms[:2]:
        for trial in arm.trials:
            write_record(project, plan.stages[trial.key_of("lba")], curve(0.8))
    found = verdict_of(project, plan)
    assert found.state == "incomplete"
    assert "wide[size=4] at seed 0: lba was not run" in found.explanation


def test_a_trend_measured_on_other_data_is_unfair(project: Project) -> None:
    changed = {arm: {"model.hidden": [int(x)], "data.split_seed": int(x)} for arm, x in LEVELS.items()}
    plan = sweep([make_trend("rising", LEVELS)], set_=changed)
    record(project, plan, RISING)
    assert verdict_of(project, plan).state == "unfair"


def descent(seed: int, epochs: int = 40, rise: float = 0.0, floor: float = 0.2) -> list[float]:
    """A loss that falls until epoch 20 and rises by `rise` from there to the end."""
    t = np.arange(epochs)
    noise = 0.01 * np.random.default_rng(seed).normal(size=epochs)
    course = floor + np.exp(-t / 4) + rise * np.clip((t - 20) / (epochs - 25), 0, 1)
    return [float(x) for x in course + noise]


def shaped(project: Project, claim: Claim, rise: float = 0.0, metric: str = "val/loss", sign: float = 1.0) -> Verdict:
    plan = make_plan(seeds=5, epochs=40, measures=MEASURES, claims=[claim])
    write_records(
        project,
        plan,
        lambda arm, seed, stage: {"val/loss": descent(seed, rise=rise)} | {metric: [sign * x for x in descent(seed, rise=rise)]},
    )
    return verdict_of(project, plan)


def test_overfitting_rises_after_the_minimum(project: Project) -> None:
    found = shaped(project, make_shape("rises_after_min", by=0.1, over_last=5), rise=0.3)
    assert found.state == "supported"
    assert found.effect == pytest.approx(0.27, abs=0.02)  # the rise of 0.3, less what noise alone may have of it
    assert found.explanation.startswith("val/loss of naive rises by 0.2")
    assert "looked at: levels of 5 of 40 epochs" in found.notes
    assert found.method == "one-sample Student t over seeds, from below less what a flat curve with the same noise has"


def test_a_higher_better_metric_is_turned(project: Project) -> None:
    claim = make_shape("rises_after_min", metric="val/accuracy", by=0.1, over_last=5)
    found = shaped(project, claim, rise=0.3, metric="val/accuracy", sign=-1.0)
    assert found.state == "supported"
    assert found.explanation.startswith("val/accuracy of naive falls by 0.2")


@pytest.mark.parametrize(
    ("shape", "by", "rise", "state"),
    [
        ("rises_after_min", 0.05, 0.0, "equivalent"),
        ("plateaus", 0.05, 0.0, "supported"),
        ("plateaus", 0.05, 0.6, "contradicted"),
        ("still_improving", 0.05, 0.0, "equivalent"),
        ("still_improving", 0.05, 0.6, "contradicted"),
        ("stagnant_first", 0.05, 0.0, "contradicted"),
        ("never_improves", 0.1, 0.0, "contradicted"),
    ],
)
def test_shapes_of_a_curve_that_falls_and_may_rise_again(
    project: Project, shape: str, by: float, rise: float, state: str
) -> None:
    assert shaped(project, make_shape(shape, by=by, over_last=15), rise=rise).state == state


def test_a_flat_curve_never_improves(project: Project) -> None:
    plan = make_plan(seeds=5, epochs=40, claims=[make_shape("never_improves", by=0.05)])
    flat = lambda arm, seed, stage: {"val/loss": [0.7 + 0.01 * x for x in np.random.default_rng(seed).normal(size=40)]}  # noqa: E731
    write_records(project, plan, flat)
    found = verdict_of(project, plan)
    assert found.state == "supported"
    assert "looked at: levels of 10 of 40 epochs" in found.notes


def test_shapes_of_all_points_and_of_a_metric_that_is_not_there(project: Project) -> None:
    arms = ["wide[size=1]", "wide[size=2]"]
    changed = {arm: {"model.hidden": [i + 1]} for i, arm in enumerate(arms)}
    claims = [make_shape("plateaus", "wide", by=0.05, over_last=10, arms=arms, quantifier="all")]
    plan = make_plan({arm: ["lba"] for arm in arms}, seeds=4, epochs=40, set_=changed, claims=claims)
    write_records(project, plan, lambda arm, seed, stage: {"val/loss": descent(seed + 10 * arms.index(arm))})
    found = verdict_of(project, plan)
    assert (found.state, found.n) == ("supported", 4)
    assert "of 2 points," in found.explanation
    absent = make_plan(seeds=4, epochs=40, claims=[make_shape("plateaus", metric="other.val/loss")])
    assert "naive has no stage that records other.val/loss" in verdict_of(project, absent).explanation


def other_entry(plan: Plan, name: str, rerun: bool) -> Plan:
    """`plan` with an arm of another entry that has the trials of its own arm, or, if run again, trials with other keys."""
    (entry,) = plan.entries
    own = entry.arms[0]
    stages = dict(plan.stages)
    trials = []
    for trial in own.trials:
        stage = plan.stages[trial.key_of("lba")]
        if rerun:
            stage = make_fit("lba-before", trial.seed, 4)
            stages[stage.key] = stage
        trials.append(Trial(name, trial.seed, trial.levels, (("lba", stage.key),)))
    other = ArmPlan(name, own.chain, False, "lba", (), tuple(trials))
    return replace(plan, entries=(replace(entry, arms=(*entry.arms, other)),), stages=stages)


def reproduced(within: float) -> Claim:
    left, right = Side("naive", "accuracy"), Side("2024-06-01/first/naive", "accuracy")
    return Claim("again", "reproduces", left, "~", right, within, "reproduces 2024-06-01/first/naive", "h")


def test_an_arm_that_was_run_again_reproduces_within_the_range(project: Project) -> None:
    earlier = "2024-06-01/first/naive"
    values = {"naive": [0.80, 0.82, 0.78, 0.81, 0.79], earlier: [0.81, 0.82, 0.77, 0.81, 0.80]}
    plan = other_entry(make_plan(seeds=5, epochs=4, measures=MEASURES, claims=[reproduced(0.02)]), earlier, rerun=True)
    record(project, plan, values)
    found = verdict_of(project, plan)
    want = stats.ttest_rel(values["naive"], values[earlier]).confidence_interval(0.95)
    assert found.state == "supported"
    assert (found.lo, found.hi) == pytest.approx((want.low, want.high))
    assert f"naive and {earlier} differ in accuracy by" in found.explanation


def test_what_came_out_the_same_to_the_last_digit_is_reproduced(project: Project) -> None:
    earlier = "2024-06-01/first/naive"
    values = [0.80, 0.82, 0.78, 0.81, 0.79]
    plan = other_entry(make_plan(seeds=5, epochs=4, measures=MEASURES, claims=[reproduced(0.02)]), earlier, rerun=True)
    record(project, plan, {"naive": values, earlier: values})
    found = verdict_of(project, plan)
    assert (found.state, found.effect, found.lo, found.hi, found.n) == ("supported", 0.0, 0.0, 0.0, 5)
    assert found.explanation.endswith("supported, run again it came out the same to the last digit")


def test_the_same_record_is_not_a_reproduction(project: Project) -> None:
    earlier = "2024-06-01/first/naive"
    plan = other_entry(make_plan(seeds=5, epochs=4, measures=MEASURES, claims=[reproduced(0.02)]), earlier, rerun=False)
    record(project, plan, {"naive": [0.80, 0.82, 0.78, 0.81, 0.79]})
    found = verdict_of(project, plan)
    assert found.state == "undecided"
    assert found.explanation.endswith("undecided, same record: nothing was run again")
    assert found.seeds_to_settle is None


def test_every_trial_finished_is_counted(project: Project) -> None:
    plan = sweep([make_finishes("wide", tuple(LEVELS))])
    record(project, plan, RISING)
    found = verdict_of(project, plan)
    assert (found.state, found.effect, found.lo, found.n, found.method) == ("supported", None, None, 15, "counted")
    assert found.explanation == "wide finishes: supported, all 15 trials reached the planned end"


@pytest.mark.parametrize(
    ("how", "state", "words"),
    [
        ("failed", "contradicted", f"{ONE} lba failed at epoch 2 of 4"),
        ("died", "contradicted", f"{ONE} lba died at epoch 2 of 4: it ended without its result"),
        ("early", "supported", "all 3 trials reached the planned end"),
        ("none", "incomplete", "2 of 3 trials reached the planned end: naive at seed 1: lba was not run"),
    ],
)
def test_a_trial_that_did_not_finish_is_named(project: Project, how: str, state: str, words: str) -> None:
    plan = make_plan(seeds=3, epochs=4, claims=[make_finishes("naive")])
    for trial in plan.entries[0].arms[0].trials:
        stage = plan.stages[trial.key_of("lba")]
        history = curve(0.8)
        short = {name: values[:2] for name, values in history.items()}
        if trial.seed != 1:
            write_record(project, stage, history)
        elif how == "early":
            write_record(project, stage, short, early_stopping=True)
        elif how != "none":
            write_record(project, stage, short, done=False, how=how)
    found = verdict_of(project, plan)
    assert (found.state, found.explanation) == (state, f"naive finishes: {state}, {words}")


def test_nothing_run_has_not_finished_and_takes_no_place_in_a_family(project: Project) -> None:
    claims = [make_finishes("naive"), make_claim("naive > 0.5")]
    plan = make_plan(seeds=3, epochs=4, measures=MEASURES, claims=claims)
    ingest(project, [plan])
    (judgement,) = judge(project, plan)
    done, above = judgement.verdicts
    assert (done.state, done.explanation) == ("not-run", "naive finishes: not-run, none of 3 trials was run")
    assert (done.family, above.family) == (1, 1)


def test_examples_speak_where_there_is_one_seed(project: Project) -> None:
    n, arms = 400, ["naive", *LEVELS]
    targets = [i % 2 for i in range(n)]
    hits = {arm: (np.random.default_rng(i).random(n) < 0.6 + 0.1 * (i > 0)).astype(float) for i, arm in enumerate(arms)}
    changed = {arm: {"model.hidden": [int(x)]} for arm, x in LEVELS.items()}
    points = {"wide": tuple(LEVELS)}
    claims = [
        make_claim("all wide > naive", over="examples", points=points, name="all"),
        make_claim("wide[size=1] > naive", over="examples", name="one"),
        make_claim("best wide > naive", over="examples", points=points, name="best"),
    ]
    plan = make_plan(
        {arm: ["lba"] for arm in arms}, seeds=1, epochs=1, set_=changed, claims=claims,
        measures={"accuracy": Measure(metric="val/accuracy", read="last")},
    )  # fmt: skip
    write_predicted(project, plan, lambda arm, seed, stage: classified(targets, [logits(hits[arm], targets)]))
    ingest(project, [plan])
    (judgement,) = judge(project, plan)
    every, one, best = judgement.verdicts
    assert (every.state, one.state) == ("supported", "supported")
    assert one.effect == pytest.approx(float((hits["wide[size=1]"] - hits["naive"]).mean()))
    assert (one.n, one.dz) == (n, None)
    assert "400 examples): supported" in one.explanation
    assert one.method == "paired BCa bootstrap (10,000 draws) over 400 examples, Holm-adjusted in a family of 3"
    assert every.effect == pytest.approx(min(float((hits[arm] - hits["naive"]).mean()) for arm in LEVELS))
    assert (best.state, best.lo) == ("not-run", None)
    assert "over examples one arm is compared" in best.explanation
