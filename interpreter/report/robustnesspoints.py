"""What a chart of robustness draws: a point for each arm, and lines."""

from __future__ import annotations

from dataclasses import dataclass

from interpreter.report.statistics import Summary
from interpreter.spec.robustness import AnyLine
from interpreter.verdicts.effective_robustness import Fit, Line, binomial_interval
from interpreter.verdicts.robustness_lines import Model


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line as it is drawn: what it is called, what the page asked for, itself, and its fit where it was fitted."""

    name: str
    asked: AnyLine
    line: Line
    fit: Fit | None


@dataclass(frozen=True, slots=True)
class Point:
    """One arm: means over its seeds of both accuracies, on how many examples, and how far above each line it is."""

    arm: str  # its label
    name: str  # in full
    family: str
    faint: bool
    acc_in: Summary
    acc_out: Summary
    n_in: int | None
    n_out: int | None
    above: tuple[Summary, ...]  # of each line of the chart, itself left out of a fitted one
    half: tuple[float | None, ...]  # of the 95 % interval over examples for each of these
    models: tuple[Model, ...]

    def over_examples(self, *, original: bool) -> tuple[float, float] | None:
        """The exact interval over examples for an accuracy of one seed, at the mean of several."""
        of, n = (self.acc_in, self.n_in) if original else (self.acc_out, self.n_out)
        return binomial_interval(of.mean, n) if of.mean is not None and n else None
