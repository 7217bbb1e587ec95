"""Whom a chart shows: its arms and seeds, what colours tell apart, and what each panel holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interpreter.errors import ReportError
from interpreter.plan.points import base_of, factors, levels, same_value, select, short_labels, written
from interpreter.plan.types import ArmPlan, EntryPlan
from interpreter.report.charts.palette import Look, look_of, ordered_look
from interpreter.report.words import count, names
from interpreter.spec.names import did_you_mean
from interpreter.spec.views import Chart

PANELS = 12  # of one chart; more values of a factor than this are cut, and the caption says so


@dataclass(frozen=True, slots=True)
class Facet:
    """One panel's share of the arms: those with one value of the factor, and those that don't have the factor."""

    title: str  # "patience 3"; "" for the only panel
    arms: tuple[ArmPlan, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """What a chart shows, before any number is read."""

    arms: tuple[ArmPlan, ...]
    seeds: tuple[int, ...] | None  # None: all
    labels: Mapping[str, str]  # full name of an arm -> its short label
    keys: Mapping[str, str]  # full name of an arm -> what its colour stands for: its label, or the value of a factor
    look: Look  # of the keys
    by_arm: bool
    facets: tuple[Facet, ...]
    note: str = ""

    def key_rank(self, arm: ArmPlan) -> int:
        """Where the arm's colour stands in the legend."""
        return self.look.labels.index(self.keys[arm.name])


def entry_look(entry: EntryPlan) -> Look:
    """How the arms of an entry are drawn in all charts that tell arms apart."""
    labels = short_labels(entry.arms)
    return look_of(
        [labels[arm.name] for arm in entry.arms],
        [labels[arm.name] for arm in entry.arms if arm.baseline],
        [base_of(arm) for arm in entry.arms],
    )


def cast(name: str, chart: Chart, entry: EntryPlan, look: Look) -> Cast:
    """Whom the chart called `name` shows; `look` is that of the whole entry.

    Raises: ReportError for arms, factors or seeds that aren't there.
    """
    arms = _chosen(name, chart, entry)
    seeds = _seeds(name, chart, entry)
    known = factors(entry.arms)
    for asked in (chart.facet, None if chart.color == "arm" else chart.color, *(k for k in chart.where or {} if k != "seed")):
        if asked is not None and asked not in known:
            raise ReportError(
                f"{entry.id}: chart `{name}` asks for the factor `{asked}`, which no sweep here has",
                hint=did_you_mean(asked, [*known, *(["seed"] if asked in (chart.where or {}) else [])]),
            )
    for factor, value in (chart.where or {}).items():
        if factor != "seed":
            wanted = value if isinstance(value, (list, tuple)) else [value]
            arms = [arm for arm in arms if any(same_value(arm.factors.get(factor), v) for v in wanted)]
    labels = short_labels(entry.arms)
    keys = {arm.name: labels[arm.name] for arm in arms}
    if chart.color != "arm":
        values = levels(arms, chart.color)
        keys = {arm.name: _valued(chart.color, arm.factors[chart.color]) if chart.color in arm.factors else labels[arm.name]
                for arm in arms}  # fmt: skip
        others = [labels[arm.name] for arm in arms if chart.color not in arm.factors]
        look = ordered_look([_valued(chart.color, v) for v in values], others, numeric=all(map(_is_number, values)))
    else:
        look = look.only([labels[arm.name] for arm in arms])
    facets, note = _facets(chart, arms)
    return Cast(tuple(arms), seeds, labels, keys, look, chart.color == "arm", facets, note)


def _chosen(name: str, chart: Chart, entry: EntryPlan) -> list[ArmPlan]:
    """The arms in the order in which the chart names them, else in the page's."""
    if chart.arms is None:
        return list(entry.arms)
    chosen: dict[str, ArmPlan] = {}
    for text in chart.arms:
        found = select(entry.arms, text)
        if not found:
            raise ReportError(
                f"{entry.id}: chart `{name}` names the arm `{text}`, which isn't there", hint=_arms_hint(text, entry.arms)
            )
        chosen |= {arm.name: arm for arm in found}
    return list(chosen.values())


def _arms_hint(text: str, arms: Sequence[ArmPlan]) -> str:
    bases = list(dict.fromkeys(base_of(arm) for arm in arms))
    points = [arm for arm in arms if base_of(arm) == text.partition("[")[0]]
    if "[" in text and points:
        said = [f"{f}: {names(levels(points, f), 12)}" for f in factors(points)]
        return "; ".join(said) or f"points: {names([arm.name for arm in points], 12)}"
    return f"arms: {names(bases, 24)}"


def _seeds(name: str, chart: Chart, entry: EntryPlan) -> tuple[int, ...] | None:
    wanted = (chart.where or {}).get("seed")
    if wanted is None:
        return None
    listed = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
    try:
        return tuple(int(str(seed)) for seed in listed)
    except ValueError:
        raise ReportError(
            f"{entry.id}: chart `{name}` has `where: {{seed: {written(wanted)}}}`, which is no seed", hint="such as seed: [0, 1]"
        ) from None


def _facets(chart: Chart, arms: Sequence[ArmPlan]) -> tuple[tuple[Facet, ...], str]:
    if chart.facet is None:
        return (Facet("", tuple(arms)),), ""
    values = levels(arms, chart.facet)
    if not values:
        return (Facet("", tuple(arms)),), ""
    made = tuple(
        Facet(_valued(chart.facet, v), tuple(a for a in arms if a.factors.get(chart.facet, v) == v)) for v in values[:PANELS]
    )
    note = f"{PANELS} of {count(len(values), 'value')} of {chart.facet} are drawn." if len(values) > PANELS else ""
    return made, note


def _valued(factor: str, value: str) -> str:
    return f"{factor} {value}"


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
