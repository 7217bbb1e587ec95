"""What a chart of measures draws: a dot a trial, each arm's mean, values to compare with, and the caption."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from interpreter.errors import ReportError
from interpreter.plan.points import base_of
from interpreter.plan.types import ArmPlan
from interpreter.report.cast import Facet, cast
from interpreter.report.charts import measures
from interpreter.report.charts.palette import Look
from interpreter.report.content import Figure, Keeper
from interpreter.report.read import Reader, Wanted, where_is
from interpreter.report.statistics import Summary, summary
from interpreter.report.terms import measure_title, rule_title
from interpreter.report.words import count, names, number, plus_minus
from interpreter.spec.names import did_you_mean
from interpreter.spec.views import Chart
from interpreter.verdicts.types import Judgement, MeasureValue

ROWS = 24  # of one panel: of more arms, those with the lowest and the highest means are drawn
NAME_ROOM = 0.3  # of the x axis: what the name of a line takes
LONG = 26  # letters of a row's name: with longer ones, panels stand one below the other


def measures_figure(name: str, chart: Chart, judgement: Judgement, reader: Reader, look: Look, data: Keeper) -> Figure:
    """The measures: a panel a measure, a dot a trial. Raises: ReportError for a measure that isn't there."""
    entry = judgement.entry
    wanted = [chart.y] if isinstance(chart.y, str) else list(chart.y or entry.entry.measures)
    for measure in wanted:
        if measure not in entry.entry.measures:
            raise ReportError(
                f"{entry.id}: chart `{name}` shows the measure `{measure}`, which isn't there",
                hint=_hint(measure, tuple(entry.entry.measures)),
            )
    who = cast(name, chart, entry, look)
    title = chart.title or f"Each trial's {names(wanted)}"
    if not who.arms:
        return Figure(
            name, "measures", title, chart.caption, "", notice="Nothing to draw: no arm has these values of its factors."
        )
    kept = [m for m in judgement.measures if m.arm in who.keys and (who.seeds is None or m.seed in who.seeds)]
    values = [m for m in kept if m.measure in wanted and m.value is not None and math.isfinite(m.value)]
    if not values:
        return Figure(name, "measures", title, chart.caption, "", notice="No data yet: no trial has a value.")
    panels: list[measures.Panel] = []
    outside: list[str] = []
    alts: list[str] = []
    cut = 0
    for measure in wanted:
        of: dict[str, list[MeasureValue]] = {}
        for m in values:
            if m.measure == measure:
                of.setdefault(m.arm, []).append(m)
        domain = _domain([m.value for ms in of.values() for m in ms if m.value is not None]) if len(who.facets) > 1 else None
        for facet in who.facets:
            found = {
                arm.name: summary([m.value for m in of[arm.name] if m.value is not None]) for arm in facet.arms if arm.name in of
            }
            shown = _shown(facet, found)
            cut = max(cut, len(facet.arms) - len(shown) if len(facet.arms) > ROWS else 0)
            rows = [
                _dot(m, i, who.labels[arm.name], who.keys[arm.name]) for i, arm in enumerate(shown) for m in of.get(arm.name, ())
            ]
            if not rows:
                continue
            means = [_mean(found[arm.name], who.labels[arm.name], who.keys[arm.name]) for arm in shown if arm.name in found]
            drawn = [d["value"] for d in rows] + [x for r in means for x in (r["lo"], r["hi"]) if x is not None]
            lines, far = _lines(measure, drawn, judgement, reader)
            outside += far
            joined = len(facet.arms) <= ROWS and sum(sum(d["seed"] == s for d in rows) > 1 for s in {d["seed"] for d in rows}) > 1
            axis = f"{measure}: {measure_title(entry.entry.measures[measure])}"
            panels.append(
                measures.Panel(
                    axis, facet.title, data.add("dots", rows), data.add("summary", means),
                    tuple(who.labels[arm.name] for arm in shown), who.look, "arm" if who.by_arm else "key", domain, joined, lines,
                )
            )  # fmt: skip
            alts.append(f"{measure}: " + names([f"{r['arm']} {r['shown']}" for r in means]))
    charts = measures.chart(panels, page=True)
    file = measures.chart(panels, page=False)[0]
    caption = _caption(chart, kept, wanted, list(dict.fromkeys(outside)), panels, cut, who.labels)
    return Figure(
        name, "measures", title, f"{caption} {who.note}".strip(), f"{title}. " + "; ".join(alts) + ".",
        tuple(c.to_dict(validate=False) for c in charts), file.to_dict(validate=False), who.look,
        legend="" if who.by_arm else "plain", wide=max(len(label) for p in panels for label in p.arms) > LONG,
    )  # fmt: skip


def _hint(measure: str, known: Sequence[str]) -> str:
    if not known:
        return "define it under `measures:`"
    near = did_you_mean(measure, known)
    return near if near.startswith("did") else f"measures: {names(known, 24)}"


