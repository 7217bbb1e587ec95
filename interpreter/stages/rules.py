"""Trivial rules beside every model: one that ignores the input, and those that a dataset offers. What they reach is recorded.

A rule is fitted on train alone. Its outputs for a split are measured as a model's would be, and told in an event of kind
`baseline`, one a rule; a model that is no better than a rule is a finding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interpreter.errors import StageFailed
from interpreter.parts.contract import Data, Objective
from interpreter.run.events import IGNORES_INPUT
from interpreter.stages.work import Event, finding_at_end

Told = Mapping[str, Mapping[str, float]]  # rule -> metric -> value


def on_split(data: Data, objective: Objective, split: str) -> dict[str, dict[str, float]]:
    """What each rule reaches on one split, the one that ignores the input first; {} without a train split to fit them on.

    Raises: StageFailed for a rule that has not one output for each example.
    """
    if "train" not in data.splits:
        return {}
    targets = data.splits[split].targets
    told = {IGNORES_INPUT: objective.baseline(data.splits["train"].targets, targets)}
    for rule, outputs in data.rules.items():
        if split not in outputs or outputs[split].shape[1:] != (objective.outputs,):
            continue  # a rule answers the data's own question: under an objective with other outputs it says nothing
        if len(outputs[split]) != len(targets):
            raise StageFailed(f"the rule `{rule}` has {len(outputs[split])} outputs for the {len(targets)} examples of {split}")
        told[rule] = objective.metrics(outputs[split], targets)
    return told


def on_splits(data: Data, objective: Objective, splits: Iterable[str]) -> dict[str, dict[str, float]]:
    """What each rule reaches on several splits, its metrics with the split in front: "val/rmse". Raises: StageFailed."""
    told: dict[str, dict[str, float]] = {}
    for split in splits:
        for rule, metrics in on_split(data, objective, split).items():
            told.setdefault(rule, {}).update(named(split, metrics))
    return told


def named(split: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics with their split in front."""
    return {f"{split}/{metric}": value for metric, value in metrics.items()}


def baseline_events(told: Told) -> list[Event]:
    """One event a rule that has anything to tell."""
    return [{"kind": "baseline", "epoch": 0, "rule": rule, "metrics": dict(metrics)} for rule, metrics in told.items() if metrics]


def read_rules(lines: Iterable[Mapping[str, Any]], split: str) -> dict[str, dict[str, float]]:
    """What rules reach on `split`, from a record's events."""
    told: dict[str, dict[str, float]] = {}
    for line in lines:
        if line["kind"] == "baseline":
            mine = {m.partition("/")[2]: float(v) for m, v in line["metrics"].items() if m.partition("/")[0] == split}
            told[line.get("rule", IGNORES_INPUT)] = mine
    return told


def agreed(members: Sequence[Told]) -> dict[str, Mapping[str, float]]:
    """The rules that reach the same for all members."""
    first = members[0]
    return {rule: of for rule, of in first.items() if all(_equal(of, member.get(rule, {})) for member in members[1:])}


def _equal(a: Mapping[str, float], b: Mapping[str, float]) -> bool:
    """Equality to which what is not defined on both sides, a NaN, is no difference."""
    return a.keys() == b.keys() and all(a[m] == b[m] or (math.isnan(a[m]) and math.isnan(b[m])) for m in a)


def of_rules(lines: Iterable[Mapping[str, Any]], metric: str, value: float, lower: bool, end: int) -> list[Event]:
    """Findings for the rules that are at least as good in `metric` ("val/rmse") as `value`, the best the model had.

    `lines` are the record's events that count; `lower`: whether lower values are better.
    """
    split, _, name = metric.partition("/")
    said: list[Event] = []
    for rule, metrics in read_rules(lines, split).items():
        trivial = metrics.get(name, math.nan)
        if math.isnan(trivial) or (value < trivial if lower else value > trivial):
            continue
        if rule == IGNORES_INPUT:
            code, who = "no-better-than-baseline", "a rule that ignores the input"
        else:
            code, who = "no-better-than-rule", f"the rule `{rule}`"
        said.append(finding_at_end(end, code, f"the best {metric} is {value:.4g}; {who} has {trivial:.4g}"))
    return said
