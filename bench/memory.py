"""Prints what a fit holds of memory over 50 epochs with 2 loader processes, and, as JSON, its slope after the first 5.

Any fit of any page, from random weights: its epochs are replaced, early stopping is off. Goal: under 0.5 % of its size an
epoch, for the process and for its loaders; training waits for data less than 5 % of the time.

    python bench/memory.py [PAGE] [--profile laptop] [--stage pretrain] [--arm naive] [--epochs 50] [--workers 2] [--restart]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from interpreter.cli.session import open_session
from interpreter.errors import ExptError
from interpreter.plan.types import Plan, Stage
from interpreter.project import Execution, Project
from interpreter.run.events import effective, read_events
from interpreter.run.record import Record
from interpreter.spec.canonical import key_of
from interpreter.stages.main import run_stage
from interpreter.stages.memory import SETTLING, slope_of

ROOT = Path(__file__).resolve().parents[1]
NAMES = {"rss_mb": "process", "workers_mb": "loaders"}


def main() -> None:
    """Train, and print."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    asked.add_argument("page", nargs="?", default=str(ROOT / "specs" / "2026-11-22-digits.yaml"))
    asked.add_argument("--profile", default="")
    asked.add_argument("--stage", default="", help="name of a fit (default: the first one)")
    asked.add_argument("--arm", action="append", default=[])
    asked.add_argument("--epochs", type=int, default=50)
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--restart", action="store_true", help="loader processes begin anew each epoch")
    args = asked.parse_args()
    try:
        session = open_session(args)
    except ExptError as error:
        sys.exit(f"{error}")
    stage = fit_of(session.plan, args.stage, args.epochs)
    with tempfile.TemporaryDirectory() as folder:
        execution = Execution(1, 1, args.workers, args.restart, "cpu", "none")
        sources = {name: str(path) for name in session.project.data if (path := session.project.source(name))}
        project = Project(Path(folder), sources, execution, session.project.plugins)
        epochs = resources(project, stage)
    show(epochs)
    print(json.dumps(lines(epochs, f"{Path(args.page).stem}, {stage.name}, {args.workers} loaders")))


def fit_of(plan: Plan, name: str, epochs: int) -> Stage:
    """A fit of the plan, of so many epochs and from random weights."""
    fits = [
        stage for stage in plan.stages.values() if stage.kind == "fit" and not stage.unbuilt and (stage.name == name or not name)
    ]
    if not fits:
        there = sorted({stage.name for stage in plan.stages.values() if stage.kind == "fit"})
        sys.exit(f"no fit{f' called {name}' if name else ''} to be run here; there are: {', '.join(there)}")
    settings = dict(fits[0].settings)
    settings["schedule"] = {**settings["schedule"], "epochs": epochs, "early_stopping": None}
    settings |= {"start": {"kind": "random"}, "data": {k: v for k, v in settings["data"].items() if k != "subset"}}
    identity = {"kind": "fit", "settings": settings, "inputs": [], "seed": fits[0].seed}
    return dataclasses.replace(fits[0], key=key_of(identity), identity=identity, settings=settings, inputs=())


def resources(project: Project, stage: Stage) -> list[dict[str, float]]:
    """What each epoch of the stage took."""
    record = Record.of(project, stage.key)
    record.write_stage(stage)
    ended = run_stage(project, stage.key, lambda: False)
    if ended.how != "done":
        sys.exit(f"{ended.how}: {ended.error}")
    return [line["resources"] for line in effective(read_events(record.events).lines) if line["kind"] == "epoch"]


def show(epochs: list[dict[str, float]]) -> None:
    """The series, ten epochs a line; to standard error, where it is in nobody's way."""
    for name, words in NAMES.items():
        print(f"{words}, MB an epoch:", file=sys.stderr)
        sizes = [f"{spent[name]:8.1f}" for spent in epochs]
        for i in range(0, len(sizes), 10):
            print("".join(sizes[i : i + 10]), file=sys.stderr)
        found = slope_of([spent[name] for spent in epochs])
        if found is not None:
            share = f"{100 * found.share:+.3f} % of {found.size_mb:.0f} MB"
            print(f"slope after the first {SETTLING}: {found.slope_mb:+.3f} MB an epoch, {share}", file=sys.stderr)


def lines(epochs: list[dict[str, float]], what: str) -> list[dict[str, object]]:
    """Rows of the table of `make bench`."""
    found = [(words, slope_of([spent[name] for spent in epochs])) for name, words in NAMES.items()]
    rows: list[dict[str, object]] = [
        {"what": f"growth of the {words}: {what}", "ours": 100 * slope.share, "unit": "%/epoch", "goal": "< 0.5"}
        for words, slope in found
        if slope is not None
    ]
    waited = sum(spent["wait_s"] for spent in epochs) / sum(spent["seconds"] for spent in epochs)
    return [*rows, {"what": f"waiting for data: {what}", "ours": 100 * waited, "unit": "% of an epoch", "goal": "< 5"}]


if __name__ == "__main__":
    main()
