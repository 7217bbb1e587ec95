"""What a chart of learning curves draws: which metric of which stage, its rows, and the caption that says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from interpreter.errors import ReportError
from interpreter.plan.types import ArmPlan, EntryPlan, Plan
from interpreter.report.charts import curves
from interpreter.report.charts.theme import Look
from interpreter.report.content import Figure, Rows
from interpreter.report.read import Reader, Wanted, objective_of, where_is
from interpreter.report.statistics import t_quantile
from interpreter.report.terms import metric_title, short_title
from interpreter.report.words import count, names, number
from interpreter.spec.names import metric_ref
from interpreter.spec.views import Chart
from interpreter.verdicts.types import Judgement

POINTS = 24_000  # of single seeds' curves in one chart; beyond it epochs are thinned, and the caption says so
MANY_ARMS = 12
STRETCH = 0.6  # the trivial baseline is drawn while it lengthens the y axis by no more than this share


class Keeper(Protocol):
    """Keeps rows under a name."""

    def add(self, kind: str, rows: Rows) -> str:
        """Keep `rows`, and return their name."""
        ...


def default_metrics(entry: EntryPlan) -> list[str]:
    """The metrics to draw when a chart names none: what the entry's measures read of fits, each once."""
    evaluations = {e for arm in entry.arms for e in arm.evaluations}
    found = [m.metric for m in entry.entry.measures.values() if metric_ref(m.metric)[1] not in evaluations]
    if not found and any(arm.main_stage for arm in entry.arms):
        found = ["val/loss"]
    return list(dict.fromkeys(found))


def curves_figure(
    name: str, chart: Chart, judgement: Judgement, plan: Plan, reader: Reader, look: Look, data: Keeper
) -> Figure:  # fmt: skip
    """The figure of one chart of curves: a panel a metric.

    Raises: ReportError for a metric that isn't recorded although its stage has been run, or an unknown stage.
    """
    entry = judgement.entry
    arms = [arm for arm in entry.arms if chart.arms is None or arm.name in chart.arms]
    if chart.arms is not None:
        arms.sort(key=lambda arm: chart.arms.index(arm.name) if chart.arms else 0)
    metrics = [chart.y] if isinstance(chart.y, str) else list(chart.y or default_metrics(entry))
    title = chart.title or "Learning curves: " + names([short_title(m) for m in metrics])
    wanted = {metric: _wanted(metric, arms, chart, plan, reader, entry.id, name) for metric in metrics}
    has = {(a, s) for a, s, _, _ in reader.available}
    empty = sorted(
        {w.arm for ws in wanted.values() for w in ws} - {w.arm for ws in wanted.values() for w in ws if (w.arm, w.stage) in has}
    )
    if not any((w.arm, w.stage) in has for ws in wanted.values() for w in ws):
        stages = sorted({w.stage for ws in wanted.values() for w in ws})
        return Figure(name, "curves", title, chart.caption, "", notice=f"No data yet: stage {names(stages)} not run.")
    seeds = _seeds(chart)
    everything = [w for ws in wanted.values() for w in ws]
    raw = reader.seeds(everything, seeds, chart.epochs) if chart.raw == "faint" else []
    means = reader.means(everything, seeds, chart.epochs, chart.smooth)
    every = max(1, math.ceil(max(len(raw), len(means)) / POINTS))
    panels, outside, trivials = [], [], []
    for metric in metrics:
        rows = [_mean_row(r, chart.band) for r in _thin([r for r in means if r["asked"] == metric], every)]
        single = [_seed_row(r) for r in _thin([r for r in raw if r["asked"] == metric], every)]
        task = next((t for w in wanted[metric] if (t := objective_of(plan.stages, _arm(arms, w.arm), w.stage))), "")
        trivial = reader.trivial(wanted[metric])
        if trivial is not None and not _fits(trivial, [r["mean"] for r in rows]):
            outside.append(f"{short_title(metric)} {number(trivial)}")
            trivial = None
        trivials.append(trivial)
        panels.append(
            curves.Panel(
                title=metric_title(metric, task),
                means=data.add("means", rows),
                seeds=data.add("seeds", single) if single and _several(single) | bool(chart.smooth) else "",
                x_title="epoch of the chain" if chart.x == "stage_epoch" else "epoch",
                arms=tuple(arm.name for arm in arms),
                band=any(r["lo"] is not None for r in rows),
                trivial=trivial,
            )
        )
    caption = _caption(chart, means, raw, every, empty, outside, any(t is not None for t in trivials), len(arms))
    drawn = curves.chart(panels, look, page=True)
    file = curves.chart(panels, look, page=False)[0]
    return Figure(
        name, "curves", title, caption, _alt(title, metrics, means),
        tuple(c.to_dict(validate=False) for c in drawn), file.to_dict(validate=False), tuple(arm.name for arm in arms),
    )  # fmt: skip


def _wanted(
    metric: str, arms: Sequence[ArmPlan], chart: Chart, plan: Plan, reader: Reader, entry: str, name: str
) -> list[Wanted]:  # fmt: skip
    """Where `metric` is found in each arm. Raises: ReportError when it is nowhere although something was recorded."""
    found = []
    for arm in arms:
        stage, split, metric_name = where_is(arm, metric)
        if chart.x == "stage_epoch" and not metric_ref(metric)[0]:
            shift = 0
            for link in arm.chain:
                planned = _epochs(plan, arm, link)
                if planned:
                    found.append(Wanted(arm.name, link, split, metric_name, metric, shift))
                shift += planned
        elif stage in arm.chain:
            found.append(Wanted(arm.name, stage, split, metric_name, metric))
    if not found:
        stages = sorted({stage for arm in arms for stage in arm.chain})
        raise ReportError(
            f"{entry}: chart `{name}` draws `{metric}`, and no arm has that stage", hint=f"stages: {names(stages, 24)}"
        )
    begun = {(a, s) for a, s, _, _ in reader.available}
    recorded = {(w.arm, w.stage) for w in found} & begun
    if recorded and not any((w.arm, w.stage, w.split, w.metric) in reader.available for w in found):
        there = sorted({f"{split}/{m}" for a, s, split, m in reader.available if (a, s) in recorded})
        raise ReportError(
            f"{entry}: chart `{name}` draws `{metric}`, which isn't recorded", hint=f"there are: {names(there, 24)}"
        )
    return found


