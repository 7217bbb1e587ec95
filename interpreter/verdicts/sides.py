"""From a claim to what is compared: its sides, read at every seed, and the single comparisons that it is made of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from interpreter.plan.types import ArmPlan, EntryPlan, Plan
from interpreter.spec.canonical import digest
from interpreter.spec.claims import SHAPES, Claim, Side
from interpreter.spec.measures import Measure
from interpreter.verdicts.fairness import same_data
from interpreter.verdicts.history import History
from interpreter.verdicts.measures import Reader
from interpreter.verdicts.readings import metric_of, recorded_split
from interpreter.verdicts.shapes import BRACKETED, LEAST, Shape, shape_of, slope, stretch
from interpreter.verdicts.terms import Comparison, Reading, Term
from interpreter.verdicts.types import MeasureValue

Read = Callable[[ArmPlan, Side], Reading]
_NOTHING = Side(number=0.0)


class Refused(Exception):
    """There is nothing to compare: the state that this gives, and why."""

    def __init__(self, state: str, why: str) -> None:
        super().__init__(why)
        self.state, self.why = state, why


@dataclass(frozen=True, slots=True)
class Compared:
    """What a claim compares: one comparison, or several of which `quantifier` says whether all or any one is claimed.

    `upper`: the same comparisons of what bounds a shape's number from above; () where it is known itself.
    """

    claim: Claim  # with the relation by which its numbers are judged
    comparisons: tuple[Comparison, ...]
    quantifier: Literal["", "all", "any"] = ""
    upper: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def favour(self) -> frozenset[int]:
        """Directions in which a side that was chosen by what is compared may have pushed the differences."""
        left, right = self.comparisons[0].terms
        return frozenset(sign for sign in (left.favour, -right.favour) if sign)


class Sides:
    """Makes the comparisons of one entry's claims."""

    def __init__(self, plan: Plan, entry: EntryPlan, history: History, reader: Reader) -> None:
        self.plan, self.entry, self.history, self.reader = plan, entry, history, reader
        self.arms = {arm.name: arm for arm in entry.arms}

    def compared(self, claim: Claim) -> Compared:
        """The comparisons of `claim`. Raises: Refused."""
        for name in (*claim.left.names, *claim.right.names, *(name for name, _ in claim.levels)):
            if name not in self.arms:
                raise Refused("not-run", f"the arm {name} was not planned")
        if claim.kind == "trend":
            return self._trend(claim)
        if claim.kind == "shape":
            return self._shape(claim)
        if claim.kind == "reproduces":
            return self._reproduces(claim)
        left, right = claim.left, claim.right
        _meaningful(left, right)
        found = [
            Comparison(_point(a, b), a, b)
            for a in self._variants(left, self._measure)
            for b in self._variants(right, self._measure)
        ]
        quantifier = next((side.quantifier for side in (left, right) if side.quantifier in ("all", "any")), "")
        notes = [self._favoured(term) for term in found[0].terms if term.favour]
        if len(left.names) > 1 and not left.quantifier:
            notes.append(f"mean over {len(left.names)} matched points: a main effect")
        return Compared(claim, tuple(found), _of_several(quantifier, len(found)), notes=tuple(notes))

    def _variants(self, side: Side, read: Read) -> list[Term]:
        """The terms that a side stands for: one for each point of `all` and `any`, else one."""
        if not side.names:
            return [Term(side, str(side), number=self._number(side))]
        readings = tuple(read(self.arms[name], side) for name in side.names)
        if side.quantifier in ("all", "any") or len(readings) == 1:
            return [Term(side, reading.arm.name, (reading,)) for reading in readings]
        label = f"{side.quantifier} {side.arm}".strip()
        if side.quantifier == "best":
            return [self._best(side, label, readings)]
        return [Term(side, label, readings)]

    def _number(self, side: Side) -> float:
        if side.number is not None:
            return side.number
        return self.entry.entry.references[side.reference].values[side.measure] if side.reference else math.nan

    def _measure(self, arm: ArmPlan, side: Side) -> Reading:
        """The measure of a side on one arm. Raises: Refused."""
        return self._read(arm, side.measure)

    def _read(self, arm: ArmPlan, measure: str) -> Reading:
        values = {value.seed: value for value in self.reader.of(arm, measure)}
        stage = self.reader.stage(arm, measure)
        if not values or stage is None:
            raise Refused("not-run", f"{arm.name} has no stage that measures {measure}")
        keys = {trial.seed: trial.key_of(stage) for trial in arm.trials}
        return Reading(arm, measure, values, keys, self.reader.metrics(arm, measure))

    def _best(self, side: Side, label: str, readings: tuple[Reading, ...]) -> Term:
        """The point that is best, at each seed, by the measure `chosen_by`; of equal ones the first. Raises: Refused."""
        chosen_by = side.chosen_by or side.measure
        needs = tuple(self._read(reading.arm, chosen_by) for reading in readings)
        better = self._better(readings[0].arm, chosen_by)
        if better is None:
            raise Refused("incomplete", f"`{chosen_by}` has no better or worse: nothing can be chosen by it")

        def take(seed: int, values: Sequence[float]) -> float:
            found = [need.value(seed) for need in needs]
            by = [value for value in found if value is not None]
            return values[by.index(max(by) if better == "higher" else min(by))]

        own = self._better(readings[0].arm, side.measure) or better
        seen = any(
            chosen_by == side.measure or any(same_data(self.plan, a.arm, x, y) for x in a.metrics for y in b.metrics)
            for a, b in zip(needs, readings, strict=True)
        )
        return Term(side, label, readings, take=take, needs=needs, favour=(1 if own == "higher" else -1) if seen else 0)

    def _better(self, arm: ArmPlan, measure: str) -> str | None:
        """Whether more or less of a measure is better; None where neither is."""
        definition: Measure = self.entry.entry.measures[measure]
        if definition.read == "epochs_to":
            return "lower"
        if definition.resource is not None:
            return "higher" if definition.resource == "it_per_s" else "lower"
        if definition.effective_robustness is not None:
            return "higher"
        metric = self.reader.metric(arm, measure)
        return metric.better if metric is not None else None

    def _favoured(self, term: Term) -> str:
        by = term.side.chosen_by
        how = (
            f"by {by}, which is measured on the data that is compared"
            if by and by != term.side.measure
            else "by what is compared"
        )
        return f"{term.label} is chosen {how}: it can't be supported, choose it on other data"

    def _trend(self, claim: Claim) -> Compared:
        """A slope per seed; flat: every contrast between two levels of the factor. Raises: Refused."""
        levels = [(self._read(self.arms[name], claim.left.measure), x) for name, x in claim.levels]
        values = sorted({x for _, x in levels})
        if len(levels) < 3 or len(values) < 2:
            raise Refused("incomplete", f"a trend needs three points, and two different values of {claim.factor} at least")
        if claim.relation != "~":
            x = np.array([x for _, x in levels], dtype=np.float64)
            readings = tuple(reading for reading, _ in levels)
            term = Term(
                claim.left, claim.left.arm, readings, take=lambda seed, ys: slope(x, np.array(ys, dtype=np.float64)), least=2
            )
            return Compared(claim, (Comparison("", term, Term(_NOTHING, "0", number=0.0)),))
        terms = [
            Term(claim.left, f"{claim.factor} {x:g}", tuple(reading for reading, other in levels if other == x)) for x in values
        ]
        found = [Comparison(f"{b.label} against {a.label}", b, a) for a, b in itertools.combinations(terms, 2)]
        return Compared(claim, tuple(found), _of_several("all", len(found)))

    def _shape(self, claim: Claim) -> Compared:
        """The number of a shape, compared with 0."""
        claim = replace(claim, relation=SHAPES[claim.shape])
        both = {name: self._curve(claim, self.arms[name]) for name in claim.left.names}
        _meaningful(claim.left, _NOTHING)
        quantifier = claim.left.quantifier if claim.left.quantifier in ("all", "any") else ""
        nothing = Term(_NOTHING, "0", number=0.0)

        def comparisons(which: int) -> tuple[Comparison, ...]:
            found = self._variants(claim.left, lambda arm, side: both[arm.name][which])
            return tuple(Comparison(_point(term, nothing), term, nothing) for term in found)

        upper = comparisons(1) if claim.shape in BRACKETED else ()
        low = comparisons(0)
        return Compared(claim, low, _of_several(quantifier, len(low)), upper, self._stretches(claim, low))

    def _stretches(self, claim: Claim, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
        """How many epochs the levels and stretches of a shape have, where there are curves."""
        readings = [reading for comparison in comparisons for reading in comparison.readings()]
        planned = sorted({self.history.fact(key).epochs for reading in readings for key in reading.keys.values()} - {0})
        what = {"stagnant_first": "the first {} of {} epochs", "rises_after_min": "levels of {} of {} epochs",
                "never_improves": "levels of {} of {} epochs"}.get(claim.shape, "the last {} of {} epochs")  # fmt: skip
        return tuple(f"looked at: {what.format(stretch(count, claim.over_last), count)}" for count in planned)

    def _curve(self, claim: Claim, arm: ArmPlan) -> tuple[Reading, Reading]:
        """The shape's number of each trial of an arm, from below and from above. Raises: Refused."""
        metric = metric_of(arm, claim.metric)
        if metric is None or not arm.trials:
            raise Refused("not-run", f"{arm.name} has no stage that records {claim.metric}")
        keys = {trial.seed: trial.key_of(metric.stage) for trial in arm.trials}
        curves = self.history.curves(
            recorded_split(self.plan.stages[keys[arm.trials[0].seed]], metric), metric.name, keys.values()
        )
        low: dict[int, MeasureValue] = {}
        high: dict[int, MeasureValue] = {}
        for seed, key in keys.items():
            fact = self.history.fact(key)
            notes = [] if fact.complete else [fact.words(metric.stage)]
            values = curves[key][1] if key in curves else np.zeros(0)
            finite = values[np.isfinite(values)]
            found: Shape | None = None
            if len(finite) < LEAST:
                notes.append(f"{metric.stage} recorded {len(finite)} values of {metric}: a shape takes {LEAST} at least")
            else:
                k = stretch(len(finite), claim.over_last)
                if len(finite) < len(values):
                    notes.append(f"{len(values) - len(finite)} of {len(values)} epochs are not finite and were left out")
                down = finite if metric.better == "lower" else -finite
                noise = int(digest(f"{claim.hash} {arm.name} {seed}")[:12], 16)
                found = shape_of(claim.shape, down, k, noise)
            for values_of, number in ((low, found.low if found else None), (high, found.high if found else None)):
                values_of[seed] = MeasureValue(arm.name, seed, claim.metric, number, None, False, fact.complete, "; ".join(notes))
        return tuple(Reading(arm, claim.metric, values, keys, (metric,)) for values in (low, high))  # type: ignore[return-value]

    def _reproduces(self, claim: Claim) -> Compared:
        """Each arm against the one of the other entry that it repeats. Raises: Refused."""
        left, right = claim.left, claim.right
        if len(left.names) != len(right.names):
            raise Refused("incomplete", f"{left.arm} and {right.arm} have different numbers of points: nothing to match them by")
        found = []
        for mine, theirs in zip(left.names, right.names, strict=True):
            a, b = self._read(self.arms[mine], left.measure), self._read(self.arms[theirs], right.measure)
            found.append(Comparison(mine, Term(left, mine, (a,)), Term(right, theirs, (b,))))
        return Compared(replace(claim, relation="~"), tuple(found), _of_several("all", len(found)))


def repeated(comparison: Comparison) -> tuple[Comparison, list[int]]:
    """`comparison` without the seeds at which both sides are one record, and these seeds."""
    same = [seed for seed in comparison.seeds if comparison.left.keys(seed) == comparison.right.keys(seed)]
    if not same:
        return comparison, same
    left, right = (
        replace(term, readings=tuple(_without(reading, same) for reading in term.readings)) for term in comparison.terms
    )
    return replace(comparison, left=left, right=right), same


def _without(reading: Reading, seeds: Sequence[int]) -> Reading:
    return replace(reading, values={seed: value for seed, value in reading.values.items() if seed not in seeds})


def _meaningful(left: Side, right: Side) -> None:
    """Raises: Refused where it is not said which of several points are compared with which."""
    if left.quantifier in ("all", "any") and right.quantifier in ("all", "any"):
        raise Refused("incomplete", "only one side of a claim can speak of all or any of several points")
    for side, other in ((left, right), (right, left)):
        matched = not other.quantifier and len(other.names) == len(side.names)
        if len(side.names) > 1 and not side.quantifier and not matched:
            raise Refused("incomplete", f"{side.arm} has {len(side.names)} points: say all, any, mean or best")


def _of_several(quantifier: str, count: int) -> Literal["", "all", "any"]:
    if count == 1 or quantifier == "":
        return ""
    return "all" if quantifier == "all" else "any"


def _point(left: Term, right: Term) -> str:
    """What tells this comparison from the others of its claim."""
    return left.label if left.side.quantifier in ("all", "any") else right.label
