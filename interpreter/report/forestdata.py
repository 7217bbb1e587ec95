"""What a forest plot draws: a row a claim with an effect, and the caption."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from interpreter.report.charts import forest
from interpreter.report.charts.theme import tone_of
from interpreter.report.conclusion import effect_text
from interpreter.report.content import Figure, Keeper
from interpreter.report.phrases import claim_text, difference_text
from interpreter.report.words import count, interval, names, number, percent, state_word
from interpreter.spec.views import Chart
from interpreter.verdicts.types import Judgement, Verdict

PAD = 0.08  # of the axis, at each end
ROWS = 40  # of one panel; further claims stand in the list of verdicts only


def forest_figure(name: str, chart: Chart, judgement: Judgement, data: Keeper) -> Figure:
    """The forest plot: a panel a measure, a row a claim. Claims without an effect are told in the caption."""
    title = chart.title or "What was expected, and what was found"
    shown = [v for v in judgement.verdicts if v.effect is not None and math.isfinite(v.effect)]
    silent = [v.claim.name for v in judgement.verdicts if v not in shown and v.claim.kind != "finishes"]
    numberless = [v.claim.name for v in judgement.verdicts if v.claim.kind == "finishes"]
    if not shown:
        return Figure(name, "forest", title, chart.caption, "", notice=_nothing(judgement))
    groups: dict[str, list[Verdict]] = {}
    for verdict in shown:
        groups.setdefault(difference_text(verdict.claim), []).append(verdict)
    panels = []
    for words, every in groups.items():
        verdicts = every[:ROWS]
        domain = _domain(verdicts)
        rows = [_forest_row(i, v, domain) for i, v in enumerate(verdicts)]
        pairs = [{"row": i, "seed": p.seed, "difference": p.difference} for i, v in enumerate(verdicts) for p in v.pairs
                 if len(v.pairs) > 1 and math.isfinite(p.difference)]  # fmt: skip
        panels.append(
            forest.Panel(words, data.add("claims", rows),
                         data.add("pairs", pairs), len(rows), domain)
        )  # fmt: skip
    said = [chart.caption] if chart.caption else []
    levels = sorted({percent(v.level) for v in shown if v.lo is not None})
    parts = ["Diamond: mean"]
    parts += [f"bar: its interval ({names(levels)})"] if levels else []
    parts += ["small strokes: single seeds"] if any(len(v.pairs) > 1 for v in shown) else []
    parts.append(
        "shaded: where the claim would hold" + (", and it is supported when the whole bar is in the shade" if levels else "")
    )
    said.append("; ".join(parts) + ".")
    if silent:
        said.append(f"Without a number so far: {names(silent)}.")
    if numberless:
        said.append(f"Not a matter of numbers: {names(numberless)}.")
    if (left_out := sum(max(0, len(verdicts) - ROWS) for verdicts in groups.values())) > 0:
        said.append(f"{count(left_out, 'further claim')} in the list of verdicts only.")
    alt = f"{title}. " + "; ".join(
        f"{v.claim.name}: {state_word(v.state).text}, {number(v.effect)}"
        + (f", interval {b}" if (b := interval(v.lo, v.hi)) else "")
        for v in shown
    )
    drawn = forest.chart(panels, page=True)
    file = forest.chart(panels, page=False)[0]
    return Figure(
        name,
        "forest",
        title,
        " ".join(said),
        alt + ".",
        tuple(c.to_dict(validate=False) for c in drawn),
        file.to_dict(validate=False),
    )


def _nothing(judgement: Judgement) -> str:
    if judgement.verdicts and all(v.claim.kind == "finishes" for v in judgement.verdicts):
        return "Nothing to draw: no claim here is a matter of numbers."
    return "No data yet: no claim has a difference to show."


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
        "row": row, "name": claim.name, "claim": claim_text(verdict), "state": word, "tone": tone_of(verdict.state),
        "n": verdict.n, "effect": verdict.effect, "lo": _finite(verdict.lo, domain[0]), "hi": _finite(verdict.hi, domain[1]),
        "from": bounds[0], "to": bounds[1], "label": f"{word}  {effect_text(verdict)}", "shown": effect_text(verdict),
        "interval": interval(verdict.lo, verdict.hi) or "none",
    }  # fmt: skip


def _finite(value: float | None, end: float) -> float | None:
    """An interval's end for drawing: one without an end reaches the edge."""
    return None if value is None or math.isnan(value) else end if math.isinf(value) else value
