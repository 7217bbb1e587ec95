"""From records to verdicts: every state on a small project, with the numbers worked out apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from interpreter.plan.types import Plan, SourceNeed
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.results.read import query
from interpreter.results.store import put_judgements
from interpreter.spec.claims import Claim, Side, Waiver
from interpreter.spec.measures import Measure, Reference
from interpreter.verdicts.judge import judge
from interpreter.verdicts.types import MeasureValue, Verdict
from tests.plans import make_claim, make_plan, make_project, write_record, write_records

ACCURACY = {"accuracy": Measure(metric="val/accuracy", read="best")}
NAIVE = [0.80, 0.82, 0.78, 0.81, 0.79]
LATER = [0.88, 0.89, 0.86, 0.90, 0.87]
CHANGED = {"b": {"head.dropout": 0.5}}


def plan_of(claims: Sequence[Claim], seeds: int = 5, **more: Any) -> Plan:
    """A plan of arms `a` and `b`, of one fit each, that differ in the dropout of the head."""
    fields: dict[str, Any] = {"set_": CHANGED, "measures": ACCURACY, "epochs": 4, **more}
    return make_plan({"a": ["lba"], "b": ["lba"]}, seeds=seeds, claims=claims, **fields)


def curve(best: float) -> dict[str, list[float]]:
    """A history of four epochs whose third has the best accuracy."""
    return {"val/loss": [0.9, 0.8, 0.6, 0.7], "val/accuracy": [best - 0.2, best - 0.1, best, best - 0.01]}


def record(project: Project, plan: Plan, values: Mapping[str, Sequence[float]]) -> None:
    write_records(project, plan, lambda arm, seed, stage: curve(values[arm][seed]))


def register(project: Project, plan: Plan, names: Sequence[str], at: str = "2024-06-28T11:00:00Z") -> None:
    (entry,) = plan.entries
    claims = {claim.name: claim for claim in entry.entry.claims}
    lines = [
        {
            "t": at,
            "kind": "claim",
            "entry": entry.id,
            "profile": entry.profile,
            "claim": name,
            "hash": claims[name].hash if name in claims else "x",
        }
        for name in names
    ]
    with project.ledger.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def verdict_of(project: Project, plan: Plan) -> Verdict:
    (verdict,) = verdicts_of(project, plan)
    return verdict


def verdicts_of(project: Project, plan: Plan) -> tuple[Verdict, ...]:
    ingest(project, [plan])
    (judgement,) = judge(project, plan)
    return judgement.verdicts


def measures_of(project: Project, plan: Plan) -> dict[tuple[str, str, int], MeasureValue]:
    ingest(project, [plan])
    (judgement,) = judge(project, plan)
    return {(v.arm, v.measure, v.seed): v for v in judgement.measures}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def test_supported_with_the_numbers_of_the_paired_t_test(project: Project) -> None:
    plan = plan_of([make_claim("b > a", margin=0.05, name="helps")])
    record(project, plan, {"a": NAIVE, "b": LATER})
    register(project, plan, ["helps"])
    found = verdict_of(project, plan)
    want = stats.ttest_rel(LATER, NAIVE).confidence_interval(0.95)
    assert found.state == "supported"
    assert (found.effect, found.lo, found.hi) == pytest.approx((0.08, want.low, want.high))
    assert (found.level, found.n, found.family, found.p_better) == (0.95, 5, 1, 1.0)
    assert found.dz == pytest.approx(0.08 / np.std(np.subtract(LATER, NAIVE), ddof=1))
    assert (found.registered, found.registered_at) == (True, "2024-06-28T11:00:00Z")
    assert found.method == "paired Student t over seeds"
    assert [(p.seed, p.a, p.b) for p in found.pairs] == [(i, LATER[i], NAIVE[i]) for i in range(5)]
    assert found.explanation == (
        "b reaches a higher accuracy than a by 0.0800 (95 % interval 0.0712 to 0.0888, 5 seeds): supported, margin 0.05"
    )
    assert found.notes == ("both sides are read where they are best, each chosen on the split it reports",)
    assert [(c.rule, c.text) for c in found.confounds] == [("declared", "lba head.dropout: 0.5 -> 0 (the only difference)")]


@pytest.mark.parametrize(
    ("text", "margin", "state", "words"),
    [
        ("b < a", 0.02, "contradicted", "the opposite of what was expected"),
        ("b > a", 0.10, "equivalent", "the whole interval is within the margin 0.1: within the noise, and we know it"),
        ("b > a", 0.08, "undecided", "all of the interval would have to be beyond the margin 0.08, and it reaches to 0.0712"),
        ("a ~ b", 0.10, "supported", "the whole interval is within 0.1"),
        ("a ~ b", 0.05, "contradicted", "the whole interval is beyond 0.05"),
        ("a ~ b", 0.08, "undecided", "all of the interval would have to be within 0.08, and it reaches to 0.0888"),
    ],
)
def test_the_other_states_of_the_same_numbers(project: Project, text: str, margin: float, state: str, words: str) -> None:
    plan = plan_of([make_claim(text, margin=margin)])
    record(project, plan, {"a": NAIVE, "b": LATER})
    found = verdict_of(project, plan)
    assert found.state == state
    assert words in found.explanation
    assert (found.seeds_to_settle is not None) == (state == "undecided")


def test_undecided_around_zero_says_how_far_the_interval_reaches(project: Project) -> None:
    plan = plan_of([make_claim("b > a", margin=0.0)])
    record(project, plan, {"a": NAIVE, "b": [0.81, 0.80, 0.80, 0.83, 0.78]})
    found = verdict_of(project, plan)
    assert found.state == "undecided"
    assert found.explanation == (
        "b reaches a higher accuracy than a by 0.004 (95 % interval -0.019 to 0.027, 5 seeds): "
        "undecided, the interval reaches across 0, to 0.019 on the other side"
    )
    assert (found.registered, found.registered_at) == (False, "")


def test_nothing_run(project: Project) -> None:
    found = verdict_of(project, plan_of([make_claim("b > a")]))
    assert (found.state, found.effect, found.lo, found.n, found.pairs) == ("not-run", None, None, 0, ())
    assert found.explanation == "b.accuracy > a.accuracy: not-run, b and a were not run"


def test_data_that_is_not_here_blocks(project: Project) -> None:
    found = verdict_of(project, plan_of([make_claim("b > a")], sources=(SourceNeed("photos", "11"),)))
    assert found.state == "blocked"
    assert found.explanation == "b.accuracy > a.accuracy: blocked, the data photos is not here"


def test_a_trial_that_stopped_makes_it_incomplete_and_the_rest_is_shown(project: Project) -> None:
    plan = plan_of([make_claim("b > a")])
    _, b = plan.entries[0].arms
    stopped = b.trials[3].key_of("lba")
    short = {name: values[:2] for name, values in curve(0.9).items()}
    write_record(project, plan.stages[stopped], short, done=False, how="stopped")
    for arm, values in zip(plan.entries[0].arms, (NAIVE, LATER), strict=True):
        for trial in arm.trials:
            if trial.key_of("lba") != stopped:
                write_record(project, plan.stages[trial.key_of("lba")], curve(values[trial.seed]))
    found = verdict_of(project, plan)
    assert (found.state, found.n, len(found.pairs)) == ("incomplete", 4, 4)
    assert found.lo is not None
    assert "4 of 5 pairs are there: b at seed 3: lba was stopped at epoch 2 of 4" in found.explanation
    partial = measures_of(project, plan)["b", "accuracy", 3]
    assert (partial.value, partial.complete) == (pytest.approx(0.8), False)


def test_one_side_alone_is_not_run(project: Project) -> None:
    plan = plan_of([make_claim("b > a")])
    for trial in plan.entries[0].arms[0].trials:
        write_record(project, plan.stages[trial.key_of("lba")], curve(0.8))
    found = verdict_of(project, plan)
    assert (found.state, found.explanation) == ("not-run", "b.accuracy > a.accuracy: not-run, b was not run")


def test_early_stopping_is_a_planned_end(project: Project) -> None:
    plan = plan_of([make_claim("b > a")])
    for arm, values in zip(plan.entries[0].arms, (NAIVE, LATER), strict=True):
        for trial in arm.trials:
            short = {name: row[:3] for name, row in curve(values[trial.seed]).items()}
            write_record(project, plan.stages[trial.key_of("lba")], short, early_stopping=True)
    assert verdict_of(project, plan).state == "supported"


def test_one_seed_is_anecdotal(project: Project) -> None:
    plan = plan_of([make_claim("b > a", margin=0.02)], seeds=1)
    record(project, plan, {"a": NAIVE, "b": LATER})
    found = verdict_of(project, plan)
    assert (found.state, found.n, found.lo, found.dz) == ("anecdotal", 1, None, None)
    assert found.effect == pytest.approx(0.08)
    assert found.explanation == (
        "b reaches a higher accuracy than a by 0.080 (1 seed): anecdotal, one replicate says nothing about the spread"
    )


def test_another_measured_split_is_unfair_unless_waived(project: Project) -> None:
    changed = {"b": {"data.split_seed": 1}}
    plan = plan_of([make_claim("b > a")], set_=changed)
    record(project, plan, {"a": NAIVE, "b": LATER})
    found = verdict_of(project, plan)
    assert found.state == "unfair"
    assert found.lo is not None
    assert "unfair, b and a are not measured on the same data: split_seed: 1 -> 0" in found.explanation
    waived = plan_of([make_claim("b > a")], set_=changed, waivers=(Waiver("measured-split", "splits of one size"),))
    found = verdict_of(project, waived)
    assert found.state == "supported"
    assert found.confounds[0].waived == "splits of one size"


def test_arms_with_the_same_records(project: Project) -> None:
    plan = plan_of([make_claim("a ~ b", margin=0.01), make_claim("b > a", name="other")], set_={})
    record(project, plan, {"a": NAIVE, "b": NAIVE})
    alike, above = verdicts_of(project, plan)
    assert (alike.state, alike.effect, alike.lo, alike.hi) == ("supported", 0.0, 0.0, 0.0)
    assert above.state == "undecided"
    assert "same record: both sides are one and the same" in alike.notes
    assert above.explanation.endswith("undecided, a record can't differ from itself")


def test_differences_that_do_not_vary_decide_nothing(project: Project) -> None:
    plan = plan_of([make_claim("b > a")])
    record(project, plan, {"a": NAIVE, "b": [x + 0.1 for x in NAIVE]})
    found = verdict_of(project, plan)
    assert (found.state, found.lo, found.hi, found.dz) == ("undecided", None, None, None)
    assert found.effect == pytest.approx(0.1)
    assert "differences do not vary" in found.notes


def test_one_backbone_is_said(project: Project) -> None:
    plan = make_plan(
        {"a": ["easy", "lba"], "b": ["easy", "lba"]}, seeds=5, levels={"easy": 0}, set_=CHANGED, measures=ACCURACY, epochs=4,
        claims=[make_claim("b > a")],
    )  # fmt: skip
    record(project, plan, {"a": NAIVE, "b": LATER})
    found = verdict_of(project, plan)
    assert (found.state, found.n) == ("supported", 5)
    assert "given one easy" in found.notes


def test_a_measure_of_the_shared_stage_has_one_replicate(project: Project) -> None:
    plan = make_plan(
        {"a": ["easy", "lba"]}, seeds=5, levels={"easy": 0}, epochs=4,
        measures={"easy": Measure(metric="easy.val/accuracy", read="best")},
        claims=[make_claim("a > 0.5", on="easy")],
    )  # fmt: skip
    record(project, plan, {"a": NAIVE})
    found = verdict_of(project, plan)
    assert (found.state, found.n) == ("anecdotal", 1)
    assert "5 seeds, but only 1 different record: equal ones count once" in found.notes


def test_value_and_reference(project: Project) -> None:
    to_paper = Claim(
        "paper", "reference", Side("a", "accuracy"), "~", Side(measure="accuracy", reference="p"), 0.05, "a ~ p", "h1"
    )
    to_runs = Claim("runs", "reference", Side("a", "accuracy"), "~", Side(measure="accuracy", reference="q"), 0.05, "a ~ q", "h2")
    references = {
        "p": Reference(values={"accuracy": 0.8}, source="a paper"),
        "q": Reference(values={"accuracy": 0.8}, source="their runs", n=3, sd=0.04),
    }
    plan = plan_of([make_claim("a > 0.75"), to_paper, to_runs], references=references)
    record(project, plan, {"a": NAIVE, "b": LATER})
    value, paper, runs = verdicts_of(project, plan)
    assert (value.state, paper.state, runs.state) == ("supported", "supported", "undecided")
    assert value.method == "one-sample Student t over seeds, Holm-adjusted in a family of 3"
    assert "reference taken as exact" in paper.notes
    assert "reference of 3 runs with standard deviation 0.04" in runs.notes
    want = stats.ttest_1samp(NAIVE, 0.8).confidence_interval(paper.level)
    assert (paper.lo, paper.hi) == pytest.approx((want.low - 0.8, want.high - 0.8))
    assert runs.lo is not None
    assert paper.lo is not None
    assert runs.lo < paper.lo


def test_registered_and_post_hoc_claims_are_two_families(project: Project) -> None:
    plan = plan_of(
        [make_claim("b > a", name="first"), make_claim("a < 0.99", name="second"), make_claim("b > 0.5", name="third")]
    )
    record(project, plan, {"a": NAIVE, "b": LATER})
    register(project, plan, ["first", "second", "dropped"])
    register(project, plan, ["third"], at="2024-06-30T00:00:00Z")
    first, second, third = verdicts_of(project, plan)
    assert [(v.registered, v.family, v.level) for v in (first, second, third)] == [
        (True, 2, 0.975),
        (True, 2, 0.975),
        (False, 1, 0.95),
    ]
    assert third.registered_at == "2024-06-30T00:00:00Z"
    assert "claims made for this entry and taken back since: dropped" in first.notes


def test_measures_with_epoch_selection_and_evaluations(project: Project) -> None:
    measures = {
        "accuracy": Measure(metric="val/accuracy", read="best"),
        "loss": Measure(metric="val/loss", at="accuracy"),
        "train": Measure(metric="train/loss", at="accuracy"),
        "end": Measure(metric="val/accuracy", read="last"),
        "test": Measure(metric="final/accuracy"),
        "reused": Measure(metric="again/accuracy"),
        "absent": Measure(metric="val/rmse"),
    }
    plan = make_plan({"a": ["lba"]}, seeds=1, epochs=4, evaluate=["final", "again"], measures=measures)
    trial = plan.entries[0].arms[0].trials[0]
    again = plan.stages[trial.key_of("again")]
    object.__setattr__(again, "settings", {**again.settings, "part": "val"})  # an evaluation of what chose its weights
    history = {
        "lba": {**curve(0.9), "train/loss": [4.0, 3.0, 2.0, 1.0]},
        "final": {"final/accuracy": [0.7]},
        "again": {"again/accuracy": [0.9]},
    }
    write_records(project, plan, lambda arm, seed, stage: history[stage])
    got = {name: (v.value, v.epoch, v.selected, v.note) for (_, name, _), v in measures_of(project, plan).items()}
    assert got == {
        "accuracy": (0.9, 3, True, ""),
        "loss": (0.6, 3, True, ""),
        "train": (2.0, 3, False, ""),
        "end": (pytest.approx(0.89), 4, False, ""),
        "test": (0.7, 1, False, ""),
        "reused": (0.9, 1, True, "its weights were chosen on the data it reports"),
        "absent": (None, None, False, "lba recorded no val/rmse"),
    }


def test_other_numerics_within_a_pair_are_a_warning(project: Project) -> None:
    plan = plan_of([make_claim("b > a")], seeds=2)
    for arm, threads in zip(plan.entries[0].arms, (1, 4), strict=True):
        for trial in arm.trials:
            write_record(
                project,
                plan.stages[trial.key_of("lba")],
                curve(0.8 + threads / 50 + trial.seed / 100 * threads),
                numerics={"threads": threads},
            )
    found = verdict_of(project, plan)
    assert ("numerics", "warning", "threads differs within the pairs of seeds 0, 1: 4 -> 1") in [
        (c.rule, c.severity, c.text) for c in found.confounds
    ]


def test_an_arm_that_was_not_planned_is_not_run(project: Project) -> None:
    found = verdict_of(project, plan_of([make_claim("c > a")]))
    assert (found.state, found.explanation) == ("not-run", "c.accuracy > a.accuracy: not-run, the arm c was not planned")


def test_verdicts_are_stored_as_judged(project: Project) -> None:
    plan = plan_of([make_claim("b > a", margin=0.05, name="helps"), make_claim("b > a", margin=0.08, name="much")])
    record(project, plan, {"a": NAIVE, "b": LATER})
    ingest(project, [plan])
    judgements = judge(project, plan)
    put_judgements(project, judgements)
    rows = query(
        project, "SELECT claim, state, n, effect, lo, explanation, seeds_to_settle_from FROM verdicts ORDER BY claim"
    ).rows
    assert [row[:3] for row in rows] == [("helps", "supported", 5), ("much", "undecided", 5)]
    for row, verdict in zip(rows, judgements[0].verdicts, strict=True):
        assert row[3:6] == (verdict.effect, verdict.lo, verdict.explanation)
        assert row[6] == (verdict.seeds_to_settle[0] if verdict.seeds_to_settle else None)
    assert query(project, "SELECT count(*) FROM measures WHERE selected AND complete").rows == ((10,),)
