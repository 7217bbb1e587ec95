"""Claims over examples: intervals against brute force, scipy and simulation; what stands in their way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.spec.claims import Claim
from interpreter.spec.measures import EffectiveRobustness, Measure
from interpreter.verdicts.clusters import clusters
from interpreter.verdicts.examples import ExamplesResult, examples_sample
from interpreter.verdicts.history import History
from interpreter.verdicts.measures import Reader
from interpreter.verdicts.types import Pair
from tests.plans import Predictions, make_claim, make_plan, make_project
from tests.verdicts.example_records import classified, logits, write_predicted

ACCURACY = {"accuracy": Measure(metric="val/accuracy", read="last")}
CHANGED = {"b": {"head.dropout": 0.5}}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def plan_of(claim: Claim, seeds: int = 1, **more: Any) -> Plan:
    fields: dict[str, Any] = {"set_": CHANGED, "measures": ACCURACY, "epochs": 1, **more}
    return make_plan({"a": ["lba"], "b": ["lba"]}, seeds=seeds, claims=[claim], **fields)


def judged(project: Project, plan: Plan) -> ExamplesResult:
    """The result for the plan's one claim, its pairs read as a verdict over seeds reads them."""
    ingest(project, [plan])
    (entry,) = plan.entries
    (claim,) = entry.entry.claims
    history = History(project, plan)
    reader, arms = Reader(plan, entry, history), {arm.name: arm for arm in entry.arms}
    values = []
    for side in (claim.left, claim.right):
        numbers = [reader.of(arms[name], side.measure) for name in side.names]
        values.append({v.seed: v.value for v in numbers[0]} if numbers else None)
    assert values[0] is not None
    other = values[1] or dict.fromkeys(values[0], claim.right.number)
    pairs = [Pair(seed, a, other[seed]) for seed, a in values[0].items() if a is not None]
    return examples_sample(project, plan, entry, claim, pairs, history)


def hits(seed: int, n: int, share: float) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < share).astype(float)


