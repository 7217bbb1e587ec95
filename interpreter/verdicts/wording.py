"""Verdicts in one sentence each, in plain words."""

from __future__ import annotations

import math

from interpreter.spec.claims import Claim, Side
from interpreter.verdicts.compare import Answer
from interpreter.verdicts.intervals import Sample


def explain(claim: Claim, state: str, answer: Answer, sample: Sample | None, why: str, settle: tuple[int, int] | None) -> str:
    """The verdict as a sentence. `why`: what stood in the way, for the states that have no interval or do not use it."""
    if sample is None or sample.n == 0:
        return f"{_comparison(claim)}: {state}, {why or 'there is nothing to compare yet'}"
    found = f"{_finding(claim, answer, sample)} ({_evidence(answer, sample)})"
    if why:
        return f"{found}: {state}, {why}"
    if state == "anecdotal":
        return f"{found}: anecdotal, one replicate says nothing about the spread"
    if answer.lo is None or answer.hi is None:
        return f"{found}: {state}, differences that do not vary give no spread to judge by"
    if sample.same_record:
        return f"{found}: {state}, a record can't differ from itself"
    reason = _likeness(claim, state, answer) if claim.relation == "~" else _order(claim, state, answer)
    if settle is not None:
        low, high = settle
        reason += f"; were there no difference, {low if low == high else f'{low} to {high}'} seeds would most likely settle it"
    return f"{found}: {state}, {reason}"


def method(claim: Claim, sample: Sample | None, family: int) -> str:
    """How the interval was made."""
    if sample is None or sample.n == 0:
        return ""
    if sample.n == 1:
        return "one replicate: no interval"
    if sample.same_record:
        how = "the same record on both sides: nothing to estimate"
    elif sample.constant:
        return "differences do not vary: no interval"
    else:
        kind = "one-sample" if claim.kind in {"value", "reference"} else "paired"
        test = "BCa bootstrap" if sample.resampled else "Student t" if sample.reference_se == 0 else "Welch t"
        how = f"{kind} {test} over seeds"
        if sample.reference_se:
            how += ", the reference's standard error added in quadrature"
    return how + (f", Holm-adjusted in a family of {family}" if family > 1 else "")


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


def _comparison(claim: Claim) -> str:
    return f"{claim.left} {claim.relation} {claim.right}"


def _finding(claim: Claim, answer: Answer, sample: Sample) -> str:
    left, right = _name(claim.left, claim), _name(claim.right, claim)
    of = claim.left.measure or claim.right.measure
    half = (answer.hi - answer.lo) / 2 if answer.lo is not None and answer.hi is not None else 0.0
    size = number(abs(sample.mean), half or abs(sample.mean))
    if sample.mean == 0:
        return f"{left} and {right} do not differ in {of}"
    if claim.relation == "~":
        return f"{left} and {right} differ in {of} by {size}" + (f", {left} being {'lower' if sample.mean < 0 else 'higher'}")
    return f"{left} reaches a {'lower' if sample.mean < 0 else 'higher'} {of} than {right} by {size}"


def _evidence(answer: Answer, sample: Sample) -> str:
    count = "1 seed" if sample.n == 1 else f"{sample.n} seeds"
    if answer.lo is None or answer.hi is None:
        return count
    if sample.same_record:
        return f"{count}, the same record on both sides"
    lo, hi = (-answer.hi, -answer.lo) if sample.mean < 0 else (answer.lo, answer.hi)
    step = (hi - lo) / 2
    return f"{percent(answer.level)} interval {number(lo, step)} to {number(hi, step)}, {count}"


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


def _name(side: Side, claim: Claim) -> str:
    """A side as a reader calls it: by its arm, and by its measure too where the two sides are read differently."""
    if side.number is not None:
        return f"{side.number:g}"
    if side.reference:
        return side.reference
    alike = not claim.right.arm or not claim.left.arm or claim.left.measure == claim.right.measure
    return side.arm if alike and claim.left.arm != claim.right.arm else f"{side.arm}.{side.measure}"
