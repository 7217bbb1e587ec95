"""Metrics of classes, over a whole split, in double precision. All take log-probabilities or predicted classes of N examples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 15  # of the calibration error
NONE = -1  # the predicted class of an example whose outputs are not numbers


def log_softmax(outputs: Floats) -> Floats:
    """Log-probabilities. Shape: (N, K) -> (N, K)."""
    with np.errstate(invalid="ignore"):  # infinite outputs give NaN, which is what they are worth
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float64)


def predicted(outputs: Floats) -> Ints:
    """The class with the highest output, the first of equals; NONE where an output is NaN, so that it is never right."""
    return np.where(np.isnan(outputs).any(axis=1), NONE, outputs.argmax(axis=1)).astype(np.int64)


def accuracy(classes: Ints, targets: Ints) -> float:
    """Share of examples whose predicted class is theirs."""
    return float((classes == targets).mean())


def top(outputs: Floats, targets: Ints, k: int) -> float:
    """Share of examples whose class is among the k highest outputs; of equal outputs the first is higher."""
    own = outputs[np.arange(len(targets)), targets][:, None]
    before = np.arange(outputs.shape[1])[None, :] < targets[:, None]
    above = (outputs > own) | ((outputs == own) & before)
    return float(((above.sum(axis=1) < k) & ~np.isnan(outputs).any(axis=1)).mean())


def nll(log_p: Floats, targets: Ints) -> float:
    """Mean negative log-probability of the class, in nats."""
    return float(-log_p[np.arange(len(targets)), targets].mean())


def smoothed(log_p: Floats, targets: Ints, smoothing: float) -> float:
    """Mean cross-entropy against targets of which a share is spread evenly over all classes."""
    return (1 - smoothing) * nll(log_p, targets) + smoothing * float(-log_p.mean())


def brier(log_p: Floats, targets: Ints) -> float:
    """Mean squared distance of the probabilities from the class, summed over classes: 0 to 2."""
    p = np.exp(log_p)
    p[np.arange(len(targets)), targets] -= 1
    return float(np.square(p).sum(axis=1).mean())


def ece(log_p: Floats, targets: Ints, bins: int = BINS) -> float:
    """Expected calibration error of the highest probability.

    Bins of equal width over 0..1, each with its upper end; the gaps between mean probability and share of right ones, weighted
    by the share of examples in the bin.
    """
    p = np.exp(log_p)
    confidence = p.max(axis=1)
    if np.isnan(confidence).any():
        return float("nan")
    right = (p.argmax(axis=1) == targets).astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(place, right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(targets))


def confusion(classes: Ints, targets: Ints, k: int) -> Ints:
    """Counts, true class by predicted class; examples predicted as NONE are in no column. Shape: (K, K)."""
    known = classes >= 0
    return np.bincount(targets[known] * k + classes[known], minlength=k * k).reshape(k, k).astype(np.int64)


def macro(table: Ints, targets: Ints) -> tuple[float, float, float]:
    """Precision, recall and F1, each the mean over classes that are present or predicted; 0 where one is not defined.

    Shape: table (K, K) as of `confusion`, targets (N,).
    """
    found = np.diag(table).astype(np.float64)
    said, there = table.sum(axis=0), np.bincount(targets, minlength=len(table))
    counted = (said + there) > 0
    precision = found / np.maximum(said, 1)
    recall = found / np.maximum(there, 1)
    f1 = 2 * found / np.maximum(said + there, 1)
    return float(precision[counted].mean()), float(recall[counted].mean()), float(f1[counted].mean())
