"""Records of fits with phases, made by hand as a fit writes them: events of phases, and rates by group and epoch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from interpreter.plan.types import Plan, Stage
from interpreter.project import Project
from tests.plans import append_events, begin_attempt, epoch_events, finish_record, start_record

LOSS = "val/loss"


@dataclass(frozen=True)
class Phase:
    """One phase as it went: what it thawed, its peak rate, how many epochs it had, and what began it.

    `only` names all that trained in it, where that is not all that was thawed so far.
    """

    groups: Sequence[str]
    epochs: int
    why: str = "max_epochs"
    rate: float = 1e-3
    only: Sequence[str] | None = None


def phase_event(k: int, began: int, phase: Phase, trained: Sequence[str], attempt: int = 1) -> dict[str, Any]:
    """The event of phase `k`, whose first epoch is `began`, from 0."""
    blocks = [f"{g}.weight" for g in trained]
    if phase.only is not None:
        blocks = [g if g == "head" else f"encoder.{g}" for g in trained]
    return {
        "kind": "phase", "attempt": attempt, "epoch": began, "phase": k, "trainable": blocks,
        "why": phase.why if k else "start", "groups": list(phase.groups), "rate": phase.rate, "tensors": len(trained),
        "parameters": 100 * len(trained),
    }  # fmt: skip


def rates_at(phases: Sequence[Phase], k: int, epoch: int, total: int, *, cosine: bool) -> dict[str, float]:
    """The rate of each group that is trained in phase `k`, at the end of `epoch` (from 0)."""
    factor = 0.5 * (1 + math.cos(math.pi * (epoch + 1) / total)) * 0.99 + 0.01 if cosine else 1.0
    only = phases[k].only
    trained = [p for p in phases[: k + 1] if only is None or set(p.groups) & set(only)]
    return {",".join(p.groups): p.rate * factor for p in trained}


def phased_events(phases: Sequence[Phase], losses: Sequence[float], *, cosine: bool = False) -> list[dict[str, Any]]:
    """Events of all epochs of `phases`, with the phases' own between them."""
    lines: list[dict[str, Any]] = []
    total, began = sum(p.epochs for p in phases), 0
    for k, phase in enumerate(phases):
        trained = list(phase.only or dict.fromkeys(g for p in phases[: k + 1] for g in p.groups))
        lines.append(phase_event(k, began, phase, trained))
        part = epoch_events({LOSS: losses[began : began + phase.epochs]}, 1, began)
        for line in part:
            line |= {"phase": k, "rates": rates_at(phases, k, line["epoch"], total, cosine=cosine)}
        lines += part
        began += phase.epochs
    return lines


def write_phased(
    project: Project, stage: Stage, phases: Sequence[Phase], losses: Sequence[float], *, done: bool = True,
    why: str = "planned epochs", cosine: bool = False,
) -> Path:  # fmt: skip
    """A record of `stage`, a first attempt that went through `phases`. Returns its folder."""
    folder = start_record(project, stage)
    begin_attempt(folder, 1, 0)
    append_events(folder, [
        {"kind": "start", "attempt": 1, "epoch": 0, "from": "random", "carried": [], "why": "start"},
        {"kind": "data", "attempt": 1, "epoch": 0, "name": "digits", "origin": "real, embedded", "facts": {}},
        *phased_events(phases, losses, cosine=cosine),
    ])  # fmt: skip
    if done:
        reached = sum(p.epochs for p in phases)
        append_events(folder, [
            {"kind": "end", "attempt": 1, "epoch": reached, "planned": stage.epochs, "reached": reached, "why": why}
        ])  # fmt: skip
        finish_record(folder, stage, {LOSS: losses[:reached]}, why=why)
    return folder


def write_all(
    project: Project, plan: Plan, went: Callable[[str, int], Sequence[Phase]], *, cosine: bool = False,
    ends: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """A record of every fit of `plan`, in which arm and seed went through the phases that `went` says; [] writes nothing."""
    for entry in plan.entries:
        for arm in entry.arms:
            for trial in arm.trials:
                ((_, key),) = trial.stages
                phases = went(arm.name, trial.seed)
                if phases:
                    why = (ends or {}).get(arm.name, "planned epochs")
                    write_phased(project, plan.stages[key], phases, losses(arm.name, trial.seed, phases), cosine=cosine, why=why)


def losses(arm: str, seed: int, phases: Sequence[Phase]) -> list[float]:
    """A curve that falls a little faster with each thawed phase."""
    random = np.random.default_rng([seed, len(arm), sum(map(ord, arm))])
    value, out = 2.3, []
    for k, phase in enumerate(phases):
        for _ in range(phase.epochs):
            value *= 0.995 - 0.01 * (k + 1) + random.normal(0, 0.004)
            out.append(float(value))
    return out


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The events of a record."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
