"""How a stage stands, asked of the file system alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from interpreter.errors import RecordError
from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.attempts import Found, latest
from interpreter.run.events import last_epochs
from interpreter.run.record import Record
from interpreter.spec.imported import folder_of

State = Literal["done", "running", "failed", "stopped", "died", "new", "unreadable"]


@dataclass(frozen=True, slots=True)
class StageStatus:
    """A stage at one moment. `epoch` counts finished epochs."""

    state: State
    attempt: int = 0
    epoch: int = 0
    epochs: int = 0
    done: Mapping[str, Any] | None = None
    error: str = ""
    host: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """How a running stage is getting on. `epoch` counts finished epochs, `step` the steps of the one under way."""

    epoch: int = 0
    step: int = 0
    steps: int = 0
    metrics: Mapping[str, float | str] = field(default_factory=dict)
    best: Mapping[str, Any] = field(default_factory=dict)  # metric, value, epoch (from 0)
    seconds_per_epoch: float = 0.0
    it_per_s: float = 0.0
    rss_mb: float = 0.0


NO_PACE = Pace()


def status_of(project: Project, key: str) -> StageStatus:
    """How the stage `key` stands. Never raises for a damaged record: that is the state "unreadable"."""
    record = Record.of(project, key)
    try:
        done = record.done()
        if done is not None:
            number = done.get("attempt", 0)
            return StageStatus("done", number, done.get("epochs", 0), done.get("planned_epochs", 0), done)
        if not record.stage_file.exists():
            return StageStatus("new")
        stage = record.read_stage()
        found = latest(record)
    except RecordError as error:
        return StageStatus("unreadable", error=str(error))
    if found is None:
        return StageStatus("new", epochs=stage.epochs)
    epochs = last_epochs(record.events)
    epoch = epochs[-1].get("epoch", -1) + 1 if epochs else 0
    state, message = _state(found)
    who = found.who
    return StageStatus(state, found.number, epoch, stage.epochs, None, message, str(who.get("host", "")), int(who.get("pid", 0)))


def _state(found: Found) -> tuple[State, str]:
    if found.alive:
        return "running", ""
    how = found.end["how"] if found.end else "died"
    error = str(found.end.get("error", "")) if found.end else "its process was gone"
    if how == "failed":
        return "failed", error
    if how == "stopped":
        return "stopped", error
    return "died", error or "it ended without its result"


def obstacle(project: Project, stage: Stage) -> str:
    """Why `stage` can't be run here, whatever its inputs, or "": not built yet, or what it reads is not here or not locked."""
    if stage.unbuilt:
        return f"not built yet: {', '.join(stage.unbuilt)}"
    for need in stage.sources:
        if project.source(need.name) is None:
            return f"data `{need.name}` is not here: name its folder in expt.toml, [data]"
        if not need.fingerprint:
            return f"data `{need.name}` is not in data.lock: run `expt data lock`"
    if stage.kind == "import":
        asked = stage.settings["import"]
        folder = folder_of(project, asked.get("from", ""))
        if folder is None:
            return f"data `{asked['from']}` is not here: name its folder in expt.toml, [data]"
        if not asked["sha256"] or not (folder / asked["path"]).exists():
            return f"the file `{asked['path']}` to import is not here"
    return ""


def pace_of(project: Project, key: str) -> Pace:
    """How the stage `key` is getting on, from the tail of its events and its last heartbeat."""
    record = Record.of(project, key)
    try:
        found = latest(record)
    except (RecordError, FileNotFoundError):
        found = None
    beat = found.beat if found else {}
    epochs = last_epochs(record.events)
    if not epochs:
        return Pace(step=int(beat.get("step", 0)), steps=int(beat.get("steps", 0)))
    last = epochs[-1]
    resources = last.get("resources", {})
    finished = last.get("epoch", -1) + 1
    here = int(beat.get("epoch", -1)) == finished
    return Pace(
        epoch=finished,
        step=int(beat["step"]) if here else 0,
        steps=int(beat.get("steps", 0)),
        metrics={**last.get("lead", {}), **last.get("metrics", {})},  # of a probe, those of the candidate in the lead
        best=last.get("best") or {},
        seconds_per_epoch=float(resources.get("seconds", 0.0)),
        it_per_s=float(resources.get("it_per_s", 0.0)),
        rss_mb=float(resources.get("rss_mb", 0.0)),
    )
