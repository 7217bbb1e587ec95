"""From a plan and what is recorded of it to a verdict on every claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interpreter.plan.types import EntryPlan, Plan
from interpreter.project import Project
from interpreter.run.ledger import Ledger
from interpreter.verdicts.compare import ALPHA, Answer, Question, decide, seeds_to_settle
from interpreter.verdicts.gather import Case, Gatherer
from interpreter.verdicts.history import History
from interpreter.verdicts.intervals import Sample
from interpreter.verdicts.measures import Reader, read_measures
from interpreter.verdicts.registration import Registration, registration, withdrawn
from interpreter.verdicts.types import Judgement, Pair, Verdict
from interpreter.verdicts.wording import explain, method


def judge(project: Project, plan: Plan) -> tuple[Judgement, ...]:
    """Measures and verdicts of every entry of `plan`, from the database and the ledger, in the order of the page.

    Raises: DatabaseBusy, RecordError.
    """
    history = History(project, plan)
    lines = Ledger(project).lines()
    return tuple(_judge_entry(project, plan, entry, history, lines) for entry in plan.entries)


def _judge_entry(
    project: Project, plan: Plan, entry: EntryPlan, history: History, lines: Sequence[Mapping[str, Any]]
) -> Judgement:
    reader = Reader(plan, entry, history)
    gatherer = Gatherer(project, plan, entry, history, reader)
    cases = [gatherer.case(claim) for claim in entry.entry.claims]
    known = [registration(lines, entry, case.claim, case.first_difference) for case in cases]
    gone = withdrawn(lines, entry)
    verdicts: dict[int, Verdict] = {}
    for registered in (True, False):
        family = [i for i, r in enumerate(known) if r.registered is registered]
        questions = [Question(cases[i].claim.relation, cases[i].claim.margin, _judged(cases[i])) for i in family]
        for i, answer in zip(family, decide(questions, len(family)), strict=True):
            verdicts[i] = _verdict(cases[i], answer, len(family), known[i], gone)
    return Judgement(entry, read_measures(reader), tuple(verdicts[i] for i in range(len(cases))))


def _judged(case: Case) -> Sample | None:
    """The sample of a case whose state is read from its interval, else None: such a claim stays in its family."""
    return None if case.gate or _unfair(case) else case.sample


def _unfair(case: Case) -> str:
    """The first reason why the sides can't be compared that the author has not waived, or ""."""
    return next((c.text for c in case.confounds if c.severity == "unfair" and not c.waived), "")


def _verdict(case: Case, answer: Answer, family: int, known: Registration, gone: tuple[str, ...]) -> Verdict:
    claim, sample = case.claim, case.sample
    state, why = answer.state, ""
    if case.gate or _unfair(case):
        state, why = (case.gate, case.why) if case.gate else ("unfair", _unfair(case))
        # Shown all the same, at the level every claim of the family has to begin with.
        level = 1 - ALPHA / family
        lo, hi = (sample.interval(level) if sample is not None else None) or (None, None)
        answer = Answer(level, lo, hi, state)
    elif sample is not None and sample.n == 1:
        state = "anecdotal"
    settle = seeds_to_settle(claim, sample, answer.level) if sample is not None and state == "undecided" else None
    notes = case.notes
    if gone:
        notes += (f"claims made for this entry and taken back since: {', '.join(gone)}",)
    return Verdict(
        claim=claim,
        state=state,
        effect=sample.mean if sample is not None else None,
        lo=answer.lo,
        hi=answer.hi,
        level=answer.level,
        n=sample.n if sample is not None else 0,
        pairs=case.pairs,
        p_better=_share_as_claimed(claim.relation, claim.margin, case.pairs),
        dz=sample.dz if sample is not None else None,
        method=method(claim, sample, family),
        family=family,
        registered=known.registered,
        registered_at=known.at,
        confounds=case.confounds,
        notes=notes,
        explanation=explain(claim, state, answer, sample, why, settle),
        seeds_to_settle=settle,
    )


def _share_as_claimed(relation: str, margin: float, pairs: Sequence[Pair]) -> float | None:
    """Share of pairs on the claimed side: a below b, a above b, or within the margin of each other."""
    if not pairs:
        return None
    differences = [pair.difference for pair in pairs]
    if relation == "~":
        return sum(abs(d) < margin for d in differences) / len(pairs)
    return sum(d < 0 if relation == "<" else d > 0 for d in differences) / len(pairs)
