"""The grammar of a page: every mapping that people write, as one strict model each. Fields stand in the order of `expt fmt`.

What is under `datasets`, `models`, `objectives` and `schedules` is in `components/`; these models hold what ties them
together. `check` reads pages by them, mapping by mapping, after names, `extends`, profiles and sweeps are resolved; the JSON
schema and docs/language.md are made from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from interpreter.spec.base import Config
from interpreter.spec.claim_forms import AnyClaim, WrittenWaiver
from interpreter.spec.combined import Combine
from interpreter.spec.components.models import Head
from interpreter.spec.imported import Import
from interpreter.spec.measures import Measure, Reference
from interpreter.spec.names import DATE, NAME, is_day
from interpreter.spec.stages import At, Average, Checkpoint, Keep, Pick, Start, Thaw
from interpreter.spec.views import Chart, SqlChart, SqlTable, Table


@dataclass(frozen=True, slots=True)
class Named:
    """Marks a field that names a component of a kind ("datasets", ...), or writes it out."""

    plural: str


Name = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$")]


def _day(value: str) -> str:
    if not is_day(value):
        raise ValueError(f"`{value}` is no day of the calendar, YYYY-MM-DD")
    return value


Day = Annotated[str, AfterValidator(_day), Field(json_schema_extra={"pattern": f"^{DATE.pattern}$"})]
DatasetRef = Annotated[str | dict[str, Any], Named("datasets")]
ModelRef = Annotated[str | dict[str, Any], Named("models")]
ObjectiveRef = Annotated[str | dict[str, Any], Named("objectives")]
ScheduleRef = Annotated[str | dict[str, Any], Named("schedules")]
Changes = dict[str, Any]


class WrittenFit(Config):
    """A stage that trains a model; it starts from the best checkpoint of the fit before it in the chain."""

    fit: ObjectiveRef
    """The objective that is minimized: its name, its type, or written out."""
    data: DatasetRef
    """The dataset it trains and validates on."""
    model: ModelRef
    """The encoder."""
    head: Head | None = None
    """What turns features into outputs. Absent: one linear layer."""
    schedule: ScheduleRef
    """Epochs, batch size, optimizer, learning rate."""
    start: Literal["random"] | Start | None = None
    """Where the weights come from. Absent: the best checkpoint of the fit before it in the chain, else random ones."""
    thaw: Thaw | None = None
    """Which parameters train when. Absent: all, from the start."""
    average: Average | None = None
    """Averaged weights. Absent: none."""
    keep: Keep | None = None
    """Which checkpoints stay. Absent: the best by val/loss, and the last."""
    metrics: list[str] | None = None
    """Metrics the page is about; all that the objective has are recorded anyway."""


class WrittenEvaluate(Config):
    """A stage that measures the weights before it on a split of a dataset; its name is the split's name on the page."""

    evaluate: DatasetRef
    """The dataset."""
    part: Literal["train", "val", "test"] | None = None
    """Which split of it. Absent: test where there is one, else val."""
    checkpoint: Checkpoint | None = None
    """Which checkpoint of the fit before it: best, last or epoch-N. Absent: best, or the one that the chain begins with; after a
    probe, the one it picked."""
    metrics: list[str] | None = None
    """Metrics the page is about; all that the objective has are recorded anyway."""


class WrittenProbe(Config):
    """A stage that trains a head on the frozen encoder of each of several checkpoints, and picks one of them."""

    probe: ObjectiveRef
    """The objective of the heads."""
    data: DatasetRef
    """The dataset they train and validate on."""
    head: Head | None = None
    """The heads. Absent: one linear layer."""
    schedule: ScheduleRef
    """How they are trained."""
    at: At | list[Checkpoint] | Checkpoint = "last"
    """The checkpoints of the fit before it: `{from: 700, every: 50, and: last}`, a list, or one."""
    pick: Pick | None = None
    """Which one is used from here on. Absent: the best by val/accuracy, of equal ones the earliest."""
    views: int | None = Field(default=None, ge=1)
    """How many augmented views of each training example are kept, and taken in turn: epoch e has view e modulo k. Absent: each
    epoch augments anew, and goes through the frozen encoders. Without augmentation features are kept in any case."""
    metrics: list[str] | None = None
    """Metrics the page is about."""


