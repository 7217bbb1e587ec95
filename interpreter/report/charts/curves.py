"""Learning curves: a faint line a seed, the mean over seeds, and a band around it. One panel a metric."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from interpreter.report.charts.palette import Look
from interpreter.report.charts.theme import FILE_WIDTH, LONE_WIDTH, PANEL_HEIGHT, legend_columns, mark

LABEL_GAP = 0.052  # of the y axis: the least distance of two names beside their curves
LABELLED_HEIGHT = 340  # of a panel with names beside the curves


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric's curves, of all arms or of those with one value of a factor.

    The data sets have rows (arm, stage, x, mean, lo, hi, n), (arm, stage, seed, x, value) and (arm, at, text); where colours
    tell a factor and not arms, also `key`, what the colour stands for.
    """

    title: str  # what is shown, with units
    facet: str  # what the panel is limited to: "patience 3"; "" when it shows all
    means: str  # name of a data set
    seeds: str  # name of a data set; "" when single seeds are not drawn
    ends: str  # name of a data set with a place for each arm's name; "" when the legend is enough
    x_title: str
    look: Look  # of what colours tell apart
    key: str  # column that colours go by: "arm" or "key"
    lines: tuple[str, ...]  # labels of the arms
    band: bool
    trivial: tuple[tuple[str, float], ...] = ()  # trivial rules to be drawn: what is written on the line, and where it is
    room: int = 0  # pixels right of the plot, for the names beside the curves
    domain: tuple[float, float] | None = None  # of the y axis, where several panels share it


def chart(panels: Sequence[Panel], look: Look, *, page: bool) -> list[Any]:
    """One layered chart a panel for the page; for a file, a list of one: the panels side by side, with a legend.

    `look` is that of all panels together: they share the file's legend.
    """
    if page:
        return [_layers(panel, panel.look, page=True) for panel in panels]
    drawn = [_layers(panel, look, page=False) for panel in panels]
    return [drawn[0].properties(width=LONE_WIDTH) if len(drawn) == 1 else alt.concat(*drawn, columns=2)]


def _layers(panel: Panel, look: Look, *, page: bool) -> alt.LayerChart:
    keys = list(look.labels)
    told = panel.ends and panel.key == "arm"
    legend = (
        None if page or len(keys) == 1 or told else alt.Legend(symbolType="stroke", symbolOpacity=1, columns=legend_columns(keys))
    )
    color = alt.Color(f"{panel.key}:N", legend=legend, scale=alt.Scale(domain=keys, range=look.colours(page=page)))
    dash = alt.StrokeDash(
        f"{panel.key}:N", legend=legend, scale=alt.Scale(domain=keys, range=[list(dash) for dash in look.dashes])
    )
    x = alt.X("x:Q", title=panel.x_title, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(format="d", tickMinStep=1))
    y_title = panel.title if page else None
    scale = alt.Scale(zero=False, nice=True, **({"domain": list(panel.domain)} if panel.domain else {}))

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=y_title, scale=scale)

    def shown(opacity: float) -> Any:
        """Muted arms vanish; only a page can mute."""
        if not page:
            return alt.value(opacity)
        return alt.condition(f"indexof(muted, datum.{panel.key}) < 0", alt.value(opacity), alt.value(0.0))

    means = alt.Chart(alt.NamedData(name=panel.means))
    layers: list[Any] = []
    for above, (text, value) in _above(panel.trivial):
        rule = alt.Chart(alt.Data(values=[{"trivial": value, "text": text}]))
        place = {"baseline": "bottom", "dy": -2} if above else {"baseline": "top", "dy": 3}
        layers += [
            rule.mark_rule(**mark("trivial", page=page), clip=True).encode(y=alt.Y("trivial:Q", title=y_title, scale=scale)),
            rule.mark_text(**mark("trivial-text", page=page), align="right", **place).encode(
                x=alt.value("width"), y=alt.Y("trivial:Q", title=y_title, scale=scale), text="text:N"
            ),
        ]
    if panel.band:
        layers.append(
            means.mark_area(clip=True, stroke=None).encode(
                x=x, y=y("lo"), y2="hi:Q", color=color, detail=["arm:N", "stage:N"], opacity=shown(0.16)
            )
        )
    if panel.seeds:
        seeds = alt.Chart(alt.NamedData(name=panel.seeds))
        layers.append(
            seeds.mark_line(strokeWidth=0.9, clip=True).encode(
                x=x, y=y("value"), color=color, detail=["arm:N", "seed:N", "stage:N"], opacity=shown(0.38)
            )
        )
    line: dict[str, Any] = {"x": x, "y": y("mean"), "color": color, "detail": ["arm:N", "stage:N"], "opacity": shown(1.0)}
    if look.by_form:
        line["strokeDash"] = dash
    layers.append(means.mark_line(strokeWidth=2.2, clip=True, strokeCap="round" if not look.by_form else "butt").encode(**line))
    if panel.ends:
        names = alt.Chart(alt.NamedData(name=panel.ends))
        layers.append(
            names.mark_text(align="left", baseline="middle", fontSize=10.5, dx=5, clip=False).encode(
                x=alt.value("width"), y=y("at"), text="text:N", color=color, opacity=shown(1.0)
            )
        )
    if page:
        layers.append(_hover(means, panel, x))
    combined = alt.layer(*layers)
    height = LABELLED_HEIGHT if panel.ends else PANEL_HEIGHT
    if page:
        muted: Any = alt.param(name="muted", value=[])
        options: dict[str, Any] = {"title": panel.facet} if panel.facet else {}
        if panel.ends:
            # What is written beside the curves is no part of an axis: the width has to leave room for it.
            options["padding"] = {"left": 2, "right": panel.room, "top": 4, "bottom": 2}
        return combined.add_params(muted).properties(width="container", height=height, **options)
    title = " · ".join(word for word in (panel.title, panel.facet) if word)
    return combined.properties(width=FILE_WIDTH, height=height, title=title)


