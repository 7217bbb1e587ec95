"""What a chart of schedules draws: curves, phases and learning rates of the same trials, and in which words it is told."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from interpreter.plan.points import short_labels
from interpreter.plan.types import ArmPlan, EntryPlan, Plan
from interpreter.report.cast import Cast, Facet, cast
from interpreter.report.charts import schedule
from interpreter.report.charts.palette import CATEGORIES, Look
from interpreter.report.content import Figure, Keeper, Rows
from interpreter.report.curvedata import default_metrics, mean_row, planned_epochs, seed_row, wanted_in
from interpreter.report.read import Reader, Wanted, objective_of
from interpreter.report.schedulerows import LABEL, Strips, end_word, only, strips, trains, wrapped
from interpreter.report.terms import metric_title
from interpreter.report.words import count, names
from interpreter.spec.names import metric_ref
from interpreter.spec.stages import Layers, Phases, Thaw
from interpreter.spec.views import Chart
from interpreter.verdicts.types import Judgement

ARMS = 24  # of one chart; of more the first are drawn, and the caption says so
POINTS = 12_000  # of rates in one chart; beyond it epochs are thinned
LINES = 120  # of rates in one chart; beyond it the lowest and the highest of each trial, then one seed an arm
SEEDS = 8_000  # points of single seeds' curves; beyond it only means are drawn
DECADES = 6  # of the rates' axis: what is lower is beyond it


def schedule_figure(
    name: str, chart: Chart, judgement: Judgement, plan: Plan, reader: Reader, look: Look, data: Keeper
) -> Figure:  # fmt: skip
    """The figure of one chart of schedules.

    Raises: ReportError for arms, factors or metrics that aren't there.
    """
    entry = judgement.entry
    who = cast(name, chart, entry, look)
    title = chart.title or "Phases and learning rates"
    if not who.arms:
        return Figure(
            name, "schedule_trace", title, chart.caption, "", notice="Nothing to draw: no arm has these values of its factors."
        )
    metrics = [chart.y] if isinstance(chart.y, str) else list(chart.y or default_metrics(entry)[:1])
    traces: list[schedule.Trace] = []
    said: list[str] = []
    told: list[str] = []
    for facet in who.facets:
        trace = _trace(name, facet, chart, who, metrics, plan, reader, entry, data, said, told)
        if trace is not None:
            traces.append(trace)
    if not traces:
        return Figure(
            name, "schedule_trace", title, chart.caption, "", notice="No data yet: no fit that was asked for has an epoch."
        )
    drawn = schedule.chart(traces, who.look, page=True)
    file = schedule.chart(traces, who.look, page=False)[0]
    caption = " ".join([*([chart.caption] if chart.caption else []), *dict.fromkeys(said), *([who.note] if who.note else [])])
    return Figure(
        name, "schedule_trace", title, caption, f"{title}. " + " ".join(told),
        tuple(c.to_dict(validate=False) for c in drawn), file.to_dict(validate=False), who.look, legend="mute", wide=True,
    )  # fmt: skip


def _trace(
    name: str, facet: Facet, chart: Chart, who: Cast, metrics: Sequence[str], plan: Plan, reader: Reader, entry: EntryPlan,
    data: Keeper, said: list[str], told: list[str],
) -> schedule.Trace | None:  # fmt: skip
    """The parts of one facet, or None where nothing was run. Adds to what the caption says, and to what is told in words."""
    arms = facet.arms[:ARMS]
    wanted = {metric: wanted_in(metric, arms, chart, plan, reader, entry.id, name) for metric in metrics}
    stages = {arm.name: _stages(arm, chart, metrics, plan) for arm in arms}
    rows = _phases(arms, stages, who, plan, reader)
    if not any(rows.values()):
        return None
    first, last = chart.epochs or (1, max(row["ended"] for found in rows.values() for row in found))
    short = short_labels(entry.arms, [chart.facet] if chart.facet else [])
    texts = {who.labels[arm.name]: short[arm.name] for arm in arms}
    shown = {who.labels[arm.name]: rows[arm.name] for arm in arms if rows[arm.name]}
    keys = {who.labels[arm.name]: who.keys[arm.name] for arm in arms}
    made = strips(shown, keys, (first, last))
    made.labels = [(at, wrapped(texts[arm])) for (at, _), arm in zip(made.labels, shown, strict=True)]
    rates, zeros, thinned = _rates([arm for arm in arms if rows[arm.name]], stages, who, reader, (first, last))
    words = tuple(dict.fromkeys(row["end"] for row in sorted(made.ends, key=lambda row: row["x"])))
    longest = max(len(line) for _, lines in made.labels for line in lines)
    positive = [row["rate"] for row in rates if row["rate"] > 0]
    limits = _limits(positive)
    trace = schedule.Trace(
        facet=facet.title,
        curves=tuple(_curves(metric, wanted[metric], arms, chart, who, plan, reader, data) for metric in metrics),
        spans=data.add("phases", _lean(made.spans, who)),
        names=data.add("names", _lean(made.names, who)),
        ends=data.add("ends", _lean(made.ends, who)) if made.ends else "",
        spread=data.add("spread", _lean(made.spread, who)) if made.spread else "",
        rates=data.add("rates", _lean(rates, who)) if rates else "",
        rows=tuple(made.labels), height=made.height, words=words, epochs=(first - 0.5, last + 0.5),
        x_title="epoch of the chain" if chart.x == "stage_epoch" else "epoch",
        limits=limits, ticks=_ticks(limits) if positive else (), zero=bool(zeros),
        room=max(46, min(16 + 6 * longest, 16 + 6 * (LABEL + 4))), key="arm" if who.by_arm else "key", look=who.look,
    )  # fmt: skip
    said += _words(
        made, trace, rates, zeros, thinned, [texts[who.labels[a.name]] for a in arms if not rows[a.name]], len(facet.arms)
    )
    told += [_told(arm, found) for arm, found in shown.items()]
    return trace


def _stages(arm: ArmPlan, chart: Chart, metrics: Sequence[str], plan: Plan) -> list[tuple[str, int]]:
    """The stages whose phases are drawn, each with what is added to its epochs: the one that the curves are of, or all."""
    named = [stage for metric in metrics for stage in [metric_ref(metric)[0]] if stage in arm.chain]
    if chart.x != "stage_epoch" or named:
        return [(named[0] if named else arm.main_stage, 0)]
    found, shift = [], 0
    for stage in arm.chain:
        epochs = planned_epochs(plan, arm, stage)
        if epochs:
            found.append((stage, shift))
        shift += epochs
    return found


def _phases(
    arms: Sequence[ArmPlan], stages: Mapping[str, Sequence[tuple[str, int]]], who: Cast, plan: Plan, reader: Reader
) -> dict[str, list[dict[str, Any]]]:
    """Phases of each arm as `strips` takes them: with epochs as the chart counts them, and what is known of their thaw."""
    found: dict[str, list[dict[str, Any]]] = {arm.name: [] for arm in arms}
    keys = {(arm.name, name): key for arm in arms for trial in arm.trials for name, key in trial.stages}
    thaws = {at: plan.stages[key].settings.get("thaw") for at, key in keys.items()}
    for row in reader.phases:
        shifts = dict(stages.get(row["arm"], ()))
        if row["stage"] not in shifts or (who.seeds is not None and row["seed"] not in who.seeds):
            continue
        shift = shifts[row["stage"]]
        moved = {key: row[key] + shift for key in ("began", "ended")}
        mine = found[row["arm"]]
        before = mine[-1] if mine and all(mine[-1][key] == row[key] for key in ("seed", "stage")) else None
        thaw = Thaw.model_validate(dict(thaws[row["arm"], row["stage"]] or {}))
        told = {"unit": _unit(thaw), "kept": before is None or _kept(thaw, before, row)}
        mine.append({**row, **moved, **told, "shift": shift, "several": len(shifts) > 1})
    return found


def _unit(thaw: Thaw) -> str:
    """What the names of a phase's groups are names of."""
    if isinstance(thaw.by, Layers):
        return "layer" if thaw.by.tensors is None else "tensor"
    return "group"


