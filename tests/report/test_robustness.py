"""The chart of robustness: where points and lines are, what is said of them, and the same in a table."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import logit

from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.report.cast import entry_look
from interpreter.report.content import Figure
from interpreter.report.figures import figures
from interpreter.report.read import Reader
from interpreter.report.render import drawing, named, svg
from interpreter.results.ingest import ingest
from interpreter.spec.measures import Measure, Reference
from interpreter.spec.views import Chart
from interpreter.verdicts.effective_robustness import LINES, binomial_interval, effective_robustness, fitted
from interpreter.verdicts.judge import judge
from tests.plans import Predictions, make_plan, make_project
from tests.verdicts.example_records import classified, logits, write_predicted

SETS = {"original": 1000, "shifted": 400}
RIGHT = {  # examples got right, of those of each set, by arm
    "a": (800, 260), "b": (850, 290), "c": (900, 320), "d": (950, 356), "own": (930, 330), "perfect": (1000, 400),
}  # fmt: skip


def project_of(
    root: Path, seeds: int = 1, chart: dict[str, Any] | None = None, arms: tuple[str, ...] = tuple(RIGHT)
) -> tuple[Project, Plan]:
    """A project in which every arm got so many examples right, one fewer for each further seed."""
    written = {"kind": "robustness", "in": "original/accuracy", "out": "shifted/accuracy",
               "lines": ["andreassen", {"fit": "probit", "to": ["a", "b", "c", "d"]}], **(chart or {})}  # fmt: skip
    reference = Reference(values={"in-dist": 0.9306890869, "out": 0.8231026459}, n=1, source="a result file")
    plan = make_plan(
        {name: ["lba"] for name in arms}, seeds=seeds, epochs=1, evaluate=["original", "shifted"],
        set_={name: {"head.dropout": 0.1 * i} for i, name in enumerate(arms)},
        measures={"in-dist": Measure(metric="original/accuracy"), "out": Measure(metric="shifted/accuracy")},
        references={"diary": reference}, charts={"line": Chart.model_validate(written)},
    )  # fmt: skip
    project = make_project(root)

    def made(arm: str, seed: int, stage: str) -> Predictions | None:
        if stage == "lba":
            return None
        n, right = SETS[stage], RIGHT[arm][stage == "shifted"] - seed
        targets = [0, 1] * (n // 2)
        return classified(targets, [logits([1] * right + [0] * (n - right), targets)], stage)

    write_predicted(project, plan, made)
    ingest(project, [plan])
    return project, plan


def drawn(project: Project, plan: Plan) -> tuple[Figure, dict[str, Any]]:
    (judgement,) = judge(project, plan)
    every, data = figures(judgement, plan, Reader(project, plan.entries[0]), entry_look(plan.entries[0]))
    (figure,) = [figure for figure in every if figure.kind == "robustness"]
    return figure, {re.sub(r"\d+$", "", name): rows for name, rows in data.items()}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> tuple[Figure, dict[str, Any]]:
    return drawn(*project_of(tmp_path_factory.mktemp("one")))


def test_points_are_where_their_accuracies_are_on_the_scale(one: tuple[Figure, dict[str, Any]]) -> None:
    rows = {row["arm"]: row for row in one[1]["robust"]}
    assert set(rows) == {"a", "b", "c", "d", "own", "diary"}
    own = rows["own"]
    assert (own["x"], own["y"]) == pytest.approx((logit(0.93), logit(330 / 400)))
    ends = *binomial_interval(0.93, 1000), *binomial_interval(330 / 400, 400)
    assert (own["x_lo"], own["x_hi"], own["y_lo"], own["y_hi"]) == pytest.approx(logit(np.array(ends)))
    assert (rows["diary"]["x"], rows["diary"]["y_lo"]) == (pytest.approx(logit(0.9306890869)), None)
    assert own["in_text"].endswith("(n = 1,000)")


def test_lines_are_straight_on_their_scale_and_equal_accuracies_are_too(one: tuple[Figure, dict[str, Any]]) -> None:
    lines: dict[str, list[Any]] = {}
    for row in one[1]["robustlines"]:
        lines.setdefault(row["line"], []).append(row)
    equal, credited, fit = lines
    assert equal == "equal accuracies"
    assert credited == "credited to Andreassen et al. 2022"
    assert re.fullmatch(r"probit fit to 4 models, R² [01]\.\d{3}", fit)
    assert [row["y"] for row in lines[equal]] == pytest.approx([row["x"] for row in lines[equal]])
    at = LINES["andreassen"]
    assert [r["y"] for r in lines[credited]] == pytest.approx([at.slope * r["x"] + at.intercept for r in lines[credited]])
    bent = [row["y"] for row in lines[fit]]
    assert np.abs(np.diff(bent, 2)).max() > 1e-6  # a probit fit is not straight on logit axes


def test_the_caption_says_what_is_drawn_and_what_is_not(one: tuple[Figure, dict[str, Any]]) -> None:
    figure = one[0]
    assert "exact binomial 95 % intervals over the examples, 1,000 and 400." in figure.caption
    assert (
        "Credited to Andreassen et al. 2022 in code, and not checked in the paper: logit(out) = 0.8318 logit(in) − 0.4736."
        in (figure.caption)
    )
    assert "Probit fit to 4 models: slope " in figure.caption
    assert "Not drawn, without a place on these axes or without both accuracies: perfect." in figure.caption
    assert "From elsewhere, as they were told: diary." in figure.caption
    assert "own: 93.0 % on the original, 82.5 % on the shifted data" in figure.alt
    assert "diary, from elsewhere: 93.1 %, 82.3 %" in figure.alt


def test_the_table_has_the_same_numbers(one: tuple[Figure, dict[str, Any]]) -> None:
    grid = one[0].grid
    assert grid is not None
    assert grid.columns[:4] == ("model", "family", "original/accuracy", "shifted/accuracy")
    own = dict(zip(grid.csv_columns, next(row for row in grid.csv_rows if row[0] == "own"), strict=True))
    assert (own["original/accuracy.mean"], own["original/accuracy.n"]) == (0.93, 1000)
    points = np.array([np.divide(RIGHT[name], (1000, 400)) for name in "abcd"])
    line = fitted(points[:, 0], points[:, 1], "probit")
    assert line is not None
    mine = np.array([0.93]), np.array([0.825])
    above = {key: value for key, value in own.items() if key.startswith("above")}
    credited, fit = (float(above[key]) for key in above if key.endswith(".mean"))
    assert credited == pytest.approx(effective_robustness(*mine, LINES["andreassen"])[0], abs=1e-12)
    assert fit == pytest.approx(effective_robustness(*mine, line.line)[0], abs=1e-12)
    others = fitted(points[1:, 0], points[1:, 1], "probit")
    assert others is not None
    a = dict(zip(grid.csv_columns, next(row for row in grid.csv_rows if row[0] == "a"), strict=True))
    alone = float(next(a[key] for key in list(a)[::-1] if key.endswith(".mean")))
    assert alone == pytest.approx(effective_robustness(points[:1, 0], points[:1, 1], others.line)[0], abs=1e-12)
    assert grid.footer[0][:4] == ("diary", "from elsewhere", "93.07 %", "82.31 %")


def test_names_stand_inside_and_do_not_meet(one: tuple[Figure, dict[str, Any]]) -> None:
    names = one[1]["robustnames"]
    assert {row["arm"] for row in names} == {"a", "b", "c", "d", "own", "diary"}
    assert all(row["align"] in ("left", "right") for row in names)


def test_axes_are_marked_in_percent(one: tuple[Figure, dict[str, Any]]) -> None:
    figure, data = one
    assert figure.drawing is not None
    text = svg(drawing(figure.drawing, _named(figure, data))).decode()
    for mark in (">90 %<", ">95 %<", ">80 %<", ">70 %<"):
        assert mark in text
    assert "original accuracy (logit scale)" in text
    assert "NaN" not in text


def _named(figure: Figure, data: dict[str, Any]) -> dict[str, Any]:
    """The data sets under the names that the drawing has for them."""
    assert figure.drawing is not None
    return {name: data[re.sub(r"\d+$", "", name)] for name in named(figure.drawing)}


def test_several_seeds_are_small_points_around_their_mean(tmp_path: Path) -> None:
    figure, data = drawn(*project_of(tmp_path, seeds=3, arms=("a", "b", "c", "d", "own")))
    own = next(row for row in data["robust"] if row["arm"] == "own")
    assert own["x"] == pytest.approx(logit(0.929))
    assert own["in_text"].endswith("mean of 3 seeds")
    seeds = [row for row in data["robustseeds"] if row["family"] == "own"]
    assert sorted(row["x"] for row in seeds) == pytest.approx([logit(0.928), logit(0.929), logit(0.930)])
    assert "Of several seeds the point is their mean" in figure.caption
    assert figure.grid is not None
    assert figure.grid.columns[2] == "seeds"
    assert "probit fit to 12 models" in figure.caption or "Probit fit to 12 models" in figure.caption


def test_families_share_a_shape_and_a_colour(tmp_path: Path) -> None:
    figure, data = drawn(*project_of(tmp_path, chart={"families": {"small": ["a", "b"], "large": ["c", "d"]}, "scale": "probit"}))
    assert figure.look is not None
    assert figure.look.labels == ("small", "large", "own", "from elsewhere")
    assert len(set(figure.look.shapes)) == 4
    assert len(set(figure.look.tints)) == 4
    assert {row["arm"]: row["family"] for row in data["robust"]}["b"] == "small"


def test_without_data_there_is_a_notice(tmp_path: Path) -> None:
    project, plan = make_project(tmp_path), project_of(tmp_path / "other")[1]
    ingest(project, [plan])
    figure, _ = drawn(project, plan)
    assert figure.notice == "No data yet: no arm has both accuracies."
    assert figure.grid is None


def test_a_line_of_too_few_is_told(tmp_path: Path) -> None:
    figure, data = drawn(*project_of(tmp_path, chart={"lines": [{"fit": "logit", "to": ["a", "b"]}]}))
    assert "No logit line: too few of a, b have both accuracies." in figure.caption
    assert {row["line"] for row in data["robustlines"]} == {"equal accuracies"}
    assert all(math.isfinite(row["x"]) for row in data["robust"])
