"""What forest plots and charts of measures draw: rows from judgements, and the captions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from interpreter.errors import ReportError
from interpreter.report.charts import forest, measures
from interpreter.report.charts.theme import Look, tone_of
from interpreter.report.conclusion import effect_text
from interpreter.report.content import Figure, Rows
from interpreter.report.read import Reader, Wanted, where_is
from interpreter.report.statistics import summaries, summary
from interpreter.report.terms import metric_title
from interpreter.report.words import count, interval, names, number, percent, plus_minus, state_word
from interpreter.spec.claims import Claim
from interpreter.spec.views import Chart
from interpreter.verdicts.types import Judgement, Verdict

PAD = 0.08  # of the axis, at each end


class Keeper(Protocol):
    """Keeps rows under a name."""

    def add(self, kind: str, rows: Rows) -> str:
        """Keep `rows`, and return their name."""
        ...


def forest_figure(name: str, chart: Chart, judgement: Judgement, look: Look, data: Keeper) -> Figure:
    """The forest plot: a panel a measure, a row a claim. Claims without an effect are told in the caption."""
    title = chart.title or "What was expected, and what was found"
    shown = [v for v in judgement.verdicts if v.effect is not None and math.isfinite(v.effect)]
    silent = [v.claim.name for v in judgement.verdicts if v not in shown]
    if not shown:
        return Figure(name, "forest", title, chart.caption, "", notice="No data yet: no claim has a difference to show.")
    groups: dict[str, list[Verdict]] = {}
    for verdict in shown:
        groups.setdefault(_measure(verdict.claim), []).append(verdict)
    panels = []
    for measure, verdicts in groups.items():
        domain = _domain(verdicts)
        rows = [_forest_row(i, v, domain) for i, v in enumerate(verdicts)]
        pairs = [{"row": i, "seed": p.seed, "difference": p.difference} for i, v in enumerate(verdicts) for p in v.pairs
                 if len(v.pairs) > 1 and math.isfinite(p.difference)]  # fmt: skip
        panels.append(
            forest.Panel(f"difference in {measure}: left side − right side of the claim", data.add("claims", rows),
                         data.add("pairs", pairs), len(rows), domain)
        )  # fmt: skip
    said = [chart.caption] if chart.caption else []
    levels = sorted({percent(v.level) for v in shown if v.lo is not None})
    parts = ["Diamond: mean difference"]
    parts += [f"bar: its interval ({names(levels)})"] if levels else []
    parts += ["small strokes: single seeds"] if any(len(v.pairs) > 1 for v in shown) else []
    parts.append(
        "shaded: where the claim would hold" + (", and it is supported when the whole bar is in the shade" if levels else "")
    )
    said.append("; ".join(parts) + ".")
    if silent:
        said.append(f"Without a difference so far: {names(silent)}.")
    alt = f"{title}. " + "; ".join(
        f"{v.claim.name}: {state_word(v.state).text}, {number(v.effect)}"
        + (f", interval {b}" if (b := interval(v.lo, v.hi)) else "")
        for v in shown
    )
    drawn = forest.chart(panels, look, page=True)
    file = forest.chart(panels, look, page=False)[0]
    return Figure(
        name,
        "forest",
        title,
        " ".join(said),
        alt + ".",
        tuple(c.to_dict(validate=False) for c in drawn),
        file.to_dict(validate=False),
    )


def _measure(claim: Claim) -> str:
    """What the claim's differences are in: the measure, or both when the sides have different ones."""
    both = [side.measure for side in (claim.left, claim.right) if side.measure]
    return " − ".join(dict.fromkeys(both)) or "the measure"


def _domain(verdicts: Sequence[Verdict]) -> tuple[float, float]:
    """The x axis: zero, every interval and margin, and the single differences unless they lie far out."""
    core = [0.0]
    for v in verdicts:
        core += [x for x in (v.effect, v.lo, v.hi) if x is not None and math.isfinite(x)]
        core += [-v.claim.margin, v.claim.margin] if v.claim.relation == "~" else []
        core += [-v.claim.margin] if v.claim.relation == "<" else []
        core += [v.claim.margin] if v.claim.relation == ">" else []
    low, high = min(core), max(core)
    span = (high - low) or 1.0
    single = [p.difference for v in verdicts for p in v.pairs if math.isfinite(p.difference)]
    low = max(min([low, *single]), low - span)
    high = min(max([high, *single]), high + span)
    span = (high - low) or 1.0
    return low - PAD * span, high + PAD * span


def _forest_row(row: int, verdict: Verdict, domain: tuple[float, float]) -> dict[str, Any]:
    claim = verdict.claim
    bounds = {"<": (domain[0], -claim.margin), ">": (claim.margin, domain[1]), "~": (-claim.margin, claim.margin)}[claim.relation]
    word = state_word(verdict.state).text
    return {
        "row": row, "name": claim.name, "claim": claim.text, "state": word, "tone": tone_of(verdict.state), "n": verdict.n,
        "effect": verdict.effect, "lo": _finite(verdict.lo, domain[0]), "hi": _finite(verdict.hi, domain[1]),
        "from": bounds[0], "to": bounds[1], "label": f"{word}  {effect_text(verdict)}", "shown": effect_text(verdict),
        "interval": interval(verdict.lo, verdict.hi) or "none",
    }  # fmt: skip


def _finite(value: float | None, end: float) -> float | None:
    """An interval's end for drawing: one without an end reaches the edge."""
    return None if value is None or math.isnan(value) else end if math.isinf(value) else value


