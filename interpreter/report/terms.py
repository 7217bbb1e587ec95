"""Metrics in the words of the field, for axes and headings: "val/rmse" is "validation RMSE"."""

from __future__ import annotations

from interpreter.report.words import number
from interpreter.spec.measures import Measure
from interpreter.spec.names import metric_ref
from interpreter.spec.robustness import FittedLine

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
RESOURCES = {
    "it_per_s": "optimizer steps a second",
    "seconds": "seconds an epoch",
    "rss_mb": "resident memory (MB)",
    "workers_mb": "memory of loader processes (MB)",
    "wait_s": "seconds an epoch that training waited for data",
}
READINGS = {
    "best": "best epoch",
    "last": "last epoch",
    "stable_min": "lowest stable mean",
    "stable_max": "highest stable mean",
    "auc": "mean over epochs",
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


def rule_title(rule: str) -> str:
    """A trivial rule, as a row of a table or beside a line: "trivial: ligand size"."""
    return f"trivial: {rule.replace('_', ' ')}"


def short_title(metric: str) -> str:
    """A metric in a few words: "validation RMSE"."""
    return metric_title(metric).split(" (")[0]


def measure_title(measure: Measure) -> str:
    """What a measure reads, as an axis title: "validation RMSE, lowest stable mean"."""
    if measure.resource is not None:
        return f"{RESOURCES[measure.resource]}, {measure.read or 'median'} over epochs"
    if measure.phase is not None:
        return f"length of phase {measure.phase} (epochs)"
    if measure.effective_robustness is not None:
        e = measure.effective_robustness
        line = f"{e.line.fit} fit to {', '.join(e.line.to)}" if isinstance(e.line, FittedLine) else e.line
        return f"effective robustness: {short_title(e.out)} above the line over {short_title(e.in_)} ({line})"
    title = metric_title(measure.metric or "")
    if measure.read == "epochs_to":
        title = f"epochs until {title} reaches {number(measure.value)}"
    read = f"at the epoch of {measure.at}" if measure.at else READINGS.get(measure.read or "", "")
    title += f", {read}" if read else ""
    return title if measure.over is None else f"1 where above {number(measure.over)}, else 0: {title}"


def is_share(metric: str) -> bool:
    """True for metrics between 0 and 1 that count a share of examples."""
    return metric_ref(metric)[2] in SHARES
