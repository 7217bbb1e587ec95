"""The one table of metrics: which way is better, in what units, between what bounds, and how each is defined.

Every metric is computed over a whole split, in double precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What is to be known of a metric to read it, plot it and compare it."""

    better: Literal["higher", "lower"]
    unit: str  # "" for pure numbers and fractions, "nats", "target" for the units of the targets
    low: float | None  # the least it can be; None where there is no bound
    high: float | None
    description: str


METRICS: Mapping[str, MetricInfo] = MappingProxyType(
    {
        "loss": MetricInfo("lower", "", None, None, "the objective, averaged over all examples"),
        "accuracy": MetricInfo(
            "higher", "", 0.0, 1.0, "share of examples whose highest output is their class; ties go to the first"
        ),
        "top5": MetricInfo("higher", "", 0.0, 1.0, "share of examples whose class is among the five highest outputs; 1 for <= 5"),
        "nll": MetricInfo("lower", "nats", 0.0, None, "negative log-probability of the class, without label smoothing"),
        "brier": MetricInfo(
            "lower", "", 0.0, 2.0, "squared distance of probabilities from the class, summed over classes (0 to 2)"
        ),
        "ece": MetricInfo("lower", "", 0.0, 1.0, "expected calibration error of the highest probability, 15 bins of equal width"),
        "precision": MetricInfo(
            "higher", "", 0.0, 1.0, "mean over classes of right among predicted; 0 for a class never predicted"
        ),
        "recall": MetricInfo(
            "higher", "", 0.0, 1.0, "mean over classes of found among present; 0 for one predicted, not present"
        ),
        "f1": MetricInfo("higher", "", 0.0, 1.0, "mean over classes of the harmonic mean of precision and recall"),
        "big_accuracy": MetricInfo("higher", "", 0.0, 1.0, "accuracy of the wide network of an interpensemble by itself"),
        "member_accuracy": MetricInfo("higher", "", 0.0, 1.0, "mean over the members of an ensemble of each one's accuracy"),
        "disagreement": MetricInfo(
            "higher", "", 0.0, 1.0, "share of examples on which two members predict different classes, mean over all pairs"
        ),
        "rmse": MetricInfo("lower", "target", 0.0, None, "root of the mean squared error"),
        "mae": MetricInfo("lower", "target", 0.0, None, "mean absolute error"),
        "pearson": MetricInfo("higher", "", -1.0, 1.0, "linear correlation of outputs and targets; NaN where either is constant"),
        "spearman": MetricInfo(
            "higher", "", -1.0, 1.0, "correlation of ranks, ties sharing the mean; NaN where either is constant"
        ),
    }
)
