"""What is there to judge one claim by: what its comparisons came to, what is missing, and how comparable the sides are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from interpreter.plan.differences import ancestors, span
from interpreter.plan.types import EntryPlan, Plan
from interpreter.project import Project
from interpreter.spec.canonical import digest
from interpreter.spec.claims import Claim, Side
from interpreter.verdicts.comparability import claim_confounds
from interpreter.verdicts.evidence import Comparable, Evidence, OverExamples, Points
from interpreter.verdicts.finishes import finishes
from interpreter.verdicts.history import History
from interpreter.verdicts.intervals import Bracket, Sample
from interpreter.verdicts.measures import Reader
from interpreter.verdicts.replicates import Replicates, replicates
from interpreter.verdicts.sides import Compared, Refused, Sides, repeated
from interpreter.verdicts.terms import Comparison, Term
from interpreter.verdicts.types import Confound, Pair

_TOLD = 3  # missing trials told one by one
_SAME_RECORD = "same record: nothing was run again"


@dataclass(frozen=True, slots=True)
class Case:
    """A claim with all there is to judge it by. `gate`: the state where there can be no other, and `why`.

    `pairs` are those of each of its comparisons. `counted`: the trials of a claim that has no numbers, None for others.
    """

    claim: Claim
    gate: str
    why: str
    comparisons: tuple[Comparison, ...] = ()
    pairs: tuple[tuple[Pair, ...], ...] = ()
    evidence: Evidence | None = None
    favour: frozenset[int] = frozenset()
    confounds: tuple[Confound, ...] = ()
    notes: tuple[str, ...] = ()
    first_difference: datetime | None = None
    counted: int | None = None


class Gatherer:
    """Gathers the cases of one entry's claims."""

    def __init__(self, project: Project, plan: Plan, entry: EntryPlan, history: History, reader: Reader) -> None:
        self.project, self.plan, self.entry, self.history = project, plan, entry, history
        self.sides = Sides(plan, entry, history, reader)

    def case(self, claim: Claim) -> Case:
        """Everything there is to judge `claim` by. Raises: DatabaseBusy, RecordError."""
        try:
            return self._finishes(claim) if claim.kind == "finishes" else self._case(self.sides.compared(claim))
        except Refused as refused:
            return Case(claim, refused.state, refused.why)

    def _case(self, compared: Compared) -> Case:
        claim, comparisons = compared.claim, compared.comparisons
        notes = list(compared.notes)
        if claim.kind == "reproduces":
            comparisons, same = _anew(comparisons)
            notes += same
        pairs = [comparison.pairs() for comparison in comparisons]
        notes = [note for comparison in comparisons for note in _unpaired(comparison)] + notes
        gate, why = self._gate(comparisons, pairs)
        if claim.kind == "reproduces" and not gate and all(_alike(comparison) for comparison in comparisons):
            gate, why = "undecided", _SAME_RECORD
        parts: list[Comparable | None] = []
        for i, (comparison, own) in enumerate(zip(comparisons, pairs, strict=True)):
            upper = compared.upper[i].pairs() if compared.upper else None
            part, more, refused = self._part(claim, comparison, own, upper, bool(gate))
            parts.append(part)
            notes += [f"{comparison.point}: {note}" if len(comparisons) > 1 and note in _OF_POINT else note for note in more]
            gate, why = (gate, why) if gate or refused is None else (refused.state, refused.why)
            notes += _measure_notes(comparison, [pair.seed for pair in own])
        first = min((at for c in comparisons if (at := self._first_difference(c)) is not None), default=None)
        confounds = claim_confounds(self.plan, self.entry, self.history, claim, comparisons)
        return Case(
            claim, gate, why, comparisons, tuple(map(tuple, pairs)), self._evidence(compared, comparisons, parts),
            compared.favour, confounds, tuple(dict.fromkeys(notes)), first,
        )  # fmt: skip

    def _finishes(self, claim: Claim) -> Case:
        arms = [self.sides.arms[name] for name in claim.left.names if name in self.sides.arms]
        if len(arms) < len(claim.left.names):
            absent = next(name for name in claim.left.names if name not in self.sides.arms)
            raise Refused("not-run", f"the arm {absent} was not planned")
        state, why, count = finishes(arms, self.history)
        ended = [self.history.fact(key).finished for arm in arms for trial in arm.trials for _, key in trial.stages[-1:]]
        first = min((at for at in ended if at is not None), default=None)
        return Case(claim, state, why, first_difference=first, counted=count)

    def _evidence(
        self, compared: Compared, comparisons: Sequence[Comparison], parts: Sequence[Comparable | None]
    ) -> Evidence | None:
        found = [part for part in parts if part is not None]
        if not found or len(found) < len(parts):
            return None
        if compared.quantifier == "":
            return found[0]
        return Points(tuple(c.point for c in comparisons), tuple(found), compared.quantifier)

    def _gate(self, comparisons: Sequence[Comparison], pairs: Sequence[Sequence[Pair]]) -> tuple[str, str]:
        """The state where something is missing, and what; ("", "") where nothing is."""
        if not all(comparison.seeds for comparison in comparisons):
            return "incomplete", "the two sides have no seed in common"
        missing = list(dict.fromkeys(lack for comparison in comparisons for lack in comparison.missing()))
        if not missing:
            return "", ""
        told = "; ".join(missing[:_TOLD]) + (f"; and {len(missing) - _TOLD} more" if len(missing) > _TOLD else "")
        if any(pairs):
            count, of = sum(map(len, pairs)), sum(len(comparison.seeds) for comparison in comparisons)
            return "incomplete", f"{count} of {of} pairs are there: {told}"
        absent = self._absent(comparisons)
        if absent:
            return "blocked", f"the data {' and '.join(absent)} is not here"
        unstarted = self._unstarted(comparisons)
        if not unstarted:
            return "incomplete", told
        return "not-run", f"{' and '.join(unstarted)} {'were' if len(unstarted) > 1 else 'was'} not run"

    def _unstarted(self, comparisons: Sequence[Comparison]) -> list[str]:
        """Sides of which nothing was begun, as the page calls them where that is so of all their points."""
        named: list[str] = []
        for terms in zip(*(comparison.terms for comparison in comparisons), strict=True):
            idle = [term for term in terms if term.readings and self._idle(term)]
            named += [term.side.arm if len(idle) == len(terms) else term.label for term in idle]
        return list(dict.fromkeys(named))

    def _idle(self, term: Term) -> bool:
        return all(self._untouched(key) for reading in term.readings for key in reading.keys.values())

    def _untouched(self, key: str) -> bool:
        return all(
            self.history.fact(stage.key).state == "new"
            for stage in ancestors(self.plan, key)
            if stage.key == key or stage.kind == "fit"
        )

    def _absent(self, comparisons: Sequence[Comparison]) -> list[str]:
        """Names of data sources that stages still to be run need and that are not here."""
        keys = {key for comparison in comparisons for reading in comparison.readings() for key in reading.keys.values()}
        needed = {s.key: s for key in keys for s in ancestors(self.plan, key) if not self.history.fact(s.key).done}
        names = {source.name for stage in needed.values() for source in stage.sources}
        names |= {str(stage.settings["import"].get("from", "embedded")) for stage in needed.values() if stage.kind == "import"}
        return sorted(name for name in names if name != "embedded" and self.project.source(name) is None)

    def _part(
        self, claim: Claim, comparison: Comparison, pairs: Sequence[Pair], upper: Sequence[Pair] | None, gated: bool
    ) -> tuple[Comparable | None, list[str], Refused | None]:
        """What one comparison came to, notes on that, and what stands in the way of it."""
        se, df, notes = self._reference(comparison)
        if not pairs:
            return None, notes, None
        if claim.over != "seeds":
            if gated:
                return None, notes, None
            return self._over_examples(claim, comparison, pairs, notes)
        made = self._replicates(comparison, pairs)
        notes += [f"given one {name}" for name in made.given] + list(made.notes)
        if made.same_record:
            notes.append("same record: both sides are one and the same")
        scale = max(max(abs(pair.a), abs(pair.b)) for pair in pairs)
        # The bootstrap is seeded by what is claimed: judging again gives the same interval.
        seed = int(digest(claim.hash)[:12], 16)
        anytime = any(reading.arm.growth is not None for reading in comparison.readings())
        if upper is not None:
            above = self._replicates(comparison, upper).differences
            return Bracket(made.differences, scale=scale, seed=seed, anytime=anytime, upper=above), notes, None
        repeated = claim.kind == "reproduces" and not made.same_record and not made.differences.any()
        sample = Sample(made.differences, se, df, made.same_record, scale, seed, repeated, anytime)
        if sample.constant and not (sample.same_record or repeated):
            notes.append("differences do not vary")
        return sample, notes, None

    def _over_examples(
        self, claim: Claim, comparison: Comparison, pairs: Sequence[Pair], notes: list[str]
    ) -> tuple[Comparable | None, list[str], Refused | None]:
        """One comparison over examples, or over seeds and examples."""
        from interpreter.verdicts.examples import examples_sample

        one = replace(claim, left=_alone(comparison.left), right=_alone(comparison.right))
        found = examples_sample(self.project, self.plan, self.entry, one, pairs, self.history)
        refused = Refused(found.gate, found.why) if found.gate else None
        part = OverExamples(found) if found.effect is not None else None
        return part, [*notes, *found.notes], refused

    def _reference(self, comparison: Comparison) -> tuple[float, float, list[str]]:
        """Standard error and degrees of freedom of a reference that is compared with, and notes on it."""
        for term in comparison.terms:
            if term.side.reference:
                reference = self.entry.entry.references[term.side.reference]
                if reference.sd is None:
                    return 0.0, math.inf, ["reference taken as exact"]
                se = reference.sd / math.sqrt(reference.n or 1)
                df = reference.n - 1 if reference.n is not None and reference.n > 1 else math.inf
                runs = f"{reference.n} runs" if (reference.n or 1) > 1 else "one run"
                return se, df, [f"reference of {runs} with standard deviation {reference.sd:g}"]
        return 0.0, math.inf, []

    def _replicates(self, comparison: Comparison, pairs: Sequence[Pair]) -> Replicates:
        keys = {pair.seed: (comparison.left.keys(pair.seed), comparison.right.keys(pair.seed)) for pair in pairs}
        called = Counter(
            (key, name) for reading in comparison.readings() for trial in reading.arm.trials for name, key in trial.stages
        )
        # A stage that arms call differently goes by the name under which most trials have it.
        names = {key: name for (key, name), _ in reversed(called.most_common())}
        return replicates(self.plan, pairs, keys, names, same_measure=self._same_measure(comparison))

    def _same_measure(self, comparison: Comparison) -> bool:
        left, right = comparison.left.side, comparison.right.side
        if not (left.names and right.names):
            return False
        measures = self.entry.entry.measures
        return measures[left.measure] == measures[right.measure]

    def _first_difference(self, comparison: Comparison) -> datetime | None:
        """When there was first something to see: at one seed, of either side as many of its trials as show something."""
        times = []
        for seed in comparison.seeds:
            seen = [self._seen(term, seed) for term in comparison.terms if term.readings]
            if None not in seen:
                times.append(max(at for at in seen if at is not None))
        return min(times, default=None)

    def _seen(self, term: Term, seed: int) -> datetime | None:
        facts = [self.history.fact(reading.keys[seed]) for reading in term.readings]
        ended = sorted(fact.finished for fact in facts if fact.done and fact.finished is not None)
        return ended[term.least - 1] if len(ended) >= term.least else None


