"""The figures of an entry: which there are, what each draws, and in which words it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interpreter.plan.types import Plan
from interpreter.report.charts.palette import Look
from interpreter.report.content import SECTIONS, Figure, Rows
from interpreter.report.curvedata import curves_figure, default_metrics
from interpreter.report.dotdata import measures_figure
from interpreter.report.forestdata import forest_figure
from interpreter.report.read import Reader, where_is
from interpreter.report.robustnessdata import robustness_figure
from interpreter.report.scheduledata import schedule_figure
from interpreter.report.sqldata import sql_figure
from interpreter.spec.views import AnyChart, Chart, SqlChart
from interpreter.verdicts.types import Judgement


class DataSets:
    """The data sets that the figures of one page draw; equal rows are kept once."""

    def __init__(self) -> None:
        self.rows: dict[str, Rows] = {}

    def add(self, kind: str, rows: Rows) -> str:
        """Keep `rows`, and return the name charts call them by."""
        for name, kept in self.rows.items():
            if kept == rows:
                return name
        name = f"{kind}{len(self.rows)}"
        self.rows[name] = rows
        return name


def figures(judgement: Judgement, plan: Plan, reader: Reader, look: Look) -> tuple[tuple[Figure, ...], Mapping[str, Rows]]:
    """All figures in the order of the report (SECTIONS), and the data sets they name.

    What the page asks for, and besides that one of each kind it does not ask for, where there is something to draw.
    Raises: ReportError for a chart that names what isn't there.
    """
    entry = judgement.entry.entry
    asked: dict[str, AnyChart] = dict(entry.charts)
    kinds = {chart.kind for chart in asked.values() if isinstance(chart, Chart)}
    if entry.claims and "forest" not in kinds:
        asked[_free("forest", asked)] = Chart(kind="forest")
    if "curves" not in kinds and _recorded(default_metrics(judgement.entry), judgement, reader):
        asked[_free("curves", asked)] = Chart(kind="curves", arms=_own(judgement, plan))
    if entry.measures and "measures" not in kinds:
        asked[_free("measures", asked)] = Chart(kind="measures")
    data = DataSets()
    made = []
    for kind, _ in SECTIONS:
        for name, chart in asked.items():
            if isinstance(chart, SqlChart):
                if kind == "sql":
                    made.append(sql_figure(name, chart, reader, look, data))
            elif chart.kind == kind:
                made.append(_figure(name, chart, judgement, plan, reader, look, data))
    return tuple(made), data.rows


def _figure(
    name: str, chart: Chart, judgement: Judgement, plan: Plan, reader: Reader, look: Look, data: DataSets
) -> Figure:  # fmt: skip
    if chart.kind == "forest":
        return forest_figure(name, chart, judgement, data)
    if chart.kind == "curves":
        return curves_figure(name, chart, judgement, plan, reader, look, data)
    if chart.kind == "measures":
        return measures_figure(name, chart, judgement, reader, look, data)
    if chart.kind == "robustness":
        return robustness_figure(name, chart, judgement, plan, reader, look, data)
    return schedule_figure(name, chart, judgement, plan, reader, look, data)


def _recorded(metrics: Sequence[str], judgement: Judgement, reader: Reader) -> bool:
    """Whether there is, or may yet be, something of `metrics` to draw: results made elsewhere may have nothing of them."""
    arms = judgement.entry.arms
    return bool(metrics) and (
        not reader.available or any((arm.name, *where_is(arm, metric)) in reader.available for arm in arms for metric in metrics)
    )


def _own(judgement: Judgement, plan: Plan) -> list[str] | None:
    """The arms that are no results made elsewhere, where there are arms of both kinds: such results have other metrics."""
    arms = judgement.entry.arms
    own = [arm.name for arm in arms if any(plan.stages[key].kind != "import" for trial in arm.trials for _, key in trial.stages)]
    return own if 0 < len(own) < len(arms) else None


def _free(name: str, taken: Mapping[str, Any]) -> str:
    return name if name not in taken else f"all-{name}"
