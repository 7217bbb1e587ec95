"""What a stage is given to do its work with, and the helpers every kind of stage needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric

from interpreter.errors import DataMissing, ExptError, StageFailed
from interpreter.parts.build import build_data
from interpreter.parts.contract import Data
from interpreter.plan.types import Stage
from interpreter.project import Project, variable_of
from interpreter.run.attempts import Attempt
from interpreter.run.environment import Numerics
from interpreter.run.events import EventWriter, encode
from interpreter.run.record import FORMAT, Record, now, write_atomically
from interpreter.stages.scores import read_scores

Event = dict[str, Any]
_PRECISIONS: Mapping[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


class Stopped(ExptError):
    """The stage was asked to stop and did so at a safe point; `epoch` epochs are finished."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"stopped after {epoch} epochs")
        self.epoch = epoch


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt at one stage."""

    project: Project
    record: Record
    stage: Stage
    attempt: Attempt
    events: EventWriter
    numerics: Numerics
    notes: tuple[tuple[str, str], ...]  # findings (code, text) made before the stage began
    stop: Callable[[], bool]

    def fabric(self) -> Fabric:
        """Lightning Fabric on the one device of this attempt, in its precision."""
        return Fabric(accelerator=self.numerics.device, devices=1, precision=_PRECISIONS[self.numerics.precision])

    def data(self) -> Data:
        """The stage's data; of a fit, only the training examples that its subset chooses. Raises: DataMissing, StageFailed."""
        settings = self.stage.settings["data"]
        chosen_by = next((each for each in self.stage.inputs if each.role == "scores"), None)
        if chosen_by is None and self.stage.kind != "fit":
            settings = {k: v for k, v in settings.items() if k != "subset"}  # for training only: what measures sees every example
        name = settings["source"]
        source: Path | None = None
        if name != "embedded":
            source = self.project.source(name)
            if source is None:
                raise DataMissing(
                    f"the data source `{name}` is not here",
                    hint=f"name its folder in expt.toml, [data] {name} = ..., or in {variable_of(name)}",
                )
        scores = None if chosen_by is None else read_scores(Record.of(self.project, chosen_by.key))
        data = build_data(settings, source, self.project.cache, scores)
        if data.growing is None:
            return data
        return replace(data, growing=data.growing.at_least(self.stage.settings["schedule"]["batch_size"]))

    def write(self, path: Path, data: Any) -> None:
        """Put bytes, or what a function writes, at `path` atomically, as long as this attempt holds the stage."""
        write_atomically(path, data, guard=self.attempt.check)

    def finish(self, done: Mapping[str, Any]) -> None:
        """Write DONE: the last thing a stage does."""
        self.events.close()
        head = {"format": FORMAT, "key": self.stage.key, "kind": self.stage.kind, "attempt": self.attempt.number}
        content = {**head, "finished": now(), **done, "events_bytes": self.record.events.stat().st_size}
        self.write(self.record.done_file, encode(content))


def finding(epoch: int, code: str, text: str, severity: str = "warning") -> Event:
    """An event that says something a reader of the results must know."""
    return {"kind": "finding", "epoch": epoch, "code": code, "text": text, "severity": severity}


def finding_at_end(end: int, code: str, text: str, severity: str = "warning") -> Event:
    """A finding that is made after `end` epochs, of a phase or of all, and speaks of the last of them.

    Its `epoch` is the one in which an attempt that goes on from there would make it again: the next.
    """
    return {**finding(end, code, text, severity), "of": max(0, end - 1)}


def data_events(data: Data, name: str) -> list[Event]:
    """What a stage says first about its data."""
    said: list[Event] = [{"kind": "data", "epoch": 0, "name": name, "origin": data.origin, "facts": dict(data.facts)}]
    return said + [finding(0, code, text) for code, text in data.findings]


def table_events(tables: Mapping[str, Any], epoch: int, split: str) -> list[Event]:
    """Tables of one split, such as a confusion matrix."""
    return [{"kind": "table", "epoch": epoch, "split": split, "name": name, "value": value} for name, value in tables.items()]


def devices() -> tuple[str, ...]:
    """Kinds of devices this machine has, the best first."""
    found = ["cuda"] if torch.cuda.is_available() else []
    found += ["mps"] if torch.backends.mps.is_available() else []
    return (*found, "cpu")


def device_of(accelerator: str) -> str:
    """The device kind an accelerator setting means here. Raises: StageFailed when it isn't there."""
    here = devices()
    kind = {"auto": here[0], "gpu": here[0]}.get(accelerator, accelerator)
    if kind not in here or (accelerator == "gpu" and kind == "cpu"):
        raise StageFailed(f"this machine has no `{accelerator}`", hint=f"it has: {', '.join(here)}")
    return kind
