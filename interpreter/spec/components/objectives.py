"""Config classes of the objectives: what is minimized, and which metrics come of it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from interpreter.spec.components.contract import Objective


class Classification(Objective):
    """Cross-entropy over classes. Trivial rule to beat: the most frequent training class, or the class frequencies."""

    task: ClassVar[str] = "classification"
    metrics: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "top5", "nll", "brier", "ece", "precision", "recall", "f1")

    type: Literal["classification"] = "classification"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each target spread evenly over all classes, in the loss only: `nll` is always without."""


class Regression(Objective):
    """Error of one or several numbers, in the units of the targets. Trivial rule to beat: the training mean."""

    task: ClassVar[str] = "regression"
    metrics: ClassVar[tuple[str, ...]] = ("loss", "rmse", "mae", "pearson", "spearman")

    type: Literal["regression"] = "regression"
    loss: Literal["mse", "mae", "huber"] = "mse"
    """What is minimized: squared error, absolute error, or Huber's mixture of both."""
    huber_delta: Annotated[float, Field(gt=0)] = 1.0
    """Where Huber's loss turns from squared to absolute, in units of the targets; means nothing for the other losses."""
