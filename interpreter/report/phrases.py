"""Sentences and phrases that the HTML and the Markdown report share."""

from __future__ import annotations

import math
import re

from interpreter.report.content import Content, StageLine
from interpreter.report.terms import short_title
from interpreter.report.words import MINUS, capital, count, names
from interpreter.spec.claims import Claim
from interpreter.verdicts.types import Verdict

FINDINGS, STAGES = 100, 200  # listed in a report; the database has all
PROVENANCE = ("stage", "key", "seed", "used by", "state", "epochs", "attempts", "made with")


def claim_text(verdict: Verdict) -> str:
    """The claim as written, with what it is on and its margin when the text does not tell; others in words."""
    claim = verdict.claim
    if claim.kind in _IN_WORDS:
        return _IN_WORDS[claim.kind](claim)
    on = claim.left.measure
    margin = {"~": "within", "<": "by", ">": "by"}[claim.relation]
    text = f"{claim.left.arm}: {claim.text}" if claim.kind == "value" else claim.text
    text += f" on {on}" if on and on not in text else ""
    text = text if not claim.margin else f"{text}, {margin} {claim.margin:g}"
    chosen = [side.chosen_by for side in (claim.left, claim.right) if side.quantifier == "best" and side.chosen_by]
    return f"{text}, the best by {names(list(dict.fromkeys(chosen)))}" if chosen else text


def difference_text(claim: Claim) -> str:
    """What the effect of a claim is, as an axis title: claims with the same one share an axis."""
    measured = " − ".join(dict.fromkeys(side.measure for side in (claim.left, claim.right) if side.measure)) or "the measure"
    if claim.kind == "trend":
        return f"slope of {measured} along {claim.factor}"
    if claim.kind == "shape":
        return (
            f"{_SHAPES[claim.shape][1]} of {short_title(claim.metric)}" if claim.shape in _SHAPES else f"shape of {claim.metric}"
        )
    if claim.kind in ("value", "reference"):
        return f"difference in {measured}: measured − expected"
    if claim.kind == "reproduces":
        return f"difference in {measured}: now − before"
    return f"difference in {measured}: left side − right side of the claim"


def _trend(claim: Claim) -> str:
    way = {">": "rises", "<": "falls", "~": "stays flat"}[claim.relation]
    text = f"{claim.left.measure} of {_arm(claim)} {way} along {claim.factor}"
    return f"{text}, {'within' if claim.relation == '~' else 'by'} {claim.margin:g}" if claim.margin else text


def _shape(claim: Claim) -> str:
    words = _SHAPES[claim.shape][0] if claim.shape in _SHAPES else claim.shape.replace("_", " ")
    text = f"{claim.metric} of {_arm(claim)} {words}"
    text += f", by {claim.margin:g}" if claim.margin else ""
    return f"{text}, over the last {claim.over_last} epochs" if claim.over_last else text


def _reproduces(claim: Claim) -> str:
    text = f"{_arm(claim)} reproduces {claim.right.arm or claim.right}"
    text += f" on {claim.left.measure}" if claim.left.measure else ""
    return f"{text}, within {claim.margin:g}"


def _finishes(claim: Claim) -> str:
    return f"every trial of {claim.left.arm} reaches its planned end"


def _arm(claim: Claim) -> str:
    return f"{claim.left.quantifier} {claim.left.arm}".strip()


_IN_WORDS = {"trend": _trend, "shape": _shape, "reproduces": _reproduces, "finishes": _finishes}

# Shape -> what the curve does, and what its statistic is.
_SHAPES = {
    "rises_after_min": ("rises after its minimum", "rise after the minimum"),
    "plateaus": ("reaches a plateau", "change over the last epochs"),
    "still_improving": ("is still improving at the end", "gain over the last epochs"),
    "stagnant_first": ("stagnates first", "gain over the first epochs"),
    "never_improves": ("never improves", "gain over the whole course"),
}


def registered(verdict: Verdict) -> str:
    """Whether the claim came before the numbers."""
    if verdict.registered:
        return f"registered {verdict.registered_at[:10]}" if verdict.registered_at else "registered"
    return "post hoc"


def method_text(verdict: Verdict) -> str:
    """How the interval was made, and what else to know of it."""
    said = [verdict.method] if verdict.method else []
    if verdict.dz is not None and math.isfinite(verdict.dz):
        said.append(f"Cohen's dz {verdict.dz:.2f}".replace("-", MINUS))
    pairs = len(verdict.pairs)  # over examples n counts these, and a pair is of two trials all the same
    if verdict.p_better is not None and pairs > 1:
        said.append(f"{round(verdict.p_better * pairs)} of {pairs} pairs on the claimed side")
    text = "; ".join([*said, *verdict.notes])
    return sentence(capital(text)) if text else ""


def sentence(text: str) -> str:
    """`text` with true minus signs and a full stop. Its first word stays as it is: it may be an arm's name."""
    return re.sub(r"(?<![\w.])-(?=\d)", MINUS, text.rstrip(".")) + "."


def confound_heading(verdict: Verdict) -> str:
    """What a reader may open: "1 warning and 2 notes on fairness"."""
    kinds = [(kind, sum(c.severity == kind for c in verdict.confounds)) for kind in ("unfair", "warning", "note")]
    said = [count(n, {"unfair": "objection"}.get(kind, kind)) for kind, n in kinds if n]
    return f"{names(said)} on fairness"


def confound_texts(verdict: Verdict) -> list[str]:
    """Each confound with its severity, and the author's reason where it is waived."""
    return [f"{c.severity}: {c.text}" + (f" Waived: {c.waived}" if c.waived else "") for c in verdict.confounds]


def more(left_out: int, noun: str, where: str) -> str:
    """What is said of a list that is cut; `where` is the table or view of the database that has the rest."""
    return f"And {count(left_out, noun)} more: the table {where} of the database has all."


def provenance_heading(content: Content) -> str:
    """What the folded provenance holds."""
    return f"Provenance: {count(len(content.stages), 'stage')}, with keys, versions and data"


def provenance_cells(stage: StageLine) -> tuple[str, ...]:
    """A stage's cells after its name and key, in the order of PROVENANCE."""
    return str(stage.seed), stage.used_by, stage.state, stage.epochs, str(stage.attempts or ""), stage.environment
