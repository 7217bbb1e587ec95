"""How a fit is optimized: epochs, batch size, optimizer, learning rate over time, clipping, precision, early stopping.

The learning rate is a closed form of the step (see `interpreter/parts/optim/rate.py`), never a recursion; what `plateau`
multiplies it by follows the metric it watches, and is kept in checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from interpreter.spec.base import Component, Config, since
from interpreter.spec.components.optimizers import Optimizer

_PERCENT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*%\s*$")


def _length(value: Any) -> Any:
    """A length of warm-up as written: a percentage is brought to one spelling, so that "30%" and "30.0 %" are the same."""
    if isinstance(value, str):
        match = _PERCENT.match(value)
        if match is None or not 0 <= float(match[1]) <= 100:
            raise ValueError("a warm-up is a number of epochs (5), a share of the fit (30%) or a number of steps ({steps: 500})")
        return f"{float(match[1]):g}%"
    if type(value) in (float, bool):
        raise ValueError("a warm-up in epochs is a whole number; a share of the fit is written with a % (30%)")
    return value


def share(percent: str) -> float:
    """The fraction a percentage stands for: "30%" is 0.3."""
    return float(percent.rstrip("%")) / 100


Monitor = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*/[a-z][a-z0-9_]*$")]


class Steps(Config):
    """A length counted in optimizer steps."""

    steps: Annotated[int, Field(ge=0)]
    """Optimizer steps; 0 and 1 both mean none."""


_Percent = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*%\s*$")]
Warmup = Annotated[
    Annotated[int, Field(ge=0)] | str | Steps,
    BeforeValidator(_length, json_schema_input_type=Annotated[int, Field(ge=0)] | _Percent | Steps),
]


class RateRule(Component):
    """How the learning rate moves between its warm-up and the end. The peak is the optimizer's `lr`."""

    model_config = ConfigDict(serialize_by_alias=True)

    warmup: Warmup = 0
    """A linear rise to the peak, step by step, at the start: whole epochs (5), a share of all steps (30%) or {steps: 500}.
    Of W steps the last is at the peak; a warm-up of 0 or 1 steps is none."""
    from_: Annotated[float, Field(ge=0, alias="from")] = 0.0
    """The learning rate (not a fraction) of the first warm-up step. Means nothing, and is refused, without a warm-up."""

    @model_validator(mode="after")
    def _from_needs_warmup(self) -> RateRule:
        if self.from_ > 0 and self.warmup in (0, "0%", Steps(steps=0)):
            raise ValueError("`from` is where a warm-up starts, and there is no `warmup`")
        return self

    def misfit(self, epochs: int, peak: float) -> str:
        """Why the rule can't be laid over so many epochs with this peak rate, "" where it can."""
        if isinstance(self.warmup, int) and self.warmup > epochs:
            return f"a warm-up of {self.warmup} epochs is longer than the fit of {epochs}"
        if self.from_ > peak:
            return f"the warm-up starts from {self.from_:g}, above the peak of {peak:g}"
        return ""

    def ends_at(self, peak: float) -> float | None:
        """The rate that a rule which goes down to an end has there; None for others."""
        return None


class Constant(RateRule):
    """The peak throughout, after the warm-up."""

    type: Literal["constant"] = "constant"


class Step(RateRule):
    """The peak, multiplied by `times` at each of the epochs `at`."""

    type: Literal["step"] = "step"
    at: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    """Whole epochs after which the rate drops, ascending: at 60 means from the 61st epoch on."""
    times: Annotated[float, Field(gt=0, lt=1)]
    """What the rate is multiplied by at each."""

    @model_validator(mode="after")
    def _ascending(self) -> Step:
        if any(b <= a for a, b in zip(self.at, self.at[1:], strict=False)):
            raise ValueError("`at` must be ascending epochs, each once")
        return self

    def misfit(self, epochs: int, peak: float) -> str:
        """Also a drop at or after the end."""
        if self.at[-1] >= epochs:
            return f"the rate drops at epoch {self.at[-1]}, and the fit ends at {epochs}: it would never happen"
        return super().misfit(epochs, peak)


class Cosine(RateRule):
    """Half a cosine from the peak, at the end of the warm-up, to the floor, at the end of the fit."""

    type: Literal["cosine"] = "cosine"
    floor: Annotated[float, Field(ge=0, le=1)] | None = None
    """Where the curve ends, as a fraction of the peak. Absent: at the rate the warm-up started `from` (0 without one)."""
    every: Literal["step", "epoch", "epoch_end"] = "step"
    """How often the rate moves: each step; each epoch, at the value the curve has where the epoch starts; or each epoch, at
    the value it has where the epoch ends (the first epoch is then below the peak, the last one at the floor)."""

    def ends_at(self, peak: float) -> float:
        """The floor."""
        return self.from_ if self.floor is None else self.floor * peak


