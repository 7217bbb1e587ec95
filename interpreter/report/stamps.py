"""What is beside each written report: the hash of what it was made from, and what other reports say of its entry.

Light: no chart, database or number library is imported here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from interpreter.plan.types import EntryPlan, Plan
from interpreter.project import Project
from interpreter.spec.names import DATE

_FOLDER = re.compile(rf"({DATE.pattern})(?:-(?P<profile>.+))?")


def read_stamp(path: Path) -> Mapping[str, Any]:
    """What the stamp at `path` says; nothing when it is absent or damaged, and the report is then made again."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def place_of(project: Project, entry: str, profile: str) -> Path:
    """The stamp of the entry with the id `entry`, whether it is there or not."""
    date, _, name = entry.partition("/")
    return project.reports / (f"{date}-{profile}" if profile else date) / f".{name}.inputs"


def stamps(project: Project, profile: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Id and stamp of every entry that has a report at this profile, by date and name."""
    for path in sorted(project.reports.glob("*/.*.inputs")):
        folder = _FOLDER.fullmatch(path.parent.name)
        if folder and (folder["profile"] or "") == profile and (stamp := read_stamp(path)):
            yield f"{folder[1]}/{stamp.get('name', '')}", stamp


def notebook_entries(project: Project, plan: Plan, entry: EntryPlan) -> dict[str, str]:
    """Id -> title of the entries of the notebook that `entry` belongs to, in its order: () without a file of its own.

    Those that have a report, those of this page, and those that the notebook's order names (title "" when unknown).
    """
    notebook = entry.entry.in_notebook
    if notebook is None:
        return {}
    found = {
        id_: str(stamp.get("title", "")) for id_, stamp in stamps(project, plan.profile) if stamp.get("notebook") == notebook.name
    }
    found |= {e.id: e.entry.title for e in plan.entries if e.entry.notebook == notebook.name}
    found |= {entry.id: entry.entry.title}
    rest = sorted(set(found) - set(notebook.order))
    return {id_: found.get(id_, "") for id_ in (*notebook.order, *rest)}


def named_entries(entry: EntryPlan) -> list[str]:
    """Ids of the entries that the updates and the outcome of `entry` name."""
    see = entry.entry.outcome.see if entry.entry.outcome else ()
    return list(dict.fromkeys([*see, *(update.entry for update in entry.entry.updates if update.entry)]))
