"""What a chart of robustness draws: a point an arm with intervals over examples, lines, references; and the same as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from interpreter.plan.points import base_of, means
from interpreter.plan.types import ArmPlan, Plan
from interpreter.report.cast import Cast, cast
from interpreter.report.charts import robustness
from interpreter.report.charts.palette import BASELINE, SHAPES, TINTS, Look
from interpreter.report.charts.robustness import FAINT, Family
from interpreter.report.content import Figure, Keeper, Rows
from interpreter.report.read import Reader
from interpreter.report.robustnesspoints import Drawn, Point
from interpreter.report.robustnesswords import alternative, called, caption
from interpreter.report.robustnesswords import grid as table_of
from interpreter.report.statistics import Summary, summary
from interpreter.report.terms import metric_title
from interpreter.report.words import capital
from interpreter.spec.robustness import FittedLine
from interpreter.spec.views import Chart
from interpreter.verdicts.effective_robustness import (
    LINES,
    SCALES,
    Floats,
    Line,
    binomial_half_width,
    effective_robustness,
    predicted,
)
from interpreter.verdicts.history import History
from interpreter.verdicts.measures import Reader as Measured
from interpreter.verdicts.robustness_lines import Model, fit_to, line_for, meant_by
from interpreter.verdicts.types import Judgement

PAD = 0.05  # of an axis, at each end
ROOM = 42  # pixels between two marks of an axis
LETTER, TEXT = 7.0, 15.0  # pixels of a letter, of a line of text
STEPS = 81  # of a line
EQUAL = "equal accuracies"

# What an axis is marked with, those that are wanted most first.
_MARKS = (
    (50, 90, 10, 99, 1), (80, 70, 60, 20, 30, 40), (95, 85, 98, 5, 2, 75, 15, 25, 65),
    (97, 96, 94, 93, 92, 91, 88, 82, 3, 4, 6, 8), (99.5, 99.9, 99.8, 98.5, 97.5, 96.5, 0.5, 0.1), tuple(range(1, 100)),
)  # fmt: skip

# Where a name may stand: its alignment and offsets in pixels, the best place first.
_BESIDE = tuple((align, dx, dy) for dy in (-11, 13, -28, 30) for align, dx in (("left", 11), ("right", -11)))


def robustness_figure(
    name: str, chart: Chart, judgement: Judgement, plan: Plan, reader: Reader, look: Look, data: Keeper
) -> Figure:  # fmt: skip
    """The figure of one chart of robustness, with the table of what it draws. Raises: ReportError for arms that aren't there."""
    assert chart.in_ is not None and chart.out is not None
    entry = judgement.entry
    who = cast(name, chart, entry, look)
    title = chart.title or f"{capital(metric_title(chart.out))} against {metric_title(chart.in_)}"
    measured = Measured(plan, entry, History(reader.project, plan))
    every = {arm.name: measured.models(arm, chart.in_, chart.out) for arm in entry.arms}
    families = _families(chart, who, plan)
    lines, missing = _lines(chart, [model for arm in entry.arms for model in every[arm.name]], entry.arms)
    points = _points(chart, who, families, lines, every, reader)
    references = _references(chart, judgement)
    scaled, _ = SCALES[chart.scale]
    finite = [p for p in points if _finite(p, scaled)]
    if not finite:
        return Figure(name, "robustness", title, chart.caption, "", notice="No data yet: no arm has both accuracies.")
    shown = [family for family in dict.fromkeys(families.values()) if any(p.family == family.name for p in finite)]
    shown += [Family("from elsewhere", BASELINE, "cross", faint=False)] if references else []
    ends = [_end(finite, references, scaled, original=original) for original in (True, False)]
    x, y = (_axis(metric, end, chart, size) for metric, end, size in _axes(chart, ends))
    drawn = [(EQUAL, Line(1.0, 0.0, chart.scale)), *((line.name, line.line) for line in lines)]
    rows = [_point_row(p, scaled, lines) for p in finite]
    rows += [_reference_row(label, pair, scaled) for label, pair in references.items()]
    plot = robustness.Plot(
        points=data.add("robust", rows),
        seeds=data.add("robustseeds", [r for p in finite if not p.faint for r in _seed_rows(p, scaled)]),
        lines=data.add("robustlines", [r for text, line in drawn for r in _line_rows(text, line, x.domain, chart)]),
        names=data.add("robustnames", _names(rows, {p.arm for p in finite if p.faint}, x, y)),
        x=x,
        y=y,
        families=tuple(shown),
        line_names=tuple(text for text, _ in drawn),
        tooltip=(
            ("arm", "model"), ("family", "family"), ("in_text", metric_title(chart.in_)), ("out_text", metric_title(chart.out)),
            *((f"above{i}", f"above: {line.name}") for i, line in enumerate(lines)),
        ),
    )  # fmt: skip
    lacking = [p.arm for p in points if p not in finite]
    lacking += [who.labels[arm.name] for arm in who.arms if not any(m.known for m in every[arm.name])]
    said = caption(chart, finite, lines, lacking, missing, references)
    page, file = (robustness.chart(plot, page=page) for page in (True, False))
    return Figure(
        name, "robustness", title, f"{said} {who.note}".strip(), alternative(title, finite, lines, references),
        (page.to_dict(validate=False),), file.to_dict(validate=False),
        Look(
            tuple(f.name for f in shown), tuple(f.tint for f in shown), ((1, 0),) * len(shown), tuple(f.shape for f in shown)
        ),
        wide=True, grid=table_of(name, title, chart, finite, lines, references),
    )  # fmt: skip