class WrittenScore(Config):
    """A stage that gives each example a difficulty by the weights before it: 1 - probability of its true class."""

    score: DatasetRef
    """The dataset whose examples are scored."""
    part: Literal["train", "val", "test"] = "train"
    """Which split of it."""
    replicates: int = Field(default=1, ge=1)
    """Draws of an example's noise and augmentation that its difficulty is the mean of."""
    checkpoint: Checkpoint | None = None
    """Which checkpoint of the fit before it: best, last or epoch-N. Absent: best, or the one that the chain begins with."""


class WrittenArm(Config):
    """An arm: a chain of stages, and what is different in it; with a sweep, one arm for each point."""

    chain: list[str] = Field(min_length=1)
    """Stages in order: names, or a result of an earlier sweep to go on from, `DATE/entry/arm[*].stage@best`."""
    baseline: bool = False
    """What the other arms are compared with; one arm at most."""
    set: Changes = Field(default_factory=dict)
    """Settings of this arm: path -> value, `stages.tune.head.dropout: 0.5`."""
    vary: dict[str, list[Any] | dict[str, Any]] = Field(default_factory=dict)
    """A sweep over all combinations: path -> values, as a list or as label: value."""
    zip: dict[str, list[Any] | dict[str, Any]] = Field(default_factory=dict)
    """A sweep of settings that change together: path -> values, lists of equal length."""
    points: dict[str, Changes] = Field(default_factory=dict)
    """A sweep point by point: label -> settings."""
    one_at_a_time: dict[str, list[Any] | dict[str, Any]] = Field(default_factory=dict)
    """A sweep around the arm as written: each value of each path alone."""
    rerun: bool = False
    """Do everything again, as a new attempt at the same thing: nothing done before is reused."""

    @model_validator(mode="after")
    def _one_star(self) -> WrittenArm:
        if self.one_at_a_time and (self.vary or self.zip or self.points):
            raise ValueError("`one_at_a_time` is a whole sweep: it doesn't go with vary, zip or points")
        return self


class Range(Config):
    """Seeds that go on from earlier ones."""

    from_: int = Field(alias="from", ge=0)
    """The first seed."""
    n: int = Field(ge=1, le=10_000)
    """How many."""


