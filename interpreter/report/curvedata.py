"""What a chart of learning curves draws: which metric of which stage, in which panels, and its rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interpreter.errors import ReportError
from interpreter.plan.points import base_of, short_labels
from interpreter.plan.types import ArmPlan, EntryPlan, Plan
from interpreter.report.cast import Cast, Facet, cast
from interpreter.report.charts import curves
from interpreter.report.charts.palette import CATEGORIES, TINTS, Look
from interpreter.report.content import Figure, Keeper, Rows
from interpreter.report.curvewords import alternative, caption
from interpreter.report.read import Reader, Wanted, objective_of, where_is
from interpreter.report.statistics import t_quantile
from interpreter.report.terms import metric_title, rule_title, short_title
from interpreter.report.words import names, number
from interpreter.spec.names import metric_ref
from interpreter.spec.views import Chart
from interpreter.verdicts.types import Judgement

POINTS = 24_000  # of single seeds' curves in one chart; beyond it epochs are thinned, and the caption says so
LINES = 24  # arms of one panel that are drawn each by itself; of more, quantiles are drawn
EXTREMES = 2  # of many arms, so many at each end are drawn by themselves; one of each of several families
STRETCH = 0.6  # a trivial rule is drawn while it lengthens the y axis by no more than this share


@dataclass(frozen=True, slots=True)
class Drawn:
    """The rows of one facet, all metrics together, and how what they are of is drawn."""

    means: list[dict[str, Any]]  # asked, arm (a label), key, stage, x, mean, lo, hi, n
    seeds: list[dict[str, Any]]  # asked, arm, key, stage, seed, x, value
    look: Look  # of the keys
    crowded: int = 0  # arms that are shown as quantiles


def default_metrics(entry: EntryPlan) -> list[str]:
    """The metrics to draw when a chart names none: what the entry's measures read of fits, each once."""
    evaluations = {e for arm in entry.arms for e in arm.evaluations}
    read = [m.metric for m in entry.entry.measures.values() if m.metric is not None]
    found = [metric for metric in read if metric_ref(metric)[1] not in evaluations]
    if not found and any(arm.main_stage for arm in entry.arms):
        found = ["val/loss"]
    return list(dict.fromkeys(found))


