"""`expt status`: what is running, done or failed."""

from __future__ import annotations

import argparse

from interpreter.cli.session import here, open_session
from interpreter.errors import RecordError
from interpreter.run.record import Record
from interpreter.run.status import StageStatus, status_of


def run(args: argparse.Namespace) -> int:
    """One line a stage, and the counts."""
    if args.page:
        session = open_session(args)
        project = session.project
        names = {key: stage.name for key, stage in session.plan.stages.items()}
    else:
        project = here()
        folders = sorted(project.runs.glob("*/stage.json")) if project.runs.is_dir() else []
        names = {path.parent.name: "" for path in folders}
    counts: dict[str, int] = {}
    for key, name in names.items():
        status = status_of(project, key)
        counts[status.state] = counts.get(status.state, 0) + 1
        if status.state != "new":
            label = name or _name(Record.of(project, key))
            print(f"  {key[:12]}  {label:<16} {status.state:<10} {_detail(status)}".rstrip())
    print(
        ", ".join(f"{count} {'not run' if state == 'new' else state}" for state, count in counts.items()) or "nothing was run yet"
    )
    return 0


def _name(record: Record) -> str:
    try:
        return record.read_stage().name
    except (RecordError, OSError):
        return "?"


def _detail(status: StageStatus) -> str:
    epochs = f"epoch {status.epoch} of {status.epochs}" if status.epochs else ""
    if status.state == "running":
        return f"{epochs}, attempt {status.attempt}, pid {status.pid} on {status.host}"
    error = f": {status.error.splitlines()[0]}" if status.error else ""
    attempt = f", attempt {status.attempt}" if status.attempt > 1 else ""
    return f"{epochs}{attempt}{error}".lstrip(", ")
