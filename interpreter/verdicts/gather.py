"""What is there to judge one claim by: the pairs of its two sides, what is missing, and how comparable they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from interpreter.plan.types import ArmPlan, EntryPlan, Plan
from interpreter.project import Project
from interpreter.spec.canonical import digest
from interpreter.spec.claims import Claim, Side
from interpreter.verdicts.fairness import (
    arm_confounds,
    measurement_confounds,
    numerics_confounds,
    reference_confounds,
    waived,
)
from interpreter.verdicts.history import History
from interpreter.verdicts.intervals import Sample
from interpreter.verdicts.measures import Reader
from interpreter.verdicts.readings import Metric, ancestors
from interpreter.verdicts.replicates import replicates
from interpreter.verdicts.types import Confound, MeasureValue, Pair

_TOLD = 3  # missing trials told one by one


@dataclass(frozen=True, slots=True)
class Case:
    """A claim with all there is to judge it by. `gate`: the state where there can be no other, and `why`."""

    claim: Claim
    gate: str
    why: str
    pairs: tuple[Pair, ...]
    sample: Sample | None
    confounds: tuple[Confound, ...]
    notes: tuple[str, ...]
    first_difference: datetime | None


@dataclass(frozen=True, slots=True)
class _Side:
    """One side at every seed it has. `arm` and `metric` are None for a number."""

    side: Side
    arm: ArmPlan | None = None
    metric: Metric | None = None
    values: Mapping[int, MeasureValue] | None = None
    keys: Mapping[int, str] | None = None
    number: float = math.nan

    def value(self, seed: int) -> float | None:
        """The number of this side at a seed; None where its trial has not got one, or has not reached its end."""
        if self.values is None:
            return self.number
        found = self.values[seed]
        return found.value if found.complete else None


class Gatherer:
    """Gathers the cases of one entry's claims."""

    def __init__(self, project: Project, plan: Plan, entry: EntryPlan, history: History, reader: Reader) -> None:
        self.project, self.plan, self.entry, self.history, self.reader = project, plan, entry, history, reader
        self.arms = {arm.name: arm for arm in entry.arms}

    def case(self, claim: Claim) -> Case:
        """Everything there is to judge `claim` by."""
        for side in (claim.left, claim.right):
            if side.arm and side.arm not in self.arms:
                return Case(claim, "not-run", f"the arm {side.arm} was not planned", (), None, (), (), None)
        left, right = self._side(claim.left), self._side(claim.right)
        for one in (left, right):
            if one.arm is not None and not one.values:
                return Case(
                    claim, "not-run", f"{one.side.arm} has no stage that measures {one.side.measure}", (), None, (), (), None
                )
        sets = [set(one.values) for one in (left, right) if one.values is not None]
        seeds = sorted(set.intersection(*sets))
        notes = self._unpaired(sets, seeds)
        pairs, missing = [], []
        for seed in seeds:
            a, b = left.value(seed), right.value(seed)
            if a is not None and b is not None:
                pairs.append(Pair(seed, a, b))
            else:
                missing += [
                    f"{one.side.arm} at seed {seed}: {_lack(one, seed)}" for one in (left, right) if one.value(seed) is None
                ]
        sample, more = self._sample(claim, left, right, pairs)
        gate, why = self._gate((left, right), seeds, pairs, missing)
        confounds = self._confounds(left, right, [pair.seed for pair in pairs])
        notes += more + _measure_notes((left, right), [pair.seed for pair in pairs])
        first = self._first_difference((left, right), seeds)
        return Case(claim, gate, why, tuple(pairs), sample, confounds, tuple(dict.fromkeys(notes)), first)

    def _side(self, side: Side) -> _Side:
        if side.number is not None:
            return _Side(side, number=side.number)
        if side.reference:
            return _Side(side, number=self.entry.entry.references[side.reference].values[side.measure])
        arm = self.arms[side.arm]
        metric = self.reader.metric(arm, side.measure)
        values = {value.seed: value for value in self.reader.of(arm, side.measure)}
        keys = {trial.seed: trial.key_of(metric.stage) for trial in arm.trials} if metric else {}
        return _Side(side, arm, metric, values, keys)

    def _unpaired(self, sets: list[set[int]], seeds: list[int]) -> list[str]:
        alone = sorted(set.union(*sets) - set(seeds))
        return [f"left out, having no partner: seed{'s' * (len(alone) > 1)} {', '.join(map(str, alone))}"] if alone else []

    def _gate(self, sides: tuple[_Side, _Side], seeds: list[int], pairs: list[Pair], missing: list[str]) -> tuple[str, str]:
        if not seeds:
            return "incomplete", "the two sides have no seed in common"
        if not missing:
            return "", ""
        told = "; ".join(missing[:_TOLD]) + (f"; and {len(missing) - _TOLD} more" if len(missing) > _TOLD else "")
        if pairs:
            return "incomplete", f"{len(pairs)} of {len(seeds)} pairs are there: {told}"
        absent = self._absent(sides)
        if absent:
            return "blocked", f"the data {' and '.join(absent)} is not here"
        unstarted = [s.side.arm for s in sides if s.keys is not None and all(self._untouched(key) for key in s.keys.values())]
        if not unstarted:
            return "incomplete", told
        return "not-run", f"{' and '.join(dict.fromkeys(unstarted))} {'were' if len(set(unstarted)) > 1 else 'was'} not run"

    def _untouched(self, key: str) -> bool:
        return all(
            self.history.fact(stage.key).state == "new"
            for stage in ancestors(self.plan, key)
            if stage.key == key or stage.kind == "fit"
        )

    def _absent(self, sides: tuple[_Side, _Side]) -> list[str]:
        """Names of data sources that stages still to be run need and that are not here."""
        keys = {key for one in sides if one.keys is not None for key in one.keys.values()}
        needed = {s.key: s for key in keys for s in ancestors(self.plan, key) if not self.history.fact(s.key).done}
        names = {source.name for stage in needed.values() for source in stage.sources}
        return sorted(name for name in names if name != "embedded" and self.project.source(name) is None)

    def _sample(self, claim: Claim, left: _Side, right: _Side, pairs: list[Pair]) -> tuple[Sample | None, list[str]]:
        notes: list[str] = []
        se, df = 0.0, math.inf
        for one in (left, right):
            if one.side.reference:
                reference = self.entry.entry.references[one.side.reference]
                if reference.sd is None:
                    notes.append("reference taken as exact")
                else:
                    se = reference.sd / math.sqrt(reference.n or 1)
                    df = reference.n - 1 if reference.n is not None and reference.n > 1 else math.inf
                    runs = f"{reference.n} runs" if (reference.n or 1) > 1 else "one run"
                    notes.append(f"reference of {runs} with standard deviation {reference.sd:g}")
        if not pairs:
            return None, notes
        keys = {p.seed: (left.keys[p.seed] if left.keys else None, right.keys[p.seed] if right.keys else None) for p in pairs}
        called = Counter(
            (key, name) for one in (left, right) if one.arm for trial in one.arm.trials for name, key in trial.stages
        )
        # A stage that arms call differently goes by the name under which most trials have it.
        names = {key: name for (key, name), _ in reversed(called.most_common())}
        made = replicates(self.plan, pairs, keys, names, same_measure=self._same_measure(claim))
        notes += [f"given one {name}" for name in made.given] + list(made.notes)
        if made.same_record:
            notes.append("same record: both sides are one and the same")
        scale = max(max(abs(pair.a), abs(pair.b)) for pair in pairs)
        # The bootstrap is seeded by what is claimed: judging again gives the same interval.
        sample = Sample(made.differences, se, df, made.same_record, scale, int(digest(claim.hash)[:12], 16))
        if sample.constant and not sample.same_record:
            notes.append("differences do not vary")
        return sample, notes

    def _same_measure(self, claim: Claim) -> bool:
        if not (claim.left.arm and claim.right.arm):
            return False
        measures = self.entry.entry.measures
        return measures[claim.left.measure] == measures[claim.right.measure]

    def _confounds(self, left: _Side, right: _Side, seeds: list[int]) -> tuple[Confound, ...]:
        found: tuple[Confound, ...] = ()
        if left.arm and left.metric and right.arm and right.metric:
            found += measurement_confounds(self.plan, left.arm, left.metric, right.arm, right.metric)
            if left.arm.name != right.arm.name:
                found += arm_confounds(self.plan, left.arm, right.arm)
                found += numerics_confounds({seed: (self._numerics(left, seed), self._numerics(right, seed)) for seed in seeds})
        for one, other in ((left, right), (right, left)):
            if one.side.reference and other.arm and other.metric:
                reference = self.entry.entry.references[one.side.reference]
                found += reference_confounds(
                    self.plan, other.arm, other.metric, one.side.reference, reference, self.entry.profile
                )
        return waived(found, self.entry.entry.waivers)

    def _numerics(self, side: _Side, seed: int) -> Mapping[str, Any]:
        """Numerics of the fit whose weights a side is read off, else of the stage itself."""
        assert side.keys is not None
        fits = [stage.key for stage in ancestors(self.plan, side.keys[seed]) if stage.kind == "fit"]
        return self.history.fact(fits[0] if fits else side.keys[seed]).numerics

    def _first_difference(self, sides: tuple[_Side, _Side], seeds: list[int]) -> datetime | None:
        times = []
        for seed in seeds:
            facts = [self.history.fact(one.keys[seed]) for one in sides if one.keys is not None]
            if all(fact.done and fact.finished is not None for fact in facts):
                times.append(max(fact.finished for fact in facts if fact.finished is not None))
        return min(times, default=None)


def _lack(side: _Side, seed: int) -> str:
    assert side.values is not None
    return side.values[seed].note or "no value"


def _measure_notes(sides: tuple[_Side, _Side], seeds: list[int]) -> list[str]:
    """What readers of the compared numbers should know about how they were read."""
    notes: list[str] = []
    read = [one for one in sides if one.values is not None]
    chosen = [one for one in read if any(one.values[seed].selected for seed in seeds if one.values)]
    if chosen and len(read) == 1:
        notes.append(f"{chosen[0].side} is read where it is best, chosen on the split it reports")
    elif len(chosen) == 2:
        notes.append("both sides are read where they are best, each chosen on the split it reports")
    elif chosen:
        notes.append(f"only {chosen[0].side} is read where it is best, chosen on the split it reports: that favours it")
    for one in read:
        told = dict.fromkeys(one.values[seed].note for seed in seeds if one.values and one.values[seed].note)
        notes += [f"{one.side}: {note}" for note in list(told)[:_TOLD]]
    return notes
