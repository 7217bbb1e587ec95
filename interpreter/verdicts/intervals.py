"""Intervals for the mean of the differences of one comparison: Student t, BCa bootstrap from 50 on, or a confidence sequence."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

from interpreter.check.anytime import half_width

Floats = npt.NDArray[np.float64]

BOOTSTRAP_FROM = 50  # replicates: below it BCa is too narrow (91 % instead of 95 % at n = 10)
RESAMPLES = 9999
_ROUNDING = 1e-12  # relative to the numbers compared
_CELLS = 4_000_000  # numbers held at a time while resampling


@dataclass(frozen=True, slots=True)
class Sample:
    """The differences of one claim, one per replicate, and what an interval for their mean is made from.

    `reference_se` is the standard error of the number compared with (0 where it is exact), `reference_df` its degrees
    of freedom. `same_record`: both sides are one and the same record, so that the differences are 0 by construction.
    `scale`: the largest of the numbers compared, which their differences are rounded relative to.
    `repeated`: the same was run twice, from equal seeds, and came out the same to the last digit each time. That is what a
    deterministic program does, no accident of the seeds, so an interval of no width is not a guess here.
    `anytime`: how many differences there are was decided by looking at them, so that the interval has to hold for any number.
    """

    differences: Floats
    reference_se: float = 0.0
    reference_df: float = math.inf
    same_record: bool = False
    scale: float = 0.0
    seed: int = 0  # of the bootstrap
    repeated: bool = False
    anytime: bool = False
    _cache: dict[float, tuple[float, float] | None] = field(default_factory=dict, compare=False, repr=False)

    @property
    def n(self) -> int:
        """Replicates."""
        return len(self.differences)

    @property
    def single(self) -> bool:
        """True with one replicate: an effect, and nothing on its spread."""
        return self.n == 1

    @property
    def mean(self) -> float:
        """The effect: the mean difference."""
        return float(np.mean(self.differences))

    @property
    def sd(self) -> float:
        """Standard deviation of the differences (n - 1 below), 0 for a single one and for ones equal to rounding."""
        if self.n < 2:
            return 0.0
        sd = float(np.std(self.differences, ddof=1))
        scale = max(self.scale, float(np.max(np.abs(self.differences))))
        return 0.0 if sd <= _ROUNDING * scale else sd

    @property
    def se(self) -> float:
        """Standard error of the effect; that of a reference is added in quadrature."""
        return math.hypot(self.sd / math.sqrt(self.n), self.reference_se)

    @property
    def df(self) -> float:
        """Degrees of freedom: n - 1, or Welch and Satterthwaite's where the reference has a spread too."""
        own, other = self.sd**2 / self.n, self.reference_se**2
        if other == 0:
            return self.n - 1.0
        return (own + other) ** 2 / (own**2 / (self.n - 1) + other**2 / self.reference_df)

    @property
    def constant(self) -> bool:
        """True when there are several differences and all are the same number: no spread to make an interval from."""
        return self.n > 1 and self.sd == 0.0

    @property
    def resampled(self) -> bool:
        """True when the interval is a bootstrap's."""
        return self.n >= BOOTSTRAP_FROM and not self.constant and self.reference_se == 0 and not self.anytime

    @property
    def dz(self) -> float | None:
        """Cohen's dz, the effect in standard deviations of the differences; None without a spread."""
        return self.mean / self.sd if self.sd > 0 else None

    def interval(self, level: float) -> tuple[float, float] | None:
        """The two-sided interval for the mean difference at `level`, or None where the data give none.

        None for one replicate, and for differences that do not vary: that n numbers are equal does not say that the
        next one is, and a width of zero would claim it. Only sides that are the same record are equal for certain.
        None, too, for so few that an interval which may be looked at after each of them is the whole line.
        """
        if level not in self._cache:
            self._cache[level] = self._interval(level)
        return self._cache[level]

    def _interval(self, level: float) -> tuple[float, float] | None:
        if self.n < 2:
            return None
        if self.same_record or self.repeated:
            return (self.mean, self.mean)
        if self.constant:
            return None
        if self.resampled:
            found = bca(self.differences, level, self.seed)
            if found is not None:
                return found
        half = self._anytime(level) if self.anytime else student(level, self.df) * self.se
        return (self.mean - half, self.mean + half) if math.isfinite(half) else None

    def _anytime(self, level: float) -> float:
        """Half the width at `level`, whatever the number of seeds; a reference that has a spread takes half of the error."""
        if self.reference_se == 0:
            return half_width(self.n, level) * self.sd
        share = (1 + level) / 2
        return half_width(self.n, share) * self.sd + student(share, self.reference_df) * self.reference_se


@dataclass(frozen=True, slots=True)
class Bracket(Sample):
    """One number per replicate that is known from below (`differences`) and from above (`upper`), not itself.

    The interval reaches from the lower bound of the one mean to the upper bound of the other, by Student's t with the larger
    of the two standard deviations: it covers whatever lies between the two expectations with at least its level. `mean` is
    that of `differences`.
    """

    upper: Floats = field(kw_only=True)

    @property
    def resampled(self) -> bool:
        """False: two means are bounded by one spread, for which there is no bootstrap here."""
        return False

    def _interval(self, level: float) -> tuple[float, float] | None:
        above = Sample(self.upper, scale=self.scale)
        sd = max(self.sd, above.sd)
        if self.n < 2 or sd == 0:
            return None
        # Two sequences that may each be looked at after every seed share the error.
        half = half_width(self.n, (1 + level) / 2) * sd if self.anytime else student(level, self.n - 1.0) * sd / math.sqrt(self.n)
        return (self.mean - half, above.mean + half) if math.isfinite(half) else None


@lru_cache(maxsize=1024)
def student(level: float, df: float) -> float:
    """Student's t: with `df` degrees of freedom, a share `level` of it is within this distance of 0."""
    return float(stats.t.ppf((1 + level) / 2, df))


def bca(values: Floats, level: float, seed: int) -> tuple[float, float] | None:
    """The BCa bootstrap interval for the mean of `values`, or None where it is degenerate. Equal seeds, equal result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns where the result is NaN: told by None here
        result = stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=RESAMPLES,
            batch=max(1, _CELLS // len(values)),
            vectorized=True,
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    lo, hi = float(result.confidence_interval.low), float(result.confidence_interval.high)
    return (lo, hi) if math.isfinite(lo) and math.isfinite(hi) else None


def spread_limit(sd: float, n: int, level: float = 0.95) -> float:
    """The one-sided upper confidence limit at `level` of a standard deviation seen as `sd` in n replicates."""
    return sd * math.sqrt((n - 1) / float(stats.chi2.ppf(1 - level, n - 1)))


def replicates_needed(sd: float, margin: float, alpha: float, reference_se: float = 0.0, power: float = 0.8) -> int | None:
    """Replicates with which no difference at all would be told from one of `margin`, with probability `power`.

    The smallest n with (t + z) se <= margin: t of the two-sided interval at 1 - alpha, z of the chance that its centre
    falls near enough to 0 for both ends to stay within the margin. None where no number is enough.
    """
    z = float(stats.norm.ppf((1 + power) / 2))

    def enough(n: int) -> bool:
        t = float(stats.t.ppf(1 - alpha / 2, n - 1))
        return (t + z) * math.hypot(sd / math.sqrt(n), reference_se) <= margin

    if margin <= 0:
        return None
    high = 2
    while not enough(high):
        high *= 2
        if high > 1_000_000:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle >= 2 and enough(middle) else (middle, high)
    return high