def _families(chart: Chart, who: Cast, plan: Plan) -> dict[str, Family]:
    """The family of each arm, by its full name: as the chart says; else imported ones together, and each other arm alone."""
    named: dict[str, str] = {}
    for arm in who.arms:
        found = (label for label, texts in chart.families.items() if any(means(text, arm) for text in texts))
        named[arm.name] = next(found, base_of(arm) if _imported(arm, plan) else who.labels[arm.name])
    order = list(dict.fromkeys([*(f for f in chart.families if f in named.values()), *named.values()]))
    faint = {f: all(_imported(arm, plan) for arm in who.arms if named[arm.name] == f) for f in order}
    made: dict[str, Family] = {}
    turn = 0
    for place, family in enumerate(order):
        own = [arm for arm in who.arms if named[arm.name] == family]
        tint = FAINT
        if not faint[family]:
            alone = len(own) == 1 and family == who.labels[own[0].name]
            at = who.look.labels.index(family) if alone and family in who.look.labels else None
            tint = who.look.tints[at] if at is not None else BASELINE
            if tint == BASELINE:  # grey is for what was made elsewhere
                tint = TINTS[turn % len(TINTS)]
                turn += 1
        made[family] = Family(family, tint, SHAPES[place % len(SHAPES)], faint[family])
    return {arm.name: made[named[arm.name]] for arm in who.arms}


def _imported(arm: ArmPlan, plan: Plan) -> bool:
    keys = [key for trial in arm.trials for _, key in trial.stages]
    return bool(keys) and all(plan.stages[key].kind == "import" for key in keys if key in plan.stages)


def _lines(chart: Chart, models: Sequence[Model], arms: Sequence[ArmPlan]) -> tuple[list[Drawn], list[str]]:
    """The lines that there are, and in words those that there aren't."""
    found: list[Drawn] = []
    missing: list[str] = []
    for line in chart.lines:
        if not isinstance(line, FittedLine):
            found.append(Drawn(called(line), line, LINES[line], None))
            continue
        names = {arm.name for arm in meant_by(line, arms)}
        fit = fit_to([m for m in models if m.arm.name in names and m.known], line)
        if fit is None:
            missing.append(f"no {line.fit} line: too few of {', '.join(line.to)} have both accuracies")
        else:
            text = called(line, fit)
            text += f" ({', '.join(line.to)})" if any(text == other.name for other in found) else ""
            found.append(Drawn(text, line, fit.line, fit))
    return found, missing