def curves_figure(
    name: str, chart: Chart, judgement: Judgement, plan: Plan, reader: Reader, look: Look, data: Keeper
) -> Figure:  # fmt: skip
    """The figure of one chart of curves: a panel a metric, and a value of the factor that it is split by.

    Raises: ReportError for a metric that isn't recorded although its stage has been run, or an unknown stage.
    """
    entry = judgement.entry
    who = cast(name, chart, entry, look)
    metrics = [chart.y] if isinstance(chart.y, str) else list(chart.y or default_metrics(entry))
    title = chart.title or "Learning curves: " + names([short_title(m) for m in metrics])
    if not who.arms:
        return Figure(name, "curves", title, chart.caption, "", notice="Nothing to draw: no arm has these values of its factors.")
    wanted = {metric: wanted_in(metric, who.arms, chart, plan, reader, entry.id, name) for metric in metrics}
    everything = [w for ws in wanted.values() for w in ws]
    has = {(a, s) for a, s, _, _ in reader.available}
    if not any((w.arm, w.stage) in has for w in everything):
        stages = sorted({w.stage for w in everything})
        return Figure(name, "curves", title, chart.caption, "", notice=f"No data yet: stage {names(stages)} not run.")
    drawn = [(facet, _drawn(facet, chart, who, everything, reader)) for facet in who.facets]
    if not any(d.means for _, d in drawn):
        return Figure(name, "curves", title, chart.caption, "", notice="No data yet: no trial that was asked for has a value.")
    total = max(sum(len(d.means) for _, d in drawn), sum(len(d.seeds) for _, d in drawn))
    every = max(1, math.ceil(total / POINTS))
    panels, outside, trivials = [], [], []
    for metric in metrics:
        of = [
            (facet, _of(d.means, metric, every, who.by_arm), _of(d.seeds, metric, every, who.by_arm), d.look)
            for facet, d in drawn
        ]
        task = next((t for w in wanted[metric] if (t := objective_of(plan.stages, _arm(who.arms, w.arm), w.stage))), "")
        fitting, far = _rules(reader.trivial(wanted[metric]), [r["mean"] for _, means, _, _ in of for r in means])
        outside += [f"{short_title(metric)} {number(value)} ({rule_title(rule)})" for rule, value in far]
        trivials += fitting
        values = [value for _, value in fitting]
        domain = _domain([(means, seeds) for _, means, seeds, _ in of], values) if len(of) > 1 else None
        for facet, means, seeds, shown in of:
            if not means:
                continue
            # The panel's title says what the factor is there: names leave it out.
            short = short_labels(entry.arms, [chart.facet] if chart.facet else [])
            texts = {who.labels[arm.name]: short[arm.name] for arm in facet.arms}
            panels.append(
                curves.Panel(
                    title=metric_title(metric, task),
                    facet=facet.title,
                    means=data.add("means", means),
                    seeds=data.add("seeds", seeds) if seeds and _several(seeds) | bool(chart.smooth) else "",
                    ends=data.add("ends", beside) if (beside := _ends(means, domain, texts)) else "",
                    room=14 + round(6.3 * max((len(r["text"]) for r in beside), default=-2)),
                    x_title="epoch of the chain" if chart.x == "stage_epoch" else "epoch",
                    look=shown,
                    key="arm" if who.by_arm else "key",
                    lines=tuple(dict.fromkeys(r["arm"] for r in means)),
                    band=any(r["lo"] is not None for r in means),
                    trivial=tuple((rule_title(rule), value) for rule, value in fitting),
                    domain=domain,
                )
            )
    means = [r for _, d in drawn for r in d.means]
    raw = [r for _, d in drawn for r in d.seeds]
    empty = sorted({who.labels[w.arm] for w in everything} - {who.labels[w.arm] for w in everything if (w.arm, w.stage) in has})
    said = caption(chart, means, raw, every, empty, outside, bool(trivials), max(d.crowded for _, d in drawn))
    merged = _merged([d.look for _, d in drawn])
    charts = curves.chart(panels, merged, page=True)
    file = curves.chart(panels, merged, page=False)[0]
    return Figure(
        name, "curves", title, f"{said} {who.note}".strip(), alternative(title, metrics, means),
        tuple(c.to_dict(validate=False) for c in charts), file.to_dict(validate=False), merged, legend="mute",
        wide=any(p.ends for p in panels),
    )  # fmt: skip


def wanted_in(
    metric: str, arms: Sequence[ArmPlan], chart: Chart, plan: Plan, reader: Reader, entry: str, name: str
) -> list[Wanted]:  # fmt: skip
    """Where `metric` is found in each arm. Raises: ReportError when it is nowhere although something was recorded."""
    found = []
    for arm in arms:
        stage, split, metric_name = where_is(arm, metric)
        if chart.x == "stage_epoch" and not metric_ref(metric)[0]:
            shift = 0
            for link in arm.chain:
                planned = planned_epochs(plan, arm, link)
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


def _drawn(facet: Facet, chart: Chart, who: Cast, wanted: Sequence[Wanted], reader: Reader) -> Drawn:
    """The rows of one facet: each arm by itself while there is room, else quantiles and the ends of the range."""
    here = {arm.name for arm in facet.arms}
    asked = [w for w in wanted if w.arm in here]
    crowd: dict[str, list[ArmPlan]] = {}
    if len(facet.arms) > LINES:
        for arm in facet.arms:
            crowd.setdefault(base_of(arm) if who.by_arm else who.keys[arm.name], []).append(arm)
        if len(crowd) > CATEGORIES:
            crowd = {"all arms": list(facet.arms)}
        crowd = {family: arms for family, arms in crowd.items() if len(arms) > 1}
    family_of = {arm.name: family for family, arms in crowd.items() for arm in arms}
    alone = [w for w in asked if w.arm not in family_of]
    ends = _extremes(reader.ends([w for w in asked if w.arm in family_of], who.seeds), family_of) if crowd else {}
    alone += [w for w in asked if w.arm in ends]
    labels = {arm.name: who.labels[arm.name] for arm in facet.arms}
    keys = {arm.name: who.keys[arm.name] for arm in facet.arms}
    if crowd:
        keys = {name: labels[name] if who.by_arm or name in ends else keys[name] for name in keys}
    # The band of an arm by itself is over seeds; beside quantiles over arms it would mean something else.
    band = "none" if crowd else chart.band
    means = [mean_row(r, band, labels, keys) for r in reader.means(alone, who.seeds, chart.epochs, chart.smooth)] if alone else []
    raw = reader.seeds(alone, who.seeds, chart.epochs) if chart.raw == "faint" and alone and not crowd else []
    if crowd:
        many = [w for w in asked if w.arm in family_of]
        rows = reader.spread(many, [family_of[w.arm] for w in many], who.seeds, chart.epochs, chart.smooth)
        means = [_spread_row(r) for r in rows] + means
    look = _crowd_look(
        who, crowd, [who.keys[w.arm] for w in alone if w.arm not in ends], [labels[a] for a in ends], family_of, ends
    )
    return Drawn(means, [seed_row(r, labels, keys) for r in raw], look if crowd else who.look, len(family_of))


