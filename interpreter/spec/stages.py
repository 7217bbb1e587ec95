"""What a stage may say besides its parts: what it keeps and starts from, how it thaws, what it probes, scores and picks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from interpreter.spec.base import Config
from interpreter.spec.components.schedules import AnyRateRule, Plateau
from interpreter.spec.names import CHECKPOINT


class Keep(Config):
    """Which checkpoints of a fit stay: the best by a metric and the last always, every N epochs on request."""

    best: str = "val/loss"
    """The metric that chooses the best checkpoint, `split/name`; of equal ones the earliest."""
    every: int | None = Field(default=None, ge=1)
    """Also keep every N-th epoch."""
    last: Literal[True] = True
    """The last checkpoint is always kept."""


class Start(Config):
    """Where a fit's weights come from, when not from the fit before it in the chain."""

    source: str | None = Field(default=None, alias="from")
    """A checkpoint of something run: `stage@best`, `arm[point].stage@last`, `DATE/entry/arm.stage@best`."""
    take: Literal["encoder", "encoder-only", "all"] = "encoder"
    """encoder: the encoder, and the head when its settings are equal. encoder-only: never the head. all: both, or an error."""
    new_channels: Literal["error", "zero"] = "error"
    """Input channels that the earlier model did not have, which come last: an error, or weights of zero for them."""
    file: str | None = None
    """A weights file, as a data source's name or a path from the project's root."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """The file's sha256: identity, since the file's place is not."""
    map: dict[str, str] | None = None
    """Parameter names of the file -> ours, by prefix: `{backbone.: encoder.}`."""

    @model_validator(mode="after")
    def _one(self) -> Start:
        if (self.source is None) == (self.file is None):
            raise ValueError("give exactly one of `from` and `file`")
        if (self.file is None) != (self.sha256 is None):
            raise ValueError("`file` and `sha256` go together: the hash is what makes it the same file")
        if self.map is not None and self.file is None:
            raise ValueError("`map` renames what is in a `file`; there is none")
        return self


class Phase(Config):
    """One phase of a thaw with settings of its own; what it doesn't say is the stage's."""

    groups: list[str] | Literal["all"]
    """Named groups of the model that train from here on, globs allowed: [head, "layer4*"]; or all."""
    max_epochs: int | None = Field(default=None, ge=1)
    """Its length at most."""
    until_epoch: int | None = Field(default=None, ge=1)
    """The epoch of the fit by which it ends."""
    patience: int | None = Field(default=None, ge=1)
    """Epochs without improvement after which it ends."""
    lr: float | None = Field(default=None, gt=0)
    """Peak learning rate of what thaws here. Absent: the stage's."""
    lr_schedule: AnyRateRule | None = None
    """How the rate moves over the phase. Absent: the stage's rule goes on."""
    weight_decay: float | None = Field(default=None, ge=0)
    """Weight decay of what thaws here. Absent: the stage's."""

    @model_validator(mode="after")
    def _closed_form(self) -> Phase:
        if isinstance(self.lr_schedule, Plateau):
            raise ValueError("a plateau watches the whole fit: it belongs to the schedule, not to a phase")
        return self


class Layers(Config):
    """Thaw from the head downward, so many at a time: exactly one of the two."""

    layers: int | None = Field(default=None, ge=1)
    """Named layers of the model thawed with each phase."""
    tensors: int | None = Field(default=None, ge=1)
    """Parameter tensors thawed with each phase."""

    @model_validator(mode="after")
    def _one(self) -> Layers:
        if (self.layers is None) == (self.tensors is None):
            raise ValueError("give exactly one of layers, tensors")
        return self


class Phases(Config):
    """Thaw by hand, phase by phase."""

    phases: Annotated[list[list[str] | Literal["all"] | Phase], Field(min_length=1)]
    """What trains in each phase: named groups, `all`, or a mapping with settings of the phase."""