def measures_figure(name: str, chart: Chart, judgement: Judgement, reader: Reader, look: Look, data: Keeper) -> Figure:
    """The measures: a panel a measure, a dot a trial. Raises: ReportError for a measure that isn't there."""
    entry = judgement.entry
    wanted = [chart.y] if isinstance(chart.y, str) else list(chart.y or entry.entry.measures)
    for measure in wanted:
        if measure not in entry.entry.measures:
            raise ReportError(
                f"{entry.id}: chart `{name}` shows the measure `{measure}`, which isn't there",
                hint=f"measures: {names(tuple(entry.entry.measures), 24)}"
                if entry.entry.measures
                else "define it under `measures:`",
            )
    title = chart.title or f"Each trial's {names(wanted)}"
    arms = [arm.name for arm in entry.arms if chart.arms is None or arm.name in chart.arms]
    seeds = (chart.where or {}).get("seed")
    kept = [
        m
        for m in judgement.measures
        if m.arm in arms and (seeds is None or m.seed in (seeds if isinstance(seeds, list) else [seeds]))
    ]
    values = [m for m in kept if m.measure in wanted and m.value is not None and math.isfinite(m.value)]
    if not values:
        return Figure(name, "measures", title, chart.caption, "", notice="No data yet: no trial has a value.")
    panels, outside = [], []
    for measure in wanted:
        dots: Rows = [
            {"arm": m.arm, "order": arms.index(m.arm), "seed": m.seed, "value": m.value, "epoch": m.epoch}
            for m in values
            if m.measure == measure
        ]
        if not dots:
            continue
        found = {arm: summary([d["value"] for d in dots if d["arm"] == arm]) for arm in arms}
        means: Rows = [
            {"arm": arm, "mean": s.mean, "lo": None if s.ci is None else s.mean - s.ci,
             "hi": None if s.ci is None else s.mean + s.ci, "n": s.n, "shown": plus_minus(s.mean, s.ci)}
            for arm, s in found.items() if s.mean is not None
        ]  # fmt: skip
        drawn = [d["value"] for d in dots] + [x for r in means for x in (r["lo"], r["hi"]) if x is not None]
        lines = []
        for text, value in _marks(measure, judgement, reader):
            low, high = min(drawn), max(drawn)
            if max(low - value, value - high) > max(high - low, 1e-12):
                outside.append(f"{text} {number(value)} ({measure})")
            else:
                lines.append((value, text, "right" if value > (low + high) / 2 else "left"))
        joined = sum(sum(d["seed"] == s for d in dots) > 1 for s in {d["seed"] for d in dots}) > 1
        panels.append(
            measures.Panel(
                _axis(measure, judgement), data.add("dots", dots), data.add("summary", means), tuple(arms), joined, tuple(lines)
            )
        )
    drawn_charts = measures.chart(panels, look, page=True)
    file = measures.chart(panels, look, page=False)[0]
    caption = _caption(chart, kept, wanted, outside, any(p.joined for p in panels), any(p.lines for p in panels))
    of = summaries(values)
    alt = f"{title}. " + "; ".join(
        f"{measure}: "
        + names([f"{arm} {plus_minus(of[arm, measure].mean, of[arm, measure].ci)}" for arm in arms if (arm, measure) in of])
        for measure in wanted
    )
    return Figure(
        name, "measures", title, caption, alt + ".", tuple(c.to_dict(validate=False) for c in drawn_charts),
        file.to_dict(validate=False), tuple(arms),
    )  # fmt: skip


def _axis(measure: str, judgement: Judgement) -> str:
    """A measure's axis title: its name and what it reads."""
    definition = judgement.entry.entry.measures[measure]
    how = {"best": "best epoch", "last": "last epoch", "stable_min": "lowest stable mean", "stable_max": "highest stable mean"}
    read = f"at the epoch of {definition.at}" if definition.at else how.get(definition.read or "", "")
    return f"{measure}: {metric_title(definition.metric)}" + (f", {read}" if read else "")


def _marks(measure: str, judgement: Judgement, reader: Reader) -> list[tuple[str, float]]:
    """Values to compare with: the trivial baseline and references, with their names."""
    entry = judgement.entry.entry
    metric = entry.measures[measure].metric
    trivial = reader.trivial([Wanted(arm.name, *where_is(arm, metric), asked=metric) for arm in judgement.entry.arms])
    marks = [] if trivial is None else [("trivial baseline", trivial)]
    return marks + [(name, r.values[measure]) for name, r in entry.references.items() if measure in r.values]


def _caption(chart: Chart, kept: Sequence[Any], wanted: Sequence[str], outside: Sequence[str], joined: bool, lines: bool) -> str:
    said = [chart.caption] if chart.caption else []
    said.append("A dot a trial" + ("; thin lines join equal seeds" if joined else "") + "; below: mean with its 95 % interval.")
    if lines:
        said.append("Dotted: values to compare with.")
    if outside:
        said.append(f"Beyond the axis: {names(outside)}.")
    shown = [m for m in kept if m.measure in wanted]
    if chosen := sorted({m.measure for m in shown if m.selected}):
        said.append(f"Chosen on the data that it reports, hence optimistic: {names(chosen)}.")
    missing = sorted({f"{m.arm} seed {m.seed}" for m in shown if m.value is None or not math.isfinite(m.value)})
    if missing:
        said.append(f"No value: {names(missing)} ({count(len(missing), 'trial')}).")
    partial = sorted({f"{m.arm} seed {m.seed}" for m in shown if m.value is not None and not m.complete})
    if partial:
        said.append(f"Ended early, or not yet done: {names(partial)}.")
    return " ".join(said)
