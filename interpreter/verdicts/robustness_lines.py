"""The models that a line of accuracy under shift is fitted to: trials of the entry's arms, never of the arm judged by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interpreter.plan.points import means
from interpreter.plan.types import ArmPlan
from interpreter.spec.robustness import AnyLine, FittedLine
from interpreter.verdicts.effective_robustness import LEAST_MODELS, LINES, Fit, Line, fitted
from interpreter.verdicts.readings import Metric

Keys = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Model:
    """One trial as a model: its arm and place there, the records of its two accuracies, and these, None where there are none."""

    arm: ArmPlan
    place: int
    metrics: tuple[Metric, Metric]  # of accuracy on the original, on shifted data
    keys: Keys
    acc_in: float | None
    acc_out: float | None

    @property
    def known(self) -> bool:
        """Whether it has both accuracies."""
        return self.acc_in is not None and self.acc_out is not None


@dataclass(frozen=True, slots=True)
class Judging:
    """A line by which an arm is judged, None where there is none; the models it was fitted to, and what to know of it."""

    line: Line | None
    models: tuple[Model, ...] = ()  # () for a published line
    note: str = ""


def meant_by(line: FittedLine, arms: Sequence[ArmPlan]) -> list[ArmPlan]:
    """The arms that `line` is to be fitted to, in the entry's order."""
    return [arm for arm in arms if any(means(text, arm) for text in line.to)]


def line_for(line: AnyLine, models: Sequence[Model], judged: frozenset[Keys]) -> Judging:
    """The line by which trials with the records `judged` are judged: without these models, whatever arm they are in.

    models: those that the line asks for; of a published line none are needed.
    """
    if not isinstance(line, FittedLine):
        return Judging(LINES[line])
    others = [model for model in models if model.keys not in judged]
    known = [model for model in others if model.known]
    found = fit_to(known, line)
    if found is None:
        text = f"no {line.fit} line: {len(known)} other models have both accuracies, and {LEAST_MODELS} that differ are needed"
        return Judging(None, (), text)
    said = [found.words]
    said += ["this arm left out of it"] if len(others) < len(models) else []
    said += [f"{len(others) - len(known)} without both accuracies"] if len(known) < len(others) else []
    return Judging(found.line, tuple(known), f"the line: {'; '.join(said)}")


def fit_to(models: Sequence[Model], line: FittedLine) -> Fit | None:
    """The line through `models`, all with both accuracies; None where these are too few, or all alike."""
    acc_in = np.array([model.acc_in for model in models], dtype=np.float64)
    acc_out = np.array([model.acc_out for model in models], dtype=np.float64)
    return fitted(acc_in, acc_out, line.fit) if len(models) else None


def keys_of(arm: ArmPlan, metrics: tuple[Metric, Metric]) -> list[Keys]:
    """The records of both accuracies of each trial of `arm`."""
    return [(trial.key_of(metrics[0].stage), trial.key_of(metrics[1].stage)) for trial in arm.trials]
