"""Class by class choice of examples: validation drawn from train, and label budgets. Nested, and the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from interpreter.parts.random import uniform

Ints = NDArray[np.int64]


def ranks(classes: Ints, names: Ints, stream: int) -> Ints:
    """Place of each example in a random order of its class, from 0.

    `names` are numbers that stand for the examples whatever else is in the dataset, so that leaving out a class does not
    change what is drawn from the others.

    Shape: (N,) from (N,) and (N,).
    """
    luck = uniform(stream, 0, names, 1)[:, 0]
    order = np.lexsort((names, luck, classes))
    place = np.empty(len(classes), dtype=np.int64)
    counts = np.unique(classes, return_counts=True)[1]
    place[order] = np.concatenate([np.arange(c) for c in counts]) if len(counts) else order
    return place


def share(classes: Ints, names: Ints, stream: int, fraction: float, *, leave: int = 0) -> NDArray[np.bool_]:
    """Which examples belong to a share of each class, rounded; a smaller share is a subset of a larger one.

    It is at least one of each class, then at most all but `leave`.
    """
    present = np.bincount(classes)
    counts = np.maximum(1, np.floor(present * fraction + 0.5)).astype(np.int64)
    return _chosen(classes, names, stream, np.minimum(counts, np.maximum(0, present - leave)))


def at_most(classes: Ints, names: Ints, stream: int, number: int) -> NDArray[np.bool_]:
    """Which examples belong to the first `number` of each class."""
    return _chosen(classes, names, stream, np.full(int(classes.max()) + 1, number, dtype=np.int64))


def exactly(classes: Ints, names: Ints, stream: int, total: int) -> NDArray[np.bool_]:
    """Which examples belong to a choice of `total`, shared out over the classes in proportion (largest remainder)."""
    ideal = np.bincount(classes) * (total / len(classes))
    counts = np.floor(ideal).astype(np.int64)
    remainder = np.argsort(-(ideal - counts), kind="stable")
    counts[remainder[: total - int(counts.sum())]] += 1
    return _chosen(classes, names, stream, counts)


def _chosen(classes: Ints, names: Ints, stream: int, counts: Ints) -> NDArray[np.bool_]:
    chosen: NDArray[np.bool_] = ranks(classes, names, stream) < counts[classes]
    return chosen