def _crowd_look(
    who: Cast, crowd: Mapping[str, Sequence[ArmPlan]], alone: Iterable[str], extremes: Iterable[str],
    family_of: Mapping[str, str], ends: Mapping[str, str],
) -> Look:  # fmt: skip
    """Families in a colour each, their extremes in the same colour and dashed, arms by themselves as everywhere."""
    families, own = list(crowd), list(dict.fromkeys(alone))
    tint = {
        family: TINTS[i % CATEGORIES] if who.by_arm or family not in who.look.labels else who.look.only([family]).tints[0]
        for i, family in enumerate(families)
    }
    kept = who.look.only([key for key in own if key in who.look.labels])
    marks = [tint[family_of[arm]] for arm in ends]
    tints = (*(tint[f] for f in families), *kept.tints, *marks)
    dashes = (
        *((1, 0) for _ in families),
        *((1, 0) for _ in kept.labels),
        *((4, 3) if e == "low" else (1, 2) for e in ends.values()),
    )
    labels = (*families, *kept.labels, *extremes)
    return Look(labels, tints, dashes, tuple("circle" for _ in labels))


def _extremes(rows: Sequence[dict[str, Any]], family_of: Mapping[str, str]) -> dict[str, str]:
    """The arms of each family that end lowest and highest in the first metric: full name -> "low" or "high"."""
    first = rows[0]["asked"] if rows else ""
    found: dict[str, str] = {}
    families = list(dict.fromkeys(family_of.values()))
    count = EXTREMES if len(families) == 1 else 1
    for family in families if len(families) <= 4 else ():
        ranked = [r["arm"] for r in rows if r["asked"] == first and family_of[r["arm"]] == family]
        if len(ranked) > 2 * count:
            found |= dict.fromkeys(ranked[:count], "low") | dict.fromkeys(ranked[-count:], "high")
    return found


def _merged(looks: Sequence[Look]) -> Look:
    """One legend for all panels."""
    found: dict[str, int] = {}
    parts: list[tuple[str, Any, Any, Any]] = []
    for look in looks:
        for part in zip(look.labels, look.tints, look.dashes, look.shapes, strict=True):
            if part[0] not in found:
                found[part[0]] = len(parts)
                parts.append(part)
    labels, tints, dashes, shapes = zip(*parts, strict=True) if parts else ((), (), (), ())
    return Look(tuple(labels), tuple(tints), tuple(dashes), tuple(shapes))


def planned_epochs(plan: Plan, arm: ArmPlan, stage: str) -> int:
    """Epochs that a stage of an arm was planned with; 0 for what does not train."""
    for trial in arm.trials:
        for name, key in trial.stages:
            if name == stage and key in plan.stages:
                return plan.stages[key].epochs
    return 0


def _arm(arms: Sequence[ArmPlan], name: str) -> ArmPlan:
    return next(arm for arm in arms if arm.name == name)


def _of(rows: Sequence[dict[str, Any]], metric: str, every: int, by_arm: bool) -> Rows:
    """The rows of one metric, each curve thinned to every `every`-th epoch and its last; `key` where it isn't the arm."""
    mine = [r for r in rows if r["asked"] == metric]
    last: dict[tuple[Any, ...], int] = {}
    for row in mine if every > 1 else ():
        curve = (row["arm"], row["stage"], row.get("seed"))
        last[curve] = max(last.get(curve, 0), row["x"])
    return [
        {k: v for k, v in r.items() if k != "asked" and not (by_arm and k == "key")}
        for r in mine
        if every == 1 or (r["x"] - 1) % every == 0 or r["x"] == last[r["arm"], r["stage"], r.get("seed")]
    ]


