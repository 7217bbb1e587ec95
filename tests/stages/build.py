"""Stages made by hand, tiny ones, on the digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from interpreter.plan.types import Input, Stage
from interpreter.project import Execution, Project
from interpreter.spec.canonical import key_of


def project(root: Path, *, workers: int = 0, threads: int = 1, keep: str = "auto", jobs: int = 2) -> Project:
    root.mkdir(parents=True, exist_ok=True)
    return Project(
        root, {}, Execution(jobs=jobs, threads=threads, loader_workers=workers, accelerator="cpu", keep_predictions=keep)
    )


DIGITS = {"type": "digits", "source": "embedded", "per_class": 30, "shift": 1}
MLP = {"type": "mlp", "hidden": [24], "dropout": 0.2, "batch_norm": True}
HEAD = {"hidden": 16, "dropout": 0.25}
OBJECTIVE = {"type": "classification"}


def schedule(epochs: int = 3, **changes: Any) -> dict[str, Any]:
    base = {
        "epochs": epochs,
        "batch_size": 32,
        "optimizer": {"type": "adam", "lr": 0.01},
        "lr_schedule": {"type": "cosine", "warmup": 1, "from": 1e-4},
        "clip": {"norm": 1.0},
        "precision": "32",
        "early_stopping": None,
        "drop_last": False,
    }
    return base | changes


def fit(name: str, *, epochs: int = 3, seed: int = 0, inputs: tuple[Input, ...] = (), **changes: Any) -> Stage:
    """A fit; `changes` replace settings, and those of the schedule by `schedule_NAME`."""
    rates = {k.removeprefix("schedule_"): v for k, v in changes.items() if k.startswith("schedule_")}
    rest = {k: v for k, v in changes.items() if not k.startswith("schedule_")}
    settings = {
        "objective": OBJECTIVE,
        "data": DIGITS,
        "model": MLP,
        "head": HEAD,
        "schedule": schedule(epochs, **rates),
        "keep": {"best": "val/loss", "every": None, "last": True},
        "start": {"kind": "stage", "take": inputs[0].take} if inputs else {"kind": "random"},
        "streams": {"data": "d1617", "occurrence": len(inputs)},
    } | rest
    return _stage("fit", name, settings, inputs, seed)


def evaluate(name: str, of: Stage, *, part: str = "test", checkpoint: str = "best", **changes: Any) -> Stage:
    settings = {
        "data": of.settings["data"],
        "part": part,
        "name": name,
        "objective": of.settings["objective"],
        "model": of.settings["model"],
        "head": of.settings["head"],
    } | changes
    return _stage("evaluate", name, settings, (Input("weights", of.key, checkpoint, "all"),), of.seed)


def score(
    name: str, of: Stage, *, part: str = "train", replicates: int = 1, checkpoint: str = "best", seed: int = 0, **changes: Any
) -> Stage:
    settings = {
        "data": of.settings["data"],
        "part": part,
        "replicates": replicates,
        "name": part,
        "objective": of.settings["objective"],
        "model": of.settings["model"],
        "head": of.settings["head"],
    } | changes
    return _stage("score", name, settings, (Input("weights", of.key, checkpoint, "all"),), seed)


def start_from(stage: Stage, checkpoint: str = "best", take: str = "encoder") -> tuple[Input, ...]:
    return (Input("start", stage.key, checkpoint, take),)


def _stage(kind: str, name: str, settings: dict[str, Any], inputs: tuple[Input, ...], seed: int) -> Stage:
    identity = {
        "kind": kind,
        "settings": settings,
        "inputs": [[i.role, i.key, i.checkpoint, i.take] for i in inputs],
        "seed": seed,
    }
    return Stage(key_of(identity), kind, name, identity, settings, inputs, (), seed)


def plan(*stages: Stage) -> dict[str, Stage]:
    return {stage.key: stage for stage in stages}
