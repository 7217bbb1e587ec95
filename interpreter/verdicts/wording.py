"""Verdicts in one sentence each, in plain words."""

from __future__ import annotations

import math

from interpreter.spec.claims import Claim
from interpreter.spec.metrics import METRICS
from interpreter.spec.names import metric_ref
from interpreter.verdicts.compare import Answer, state_of
from interpreter.verdicts.evidence import Comparable, OverExamples, Points, shown
from interpreter.verdicts.gather import Case
from interpreter.verdicts.intervals import Bracket, Sample
from interpreter.verdicts.terms import Comparison, Term


def explain(case: Case, state: str, answer: Answer, why: str, settle: tuple[int, int] | None) -> str:
    """The verdict as a sentence. `why`: what stood in the way, for the states that have no interval or do not use it."""
    claim, evidence = case.claim, case.evidence
    if claim.kind == "finishes":
        return f"{claim.left.arm} finishes: {state}, {why}"
    if evidence is None or evidence.n == 0:
        return f"{_claimed(claim)}: {state}, {why or 'there is nothing to compare yet'}"
    one = shown(evidence, answer.at)
    found = f"{_finding(case, answer, one)} ({_evidence(claim, answer, one)})"
    if why:
        return f"{found}: {state}, {why}"
    if state == "anecdotal":
        return f"{found}: anecdotal, one replicate says nothing about the spread"
    if answer.lo is None or answer.hi is None:
        return f"{found}: {state}, {_no_interval(one)}"
    if isinstance(evidence, Sample) and evidence.repeated:
        return f"{found}: {state}, run again it came out the same to the last digit"
    if evidence.same_record:
        return f"{found}: {state}, a record can't differ from itself"
    if state != state_of(claim.relation, claim.margin, answer.lo, answer.hi):
        return f"{found}: {state}, for the numbers that are compared have chosen the point they speak for"
    reason = _likeness(claim, state, answer) if claim.relation == "~" else _order(claim, state, answer)
    if settle is not None:
        low, high = settle
        reason += f"; were there no difference, {low if low == high else f'{low} to {high}'} seeds would most likely settle it"
    if state == "undecided":
        reason += _room(case)
    return f"{found}: {state}, {reason}"


def _no_interval(part: Comparable) -> str:
    """Why there is none."""
    if isinstance(part, Sample) and part.anytime and not part.constant:
        return "too few seeds for an interval that may be looked at after each of them"
    return "differences that do not vary give no spread to judge by"


def _room(case: Case) -> str:
    """Of seeds that are added until a claim is decided, whether there can be more; "" where none are added."""
    arms = [reading.arm for comparison in case.comparisons for reading in comparison.readings() if reading.arm.growth]
    if not arms:
        return ""
    left = min(arm.room for arm in arms)
    return f"; there may be {left} more seed{'s' * (left != 1)}" if left > 0 else "; the page allows no more seeds"


def method(case: Case, family: int, *, stepping: bool = True) -> str:
    """How the interval was made. `stepping`: the family's levels follow from what was decided, by Holm's procedure."""
    claim, evidence = case.claim, case.evidence
    if claim.kind == "finishes":
        return "counted"
    if evidence is None or evidence.n == 0:
        return ""
    if evidence.single:
        return "one replicate: no interval"
    same = "the same record on both sides: nothing to estimate"
    how = same if evidence.same_record else _of_one(case, shown(evidence, 0))
    if isinstance(evidence, Points):
        word = "intersection-union" if evidence.quantifier == "all" else "union-intersection"
        how += f", {evidence.quantifier} of {len(evidence.parts)} by {word}"
    adjusted = "Holm-adjusted" if stepping else "its error shared equally"
    return how + (f", {adjusted} in a family of {family}" if family > 1 else "")


def number(value: float, step: float) -> str:
    """`value` with two significant digits of `step`, an error or a width: 0.03141 with 0.02 is "0.031"."""
    if not math.isfinite(value):
        return str(value)
    if step <= 0 or not math.isfinite(step):
        return f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(step)))
    return f"{round(value, digits) + 0.0:.{digits}f}"


def percent(level: float) -> str:
    """A level as a reader writes it: 0.95 is "95 %", 1 - 0.05 / 3 is "98.3 %"."""
    return f"{100 * level:.3g} %"


def _of_one(case: Case, part: Comparable) -> str:
    """How the interval of one comparison was made."""
    if isinstance(part, OverExamples):
        return part.result.method
    if part.repeated:
        return "equal to the last digit at every seed"
    if part.constant:
        return "differences do not vary: no interval"
    kind = "paired" if case.comparisons[0].right.readings else "one-sample"
    test = "BCa bootstrap" if part.resampled else "Student t" if part.reference_se == 0 else "Welch t"
    if part.anytime:
        test = "confidence sequence (normal mixture, g = 1)"
    how = f"{kind} {test} over seeds"
    if isinstance(part, Bracket):
        how += ", from below less what a flat curve with the same noise has"
    if part.reference_se:
        how += ", the reference's standard error added in quadrature"
    return how


def _claimed(claim: Claim) -> str:
    """The claim in short, for when there is nothing to tell."""
    if claim.kind == "trend":
        word = {">": "rising", "<": "falling", "~": "flat"}[claim.relation]
        return f"{claim.left} {word} along {claim.factor}"
    if claim.kind == "shape":
        return f"{claim.left.arm} {claim.shape} on {claim.metric}"
    return f"{claim.left} {claim.relation} {claim.right}"


