"""What planning hands on: a DAG of stages with content keys, and the trials that walk through it.

Frozen values only. `settings` and `identity` are plain JSON data (mappings, lists, strings, numbers, booleans, None).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from interpreter.check.types import Growth
from interpreter.errors import Problem
from interpreter.spec.entry import Entry

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Input:
    """An earlier stage that this one reads: which checkpoint of it, and what is taken from that.

    role: "start": a fit goes on from these weights; "weights": an evaluation, a score or (one input a candidate) a probe
    reads them; "member": predictions that are combined; "scores": a dataset's subset is chosen by them.
    """

    role: str
    key: str
    checkpoint: str  # the rule: "best", "last", "epoch-50", or "picked" of a probe
    take: str  # "encoder" (and the head when its settings are equal), "encoder-only" or "all"


@dataclass(frozen=True, slots=True)
class SourceNeed:
    """A named data source that a stage reads, with the fingerprint data.lock holds for it ("" when there is none)."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A unit of work. `key` is the hash of `identity`; `settings` is everything a worker needs to do it.

    kind: "fit", "evaluate", "probe", "score"; "combine" averages the predictions of its inputs; "import" reads a file of
    results that were made elsewhere. `unbuilt` names what of it this release can't run yet.
    """

    key: str
    kind: str
    name: str  # as the first entry that asked for it calls it; display only
    identity: Json
    settings: Json
    inputs: tuple[Input, ...]
    sources: tuple[SourceNeed, ...]
    seed: int
    unbuilt: tuple[str, ...] = ()  # in words: "the model type `cnn3d`"

    @property
    def epochs(self) -> int:
        """Planned epochs: those of a fit's or probe's schedule, 0 for the rest."""
        return int(self.settings["schedule"]["epochs"]) if self.kind in ("fit", "probe") else 0


@dataclass(frozen=True, slots=True)
class Trial:
    """One arm at one seed: its stages in chain order, as (stage name, key)."""

    arm: str  # "curriculum", or "2024-06-28/first/naive" for an arm of another entry that a claim refers to
    seed: int  # the replicate: pairs of trials of two arms have the same
    levels: Mapping[str, int]  # stage name -> seed used there
    stages: tuple[tuple[str, str], ...]

    def key_of(self, stage: str) -> str:
        """The key of the stage called `stage`. Raises KeyError."""
        return dict(self.stages)[stage]


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """An arm with its trials, and where its metrics come from. Each point of a sweep is an arm of its own."""

    name: str  # "naive"; a point: "thaw[max_epochs=1,patience=3]", "noisy[1-4-20]"
    chain: tuple[str, ...]
    baseline: bool
    main_stage: str  # the last fit or probe: metrics without a stage name are read there; "" when there is none
    evaluations: tuple[str, ...]  # names of its evaluate stages, which are also their splits' names
    trials: tuple[Trial, ...]
    given: tuple[str, ...] = ()  # stages that had one seed while others had several: "given one backbone"
    data_names: Mapping[str, str] = field(default_factory=dict)  # stage name -> its dataset as the page calls it
    base: str = ""  # the arm as the page names it: equal for all points of a sweep; "" means `name`
    factors: Mapping[str, str] = field(default_factory=dict)  # factor of the sweep -> label of its value here
    growth: Growth | None = None  # how seeds are added to those of `trials` while claims need more

    @property
    def seeds(self) -> int:
        """How many seeds it has, at the level that is added to; without one, its trials."""
        if self.growth is None:
            return len(self.trials)
        return len({trial.levels[self.growth.stages[0]] for trial in self.trials})

    @property
    def room(self) -> int:
        """How many seeds may still be added to it."""
        return 0 if self.growth is None else max(0, self.growth.max - self.seeds)


@dataclass(frozen=True, slots=True)
class EntryPlan:
    """An entry as planned: its text (typed), its arms, and what check had to say about fairness and power."""

    page: str  # "2024-06-28"
    id: str  # "2024-06-28/finetune-curriculum"
    profile: str  # "" at full scale
    entry: Entry
    arms: tuple[ArmPlan, ...]
    problems: tuple[Problem, ...]  # warnings and notes about this entry (confounds, unscaled rates, power)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one page asks for. `stages` is in topological order: inputs come before what reads them."""

    page: str  # "2024-06-28"
    profile: str
    file: str  # the page's path as given by the user
    text: str  # the page's text, kept in the record of what it ran
    text_hash: str
    title: str
    entries: tuple[EntryPlan, ...]
    stages: Mapping[str, Stage]

    def ids(self) -> tuple[str, ...]:
        """Ids of its entries."""
        return tuple(entry.id for entry in self.entries)
