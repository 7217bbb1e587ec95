"""`expt data`: the named data sources, and their fingerprints."""

from __future__ import annotations

import argparse
import os

from interpreter.cli.session import here
from interpreter.errors import UsageError
from interpreter.plan.lock import read_lock
from interpreter.project import Project
from interpreter.run.sources import SourceState, lock, state_of


def run(args: argparse.Namespace) -> int:
    """List the sources, or lock them."""
    project = here()
    if args.action == "lock":
        names = args.sources or [name for name in known_sources(project) if project.source(name) is not None]
        if not names:
            raise UsageError("no data source is here to lock", hint='name one in expt.toml: [data] photos = "folder"')
        show(lock(project, names))
        return 0
    names = args.sources or known_sources(project)
    if not names:
        print("no data source is named in expt.toml, data.lock or the environment")
    show([state_of(project, name) for name in names])
    return 0


def known_sources(project: Project) -> list[str]:
    """Every source named in expt.toml, data.lock or the environment."""
    prefix = "EXPT_DATA_"
    environment = {name.removeprefix(prefix).lower().replace("_", "-") for name in os.environ if name.startswith(prefix)}
    return sorted({*project.data, *read_lock(project.data_lock), *environment})


def show(states: list[SourceState]) -> None:
    """One line a source."""
    for state in states:
        row = state.now or state.locked
        size = f"{row.files} files, {row.bytes / 1e6:.1f} MB, {row.fingerprint[:12]}" if row else ""
        print(f"{state.name:<16} {state.state:<17} {size:<44} {state.path or ''}".rstrip())
