"""Means with their intervals: what tables, dots and curves show of several trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from scipy import stats

from interpreter.verdicts.types import MeasureValue

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Summary:
    """Several trials' values in numbers. `ci` is the 95 % half-width of the mean (Student t), None below two values."""

    n: int
    mean: float | None
    sd: float | None
    ci: float | None
    low: float | None
    high: float | None


@cache
def t_quantile(n: int) -> float:
    """How many standard errors the 95 % interval of a mean of `n` values goes to each side; infinite below two."""
    return float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) if n > 1 else math.inf


def summary(values: Sequence[float]) -> Summary:
    """The finite ones of `values`, summarized."""
    kept = [v for v in values if math.isfinite(v)]
    n = len(kept)
    if n == 0:
        return Summary(0, None, None, None, None, None)
    mean = math.fsum(kept) / n
    if n == 1:
        return Summary(1, mean, None, None, mean, mean)
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in kept) / (n - 1))
    return Summary(n, mean, sd, t_quantile(n) * sd / math.sqrt(n), min(kept), max(kept))


def summaries(values: Iterable[MeasureValue]) -> dict[tuple[str, str], Summary]:
    """(arm, measure) -> the summary of its trials' values; a pair without any value is there with n = 0."""
    found: dict[tuple[str, str], list[float]] = {}
    for value in values:
        kept = found.setdefault((value.arm, value.measure), [])
        if value.value is not None:
            kept.append(value.value)
    return {pair: summary(kept) for pair, kept in found.items()}