def _shown(facet: Facet, found: dict[str, Summary]) -> list[ArmPlan]:
    """The arms of a panel: all while there is room, else the ends of the range and whatever is no point of a sweep."""
    if len(facet.arms) <= ROWS:
        return list(facet.arms)
    sizes: dict[str, int] = {}
    for arm in facet.arms:
        sizes[base_of(arm)] = sizes.get(base_of(arm), 0) + 1
    single = [arm for arm in facet.arms if sizes[base_of(arm)] == 1][: ROWS // 3]
    rest = [arm for arm in facet.arms if arm not in single and arm.name in found]
    rest.sort(key=lambda arm: found[arm.name].mean or 0.0)
    room = ROWS - len(single)
    ends = rest if len(rest) <= room else [*rest[: (room + 1) // 2], *rest[len(rest) - room // 2 :]]
    return [*single, *ends]


def _domain(values: Sequence[float]) -> tuple[float, float] | None:
    """The x axis that all panels of a measure share: all trials, with room for intervals."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    pad = 0.12 * (high - low)
    return (low - pad, high + pad) if pad else None


def _dot(m: MeasureValue, order: int, label: str, key: str) -> dict[str, Any]:
    return {
        "arm": label,
        "order": order,
        "seed": m.seed,
        "value": m.value,
        "epoch": m.epoch,
        "key": key,
    }


def _mean(s: Summary, label: str, key: str) -> dict[str, Any]:
    low, high = (None, None) if s.ci is None or s.mean is None else (s.mean - s.ci, s.mean + s.ci)
    shown = plus_minus(s.mean, s.ci)
    return {"arm": label, "key": key, "mean": s.mean, "lo": low, "hi": high, "n": s.n, "shown": shown}


def _lines(
    measure: str, drawn: Sequence[float], judgement: Judgement, reader: Reader
) -> tuple[tuple[measures.Line, ...], list[str]]:
    """Values to compare with that fit on the axis, and those that don't."""
    low, high = min(drawn), max(drawn)
    fitting, outside = [], []
    for text, value in _marks(measure, judgement, reader):
        if max(low - value, value - high) > max(high - low, 1e-12):
            outside.append(f"{text} {number(value)} ({measure})")
        else:
            fitting.append((value, text))
    fitting.sort()
    ends = [low, high, *(value for value, _ in fitting)]
    room = (max(ends) - min(ends)) * NAME_ROOM
    lines: list[measures.Line] = []
    for value, text in fitting:
        # A name on the line just above that of a neighbour, where both would not fit side by side.
        level = lines[-1].level + 1 if lines and value - lines[-1].value < room else 0
        lines.append(measures.Line(value, text, "right" if value > (low + high) / 2 else "left", level))
    return tuple(lines), outside


def _marks(measure: str, judgement: Judgement, reader: Reader) -> list[tuple[str, float]]:
    """Values to compare with: what trivial rules reach, and references, with their names."""
    entry = judgement.entry.entry
    definition = entry.measures[measure]
    marks = [(name, r.values[measure]) for name, r in entry.references.items() if measure in r.values]
    metric = definition.metric
    if metric is None or definition.read == "epochs_to" or definition.over is not None:
        return marks  # not in the metric's units: what trivial rules reach says nothing here
    trivial = reader.trivial([Wanted(arm.name, *where_is(arm, metric), asked=metric) for arm in judgement.entry.arms])
    return [*((rule_title(rule), value) for rule, value in trivial.items()), *marks]


def _caption(
    chart: Chart, kept: Sequence[MeasureValue], wanted: Sequence[str], outside: Sequence[str], panels: Sequence[measures.Panel],
    cut: int, labels: Any,
) -> str:  # fmt: skip
    said = [chart.caption] if chart.caption else []
    joined = any(p.joined for p in panels)
    said.append("A dot a trial" + ("; thin lines join equal seeds" if joined else "") + "; below: mean with its 95 % interval.")
    if cut:
        said.append(f"The arms with the lowest and the highest means are drawn; {cut} between them are in the tables.")
    if any(p.lines for p in panels):
        said.append("Dotted: values to compare with.")
    if outside:
        said.append(f"Beyond the axis: {names(outside)}.")
    shown = [m for m in kept if m.measure in wanted]
    if chosen := sorted({m.measure for m in shown if m.selected}):
        said.append(f"Chosen on the data that it reports, hence optimistic: {names(chosen)}.")
    missing = sorted({f"{labels[m.arm]} seed {m.seed}" for m in shown if m.value is None or not math.isfinite(m.value)})
    if missing:
        said.append(f"No value: {names(missing)} ({count(len(missing), 'trial')}).")
    partial = sorted({f"{labels[m.arm]} seed {m.seed}" for m in shown if m.value is not None and not m.complete})
    if partial:
        said.append(f"Ended early, or not yet done: {names(partial)}.")
    return " ".join(said)
