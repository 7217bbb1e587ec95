"""What check hands on: a page with every name resolved, every setting typed, and everything said that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from interpreter.errors import Place, Problem
from interpreter.source import nodes
from interpreter.spec.combined import Combine
from interpreter.spec.components.contract import Dataset, Model, Objective
from interpreter.spec.components.models import Head
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.entry import Entry
from interpreter.spec.imported import Import, ImportFacts
from interpreter.spec.page import PageText
from interpreter.spec.stages import At, Average, Keep, Pick, Thaw


@dataclass(frozen=True, slots=True)
class Lack:
    """Why something that is asked for isn't there, and what may have been meant."""

    why: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a fit's weights come from: "random", "previous" (the fit before it), "result" or "file"."""

    kind: str
    take: str = "encoder"
    entry: str = ""  # result: id of another entry, "" for this one
    arm: str = ""  # result: full name of an arm there, "" for the same arm
    stage: str = ""
    checkpoint: str = "best"  # previous, result
    new_channels: str = "error"
    file: str = ""
    sha256: str = ""
    map: tuple[tuple[str, str], ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """The score stage that a training subset is chosen by: full name of its arm, stage, and which seed's scores."""

    entry: str  # id of an entry, "" for this one
    arm: str
    stage: str
    seed: int | None  # None: the seed of the trial that uses them
    place: Place


@dataclass(frozen=True, slots=True)
class Imported:
    """Results made elsewhere: the settings they are read by, and for each seed the file and what is known of it."""

    settings: Import
    files: Mapping[int, tuple[str, ImportFacts]]  # seed -> path in the project or a source, and what is in it
    model: str = ""  # the one of several models in it, by its name there


@dataclass(frozen=True, slots=True)
class Combined:
    """Predictions of several trials taken together: by which rule, of which arm, and the seeds of each group."""

    settings: Combine
    arm: str  # full name of the arm whose trials are members
    stage: str  # the stage of it whose predictions are taken
    groups: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class CheckedStage:
    """A stage with its parts typed. Only fits and probes have an objective and a schedule of their own.

    kind: "fit", "evaluate", "probe", "score"; "combine" stands for a stage of another arm whose members' predictions are
    taken together; "import" for a file. `data` is None only for an import that does not say what it was measured on.
    """

    name: str
    kind: str
    place: Place
    data: Dataset | None
    data_name: str  # as the page calls it
    part: str = ""  # evaluate, score: the split it measures; combine: the split of the predictions
    checkpoint: str = (
        ""  # evaluate, score: which checkpoint of the fit before it; "" is the one it goes on from, or what a probe picked
    )
    objective: Objective | None = None
    model: Model | None = None
    head: Head | None = None
    schedule: Schedule | None = None
    keep: Keep = field(default_factory=Keep)
    origin: Origin = Origin("previous")
    onward: str = "best"  # fit: the checkpoint that what comes after it in the chain goes on from
    thaw: Thaw | None = None
    average: Average | None = None
    at: tuple[str, ...] = ()  # probe: the checkpoints it looks at
    at_range: At | None = None  # probe: a range of them, until the chain has written it out
    pick: Pick | None = None
    views: int | None = None  # probe: augmented views of an example that are kept; None: each epoch augments anew
    replicates: int = 1
    scores: tuple[Scores, ...] = ()  # what subsets of the data are chosen by
    imported: Imported | None = None
    combined: Combined | None = None
    rerun: str = ""  # the arm that asked for everything to be done again
    unbuilt: tuple[str, ...] = ()  # what of it this release can't run, in words
    model_name: str = ""  # as the page calls it
    model_place: Place | None = None
    written: nodes.Mapping | None = field(default=None, compare=False, repr=False)  # its text, what it names written out

    @property
    def trains(self) -> bool:
        """True when it has epochs of its own: metrics without a stage's name are read there."""
        return self.kind in ("fit", "probe")


@dataclass(frozen=True, slots=True)
class Growth:
    """Seeds that are added to an arm while claims on it are not decided."""

    stages: tuple[str, ...]  # those whose seeds grow: all that share the level
    min: int
    max: int
    alpha: float


@dataclass(frozen=True, slots=True)
class CheckedArm:
    """A chain of stages, and the seeds of each. Each point of a sweep is an arm of its own."""

    name: str  # "naive", "thaw[max_epochs=1,patience=3]"
    entry_id: str
    chain: tuple[CheckedStage, ...]
    baseline: bool
    seeds: Mapping[str, tuple[int, ...]]  # stage name -> seeds; stages that share a level have the same tuple
    levels: tuple[str, ...]  # the stages whose seeds were given, in chain order; empty: one level for the whole chain
    place: Place
    base: str = ""  # as the page names it: equal for all points of a sweep
    factors: Mapping[str, str] = field(default_factory=dict)  # factor of the sweep -> label of its value
    seeds_place: Place | None = None  # where its seeds were written; None where nobody did
    growth: Growth | None = None  # `seeds` has the first of them only

    def grown(self, n: int) -> CheckedArm:
        """The arm with `n` of the seeds that are added as needed, within their bounds; itself where none are."""
        if self.growth is None:
            return self
        seeds = tuple(range(min(max(n, self.growth.min), self.growth.max)))
        return replace(self, seeds={stage: seeds if stage in self.growth.stages else own for stage, own in self.seeds.items()})

    @property
    def whole(self) -> CheckedArm:
        """The arm with all the seeds that may be added to it."""
        return self if self.growth is None else self.grown(self.growth.max)

    @property
    def point(self) -> str:
        """What stands in the brackets of its name, "" where it is no point."""
        return self.name[len(self.base) + 1 : -1] if self.base and self.name != self.base else ""

    @property
    def main_stage(self) -> str:
        """The last fit or probe, or what stands for it: where metrics without a stage name are read."""
        trained = [stage.name for stage in self.chain if stage.trains]
        if trained:
            return trained[-1]
        return self.chain[0].name if self.chain[0].kind in ("combine", "import") else ""

    @property
    def evaluations(self) -> tuple[str, ...]:
        """The stages whose metrics have one value each: their names are those of their splits."""
        main = self.main_stage
        return tuple(s.name for s in self.chain if s.kind in ("evaluate", "combine", "import") and s.name != main)

    def stage(self, name: str) -> CheckedStage:
        """The stage called `name`. Raises KeyError."""
        return {stage.name: stage for stage in self.chain}[name]


@dataclass(frozen=True, slots=True)
class CheckedEntry:
    """An entry whose arms can be planned; `foreign` holds the arms of other entries that its claims speak of."""

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
    reached: Mapping[str, CheckedArm] = field(default_factory=dict)  # DATE/entry/arm -> every arm that was read for it