def _points(
    chart: Chart, who: Cast, families: Mapping[str, Family], lines: Sequence[Drawn], every: Mapping[str, Sequence[Model]],
    reader: Reader,
) -> list[Point]:  # fmt: skip
    counted = {(r["arm"], r["seed"], r["stage"]): r["n"] for r in reader.counted}
    arms = [models[0].arm for models in every.values() if models]
    found = []
    for arm in who.arms:
        models = [m for m in every[arm.name] if m.known and (who.seeds is None or arm.trials[m.place].seed in who.seeds)]
        if not models:
            continue
        acc_in, acc_out = (summary([x for m in models if (x := v(m)) is not None]) for v in (_acc_in, _acc_out))
        sizes = [{counted.get((arm.name, arm.trials[m.place].seed, m.metrics[i].stage)) for m in models} for i in (0, 1)]
        n_in, n_out = (next(iter(of)) if len(of) == 1 else None for of in sizes)
        above, half = [], []
        for line in lines:
            judged: Line | None = line.line
            if isinstance(line.asked, FittedLine):
                of = [model for other in meant_by(line.asked, arms) for model in every[other.name]]
                judged = line_for(line.asked, of, frozenset(model.keys for model in every[arm.name])).line
            above.append(summary(_above(models, judged)) if judged is not None else summary([]))
            half.append(_half(acc_in, acc_out, n_in, n_out, judged))
        family = families[arm.name]
        found.append(
            Point(who.labels[arm.name], arm.name, family.name, family.faint, acc_in, acc_out, n_in, n_out, tuple(above),
                  tuple(half), tuple(models))
        )  # fmt: skip
    return found


def _acc_in(model: Model) -> float | None:
    return model.acc_in


def _acc_out(model: Model) -> float | None:
    return model.acc_out


def _above(models: Sequence[Model], line: Line) -> list[float]:
    acc_in, acc_out = (np.array([v(m) for m in models], dtype=np.float64) for v in (_acc_in, _acc_out))
    return [float(value) for value in effective_robustness(acc_in, acc_out, line)]


def _half(acc_in: Summary, acc_out: Summary, n_in: int | None, n_out: int | None, line: Line | None) -> float | None:
    if line is None or not n_in or not n_out or acc_in.mean is None or acc_out.mean is None:
        return None
    half = binomial_half_width(acc_in.mean, n_in, acc_out.mean, n_out, line)
    return half if math.isfinite(half) else None


def _references(chart: Chart, judgement: Judgement) -> dict[str, tuple[float, float]]:
    """Numbers from elsewhere that have both accuracies, by measures of these."""
    entry = judgement.entry.entry
    plain = {name: m.metric for name, m in entry.measures.items() if m.metric is not None and m.over is None}
    found = {}
    for label, reference in entry.references.items():
        of = {plain[name]: value for name, value in reference.values.items() if name in plain}
        if chart.in_ in of and chart.out in of:
            found[label] = (of[chart.in_], of[chart.out])
    return found


def _finite(point: Point, scaled: Any) -> bool:
    return all(math.isfinite(_at(of.mean, scaled)) for of in (point.acc_in, point.acc_out))


def _at(value: float | None, scaled: Any) -> float:
    """An accuracy on the scale; infinite or NaN where it has no place there."""
    if value is None:
        return math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(scaled(np.float64(value)))


def _end(
    points: Sequence[Point], references: Mapping[str, tuple[float, float]], scaled: Any, *, original: bool
) -> tuple[float, float]:
    """The ends of an axis: every point, its interval and the references."""
    values = [pair[0 if original else 1] for pair in references.values()]
    for point in points:
        values.append((point.acc_in if original else point.acc_out).mean or 0.0)
        values += point.over_examples(original=original) or ()
    at = [place for value in values if math.isfinite(place := _at(value, scaled))]
    pad = PAD * ((max(at) - min(at)) or 1.0)
    return min(at) - pad, max(at) + pad


def _axes(chart: Chart, ends: Sequence[tuple[float, float]]) -> list[tuple[str, tuple[float, float], int]]:
    assert chart.in_ is not None and chart.out is not None
    return [(chart.in_, ends[0], robustness.WIDTH), (chart.out, ends[1], robustness.HEIGHT)]


def _axis(metric: str, end: tuple[float, float], chart: Chart, size: int) -> robustness.Axis:
    """An axis with as many marks as there is room for, the roundest first."""
    scaled, _ = SCALES[chart.scale]
    kept: dict[float, float] = {}
    unit = size / (end[1] - end[0])
    for percents in _MARKS:
        for percent in percents:
            at = _at(percent / 100, scaled)
            if end[0] <= at <= end[1] and all(abs(at - other) * unit >= ROOM for other in kept.values()):
                kept[percent] = at
    told = dict(sorted(kept.items()))
    title = f"{metric_title(metric)} ({chart.scale} scale)"
    return robustness.Axis(title, end, tuple(told.values()), tuple(f"{percent:g} %" for percent in told))


