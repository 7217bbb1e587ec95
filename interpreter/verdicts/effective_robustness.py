"""Effective robustness: how far the accuracy on shifted data lies above what a line says of the accuracy on the original data.

    ER = acc_out - line(acc_in),   scale(line(acc)) = slope * scale(acc) + intercept

The scale is logit, probit (the inverse of the normal distribution) or linear. Accuracies and ER are fractions: 0.01 is one
percentage point. Positive is above the line. Sources: Taori et al. 2020, "Measuring Robustness to Natural Distribution Shifts
in Image Classification"; Miller et al. 2021, "Accuracy on the Line" (probit, least squares with intercept, non-finite points
removed).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import expit, logit, ndtr, ndtri

from interpreter.spec.robustness import Scale

Floats = npt.NDArray[np.float64]

LEAST_MODELS = 3  # through two points goes any line
LEVEL = 0.95


def _itself(value: Floats) -> Floats:
    return value


SCALES: Mapping[Scale, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = MappingProxyType(
    {"logit": (logit, expit), "probit": (ndtri, ndtr), "linear": (_itself, _itself)}
)
"""Scale -> from an accuracy to what is straight on it, and back."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line on scaled axes, accuracy on shifted data against accuracy on the original."""

    slope: float
    intercept: float
    scale: Scale = "logit"


@dataclass(frozen=True, slots=True)
class Fit:
    """A line fitted to `models` models, with the share of variance it explains; `removed` were not finite on its scale."""

    line: Line
    r_squared: float
    models: int
    removed: int

    @property
    def words(self) -> str:
        """The fit in words."""
        line = self.line
        said = f"{line.scale} fit to {self.models} models: slope {line.slope:.4g}, intercept {line.intercept:.4g}"
        said += f", R² {self.r_squared:.3f}"
        return said + (f"; {self.removed} at 0 or 1 left out" if self.removed else "")


LINES: Mapping[str, Line] = MappingProxyType({"andreassen": Line(0.8318, -0.4736)})
"""CIFAR-10 -> CIFAR-10.1. As credited in code to Andreassen et al. 2022, "The Evolution of Out-of-Distribution Robustness
Throughout Fine-Tuning", TMLR, page 13; fitted to the testbed of Recht et al. 2019. Not checked in the paper."""

CREDITED: Mapping[str, str] = MappingProxyType({"andreassen": "Andreassen et al. 2022"})
"""Whom the constants of a published line are credited to, in code; they were not checked in the papers."""

TAKEN_TO_BE_OF: Mapping[str, str] = MappingProxyType({"andreassen": "v4"})
"""The version of CIFAR-10.1 a line is taken to be of. It is published without one; the testbed's authors report v4."""


def predicted(acc_in: Floats, line: Line) -> Floats:
    """What `line` says of the accuracy on shifted data. Any shape; on logit and probit axes 0 gives 0 and 1 gives 1."""
    scaled, back = SCALES[line.scale]
    with np.errstate(divide="ignore"):  # the logit of 0 and 1 is infinite, and comes back as 0 and 1
        return np.asarray(back(line.slope * scaled(np.asarray(acc_in, dtype=np.float64)) + line.intercept), dtype=np.float64)


def effective_robustness(acc_in: Floats, acc_out: Floats, line: Line) -> Floats:
    """Accuracy on shifted data less what `line` says of that on the original data, as a fraction. Any shape."""
    return acc_out - predicted(acc_in, line)


def least_squares(acc_in: Floats, acc_out: Floats, scale: Scale) -> tuple[Floats, Floats, Floats, Floats]:
    """(slope, intercept, R², models) of the line through models, for each set of them; NaN where a set has no line.

    Models that are not finite on the scale, at 0 or 1, count in no set. Shape: (..., models) -> (...).
    """
    scaled, _ = SCALES[scale]
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (scaled(np.asarray(values, dtype=np.float64)) for values in (acc_in, acc_out))
        kept = np.isfinite(x) & np.isfinite(y)
        x, y = (np.where(kept, values, 0.0) for values in (x, y))
        count = kept.sum(axis=-1).astype(np.float64)
        mean_x, mean_y = x.sum(axis=-1) / count, y.sum(axis=-1) / count
        off_x, off_y = (np.where(kept, v - m[..., None], 0.0) for v, m in ((x, mean_x), (y, mean_y)))
        xx, yy, xy = (off_x**2).sum(axis=-1), (off_y**2).sum(axis=-1), (off_x * off_y).sum(axis=-1)
        slope = np.where(xx > 0, xy / xx, np.nan)
        return slope, mean_y - slope * mean_x, np.where(yy > 0, xy**2 / (xx * yy), np.nan), count


def fitted(acc_in: Floats, acc_out: Floats, scale: Scale) -> Fit | None:
    """The line through models, None where fewer than three are finite on the scale or all have one accuracy. Shape: (models,)."""
    slope, intercept, r_squared, count = (float(value) for value in least_squares(acc_in, acc_out, scale))
    if count < LEAST_MODELS or not math.isfinite(slope):
        return None
    return Fit(Line(slope, intercept, scale), r_squared, int(count), len(acc_in) - int(count))


def above_fitted(acc_in: Floats, acc_out: Floats, models_in: Floats, models_out: Floats, scale: Scale) -> Floats:
    """How far each accuracy lies above the line through its own set of models. Shape: (...), (..., models) -> (...)."""
    slope, intercept, _, _ = least_squares(models_in, models_out, scale)
    scaled, back = SCALES[scale]
    with np.errstate(divide="ignore"):
        return np.asarray(acc_out - back(slope * scaled(acc_in) + intercept), dtype=np.float64)


def binomial_interval(share: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval for a share that was counted on `n` examples (Clopper and Pearson 1934)."""
    right, tail = round(share * n), (1 - level) / 2
    low = float(stats.beta.ppf(tail, right, n - right + 1)) if right else 0.0
    high = float(stats.beta.ppf(1 - tail, right + 1, n - right)) if right < n else 1.0
    return low, high


def binomial_half_width(acc_in: float, n_in: int, acc_out: float, n_out: int, line: Line, level: float = LEVEL) -> float:
    """Half the width of the interval for ER that other examples of both sets leave, the line taken as exact.

    To first order: the variance of a share is p (1 - p) / n, that of the original data times the line's slope at it squared.
    """
    step = 1e-6
    ends = predicted(np.clip(np.array([acc_in - step, acc_in + step]), 0.0, 1.0), line)
    gradient = float(ends[1] - ends[0]) / (2 * step)
    variance = acc_out * (1 - acc_out) / n_out + gradient**2 * acc_in * (1 - acc_in) / n_in
    return float(stats.norm.ppf((1 + level) / 2)) * math.sqrt(variance)


def line_note(name: str, version: str) -> str:
    """What to know of a published line read for `version` of the shifted data, or ""."""
    if TAKEN_TO_BE_OF[name] == version:
        return ""
    return f"the line `{name}` is published without a version and taken to be of {TAKEN_TO_BE_OF[name]}: it also serves {version}"
