"""Forked attempts at stages, and what is compared of two records."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq
import torch

from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.events import effective, read_events
from interpreter.run.record import Record
from interpreter.stages.main import run_stage

# All of a checkpoint that decides how a fit goes on.
STATE = ("model", "optimizer", "best", "early_stopping", "step", "rate", "reported", "phase", "phase_clock", "trainable", "needs",
         "curriculum", "averages")  # fmt: skip
TOLD = ("table", "end", "baseline", "start", "phase")


def do(project: Project, *stages: Stage) -> list[str]:
    """Do stages here, one after the other; returns how each ended, with the error."""
    out = []
    for stage in stages:
        Record.of(project, stage.key).write_stage(stage)
        ended = run_stage(project, stage.key, lambda: False)
        out.append(ended.how + (f": {ended.error}" if ended.error else ""))
    return out


def fork(project: Project, stage: Stage) -> int:
    """Begin a stage in a process of its own; returns its pid. What it prints goes nowhere."""
    Record.of(project, stage.key).write_stage(stage)
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        torch.manual_seed(os.getpid())  # nothing may depend on what a process inherits
        code = {"done": 0}.get(run_stage(project, stage.key, lambda: False).how, 1)
        os._exit(code)
    return pid


def do_by_epochs(project: Project, stage: Stage) -> list[int]:
    """Do a stage that is stopped after every epoch and taken up again; returns the epochs that its attempts began with."""
    record = Record.of(project, stage.key)
    record.write_stage(stage)
    while record.done() is None:
        reached = len(lines(project, stage, "epoch")) if record.events.exists() else 0
        ended = run_stage(project, stage.key, lambda reached=reached: len(lines(project, stage, "epoch")) > reached)
        assert ended.how in ("stopped", "done"), ended.error
        torch.manual_seed(reached)  # nothing may depend on what a process inherits
    return [line["resume_epoch"] for line in lines(project, stage, "attempt")]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def lines(project: Project, stage: Stage, kind: str) -> list[Mapping[str, Any]]:
    read = read_events(Record.of(project, stage.key).events)
    assert not read.corrupt
    return [line for line in effective(read.lines) if line["kind"] == kind]


def codes(project: Project, stage: Stage) -> list[str]:
    return [line["code"] for line in lines(project, stage, "finding")]


def result(project: Project, stage: Stage) -> dict[str, Any]:
    """Everything of a finished stage that must not depend on whether it was interrupted."""
    record = Record.of(project, stage.key)
    done = record.done()
    assert done is not None
    predictions = {
        split: pq.read_table(record.predictions / split / name).to_pydict() for split, (name,) in done["predictions"].items()
    }
    assert predictions
    checkpoints = {}
    for rule in ("best", "last") if stage.kind == "fit" else ():
        loaded = torch.load(record.checkpoints / done[rule]["checkpoint"], weights_only=True)
        checkpoints[rule] = {name: loaded[name] for name in STATE}
    kept = ("epoch", "step", "examples", "metrics", "rates", "phase", "best")
    return {
        "epochs": [{name: line.get(name) for name in kept} for line in lines(project, stage, "epoch")],
        "told": [{k: v for k, v in line.items() if k not in ("attempt", "t")} for kind in TOLD
                 for line in lines(project, stage, kind)],
        "predictions": predictions,
        "checkpoints": checkpoints,
        "done": {k: v for k, v in done.items() if k not in ("attempt", "finished", "events_bytes")},
        "files": sorted(p.relative_to(record.folder).as_posix() for p in record.folder.rglob("*") if "attempts" not in p.parts),
    }  # fmt: skip


def same(a: Any, b: Any, path: str = "") -> None:
    """Assert bit-equality, naming what differs."""
    assert type(a) is type(b), path
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, path
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert list(a) == list(b), path
        for key in a:
            same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, (list, tuple)) and len(a) < 1000:
        assert len(a) == len(b), path
        for n, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{path}[{n}]")
    else:
        assert a == b, path