class Thaw(Config):
    """Which parameters train when. Absent: all of them, from the start."""

    by: Literal["none", "frozen"] | Layers | Phases = "none"
    """none: all train. frozen: only the head. {layers: k}, {tensors: k}: downward from the head. {phases: [...]}: by hand."""
    max_epochs: int | None = Field(default=None, ge=1)
    """Length of a phase at most, in epochs."""
    until_epoch: int | None = Field(default=None, ge=1)
    """The epoch of the fit by which the first phase ends; further ones are equally long."""
    patience: int | None = Field(default=None, ge=1)
    """Epochs without improvement after which a phase ends; whichever of the ends comes first."""
    monitor: str = "val/loss"
    """The metric that patience watches, `split/name`."""
    min_delta: float = Field(default=0.0, ge=0)
    """What it must improve by to count."""
    best: Literal["phase", "global"] = "phase"
    """What improvement is counted from: the phase's own best, or the best of the whole fit."""
    restore_best: bool = False
    """Go back to the best weights at the end of a phase."""
    cumulative: bool = True
    """Groups thawed earlier stay thawed."""
    norm: Literal["eval", "batch", "track"] = "eval"
    """Frozen normalization layers: use running statistics; normalize by the batch; or also go on tracking."""
    lr: float | None = Field(default=None, gt=0)
    """Peak learning rate of what thaws after the first phase. Absent: the stage's."""

    @field_validator("by", mode="before")
    @classmethod
    def _one_way(cls, value: Any) -> Any:
        """An arm that changes `by` merges with what the stage says: two ways at once are told as that."""
        both = [name for name in ("phases", "layers", "tensors") if isinstance(value, dict) and value.get(name) is not None]
        if len(both) > 1:
            raise ValueError(f"it says `{both[0]}` and `{both[1]}`: give one, and take the other away, `{both[0]}: off`")
        return value


class Average(Config):
    """Averaged weights, kept beside the trained ones and evaluated in their place: exactly one of the two."""

    ema: float | None = Field(default=None, gt=0, lt=1)
    """Exponential moving average: weight of the past at each step. Statistics of batch normalization are averaged likewise."""
    swa: int | None = Field(default=None, ge=1)
    """Stochastic weight averaging: mean over the ends of this many last planned epochs. Until the first of them the trained
    weights are evaluated; statistics of batch normalization are estimated anew, by a pass over training batches."""

    @model_validator(mode="after")
    def _one(self) -> Average:
        if (self.ema is None) == (self.swa is None):
            raise ValueError("give exactly one of ema, swa")
        return self


class At(Config):
    """Checkpoints of a fit, by their epochs."""

    from_: int = Field(alias="from", ge=1)
    """The first epoch."""
    every: int = Field(ge=1)
    """Steps between them, in epochs."""
    to: int | None = Field(default=None, ge=1)
    """The last epoch. Absent: the fit's end."""
    and_: Literal["best", "last"] | list[Literal["best", "last"]] | None = Field(default=None, alias="and")
    """Also these."""

    def count(self, epochs: int) -> int:
        """How many epochs are named, in a fit of so many."""
        return len(range(self.from_, (self.to or epochs) + 1, self.every))

    def rules(self, epochs: int) -> tuple[str, ...]:
        """The checkpoints' names in a fit of so many epochs, in order."""
        named = [self.and_] if isinstance(self.and_, str) else self.and_ or []
        return (*(f"epoch-{n}" for n in range(self.from_, (self.to or epochs) + 1, self.every)), *named)


class Pick(Config):
    """Which of the probed checkpoints is used from here on."""

    best: str = "val/accuracy"
    """The metric of the probe that chooses, `split/name`."""
    ties: Literal["earliest", "latest"] = "earliest"
    """Of equal ones."""


def _rule(value: Any) -> Any:
    if isinstance(value, str) and not CHECKPOINT.fullmatch(value):
        raise ValueError(f"a checkpoint is best, last or epoch-N, and this is `{value}`")
    return value


_Named = Annotated[str, Field(pattern=f"^({CHECKPOINT.pattern})$")]
Checkpoint = Annotated[str, BeforeValidator(_rule, json_schema_input_type=_Named)]