class Adaptive(Config):
    """Seeds added one by one, to the arms of claims that are not decided yet."""

    min: int = Field(ge=2)
    """Seeds at first: so many that an interval can be finite, which is 5 for one claim, 6 for two or three."""
    max: int = Field(ge=2, le=10_000)
    """Seeds at most."""
    until: Literal["decided"] = "decided"
    """What ends it: every claim over seeds is supported, equivalent or contradicted."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """The chance of a false verdict over all looks, shared equally among the claims of the entry."""

    @model_validator(mode="after")
    def _room(self) -> Adaptive:
        if self.max < self.min:
            raise ValueError("`max` is below `min`")
        return self


Count = Annotated[int, Field(ge=1, le=10_000)]


class WrittenUpdate(Config):
    """A dated remark, added later."""

    date: Day
    """The day of the remark."""
    text: str = Field(min_length=1)
    """The remark, Markdown."""
    entry: str | None = None
    """`DATE/name` of an entry that ran something for it."""


class WrittenOutcome(Config):
    """How the work ended when it did not end well."""

    status: Literal["failed", "abandoned"]
    """failed: it could not be finished. abandoned: it was not wanted any longer."""
    stage: str | None = None
    """The stage where it happened."""
    error: str | None = None
    """What the program said."""
    cause: str | None = None
    """What the author thinks it was."""
    see: str | list[str] | None = None
    """Entries that go on from here, `DATE/name`."""


Stage = str | WrittenFit | WrittenEvaluate | WrittenProbe | WrittenScore
AnyArm = list[str] | WrittenArm | Combine | Import


class WrittenEntry(Config):
    """One entry of a page: what is asked, what is compared, what is expected, what is shown; or, without arms, a note."""

    notebook: Name | None = None
    """The notebook it belongs to; `specs/notebooks/NAME.yaml` may hold its title, aim and order."""
    title: str | None = None
    """The title. Absent: the entry's name."""
    about: Day | None = None
    """The day the work was done, where it was not the page's."""
    question: str | None = None
    """What is asked, in a sentence."""
    notes: str | None = None
    """Markdown, with links to entries: `[text](2024-05-21/first-try)`."""
    stages: dict[Name, Stage] = Field(default_factory=dict)
    """The stages that arms are chains of; `DATE/entry#stage` takes the definition of another entry's."""
    assumed: list[str] = Field(default_factory=list)
    """Paths of settings that the notebook does not tell: `stages.lba.head.hidden`."""
    arms: dict[Name, AnyArm] = Field(default_factory=dict)
    """What is compared. Absent: the entry is a note, of `notes` and nothing that would be run or measured."""
    seeds: Count | Range | Adaptive | dict[Name, Count | Range | Adaptive] | None = None
    """How many replicates of each arm: a number, `{from: 5, n: 5}`, as many as claims need (`{min: 6, max: 20}`), or one of
    these for each stage. Absent: 1."""
    measures: dict[Name, Measure] = Field(default_factory=dict)
    """Numbers read off a trial's history."""
    references: dict[Name, Reference] = Field(default_factory=dict)
    """Numbers from elsewhere."""
    expect: dict[Name, AnyClaim] = Field(default_factory=dict)
    """What the author expects to see: claims, each of which gets a verdict."""
    allow: list[WrittenWaiver] = Field(default_factory=list)
    """Fairness rules that are knowingly broken, each with its reason."""
    charts: dict[Name, Chart | SqlChart] = Field(default_factory=dict)
    """Figures of the report."""
    tables: dict[Name, Table | SqlTable] = Field(default_factory=dict)
    """Tables of the report."""
    profiles: dict[Name, Changes] = Field(default_factory=dict)
    """Smaller versions of the entry: name -> path: value. Their results are never mixed with others."""
    updates: list[WrittenUpdate] = Field(default_factory=list)
    """Dated remarks."""
    conclusion: str | None = None
    """Markdown with `{{ verdict.NAME }}` and `{{ measure.ARM.NAME }}`."""
    concludes: dict[Name, str] = Field(default_factory=dict)
    """Claim -> the state its author concluded; the report says where that and the verdict differ."""
    outcome: WrittenOutcome | None = None
    """How the work ended when it did not end well."""


class WrittenPage(Config):
    """A page of the notebook: a dated file with definitions and entries."""

    expt: Literal[1]
    """Version of the language."""
    date: Day
    """The day of the page, which its file's name begins with."""
    title: str | None = None
    """Title of the page."""
    datasets: dict[Name, DatasetRef] = Field(default_factory=dict)
    """Datasets by name."""
    models: dict[Name, ModelRef] = Field(default_factory=dict)
    """Models by name."""
    objectives: dict[Name, ObjectiveRef] = Field(default_factory=dict)
    """Objectives by name."""
    schedules: dict[Name, ScheduleRef] = Field(default_factory=dict)
    """Schedules by name."""
    entries: dict[Name, WrittenEntry]
    """What was asked on that day."""


class WrittenNotebook(Config):
    """A notebook's own file, specs/notebooks/NAME.yaml."""

    expt: Literal[1]
    """Version of the language."""
    title: str
    """Its title."""
    aim: str | None = None
    """What it is for, Markdown."""
    discussion: str | None = None
    """What came of it, Markdown."""
    order: list[str] = Field(default_factory=list)
    """Entries, `DATE/name`, in the order they are read; others follow by date."""


STAGE_FORMS: dict[str, type[Config]] = {
    "fit": WrittenFit,
    "evaluate": WrittenEvaluate,
    "probe": WrittenProbe,
    "score": WrittenScore,
}
ARM_FORMS: dict[str, type[Config]] = {"chain": WrittenArm, "combine": Combine, "import": Import}


def keys(cls: type[Config]) -> tuple[str, ...]:
    """The keys of a form as they are written, in order."""
    return tuple(info.alias or name for name, info in cls.model_fields.items())
