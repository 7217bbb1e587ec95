"""Whatever a query gives: a mark a row, or a line or area through the rows. One panel, or one a value of a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt

from interpreter.report.charts.palette import TINTS, Look, variable
from interpreter.report.charts.theme import FILE_WIDTH, LONE_WIDTH, PANEL_HEIGHT, legend_columns

KEY = "colour of the row"  # column that colours go by; no column of a query is called so by chance


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. The data set has the columns x and y, that of the colour, and KEY."""

    title: str
    rows: str  # name of a data set
    mark: str  # "line", "point", "bar", "rule" or "area"
    x: str
    x_kind: str  # "quantitative", "temporal" or "nominal"
    y: str
    y_kind: str
    color: str  # heading of the legend; "" when there is one colour, or the panels' titles say what it is
    look: Look | None
    ticks: Mapping[str, list[int]] = field(default_factory=dict)  # axes of a few whole numbers: where their ticks are
    domain: tuple[float, float] | None = None  # of the y axis, where several panels share it


def chart(panels: Sequence[Panel], *, page: bool) -> list[Any]:
    """One chart a panel for the page; for a file, a list of one: the panels side by side."""
    drawn = [_panel(panel, page=page) for panel in panels]
    if page:
        return list(drawn)
    return [drawn[0].properties(width=LONE_WIDTH) if len(drawn) == 1 else alt.concat(*drawn, columns=2)]


def _panel(panel: Panel, *, page: bool) -> alt.Chart:
    first = variable(TINTS[0]) if page else TINTS[0][0]
    zero = panel.mark in ("bar", "area")  # their length speaks: it begins at zero
    base = alt.Chart(alt.NamedData(name=panel.rows))
    marked = {
        "line": lambda: base.mark_line(strokeWidth=2.2, point=alt.OverlayMarkDef(size=26, filled=True)),
        "point": lambda: base.mark_point(filled=True, size=52, opacity=0.8),
        "bar": lambda: base.mark_bar(cornerRadiusEnd=2),
        "rule": lambda: base.mark_rule(strokeWidth=2.2),
        "area": lambda: base.mark_area(opacity=0.35, line=True),
    }[panel.mark]()
    channels: dict[str, Any] = {
        "x": _axis(panel, alt.X, panel.x, panel.x_kind, zero=panel.mark == "bar" and panel.y_kind == "nominal"),
        "y": _axis(panel, alt.Y, panel.y, panel.y_kind, zero=zero, domain=panel.domain),
        "color": alt.value(first),
        "tooltip": [_told(panel.x, panel.x_kind), _told(panel.y, panel.y_kind)],
    }
    if panel.look is not None:
        labels = list(panel.look.labels)
        alone = page or not panel.color or len(labels) == 1  # a page has its legend above all panels
        legend = None if alone else alt.Legend(title=panel.color, columns=legend_columns(labels), symbolOpacity=1, symbolSize=70)
        channels["color"] = alt.Color(
            f"{KEY}:N", legend=legend, scale=alt.Scale(domain=labels, range=panel.look.colours(page=page))
        )
        channels["tooltip"].insert(0, alt.Tooltip(f"{KEY}:N", title=panel.color or "panel"))
    width: Any = "container" if page else FILE_WIDTH
    properties: dict[str, Any] = {"width": width, "height": PANEL_HEIGHT}
    if panel.title:
        properties["title"] = panel.title
    return marked.encode(**channels).properties(**properties)


def _axis(panel: Panel, channel: Any, column: str, kind: str, *, zero: bool, domain: tuple[float, float] | None = None) -> Any:
    """An axis over a column; names of columns may hold what Vega-Lite reads as a path, and are escaped."""
    options: dict[str, Any] = {"field": _escaped(column), "type": kind, "title": column}
    if kind == "quantitative":
        reach = [min(0.0, domain[0]), max(0.0, domain[1])] if domain and zero else list(domain) if domain else None
        pad = {"padding": 10} if panel.mark in ("point", "rule") and not zero else {}
        options["scale"] = alt.Scale(zero=zero, nice=channel is alt.Y or zero, **pad, **({"domain": reach} if reach else {}))
        values = {"values": panel.ticks[column], "format": "d"} if column in panel.ticks else {}
        options["axis"] = alt.Axis(grid=channel is alt.Y or panel.y_kind == "nominal", **values)
    if kind == "nominal":
        options["sort"] = None
        options["axis"] = alt.Axis(labelLimit=420, labelAngle=0 if channel is alt.Y else -30, grid=False)
        if channel is alt.Y:
            options["title"] = None  # the names say it, and leave no room beside them
    return channel(**options)


def _told(column: str, kind: str) -> alt.Tooltip:
    form = {"format": ".5~g"} if kind == "quantitative" else {}
    return alt.Tooltip(field=_escaped(column), type=kind, title=column, **form)


def _escaped(column: str) -> str:
    return column.replace("\\", "\\\\").replace(".", "\\.").replace("[", "\\[").replace("]", "\\]").replace("'", "\\'")