def _kept(thaw: Thaw, before: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether all that trained in the phase `before` trains in this one, and more does."""
    if thaw.cumulative:
        return True
    # Phases by hand may name again what trained before; those of layers or tensors never do.
    again = set(before["trainable"] or ()) <= set(row["trainable"] or ())
    return isinstance(thaw.by, Phases) and again and bool(row["groups"])


def _curves(
    metric: str, wanted: Sequence[Wanted], arms: Sequence[ArmPlan], chart: Chart, who: Cast, plan: Plan, reader: Reader,
    data: Keeper,
) -> schedule.Curve:  # fmt: skip
    """Means of one metric, and single seeds, where there is more to see in them."""
    by_name = {arm.name: arm for arm in arms}
    task = next((t for w in wanted if (t := objective_of(plan.stages, by_name[w.arm], w.stage))), "")
    band = chart.band if len(arms) <= CATEGORIES else "none"
    means = [mean_row(r, band, who.labels, who.keys) for r in reader.means(wanted, who.seeds, chart.epochs, chart.smooth)]
    raw = []
    if chart.raw == "faint" and len(arms) <= CATEGORIES and max((row["n"] for row in means), default=1) > 1:
        raw = [seed_row(r, who.labels, who.keys) for r in reader.seeds(wanted, who.seeds, chart.epochs)]
    title = metric_title(metric, task)
    kept = [{k: v for k, v in row.items() if k != "asked"} for row in (raw if len(raw) <= SEEDS else [])]
    means = [{k: v for k, v in row.items() if k != "asked"} for row in means]
    order = [who.labels[arm.name] for arm in arms]
    lone, lone_seeds = _alone(means, ("arm", "stage"), order, 0.5), _alone(kept, ("arm", "stage", "seed"), order, 0.66)
    return schedule.Curve(
        title, data.add("means", _lean(means, who)), data.add("seeds", _lean(kept, who)) if kept else "",
        data.add("lone", _lean(lone, who)) if lone else "", data.add("lone-seeds", _lean(lone_seeds, who)) if lone_seeds else "",
        _about([*(row[k] for row in means for k in ("mean", "lo", "hi")), *(row["value"] for row in kept)]),
    )  # fmt: skip


def _about(values: Sequence[float | None]) -> tuple[float, float] | None:
    """Limits of an axis about the one value there is; None where there are several, or none."""
    found = {value for value in values if value is not None}
    if len(found) != 1:
        return None
    value = found.pop()
    half = abs(value) / 10 or 1.0
    return value - half, value + half


def _alone(rows: Rows, line: Sequence[str], order: Sequence[str], place: float) -> Rows:
    """Those of `rows` that share their line with no other; a line is told by the columns `line`.

    `at` is where they stand: in the middle half of their epoch, the arms in `order` beside each other, each in its own part
    at `place`, from 0 to 1.
    """
    counts = Counter(tuple(row[name] for name in line) for row in rows)
    shifts = {arm: 0.5 * ((i + place) / len(order) - 0.5) for i, arm in enumerate(order)}
    alone = [row for row in rows if counts[tuple(row[name] for name in line)] == 1]
    return [{**row, "at": round(row["x"] + shifts[row["arm"]], 4)} for row in alone]


def _rates(
    arms: Sequence[ArmPlan], stages: Mapping[str, Sequence[tuple[str, int]]], who: Cast, reader: Reader, window: tuple[int, int]
) -> tuple[Rows, list[str], str]:
    """Corners of the steps of the rates, equal lines of an arm drawn once; where rates are 0; and what was left out.

    Each epoch goes from half an epoch before its number to half an epoch after it, as on the strips. Where a group of
    parameters is frozen it has no rate, and its line is broken.
    """
    pairs = [(arm.name, stage) for arm in arms for stage, _ in stages[arm.name]]
    order = {arm.name: i for i, arm in enumerate(arms)}
    read = reader.rates([arm for arm, _ in pairs], [stage for _, stage in pairs], who.seeds)
    found: list[Mapping[str, Any]] = sorted(read, key=lambda row: order[row["arm"]])
    left = ""
    if len(_lines(found)) > LINES:
        left = "Of many rates, the lowest and the highest of each trial are drawn."
        found = _extremes(found)
    if len(_lines(found)) > LINES:
        left = "Of many rates, the lowest and the highest of one seed an arm are drawn."
        lowest: dict[str, int] = {}
        for row in found:
            lowest[row["arm"]] = min(lowest.get(row["arm"], row["seed"]), row["seed"])
        found = [row for row in found if row["seed"] == lowest[row["arm"]]]
    drawn: list[tuple[dict[str, Any], list[tuple[float, float]]]] = []
    zeros: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (arm, stage, epochs, rates), of in _lines(found).items():
        shift = dict(stages[arm])[stage]
        groups = list(dict.fromkeys(g for g, _ in of))
        told: dict[str, Any] = {"group": names(groups, 6), "of": names([str(s) for s in sorted({s for _, s in of})], 8)}
        # Later arms are drawn over earlier ones: those are wider, so that equal rates are seen to be of several.
        told["width"] = round(1.4 + 2.4 * (len(order) - 1 - order[arm]) / (len(order) - 1), 2) if len(order) > 1 else 1.8
        at = [(e + shift, rate) for e, rate in zip(epochs, rates, strict=True) if window[0] <= e + shift <= window[1]]
        drawn += [({"arm": who.labels[arm], "key": who.keys[arm], **told}, corners) for corners in _steps(at)]
        if still := tuple(x for x, rate in at if rate == 0):
            zeros.setdefault((who.labels[arm], still), []).extend(groups)
    every = max(1, math.ceil(sum(len(corners) for _, corners in drawn) / POINTS))
    rows = [
        {**told, "line": number, "x": x, "rate": rate}
        for number, (told, corners) in enumerate(drawn)
        for x, rate in [*corners[:-2:every], *corners[-2:]]
    ]
    alike: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (arm, still), groups in zeros.items():
        alike.setdefault((names(list(dict.fromkeys(groups)), 4), still), []).append(arm)
    said = [f"{what} of {names(of_arms, 4)} in {_spans(still)}" for (what, still), of_arms in alike.items()]
    return rows, said, left


def _steps(points: Sequence[tuple[int, float]]) -> list[list[tuple[float, float]]]:
    """Corners of a rate's steps, from each to the right and then up or down; a list for each stretch without a gap."""
    made: list[list[tuple[float, float]]] = []
    for i, (epoch, rate) in enumerate(points):
        if i == 0 or epoch != points[i - 1][0] + 1:
            made.append([(epoch - 0.5, rate)])
        elif rate != points[i - 1][1]:
            made[-1].append((epoch - 0.5, rate))
        if i == len(points) - 1 or epoch != points[i + 1][0] - 1:
            made[-1].append((epoch + 0.5, rate))
    return made


def _spans(epochs: Sequence[int]) -> str:
    """Ascending `epochs` in words: "epoch 3", "epochs 1 to 3 and 7"."""
    ends: list[list[int]] = []
    for epoch in epochs:
        if ends and ends[-1][1] == epoch - 1:
            ends[-1][1] = epoch
        else:
            ends.append([epoch, epoch])
    said = [str(a) if a == b else f"{a} to {b}" for a, b in ends]
    return f"epoch{'s' if len(epochs) > 1 else ''} {names(said, 4)}"


def _lines(found: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], list[tuple[str, int]]]:
    """Each different line of each arm -> the groups and seeds that have it."""
    lines: dict[tuple[Any, ...], list[tuple[str, int]]] = {}
    for row in found:
        key = (row["arm"], row["stage"], tuple(row["epochs"]), tuple(row["rates"]))
        lines.setdefault(key, []).append((row["group"], row["seed"]))
    return lines


