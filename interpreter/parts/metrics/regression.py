"""Metrics of numbers, over a whole split, in double precision. Outputs and targets are (N,)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def rmse(outputs: Floats, targets: Floats) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(np.square(outputs - targets).mean()))


def mae(outputs: Floats, targets: Floats) -> float:
    """Mean absolute error."""
    return float(np.abs(outputs - targets).mean())


def huber(outputs: Floats, targets: Floats, delta: float) -> float:
    """Mean of Huber's loss: half the square up to `delta`, linear beyond."""
    error = np.abs(outputs - targets)
    return float(np.where(error <= delta, 0.5 * error**2, delta * (error - 0.5 * delta)).mean())


def pearson(outputs: Floats, targets: Floats) -> float:
    """Linear correlation; NaN where either is constant, not finite, or there are fewer than two examples."""
    if len(outputs) < 2 or not (np.isfinite(outputs).all() and np.isfinite(targets).all()):
        return float("nan")
    if (outputs == outputs[0]).all() or (targets == targets[0]).all():
        return float("nan")
    a, b = outputs - outputs.mean(), targets - targets.mean()
    a, b = a / np.abs(a).max(), b / np.abs(b).max()  # so that squares of small or large numbers keep their digits
    return float(np.clip((a @ b) / np.sqrt((a @ a) * (b @ b)), -1, 1))


def spearman(outputs: Floats, targets: Floats) -> float:
    """Linear correlation of the ranks; NaN where `pearson` is."""
    if not (np.isfinite(outputs).all() and np.isfinite(targets).all()):
        return float("nan")
    return pearson(ranks(outputs), ranks(targets))


def ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs. Shape: (N,) -> (N,)."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place], dtype=np.float64)
