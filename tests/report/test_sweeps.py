"""Reports of sweeps: who is drawn in which colour, in which panel, and what happens when there are too many."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpreter.errors import ReportError
from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.report.charts.palette import TINTS, look_of, ramp
from interpreter.report.content import Content
from interpreter.report.gather import gather
from interpreter.report.write import write_reports
from interpreter.results.ingest import ingest
from interpreter.spec.measures import Measure
from interpreter.spec.views import Chart, SqlChart, SqlTable, Table
from interpreter.verdicts.types import Judgement, MeasureValue
from tests.plans import make_project, write_records
from tests.report.making import with_entry
from tests.report.sweeping import EPOCHS, history, sweep_plan

MEASURES = {"loss": Measure(metric="val/loss", read="last")}
THAW = {"by": ["layerwise", "manual"], "max_epochs": ["1", "100"]}
Made = tuple[Project, Plan]


def judged(plan: Plan) -> Judgement:
    """What judging gives, without it: the room above is not what is tested here."""
    (entry,) = plan.entries
    values = [
        MeasureValue(arm.name, trial.seed, "loss", history(arm.name, trial.seed, "lba")["val/loss"][-1], EPOCHS, False, True)
        for arm in entry.arms
        for trial in arm.trials
    ]
    return Judgement(entry, tuple(values), ())


def content(made: Made, **fields: Any) -> Content:
    plan = with_entry(made[1], **fields)
    return gather(made[0], plan, judged(plan))


@pytest.fixture(scope="module")
def thaw(tmp_path_factory: pytest.TempPathFactory) -> Made:
    plan = sweep_plan(THAW, measures=MEASURES)
    project = make_project(tmp_path_factory.mktemp("thaw"))
    write_records(project, plan, history, baseline={"val/loss": 2.303})
    ingest(project, [plan])
    return project, plan


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Made:
    plan = sweep_plan({"lr": [f"0.{i:03d}" for i in range(1, 101)]}, measures=MEASURES, seeds=1)
    project = make_project(tmp_path_factory.mktemp("many"))
    write_records(project, plan, history)
    ingest(project, [plan])
    return project, plan


def rows(made: Content, prefix: str) -> list[dict[str, Any]]:
    return [row for name, kept in made.datasets.items() if name.startswith(prefix) for row in kept]


def test_points_are_called_by_what_varies(thaw: Made) -> None:
    made = content(thaw, charts={"c": Chart(y="val/loss")})
    assert {r["arm"] for r in rows(made, "means")} == {
        "naive", *(f"thaw · by {b} · max_epochs {m}" for b in THAW["by"] for m in THAW["max_epochs"]),
    }  # fmt: skip
    assert [row[0] for row in made.tables[0].rows][:2] == ["naive", "thaw · by layerwise · max_epochs 1"]
    assert made.tables[0].csv_rows[1][0] == "thaw[by=layerwise,max_epochs=1]"


@pytest.mark.parametrize(
    ("chart", "arms"),
    [
        (Chart(y="val/loss", arms=["thaw[max_epochs=1]", "naive"]),
         ["thaw · by layerwise · max_epochs 1", "thaw · by manual · max_epochs 1", "naive"]),
        (Chart(y="val/loss", where={"max_epochs": 100}),
         ["thaw · by layerwise · max_epochs 100", "thaw · by manual · max_epochs 100"]),
        (Chart(y="val/loss", arms=["thaw"], where={"by": ["manual"], "max_epochs": "1"}), ["thaw · by manual · max_epochs 1"]),
    ],
)  # fmt: skip
def test_arms_and_where_choose(thaw: Made, chart: Chart, arms: list[str]) -> None:
    (figure,) = [f for f in content(thaw, charts={"c": chart}).figures if f.name == "c"]
    assert figure.look is not None
    assert list(figure.look.labels) == arms


def test_seeds_are_chosen(thaw: Made) -> None:
    made = content(
        thaw, charts={"c": Chart(y="val/loss", where={"seed": [0, 2]}), "m": Chart(kind="measures", where={"seed": 1})}
    )
    assert {r["n"] for r in rows(made, "means")} == {2}
    assert {r["seed"] for r in rows(made, "seeds")} == {0, 2}
    assert {r["seed"] for r in rows(made, "dots")} == {1}


def test_colours_by_a_factor(thaw: Made) -> None:
    made = content(thaw, charts={"c": Chart(y="val/loss", color="max_epochs")})
    (figure,) = [f for f in made.figures if f.name == "c"]
    assert figure.look is not None
    assert figure.look.labels == ("max_epochs 1", "max_epochs 100", "naive")
    drawn = rows(made, "means")
    assert {(r["arm"], r["key"]) for r in drawn} >= {("thaw · by manual · max_epochs 1", "max_epochs 1"), ("naive", "naive")}
    assert len({r["arm"] for r in drawn}) == 5


def test_a_panel_for_each_value(thaw: Made) -> None:
    made = content(thaw, charts={"c": Chart(y="val/loss", facet="by")})
    (figure,) = [f for f in made.figures if f.name == "c"]
    assert [panel["title"] for panel in figure.panels] == ["by layerwise", "by manual"]
    text = json.dumps(figure.panels[0])
    names = re.findall(r'"name": "(means\d+)"', text)
    assert {r["arm"] for r in made.datasets[names[0]]} == {
        "naive",
        *(f"thaw · by layerwise · max_epochs {m}" for m in ("1", "100")),
    }


@pytest.mark.parametrize(
    ("chart", "message", "hint"),
    [
        (Chart(color="patiense"), "factor `patiense`", "known: by, max_epochs"),
        (Chart(facet="max_epoch"), "factor `max_epoch`", "did you mean `max_epochs`?"),
        (Chart(where={"max_epoch": 1}), "factor `max_epoch`", "did you mean `max_epochs`?"),
        (Chart(where={"seed": "first"}), "no seed", "seed: [0, 1]"),
        (Chart(arms=["thaw[by=nothing]"]), "the arm `thaw[by=nothing]`", "by: layerwise and manual"),
        (SqlChart(sql="SELECT arm AS a, 1 AS b FROM arms", x="a", y="c"), "`y: c`, which isn't a column", "known: a, b"),
        (SqlChart(sql="SELECT nonsense FROM arms", x="a", y="c"), "the query of chart `c` fails", ""),
        (SqlChart(sql="COPY (SELECT 1) TO 'out.csv'", x="a", y="c"), "only reads", "SELECT"),
        (SqlChart(sql="SELECT $other AS a", x="a", y="a"), "$other", "$entry and $profile"),
    ],
)
def test_charts_of_what_is_not_there(thaw: Made, chart: Any, message: str, hint: str) -> None:
    with pytest.raises(ReportError) as caught:
        content(thaw, charts={"c": chart})
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert not (thaw[0].root / "out.csv").exists()


@pytest.mark.parametrize(
    ("chart", "notice"),
    [
        (Chart(where={"max_epochs": 7}), "Nothing to draw"),
        (Chart(kind="measures", where={"by": "manual", "max_epochs": "off"}), "Nothing to draw"),
        (Chart(y="val/loss", where={"seed": 99}), "No data yet"),
        (Chart(y="val/loss", epochs=(500, 600)), "No data yet"),
        (Chart(kind="measures", where={"seed": 99}), "No data yet"),
        (Chart(kind="forest"), "No data yet"),
        (Chart(kind="schedule_trace", where={"seed": 99}), "No data yet"),
        (SqlChart(sql="SELECT 1 AS a WHERE false", x="a", y="a"), "No rows yet"),
    ],
)
def test_charts_on_nothing_say_so(thaw: Made, chart: Any, notice: str) -> None:
    (figure,) = [f for f in content(thaw, charts={"c": chart}).figures if f.name == "c"]
    assert notice in figure.notice
    assert figure.panels == ()


def test_a_chart_of_a_query(thaw: Made) -> None:
    sql = (
        "SELECT arm, avg(value) AS loss FROM curves WHERE entry = $entry AND profile = $profile AND metric = 'loss' GROUP BY arm"
    )
    made = content(thaw, charts={"q": SqlChart(sql=f"{sql} ORDER BY arm", mark="bar", x="loss", y="arm", color="arm")})
    (figure,) = [f for f in made.figures if f.name == "q"]
    drawn = {r["arm"]: r["loss"] for r in rows(made, "query")}
    assert drawn["naive"] == pytest.approx(np.mean([history("naive", s, "lba")["val/loss"] for s in range(3)]), rel=1e-12)
    assert "thaw · by manual · max_epochs 100" in drawn
    assert figure.look is not None
    assert figure.look.tints[0] == look_of(["naive"], ["naive"]).tints[0]


def test_a_chart_of_too_many_rows_is_cut(thaw: Made) -> None:
    made = content(thaw, charts={"q": SqlChart(sql="SELECT range AS a FROM range(20000)", x="a", y="a")})
    (figure,) = [f for f in made.figures if f.name == "q"]
    assert len(rows(made, "query")) == 5000
    assert "Only the first 5000 rows" in figure.caption


def test_a_table_of_a_query(thaw: Made) -> None:
    table = SqlTable(sql="SELECT 'a' AS word, -1.23456 AS number, NULL AS nothing, 2 AS n", format={"number": ".2f"})
    (grid,) = content(thaw, tables={"t": table}).tables
    assert grid.columns == ("word", "number", "nothing", "n")
    assert grid.rows == (("a", "−1.23", "–", "2"),)
    assert grid.csv_rows == (("a", -1.23456, None, 2),)
    with pytest.raises(ReportError, match="`nubmer`") as caught:
        content(thaw, tables={"t": SqlTable(sql="SELECT 1 AS number", format={"nubmer": ".2f"})})
    assert "`number`" in caught.value.hint
    (grid,) = content(thaw, tables={"t": SqlTable(sql="SELECT 1 AS a WHERE false")}).tables
    assert "No rows yet" in grid.notice


def test_one_factor_against_another(thaw: Made) -> None:
    table = Table(rows="max_epochs", columns="by", cell="{val/loss:.3f} at {epoch}, {loss:.2f}")
    (grid,) = content(thaw, tables={"t": table}).tables
    assert grid.columns == ("max_epochs", "by layerwise", "by manual")
    assert [row[0] for row in grid.rows] == ["1", "100"]
    curves = [history("thaw[by=manual,max_epochs=100]", s, "lba")["val/loss"] for s in range(3)]
    best = np.mean([min(c) for c in curves])
    last = np.mean([c[-1] for c in curves])
    epochs = np.mean([1 + int(np.argmin(c)) for c in curves])
    shown = f"{epochs:.0f}" if epochs == int(epochs) else f"{epochs:.1f}"
    assert grid.rows[1][2] == f"{best:.3f} at {shown}, {last:.2f}"
    assert "naive" in grid.caption
    (head, column, mean, *_), *_ = [row for row in grid.csv_rows if row[:2] == ("100", "manual")]
    assert (head, column) == ("100", "manual")
    assert mean == pytest.approx(best, rel=1e-12)


def test_a_factor_against_arms(thaw: Made) -> None:
    table = Table(rows="max_epochs", columns="arm", cell="{loss:.3f}")
    (grid,) = content(thaw, tables={"t": table}).tables
    assert grid.columns == ("max_epochs", "thaw · by layerwise", "thaw · by manual")
    loss = np.mean([history("thaw[by=layerwise,max_epochs=1]", s, "lba")["val/loss"][-1] for s in range(3)])
    assert grid.rows[0][1] == f"{loss:.3f}"


@pytest.mark.parametrize(
    ("table", "message", "hint"),
    [
        (Table(rows="by", columns="arm", cell="{los:.2f}"), "`los`", "`loss`"),
        (Table(rows="by", columns="arm", cell="{val/losss}"), "`val/losss`", "`val/loss`"),
        (Table(rows="by", columns="arm", cell="{loss:.2q}"), ".2q", "Python's"),
        (Table(rows="by", columns="arm", cell="none"), "shows no number", "{epoch}"),
        (Table(rows="by", columns="arm", cell="{loss"), "can't be read", "{epoch}"),
        (Table(rows="bye", columns="arm", cell="{loss}"), "factor `bye`", "`by`"),
        (Table(rows="patience", columns=["loss"]), "factor `patience`", "max_epochs"),
    ],
)
def test_tables_of_what_is_not_there(thaw: Made, table: Table, message: str, hint: str) -> None:
    with pytest.raises(ReportError) as caught:
        content(thaw, tables={"t": table})
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_a_table_of_probed_checkpoints_says_when(thaw: Made) -> None:
    (grid,) = content(thaw, tables={"t": Table(rows="head.at", columns="arm", cell="{val/accuracy:.2%}")}).tables
    assert grid.notice == "No trial has got through `head` yet."


def test_a_conclusion_names_a_point(thaw: Made) -> None:
    made = content(thaw, conclusion="{{ measure.thaw[max_epochs=1,by=manual].loss }}")
    mean = np.mean([history("thaw[by=manual,max_epochs=1]", s, "lba")["val/loss"][-1] for s in range(3)])
    assert float(made.conclusion.split(" ")[0]) == pytest.approx(mean, abs=2e-3)
    with pytest.raises(ReportError, match="has 4 points"):
        content(thaw, conclusion="{{ measure.thaw.loss }}")


def test_of_many_arms_quantiles_are_drawn(many: Made) -> None:
    made = content(many, charts={"c": Chart(y="val/loss")})
    (figure,) = [f for f in made.figures if f.name == "c"]
    drawn = rows(made, "means")
    assert "100 arms are too many" in figure.caption
    assert len({r["arm"] for r in drawn}) == 1 + 1 + 4  # the sweep, naive, two at each end
    last = {a.name: history(a.name, 0, "lba")["val/loss"][-1] for a in many[1].entries[0].arms if a.base == "thaw"}
    (band,) = [r for r in drawn if r["arm"] == "thaw" and r["x"] == EPOCHS]
    np.testing.assert_allclose(
        [band["lo"], band["mean"], band["hi"]], np.quantile(list(last.values()), [0.1, 0.5, 0.9]), rtol=1e-9
    )
    ranked = sorted(last, key=last.__getitem__)
    ends = {name.replace("thaw[lr=", "thaw · lr ").rstrip("]") for name in (*ranked[:2], *ranked[-2:])}
    assert {r["arm"] for r in drawn} == {"thaw", "naive", *ends}


def test_of_many_arms_the_page_stays_small(many: Made) -> None:
    project, plan = many
    (path,) = write_reports(project, plan, [judged(plan)])
    html = re.sub(r'<script id="vega-bundle">.*?</script>', "", path.read_text(), flags=re.S)
    assert len(html) < 400_000
    assert "The first 60 of 101 rows" in html
    assert html.count("<tr>") < 60 + 101 + 20
    with (Path(path).parent / "tables" / "first-measures.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 101
    assert "The arms with the lowest and the highest means are drawn; 77 between them" in html


def test_many_points_share_a_hue() -> None:
    labels = ["naive", *(f"a{i}" for i in range(6)), *(f"b{i}" for i in range(6))]
    look = look_of(labels, ["naive"], ["naive", *["a"] * 6, *["b"] * 6])
    assert look.tints[1:7] == tuple(ramp(TINTS[0], 6))
    assert look.tints[7:] == tuple(ramp(TINTS[1], 6))
    assert len(set(look.tints)) == 13
    assert len(set(ramp(TINTS[0], 1000))) == 12
    assert look_of(labels[:9], ["naive"], [*["a"] * 9]).tints[1:] == TINTS
