"""Scores: how difficult each example of a split is by the weights of a finished fit. A pure function of weights, data and seed.

The difficulty of an example is 1 - the probability of its true class (the softmax of the outputs, in double precision), added
up from the other classes, so that it does not round to 0 where the weights are nearly sure. With several `replicates` it is
the mean over as many draws of the training augmentation; each draw is a hash of (seed, data, replicate, example), so that
scoring again, or scoring the examples in another order, gives the same bits. Splits that are not augmented have one value.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
import torch

from interpreter.errors import StageFailed
from interpreter.parts import random
from interpreter.parts.contract import Data, Draw, Split
from interpreter.run.record import SCORES
from interpreter.spec.canonical import canonical
from interpreter.stages.batches import Batches, outputs_of
from interpreter.stages.evaluate import fitted
from interpreter.stages.outputs import record_outputs
from interpreter.stages.scores import table_of
from interpreter.stages.work import Stopped, Work, finding

Floats = np.ndarray


def difficulty(outputs: torch.Tensor, targets: torch.Tensor) -> Floats:
    """1 - the probability of the true class, as the sum of the others. Shape: (N, classes), (N,) -> (N,) float64 in 0..1."""
    p = torch.softmax(outputs.double(), dim=1)
    p[torch.arange(len(targets)), targets] = 0.0
    found: Floats = p.sum(dim=1).clamp_(0.0, 1.0).numpy()
    return found


def run_score(work: Work) -> int:
    """Score the examples of a split; returns 1, the epochs it has. Raises: StageFailed, Stopped, Fenced, OSError."""
    settings, began = work.stage.settings, time.perf_counter()
    part, replicates = settings["part"], int(settings["replicates"])
    data, split, objective, model = fitted(work)
    _check(split, data, objective.views)
    fabric = work.fabric()
    unit = fabric.setup_module(model)
    batches = Batches(data, part, work.numerics.loader_workers)
    stream = random.derive(work.stage.seed, "score", canonical(work.stage.identity["settings"]["data"]))

    def difficulty_of(replicate: int) -> Floats:
        outputs, targets = _drawn(unit, batches, Draw(stream, replicate), fabric.device)
        return difficulty(objective.combined(outputs), targets)

    try:
        plain = outputs_of(unit, batches, fabric.device, Draw(stream, 0))
        scores, alike = _over_draws(work, difficulty_of, replicates)
    finally:
        batches.close()
    if not np.isfinite(scores).all():
        raise StageFailed(f"the weights give {int((~np.isfinite(scores)).sum())} of {len(scores)} examples no probabilities")
    if replicates > 1 and alike:
        text = f"all {replicates} draws of every example are alike: the {part} split of this data is not augmented"
        work.events.write(finding(0, "replicates-alike", text, "note"))
    table = table_of(split.ids, scores)
    where = work.record.predictions / settings["name"] / SCORES
    work.write(where, lambda file: pq.write_table(table, file, compression="zstd"))
    mean = {"difficulty": float(scores.mean())}
    return record_outputs(work, split, objective, plain, why="scored", rules={}, began=began, more=mean)


def _check(split: Split, data: Data, views: int) -> None:
    """Raise StageFailed where an example has no one true class, or no one view."""
    if split.targets.is_floating_point() or split.targets.ndim != 1:
        raise StageFailed("only examples of classes have a difficulty: these have numbers to be predicted")
    if len(split) == 0:
        raise StageFailed("there are no examples to score")
    index = np.zeros(1, dtype=np.int64)
    if views == 1 and split.batch(index, Draw(0, 0))[0].ndim != len(data.shape) + 1:
        raise StageFailed(
            "training examples of this data are two views of an image each, and a difficulty is of one",
            hint="score the same data with another `augment`, or none",
        )


def _over_draws(work: Work, difficulty_of: Callable[[int], Floats], replicates: int) -> tuple[Floats, bool]:
    """The mean difficulty of each example over its draws, and whether all draws were alike. Shape: (N,) float64."""
    first = beyond = np.zeros(0)
    alike = True
    for replicate in range(replicates):
        if work.stop():
            raise Stopped(0)
        found = difficulty_of(replicate)
        if replicate == 0:
            first, beyond = found, np.zeros(len(found))  # differences to the first draw: the mean of equal numbers is that number
        else:
            alike = alike and bool(np.array_equal(found, first))
            beyond += found - first
        work.attempt.at = (0, replicate + 1, replicates)
    return np.clip(first + beyond / replicates, 0.0, 1.0), alike


def _drawn(unit: torch.nn.Module, batches: Batches, draw: Draw, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs in evaluation mode for all examples drawn as `draw` says, and their targets, which may be drawn as well.

    Shape: (N, outputs) float32 on the CPU, and (N,).
    """
    unit.eval()
    with torch.inference_mode():
        parts = [(unit(x.to(device, non_blocking=True)).float(), y) for x, y in batches.drawn(draw)]
    return torch.cat([outputs for outputs, _ in parts]).cpu(), torch.cat([y for _, y in parts])
