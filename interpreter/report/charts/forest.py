"""Forest plot: a row a claim, with the effect, its interval, each pair's difference, and where the claim would hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from interpreter.report.charts.theme import FILE_WIDTH, mark, tone_colours
from interpreter.report.words import TONES

ROW = 62  # pixels of a claim's row


@dataclass(frozen=True, slots=True)
class Panel:
    """The claims on one measure: they share an x axis, in the measure's units.

    Data sets: `rows` (row, claim, states, effect, lo, hi, from, to, tone, ...) and `pairs` (row, seed, difference).
    Rows are counted from 0, top down; `from` and `to` bound where the claim would hold, cut at the axis.
    """

    title: str
    rows: str
    pairs: str
    count: int
    domain: tuple[float, float]


def chart(panels: Sequence[Panel], *, page: bool) -> list[Any]:
    """One layered chart a measure for the page; for a file, a list of one: all of them, one below the other."""
    drawn = [_layers(panel, page=page) for panel in panels]
    if page:
        return list(drawn)
    return [drawn[0] if len(drawn) == 1 else alt.vconcat(*drawn)]


def _layers(panel: Panel, *, page: bool) -> alt.LayerChart:
    rows = alt.Chart(alt.NamedData(name=panel.rows)).transform_calculate(
        top="datum.row + 0.38",
        text="datum.row + 0.18",
        middle="datum.row + 0.58",
        ticks="datum.row + 0.79",
        bottom="datum.row + 0.9",
    )
    pairs = alt.Chart(alt.NamedData(name=panel.pairs)).transform_calculate(above="datum.row + 0.73", below="datum.row + 0.85")
    scale = alt.Scale(domain=list(panel.domain), nice=False)
    axis = alt.Axis(grid=True, tickCount=6)
    rows_scale = alt.Scale(domain=[0, panel.count], reverse=True, nice=False)
    color = alt.Color("tone:N", legend=None, scale=alt.Scale(domain=list(TONES), range=tone_colours(page=page)))

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=scale, axis=axis, title=panel.title)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=rows_scale, axis=None)

    tooltip = [
        alt.Tooltip("claim:N", title="claim"),
        alt.Tooltip("state:N", title="verdict"),
        alt.Tooltip("shown:N", title="effect"),
        alt.Tooltip("interval:N", title="interval"),
        alt.Tooltip("n:Q", title="replicates"),
    ]
    zero = alt.Chart(alt.Data(values=[{"zero": 0.0}])).mark_rule(**mark("zero", page=page), clip=True).encode(x=x("zero"))
    layers = [
        rows.mark_rect(**mark("claimed", page=page), clip=True).encode(x=x("from"), x2="to:Q", y=y("top"), y2="bottom:Q"),
        zero,
        rows.mark_rule(strokeWidth=2.4, clip=True).encode(x=x("lo"), x2="hi:Q", y=y("middle"), color=color, tooltip=tooltip),
        rows.transform_filter("isValid(datum.effect)")
        .mark_point(filled=True, size=95, opacity=1, shape="diamond", clip=True)
        .encode(x=x("effect"), y=y("middle"), color=color, tooltip=tooltip),
        pairs.mark_rule(**mark("difference", page=page), clip=True).encode(
            x=x("difference"),
            y=y("above"),
            y2="below:Q",
            tooltip=[alt.Tooltip("seed:N", title="seed"), alt.Tooltip("difference:Q", title="difference", format=".4~g")],
        ),
        rows.mark_text(**mark("halo", page=page), align="left", baseline="middle").encode(
            x=alt.value(0), y=y("text"), text="name:N"
        ),
        rows.mark_text(**mark("row-name", page=page), align="left", baseline="middle").encode(
            x=alt.value(0), y=y("text"), text="name:N"
        ),
        rows.mark_text(**mark("halo", page=page), align="right", baseline="middle").encode(
            x=alt.value("width"), y=y("text"), text="label:N"
        ),
        rows.mark_text(align="right", baseline="middle", fontWeight=600).encode(
            x=alt.value("width"), y=y("text"), text="label:N", color=color
        ),
    ]
    width: Any = "container" if page else FILE_WIDTH + 120
    return alt.layer(*layers).properties(width=width, height=ROW * panel.count)
