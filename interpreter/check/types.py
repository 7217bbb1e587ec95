"""What check hands on: a page with every name resolved, every setting typed, and everything said that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from interpreter.errors import Place, Problem
from interpreter.spec.components.contract import Dataset, Model, Objective
from interpreter.spec.components.models import Head
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.entry import Entry
from interpreter.spec.page import PageText
from interpreter.spec.stages import Keep


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a fit's weights come from: "random", "previous" (the fit before it), "result" or "file"."""

    kind: str
    take: str = "encoder"
    entry: str = ""  # result: id of another entry, "" for this one
    arm: str = ""  # result: "" for the same arm
    stage: str = ""
    checkpoint: str = "best"
    file: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class CheckedStage:
    """A stage with its parts typed. An evaluate stage has neither objective, model, head nor schedule of its own."""

    name: str
    kind: str  # "fit" | "evaluate"
    place: Place
    data: Dataset
    data_name: str  # as the page calls it
    part: str = ""  # evaluate: the split it measures
    checkpoint: str = "best"  # evaluate: which checkpoint of the fit before it
    objective: Objective | None = None
    model: Model | None = None
    head: Head | None = None
    schedule: Schedule | None = None
    keep: Keep = field(default_factory=Keep)
    origin: Origin = Origin("previous")


@dataclass(frozen=True, slots=True)
class CheckedArm:
    """A chain of stages, and the seeds of each."""

    name: str
    entry_id: str
    chain: tuple[CheckedStage, ...]
    baseline: bool
    seeds: Mapping[str, tuple[int, ...]]  # stage name -> seeds; stages that share a level have the same tuple
    levels: tuple[str, ...]  # the stages whose seeds were given, in chain order; empty: one level for the whole chain
    place: Place

    @property
    def main_stage(self) -> str:
        """The last fit: where metrics without a stage name are read."""
        fits = [stage.name for stage in self.chain if stage.kind == "fit"]
        return fits[-1] if fits else ""

    def stage(self, name: str) -> CheckedStage:
        """The stage called `name`. Raises KeyError."""
        return {stage.name: stage for stage in self.chain}[name]


@dataclass(frozen=True, slots=True)
class CheckedEntry:
    """An entry whose arms can be planned; `foreign` holds the arms of other entries that its claims or stages refer to."""

    id: str
    entry: Entry
    arms: Mapping[str, CheckedArm]
    foreign: Mapping[str, CheckedArm]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class CheckedPage:
    """A page without errors; `problems` holds its warnings and notes."""

    page: PageText
    profile: str
    entries: tuple[CheckedEntry, ...]
    problems: tuple[Problem, ...]