def mean_row(row: dict[str, Any], band: str, labels: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, Any]:
    """A row of the page: the mean, and the band's ends (None where there is none)."""
    half = None
    if band != "none" and row["sd"] is not None and row["n"] > 1:
        half = row["sd"] if band == "sd" else t_quantile(row["n"]) * row["sd"] / math.sqrt(row["n"])
    mean = row["mean"]
    ends = (None, None) if half is None else (mean - half, mean + half)
    return {"asked": row["asked"], "stage": row["stage"], "x": row["x"], "mean": mean, "lo": ends[0], "hi": ends[1],
            "n": row["n"], **_who(row["arm"], labels, keys)}  # fmt: skip


def _spread_row(row: dict[str, Any]) -> dict[str, Any]:
    low, middle, high = row["q"]
    family = row["family"]
    return {"asked": row["asked"], "stage": "", "x": row["x"], "mean": middle, "lo": low, "hi": high, "n": row["n"],
            "arm": family, "key": family}  # fmt: skip


def seed_row(row: dict[str, Any], labels: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, Any]:
    """A row of the page: one seed's value (None where it is not finite)."""
    value = row["value"] if row["value"] is not None and math.isfinite(row["value"]) else None
    return {"asked": row["asked"], "stage": row["stage"], "seed": row["seed"], "x": row["x"], "value": value,
            **_who(row["arm"], labels, keys)}  # fmt: skip


def _who(arm: str, labels: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, str]:
    return {"arm": labels[arm], "key": keys[arm]}


def _several(rows: Sequence[dict[str, Any]]) -> bool:
    """True when an arm has more than one seed: else the single seed is the mean."""
    return len({(r["arm"], r["seed"]) for r in rows}) > len({r["arm"] for r in rows})


def _rules(trivial: Mapping[str, float], drawn: Sequence[float]) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """The trivial rules whose lines don't squeeze the curves into a corner, and those that stay beyond the axis."""
    fitting: list[tuple[str, float]] = []
    far: list[tuple[str, float]] = []
    low, high = min(drawn, default=0.0), max(drawn, default=0.0)
    for rule, value in trivial.items():
        beyond = max(low - value, value - high, 0.0)
        fits = beyond <= STRETCH * max(high - low, 1e-12) or not drawn
        (fitting if fits else far).append((rule, value))
    return fitting, far


def _domain(parts: Sequence[tuple[Rows, Rows]], trivial: Sequence[float]) -> tuple[float, float] | None:
    """The y axis that all panels of a metric share."""
    values = [v for means, _ in parts for r in means for v in (r["mean"], r["lo"], r["hi"]) if v is not None]
    values += [r["value"] for _, seeds in parts for r in seeds if r["value"] is not None]
    values += trivial
    return (min(values), max(values)) if values and min(values) < max(values) else None


def _ends(rows: Rows, domain: tuple[float, float] | None, texts: Mapping[str, str]) -> Rows:
    """Where each curve's name is written: at its end, moved apart until no two overlap. Nowhere while a legend is enough."""
    if len({r["arm"] for r in rows}) <= CATEGORIES:
        return []
    last: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["arm"] not in last or row["x"] >= last[row["arm"]]["x"]:
            last[row["arm"]] = row
    low, high = domain or _domain([(rows, [])], ()) or (0.0, 1.0)
    gap = (high - low) * curves.LABEL_GAP
    placed = sorted(last.values(), key=lambda r: r["mean"])
    at = [r["mean"] for r in placed]
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + gap)
    # What was pushed over the top comes down again, and pushes the others.
    if at and at[-1] > high:
        at[-1] = max(high, placed[-1]["mean"])
        for i in range(len(at) - 2, -1, -1):
            at[i] = min(at[i], at[i + 1] - gap)
    return [
        {**{k: r[k] for k in ("arm", "key") if k in r}, "at": y, "text": texts.get(r["arm"], r["arm"])}
        for r, y in zip(placed, at, strict=True)
    ]