def _above(trivial: Sequence[tuple[str, float]]) -> list[tuple[bool, tuple[str, float]]]:
    """Whether each line's name is written above it: of several lines the lowest has it below, so that two never meet."""
    ranked = sorted(trivial, key=lambda line: line[1])
    return [(i > 0 or len(ranked) == 1, line) for i, line in enumerate(ranked)]


def _hover(means: alt.Chart, panel: Panel, x: alt.X) -> alt.Chart:
    """A rule at the epoch nearest to the pointer, with every arm's mean at that epoch; it carries the zoom on x too."""
    nearest = alt.selection_point(name="nearest", nearest=True, on="pointermove", clear="pointerout", fields=["x"], empty=False)
    zoom = alt.selection_interval(name="zoom", bind="scales", encodings=["x"], zoom="wheel![event.shiftKey]")
    tooltip = [alt.Tooltip("x:Q", title=panel.x_title, format="d")]
    split: dict[str, str] = {}
    merge: list[Any] = []
    spell: dict[str, str] = {}
    for i, arm in enumerate(panel.lines):
        here = f"datum.arm === {json.dumps(arm)}"
        split |= {
            f"m{i}": f"{here} ? datum.mean : null",
            f"h{i}": f"{here} && isValid(datum.lo) ? (datum.hi - datum.lo) / 2 : null",
        }
        merge += [alt.AggregatedFieldDef(**{"op": "max", "field": f, "as": f}) for f in (f"m{i}", f"h{i}")]
        half = f"isValid(datum.h{i}) ? ' ± ' + format(datum.h{i}, '.2~g') : ''"
        spell[f"t{i}"] = f"isValid(datum.m{i}) ? format(datum.m{i}, '.4~g') + ({half}) : '–'"
        tooltip.append(alt.Tooltip(f"t{i}:N", title=arm))
    return (
        means.transform_calculate(**split)
        .transform_aggregate(merge, groupby=["x"])
        .transform_calculate(**spell)
        .mark_rule(**mark("hover", page=True))
        .encode(x=x, tooltip=tooltip, opacity=alt.condition(nearest, alt.value(0.6), alt.value(0.0)))
        .add_params(nearest, zoom)
    )
