"""Effective robustness: how far the accuracy on shifted data lies above what a published line says of the original data.

    ER = acc_out - line(acc_in),   logit(line(acc)) = slope * logit(acc) + intercept

Accuracies and ER are fractions: 0.01 is one percentage point. Positive is above the line. Source of the definition: Taori
et al. 2020, "Measuring Robustness to Natural Distribution Shifts in Image Classification".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """A line on logit axes, accuracy on shifted data against accuracy on the original."""

    slope: float
    intercept: float


LINES = {"andreassen": Line(0.8318, -0.4736)}
"""CIFAR-10 -> CIFAR-10.1. As credited in code to Andreassen et al. 2022, "The Evolution of Out-of-Distribution Robustness
Throughout Fine-Tuning", TMLR, page 13; fitted to the testbed of Recht et al. 2019."""

TAKEN_TO_BE_OF = {"andreassen": "v4"}
"""The version of CIFAR-10.1 a line is taken to be of. It is published without one; the testbed's authors report v4."""


def predicted(acc_in: Floats, line: Line) -> Floats:
    """What `line` says of the accuracy on shifted data. Any shape; 0 gives 0 and 1 gives 1."""
    with np.errstate(divide="ignore"):  # the logit of 0 and 1 is infinite, and comes back as 0 and 1
        return np.asarray(expit(line.slope * logit(acc_in) + line.intercept), dtype=np.float64)


def effective_robustness(acc_in: Floats, acc_out: Floats, line: Line) -> Floats:
    """Accuracy on shifted data less what `line` says of that on the original data, as a fraction. Any shape."""
    return acc_out - predicted(acc_in, line)


def line_note(name: str, version: str) -> str:
    """What to know of a line read for `version` of the shifted data, or ""."""
    if TAKEN_TO_BE_OF[name] == version:
        return ""
    return f"the line `{name}` is published without a version and taken to be of {TAKEN_TO_BE_OF[name]}: it also serves {version}"
