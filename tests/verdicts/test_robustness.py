"""Lines of accuracy under shift: fits, intervals, who is left out of them, and what examples say of the distance to them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.spec.measures import EffectiveRobustness, Measure
from interpreter.spec.robustness import FittedLine, Scale, means
from interpreter.verdicts.effective_robustness import (
    LINES,
    above_fitted,
    binomial_half_width,
    binomial_interval,
    effective_robustness,
    fitted,
    predicted,
)
from interpreter.verdicts.examples import examples_sample
from interpreter.verdicts.history import History
from interpreter.verdicts.mcnemar import mcnemar
from interpreter.verdicts.measures import Reader
from interpreter.verdicts.sides import Sides
from tests.plans import Predictions, make_claim, make_plan, make_project, write_records
from tests.verdicts.example_records import classified, logits, write_predicted

ROOT = Path(__file__).resolve().parents[2]
CIFAR = Path(os.environ.get("EXPT_DATA_CIFAR10_1", ROOT.parent / "shared" / "data" / "cifar10_1")) / "predictions.npz"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


def robust(**line: Any) -> Measure:
    written = {"in": "original/accuracy", "out": "shifted/accuracy", **({"line": line} if line else {})}
    return Measure(effective_robustness=EffectiveRobustness.model_validate(written))


@pytest.mark.parametrize("scale", ["probit", "logit", "linear"])
def test_a_fit_finds_the_line_that_points_are_on(scale: Scale) -> None:
    to = {"probit": stats.norm.ppf, "logit": logit, "linear": lambda p: p}[scale]
    back = {"probit": stats.norm.cdf, "logit": expit, "linear": lambda x: x}[scale]
    acc_in = np.linspace(0.55, 0.95, 9)
    found = fitted(acc_in, back(0.8 * to(acc_in) - 0.1), scale)
    assert found is not None
    assert (found.line.slope, found.line.intercept, found.r_squared) == pytest.approx((0.8, -0.1, 1.0), abs=1e-9)
    assert predicted(acc_in, found.line) == pytest.approx(back(0.8 * to(acc_in) - 0.1), abs=1e-12)


def test_a_fit_is_least_squares_on_its_scale_and_leaves_out_what_is_not_finite() -> None:
    rng = np.random.default_rng(0)
    acc_in = rng.uniform(0.6, 0.97, 12)
    acc_out = np.clip(acc_in - rng.uniform(0.02, 0.2, 12), 0, 1)
    plain = stats.linregress(stats.norm.ppf(acc_in), stats.norm.ppf(acc_out))
    found = fitted(np.append(acc_in, [1.0, 0.9]), np.append(acc_out, [0.9, 0.0]), "probit")
    assert found is not None
    assert (found.models, found.removed) == (12, 2)
    assert found.line.slope == pytest.approx(plain.slope, rel=1e-12)
    assert found.line.intercept == pytest.approx(plain.intercept, rel=1e-12)
    assert found.r_squared == pytest.approx(plain.rvalue**2, rel=1e-12)
    assert found.words == (
        f"probit fit to 12 models: slope {plain.slope:.4g}, intercept {plain.intercept:.4g}, R² {plain.rvalue**2:.3f}; "
        "2 at 0 or 1 left out"
    )
    linear = fitted(np.append(acc_in, 1.0), np.append(acc_out, 0.9), "linear")
    assert linear is not None
    assert (linear.models, linear.removed) == (13, 0)  # 1 has a place on a linear scale


def test_too_few_models_or_all_alike_have_no_line() -> None:
    assert fitted(np.array([0.8, 0.9]), np.array([0.7, 0.8]), "logit") is None
    assert fitted(np.array([0.8, 0.9, 1.0]), np.array([0.7, 0.8, 0.9]), "logit") is None
    assert fitted(np.full(4, 0.9), np.array([0.7, 0.8, 0.75, 0.6]), "logit") is None


def test_many_sets_of_models_at_once() -> None:
    rng = np.random.default_rng(1)
    acc_in, acc_out = rng.uniform(0.5, 0.9, (6, 5)), rng.uniform(0.4, 0.8, (6, 5))
    acc_in[2, 1] = 1.0
    own = rng.uniform(0.5, 0.9, 6)
    found = above_fitted(own, own - 0.1, acc_in, acc_out, "probit")
    for i in range(6):
        line = fitted(acc_in[i], acc_out[i], "probit")
        assert line is not None
        assert found[i] == pytest.approx(effective_robustness(own[i : i + 1], own[i : i + 1] - 0.1, line.line)[0], abs=1e-12)


@pytest.mark.skipif(not CIFAR.is_file(), reason="the predictions of the thirty published models are not here")
def test_thirty_published_models() -> None:
    with np.load(CIFAR, allow_pickle=False) as z:
        acc = {name: (z[name] == z[f"labels_{name}"]).mean(axis=1) for name in ("original", "v4", "v6")}
    for version in ("v4", "v6"):
        for scale, to in (("probit", stats.norm.ppf), ("logit", logit)):
            found = fitted(acc["original"], acc[version], scale)
            plain = stats.linregress(to(acc["original"]), to(acc[version]))
            assert found is not None
            assert (found.models, found.removed) == (30, 0)
            assert (found.line.slope, found.line.intercept) == pytest.approx((plain.slope, plain.intercept), rel=1e-10)
            assert found.r_squared > 0.98
    near = effective_robustness(acc["original"], acc["v6"], LINES["andreassen"])
    assert np.abs(near).max() < 0.021
    assert near.mean() == pytest.approx(0.00235, abs=1e-5)


@pytest.mark.parametrize(
    ("share", "n", "half"), [(0.93, 10_000, 0.50), (0.82, 2021, 1.66), (0.82, 2000, 1.67), (0.82, 1792, 1.77)]
)
def test_binomial_intervals(share: float, n: int, half: float) -> None:
    lo, hi = binomial_interval(share, n)
    exact = stats.binomtest(round(share * n), n).proportion_ci(method="exact")
    assert (lo, hi) == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert 100 * (hi - lo) / 2 == pytest.approx(half, abs=0.06)  # the exact one is a little wider than the normal one


def test_binomial_intervals_at_the_ends() -> None:
    assert binomial_interval(0.0, 100)[0] == 0.0
    assert binomial_interval(1.0, 100)[1] == 1.0
    assert binomial_interval(0.0, 100)[1] == pytest.approx(1 - 0.025 ** (1 / 100))


def test_the_error_of_both_sets_goes_into_the_distance_to_a_line() -> None:
    rng = np.random.default_rng(2)
    p, q, n_in, n_out = 0.9, 0.8, 10_000, 2000
    draws = effective_robustness(
        rng.binomial(n_in, p, 200_000) / n_in, rng.binomial(n_out, q, 200_000) / n_out, LINES["andreassen"]
    )
    assert binomial_half_width(p, n_in, q, n_out, LINES["andreassen"]) == pytest.approx(1.96 * draws.std(), rel=0.01)


def test_which_arms_a_word_means() -> None:
    point = ("published[shake_drop]", "published", "shake_drop", {"point": "shake_drop"})
    assert means("published", *point)
    assert means("published[shake_drop]", *point)
    assert means("published[shake*]", *point)
    assert means("*drop]", *point)
    assert means("p*[*_*]", *point)
    assert not means("published[shake]", *point)
    assert not means("shake*", *point)
    assert not means("pub", *point)
    thaw = ("thaw[by=manual,max_epochs=1]", "thaw", "by=manual,max_epochs=1", {"by": "manual", "max_epochs": "1"})
    assert means("thaw[max_epochs=1]", *thaw)
    assert not means("thaw[max_epochs=2]", *thaw)


ACCURACIES = {"a": (0.80, 0.66), "b": (0.85, 0.72), "c": (0.90, 0.80), "d": (0.95, 0.88), "own": (0.93, 0.82)}


def values(project: Project, measure: Measure, seeds: int = 1, **plan: Any) -> dict[tuple[str, int], Any]:
    plan.setdefault("arms", {name: ["lba"] for name in ACCURACIES})
    plan.setdefault("set_", {name: {"head.dropout": 0.1 * i} for i, name in enumerate(ACCURACIES, 1)})
    made = make_plan(seeds=seeds, epochs=1, measures={"er": measure}, evaluate=["original", "shifted"], **plan)

    def history(arm: str, seed: int, stage: str) -> dict[str, list[float]]:
        if stage == "lba":
            return {"val/loss": [1.0]}
        return {f"{stage}/accuracy": [ACCURACIES[arm][stage == "shifted"] + 0.001 * seed]}

    write_records(project, made, history)
    ingest(project, [made])
    reader = Reader(made, made.entries[0], History(project, made))
    return {(v.arm, v.seed): v for arm in made.entries[0].arms for v in reader.of(arm, "er")}


def test_no_arm_is_judged_by_a_line_through_itself(project: Project) -> None:
    found = values(project, robust(fit="probit", to=["a", "b", "c", "d"]))
    points = np.array([ACCURACIES[name] for name in "abcd"])
    whole = fitted(points[:, 0], points[:, 1], "probit")
    assert whole is not None
    own = found["own", 0]
    assert own.value == pytest.approx(0.82 - predicted(np.array([0.93]), whole.line)[0], abs=1e-12)
    assert own.note == f"the line: {whole.words}"
    for i, name in enumerate("abcd"):
        others = np.delete(points, i, axis=0)
        line = fitted(others[:, 0], others[:, 1], "probit")
        assert line is not None
        expected = points[i, 1] - predicted(points[i, :1], line.line)[0]
        assert found[name, 0].value == pytest.approx(expected, abs=1e-12)
        assert found[name, 0].note == f"the line: {line.words}; this arm left out of it"


def test_all_seeds_of_an_arm_are_left_out_together(project: Project) -> None:
    found = values(project, robust(fit="logit", to=["*"]), seeds=2)
    others = np.array([np.add(ACCURACIES[name], 0.001 * seed) for name in "abcd" for seed in (0, 1)])
    line = fitted(others[:, 0], others[:, 1], "logit")
    assert line is not None
    assert line.models == 8
    for seed in (0, 1):
        expected = 0.82 + 0.001 * seed - predicted(np.array([0.93 + 0.001 * seed]), line.line)[0]
        assert found["own", seed].value == pytest.approx(expected, abs=1e-12)


def test_the_same_record_under_another_name_is_left_out_too(project: Project) -> None:
    same = {"twin": "own"}
    arms = {name: ["lba"] for name in (*ACCURACIES, "twin")}
    made = make_plan(arms, seeds=1, epochs=1, measures={"er": robust(fit="logit", to=["*"])}, evaluate=["original", "shifted"],
                     set_={name: {"head.dropout": 0.1 * i} for i, name in enumerate(ACCURACIES, 1) if name != "own"})  # fmt: skip

    def history(arm: str, seed: int, stage: str) -> dict[str, list[float]]:
        of = ACCURACIES[same.get(arm, arm)]
        return {"val/loss": [1.0]} if stage == "lba" else {f"{stage}/accuracy": [of[stage == "shifted"]]}

    write_records(project, made, history)
    ingest(project, [made])
    entry = made.entries[0]
    own, twin = (next(arm for arm in entry.arms if arm.name == name) for name in ("own", "twin"))
    assert own.trials[0].stages == twin.trials[0].stages
    (value,) = Reader(made, entry, History(project, made)).of(own, "er")
    assert "logit fit to 4 models" in value.note


def test_a_line_of_too_few_gives_no_value_and_says_so(project: Project) -> None:
    found = values(project, robust(fit="probit", to=["a", "b", "c"]))
    assert found["own", 0].value is not None
    assert found["a", 0].value is None
    assert found["a", 0].note == "no probit line: 2 other models have both accuracies, and 3 that differ are needed"


def test_examples_are_drawn_for_the_arm_and_its_line_together(project: Project) -> None:
    """Images that are hard for all models move the line with the arm: less is left uncertain than with a fixed line."""
    n_in, n_out = 1000, 400
    rng = np.random.default_rng(5)
    names = ["a", "b", "c", "d", "e", "own"]
    skill = dict(zip(names, (0.8, 1.2, 1.6, 2.0, 2.4, 1.8), strict=True))
    hard = {"original": rng.normal(0, 2.0, n_in), "shifted": rng.normal(0.8, 2.0, n_out)}
    right = {(name, s): (hard[s] + rng.normal(0, 0.4, len(hard[s])) < skill[name]).astype(int) for name in names for s in hard}
    line = {"fit": "probit", "to": ["a", "b", "c", "d", "e"]}
    claim = make_claim("own ~ 0", on="er", margin=0.05, over="examples")

    def judged(root: Project, kept: tuple[str, ...]) -> Any:
        plan = make_plan({name: ["lba"] for name in names}, seeds=1, epochs=1, measures={"er": robust(**line)}, claims=[claim],
                         evaluate=["original", "shifted"],
                         set_={name: {"head.dropout": 0.1 * i} for i, name in enumerate(names)})  # fmt: skip

        def made(arm: str, seed: int, stage: str) -> Predictions | None:
            if stage == "lba" or arm not in kept:
                return None
            targets = [0, 1] * (len(hard[stage]) // 2)
            return classified(targets, [logits(right[arm, stage], targets)], stage)

        def more(arm: str, seed: int, stage: str) -> dict[str, list[float]]:
            return {} if stage == "lba" else {f"{stage}/accuracy": [float(right[arm, stage].mean())]}

        write_predicted(root, plan, made, more)
        ingest(root, [plan])
        history = History(root, plan)
        reader = Reader(plan, plan.entries[0], history)
        compared = Sides(plan, plan.entries[0], history, reader).compared(plan.entries[0].entry.claims[0])
        return examples_sample(root, plan, plan.entries[0], claim, compared.comparisons[0].pairs(), history)

    together = judged(project, tuple(names))
    fixed = judged(make_project(project.root / "other"), ("own",))
    acc = np.array([[right[name, s].mean() for s in hard] for name in names])
    fit = fitted(acc[:-1, 0], acc[:-1, 1], "probit")
    assert fit is not None
    expected = acc[-1, 1] - predicted(acc[-1, :1], fit.line)[0]
    assert together.effect == pytest.approx(expected, abs=1e-12)
    assert fixed.effect == pytest.approx(expected, abs=1e-12)
    assert any(note.startswith("the fitted line is drawn anew with the examples") for note in together.notes)
    assert "the line is taken as it is: of some of its models no predictions are kept" in fixed.notes
    widths = [(hi - lo) / 2 for lo, hi in (together.interval(0.95), fixed.interval(0.95))]
    assert widths[1] == pytest.approx(binomial_half_width(acc[-1, 0], n_in, acc[-1, 1], n_out, fit.line), rel=0.06)
    assert widths[0] < 0.7 * widths[1]
    # The same by hand: rows drawn together, the line fitted to each draw.
    draws = []
    for _ in range(2000):
        i, o = rng.integers(n_in, size=n_in), rng.integers(n_out, size=n_out)
        drawn = np.array([[right[name, "original"][i].mean(), right[name, "shifted"][o].mean()] for name in names])
        again = fitted(drawn[:-1, 0], drawn[:-1, 1], "probit")
        assert again is not None
        draws.append(drawn[-1, 1] - predicted(drawn[-1, :1], again.line)[0])
    assert widths[0] == pytest.approx(1.96 * np.std(draws), rel=0.08)


@pytest.mark.parametrize(("only_left", "only_right"), [(0, 0), (1, 0), (3, 9), (9, 3), (40, 41), (6, 6)])
def test_mcnemar_is_the_sign_test_on_discordant_examples(only_left: int, only_right: int) -> None:
    left = np.array([1] * 50 + [1] * only_left + [0] * only_right + [0] * 20, dtype=bool)
    right = np.array([1] * 50 + [0] * only_left + [1] * only_right + [0] * 20, dtype=bool)
    found = mcnemar(left, right)
    assert (found.both, found.only_left, found.only_right, found.neither) == (50, only_left, only_right, 20)
    n, k = only_left + only_right, min(only_left, only_right)
    closed = min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n) if n else 1.0
    assert found.p == pytest.approx(closed, rel=1e-12)
    if n:
        assert found.p == pytest.approx(stats.binomtest(only_left, n).pvalue, rel=1e-12)


def test_mcnemar_in_words() -> None:
    left, right = np.array([1, 1, 1, 0, 0], dtype=bool), np.array([1, 0, 0, 1, 0], dtype=bool)
    assert mcnemar(left, right).words == "2 right on the left only, 1 on the right only (1 on both, 1 on neither, of 5), p = 1"


def test_lines_are_lists_of_arms() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        FittedLine.model_validate({"fit": "probit", "to": []})
