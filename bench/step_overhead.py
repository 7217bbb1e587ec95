"""Prints, as JSON, what a training step costs in our loop, in a hand-written one and in Lightning's Trainer with `self.log`.

The three take turns on the same batches, model and optimizer, a few epochs each; the least time per step of each loop
counts, since whatever else runs on the machine only adds. Goal: at most 0.3 ms a step more than by hand, and at most 3 %
at a step of about 12 ms.

    python bench/step_overhead.py [--rounds 7] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader, Dataset

from interpreter.parts.build import build_data, build_model, build_objective, build_optimizer
from interpreter.plan.types import Stage
from interpreter.project import Execution, Project
from interpreter.run.attempts import take
from interpreter.run.environment import Numerics
from interpreter.run.events import EventWriter
from interpreter.run.record import Record
from interpreter.spec.canonical import key_of
from interpreter.stages.fit import Fit
from interpreter.stages.work import Work

CASES = {"small": ([32], 32, 4), "12 ms": ([700, 700, 700], 96, 2)}  # hidden layers, batch size, epochs a turn


def settings(hidden: list[int], batch: int) -> dict[str, Any]:
    return {
        "objective": {"type": "classification"},
        "data": {"type": "digits", "source": "embedded"},
        "model": {"type": "mlp", "hidden": hidden},
        "head": {"hidden": None, "dropout": 0.1},
        "schedule": {
            "epochs": 1000,
            "batch_size": batch,
            "optimizer": {"type": "adam", "lr": 1e-4},
            "lr_schedule": {"type": "cosine"},
            "clip": None,
            "precision": "32",
            "early_stopping": None,
            "drop_last": True,
        },
        "keep": {"best": "val/loss", "every": None, "last": True},
        "start": {"kind": "random"},
        "streams": {"data": "d", "occurrence": 0},
    }


class Logged(LightningModule):
    """What a user of the Trainer would write."""

    def __init__(self, model: torch.nn.Module, objective: Any, schedule: Any) -> None:
        super().__init__()
        self.model, self.objective, self.schedule = model, objective, schedule

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        x, y = batch
        loss = self.objective.loss(self.model(x), y)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(y))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return build_optimizer(self.schedule, self.model)


class Clock(Callback):
    """Seconds of each training epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, *_: Any) -> None:
        self.seconds.append(time.perf_counter() - self.began)


class Whole(Dataset[Any]):
    """Whole batches, fetched as in our loop."""

    def __init__(self, split: Any, batch: int) -> None:
        self.split, self.batch = split, batch

    def __len__(self) -> int:
        return len(self.split) // self.batch

    def __getitem__(self, n: int) -> Any:
        return self.split.batch(np.arange(n * self.batch, (n + 1) * self.batch), None)


def loops(root: Path, hidden: list[int], batch: int, epochs: int) -> Iterator[tuple[str, Callable[[], float]]]:
    """Each loop by name, as a function that trains `epochs` epochs and returns seconds a step."""
    said = settings(hidden, batch)
    data = build_data(said["data"], None, root)
    train = data.splits["train"]
    steps = len(train) // batch
    objective = build_objective(said["objective"], data)

    def fresh() -> Any:
        return build_model(said["model"], said["head"], data.shape, objective.outputs, 0)

    model = fresh()
    optimizer = build_optimizer(said["schedule"], model)

    def by_hand() -> float:
        model.train()
        began = time.perf_counter()
        for _ in range(epochs):
            order = np.random.default_rng(0).permutation(len(train))
            for n in range(steps):
                x, y = train.batch(order[n * batch : (n + 1) * batch], None)
                optimizer.zero_grad(set_to_none=True)
                objective.loss(model(x), y).backward()
                optimizer.step()
        return (time.perf_counter() - began) / (steps * epochs)

    project = Project(root, {}, Execution(accelerator="cpu"))
    stage = Stage(key_of(said), "fit", "bench", said, said, (), (), 0)
    record = Record.of(project, stage.key)
    record.write_stage(stage)
    attempt = take(record, {})
    events = EventWriter(record.events, 1, attempt.check)
    numerics = Numerics(torch.get_num_threads(), "cpu", "32", False, 0)
    fit = Fit(Work(project, record, stage, attempt, events, numerics, (), lambda: False))

    def ours() -> float:
        began = time.perf_counter()
        for epoch in range(epochs):
            fit._train(epoch)
        return (time.perf_counter() - began) / (steps * epochs)

    unit = Logged(fresh(), objective, said["schedule"])

    def trainer() -> float:
        clock = Clock()
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
        loader = DataLoader(Whole(train, batch), batch_size=None, shuffle=True)
        Trainer(max_epochs=epochs + 1, accelerator="cpu", devices=1, callbacks=[clock], **quiet).fit(unit, loader)
        return min(clock.seconds[1:]) / steps  # the first epoch warms up

    yield from (("by hand", by_hand), ("ours", ours), ("Trainer with self.log", trainer))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    lines = []
    for case, (hidden, batch, epochs) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            turns = list(loops(Path(folder), hidden, batch, epochs))
            for _, turn in turns:
                turn()
            least = {name: 1e9 for name, _ in turns}
            for _ in range(arguments.rounds):
                for name, turn in turns:
                    least[name] = min(least[name], turn())
        hand = least["by hand"]
        goal = "<= 0.3 more" if case == "small" else "<= 3 % more"
        for name in ("by hand", "Trainer with self.log"):
            row = {"what": f"a training step, {case}", "ours": least["ours"] * 1e3, "unit": "ms"}
            lines.append({**row, "goal": goal if name == "by hand" else "", "beside": name, "theirs": least[name] * 1e3})
        extra = {"what": f"our overhead per step, {case}", "ours": (least["ours"] - hand) * 1e3, "unit": "ms", "goal": "<= 0.3"}
        lines.append(
            {**extra, "beside": "overhead of Trainer with self.log", "theirs": (least["Trainer with self.log"] - hand) * 1e3}
        )
    print(json.dumps(lines))


if __name__ == "__main__":
    main()
