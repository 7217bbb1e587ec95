"""Robustness: accuracy on shifted data against accuracy on the original, on scaled axes that are marked in percent.

On logit and probit axes the models of one kind of training lie close to a line. Bars are intervals over examples, both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

from interpreter.report.charts.palette import Tint, variable
from interpreter.report.charts.theme import colour

WIDTH, HEIGHT = 600, 470  # of the plot in a file; in a page it is as wide as there is room
DASHES = ((2, 3), (1, 0), (8, 4), (9, 3, 2, 3), (5, 2))  # equal accuracies first
FAINT: Tint = ("#8A9199", "#7D858E")  # models that are there to be compared with


@dataclass(frozen=True, slots=True)
class Family:
    """Models that share a colour and a shape."""

    name: str
    tint: Tint
    shape: str
    faint: bool  # made elsewhere


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its title, its ends and where it is marked, all on the scale, and what the marks say."""

    title: str
    domain: tuple[float, float]
    marks: tuple[float, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """What is drawn. Data sets, all positions on the scale:

    points (family, arm, x, y, x_lo, x_hi, y_lo, y_hi, texts), seeds (family, x, y), lines (line, order, x, y) and
    names (arm, family, x, y, align, dx, dy).
    """

    points: str
    seeds: str
    lines: str
    names: str
    x: Axis
    y: Axis
    families: tuple[Family, ...]
    line_names: tuple[str, ...]
    tooltip: tuple[tuple[str, str], ...]  # column, title


def chart(plot: Plot, *, page: bool) -> Any:
    """The drawing, for the page or for a file."""
    points, seeds = (alt.Chart(alt.NamedData(name=name)) for name in (plot.points, plot.seeds))
    lines, names = (alt.Chart(alt.NamedData(name=name)) for name in (plot.lines, plot.names))
    families = [family.name for family in plot.families]
    tints = [variable(family.tint) if page else family.tint[0] for family in plot.families]
    own = [family.name for family in plot.families if not family.faint]
    paper = colour("paper", page=page)
    told = alt.Legend(
        orient="bottom-right",
        direction="vertical",
        symbolSize=70,
        symbolOpacity=1,
        offset=8,
        rowPadding=3,
        padding=6,
        fillColor=paper,
    )
    legend = told if len(families) > 1 else None
    color = alt.Color("family:N", legend=legend, scale=alt.Scale(domain=families, range=tints))
    shape = alt.Shape("family:N", legend=legend, scale=alt.Scale(domain=families, range=[f.shape for f in plot.families]))
    by_name = alt.StrokeDash(
        "line:N",
        sort=list(plot.line_names),
        scale=alt.Scale(domain=list(plot.line_names), range=[list(DASHES[i % len(DASHES)]) for i in range(len(plot.line_names))]),
        legend=alt.Legend(
            orient="bottom-right", direction="vertical", symbolType="stroke", symbolSize=700, symbolStrokeWidth=1.6,
            symbolStrokeColor=colour("ink", page=page), offset=8, rowPadding=3, padding=6, fillColor=paper,
        ),
    )  # fmt: skip

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=plot.x.title, scale=_scale(plot.x), axis=_axis(plot.x))

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=plot.y.title, scale=_scale(plot.y), axis=_axis(plot.y))

    faint = alt.FieldOneOfPredicate(field="family", oneOf=[name for name in families if name not in own])
    tooltip = [alt.Tooltip(f"{column}:N", title=title) for column, title in plot.tooltip]
    layers: list[Any] = [
        lines.mark_line(stroke=colour("ink", page=page), strokeWidth=1.3, opacity=0.75, clip=True).encode(
            x=x("x"), y=y("y"), strokeDash=by_name, order=alt.Order("order:Q")
        )
    ]
    # What was made elsewhere lies below, whatever its order.
    for below, opacity, size, stroke in ((True, 0.55, 42, 1.0), (False, 1.0, 110, 2.0)):
        shown = points.transform_filter(faint if below else alt.LogicalNotPredicate(**{"not": faint}))
        bars = {"color": color, "opacity": alt.value(opacity * (0.55 if below else 0.9))}
        layers += [
            shown.mark_rule(strokeWidth=stroke, clip=True).encode(x=x("x_lo"), x2="x_hi:Q", y=y("y"), **bars),
            shown.mark_rule(strokeWidth=stroke, clip=True).encode(x=x("x"), y=y("y_lo"), y2="y_hi:Q", **bars),
        ]
        if not below:
            layers.append(
                seeds.mark_point(filled=True, size=26, clip=True).encode(
                    x=x("x"), y=y("y"), color=color, shape=shape, opacity=alt.value(0.6)
                )
            )
        layers.append(
            shown.mark_point(filled=True, size=size, stroke=paper, strokeWidth=0.0 if below else 1.2, clip=True).encode(
                x=x("x"), y=y("y"), color=color, shape=shape, opacity=alt.value(min(1.0, opacity + 0.2)), tooltip=tooltip
            )
        )
    at: dict[str, Any] = {
        "align": alt.ExprRef("datum.align"), "dx": alt.ExprRef("datum.dx"), "dy": alt.ExprRef("datum.dy"),
        "baseline": "middle", "fontSize": 12, "fontWeight": 600,
    }  # fmt: skip
    layers += [
        names.mark_text(**at, stroke=paper, strokeWidth=4, strokeJoin="round").encode(x=x("x"), y=y("y"), text="arm:N"),
        names.mark_text(**at).encode(x=x("x"), y=y("y"), text="arm:N", color=color),
    ]
    width: Any = "container" if page else WIDTH
    return alt.layer(*layers).properties(width=width, height=HEIGHT)


def _scale(axis: Axis) -> alt.Scale:
    return alt.Scale(domain=list(axis.domain), nice=False, zero=False)


def _axis(axis: Axis) -> alt.Axis:
    """Marks at shares of a hundred, wherever the scale has them."""
    told = "''"
    for at, label in zip(reversed(axis.marks), reversed(axis.labels), strict=True):
        told = f"abs(datum.value - {at!r}) < 1e-9 ? '{label}' : {told}"
    return alt.Axis(values=list(axis.marks), labelExpr=told, grid=True, tickCount=len(axis.marks), labelOverlap=False)