def test_accuracy_of_two_arms_on_the_same_examples(project: Project) -> None:
    n = 400
    a, b = hits(1, n, 0.7), hits(2, n, 0.8)
    b = np.where(np.random.default_rng(3).random(n) < 0.7, a, b)  # they mostly agree: pairing matters
    plan = plan_of(make_claim("b > a", over="examples"))
    targets = [i % 2 for i in range(n)]
    write_predicted(project, plan, lambda arm, seed, stage: classified(targets, [logits(b if arm == "b" else a, targets)]))
    found = judged(project, plan)
    d = b - a
    assert (found.gate, found.n, found.seeds) == ("", n, 1)
    assert found.effect == pytest.approx(d.mean())
    lo, hi = found.interval(0.95)
    reference = stats.bootstrap((d,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(0)).confidence_interval
    assert lo == pytest.approx(reference.low, abs=0.003)  # hits and misses: draws are multiples of 1 / 400
    assert hi == pytest.approx(reference.high, abs=0.003)
    unpaired = 1.96 * math.sqrt(a.var() / n + b.var() / n)
    assert hi - lo < 1.5 * unpaired  # twice unpaired is the width without pairing
    only_left, only_right = int((d > 0).sum()), int((d < 0).sum())
    p = stats.binomtest(only_left, only_left + only_right).pvalue
    told = " ".join(found.notes)
    assert f"seed 0: {only_left} right on the left only, {only_right} on the right only (" in told
    assert f" of {n}), p = {p:.2g}" in told
    assert "over examples: about these weights (one seed), not about others trained alike" in found.notes
    assert found.method == "paired BCa bootstrap (10,000 draws) over 400 examples"
    assert judged(project, plan).interval(0.95) == (lo, hi)


def test_the_epoch_is_the_one_the_measure_was_read_at(project: Project) -> None:
    targets = [0, 1] * 10
    a = [logits(hits(e, 20, 0.5), targets) for e in range(4)]
    b = [logits([1] * k + [0] * (20 - k), targets) for k in (4, 16, 8, 6)]
    measures = {"accuracy": Measure(metric="val/accuracy", read="best")}
    plan = plan_of(make_claim("b > 0.5", over="examples"), measures=measures, epochs=4)
    for segments in (1, 3):
        made = {"a": classified(targets, a), "b": classified(targets, b)}
        write_predicted(
            project, plan, lambda arm, seed, stage, m=made, s=segments: Predictions("val", m[arm].ids, targets, m[arm].outputs, s)
        )
        found = judged(project, plan)
        assert found.effect == pytest.approx(16 / 20 - 0.5)
        d = np.array([1.0] * 16 + [0.0] * 4) - 0.5
        half = stats.t.ppf(0.975, 19) * d.std(ddof=1) / math.sqrt(20)
        assert found.interval(0.95) == pytest.approx((0.3 - half, 0.3 + half))
        assert found.method == "one-sample Student t with the jackknife's standard error over 20 examples"


@pytest.mark.parametrize(
    ("metric", "adds", "of_mean"),
    [
        ("mae", lambda p, t: np.abs(p - t), lambda m: m),
        ("rmse", lambda p, t: (p - t) ** 2, np.sqrt),
    ],
)
def test_errors_of_numbers_over_two_seeds(project: Project, metric: str, adds: Any, of_mean: Any) -> None:
    n, rng = 300, np.random.default_rng(4)
    targets = rng.normal(size=n)
    given = {(arm, seed): targets + rng.normal(size=n) * (1 + 0.3 * (arm == "a")) for arm in "ab" for seed in range(2)}
    given = {k: v.astype(np.float32).astype(float) for k, v in given.items()}
    plan = plan_of(
        make_claim("b < a", on="error", over="examples"), 2, measures={"error": Measure(metric=f"val/{metric}", read="last")}
    )
    ids = [f"x{i}" for i in range(n)]

    def value(arm: str, seed: int) -> float:
        return float(of_mean(adds(given[arm, seed], targets).mean()))

    write_predicted(
        project, plan, lambda arm, seed, stage: Predictions("val", ids, targets.tolist(), [given[arm, seed][:, None].tolist()]),
        lambda arm, seed, stage: {f"val/{metric}": [value(arm, seed)]},
    )  # fmt: skip
    found = judged(project, plan)
    assert found.effect == pytest.approx(np.mean([value("b", s) - value("a", s) for s in range(2)]))
    assert not any("without smoothing" in note for note in found.notes)

    def statistic(*columns: np.ndarray, axis: int = -1) -> np.ndarray:
        m = [of_mean(c.mean(axis=axis)) for c in columns]
        return (m[0] - m[1] + m[2] - m[3]) / 2

    columns = tuple(adds(given[arm, seed], targets) for seed in range(2) for arm in "ba")
    expected = stats.bootstrap(columns, statistic, paired=True, vectorized=True, n_resamples=10_000, method="BCa",
                               rng=np.random.default_rng(1)).confidence_interval  # fmt: skip
    lo, hi = found.interval(0.95)
    width = hi - lo
    assert lo == pytest.approx(expected.low, abs=0.05 * width)
    assert hi == pytest.approx(expected.high, abs=0.05 * width)
    assert found.method == "paired BCa bootstrap (10,000 draws) over 300 examples, mean of 2 seeds"


def test_probability_metrics_are_those_of_the_record(project: Project) -> None:
    rng = np.random.default_rng(5)
    targets = rng.integers(3, size=60).tolist()
    outputs = rng.normal(size=(60, 3)).astype(np.float32).astype(float)
    p = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    nll = -np.log(p[np.arange(60), targets])
    brier = ((p - np.eye(3)[targets]) ** 2).sum(axis=1)
    for metric, each in (("nll", nll), ("brier", brier)):
        plan = plan_of(
            make_claim("a < 0.2", on="m", over="examples"), measures={"m": Measure(metric=f"val/{metric}", read="last")}
        )
        write_predicted(project, plan, lambda arm, seed, stage: classified(targets, [outputs]),
                        lambda arm, seed, stage, m=metric, e=each: {f"val/{m}": [float(e.mean())]})  # fmt: skip
        found = judged(project, plan)
        assert found.effect == pytest.approx(each.mean() - 0.2, abs=1e-6)
        assert not any("without smoothing" in note for note in found.notes)


def test_other_order_of_the_examples_is_no_difference_and_other_examples_are_unfair(project: Project, tmp_path: Path) -> None:
    targets, a, b = [0, 1] * 30, hits(1, 60, 0.6), hits(2, 60, 0.8)
    ids = [f"x{i:02d}" for i in range(60)]
    order = np.random.default_rng(0).permutation(60)
    plan = plan_of(make_claim("b > a", over="examples"))

    def shuffled(arm: str, seed: int, stage: str) -> Predictions:
        if arm == "a":
            return classified(targets, [logits(a, targets)], ids=ids)
        return classified(np.array(targets)[order], [logits(b, targets)[order]], ids=[ids[i] for i in order])

    write_predicted(project, plan, shuffled)
    assert judged(project, plan).effect == pytest.approx((b - a).mean())
    d = b - a
    assert judged(project, plan).interval(0.95)[0] > -1 and d.any()

    other = make_project(tmp_path / "other")
    moved = [*ids[:59], "another"]
    write_predicted(
        other, plan, lambda arm, seed, stage: classified(targets, [logits(a, targets)], ids=ids if arm == "a" else moved)
    )
    found = judged(other, plan)
    assert (found.gate, found.why) == (
        "unfair", "the sides were not measured on the same examples at seed 0: 60 and 60, 59 in common",
    )  # fmt: skip
    assert found.interval(0.95) is None

    third = make_project(tmp_path / "third")
    flipped = [1 - t for t in targets]
    write_predicted(
        third, plan, lambda arm, seed, stage: classified(targets if arm == "a" else flipped, [logits(a, targets)], ids=ids)
    )
    assert judged(third, plan).why == "the same examples have other targets on the other side at seed 0"


def test_both_adds_the_errors_of_seeds_and_of_examples(project: Project) -> None:
    n, seeds, rng = 200, 4, np.random.default_rng(6)
    targets = [0, 1] * (n // 2)
    given = {(arm, s): (rng.random(n) < 0.7 + 0.05 * s + 0.1 * (arm == "b")).astype(float) for arm in "ab" for s in range(seeds)}
    results = {}
    for over in ("examples", "both"):
        plan = plan_of(make_claim("b > a", over=over), seeds)
        write_predicted(project, plan, lambda arm, seed, stage: classified(targets, [logits(given[arm, seed], targets)]))
        results[over] = judged(project, plan)
    d = np.stack([given["b", s] - given["a", s] for s in range(seeds)])
    within, between = d.mean(axis=0).var(ddof=1) / n, d.mean(axis=1).var(ddof=1) / seeds
    df = (within + between) ** 2 / (within**2 / (n - 1) + between**2 / (seeds - 1))
    half = stats.t.ppf(0.975, df) * math.sqrt(within + between)
    both = results["both"]
    assert both.interval(0.95) == pytest.approx((d.mean() - half, d.mean() + half))
    assert (both.n, both.seeds) == (n, seeds)
    assert "4 seeds and over 200 examples, added in quadrature" in both.method
    lo, hi = results["examples"].interval(0.95)
    assert (hi - lo) / 2 < half
    assert (
        "over examples: about these weights (the mean of these seeds), not about others trained alike"
        in results["examples"].notes
    )
    assert not any("these weights" in note or "McNemar" in note for note in both.notes)
    assert any(note.startswith("McNemar's exact test: seed 0: ") and "; seed 3: " in note for note in results["examples"].notes)


def test_both_needs_two_seeds(project: Project) -> None:
    targets = [0, 1] * 40
    plan = plan_of(make_claim("b > a", over="both"))
    write_predicted(project, plan, lambda arm, seed, stage: classified(targets, [logits(hits(ord(arm), 80, 0.6), targets)]))
    found = judged(project, plan)
    assert found.effect is not None
    assert found.interval(0.95) is None
    assert "one seed: nothing is known of others" in found.notes


def test_clusters_are_drawn_together(project: Project) -> None:
    groups, each = 12, 20
    rng = np.random.default_rng(7)
    right = np.repeat(rng.random(groups) < 0.6, each).astype(float)  # all of a cluster right or all wrong
    n = groups * each
    targets = [0, 1] * (n // 2)
    ids = [f"target{i // each}/view{i % each}" for i in range(n)]
    made = classified(targets, [logits(right, targets)], ids=ids)
    plan = plan_of(make_claim("a > 0.5", over="examples", cluster="prefix"))
    write_predicted(project, plan, lambda arm, seed, stage: made)
    found = judged(project, plan)
    shares = right.reshape(groups, each).mean(axis=1)
    half = stats.t.ppf(0.975, groups - 1) * shares.std(ddof=1) / math.sqrt(groups)
    assert found.n == groups
    assert found.interval(0.95) == pytest.approx((shares.mean() - 0.5 - half, shares.mean() - 0.5 + half))
    assert found.method == "one-sample Student t with the jackknife's standard error over 12 clusters"


def test_a_rule_that_cuts_no_id_is_told(project: Project) -> None:
    targets = [0, 1] * 40
    plan = plan_of(make_claim("a > 0.5", over="examples", cluster="target"))
    write_predicted(project, plan, lambda arm, seed, stage: classified(targets, [logits(hits(1, 80, 0.6), targets)]))
    found = judged(project, plan)
    assert (found.gate, found.why) == ("not-run", "no id, such as `val-0000`, is cut by the rule `cluster: target`")


@pytest.mark.parametrize(
    ("rule", "codes", "count"),
    [
        ("", [0, 1, 2, 3], 4),
        ("prefix", [0, 0, 1, 2], 3),  # film1, film2_b, film3
        ("prefix _", [0, 1, 2, 3], 4),
        ("prefix -", [0, 0, 0, 0], 0),
        ("subject", [0, 0, 0, 0], 0),
    ],
)
def test_clusters_of_ids(rule: str, codes: Sequence[int], count: int) -> None:
    places, found = clusters(["film1/a", "film1:b", "film2_b/c", "film3"], rule)
    assert (places.tolist(), found) == (list(codes), count)


def robustness_plan(claim: Claim, seeds: int = 1) -> Plan:
    robust = EffectiveRobustness.model_validate({"in": "original/accuracy", "out": "shifted/accuracy"})
    return plan_of(claim, seeds, measures={"er": Measure(effective_robustness=robust)}, evaluate=["original", "shifted"])


def test_effective_robustness_draws_both_sets(project: Project) -> None:
    n_in, n_out = 1000, 250
    right = {"original": hits(1, n_in, 0.93), "shifted": hits(2, n_out, 0.82)}
    targets = {name: [0, 1] * (len(r) // 2) for name, r in right.items()}
    plan = robustness_plan(make_claim("a ~ 0", on="er", margin=0.05, over="examples"))

    def made(arm: str, seed: int, stage: str) -> Predictions | None:
        if stage == "lba":
            return None
        # Ids that are only numbers, and alike in both sets: they are two sets all the same.
        ids = [f"{i}" for i in range(len(right[stage]))]
        return classified(targets[stage], [logits(right[stage], targets[stage])], stage, ids)

    write_predicted(project, plan, made)
    found = judged(project, plan)
    p, q = right["original"].mean(), right["shifted"].mean()

    def line(x: Any) -> Any:
        return 1 / (1 + np.exp(-(0.8318 * np.log(x / (1 - x)) - 0.4736)))

    assert found.effect == pytest.approx(q - line(p))
    # The delta method, of two binomials: the line's slope carries the error of the original accuracy over.
    slope = (line(p + 1e-6) - line(p - 1e-6)) / 2e-6
    half = 1.96 * math.sqrt(q * (1 - q) / n_out + slope**2 * p * (1 - p) / n_in)
    lo, hi = found.interval(0.95)
    assert (hi - lo) / 2 == pytest.approx(half, rel=0.06)
    assert found.n == n_out
    assert found.method == "one-sample BCa bootstrap (10,000 draws) over 1,000 and 250 examples"


def test_the_same_record_is_equal_for_certain_and_equal_answers_are_not(project: Project, tmp_path: Path) -> None:
    targets, right = [0, 1] * 40, hits(1, 80, 0.6)
    same = plan_of(make_claim("b ~ a", margin=0.1, over="examples"), set_={})
    write_predicted(project, same, lambda arm, seed, stage: classified(targets, [logits(right, targets)]))
    found = judged(project, same)
    assert found.same_record
    assert found.interval(0.95) == (0.0, 0.0)
    other = make_project(tmp_path / "other")
    alike = plan_of(make_claim("b ~ a", margin=0.1, over="examples"))
    write_predicted(other, alike, lambda arm, seed, stage: classified(targets, [logits(right, targets)]))
    found = judged(other, alike)
    assert (found.same_record, found.effect, found.interval(0.95)) == (False, 0.0, None)
    assert "McNemar's exact test: seed 0: no example of 80 that only one side has right" in found.notes


def test_what_is_not_made_of_examples_is_told(project: Project) -> None:
    refused = {
        "auc": (Measure(metric="val/accuracy", read="auc"), "`m` is not made of single examples at one epoch"),
        "f1": (Measure(metric="val/f1", read="last"), "`f1` is not made of single examples at one epoch"),
        "over": (Measure(metric="val/accuracy", read="last", over=0.5), "`m` is not made of single examples at one epoch"),
        "phase": (Measure(phase=0, read="length"), "`m` is not made of single examples at one epoch"),
    }
    for measure, why in refused.values():
        plan = plan_of(make_claim("b > a", on="m", over="examples"), measures={"m": measure})
        write_predicted(project, plan, lambda *_: None, lambda *_: {"val/accuracy": [0.5], "val/f1": [0.5]})
        found = judged(project, plan)
        assert found.gate == "not-run"
        assert found.why.startswith(why)


def test_predictions_that_were_not_kept(project: Project) -> None:
    plan = plan_of(make_claim("b > a", over="examples"))
    write_predicted(project, plan, lambda *_: None, lambda *_: {"val/accuracy": [0.5]})
    found = judged(project, plan)
    assert (found.gate, found.why) == ("incomplete", "b at seed 0: predictions of lba at epoch 1 for val were not kept")


def test_a_smoothed_measure_says_that_its_predictions_are_not(project: Project) -> None:
    targets = [0, 1] * 30
    rng = np.random.default_rng(8)
    given = {arm: [logits((rng.random(60) < s).astype(float), targets) for s in (0.3, 0.5, 0.9, 0.6)] for arm in "ab"}
    measures = {"accuracy": Measure(metric="val/accuracy", read="stable_max", window=3)}
    plan = plan_of(make_claim("b > a", over="examples"), measures=measures, epochs=4)
    write_predicted(project, plan, lambda arm, seed, stage: classified(targets, given[arm]))
    found = judged(project, plan)
    assert found.interval(0.95) is not None
    assert "predictions are those of the epoch the measure was read at, without smoothing or a mean over epochs" in found.notes
