"""Measures: a dot a trial, seeds joined lightly across arms, and each arm's mean with its interval. One panel a measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from interpreter.report.charts.palette import Look
from interpreter.report.charts.theme import FILE_WIDTH, mark

ROW = 38  # pixels of an arm's row
DENSE_ROW = 27  # where there are many


@dataclass(frozen=True, slots=True)
class Line:
    """A value to compare with."""

    value: float
    text: str
    align: str  # of the name: "left" begins at the line, "right" ends there
    level: int  # lines of text by which the name is raised


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure's dots. Data sets: `dots` (arm, order, seed, value, epoch) and `means` (arm, mean, lo, hi, n)."""

    title: str
    facet: str  # what the panel is limited to: "patience 3"; "" when it shows all
    dots: str
    means: str
    arms: tuple[str, ...]  # labels, from the top
    look: Look  # of what colours tell apart
    key: str  # column that colours go by: "arm" or "key"
    domain: tuple[float, float] | None
    joined: bool  # several seeds appear in more than one arm
    lines: tuple[Line, ...] = ()  # values drawn as thin rules


def chart(panels: Sequence[Panel], *, page: bool) -> list[Any]:
    """One layered chart a panel for the page; for a file, a list of one: the panels side by side."""
    drawn = [_layers(panel, page=page) for panel in panels]
    if page:
        return list(drawn)
    return [drawn[0] if len(drawn) == 1 else alt.concat(*drawn, columns=2)]


def _layers(panel: Panel, *, page: bool) -> alt.LayerChart:
    look, arms = panel.look, list(panel.arms)
    keys = list(look.labels)
    # Rows name the arms; colours have to be told only where they stand for something else.
    legend = None if panel.key == "arm" or page else alt.Legend(symbolOpacity=1, symbolSize=60)
    color = alt.Color(f"{panel.key}:N", legend=legend, scale=alt.Scale(domain=keys, range=look.colours(page=page)))
    shape = alt.Shape(f"{panel.key}:N", legend=None, scale=alt.Scale(domain=keys, range=list(look.shapes)))
    row = ROW if len(arms) <= 8 else DENSE_ROW
    y = alt.Y(
        "arm:N",
        sort=arms,
        title=None,
        scale=alt.Scale(domain=arms),
        axis=alt.Axis(labelLimit=420, labelFontSize=12, labelOverlap=False),
    )
    scale = alt.Scale(zero=False, nice=True, padding=8, **({"domain": list(panel.domain)} if panel.domain else {}))

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=panel.title, scale=scale, axis=alt.Axis(grid=True, tickCount=5))

    def shown(opacity: float) -> Any:
        if not page:
            return alt.value(opacity)
        return alt.condition(f"indexof(muted, datum.{panel.key}) < 0", alt.value(opacity), alt.value(0.08))

    dots = alt.Chart(alt.NamedData(name=panel.dots))
    means = alt.Chart(alt.NamedData(name=panel.means))
    layers: list[Any] = []
    if panel.lines:
        rules = alt.Chart(alt.Data(values=[
            {"at": line.value, "text": line.text, "align": line.align, "level": line.level} for line in panel.lines
        ]))  # fmt: skip
        layers += [
            rules.mark_rule(**mark("trivial", page=page), clip=True).encode(x=x("at")),
            rules.mark_text(
                **mark("trivial-text", page=page),
                align=alt.ExprRef("datum.align"),
                baseline="bottom",
                dx=alt.ExprRef("datum.align == 'left' ? 4 : -4"),
                dy=alt.ExprRef("-3 - 13 * datum.level"),
            ).encode(x=x("at"), y=alt.value(0), text="text:N"),
        ]
    if panel.joined:
        layers.append(
            dots.mark_line(**mark("pair", page=page), yOffset=-4).encode(
                x=x("value"), y=y, detail="seed:N", order=alt.Order("order:Q")
            )
        )
    layers += [
        means.mark_rule(strokeWidth=2.2, yOffset=9).encode(x=x("lo"), x2="hi:Q", y=y, color=color, opacity=shown(1.0)),
        means.mark_tick(thickness=2.6, size=11, orient="vertical", yOffset=9).encode(
            x=x("mean"), y=y, color=color, opacity=shown(1.0),
            tooltip=[alt.Tooltip("arm:N"), alt.Tooltip("shown:N", title="mean"), alt.Tooltip("n:Q", title="trials")],
        ),
        dots.mark_point(filled=True, size=52, yOffset=-4).encode(
            x=x("value"), y=y, color=color, shape=shape, opacity=shown(0.85),
            tooltip=[alt.Tooltip("arm:N"), alt.Tooltip("seed:N"), alt.Tooltip("value:Q", format=".5~g"),
                     alt.Tooltip("epoch:N", title="at epoch")],
        ),
    ]  # fmt: skip
    combined = alt.layer(*layers)
    if panel.facet:
        combined = combined.properties(title=panel.facet)
    if page:
        muted: Any = alt.param(name="muted", value=[])
        return combined.add_params(muted).properties(width="container", height=row * len(arms))
    return combined.properties(width=FILE_WIDTH - 60, height=row * len(arms))