def _point_row(point: Point, scaled: Any, lines: Sequence[Drawn]) -> dict[str, Any]:
    assert point.acc_in.mean is not None and point.acc_out.mean is not None
    row: dict[str, Any] = {"family": point.family, "arm": point.arm}
    for axis, of, original in (("x", point.acc_in, True), ("y", point.acc_out, False)):
        row[axis] = _at(of.mean, scaled)
        ends = point.over_examples(original=original)
        for name, end in zip(("lo", "hi"), ends or (None, None), strict=True):
            at = _at(end, scaled)
            row[f"{axis}_{name}"] = None if math.isnan(at) else float(np.clip(at, -1e3, 1e3))
        n = point.n_in if original else point.n_out
        told = f"{100 * (of.mean or 0.0):.2f} %" + (f", {100 * ends[0]:.2f} to {100 * ends[1]:.2f} (n = {n:,})" if ends else "")
        row["in_text" if original else "out_text"] = told + (f", mean of {of.n} seeds" if of.n > 1 else "")
    for i, (above, half) in enumerate(zip(point.above, point.half, strict=True)):
        row[f"above{i}"] = _points_text(above.mean, half)
    return row


def _points_text(value: float | None, half: float | None) -> str:
    if value is None:
        return "none"
    return f"{100 * value:+.2f} points" + (f" ± {100 * half:.2f}" if half is not None else "")


def _reference_row(label: str, pair: tuple[float, float], scaled: Any) -> dict[str, Any]:
    row = {"family": "from elsewhere", "arm": label, "in_text": f"{100 * pair[0]:.2f} %", "out_text": f"{100 * pair[1]:.2f} %"}
    return row | {"x": _at(pair[0], scaled), "y": _at(pair[1], scaled), "x_lo": None, "x_hi": None, "y_lo": None, "y_hi": None}


def _seed_rows(point: Point, scaled: Any) -> Rows:
    if len(point.models) < 2:
        return []
    at = [(_at(m.acc_in, scaled), _at(m.acc_out, scaled)) for m in point.models]
    return [{"family": point.family, "x": x, "y": y} for x, y in at if math.isfinite(x) and math.isfinite(y)]


def _line_rows(text: str, line: Line, domain: tuple[float, float], chart: Chart) -> Rows:
    """A line over the whole axis, straight or not on the chart's scale."""
    scaled, back = SCALES[chart.scale]
    x: Floats = np.linspace(*domain, STEPS)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = scaled(predicted(back(x), line))
    kept = np.isfinite(y)
    return [
        {"line": text, "order": i, "x": float(a), "y": float(b)} for i, (a, b) in enumerate(zip(x[kept], y[kept], strict=True))
    ]


def _names(rows: Rows, faint: set[str], x: robustness.Axis, y: robustness.Axis) -> Rows:
    """Names beside the points that are not faint, on that side where there is room, one below the other where they would meet."""
    placed: list[tuple[float, float, float, float]] = []  # left, right, top, bottom, in pixels
    made = []
    for row in sorted((r for r in rows if r["arm"] not in faint), key=lambda r: -r["y"]):
        left = (row["x"] - x.domain[0]) / (x.domain[1] - x.domain[0]) * robustness.WIDTH
        top = (y.domain[1] - row["y"]) / (y.domain[1] - y.domain[0]) * robustness.HEIGHT
        size = LETTER * len(row["arm"])
        best, fewest = _BESIDE[0], math.inf
        for option in _BESIDE:
            align, dx, dy = option
            begin = left + dx if align == "left" else left + dx - size
            box = (begin, begin + size, top + dy - TEXT / 2, top + dy + TEXT / 2)
            outside = box[0] < 0 or box[1] > robustness.WIDTH or box[2] < 0 or box[3] > robustness.HEIGHT
            meets = sum(box[0] < b[1] and b[0] < box[1] and box[2] < b[3] and b[2] < box[3] for b in placed) + 10 * outside
            if meets < fewest:
                best, fewest, kept = option, meets, box
        placed.append(kept)
        made.append({"arm": row["arm"], "family": row["family"], "x": row["x"], "y": row["y"],
                     "align": best[0], "dx": best[1], "dy": best[2]})  # fmt: skip
    return made