def _extremes(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of each trial, the groups whose rates end lowest and highest."""
    trials: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in found:
        trials.setdefault((row["arm"], row["stage"], row["seed"]), []).append(row)
    kept = []
    for rows in trials.values():
        ranked = sorted(rows, key=lambda row: row["rates"][-1])
        kept += ranked[:1] if len(ranked) == 1 else [ranked[0], ranked[-1]]
    return kept


def _limits(rates: Sequence[float]) -> tuple[float, float]:
    """The rates' axis: from a little below the lowest (but not more than DECADES below the highest) to a little above."""
    if not rates:
        return 0.1, 1.0
    high = max(rates)
    low = max(min(rates), high / 10**DECADES)
    return low / 1.6, high * 1.6


def _ticks(limits: tuple[float, float]) -> tuple[float, ...]:
    """Powers of ten within the limits; with less than two of them, also their double and fivefold."""
    low, high = limits
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    powers = tuple(float(f"1e{ten}") for ten in tens if low <= 10.0**ten <= high)
    if len(powers) > 1:
        return powers
    return tuple(value for ten in tens for step in (1, 2, 5) if low <= (value := float(f"{step}e{ten}")) <= high)


def _lean(rows: Rows, who: Cast) -> Rows:
    """Without `key` where it is the arm."""
    return [{k: v for k, v in row.items() if k != "key"} for row in rows] if who.by_arm else rows


def _words(
    made: Strips, trace: schedule.Trace, rates: Rows, zeros: Sequence[str], thinned: str, empty: Sequence[str], asked: int
) -> list[str]:  # fmt: skip
    """How to read the figure, and what is not in it."""
    said = []
    phased = max((row["number"] for row in made.spans), default=0) > 0
    if phased:
        said.append("Strips: phases, paler before deeper, with what each thawed.")
        said += ["Where one says only, the rest is frozen again."] if made.again else []
        said += ["A number alone is that of the phase, from 0."] if made.numbered else []
        if made.apart:
            said.append("Seeds that differ have a strip each, in order; the names above are at the medians.")
        elif made.medians:
            said.append(
                "Where seeds differ, a strip goes from median to median, and a thin line tells from where to where it ends."
            )
    else:
        said.append("No fit has more than one phase.")
    low, _ = trace.limits
    if any(0 < row["rate"] < low for row in rates):
        said.append(f"Rates below {low:.0e} are beyond the axis.")
    if zeros:
        said.append(f"A rate of 0 is drawn at the foot of its axis: {names(zeros, 3)}.")
    said += [thinned] if thinned else []
    said += [f"No data yet: {names(list(empty))}."] if empty else []
    if asked > ARMS:
        said.append(f"{ARMS} of {count(asked, 'arm')} are drawn; `arms` or `where` choose others.")
    return said


def _told(arm: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """An arm's phases for those who don't see them: those of its first seed."""
    mine = [row for row in rows if row["seed"] == rows[0]["seed"]]
    parts = []
    for row in mine:
        word = end_word(row["ended_by"])
        what = f"{names(trains(row), 3)}{only(row)}"
        parts.append(f"{what} in {_spans(range(row['began'], row['ended'] + 1))}" + (f" ({word})" if word else ""))
    return f"{arm}: {'; '.join(parts)}."
