"""Schedules: the curves, below them a strip an arm with its phases, below that the learning rates; all along the same epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from interpreter.report.charts.palette import Look
from interpreter.report.charts.theme import LONE_WIDTH, colour, legend_columns

CURVE_HEIGHT, RATE_HEIGHT = 170.0, 110.0
LETTER = 6.0  # pixels of a letter of the names on the strips
NAME_SIZE = 10.5
# What ended a phase -> its word and its mark. The end of the fit as planned needs no mark.
ENDS: Mapping[str, tuple[str, str]] = {
    "max_epochs": ("full length", "square"),
    "until_epoch": ("at its epoch", "diamond"),
    "patience": ("patience", "circle"),
    "early stopping": ("stopped early", "cross"),
}


@dataclass(frozen=True, slots=True)
class Trace:
    """The three parts of one chart, or of one value of the factor it is split by. Names are those of data sets.

    curves: (title, means, seeds or "") a metric; means (arm, stage, x, mean, lo, hi), seeds (arm, stage, seed, x, value).
    spans: rectangles (arm, a, b, top, bottom, shade, and what a reader is told). names: texts on them (arm, a, b, y, name,
    word, room: pixels the name takes, rooms: both). ends: marks (arm, x, y, size, end). spread: (arm, low, high, y), or "".
    rates: (arm, line, x, rate, width, group, of), or "". All have `key`, what colours stand for, where that is not the arm.
    """

    facet: str
    curves: tuple[tuple[str, str, str], ...]
    spans: str
    names: str
    ends: str
    spread: str
    rates: str
    rows: tuple[tuple[float, tuple[str, ...]], ...]  # where each arm's label stands, in pixels from the top, and its lines
    height: float  # of all strips, in pixels
    words: tuple[str, ...]  # of ENDS, those that are drawn
    epochs: tuple[float, float]  # of the x axis
    x_title: str
    limits: tuple[float, float]  # of the rates' axis
    ticks: tuple[float, ...]
    room: int  # pixels left of the plots
    key: str  # column that colours go by: "arm" or "key"
    look: Look


def chart(traces: Sequence[Trace], look: Look, *, page: bool) -> list[Any]:
    """The parts of each trace, one below the other; for a file, a list of one: everything, with a legend of `look`."""
    parts = [_parts(trace, trace.look if page else look, page=page) for trace in traces]
    if page:
        return [part for each in parts for part in each]
    whole = [alt.vconcat(*each, spacing=14).resolve_legend(shape="independent") for each in parts]
    return [whole[0] if len(whole) == 1 else alt.concat(*whole, columns=2)]


def _parts(trace: Trace, look: Look, *, page: bool) -> list[alt.LayerChart]:
    keys = list(look.labels)
    legend = None
    if not page and len(keys) > 1:
        legend = alt.Legend(symbolType="stroke", symbolOpacity=1, columns=legend_columns(keys))
    color = alt.Color(f"{trace.key}:N", legend=legend, scale=alt.Scale(domain=keys, range=look.colours(page=page)))
    drawn = [(_curves(trace, look, color, means, seeds, page=page), CURVE_HEIGHT, title) for title, means, seeds in trace.curves]
    drawn.append((_strips(trace, color, page=page), trace.height, "Phases"))
    if trace.rates:
        drawn.append((_rates(trace, color, page=page), RATE_HEIGHT, "Learning rate"))
    made = []
    for number, (layers, height, title) in enumerate(drawn):
        words = f"{title} · {trace.facet}" if trace.facet and number == 0 else title
        heading = alt.TitleParams(words, fontSize=12, fontWeight=600, offset=6, anchor="start", frame="group")
        combined = alt.layer(*layers).properties(title=heading, height=height, width="container" if page else LONE_WIDTH)
        if page:
            muted: Any = alt.param(name="muted", value=[])
            combined = combined.add_params(muted)
        made.append(combined.resolve_scale(color="shared"))
    return made


def _x(trace: Trace, field: str, *, last: bool) -> alt.X:
    """The epochs, alike in all parts; only the last part says what they are."""
    axis = alt.Axis(format="d", tickMinStep=1, title=trace.x_title if last else None)
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=list(trace.epochs), nice=False, zero=False), axis=axis)


def _axis(trace: Trace, **options: Any) -> alt.Axis:
    """A y axis that takes the same room in all parts, so that epochs stand below each other."""
    return alt.Axis(title=None, minExtent=trace.room, maxExtent=trace.room, **options)


def _shown(trace: Trace, opacity: float, *, page: bool) -> Any:
    """Muted arms all but vanish; only a page can mute."""
    if not page:
        return alt.value(opacity)
    return alt.condition(f"indexof(muted, datum.{trace.key}) < 0", alt.value(opacity), alt.value(0.0))


def _curves(trace: Trace, look: Look, color: alt.Color, means: str, seeds: str, *, page: bool) -> list[Any]:
    x = _x(trace, "x", last=False)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=alt.Scale(zero=False, nice=True), axis=_axis(trace, tickCount=5))

    mean = alt.Chart(alt.NamedData(name=means))
    layers: list[Any] = [
        mean.mark_area(clip=True, stroke=None).encode(
            x=x, y=y("lo"), y2="hi:Q", color=color, detail=["arm:N", "stage:N"], opacity=_shown(trace, 0.14, page=page)
        )
    ]
    if seeds:
        layers.append(
            alt.Chart(alt.NamedData(name=seeds)).mark_line(strokeWidth=0.8, clip=True).encode(
                x=x, y=y("value"), color=color, detail=["arm:N", "stage:N", "seed:N"], opacity=_shown(trace, 0.32, page=page)
            )
        )  # fmt: skip
    line = mean.mark_line(strokeWidth=2, clip=True).encode(
        x=x, y=y("mean"), color=color, detail=["arm:N", "stage:N"], opacity=_shown(trace, 1.0, page=page)
    )
    return [*layers, _dashed(line, trace, look)]


def _dashed(line: alt.Chart, trace: Trace, look: Look) -> alt.Chart:
    if not look.by_form:
        return line
    scale = alt.Scale(domain=list(look.labels), range=[list(dash) for dash in look.dashes])
    return line.encode(strokeDash=alt.StrokeDash(f"{trace.key}:N", legend=None, scale=scale))


def _strips(trace: Trace, color: alt.Color, *, page: bool) -> list[Any]:
    low, high = trace.epochs
    width = "width" if page else str(LONE_WIDTH)
    wide = f"(datum.b - datum.a) * {width} / {high - low:g}"
    muted = f"indexof(muted, datum.{trace.key}) >= 0" if page else "false"
    axis = _axis(trace, values=[], labels=False, grid=False)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=alt.Scale(domain=[trace.height, 0], nice=False, zero=False), axis=axis)

    def text(field: str, fits: str, **options: Any) -> alt.Chart:
        # What does not fit is no text at all: one that is only invisible would still take room beside the plot.
        mark = names.mark_text(
            baseline="middle", fontSize=NAME_SIZE, opacity=alt.ExprRef(f"{muted} ? 0.1 : 1"),
            text=alt.ExprRef(f"{wide} > datum.{fits} ? datum.{field} : ''"),
            fill=colour("ink", page=page), **options,
        )  # fmt: skip
        return mark.encode(y=y("y"))

    told = [
        alt.Tooltip("arm:N"), alt.Tooltip("of:N", title="seeds"), alt.Tooltip("number:Q", title="phase"),
        alt.Tooltip("span:N", title="epochs"), alt.Tooltip("thawed:N"), alt.Tooltip("trained:N"), alt.Tooltip("ended:N"),
        alt.Tooltip("best:N"),
    ]  # fmt: skip
    spans = alt.Chart(alt.NamedData(name=trace.spans))
    names = alt.Chart(alt.NamedData(name=trace.names))
    paper, ink = colour("paper", page=page), colour("ink", page=page)
    layers: list[Any] = [
        spans.mark_rect(
            clip=True, stroke=paper, strokeWidth=1, opacity=alt.ExprRef(f"{muted} ? 0.04 : datum.shade"), strokeOpacity=1
        ).encode(x=_x(trace, "a", last=False), x2="b:Q", y=y("top"), y2="bottom:Q", color=color, tooltip=told),
        text("name", "room", align="left", dx=8).encode(x=_x(trace, "a", last=False)),
        text("word", "rooms", align="right", dx=-9, fontStyle="italic").encode(x=_x(trace, "b", last=False)),
    ]
    # Labels of an axis give way to each other; these have been given their room.
    labels = alt.Chart(alt.Data(values=[{"at": at - 6 * (len(lines) - 1), "text": "\n".join(lines)} for at, lines in trace.rows]))
    layers.append(
        labels.mark_text(
            align="right", baseline="middle", dx=-8, fontSize=11, fill=ink, lineBreak="\n", lineHeight=12, clip=False
        ).encode(x=alt.value(0), y=y("at"), text="text:N")
    )  # fmt: skip
    if trace.spread:
        layers.append(
            alt.Chart(alt.NamedData(name=trace.spread)).mark_rule(stroke=ink, strokeWidth=1, opacity=0.55).encode(
                x=_x(trace, "low", last=False), x2="high:Q", y=y("y")
            )
        )  # fmt: skip
    if trace.words:
        shapes = dict(ENDS.values())
        shape = alt.Shape(
            "end:N", scale=alt.Scale(domain=list(trace.words), range=[shapes[word] for word in trace.words]),
            legend=alt.Legend(title="phase ended by", titleOrient="left", symbolSize=60, symbolStrokeWidth=0,
                              symbolFillColor=ink, symbolOpacity=1),
        )  # fmt: skip
        layers.append(
            alt.Chart(alt.NamedData(name=trace.ends)).mark_point(
                filled=True, fill=ink, stroke=paper, strokeWidth=0.8, opacity=alt.ExprRef(f"{muted} ? 0.1 : 1")
            ).encode(
                x=_x(trace, "x", last=False), y=y("y"), shape=shape, size=alt.Size("size:Q", scale=None, legend=None),
                tooltip=[alt.Tooltip("arm:N"), alt.Tooltip("end:N", title="ended by"), alt.Tooltip("at:N", title="after epoch")],
            )
        )  # fmt: skip
    return layers


def _rates(trace: Trace, color: alt.Color, *, page: bool) -> list[Any]:
    scale = alt.Scale(type="log", domain=list(trace.limits), nice=False, clamp=False)
    y = alt.Y("rate:Q", scale=scale, axis=_axis(trace, format="~e", values=list(trace.ticks)))
    lines = alt.Chart(alt.NamedData(name=trace.rates)).mark_line(interpolate="step", clip=True)
    told = [alt.Tooltip("arm:N"), alt.Tooltip("group:N"), alt.Tooltip("of:N", title="seeds")]
    drawn = lines.encode(
        x=_x(trace, "x", last=True),
        y=y,
        color=color,
        detail="line:N",
        tooltip=told,
        opacity=_shown(trace, 1.0, page=page),
        strokeWidth=alt.StrokeWidth("width:Q", scale=None, legend=None),
    )
    return [drawn]
