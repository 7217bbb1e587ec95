"""McNemar's exact test: whether of two models the one is right where the other is wrong more often than the other way round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats


@dataclass(frozen=True, slots=True)
class McNemar:
    """Examples by which of two models got them right, and the p-value of the discordant ones; 1 where there are none."""

    both: int
    only_left: int
    only_right: int
    neither: int
    p: float

    @property
    def words(self) -> str:
        """The test in words."""
        n = self.both + self.only_left + self.only_right + self.neither
        if not self.only_left + self.only_right:
            return f"no example of {n:,} that only one side has right"
        discordant = f"{self.only_left:,} right on the left only, {self.only_right:,} on the right only"
        return f"{discordant} ({self.both:,} on both, {self.neither:,} on neither, of {n:,}), p = {self.p:.2g}"


def mcnemar(left: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test of two models on the same examples. Shape: (N,), right or wrong.

    Of the examples that only one has right, as many should be the left's as the right's: a binomial with 1/2, two-sided.
    Source: McNemar 1947; in its exact form the sign test on the discordant pairs.
    """
    only_left, only_right = int((left & ~right).sum()), int((~left & right).sum())
    discordant = only_left + only_right
    p = float(stats.binomtest(only_left, discordant).pvalue) if discordant else 1.0
    return McNemar(int((left & right).sum()), only_left, only_right, int((~left & ~right).sum()), p)
