"""Measures: how one number is read off a trial's history. Computed from the record, never while training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from interpreter.spec.base import Config


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


class Measure(Config):
    """One scalar per trial, read off the history of a metric."""

    metric: str
    """`[stage.]split/name`; without a stage, that of the arm's last fit."""
    read: Literal["best", "last", "stable_min", "stable_max"] | None = None
    """best: the best epoch. last: the last epoch. stable_min / stable_max: the lowest / highest mean of `window`
    consecutive epochs of the smoothed curve. Default: best, or last for a stage without epochs."""
    at: str | None = None
    """Another measure: read at the epoch that one chose."""
    smooth: Smooth | None = None
    """Smoothing before stable_min and stable_max (best and last read the raw curve unless it is given)."""
    window: int = Field(default=10, ge=1)
    """Epochs that stable_min and stable_max average; cut to the curve's length, and said so."""
    epochs: tuple[int, int] | None = None
    """First and last epoch to look at, counted from 1, both included."""

    @model_validator(mode="after")
    def _consistent(self) -> Measure:
        if self.at is not None and self.read is not None:
            raise ValueError("`at` reads at another measure's epoch: leave out `read`")
        if self.epochs is not None and not 1 <= self.epochs[0] <= self.epochs[1]:
            raise ValueError("epochs: [first, last] with 1 <= first <= last")
        return self


class Reference(Config):
    """A number from elsewhere, with where it comes from: `rmse: 1.67` and the like, by measure's name, in `values`."""

    values: dict[str, float] = Field(min_length=1)
    """Measure's name -> value. Written flat on the page."""
    source: str
    """Where the number comes from."""
    split: str | None = None
    """The split it was measured on; a claim that compares another split is unfair."""
    data: str | None = None
    """The dataset it was measured on; a claim that compares another is unfair."""
    n: int | None = Field(default=None, ge=1)
    """How many runs it is the mean of."""
    sd: float | None = Field(default=None, ge=0)
    """Their standard deviation, where known; without it the reference is taken as exact, and the verdict says so."""