def _finding(case: Case, answer: Answer, one: Comparable) -> str:
    """What was found, in words and with its size: the sign is in the words."""
    claim, comparison = case.claim, case.comparisons[answer.at]
    half = (answer.hi - answer.lo) / 2 if answer.lo is not None and answer.hi is not None else 0.0
    size = number(abs(one.mean), half or abs(one.mean))
    if claim.kind == "trend" and claim.relation != "~":
        if one.mean == 0:
            return f"{claim.left.measure} does not change with {claim.factor} along {claim.left.arm}"
        verb = "falls" if one.mean < 0 else "rises"
        return f"{claim.left.measure} {verb} by {size} per unit of {claim.factor} along {claim.left.arm}"
    if claim.kind == "shape":
        return _shape(case, comparison, one, size)
    left, right = _called(case, comparison.left, answer.at), _called(case, comparison.right, answer.at)
    of = claim.left.measure or claim.right.measure
    if one.mean == 0:
        return f"{left} and {right} do not differ in {of}"
    if claim.relation == "~":
        # After a name with an addition between commas the sentence needs the closing one.
        return (
            f"{left} and {right} differ in {of} by {size}, {comparison.left.label} being {'lower' if one.mean < 0 else 'higher'}"
        )
    return f"{left} reaches a {'lower' if one.mean < 0 else 'higher'} {of} than {right} by {size}"


def _shape(case: Case, comparison: Comparison, one: Comparable, size: str) -> str:
    """What the curve does. Its number is turned so that a rise is a turn for the worse."""
    claim = case.claim
    curve = f"{claim.metric} of {_called(case, comparison.left, case.comparisons.index(comparison))}"
    name = metric_ref(claim.metric)[2]
    lower = name not in METRICS or METRICS[name].better == "lower"
    if claim.shape == "rises_after_min":
        verb, level = ("rises", "lowest") if lower else ("falls", "highest")
        return f"{curve} {verb} by {size} after its {level} level" if one.mean > 0 else (
            f"{curve} does not {verb[:-1]} after its {level} level by more than its noise"
        )  # fmt: skip
    if claim.shape == "never_improves":
        return f"{curve} improves on its first level by {size}" if one.mean > 0 else (
            f"{curve} does not improve on its first level by more than its noise"
        )  # fmt: skip
    where = "first" if claim.shape == "stagnant_first" else "last"
    count = f"{claim.over_last} epochs" if claim.over_last is not None else "epochs"
    return f"{curve} gets {'worse' if one.mean < 0 else 'better'} by {size} over its {where} {count}"


def _evidence(claim: Claim, answer: Answer, one: Comparable) -> str:
    count = _count(claim, one)
    if answer.lo is None or answer.hi is None:
        return count
    if one.same_record:
        return f"{count}, the same record on both sides"
    # Turned as the sentence turns the effect; the number of a bracket is told as it is.
    turned = one.mean < 0 and not isinstance(one, Bracket)
    lo, hi = (-answer.hi, -answer.lo) if turned else (answer.lo, answer.hi)
    step = (hi - lo) / 2
    return f"{percent(answer.level)} interval {number(lo, step)} to {number(hi, step)}, {count}"


def _count(claim: Claim, one: Comparable) -> str:
    if isinstance(one, OverExamples):
        what = "cluster" if claim.cluster else "example"
        drawn = f"{one.result.n:,} {what}{'s' * (one.result.n != 1)}"
        return drawn if one.result.over == "examples" else f"{_plural(one.result.seeds)} and {drawn}"
    return _plural(one.n)


def _plural(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _order(claim: Claim, state: str, answer: Answer) -> str:
    assert answer.lo is not None
    assert answer.hi is not None
    m, step = claim.margin, (answer.hi - answer.lo) / 2
    if state == "supported":
        return f"margin {m:g}"
    if state == "equivalent":
        return f"the whole interval is within the margin {m:g}: within the noise, and we know it"
    if state == "contradicted":
        return "the opposite of what was expected"
    lo, hi = (answer.lo, answer.hi) if claim.relation == "<" else (-answer.hi, -answer.lo)
    if lo + hi > 0:
        return f"the interval reaches across 0, to {number(-lo, step)} on the claimed side"
    if m == 0:
        return f"the interval reaches across 0, to {number(hi, step)} on the other side"
    return f"all of the interval would have to be beyond the margin {m:g}, and it reaches to {number(-hi, step)}"


def _likeness(claim: Claim, state: str, answer: Answer) -> str:
    assert answer.lo is not None
    assert answer.hi is not None
    r, step = claim.margin, (answer.hi - answer.lo) / 2
    if state == "supported":
        return f"the whole interval is within {r:g}"
    if state == "contradicted":
        return f"the whole interval is beyond {r:g}"
    far = max(abs(answer.lo), abs(answer.hi))
    return f"all of the interval would have to be within {r:g}, and it reaches to {number(far, step)}"


def _called(case: Case, term: Term, at: int) -> str:
    """A side as a reader calls it: by its arm, and by its measure too where the two sides are read differently.

    Of several points, the one that stands for all is told as such.
    """
    if not term.readings:
        return f"{term.number:g}" if term.side.number is not None else term.label
    claim, both = case.claim, case.comparisons[at].terms
    alike = not claim.right.names or not claim.left.names or claim.left.measure == claim.right.measure
    name = term.label if alike and both[0].label != both[1].label else f"{term.label}.{term.side.measure}"
    evidence = case.evidence
    if not isinstance(evidence, Points):
        return name
    count = len(evidence.parts)
    if claim.kind == "trend":
        return name if term is both[0] else f"{name} (the largest of {count} contrasts)"
    if name != evidence.names[at] and not name.startswith(f"{evidence.names[at]}."):
        return name
    if claim.relation == "~":
        return f"{name}, the {'farthest' if evidence.quantifier == 'all' else 'nearest'} of {count} points,"
    return f"{name}, the {'worst' if evidence.quantifier == 'all' else 'best'} of {count} points,"
