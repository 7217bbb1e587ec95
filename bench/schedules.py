"""Prints, as JSON, what a thaw of five phases costs a fit: per step, with everything thawed in the end, and per epoch.

The two fits take turns on the same data, model and optimizer; the least time per step counts, since whatever else runs on the
machine only adds. Goal: under 0.05 ms a step.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from step_overhead import settings

from interpreter.plan.types import Stage
from interpreter.project import Execution, Project
from interpreter.run.attempts import take
from interpreter.run.environment import Numerics
from interpreter.run.events import EventWriter
from interpreter.run.record import Record
from interpreter.spec.canonical import key_of
from interpreter.stages.fit import Fit
from interpreter.stages.work import Work

HIDDEN, BATCH, EPOCHS, ROUNDS = [32, 32, 32, 32], 32, 4, 15
THAW = {"by": {"phases": [["head"], ["head", "layer4"], ["layer3", "layer4"], ["layer2"], "all"]}, "max_epochs": 2, "patience": 3}


def begun(root: Path, changes: dict[str, Any]) -> Fit:
    """A fit that is ready to train."""
    said = settings(HIDDEN, BATCH) | changes
    project = Project(root, {}, Execution(accelerator="cpu"))
    stage = Stage(key_of(said), "fit", "bench", said, said, (), (), 0)
    record = Record.of(project, stage.key)
    record.write_stage(stage)
    attempt = take(record, {})
    numerics = Numerics(torch.get_num_threads(), "cpu", "32", False, 0)
    events = EventWriter(record.events, 1, attempt.check)
    return Fit(Work(project, record, stage, attempt, events, numerics, (), lambda: False))


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        fits = {"plain": begun(Path(folder) / "plain", {}), "thawed": begun(Path(folder) / "thawed", {"thaw": THAW})}
        thawed = fits["thawed"]
        while not thawed.thawing.last:  # to where everything trains, so that both do the same work
            thawed.thawing.advance()
            thawed.rates.begin_phase(0)
            thawed.rates.bind(thawed.optimizer.optimizer)
        assert len(thawed.thawing.trainable()) == len(fits["plain"].thawing.trainable())
        least = dict.fromkeys(fits, 1e9)
        for _ in range(ROUNDS):
            for name, fit in fits.items():
                began = time.perf_counter()
                for epoch in range(EPOCHS):
                    fit._train(epoch)
                least[name] = min(least[name], (time.perf_counter() - began) / (EPOCHS * fit.steps[0]))
        began = time.perf_counter()
        for epoch in range(200):
            thawed.thawing.observe(epoch, {"val/loss": 1.0})
            thawed.rates.now()
            thawed.thawing.state(), thawed.rates.state()
        per_epoch = (time.perf_counter() - began) / 200
    more = {"goal": "< 0.05", "beside": "the same without a thaw", "theirs": least["plain"] * 1e3}
    rows = [
        {"what": "a training step, thawed in five phases", "ours": least["thawed"] * 1e3, "unit": "ms", **more, "goal": ""},
        {"what": "a thaw's cost per step", "ours": (least["thawed"] - least["plain"]) * 1e3, "unit": "ms", "goal": "< 0.05"},
        {"what": "a thaw's cost per epoch", "ours": per_epoch * 1e3, "unit": "ms", "goal": ""},
    ]
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
