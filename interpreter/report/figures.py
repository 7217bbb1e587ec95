"""The figures of an entry: which there are, what each draws, and in which words it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interpreter.errors import ReportError
from interpreter.plan.types import Plan
from interpreter.report.charts import theme
from interpreter.report.content import SECTIONS, Figure, Rows
from interpreter.report.curvedata import curves_figure, default_metrics
from interpreter.report.dotdata import forest_figure, measures_figure
from interpreter.report.read import Reader
from interpreter.report.words import names
from interpreter.spec.views import Chart
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


def figures(judgement: Judgement, plan: Plan, reader: Reader, look: theme.Look) -> tuple[tuple[Figure, ...], Mapping[str, Rows]]:
    """All figures in the order of the report (forest, curves, measures), and the data sets they name.

    What the page asks for, and besides that one of each kind it does not ask for, where there is something to draw.
    Raises: ReportError for a chart that names what isn't there.
    """
    entry = judgement.entry.entry
    asked = dict(entry.charts)
    kinds = {chart.kind for chart in asked.values()}
    if entry.claims and "forest" not in kinds:
        asked[_free("forest", asked)] = Chart(kind="forest")
    if "curves" not in kinds and default_metrics(judgement.entry):
        asked[_free("curves", asked)] = Chart(kind="curves")
    if entry.measures and "measures" not in kinds:
        asked[_free("measures", asked)] = Chart(kind="measures")
    data = DataSets()
    made = []
    for kind, _ in SECTIONS:
        for name, chart in asked.items():
            if chart.kind != kind:
                continue
            _check_arms(name, chart, judgement)
            if kind == "forest":
                made.append(forest_figure(name, chart, judgement, look, data))
            elif kind == "curves":
                made.append(curves_figure(name, chart, judgement, plan, reader, look, data))
            else:
                made.append(measures_figure(name, chart, judgement, reader, look, data))
    return tuple(made), data.rows


def _free(name: str, taken: Mapping[str, Any]) -> str:
    return name if name not in taken else f"all-{name}"


def _check_arms(name: str, chart: Chart, judgement: Judgement) -> None:
    """Raises: ReportError when the chart names an arm that isn't one, or sorts trials by anything but the seed."""
    arms: Sequence[str] = [arm.name for arm in judgement.entry.arms]
    for arm in chart.arms or ():
        if arm not in arms:
            raise ReportError(
                f"{judgement.entry.id}: chart `{name}` names the arm `{arm}`, which isn't there",
                hint=f"arms: {names(tuple(arms), 24)}",
            )
    for key in chart.where or {}:
        if key != "seed":
            raise ReportError(
                f"{judgement.entry.id}: chart `{name}` has `where: {key}`, by which trials can't be chosen", hint="known: seed"
            )
