"""What a run would do with each stage of a plan, and why: the dry run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interpreter.plan.differences import differences, word
from interpreter.plan.types import Plan, Stage
from interpreter.project import Project
from interpreter.run.status import StageStatus, obstacle, status_of

_WORDS = {"failed": "failed before", "stopped": "was stopped", "died": "ended without its result"}
_SHOWN = 3  # differences named before "and N more"


@dataclass(frozen=True, slots=True)
class Forecast:
    """A stage's fate: "reuse", "run", "running elsewhere" or "blocked"."""

    stage: Stage
    fate: str
    why: str
    used_by: str  # arms, in words
    seeds: tuple[int, ...]  # trials' labels that walk through it

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        stage = self.stage
        return {
            "key": stage.key,
            "kind": stage.kind,
            "name": stage.name,
            "what": self.fate,
            "why": self.why,
            "arms": self.used_by,
            "seeds": list(self.seeds),
            "epochs": stage.epochs,
            "inputs": [source.key for source in stage.inputs],
        }


def forecast(project: Project, plan: Plan) -> list[Forecast]:
    """The fate of every stage of `plan`, in topological order."""
    statuses = {key: status_of(project, key) for key in plan.stages}
    blocked = blocked_stages(project, plan, statuses)
    users = _users(plan)
    past = Past(project) if any(s.state == "new" for s in statuses.values()) else None
    out = []
    for key, stage in plan.stages.items():
        status = statuses[key]
        if status.state == "done":
            fate, why = "reuse", "done"
        elif key in blocked:
            fate, why = "blocked", blocked[key]
        elif status.state == "running":
            at = f", epoch {status.epoch} of {status.epochs}" if status.epochs else ""
            fate, why = "running elsewhere", f"pid {status.pid} on {status.host}{at}"
        else:
            fate, why = "run", _why(stage, status, past, plan)
        arms, seeds = users.get(key, ([], []))
        out.append(Forecast(stage, fate, why, ", ".join(dict.fromkeys(arms)), tuple(dict.fromkeys(seeds))))
    return out


def blocked_stages(project: Project, plan: Plan, statuses: Mapping[str, StageStatus]) -> dict[str, str]:
    """Stages that can't run, with the reason: see `obstacle`; or an input that is blocked."""
    reasons: dict[str, str] = {}
    for key, stage in plan.stages.items():
        if statuses[key].state == "done":
            continue
        if why := obstacle(project, stage):
            reasons[key] = why
        for source in stage.inputs:
            if source.key in reasons:
                reasons.setdefault(key, f"its input {plan.stages[source.key].name} is blocked")
    return reasons


def _users(plan: Plan) -> dict[str, tuple[list[str], list[int]]]:
    users: dict[str, tuple[list[str], list[int]]] = {}
    for entry in plan.entries:
        for arm in entry.arms:
            for trial in arm.trials:
                for _, key in trial.stages:
                    arms, seeds = users.setdefault(key, ([], []))
                    arms.append(arm.name)
                    seeds.append(trial.seed)
    return users


def labels(plan: Plan) -> dict[str, str]:
    """What a page calls each of its stages: name, arms, and the seed where it is one trial's."""
    out = {}
    for key, (arms, seeds) in _users(plan).items():
        names = list(dict.fromkeys(arms))
        arm = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        several = len(set(seeds)) > 1
        out[key] = f"{plan.stages[key].name} of {arm}" + ("" if several else f", seed {seeds[0]}")
    return out


def _why(stage: Stage, status: StageStatus, past: Past | None, plan: Plan) -> str:
    if status.state in _WORDS:
        at = f" after epoch {status.epoch} of {status.epochs}" if status.epoch and status.epochs else ""
        return (
            _WORDS[status.state] + at + (f": {status.error.splitlines()[0]}" if status.state == "failed" and status.error else "")
        )
    return past.difference(stage, plan) if past is not None else "never run"


class Past:
    """The stages that were ever run, by kind, name and seed: what a new one can be compared with."""

    def __init__(self, project: Project) -> None:
        self._by_name: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
        for path in project.runs.glob("*/stage.json") if project.runs.is_dir() else ():
            try:
                stage = json.loads(path.read_text("utf-8"))
                self._by_name.setdefault((stage["kind"], stage["name"], stage["seed"]), []).append(stage)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # a damaged record explains nothing; `status` tells of it

    def difference(self, stage: Stage, plan: Plan) -> str:
        """In words, how `stage` differs from the most similar one of the past."""
        others = self._by_name.get((stage.kind, stage.name, stage.seed), [])
        others = [other for other in others if other["key"] not in plan.stages]
        if not others:
            return "never run"
        changes = (list(differences(other["identity"], stage.identity)) for other in others)
        own = [
            change for change in min(changes, key=len) if change[0] != "inputs" and not change[0].startswith("settings.streams.")
        ]
        if not own:
            return "its input is new"
        words = [f"{path.removeprefix('settings.')}: {word(before)} -> {word(after)}" for path, before, after in own]
        more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
        return "changed: " + "; ".join(words[:_SHOWN]) + more
