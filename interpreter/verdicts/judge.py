"""From a plan and what is recorded of it to a verdict on every claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from interpreter.plan.types import EntryPlan, Plan
from interpreter.project import Project
from interpreter.run.ledger import Ledger
from interpreter.verdicts.compare import ALPHA, Answer, Question, answer_at, decide, seeds_to_settle
from interpreter.verdicts.evidence import Comparable, Evidence, Points, shown
from interpreter.verdicts.gather import Case, Gatherer
from interpreter.verdicts.history import History
from interpreter.verdicts.intervals import Sample
from interpreter.verdicts.measures import Reader, read_measures
from interpreter.verdicts.registration import Registration, registration, withdrawn
from interpreter.verdicts.types import Judgement, Pair, Verdict
from interpreter.verdicts.wording import explain, method

_TOLD = 3  # points named one by one


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
    growing = [arm.growth for arm in entry.arms if arm.growth is not None]
    alpha = min((growth.alpha for growth in growing), default=ALPHA)
    for registered in (True, False):
        family = [i for i, r in enumerate(known) if r.registered is registered and cases[i].claim.kind != "finishes"]
        questions = [_question(cases[i], judged=True) for i in family]
        answers = decide(questions, len(family), alpha, stepping=not growing) if family else []
        shared = _Family(len(family), 1 - alpha / max(1, len(family)), stepping=not growing)
        for i, answer in zip(family, answers, strict=True):
            verdicts[i] = _verdict(cases[i], answer, shared, known[i], gone)
    for i, case in enumerate(cases):
        if i not in verdicts:  # counted, not estimated: there is no error to be shared
            verdicts[i] = _verdict(case, Answer(1 - ALPHA, None, None, "undecided"), _Family(1, 1 - ALPHA), known[i], gone)
    return Judgement(entry, read_measures(reader), tuple(verdicts[i] for i in range(len(cases))))


def _question(case: Case, *, judged: bool) -> Question:
    """What a case asks of its interval. `judged`: without it where its state is not read from one: it stays in its family."""
    evidence = None if judged and (case.gate or _unfair(case)) else case.evidence
    return Question(case.claim.relation, case.claim.margin, evidence, case.favour)


def _unfair(case: Case) -> str:
    """The first reason why the sides can't be compared that the author has not waived, or ""."""
    return next((c.text for c in case.confounds if c.severity == "unfair" and not c.waived), "")


@dataclass(frozen=True, slots=True)
class _Family:
    """The claims that share an error: how many, the level they begin with, and whether deciding some changes that of others."""

    size: int
    level: float
    stepping: bool = True


def _verdict(case: Case, answer: Answer, family: _Family, known: Registration, gone: tuple[str, ...]) -> Verdict:
    claim, evidence = case.claim, case.evidence
    state, why = answer.state, ""
    if case.gate or _unfair(case):
        state, why = (case.gate, case.why) if case.gate else ("unfair", _unfair(case))
        # Shown all the same, at the level every claim of the family has to begin with.
        answer = replace(answer_at(_question(case, judged=False), family.level), state=state)
    elif evidence is not None and evidence.single:
        state = "anecdotal"
    undecided = evidence is not None and state == "undecided" and not why and not case.favour
    settle = seeds_to_settle(claim, evidence, answer.level) if evidence is not None and undecided else None
    over_seeds = [part for part in _parts(evidence) if isinstance(part, Sample) and not (part.same_record or part.repeated)]
    notes = case.notes + _each(case, answer)
    if gone:
        notes += (f"claims made for this entry and taken back since: {', '.join(gone)}",)
    one = shown(evidence, answer.at) if evidence is not None else None
    pairs = case.pairs[answer.at] if one is not None or len(case.pairs) == 1 else ()
    return Verdict(
        claim=claim,
        state=state,
        effect=one.mean if one is not None else None,
        lo=answer.lo,
        hi=answer.hi,
        level=answer.level,
        n=case.counted or (evidence.n if evidence is not None else 0),
        pairs=pairs,
        p_better=_share_as_claimed(claim.relation, claim.margin, pairs),
        dz=one.dz if one is not None else None,
        method=method(case, family.size, stepping=family.stepping),
        family=family.size,
        registered=known.registered,
        registered_at=known.at,
        confounds=case.confounds,
        notes=notes,
        explanation=explain(case, state, answer, why, settle),
        seeds_to_settle=settle,
        open=undecided and bool(over_seeds),
    )


def _parts(evidence: Evidence | None) -> Sequence[Comparable]:
    if isinstance(evidence, Points):
        return evidence.parts
    return () if evidence is None else (evidence,)


def _each(case: Case, answer: Answer) -> tuple[str, ...]:
    """Of several points, at how many the claim holds taken for itself, at the level of the verdict."""
    evidence = case.evidence
    if not isinstance(evidence, Points) or answer.lo is None:
        return ()
    alone = [Question(case.claim.relation, case.claim.margin, part) for part in evidence.parts]
    holds = [answer_at(question, answer.level).state == "supported" for question in alone]
    few = [name for name, held in zip(evidence.names, holds, strict=True) if held is (sum(holds) * 2 <= len(holds))]
    told = ", ".join(few[:_TOLD]) + (f" and {len(few) - _TOLD} more" if len(few) > _TOLD else "")
    where = "" if not few else f": {told}" if sum(holds) * 2 <= len(holds) else f": all but {told}"
    return (f"taken by themselves {sum(holds)} of {len(holds)} are supported{where}",)


def _share_as_claimed(relation: str, margin: float, pairs: Sequence[Pair]) -> float | None:
    """Share of pairs on the claimed side: a below b, a above b, or within the margin of each other."""
    if not pairs:
        return None
    differences = [pair.difference for pair in pairs]
    if relation == "~":
        return sum(abs(d) < margin for d in differences) / len(pairs)
    return sum(d < 0 if relation == "<" else d > 0 for d in differences) / len(pairs)
