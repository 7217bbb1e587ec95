"""A combination: the recorded predictions of several stages on one split, averaged and measured as those of one model.

A pure function of its inputs, whatever their order: averages are taken in double precision in the order of the inputs' keys,
kept in single precision, and measured as they are kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from interpreter.errors import StageFailed
from interpreter.parts.build import build_objective
from interpreter.parts.metrics.classification import log_softmax
from interpreter.plan.types import Input, Stage
from interpreter.run.events import IGNORES_INPUT, effective, read_events
from interpreter.run.record import Record, now
from interpreter.stages.outputs import Recorded, record_outputs
from interpreter.stages.predictions import read
from interpreter.stages.rules import agreed, read_rules
from interpreter.stages.work import Event, Work, finding

Floats = np.ndarray


@dataclass(frozen=True, slots=True)
class Member:
    """What one member predicted, and what it said of its data. Shape: outputs (N, K) float64."""

    key: str
    label: str
    ids: list[str]
    targets: np.ndarray
    outputs: Floats
    data: Mapping[str, Any]  # its data event; {} where there is none
    rules: Mapping[str, Mapping[str, float]]  # trivial rule -> metric -> value on this split

    @property
    def class_names(self) -> tuple[str, ...]:
        """Its classes, () where they are not known."""
        return tuple(self.data.get("facts", {}).get("class_names") or ())


def mean_probability(outputs: Sequence[Floats]) -> Floats:
    """Logarithms of the mean of the members' probabilities. Shape: M times (N, K) -> (N, K)."""
    log_p = np.stack([log_softmax(values) for values in outputs])
    return np.asarray(np.logaddexp.reduce(log_p, axis=0) - np.log(len(outputs)))


def geometric_mean(outputs: Sequence[Floats]) -> Floats:
    """Logarithms of the normalized geometric mean of the members' probabilities. Shape: M times (N, K) -> (N, K)."""
    return log_softmax(mean([log_softmax(values) for values in outputs]))


def mean(outputs: Sequence[Floats]) -> Floats:
    """The mean of the members' outputs. Shape: M times (N, K) -> (N, K)."""
    return np.asarray(np.mean(np.stack(outputs), axis=0))


RULES: Mapping[str, Callable[[Sequence[Floats]], Floats]] = {
    "mean_probability": mean_probability,
    "geometric_mean": geometric_mean,
    "mean_logit": mean,
    "mean_output": mean,
}


def run_combine(work: Work) -> int:
    """Do a combination; returns 1, the epochs it has. Raises: StageFailed, Fenced, OSError."""
    settings, began = work.stage.settings, time.perf_counter()
    how, name = settings["combine"]["how"], settings["name"]
    members = [_member(work, source, settings["part"]) for source in work.stage.inputs]
    if not members:
        raise StageFailed("there is nothing to combine")
    _agree(members)
    first = members[0]
    numbers = np.issubdtype(first.targets.dtype, np.floating)
    if numbers != (how == "mean_output"):
        what = "numbers, which only mean_output averages" if numbers else "classes, and mean_output is for numbers"
        raise StageFailed(f"these are predictions of {what}", hint=f"known: {', '.join(RULES)}")
    ordered = [member.outputs for member in sorted(members, key=lambda member: member.key)]
    with np.errstate(invalid="ignore"):  # outputs that are not numbers stay so
        outputs = torch.from_numpy(RULES[how](ordered).astype(np.float32))
    split = Recorded(first.ids, torch.from_numpy(first.targets.astype(np.float32 if numbers else np.int64)))
    objective = build_objective(settings["combine"]["objective"], split.as_data(name, outputs.shape[1], first.class_names))
    facts = {"n": {name: len(split)}, "class_names": list(first.class_names), "members": len(members)}
    said: list[Event] = [{"kind": "attempt", "resume_epoch": 0, "t": now()}]
    said.append(
        {"kind": "data", "epoch": 0, "name": first.data.get("name", ""), "origin": first.data.get("origin", ""), "facts": facts}
    )
    said += [finding(0, code, text) for code, text in work.notes]
    shared = agreed([member.rules for member in members])
    if IGNORES_INPUT not in shared and any(IGNORES_INPUT in member.rules for member in members):
        text = "the members were trained on different targets, so there is no one rule that ignores the input"
        said.append(finding(0, "members-differ-in-baseline", text, "note"))
    if any(np.array_equal(member.outputs, first.outputs, equal_nan=True) for member in members[1:]):
        said.append(finding(0, "members-equal", "some members predict exactly the same", "warning"))
    work.events.write(*said)
    return record_outputs(work, split, objective, outputs, why="combined", rules=shared, began=began)


def _member(work: Work, source: Input, part: str) -> Member:
    """The predictions of `source` for the split `part`. Raises: StageFailed when it is not done or kept none."""
    record = Record.of(work.project, source.key)
    done = record.done()
    if done is None:
        raise StageFailed(f"stage {source.key} is not done, and its predictions are to be combined")
    stage = record.read_stage()
    label = f"{stage.name}, seed {stage.seed}"
    kept = done.get("predictions", {})
    found = read(record.predictions / part, kept.get(part, []), _epoch(stage, done, source.checkpoint))
    if found is None:
        there = f"; there are some for {', '.join(kept)}" if kept and part not in kept else ""
        raise StageFailed(
            f"predictions of {label} for {part} were not kept{there}",
            hint=f'say `keep_predictions = "best"` in expt.toml, [run], move runs/{source.key} away and run again',
        )
    ids, targets, outputs = found
    lines = effective(read_events(record.events).lines)
    said = next((line for line in lines if line["kind"] == "data"), {})
    return Member(source.key, label, ids, targets, outputs.astype(np.float64), said, read_rules(lines, part))


def _epoch(stage: Stage, done: Mapping[str, Any], rule: str) -> int:
    """The epoch (from 0) that a checkpoint rule means; stages without checkpoints have one."""
    if not done.get("best"):
        return int(done.get("epochs", 1)) - 1
    return int(rule.removeprefix("epoch-")) - 1 if rule.startswith("epoch-") else int(done[rule]["epoch"])


def _agree(members: Sequence[Member]) -> None:
    """Raise StageFailed unless all members predicted the same examples with the same targets and classes."""
    first = members[0]
    for other in members[1:]:
        pair = f"{first.label} and {other.label}"
        if first.ids != other.ids:
            at = next((n for n, (a, b) in enumerate(zip(first.ids, other.ids, strict=False)) if a != b), None)
            where = (
                f"{len(first.ids)} and {len(other.ids)}" if at is None else f"`{first.ids[at]}` and `{other.ids[at]}` in row {at}"
            )
            raise StageFailed(f"{pair} did not predict the same examples: {where}")
        if first.targets.shape != other.targets.shape or not np.array_equal(first.targets, other.targets, equal_nan=True):
            raise StageFailed(f"{pair} predicted the same examples with different targets")
        if first.class_names and other.class_names and first.class_names != other.class_names:
            raise StageFailed(f"{pair} tell different classes apart, or in another order")
        if first.outputs.shape != other.outputs.shape:
            raise StageFailed(f"{pair} have {first.outputs.shape[1]} and {other.outputs.shape[1]} outputs")
