"""What a plan says - page, entries, arms, trials - as rows of the database, replaced whole when it has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from interpreter.plan.types import EntryPlan, Plan
from interpreter.project import Project
from interpreter.results.rows import insert
from interpreter.spec.canonical import digest
from interpreter.spec.entry import Outcome

_ENTRY_TABLES = ("measures", "claims", "verdicts")
Row = dict[str, Any]


def is_put(connection: duckdb.DuckDBPyConnection, project: Project, plan: Plan) -> bool:
    """Whether the database has `plan` as it is."""
    return any(plan_hash == _hash(plan) for _, plan_hash in _found(connection, project, plan))


def put_plan(connection: duckdb.DuckDBPyConnection, project: Project, plan: Plan, stage_ids: Mapping[str, int]) -> None:
    """Write what `plan` says, unless it is there. Entries keep their ids, and with them their verdicts."""
    if is_put(connection, project, plan):
        return
    file, old = _file(project, plan), _found(connection, project, plan)
    page_id = old[0][0] if old else _next(connection, "pages", "page_id")
    ids = dict(connection.execute("SELECT entry, entry_id FROM entries WHERE profile = ?", [plan.profile]).fetchall())
    gone = [row[0] for row in connection.execute("SELECT entry FROM entries WHERE page_id = ?", [page_id]).fetchall()]
    for entry in {*gone, *plan.ids()} & ids.keys():
        _remove_arms(connection, ids[entry])
        if entry not in plan.ids():
            for table in _ENTRY_TABLES:
                connection.execute(f"DELETE FROM {table} WHERE entry_id = ?", [ids[entry]])
        connection.execute("DELETE FROM entries WHERE entry_id = ?", [ids[entry]])
    connection.execute("DELETE FROM pages WHERE page_id = ?", [page_id])
    insert(connection, "pages", [{
        "page_id": page_id, "page": plan.page, "profile": plan.profile, "title": plan.title, "file": file,
        "text_hash": plan.text_hash, "plan_hash": _hash(plan),
    }])  # fmt: skip
    free = max([_next(connection, "entries", "entry_id"), *(i + 1 for i in ids.values())])
    for entry_plan in plan.entries:
        entry_id = ids.get(entry_plan.id)
        if entry_id is None:
            entry_id, free = free, free + 1
        _put_entry(connection, page_id, entry_id, entry_plan, stage_ids)


def _found(connection: duckdb.DuckDBPyConnection, project: Project, plan: Plan) -> list[tuple[int, str]]:
    sql = "SELECT page_id, plan_hash FROM pages WHERE file = ? AND profile = ?"
    rows: list[tuple[int, str]] = connection.execute(sql, [_file(project, plan), plan.profile]).fetchall()
    return rows


def _hash(plan: Plan) -> str:
    return digest(repr((plan.page, plan.title, plan.text_hash, [_content(entry) for entry in plan.entries])))


def _put_entry(
    connection: duckdb.DuckDBPyConnection, page_id: int, entry_id: int, plan: EntryPlan, stage_ids: Mapping[str, int]
) -> None:
    entry = plan.entry
    insert(connection, "entries", [{
        "entry_id": entry_id, "page_id": page_id, "entry": plan.id, "profile": plan.profile, "name": entry.name,
        "title": entry.title, "notebook": entry.notebook, "question": entry.question, "notes": entry.notes,
        "conclusion": entry.conclusion, "about": entry.about, "outcome": _outcome(entry.outcome), "line": entry.place.line,
    }])  # fmt: skip
    arm_id, trial_id = _next(connection, "arms", "arm_id"), _next(connection, "trials", "trial_id")
    arms: list[Row] = []
    trials: list[Row] = []
    walks: list[Row] = []
    for position, arm in enumerate(plan.arms, 1):
        arms.append({
            "arm_id": arm_id, "entry_id": entry_id, "arm": arm.name, "position": position, "baseline": arm.baseline,
            "chain": list(arm.chain), "main_stage": arm.main_stage, "evaluations": list(arm.evaluations),
            "given": list(arm.given), "base": arm.base or arm.name,
            "factors": {"names": list(arm.factors), "labels": list(arm.factors.values())},
        })  # fmt: skip
        for trial in arm.trials:
            levels = {"names": list(trial.levels), "seeds": list(trial.levels.values())}
            trials.append({"trial_id": trial_id, "arm_id": arm_id, "seed": trial.seed, "levels": levels})
            walks += [{"trial_id": trial_id, "position": place, "stage": name, "stage_id": stage_ids[key]}
                      for place, (name, key) in enumerate(trial.stages, 1)]  # fmt: skip
            trial_id += 1
        arm_id += 1
    insert(connection, "arms", arms, replace="map(factors.names::VARCHAR[], factors.labels::VARCHAR[]) AS factors")
    insert(connection, "trials", trials, replace="map(levels.names::VARCHAR[], levels.seeds::INTEGER[]) AS levels")
    insert(connection, "trial_stages", walks)


def _remove_arms(connection: duckdb.DuckDBPyConnection, entry_id: int) -> None:
    arms = "(SELECT arm_id FROM arms WHERE entry_id = $1)"
    trials = f"(SELECT trial_id FROM trials WHERE arm_id IN {arms})"
    connection.execute(f"DELETE FROM trial_stages WHERE trial_id IN {trials}", [entry_id])
    connection.execute(f"DELETE FROM trials WHERE arm_id IN {arms}", [entry_id])
    connection.execute("DELETE FROM arms WHERE entry_id = $1", [entry_id])


def _content(plan: EntryPlan) -> tuple[Any, ...]:
    entry = plan.entry
    arms = [(a.name, a.chain, a.baseline, a.main_stage, a.evaluations, a.given, a.base, list(a.factors.items()),
             [(t.seed, sorted(t.levels.items()), t.stages) for t in a.trials]) for a in plan.arms]  # fmt: skip
    said = (entry.title, entry.notebook, entry.question, entry.notes, entry.conclusion, entry.about, _outcome(entry.outcome))
    return (plan.id, *said, entry.place.line, arms)


def _outcome(outcome: Outcome | None) -> str | None:
    return None if outcome is None else json.dumps(asdict(outcome), ensure_ascii=False)


def _file(project: Project, plan: Plan) -> str:
    path = Path(plan.file)
    root = project.root.resolve()
    whole = (path if path.is_absolute() else root / path).resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else path.as_posix()


def _next(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> int:
    return int(connection.execute(f"SELECT coalesce(max({column}), 0) + 1 FROM {table}").fetchall()[0][0])
