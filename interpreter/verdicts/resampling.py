"""Intervals for a statistic of examples: jackknife with Student t while they are few, BCa bootstrap from 50 on.

A *unit* is what is drawn: an example, or a cluster of them. Units of a population are drawn with replacement, as many as
there are; several populations (the original and the shifted data) independently of each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from interpreter.verdicts.intervals import BOOTSTRAP_FROM

Floats = npt.NDArray[np.float64]

DRAWS = 10_000
_CELLS = 4_000_000  # numbers held at a time while drawing
_ROUNDING = 1e-12  # relative to what is added up

Statistic = Callable[[Sequence[Floats]], Floats]
"""From the means of every population's columns, each (B, C), to B values."""


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """What n units add to each of C columns: sums over the examples of each unit (C, n), and how many those are (n,)."""

    sums: Floats
    sizes: Floats

    @property
    def n(self) -> int:
        """Units."""
        return len(self.sizes)

    def means(self) -> Floats:
        """The mean over all examples of each column. Shape: (1, C)."""
        return np.asarray(self.sums.sum(axis=1) / self.sizes.sum(), dtype=np.float64)[None, :]

    def without_one(self) -> Floats:
        """The means with each unit left out in turn. Shape: (n, C)."""
        left = self.sums.sum(axis=1)[None, :] - self.sums.T
        return np.asarray(left / (self.sizes.sum() - self.sizes)[:, None], dtype=np.float64)

    def drawn(self, draws: int, rng: np.random.Generator) -> Floats:
        """The means over units drawn with replacement, `draws` times. Shape: (draws, C)."""
        rows = np.vstack([self.sums, self.sizes])
        kinds, counts = np.unique(rows, axis=1, return_counts=True)
        # Few kinds of units (right or wrong at each of some seeds): how often each kind is drawn is all that matters.
        few = 10 * kinds.shape[1] <= self.n
        used = kinds if few else rows
        totals = np.empty((draws, len(rows)))
        size = max(1, _CELLS // used.shape[1])
        for first in range(0, draws, size):
            count = min(size, draws - first)
            if few:
                times = rng.multinomial(self.n, counts / self.n, size=count)
            else:
                places = rng.integers(self.n, size=(count, self.n)) + np.arange(count)[:, None] * self.n
                times = np.bincount(places.ravel(), minlength=count * self.n).reshape(count, self.n)
            totals[first : first + count] = times @ used.T
        return np.asarray(totals[:, :-1] / totals[:, -1:], dtype=np.float64)


class Resampled:
    """A statistic of populations of examples, with its standard error and intervals. Equal seeds, equal intervals."""

    def __init__(self, populations: Sequence[Population], statistic: Statistic, seed: int) -> None:
        self.populations, self._statistic, self._seed = tuple(populations), statistic, seed
        means = [population.means() for population in self.populations]
        self.value = float(statistic(means)[0])
        self._influences = []
        self._parts: list[tuple[float, int]] = []  # variance of the statistic by population, and its units
        self._rounding = _ROUNDING * max((float(np.abs(m).max(initial=0.0)) for m in means), default=0.0)
        for p, population in enumerate(self.populations):
            n = population.n
            if n < 2:
                continue
            varied = [np.repeat(m, n, axis=0) if q != p else population.without_one() for q, m in enumerate(means)]
            without = statistic(varied)
            spread = without.mean() - without
            spread[np.abs(spread) <= self._rounding] = 0.0
            self._influences.append((n - 1) / n * spread)
            self._parts.append(((n - 1) / n * float(np.square(spread).sum()), n))
        self._draws: Floats | None = None

    @property
    def n(self) -> int:
        """Units of the smallest population."""
        return min(population.n for population in self.populations)

    @property
    def variance(self) -> float:
        """The variance of the statistic over other draws of examples, by the jackknife (Efron and Stein 1981)."""
        return sum(variance for variance, _ in self._parts)

    @property
    def df(self) -> float:
        """Degrees of freedom of the variance, by Welch and Satterthwaite; n - 1 for a single population."""
        below = sum(variance**2 / (n - 1) for variance, n in self._parts)
        return self.variance**2 / below if below > 0 else math.inf

    @property
    def resampled(self) -> bool:
        """True when the interval is a bootstrap's: with fewer units that is too narrow."""
        return self.n >= BOOTSTRAP_FROM

    def interval(self, level: float) -> tuple[float, float] | None:
        """The two-sided interval at `level`, or None where the units give none: fewer than two, or none unlike another."""
        if self.n < 2 or self.variance == 0 or not math.isfinite(self.variance):
            return None
        if self.resampled:
            return self._bca(level)
        half = float(stats.t.ppf((1 + level) / 2, self.df)) * math.sqrt(self.variance)
        return (self.value - half, self.value + half)

    def draws(self) -> Floats:
        """The statistic of DRAWS bootstrap samples."""
        if self._draws is None:
            rng = np.random.default_rng(self._seed)
            self._draws = self._statistic([population.drawn(DRAWS, rng) for population in self.populations])
        return self._draws

    def _bca(self, level: float) -> tuple[float, float]:
        """Bias-corrected and accelerated (Efron 1987), the acceleration over all populations together."""
        draws = self.draws()
        # Half of the draws that hit the value itself count as below it: a share of hits and misses ties often.
        off = draws - self.value
        below = ((off < -self._rounding).sum() + 0.5 * (np.abs(off) <= self._rounding).sum()) / len(draws)
        bias = float(stats.norm.ppf(min(max(below, 0.5 / len(draws)), 1 - 0.5 / len(draws))))
        parts = np.concatenate(self._influences)
        acceleration = float((parts**3).sum() / (6 * np.square(parts).sum() ** 1.5))
        z = stats.norm.ppf(np.array([(1 - level) / 2, (1 + level) / 2]))
        ends = stats.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
        lo, hi = np.quantile(draws, ends)
        return (float(lo), float(hi))