_OF_POINT = frozenset({"differences do not vary", "same record: both sides are one and the same"})
"""Notes that say of which point they are where there are several."""


def _anew(comparisons: Sequence[Comparison]) -> tuple[tuple[Comparison, ...], list[str]]:
    """`comparisons` without the seeds at which nothing was run again, and notes on these; as they are if that is all."""
    anew, notes = [], []
    for comparison in comparisons:
        kept, same = repeated(comparison)
        anew += [kept] if kept.seeds or not same else []
        if same:
            seeds = f"seed{'s' * (len(same) > 1)} {', '.join(map(str, same))}"
            notes.append(f"{seeds} of {comparison.point}: same record on both sides, left out")
    return (tuple(anew), notes) if anew else (tuple(comparisons), [])


def _alike(comparison: Comparison) -> bool:
    """Whether both sides are one record at every seed."""
    return all(comparison.left.keys(seed) == comparison.right.keys(seed) for seed in comparison.seeds)


def _alone(term: Term) -> Side:
    """The side that one comparison has of a claim about several points."""
    if len(term.readings) != 1 or len(term.side.names) == 1:
        return term.side
    return Side(arm=term.readings[0].arm.name, measure=term.side.measure)


def _unpaired(comparison: Comparison) -> list[str]:
    alone = comparison.alone
    if not alone:
        return []
    text = f"left out, having no partner: seed{'s' * (len(alone) > 1)} {span(alone)}"
    grown = any(reading.arm.growth is not None for reading in comparison.readings())
    return [f"{text}, added for other claims" if grown else text]


def _measure_notes(comparison: Comparison, seeds: Sequence[int]) -> list[str]:
    """What readers of the compared numbers should know about how they were read."""
    notes: list[str] = []
    read = [term for term in comparison.terms if term.readings]
    chosen = [term for term in read if any(r.values[seed].selected for r in term.readings for seed in seeds)]
    if chosen and len(read) == 1:
        notes.append(f"{chosen[0].side} is read where it is best, chosen on the split it reports")
    elif len(chosen) == 2:
        notes.append("both sides are read where they are best, each chosen on the split it reports")
    elif chosen:
        notes.append(f"only {chosen[0].side} is read where it is best, chosen on the split it reports: that favours it")
    for reading in comparison.readings():
        told = dict.fromkeys(reading.values[seed].note for seed in seeds if reading.values[seed].note)
        notes += [f"{reading}: {note}" for note in list(told)[:_TOLD]]
    return notes
