"""What a stage with a single epoch records of the outputs of one split: metrics, tables, predictions, and what to say of them."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from interpreter.parts.contract import Data, Draw, Objective, Split
from interpreter.run.record import now
from interpreter.stages import findings
from interpreter.stages.memory import rss_mb
from interpreter.stages.predictions import Predictions, mode_of
from interpreter.stages.rules import Told, baseline_events, named
from interpreter.stages.work import Event, Work, finding, table_events


@dataclass(frozen=True, slots=True)
class Recorded:
    """A split of which only ids and targets are known: what predictions of it were recorded with."""

    ids: Sequence[str]
    targets: torch.Tensor  # (N,) int64 classes, or (N,) or (N, K) float32

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, index: np.ndarray, draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Raises: NotImplementedError: there are no examples."""
        raise NotImplementedError("only ids and targets of this split are known")

    def as_data(self, name: str, outputs: int, class_names: tuple[str, ...] = ()) -> Data:
        """Data of this one split, enough to build an objective for so many `outputs`."""
        return Data({name: self}, (), outputs, class_names, "", "", (), {})


def record_outputs(
    work: Work,
    split: Split,
    objective: Objective,
    outputs: torch.Tensor,
    *,
    why: str,
    rules: Told,
    began: float | None,
    only: Collection[str] | None = None,
    more: Mapping[str, float] | None = None,
) -> int:
    """Measure `outputs` of `split`, write everything down and finish the stage; returns 1, its epochs. Shape: (N, outputs).

    rules: metrics of trivial rules, {} where they are not known. began: when the work did, for what it cost;
    None when nothing was computed. only: the metrics that mean something here. more: metrics besides those of the objective.
    Raises: Fenced, OSError.
    """
    name = work.stage.settings["name"]
    found = {**objective.metrics(outputs, split.targets), **(more or {})}
    metrics = {f"{name}/{metric}": value for metric, value in found.items() if only is None or metric in only}
    predictions = Predictions(work, name, mode_of(work.project.execution.keep_predictions, len(split), objective.outputs, 1), [])
    predictions.targets(split)
    predictions.add(0, objective.combined(outputs), is_best=True)
    said = findings.of_count(0, name, len(split), len(outputs))
    kept = {rule: {m: v for m, v in of.items() if only is None or m in only} for rule, of in rules.items()}
    said += baseline_events({rule: named(name, of) for rule, of in kept.items()})
    if objective.constant(outputs):
        said.append(finding(0, "constant-predictions", f"every example of {name} gets the same prediction"))
    said += table_events(objective.tables(outputs, split.targets), 0, name)
    line: Event = {"kind": "epoch", "epoch": 0, "t": now(), "step": 0, "examples": len(split), "metrics": metrics, "rates": {}}
    end: Event = {"kind": "end", "epoch": 1, "planned": 1, "reached": 1, "why": why}
    work.events.write({**line, "phase": 0, "resources": _resources(began)}, *said, end)
    segments = predictions.segments
    finish_single(work, 1, why, {name: segments} if segments else {})
    predictions.prune()
    return 1


def finish_single(work: Work, epochs: int, why: str, predictions: Mapping[str, list[str]]) -> None:
    """Write DONE of a stage that has no checkpoints."""
    done = {"planned_epochs": 0, "epochs": epochs, "best": None, "last": None, "predictions": dict(predictions), "why": why}
    work.finish(done)


def _resources(began: float | None) -> dict[str, float]:
    if began is None:
        return {}
    return {"seconds": round(time.perf_counter() - began, 4), "it_per_s": 0.0, "rss_mb": round(rss_mb(), 1)}
