"""Shapes of curves as one number per trial, in the units of the metric. docs/verdicts.md has the formulas.

Curves here are (E,) floats, all finite, turned so that lower is better: a metric of which more is better is negated.
A *level* is the mean of k consecutive epochs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import lfilter

from interpreter.verdicts.intervals import Floats

BRACKETED = frozenset({"rises_after_min", "never_improves"})
"""Shapes whose number is never negative, and positive for noise alone: told by a bracket."""

LEAST = 3  # epochs of a curve that has a shape
_DRAWS = 500
_ORDER_LIMIT = 0.95  # of the autocorrelation: nearer to 1 a flat curve could wander anywhere
_NEIGHBOURS = 11  # differences, at least, whose mean is the course; a quarter of them in long curves
_KEPT = 0.8  # share of differences, those nearest to their median, that tell the noise
_OF_KEPT = 0.4377  # variance of a normal distribution's middle 80 %, where that of the whole is 1


@dataclass(frozen=True, slots=True)
class Shape:
    """The number of one curve: between `low` and `high`, which are equal where it is known itself."""

    low: float
    high: float


def stretch(epochs: int, over_last: int | None) -> int:
    """Epochs in the part of a curve that is looked at: as asked, else a tenth and at least ten; never more than there are."""
    return min(epochs, over_last if over_last is not None else max(10, epochs // 10))


def shape_of(name: str, curve: Floats, k: int, seed: int) -> Shape:
    """The number of the shape `name` of one curve with stretches of k epochs; `seed` is that of the simulated noise.

    rises_after_min: the last level less the lowest. never_improves: the first level less the lowest. Both are never
    negative, and in expectation too high by at most what a flat curve with this curve's noise has: that is taken off
    `low`. plateaus and still_improving: how far the least-squares line through the last k epochs falls from the
    first of them to the last; stagnant_first: the same of the first k.
    """
    if name not in BRACKETED:
        part = curve[:k] if name == "stagnant_first" else curve[-k:]
        fall = -slope(np.arange(len(part), dtype=np.float64), part) * (len(part) - 1)
        return Shape(fall, fall)
    levels = moving_mean(curve, k)
    high = float(levels[-1 if name == "rises_after_min" else 0] - levels.min())
    # A stationary noise looks the same backwards: the expectation is one for both ends.
    return Shape(high - expected_of_noise(curve, k, seed), high)


def slope(x: Floats, y: Floats) -> float:
    """The least-squares slope of y on x; x has two different values at least."""
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))


def moving_mean(curve: Floats, k: int) -> Floats:
    """The means of k consecutive values along the last axis."""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(curve, k, axis=-1).mean(axis=-1), dtype=np.float64)


def noise_of(curve: Floats) -> tuple[float, float]:
    """Standard deviation and lag-1 autocorrelation of the noise about a curve's course, taken as an AR(1).

    Of an AR(1) the differences at lag 1 have the variance 2 s^2 (1 - r) and those at lag 2 2 s^2 (1 - r^2): their ratio is
    1 + r. The course is taken out of them as the mean of a quarter of the differences, those around (11 at least), and the
    middle 80 % of what is left tell, so that a bend does not count as noise; what remains of the course makes s and r larger,
    and the claim harder to support. r is held between 0 and 0.95.
    """
    one = _variance(curve[1:] - curve[:-1])
    two = _variance(curve[2:] - curve[:-2])
    if one == 0:
        return 0.0, 0.0
    order = min(max(two / one - 1.0, 0.0), _ORDER_LIMIT)
    return math.sqrt(one / (2.0 * (1.0 - order))), order


def expected_of_noise(curve: Floats, k: int, seed: int) -> float:
    """The expectation of last level - lowest level for a flat curve as long, and as noisy, as `curve`; by simulation."""
    sd, order = noise_of(curve)
    if sd == 0 or k >= len(curve):
        return 0.0
    white = np.random.default_rng(seed).standard_normal((_DRAWS, len(curve)))
    white[:, 1:] *= math.sqrt(1.0 - order**2)  # so that every epoch has the same spread
    levels = moving_mean(np.asarray(lfilter([1.0], [1.0, -order], white, axis=-1)), k)
    # The last level is 0 on the average: leaving out its draw takes its noise out of the simulated mean.
    return sd * float(-levels.min(axis=-1).mean())


def _variance(differences: Floats) -> float:
    """The variance of `differences` about their course, without those far out, as if the rest were the middle of a normal
    distribution."""
    about = differences - uniform_filter1d(
        differences, min(max(_NEIGHBOURS, len(differences) // 4), len(differences)), mode="nearest"
    )
    distances = np.sort(np.abs(about - np.median(about)))
    kept = distances[: max(1, round(_KEPT * len(distances)))]
    return float(np.mean(kept**2)) / _OF_KEPT
