"""Learning curves: a faint line a seed, the mean over seeds, and a band around it. One panel a metric."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from interpreter.report.charts.theme import FILE_WIDTH, LONE_WIDTH, PANEL_HEIGHT, Look, mark


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric's curves. The data sets have rows (arm, stage, x, mean, lo, hi, n) and (arm, stage, seed, x, value)."""

    title: str  # what is shown, with units
    means: str  # name of a data set
    seeds: str  # name of a data set; "" when single seeds are not drawn
    x_title: str
    arms: tuple[str, ...]
    band: bool
    trivial: float | None = None  # the metric's value of the trivial rule, where it is to be drawn


def chart(panels: Sequence[Panel], look: Look, *, page: bool) -> list[Any]:
    """One layered chart a panel for the page; for a file, a list of one: the panels side by side, with a legend."""
    if page:
        return [_layers(panel, look, page=True) for panel in panels]
    drawn = [_layers(panel, look, page=False) for panel in panels]
    return [drawn[0].properties(width=LONE_WIDTH) if len(drawn) == 1 else alt.concat(*drawn, columns=2)]


def _columns(arms: Sequence[str]) -> int:
    """How many names fit beside each other in a file's legend."""
    return max(1, LONE_WIDTH // (7 * max(map(len, arms)) + 45))


def _layers(panel: Panel, look: Look, *, page: bool) -> alt.LayerChart:
    colours = look.colours(page=page)
    order = [look.arms.index(arm) for arm in panel.arms]
    legend = (
        None if page or len(panel.arms) == 1 else alt.Legend(symbolType="stroke", symbolOpacity=1, columns=_columns(panel.arms))
    )
    color = alt.Color("arm:N", legend=legend, scale=alt.Scale(domain=list(panel.arms), range=[colours[i] for i in order]))
    dash = alt.StrokeDash(
        "arm:N", legend=legend, scale=alt.Scale(domain=list(panel.arms), range=[list(look.dashes[i]) for i in order])
    )
    x = alt.X("x:Q", title=panel.x_title, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(format="d", tickMinStep=1))
    y_title = panel.title if page else None
    scale = alt.Scale(zero=False, nice=True)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=y_title, scale=scale)

    def shown(opacity: float) -> Any:
        """Muted arms vanish; only a page can mute."""
        if not page:
            return alt.value(opacity)
        return alt.condition("indexof(muted, datum.arm) < 0", alt.value(opacity), alt.value(0.0))

    means = alt.Chart(alt.NamedData(name=panel.means))
    layers: list[Any] = []
    if panel.trivial is not None:
        rule = alt.Chart(alt.Data(values=[{"trivial": panel.trivial, "text": "trivial baseline"}]))
        layers += [
            rule.mark_rule(**mark("trivial", page=page), clip=True).encode(y=alt.Y("trivial:Q", title=y_title, scale=scale)),
            rule.mark_text(**mark("trivial-text", page=page), align="right", baseline="bottom", dy=-2).encode(
                x=alt.value("width"), y=alt.Y("trivial:Q", title=y_title, scale=scale), text="text:N"
            ),
        ]
    if panel.band:
        layers.append(
            means.mark_area(clip=True, stroke=None).encode(
                x=x, y=y("lo"), y2="hi:Q", color=color, detail="stage:N", opacity=shown(0.16)
            )
        )
    if panel.seeds:
        seeds = alt.Chart(alt.NamedData(name=panel.seeds))
        layers.append(
            seeds.mark_line(strokeWidth=0.9, clip=True).encode(
                x=x, y=y("value"), color=color, detail=["seed:N", "stage:N"], opacity=shown(0.38)
            )
        )
    line: dict[str, Any] = {"x": x, "y": y("mean"), "color": color, "detail": "stage:N", "opacity": shown(1.0)}
    if look.by_form:
        line["strokeDash"] = dash
    layers.append(means.mark_line(strokeWidth=2.2, clip=True, strokeCap="round" if not look.by_form else "butt").encode(**line))
    if page:
        layers.append(_hover(means, panel, x))
    combined = alt.layer(*layers)
    if page:
        muted: Any = alt.param(name="muted", value=[])
        return combined.add_params(muted).properties(width="container", height=PANEL_HEIGHT)
    return combined.properties(width=FILE_WIDTH, height=PANEL_HEIGHT, title=panel.title)


def _hover(means: alt.Chart, panel: Panel, x: alt.X) -> alt.Chart:
    """A rule at the epoch nearest to the pointer, with every arm's mean at that epoch; it carries the zoom on x too."""
    nearest = alt.selection_point(name="nearest", nearest=True, on="pointermove", clear="pointerout", fields=["x"], empty=False)
    zoom = alt.selection_interval(name="zoom", bind="scales", encodings=["x"], zoom="wheel![event.shiftKey]")
    tooltip = [alt.Tooltip("x:Q", title=panel.x_title, format="d")]
    split: dict[str, str] = {}
    merge: list[Any] = []
    spell: dict[str, str] = {}
    for i, arm in enumerate(panel.arms):
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
