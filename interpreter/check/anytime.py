"""How wide an interval is that may be looked at after every seed: a confidence sequence for a mean, without heavy libraries.

Looking at Student's t after each new seed and stopping once it decides gives a false verdict far more often than its level
says. A confidence sequence covers the mean at all numbers of seeds at once, so that any of them may be the last.
"""

from __future__ import annotations

import math

PRIOR_SCALE = 1.0  # g: the prior variance of the standardized effect, under which the sequence is narrowest around 1 sd


def half_width(n: int, level: float, g: float = PRIOR_SCALE) -> float:
    """Half the width of the interval at `level` of the mean of `n` values, in their standard deviations (n - 1 below).

    Infinite where so few values can't exclude anything. The interval holds every mu whose e-process
    E_n(mu) = (1+ng)^(-1/2) [(1 + t^2/nu) / (1 + t^2/(nu (1+ng)))]^(n/2), nu = n - 1, t^2 = n (mean - mu)^2 / sd^2, is below
    1 / (1 - level): the normal-mixture t-test, which is a martingale for whatever variance, so that Ville's inequality
    bounds the chance that it ever reaches so far.

    Sources: Hendriksen, de Heide & Gruenwald 2021, Bayesian Analysis 16, 961-989; Wang & Ramdas 2023, arXiv:2310.03722.
    """
    if n < 2:
        return math.inf
    wide = 1 + n * g
    ratio = math.exp((2 / n) * (0.5 * math.log(wide) - math.log1p(-level)))
    if ratio >= wide:
        return math.inf
    squared = (n - 1) * (ratio - 1) / (1 - ratio / wide)
    return math.sqrt(squared / n)


def fewest(level: float) -> int:
    """The smallest number of values whose interval at `level` is finite."""
    n = 2
    while math.isinf(half_width(n, level)):
        n += 1
    return n
