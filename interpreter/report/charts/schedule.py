"""Schedules: the curves, below them a strip an arm with its phases, below that the learning rates; all along the same epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from interpreter.report.charts.palette import Look
from interpreter.report.charts.theme import LONE_WIDTH, colour, legend_columns

CURVE_HEIGHT, RATE_HEIGHT = 170.0, 110.0
LETTER = 6.0  # pixels of a letter of the texts on the strips of a page, in whatever font its reader has
NARROW = 0.9  # of what texts take in a page, what they take in a file, whose font is narrower than some
TEXT_SIZE = 10.5
MARK = 4.0  # pixels of a mark to either side of where it stands
TEXTS = 12  # that a strip has to choose from, at most
TICKED = 10  # epochs of the x axis up to which each has a tick
FOOT, BELOW = 22.0, 4.0  # pixels: from the lowest rate's margin down to where 0 stands, and from there to the axis
# What ended a phase -> its word and its mark. The end of the fit as planned needs no mark.
ENDS: Mapping[str, tuple[str, str]] = {
    "max_epochs": ("full length", "square"),
    "until_epoch": ("at its epoch", "diamond"),
    "patience": ("patience", "circle"),
    "early stopping": ("stopped early", "cross"),
}


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric. Names of data sets: means (arm, stage, x, mean, lo, hi), and seeds (arm, stage, seed, x, value), or "".

    limits: of the y axis, where all values are one; None where they make an axis by themselves.
    `lone` and `lone_seeds` are those rows of them that are alone in their line, which would not be seen as one, or ""; `at` is
    where along the epochs they stand, the arms beside each other.
    """

    title: str
    means: str
    seeds: str
    lone: str
    lone_seeds: str
    limits: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Trace:
    """The three parts of one chart, or of one value of the factor it is split by. Names are those of data sets.

    spans: rectangles (arm, a, b, top, bottom, shade, and what a reader is told). names: texts on them (arm, a, b, y, and lists
    in step: texts, words beside them, and rooms, the pixels both take); the first is drawn that has room. ends: marks (arm, x,
    y, size, end). spread: (arm, low, high, y), or "". rates: corners of steps (arm, line, x, rate, width, group, of), or "".
    All have `key`, what colours stand for, where that is not the arm.
    """

    facet: str
    curves: tuple[Curve, ...]
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
    limits: tuple[float, float]  # of the rates' axis, without 0
    ticks: tuple[float, ...]
    zero: bool  # some rate is 0
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
    drawn = [(_curves(trace, look, color, curve, page=page), CURVE_HEIGHT, curve.title) for curve in trace.curves]
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
    low, high = trace.epochs
    # Left to itself, an axis of one or two epochs has ticks at halves, and calls them by the next whole number.
    ticks: dict[str, Any] = {}
    if high - low <= TICKED:
        whole = list(range(math.ceil(low), math.floor(high) + 1))
        ticks = {"values": whole, "tickCount": len(whole)}
    axis = alt.Axis(format="d", tickMinStep=1, title=trace.x_title if last else None, **ticks)
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[low, high], nice=False, zero=False), axis=axis)


def _axis(trace: Trace, **options: Any) -> alt.Axis:
    """A y axis that takes the same room in all parts, so that epochs stand below each other."""
    return alt.Axis(title=None, minExtent=trace.room, maxExtent=trace.room, **options)


def _shown(trace: Trace, opacity: float, *, page: bool) -> Any:
    """Muted arms all but vanish; only a page can mute."""
    if not page:
        return alt.value(opacity)
    return alt.condition(f"indexof(muted, datum.{trace.key}) < 0", alt.value(opacity), alt.value(0.0))


def _curves(trace: Trace, look: Look, color: alt.Color, curve: Curve, *, page: bool) -> list[Any]:
    x = _x(trace, "x", last=False)

    # From a single value an axis would get a single tick, without the value's decimals.
    scale = alt.Scale(zero=False, nice=True) if curve.limits is None else alt.Scale(domain=list(curve.limits), nice=True)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=scale, axis=_axis(trace, tickCount=5))

    def rows(name: str) -> alt.Chart:
        return alt.Chart(alt.NamedData(name=name))

    layers: list[Any] = [
        rows(curve.means).mark_area(clip=True, stroke=None).encode(
            x=x, y=y("lo"), y2="hi:Q", color=color, detail=["arm:N", "stage:N"], opacity=_shown(trace, 0.14, page=page)
        )
    ]  # fmt: skip
    if curve.seeds:
        layers.append(
            rows(curve.seeds).mark_line(strokeWidth=0.8, clip=True).encode(
                x=x, y=y("value"), color=color, detail=["arm:N", "stage:N", "seed:N"], opacity=_shown(trace, 0.32, page=page)
            )
        )  # fmt: skip
    line = rows(curve.means).mark_line(strokeWidth=2, clip=True).encode(
        x=x, y=y("mean"), color=color, detail=["arm:N", "stage:N"], opacity=_shown(trace, 1.0, page=page)
    )  # fmt: skip
    layers.append(_dashed(line, trace, look))
    at = _x(trace, "at", last=False)
    if curve.lone:
        lone = rows(curve.lone)
        layers += [
            lone.mark_rule(strokeWidth=4, clip=True).encode(
                x=at, y=y("lo"), y2="hi:Q", color=color, opacity=_shown(trace, 0.2, page=page)
            ),
            lone.mark_point(filled=True, size=55).encode(x=at, y=y("mean"), color=color, opacity=_shown(trace, 1.0, page=page)),
        ]  # fmt: skip
    if curve.lone_seeds:
        layers.append(
            rows(curve.lone_seeds).mark_point(filled=True, size=16).encode(
                x=at, y=y("value"), color=color, opacity=_shown(trace, 0.5, page=page)
            )
        )  # fmt: skip
    return layers


