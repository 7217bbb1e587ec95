"""What a report is made from, as one hash: while it stays, there is nothing to judge or draw again.

Light: no chart, database or number library is imported here, so that asking costs milliseconds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from interpreter.errors import Place
from interpreter.plan.types import EntryPlan, Plan
from interpreter.project import Project
from interpreter.report.stamps import named_entries, notebook_entries, place_of, read_stamp
from interpreter.spec.base import Config

VERSION = 1  # of the report room; raised when reports must be made again although no file of it changed

_ROOMS = ("report", "verdicts", "results")  # what they say in a report depends on their source


def folder_of(project: Project, plan: Plan) -> Path:
    """Where the reports of a page are: reports/<date>, or reports/<date>-<profile>."""
    return project.reports / (f"{plan.page}-{plan.profile}" if plan.profile else plan.page)


def stamp_of(project: Project, plan: Plan, entry: EntryPlan) -> Path:
    """The file beside an entry's report that holds the hash of what it was made from."""
    return folder_of(project, plan) / f".{entry.entry.name}.inputs"


def inputs_hash(project: Project, entry_plan: EntryPlan, plan: Plan) -> str:
    """The hash of everything that the report of an entry depends on.

    That is: the entry as planned (texts, charts, tables, measures, claims, arms, problems), how far the records of its
    stages are (DONE, size of the events, attempts' ends), when its claims were first seen, what is said of its notebook and
    of the entries it names, and this room's source.
    """
    keys = sorted({key for arm in entry_plan.arms for trial in arm.trials for _, key in trial.stages})
    content = {
        "version": VERSION,
        "source": source_hash(),
        "page": [plan.page, plan.profile, plan.file, plan.title],
        "entry": _plain(entry_plan),
        "stages": {key: [_shown(plan, key), _record(project, key)] for key in keys},
        "ledger": _ledger(project, entry_plan),
        "notebook": list(notebook_entries(project, plan, entry_plan).items()),
        "named": [_said(project, plan, name) for name in named_entries(entry_plan)],
    }
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:40]


def unchanged(project: Project, plan: Plan) -> bool:
    """True when every entry's report is there and was made from what there is now: no need to judge or report."""
    return bool(plan.entries) and all(is_current(project, plan, entry) for entry in plan.entries)


def is_current(project: Project, plan: Plan, entry: EntryPlan) -> bool:
    """True when the report of one entry is there, with all its files, and was made from what there is now."""
    stamp = read_stamp(stamp_of(project, plan, entry))
    folder = folder_of(project, plan)
    files = stamp.get("files")
    if not isinstance(files, list) or not all((folder / str(name)).is_file() for name in files):
        return False
    return stamp.get("hash") == inputs_hash(project, entry, plan)


@cache
def source_hash() -> str:
    """The hash of the source files (code, SQL, templates) of the rooms that a report's content comes from."""
    found = hashlib.sha256()
    package = Path(__file__).resolve().parent.parent
    for room in _ROOMS:
        for path in sorted((package / room).rglob("*")):
            if path.suffix in {".py", ".sql", ".css", ".html", ".js"}:
                found.update(path.relative_to(package).as_posix().encode())
                found.update(path.read_bytes())
    return found.hexdigest()


def _shown(plan: Plan, key: str) -> list[Any] | None:
    """What is shown of a stage as planned."""
    stage = plan.stages.get(key)
    return None if stage is None else [_plain(stage.settings), list(stage.unbuilt)]


def _said(project: Project, plan: Plan, entry: str) -> list[Any]:
    """What the report of another entry says of it."""
    stamp = read_stamp(place_of(project, entry, plan.profile))
    return [entry, entry in plan.ids() or bool(stamp), stamp.get("title"), stamp.get("states")]


def _record(project: Project, key: str) -> list[Any]:
    """What tells one state of a record from another."""
    folder = project.runs / key
    try:
        done = hashlib.sha256((folder / "DONE").read_bytes()).hexdigest()
    except OSError:
        done = ""
    try:
        size = (folder / "events.jsonl").stat().st_size
    except OSError:
        size = -1
    ends = [] if done else sorted(p.name for p in folder.glob("attempts/*.end"))
    return [done, size, ends]


def _ledger(project: Project, entry: EntryPlan) -> list[Any]:
    """The ledger's lines about this entry's claims."""
    try:
        raw = project.ledger.read_bytes()
    except OSError:
        return []
    lines = []
    name = json.dumps(entry.id).encode()
    for line in raw.split(b"\n"):
        if name in line and b'"claim"' in line:
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue  # a torn line: the ledger's reader drops it too
    return lines


def _plain(value: Any) -> Any:
    """`value` as JSON data. Places are left out: moving an entry within its page changes nothing that is shown."""
    if isinstance(value, Config):
        return {"__type__": type(value).__name__, **value.model_dump(mode="json")}
    if isinstance(value, Place):
        return None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return [[str(k), _plain(v)] for k, v in value.items()]  # a list: the order of charts and arms is shown
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return repr(value)
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)
