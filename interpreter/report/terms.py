"""Metrics in the words of the field, for axes and headings: "val/rmse" is "validation RMSE"."""

from __future__ import annotations

from interpreter.spec.names import metric_ref

SPLITS = {"train": "training", "val": "validation", "test": "test"}
METRICS = {
    "loss": "loss",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "rmse": "RMSE",
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "r2": "R²",
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "precision": "precision, macro",
    "recall": "recall, macro",
    "f1": "F1, macro",
    "nll": "negative log-likelihood (nats)",
    "ece": "expected calibration error",
}
SHARES = frozenset({"accuracy", "balanced_accuracy", "precision", "recall", "f1"})


def metric_title(metric: str, task: str = "") -> str:
    """The axis title of a metric; `task` is the objective's type, which says what a loss is."""
    stage, split, name = metric_ref(metric)
    word = METRICS.get(name, name.replace("_", " "))
    if name == "loss" and task == "classification":
        word = "cross-entropy (nats)"
    title = f"{SPLITS.get(split, split)} {word}" if split else word
    return f"{title}, stage {stage}" if stage else title


def short_title(metric: str) -> str:
    """A metric in a few words: "validation RMSE"."""
    return metric_title(metric).split(" (")[0]


def is_share(metric: str) -> bool:
    """True for metrics between 0 and 1 that count a share of examples."""
    return metric_ref(metric)[2] in SHARES