def _epochs(plan: Plan, arm: ArmPlan, stage: str) -> int:
    for trial in arm.trials:
        for name, key in trial.stages:
            if name == stage and key in plan.stages:
                return plan.stages[key].epochs
    return 0


def _arm(arms: Sequence[ArmPlan], name: str) -> ArmPlan:
    return next(arm for arm in arms if arm.name == name)


def _seeds(chart: Chart) -> list[int] | None:
    wanted = (chart.where or {}).get("seed")
    if wanted is None:
        return None
    return [int(s) for s in wanted] if isinstance(wanted, (list, tuple)) else [int(wanted)]


def _thin(rows: Sequence[dict[str, Any]], every: int) -> Sequence[dict[str, Any]]:
    """Every `every`-th epoch, and the last of each curve: no curve is dropped."""
    if every == 1:
        return rows
    last: dict[tuple[Any, ...], int] = {}
    for row in rows:
        curve = (row["arm"], row["stage"], row.get("seed"))
        last[curve] = max(last.get(curve, 0), row["x"])
    return [r for r in rows if (r["x"] - 1) % every == 0 or r["x"] == last[r["arm"], r["stage"], r.get("seed")]]


def _mean_row(row: dict[str, Any], band: str) -> dict[str, Any]:
    """A row of the page: the mean, and the band's ends (None where there is none)."""
    half = None
    if band != "none" and row["sd"] is not None and row["n"] > 1:
        half = row["sd"] if band == "sd" else t_quantile(row["n"]) * row["sd"] / math.sqrt(row["n"])
    mean = row["mean"]
    ends = (None, None) if half is None else (mean - half, mean + half)
    return {"arm": row["arm"], "stage": row["stage"], "x": row["x"], "mean": mean, "lo": ends[0], "hi": ends[1], "n": row["n"]}


def _seed_row(row: dict[str, Any]) -> dict[str, Any]:
    value = row["value"] if row["value"] is not None and math.isfinite(row["value"]) else None
    return {"arm": row["arm"], "stage": row["stage"], "seed": row["seed"], "x": row["x"], "value": value}


def _several(rows: Sequence[dict[str, Any]]) -> bool:
    """True when an arm has more than one seed: else the single seed is the mean."""
    return len({(r["arm"], r["seed"]) for r in rows}) > len({r["arm"] for r in rows})


def _fits(value: float, drawn: Sequence[float]) -> bool:
    """True when drawing `value` does not squeeze the curves into a corner."""
    low, high = min(drawn, default=value), max(drawn, default=value)
    beyond = max(low - value, value - high, 0.0)
    return beyond <= STRETCH * max(high - low, 1e-12)


def _caption(
    chart: Chart, means: Sequence[dict[str, Any]], raw: Sequence[dict[str, Any]], every: int, empty: Sequence[str],
    outside: Sequence[str], trivial: bool, arms: int,
) -> str:  # fmt: skip
    """The author's caption, then how to read the figure, and what is not in it."""
    ns = {row["n"] for row in means}
    most = max(ns, default=1)
    said = [chart.caption] if chart.caption else []
    if most > 1:
        band = {"ci95": "its 95 % interval (Student t)", "sd": "one standard deviation", "none": ""}[chart.band]
        lines = f"Line: mean over {count(most, 'seed')}" + (f"; band: {band}" if band else "")
        said.append(lines + ("; faint: single seeds." if raw else "."))
    else:
        said.append("One seed: no band.")
    if chart.smooth:
        how = (
            f"Savitzky–Golay over {chart.smooth.savgol} epochs"
            if chart.smooth.savgol
            else f"moving average, weight {chart.smooth.ema:g}"
        )
        said.append(f"Means and bands are of smoothed curves ({how}); faint lines are not smoothed.")
    if len(ns) > 1:
        said.append(
            f"Some epochs have fewer seeds (from {min(ns)}): means there are over those that reached them with a finite value."
        )
    broken = sorted({f"{r['arm']}, seed {r['seed']}" for r in raw if r["value"] is None or not math.isfinite(r["value"])})
    if broken:
        said.append(f"Not finite in places, and left out of the mean there: {names(broken)}.")
    if trivial:
        said.append("Dotted: trivial baseline.")
    if outside:
        said.append(f"Trivial baseline beyond the axis: {names(outside)}.")
    if empty:
        said.append(f"No data yet: {names(empty)}.")
    if every > 1:
        said.append(f"Every {every}th epoch is drawn (and the last): all {count(arms, 'arm')} and seeds are there.")
    elif arms > MANY_ARMS:
        said.append(f"All {arms} arms are drawn: mute some in the legend.")
    return " ".join(said)


def _alt(title: str, metrics: Sequence[str], means: Sequence[dict[str, Any]]) -> str:
    """The figure for those who don't see it: where each arm's mean ends."""
    ends: dict[tuple[str, str], dict[str, Any]] = {}
    for row in means:
        ends[row["asked"], row["arm"]] = row
    said = [
        f"{short_title(m)} ends at " + names([f"{number(r['mean'])} ({a})" for (k, a), r in ends.items() if k == m])
        for m in metrics
    ]
    return f"{title}. " + "; ".join(said) + "."
