"""Sentences and phrases that the HTML and the Markdown report share."""

from __future__ import annotations

import math
import re

from interpreter.report.content import Content, StageLine
from interpreter.report.words import MINUS, count, names
from interpreter.verdicts.types import Verdict

PROVENANCE = ("stage", "key", "seed", "used by", "state", "epochs", "attempts", "made with")


def claim_text(verdict: Verdict) -> str:
    """The claim as written, with what it is on and its margin when the text does not tell."""
    claim = verdict.claim
    on = claim.left.measure
    margin = {"~": "within", "<": "by", ">": "by"}[claim.relation]
    text = f"{claim.left.arm}: {claim.text}" if claim.kind == "value" else claim.text
    text += f" on {on}" if on and on not in text else ""
    return text if not claim.margin else f"{text}, {margin} {claim.margin:g}"


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
    if verdict.p_better is not None and verdict.n > 1:
        said.append(f"{round(verdict.p_better * verdict.n)} of {verdict.n} pairs on the claimed side")
    text = "; ".join([*said, *verdict.notes])
    return sentence(text[:1].upper() + text[1:]) if text else ""


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


def provenance_heading(content: Content) -> str:
    """What the folded provenance holds."""
    return f"Provenance: {count(len(content.stages), 'stage')}, with keys, versions and data"


def provenance_cells(stage: StageLine) -> tuple[str, ...]:
    """A stage's cells after its name and key, in the order of PROVENANCE."""
    return str(stage.seed), stage.used_by, stage.state, stage.epochs, str(stage.attempts or ""), stage.environment
