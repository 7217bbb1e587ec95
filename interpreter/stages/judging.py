"""Which epoch is the best so far, and when a fit ends early."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from interpreter.errors import StageFailed
from interpreter.spec.metrics import METRICS


@dataclass
class Progress:
    """Where a fit is. Everything here is in its checkpoints."""

    epoch: int = 0  # epochs finished
    step: int = 0
    best: dict[str, Any] | None = None  # metric, value, epoch
    stopping: dict[str, Any] = field(default_factory=lambda: {"value": None, "wait": 0})  # of early stopping
    reported: list[str] = field(default_factory=list)  # findings told once

    def restart_stopping(self, forget: bool) -> None:
        """A phase begins: early stopping counts its epochs anew, and with `forget` from no value."""
        self.stopping = {"value": None if forget else self.stopping["value"], "wait": 0}


def check_splits(splits: Collection[str], read: Collection[str], best: str, monitor: str) -> None:
    """Raises: StageFailed when `best`, or `monitor` ("" is none), is a metric of a split that a fit does not read, or has not."""
    if "train" not in splits:
        raise StageFailed(f"the data has no train split, only {', '.join(splits)}")
    for metric, use, key in (
        (best, "the best checkpoint is to be chosen", "keep: {best"),
        (monitor, "phases are watched", "thaw: {monitor"),
    ):
        split = metric.partition("/")[0]
        if split and split not in read:
            raise StageFailed(
                f"{use} by {metric}, and the data has no {split} split",
                hint=f"give the dataset one, or say `{key}: train/loss}}`",
            )


def judge(progress: Progress, epoch: int, metrics: Mapping[str, float], metric: str, schedule: Mapping[str, Any]) -> bool:
    """Update best-so-far and early stopping; True when `epoch` is the best by `metric`. Of equal ones the earliest stays.

    Raises: StageFailed when there is no such metric.
    """
    value = value_of(metrics, metric)
    is_best = math.isfinite(value) and (progress.best is None or better(metric, value, progress.best["value"]))
    if is_best:
        progress.best = {"metric": metric, "value": value, "epoch": epoch}
    rule = schedule["early_stopping"]
    if rule:
        watched, state = rule["monitor"], progress.stopping
        value = value_of(metrics, watched)
        if math.isfinite(value) and (state["value"] is None or better(watched, value, state["value"], rule["min_delta"])):
            state |= {"value": value, "wait": 0}
        else:
            state["wait"] += 1
    return is_best


def stops(progress: Progress, schedule: Mapping[str, Any]) -> str:
    """Why a fit ends before its planned epochs, or "" when it does not."""
    rule = schedule["early_stopping"]
    return "early stopping" if rule and progress.stopping["wait"] >= rule["patience"] else ""


def lower_is_better(metric: str) -> bool:
    """True when lower values of `metric` (split/name) are better. Raises: StageFailed for an unknown one."""
    info = METRICS.get(metric.split("/")[-1])
    if info is None:
        raise StageFailed(f"whether higher or lower is better is not known for {metric}")
    return info.better == "lower"


def value_of(metrics: Mapping[str, float], name: str) -> float:
    """The value of a metric (split/name). Raises: StageFailed when there is none of that name."""
    if name not in metrics:
        raise StageFailed(f"there is no metric {name}", hint=f"there are: {', '.join(metrics)}")
    return metrics[name]


def better(metric: str, value: float, than: float, by: float = 0.0) -> bool:
    """True when `value` of `metric` improves on `than` by more than `by`; an equal value does not, nor does NaN."""
    return value < than - by if lower_is_better(metric) else value > than + by
