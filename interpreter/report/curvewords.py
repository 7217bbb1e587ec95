"""How a chart of learning curves is told: its caption, and what is to be seen for those who don't see it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from interpreter.report.terms import short_title
from interpreter.report.words import count, names, number
from interpreter.spec.views import Chart

MANY_ARMS = 12


def caption(
    chart: Chart, means: Sequence[dict[str, Any]], raw: Sequence[dict[str, Any]], every: int, empty: Sequence[str],
    outside: Sequence[str], trivial: bool, crowded: int,
) -> str:  # fmt: skip
    """The author's caption, then how to read the figure, and what is not in it. `crowded`: arms shown as quantiles."""
    said = [chart.caption] if chart.caption else []
    said += _crowd_words(crowded, any(row["stage"] for row in means)) if crowded else _line_words(chart, means, bool(raw))
    if chart.smooth:
        how = (
            f"Savitzky–Golay over {chart.smooth.savgol} epochs"
            if chart.smooth.savgol
            else f"moving average, weight {chart.smooth.ema:g}"
        )
        said.append(f"Means and bands are of smoothed curves ({how}); faint lines are not smoothed.")
    if not crowded:
        said += _uneven_words(means)
    broken = sorted({f"{r['arm']}, seed {r['seed']}" for r in raw if r["value"] is None or not math.isfinite(r["value"])})
    if broken:
        said.append(f"Not finite in places, and left out of the mean there: {names(broken)}.")
    if trivial:
        said.append("Dotted: what trivial rules reach.")
    if outside:
        said.append(f"Trivial rules beyond the axis: {names(outside)}.")
    if empty:
        said.append(f"No data yet: {names(empty)}.")
    arms = len({row["arm"] for row in means})
    if every > 1:
        said.append(f"Every {every}th epoch is drawn (and the last): all {count(arms, 'line')} are there.")
    elif arms > MANY_ARMS and not crowded:
        said.append(f"All {arms} arms are drawn: mute some in the legend.")
    return " ".join(said)


def _uneven_words(means: Sequence[dict[str, Any]]) -> list[str]:
    """Where a mean is over fewer seeds than others: that of a whole arm, or within one."""
    of: dict[Any, set[int]] = {}
    for row in means:
        of.setdefault((row["arm"], row["stage"], row["asked"]), set()).add(row["n"])
    words = []
    most = {max(ns) for ns in of.values()}
    if len(most) > 1:
        words.append(f"Some arms have fewer seeds, from {min(most)}.")
    if any(len(ns) > 1 for ns in of.values()):
        least = min(min(ns) for ns in of.values() if len(ns) > 1)
        words.append(
            f"Some epochs have fewer seeds (from {least}): means there are over those that reached them with a finite value."
        )
    return words


def _line_words(chart: Chart, means: Sequence[dict[str, Any]], raw: bool) -> list[str]:
    most = max((row["n"] for row in means), default=1)
    if most == 1:
        return ["One seed: no band."]
    band = {"ci95": "its 95 % interval (Student t)", "sd": "one standard deviation", "none": ""}[chart.band]
    lines = f"Line: mean over {count(most, 'seed')}" + (f"; band: {band}" if band else "")
    return [lines + ("; faint: single seeds." if raw else ".")]


def _crowd_words(crowded: int, alone: bool) -> list[str]:
    return [
        f"{crowded} arms are too many to draw each: line and band are the median and the 10 % to 90 % range over arms, of their "
        "means over seeds."
        + (" Drawn by themselves: those that end lowest (dashed) and highest (dotted)." if alone else "")
        + " The tables have all."
    ]


def alternative(title: str, metrics: Sequence[str], means: Sequence[dict[str, Any]]) -> str:
    """The figure for those who don't see it: where each arm's mean ends."""
    ends: dict[tuple[str, str], dict[str, Any]] = {}
    for row in means:
        ends[row["asked"], row["arm"]] = row
    said = [
        f"{short_title(m)} ends at " + names([f"{number(r['mean'])} ({a})" for (k, a), r in ends.items() if k == m])
        for m in metrics
    ]
    return f"{title}. " + "; ".join(said) + "."