def _dashed(line: alt.Chart, trace: Trace, look: Look) -> alt.Chart:
    if not look.by_form:
        return line
    scale = alt.Scale(domain=list(look.labels), range=[list(dash) for dash in look.dashes])
    return line.encode(strokeDash=alt.StrokeDash(f"{trace.key}:N", legend=None, scale=scale))


def _strips(trace: Trace, color: alt.Color, *, page: bool) -> list[Any]:
    low, high = trace.epochs
    width = "width" if page else str(LONE_WIDTH)
    wide = f"(datum.b - datum.a) * {width} / {(high - low) * (1 if page else NARROW):g}"
    muted = f"indexof(muted, datum.{trace.key}) >= 0" if page else "false"
    axis = _axis(trace, values=[], labels=False, grid=False)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=alt.Scale(domain=[trace.height, 0], nice=False, zero=False), axis=axis)

    def text(field: str, **options: Any) -> alt.Chart:
        # What does not fit is no text at all: one that is only invisible would still take room beside the plot. Beyond the
        # end of a list there is nothing, and nothing is less than that.
        chosen = "".join(f"{wide} > datum.rooms[{i}] ? datum.{field}[{i}] : " for i in range(TEXTS)) + "''"
        mark = names.mark_text(
            baseline="middle", fontSize=TEXT_SIZE, opacity=alt.ExprRef(f"{muted} ? 0.1 : 1"), text=alt.ExprRef(chosen),
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
        text("texts", align="left", dx=8).encode(x=_x(trace, "a", last=False)),
        text("words", align="right", dx=-9, fontStyle="italic").encode(x=_x(trace, "b", last=False)),
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
                filled=True, fill=ink, stroke=paper, strokeWidth=0.8, opacity=alt.ExprRef(f"{muted} ? 0.1 : 1"),
                # One that reached beyond the plot would make it narrower than those above and below.
                xOffset=alt.ExprRef(f"datum.x < {high:g} ? 0 : -{MARK:g}"),
            ).encode(
                x=_x(trace, "x", last=False), y=y("y"), shape=shape, size=alt.Size("size:Q", scale=None, legend=None),
                tooltip=[alt.Tooltip("arm:N"), alt.Tooltip("end:N", title="ended by"), alt.Tooltip("at:N", title="after epoch")],
            )
        )  # fmt: skip
    return layers


def _rates(trace: Trace, color: alt.Color, *, page: bool) -> list[Any]:
    low, high = trace.limits
    ticks, labels = list(trace.ticks), "format(datum.value, '~e')"
    rows = alt.Chart(alt.NamedData(name=trace.rates))
    if trace.zero:
        # A logarithmic axis never comes down to 0: that stands below all other rates, and the tick says so.
        pixel = (high / low) ** (1 / RATE_HEIGHT)
        foot = low / pixel**FOOT
        low = foot / pixel**BELOW
        ticks, labels = [foot, *ticks], f"datum.value < {foot * pixel:.6g} ? '0' : {labels}"
        rows = rows.transform_calculate(rate=f"datum.rate > 0 ? datum.rate : {foot:.6g}")
    y = alt.Y(
        "rate:Q", scale=alt.Scale(type="log", domain=[low, high], nice=False, clamp=False),
        axis=_axis(trace, values=ticks, labelExpr=labels),
    )  # fmt: skip
    told = [alt.Tooltip("arm:N"), alt.Tooltip("group:N"), alt.Tooltip("of:N", title="seeds")]
    drawn = rows.mark_line(interpolate="step-after", clip=True).encode(
        x=_x(trace, "x", last=True),
        y=y,
        color=color,
        detail="line:N",
        tooltip=told,
        opacity=_shown(trace, 1.0, page=page),
        strokeWidth=alt.StrokeWidth("width:Q", scale=None, legend=None),
    )
    return [drawn]
