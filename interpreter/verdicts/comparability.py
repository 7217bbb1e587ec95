"""How comparable the two sides of a claim are: the findings of `fairness` for every comparison it makes, told once each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from interpreter.plan.differences import ancestors
from interpreter.plan.types import ArmPlan, EntryPlan, Plan
from interpreter.spec.claims import Claim
from interpreter.spec.measures import Measure
from interpreter.verdicts.fairness import (
    arm_confounds,
    measurement_confounds,
    numerics_confounds,
    reference_confounds,
    varied,
    waived,
)
from interpreter.verdicts.history import History
from interpreter.verdicts.terms import Comparison, Reading, Term
from interpreter.verdicts.types import Confound

_TOLD = 3  # points named one by one


def claim_confounds(
    plan: Plan, entry: EntryPlan, history: History, claim: Claim, comparisons: Sequence[Comparison]
) -> tuple[Confound, ...]:
    """Everything in which the sides of `claim` differ besides what is claimed, with what the author waived of it.

    Points of a sweep are compared one by one with what they are compared with in the claim. A finding that holds for
    all is told once and without their names; one that holds for some names them. What the sweep itself varies is declared.
    """
    found: dict[Confound, list[str]] = {}
    asked: list[str] = []
    for left, right, seeds, names in _compared(claim, comparisons):
        point = next((r.arm.name for r in (left, right) if r is not None and r.arm.factors), "")
        asked.append(point)
        for confound in _between(plan, entry, history, left, right, seeds, names):
            found.setdefault(confound, []).append(point)
    for comparison in comparisons:
        for one, other in (comparison.terms, comparison.terms[::-1]):
            for confound in _to_reference(plan, entry, one, other):
                found.setdefault(confound, []).extend([""] * len(asked))
    merged = (_where(confound, points, len(asked)) for confound, points in found.items())
    return waived(tuple(dict.fromkeys(merged)), entry.entry.waivers)


def _where(confound: Confound, points: Sequence[str], of: int) -> Confound:
    """`confound`, with the points it is about where these are not all."""
    names = list(dict.fromkeys(point for point in points if point))
    if len(points) >= of or not names:
        return confound
    told = ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")
    return replace(confound, text=f"{confound.text} (at {told})")


_Pairing = tuple[Reading, Reading, list[int], tuple[str, str]]


def _compared(claim: Claim, comparisons: Sequence[Comparison]) -> Iterator[_Pairing]:
    """Every two readings that the claim sets against each other, the seeds at which both are, and what to call their arms."""
    for comparison in comparisons:
        left, right = comparison.left.readings, comparison.right.readings
        if claim.kind == "trend" and not right:
            # The points of one sweep are compared among themselves: each with the first.
            both: Iterable[tuple[Reading, Reading]] = [(other, left[0]) for other in left[1:]]
        elif len(left) == len(right):
            both = zip(left, right, strict=True)
        else:
            both = itertools.product(left, right)
        seeds = [pair.seed for pair in comparison.pairs()]
        several = len(comparisons) > 1 or len(left) > 1 or len(right) > 1
        for a, b in both:
            names = (a.arm.name, b.arm.name)
            if several and claim.kind != "trend":
                names = (_called(comparison.left, a), _called(comparison.right, b))
            yield a, b, seeds, names if names[0] != names[1] else (a.arm.name, b.arm.name)


def _called(term: Term, reading: Reading) -> str:
    """What a side's arm is called where the same is said of all its points: as the page writes it."""
    return term.side.arm or reading.arm.name


def _between(
    plan: Plan, entry: EntryPlan, history: History, left: Reading, right: Reading, seeds: Sequence[int], names: tuple[str, str]
) -> Iterator[Confound]:
    a, b = replace(left.arm, name=names[0]), replace(right.arm, name=names[1])
    yield from _quantities(entry.entry.measures, left, right)
    for mine, theirs in zip(left.metrics, right.metrics, strict=False):
        yield from measurement_confounds(plan, a, mine, b, theirs)
    if left.arm.name == right.arm.name:
        return
    declared = frozenset().union(*(varied(plan, _points(entry, arm)) for arm in (left.arm, right.arm) if arm.factors))
    yield from arm_confounds(plan, a, b, declared)
    both = {seed: (_numerics(plan, history, left, seed), _numerics(plan, history, right, seed)) for seed in seeds}
    yield from numerics_confounds(both)


def _quantities(measures: Mapping[str, Measure], left: Reading, right: Reading) -> Iterator[Confound]:
    """Two measures that are not of one kind: an accuracy and a number of epochs."""
    x, y = (_quantity(measures.get(reading.what)) for reading in (left, right))
    if x != y:
        yield Confound("metric", "unfair", f"{left} is {x}, {right} is {y}")


def _quantity(measure: Measure | None) -> str:
    if measure is None or measure.effective_robustness is not None:
        return "effective robustness" if measure is not None else "a shape"
    if measure.over is not None:
        return "0 or 1"
    if measure.phase is not None or measure.read == "epochs_to":
        return "a number of epochs"
    return measure.resource or "a metric"


def _to_reference(plan: Plan, entry: EntryPlan, one: Term, other: Term) -> Iterator[Confound]:
    if one.side.reference:
        for reading in other.readings:
            name = reading.arm.name if len(other.readings) == 1 else _called(other, reading)
            for metric in reading.metrics:
                reference = entry.entry.references[one.side.reference]
                arm = replace(reading.arm, name=name)
                yield from reference_confounds(plan, arm, metric, one.side.reference, reference, entry.profile)


def _points(entry: EntryPlan, arm: ArmPlan) -> list[ArmPlan]:
    """The points of the sweep that `arm` is one of."""
    base = arm.base or arm.name
    return [other for other in entry.arms if (other.base or other.name) == base]


def _numerics(plan: Plan, history: History, reading: Reading, seed: int) -> Mapping[str, Any]:
    """Numerics of the fit whose weights a reading is of, else of the stage itself."""
    fits = [stage.key for stage in ancestors(plan, reading.keys[seed]) if stage.kind == "fit"]
    return history.fact(fits[0] if fits else reading.keys[seed]).numerics
