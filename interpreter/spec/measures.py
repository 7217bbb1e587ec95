"""Measures: how one number is read off a trial's history. Computed from the record, never while training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from interpreter.spec.base import Config, since
from interpreter.spec.robustness import AnyLine

Epochs = Annotated[tuple[int, int], Strict(False)]
RESOURCES = ("it_per_s", "seconds", "rss_mb", "workers_mb", "wait_s")


class Smooth(Config):
    """How a curve is smoothed before it is read or drawn: exactly one of the two."""

    savgol: int | None = Field(default=None, ge=3)
    """Savitzky-Golay, order 2: window in epochs; an even one is raised by one, and cut to the curve's length."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Exponential moving average: weight of the past, 0 to 1."""

    @model_validator(mode="after")
    def _one(self) -> Smooth:
        if (self.savgol is None) == (self.ema is None):
            raise ValueError("give exactly one of savgol, ema")
        return self


class EffectiveRobustness(Config):
    """How far the accuracy on shifted data lies above what a baseline line says of the accuracy on the original data.

    Accuracy against accuracy; positive is above the line. Source: Taori et al. 2020; Andreassen et al. 2021; Miller et al. 2021.
    """

    in_: str = Field(alias="in")
    """Accuracy on the original data: `original/accuracy`."""
    out: str
    """Accuracy on the shifted data: `shifted/accuracy`."""
    line: AnyLine = "andreassen"
    """A published line, logit(out) = slope * logit(in) + intercept (`andreassen`: as credited in code, not checked in the paper),
    or one fitted to arms: `{fit: probit, to: [published]}`, from which the arm that is judged is left out."""
    version: Literal["v4", "v6"] = "v4"
    """The version of CIFAR-10.1 that the shifted data is; a published line is taken to be of v4."""


class Measure(Config):
    """One scalar per trial: off the history of a metric, a phase, a resource, or effective robustness."""

    metric: str | None = None
    """`[stage.]split/name`; without a stage, that of the arm's last fit or probe."""
    read: (
        Literal["best", "last", "stable_min", "stable_max", "auc", "epochs_to", "median", "mean", "min", "max", "total", "length"]
        | None
    ) = None
    """Of a metric - best: the best epoch. last: the last epoch. stable_min / stable_max: the lowest / highest mean of `window`
    consecutive epochs of the smoothed curve. auc: the mean over epochs (area over length). epochs_to: the first epoch that
    reaches `value`. Of a resource - median, mean, min, max, total. Of a phase - length, in epochs. Default: best, or last for a
    stage without epochs."""
    at: str | None = None
    """Another measure: read at the epoch that one chose."""
    smooth: Smooth | None = None
    """Smoothing before stable_min, stable_max, auc and epochs_to (best and last read the raw curve unless it is given)."""
    window: int = Field(default=10, ge=1)
    """Epochs that stable_min and stable_max average; cut to the curve's length, and said so."""
    epochs: Epochs | None = None
    """First and last epoch to look at, counted from 1, both included."""
    value: float | None = since(2, None, neutral=None)
    """epochs_to: what the metric must reach. A trial that never does has no such epoch, and says so."""
    over: float | None = since(2, None, neutral=None)
    """Turns the reading into 1 where it is above this and 0 where it isn't: an outcome that happened or didn't."""
    phase: int | None = since(2, None, neutral=None)
    """A phase of the arm's last fit, counted from 0."""
    resource: Literal["it_per_s", "seconds", "rss_mb", "workers_mb", "wait_s"] | None = since(2, None, neutral=None)
    """What an epoch of the arm's last fit took: optimizer steps a second, seconds, memory in MB of the process and of its
    loader processes, seconds that training waited for data."""
    effective_robustness: EffectiveRobustness | None = since(2, None, neutral=None)
    """How far accuracy under shift lies above a baseline line."""

    @model_validator(mode="after")
    def _consistent(self) -> Measure:
        kinds = {"metric": self.metric, "phase": self.phase, "resource": self.resource}
        given = [k for k, v in {**kinds, "effective_robustness": self.effective_robustness}.items() if v is not None]
        if len(given) != 1:
            raise ValueError("say what is read: exactly one of metric, phase, resource, effective_robustness")
        if self.at is not None and self.read is not None:
            raise ValueError("`at` reads at another measure's epoch: leave out `read`")
        if self.epochs is not None and not 1 <= self.epochs[0] <= self.epochs[1]:
            raise ValueError("epochs: [first, last] with 1 <= first <= last")
        if (self.read == "epochs_to") != (self.value is not None):
            raise ValueError("`read: epochs_to` and `value` go together: the epoch at which the metric first reaches it")
        allowed = {
            "metric": (None, "best", "last", "stable_min", "stable_max", "auc", "epochs_to"),
            "resource": ("median", "mean", "min", "max", "total"),
            "phase": ("length",),
            "effective_robustness": (None,),
        }[given[0]]
        if self.read not in allowed:
            known = ", ".join(word for word in allowed if word)
            raise ValueError(f"of a {given[0].replace('_', ' ')} one can read {known or 'nothing else'}")
        return self


class Reference(Config):
    """A number from elsewhere, with where it comes from: `rmse: 1.67` and the like, by measure's name, in `values`."""

    values: dict[str, float] = Field(min_length=1)
    """Measure's name -> value. Written flat on the page."""
    split: str | None = None
    """The split it was measured on; a claim that compares another split is unfair."""
    data: str | None = None
    """The dataset it was measured on; a claim that compares another is unfair."""
    n: int | None = Field(default=None, ge=1)
    """How many runs it is the mean of."""
    sd: float | None = Field(default=None, ge=0)
    """Their standard deviation, where known; without it the reference is taken as exact, and the verdict says so."""
    source: str
    """Where the number comes from."""
