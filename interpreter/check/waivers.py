"""Waivers: fairness rules that an author accepts as broken, and why."""

from __future__ import annotations

from interpreter.errors import Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence
from interpreter.spec.claim_forms import WrittenWaiver
from interpreter.spec.claims import Waiver
from interpreter.spec.names import did_you_mean
from interpreter.spec.typed import read, wrong_type

RULES = (
    "measured-split",
    "metric",
    "reference",
    "unequal-epochs",
    "checkpoint-rule",
    "unscaled-rate",
    "numerics",
    "more-examples",
    "setting",
)


def waivers(node: Node | None, problems: Problems) -> tuple[Waiver, ...]:
    """The fairness rules an entry accepts, each with its reason."""
    if node is None:
        return ()
    if not isinstance(node, Sequence):
        problems.add(wrong_type("`allow`", node, "allow", "a list of waivers: [{rule: ..., why: ...}]"))
        return ()
    found = []
    for index, item in enumerate(node.items):
        if not isinstance(item, Mapping):
            problems.add(wrong_type("a waiver", item, f"allow.{index}", "a mapping: {rule: ..., why: ...}"))
            continue
        form = read(WrittenWaiver, item, problems, f"allow.{index}")
        if form is None:
            continue
        rule = item.items["rule"]
        assert isinstance(rule, Scalar)
        if form.rule not in RULES:
            text, hint = f"there is no rule `{form.rule}`", did_you_mean(form.rule, RULES)
            problems.add(Problem("unknown-rule", text, rule.place, "allow", got=form.rule, hint=hint))
        else:
            found.append(Waiver(form.rule, form.why))
    return tuple(found)
