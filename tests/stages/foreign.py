"""Stages that import and combine, made by hand as a plan makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from interpreter.plan.types import Input, Stage
from interpreter.project import Project
from interpreter.spec.canonical import key_of
from interpreter.spec.imported import Import, content_hash, look


def import_stage(project: Project, file: str, *, seed: int = 0, **written: Any) -> Stage:
    """An import of `file`, which is there."""
    config = Import.model_validate({"import": file, **written})
    path = project.root / file
    part = {
        "sha256": content_hash(path),
        "kind": look(path, config).kind,
        "split": config.split,
        "columns": config.columns,
        "epoch": config.epoch,
        "first_epoch": config.first_epoch,
        "seed_column": config.seed,
        "objective": config.objective,
    }
    identity = {"format": 1, "kind": "import", "settings": {"import": part, "name": config.split}, "seed": seed}
    settings = {"import": {**part, "path": file, "source": config.source}, "name": config.split}
    return Stage(key_of(identity), "import", "import", identity, settings, (), (), seed)


def combine_stage(
    *members: Stage, how: str = "mean_probability", part: str = "val", group: int = 0, checkpoint: str = "best", **objective: Any
) -> Stage:
    """A combination of what `members` predicted for `part`."""
    of = {"type": "regression" if how == "mean_output" else "classification", **objective}
    settings = {"combine": {"how": how, "objective": of}, "part": part, "name": part}
    inputs = tuple(Input("member", member.key, checkpoint, "all") for member in members)
    identity = {"format": 1, "kind": "combine", "settings": settings, "inputs": [[i.key, i.checkpoint] for i in inputs]}
    return Stage(key_of(identity), "combine", "together", identity, settings, inputs, (), group)


def archive(project: Project, name: str, **arrays: Any) -> str:
    """An npz in the project; returns its path from the root."""
    np.savez_compressed(project.root / name, **arrays)
    return name


def write(project: Project, name: str, text: str | bytes) -> Path:
    """A file in the project."""
    path = project.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