class Polynomial(RateRule):
    """A power of what remains of the fit, from the peak, at the end of the warm-up, to the floor, at the end."""

    type: Literal["polynomial"] = "polynomial"
    power: Annotated[float, Field(gt=0)] = 1.0
    """The power; 1 is a straight line."""
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Where the curve ends, as a fraction of the peak."""

    def ends_at(self, peak: float) -> float:
        """The floor."""
        return self.floor * peak


class OneCycle(RateRule):
    """Up to the peak and down again, step by step, while momentum goes the other way (Smith & Topin 2018).

    Its rise is its `warmup`, with a start of its own. The first step is at `start`, the last at the floor.
    """

    type: Literal["one_cycle"] = "one_cycle"
    warmup: Warmup = "30%"
    """The rise: whole epochs (5), a share of all steps (30%) or {steps: 500}."""
    start: Annotated[float, Field(gt=0, le=1)] = 0.04
    """Where the rise begins, as a fraction of the peak."""
    floor: Annotated[float, Field(ge=0, lt=1)] = 4e-6
    """Where the fall ends, as a fraction of the peak."""
    shape: Literal["cosine", "linear"] = "cosine"
    """Form of the rise and of the fall."""
    momentum: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] | None = None
    """Momentum (or Adam's first beta) at the peak and at both ends: [0.85, 0.95]. Absent: it stays as it is."""

    @model_validator(mode="after")
    def _own_start(self) -> OneCycle:
        if self.from_ > 0:
            raise ValueError("a one-cycle rule begins at `start`, a fraction of the peak: leave `from` out")
        return self


class Cyclic(RateRule):
    """Up and down between a low rate and the peak, again and again, in straight lines (Smith 2017).

    It begins low, and moves step by step. It has no `warmup`: that is what `up` is.
    """

    type: Literal["cyclic"] = "cyclic"
    low: Annotated[float, Field(ge=0, lt=1)]
    """The low rate, as a fraction of the peak."""
    up: Annotated[int, Field(ge=1)]
    """Epochs from low to the peak."""
    down: Annotated[int, Field(ge=1)] | None = None
    """Epochs from the peak to low. Absent: as many as up."""
    times: Annotated[float, Field(gt=0, le=1)] = 1.0
    """What the height above low is multiplied by after each cycle; 0.5 halves it."""

    @model_validator(mode="after")
    def _own_rise(self) -> Cyclic:
        if self.warmup not in (0, "0%", Steps(steps=0)):
            raise ValueError("a cyclic rule rises by itself, over `up` epochs: leave `warmup` out")
        return self

    def misfit(self, epochs: int, peak: float) -> str:
        """Also a rise as long as the fit: its top would be the step after the last."""
        if self.up >= epochs:
            return f"a rise of {self.up} epochs, and the fit has {epochs}: it would never reach the peak"
        return super().misfit(epochs, peak)


class Plateau(RateRule):
    """The peak, multiplied by `times` whenever a metric has not improved for `patience` epochs.

    An epoch is an improvement when it is better than the best so far by more than `min_delta`; one without a number is none.
    After a drop the count begins anew, and the best stays what it was.
    """

    type: Literal["plateau"] = "plateau"
    monitor: Monitor = "val/loss"
    """The metric watched, as split/name; whether higher or lower is better follows from the metric."""
    times: Annotated[float, Field(gt=0, lt=1)]
    """What the rate is multiplied by."""
    patience: Annotated[int, Field(ge=1)]
    """Epochs in a row without improvement after which the rate drops."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """What the metric must improve by to count, in its own units."""
    cooldown: Annotated[int, Field(ge=0)] = 0
    """Epochs after a drop that don't count."""
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The rate never falls below this fraction of the peak."""

    def misfit(self, epochs: int, peak: float) -> str:
        """Also a patience that the fit is too short for."""
        if self.patience >= epochs:
            return f"a patience of {self.patience} epochs, and the fit has {epochs}: the rate would never drop"
        return super().misfit(epochs, peak)


AnyRateRule = Annotated[
    Constant | Step | Cosine | Polynomial | OneCycle | Cyclic | Plateau,
    Field(discriminator="type"),
]


class ClipNorm(Config):
    """Clipping of the gradient as a whole."""

    norm: Annotated[float, Field(gt=0)]
    """The gradient is scaled down to this Euclidean norm, over all parameters, when it is longer."""


class ClipValue(Config):
    """Clipping of the gradient number by number."""

    value: Annotated[float, Field(gt=0)]
    """Each component of the gradient is kept within minus and plus this."""


class EarlyStopping(Config):
    """Ends a fit that no longer improves."""

    monitor: Monitor = "val/loss"
    """The metric watched, as split/name; whether higher or lower is better follows from the metric."""
    patience: Annotated[int, Field(ge=1)]
    """Epochs in a row without improvement after which the fit ends."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """What the metric must improve by to count, in its own units."""


def _precision(value: Any) -> Any:
    return str(value) if type(value) is int else value


class Schedule(Config):
    """How long and how a model is fitted."""

    epochs: Annotated[int, Field(ge=1)]
    """Passes over the training split."""
    batch_size: Annotated[int, Field(ge=1)]
    """Examples of an optimizer step, over all devices together."""
    optimizer: Optimizer
    """The optimizer, by `type`, with its learning rate `lr`."""
    lr_schedule: AnyRateRule = Constant()
    """How the learning rate moves over the fit. Absent: it stays at `lr`."""
    clip: ClipNorm | ClipValue | None = None
    """Gradient clipping: {norm: 1.0} or {value: 0.5}. Absent: none."""
    precision: Annotated[
        Literal["32", "bf16", "16"], BeforeValidator(_precision, json_schema_input_type=Literal["32", "bf16", "16", 32, 16])
    ] = "32"
    """Arithmetic of the forward and backward pass: single, or mixed with bfloat16 or half."""
    early_stopping: EarlyStopping | None = None
    """Ends the fit when a metric stops improving. Absent: all epochs are run."""
    drop_last: bool = False
    """Leave out the last, smaller batch of each training epoch. Evaluation never leaves anything out."""
    accumulate: Annotated[int, Field(ge=1)] = since(1, 1, neutral=1)
    """Parts that a batch is worked through in, for memory; an optimizer step still is on `batch_size` examples."""
    lr_times: dict[str, Annotated[float, Field(ge=0)]] = since(1, {}, neutral={})
    """What the learning rate of named groups of the model is multiplied by, globs allowed: {head: 10, "conv*": 0.1}.
    What isn't named is multiplied by 1. A key that names no group, and a group that two keys name, are errors."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = since(1, 1.0, neutral=1.0)
    """What the learning rate is multiplied by with each layer downward from the head. 1 is the same rate for all.
    Layers are those that timm counts by in its models, else named groups of the model and, in a stack, its blocks."""

    @model_validator(mode="after")
    def _rate_fits(self) -> Schedule:
        if text := self.misfit(self.lr_schedule, self.epochs, self.peak_lr()):
            raise ValueError(text)
        if self.accumulate > self.batch_size:
            raise ValueError(f"a batch of {self.batch_size} can't be worked through in {self.accumulate} parts")
        return self

    def peak_lr(self) -> float:
        """The peak learning rate: `lr` as written, or scaled with the batch size."""
        return self.optimizer.peak_lr(self.batch_size)

    def misfit(self, rule: RateRule, epochs: int, peak: float) -> str:
        """Why a rate rule, this schedule's or a phase's own, can't be laid over so many epochs, "" where it can."""
        if isinstance(rule, OneCycle) and rule.momentum is not None and not self.optimizer.has_momentum():
            return (
                f"a one-cycle rule with `momentum` needs an optimizer that has one, or betas, and {self.optimizer.type} has not"
            )
        return rule.misfit(epochs, peak)

    def lr_patterns(self, groups: Iterable[str]) -> dict[str, str]:
        """Which key of `lr_times` each of the model's named groups goes by; groups that none names are left out.

        Raises: ValueError, in words, for a key that names no group, and for a group that several keys name.
        """
        found: dict[str, str] = {}
        groups = tuple(groups)
        for pattern in self.lr_times:
            named = [group for group in groups if fnmatchcase(group, pattern)]
            if not named:
                raise ValueError(f"`lr_times` names `{pattern}`, and no group of the model is called so")
            for group in named:
                if group in found:
                    raise ValueError(f"`lr_times` names the group `{group}` twice, as `{found[group]}` and as `{pattern}`")
                found[group] = pattern
        return found
