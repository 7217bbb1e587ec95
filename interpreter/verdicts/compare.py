"""From an interval to a state, and the levels of the intervals of claims that were made together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interpreter.spec.claims import Claim
from interpreter.verdicts.evidence import Evidence, Points, decision
from interpreter.verdicts.intervals import Bracket, Sample, replicates_needed, spread_limit

ALPHA = 0.05
POWER = 0.8  # with which a number of seeds settles a claim
DECIDED = frozenset({"supported", "equivalent", "contradicted"})


@dataclass(frozen=True, slots=True)
class Question:
    """One claim of a family with its differences; None where there are none to read a state from.

    `favour`: the directions in which choosing a point by the compared numbers may have pushed them (-1: down, 1: up).
    """

    relation: str
    margin: float
    sample: Evidence | None
    favour: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """The interval that decides a claim, its level, and the state read from it. Without an interval: "undecided".

    `at`: of several points, the one whose effect is shown.
    """

    level: float
    lo: float | None
    hi: float | None
    state: str
    at: int = 0


def state_of(relation: str, margin: float, lo: float, hi: float) -> str:
    """The state that the interval (lo, hi) of the mean of a - b gives the claim: always exactly one.

    `a < b` by m: supported when hi < -m; equivalent when m > 0 and -m < lo and hi < m; contradicted when lo > 0;
    else undecided. `a > b` is the same for b - a. `a ~ b` within r: supported when -r < lo and hi < r; contradicted
    when lo > r or hi < -r; else undecided. Read in this order; a bound that is just reached is not passed.
    """
    if relation == "~":
        if -margin < lo and hi < margin:
            return "supported"
        return "contradicted" if lo > margin or hi < -margin else "undecided"
    if relation == ">":
        lo, hi = -hi, -lo
    if hi < -margin:
        return "supported"
    if margin > 0 and -margin < lo and hi < margin:
        return "equivalent"
    return "contradicted" if lo > 0 else "undecided"


def despite(favour: frozenset[int], state: str, lo: float, hi: float) -> str:
    """`state`, or "undecided" where it may be owed to the favour that a side was chosen with.

    What was chosen because it looked best is never supported nor shown to be equivalent; a contradiction stands where the
    interval lies on the side opposite to every favour.
    """
    if not favour or state == "undecided":
        return state
    against = (lo > 0 and 1 not in favour) or (hi < 0 and -1 not in favour)
    return state if state == "contradicted" and against else "undecided"


def decide(questions: Sequence[Question], family: int, alpha: float = ALPHA, *, stepping: bool = True) -> list[Answer]:
    """An answer to each question of a family of `family` claims (>= len(questions)), by Holm's step-down.

    Without `stepping` each has the level 1 - alpha/K, whatever the others came to: what may be looked at after every seed
    has to have its level from the start.

    All intervals start at level 1 - alpha/K. The claims they decide keep that interval and leave; for the r that have
    left, the others are tried again at 1 - alpha/(K - r); when a round decides nothing, the rest keep its intervals.
    The decided set is that of Holm (1979) on p_i = the smallest alpha at which claim i's interval decides it: taking
    rounds instead of sorting p-values needs no p-value, and claims decided in one round have the same level.
    Claims without an interval never leave, so a family does not shrink because data is missing.

    What it holds: the chance that any verdict of the family is false is at most alpha. Every verdict - supported,
    equivalent, contradicted - is a statement that is true whenever the claim's own interval covers the true mean, so a
    single claim is false with probability <= alpha/K. That also covers equivalence: a two-sided interval within the
    margins is two one-sided tests at alpha/2 each. Going down the steps rests on Shaffer's (1980) result for decisions
    with a direction, which is for independent claims; for claims sharing arms it is held by simulation
    (tests/verdicts/test_families.py). The intervals of decided claims do not cover jointly at 1 - alpha: the verdicts do.

    Sources: Holm 1979, Scand. J. Statist. 6, 65-70; Shaffer 1980, Ann. Statist. 8, 1342-1347.
    """
    answers: dict[int, Answer] = {}
    left = 0
    while True:
        level = 1 - alpha / (family - left) if left < family else 1 - alpha
        tried = {i: answer_at(q, level) for i, q in enumerate(questions) if i not in answers}
        decided = {i: a for i, a in tried.items() if a.state in DECIDED}
        if not stepping:
            return [tried[i] for i in range(len(questions))]
        answers.update(decided or tried)
        if not decided or len(answers) == len(questions):
            return [answers[i] for i in range(len(questions))]
        left += len(decided)


def answer_at(question: Question, level: float) -> Answer:
    """The answer to one question by its interval at `level`."""
    evidence = question.sample
    found = decision(evidence, question.relation, question.margin, level) if evidence is not None else None
    if found is None:
        at = evidence.extreme(question.relation) if isinstance(evidence, Points) else 0
        return Answer(level, None, None, "undecided", at)
    state = state_of(question.relation, question.margin, found.lo, found.hi)
    return Answer(level, found.lo, found.hi, despite(question.favour, state, found.lo, found.hi), found.at)


def seeds_to_settle(claim: Claim, evidence: Evidence, level: float) -> tuple[int, int] | None:
    """How many replicates would settle an undecided claim: a range, from the margin and the spread alone.

    So many that, were there no difference at all, the interval would lie within the margin with a chance of 80 %:
    the lower number takes the spread as seen, the upper one its one-sided 95 % upper limit. The observed effect is
    never used: a number made from it would only say again what the data already said, with false precision. Of k points
    the one that needs most is told, with the error and the chance of failure shared among them.
    None with a margin of 0 (no number of seeds shows a difference to be exactly none), without a spread, for what is known as a
    bracket only, whose width does not go to 0, over examples, and where seeds are added until a claim is decided.
    """
    samples = evidence.parts if isinstance(evidence, Points) else (evidence,)
    found = [_needed(sample, claim.margin, 1 - level, len(samples)) for sample in samples if isinstance(sample, Sample)]
    ranges = [one for one in found if one is not None]
    if len(ranges) < len(samples):
        return None
    return (max(low for low, _ in ranges), max(high for _, high in ranges))


def _needed(sample: Sample, margin: float, alpha: float, share: int) -> tuple[int, int] | None:
    if margin <= 0 or sample.n < 2 or sample.sd == 0 or sample.anytime or isinstance(sample, Bracket):
        return None
    alpha, power = alpha / share, 1 - (1 - POWER) / share
    low = replicates_needed(sample.sd, margin, alpha, sample.reference_se, power)
    high = replicates_needed(spread_limit(sample.sd, sample.n), margin, alpha, sample.reference_se, power)
    if low is None or high is None:
        return None
    low = max(low, sample.n + 1)
    return (low, max(low, high))
