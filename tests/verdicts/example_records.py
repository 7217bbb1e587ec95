"""Records with predictions made by hand: what each trial gave for each example, and metrics that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from interpreter.plan.types import Plan
from interpreter.project import Project
from tests.plans import Predictions, write_record

Array = npt.NDArray[np.float64]


def logits(hits: Sequence[int] | Array, targets: Sequence[int]) -> Array:
    """Outputs of two classes (N, 2) that get an example right where `hits` is 1."""
    right = np.asarray(hits, dtype=bool)
    said = np.where(right, targets, 1 - np.asarray(targets))
    return np.eye(2)[said]


def classified(targets: Sequence[int], epochs: Sequence[Array], split: str = "val", ids: Sequence[str] = ()) -> Predictions:
    """Predictions of a split, one array of outputs (N, K) an epoch."""
    names = list(ids) or [f"{split}-{i:04d}" for i in range(len(targets))]
    return Predictions(split, names, list(targets), [outputs.tolist() for outputs in epochs])


def accuracies(made: Predictions) -> list[float]:
    """The accuracy at each epoch."""
    return [float((np.argmax(np.asarray(o), axis=1) == np.asarray(made.targets)).mean()) for o in made.outputs]


def write_predicted(
    project: Project, plan: Plan, predictions: Callable[[str, int, str], Predictions | None],
    more: Callable[[str, int, str], Mapping[str, Sequence[float]]] = lambda arm, seed, stage: {},
) -> None:  # fmt: skip
    """Write a finished record of every stage, with what `predictions(arm, seed, stage name)` gives and its accuracies.

    more: further metrics. Without predictions a stage has only these, and a loss.
    """
    written: set[str] = set()
    for entry in plan.entries:
        for arm in entry.arms:
            for trial in arm.trials:
                for name, key in trial.stages:
                    if key in written:
                        continue
                    written.add(key)
                    made = predictions(arm.name, trial.seed, name)
                    history = dict(more(arm.name, trial.seed, name))
                    if made is not None and np.asarray(made.outputs[0]).shape[1] > 1:
                        history[f"{made.split}/accuracy"] = accuracies(made)
                    epochs = len(next(iter(history.values()), [0.0]))
                    history.setdefault("val/loss", [1.0] * epochs)
                    write_record(project, plan.stages[key], history, predictions=[made] if made is not None else [])
