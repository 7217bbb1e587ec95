"""Taking records into the database: whoever holds the lock takes in what is new in every record under runs/.

New event lines are read from the byte where the last ingest stopped, up to the last whole line, and written in one
transaction. A record with several attempts, or one that was replaced, is taken in whole instead. What can't be
written now is written by the next ingest: the record has everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from interpreter.errors import DatabaseBusy, RecordError
from interpreter.plan.types import Plan, Stage
from interpreter.project import Project
from interpreter.results import records
from interpreter.results.connect import open_database, writer_lock
from interpreter.results.load import Change, put_changes, remove_orphans
from interpreter.results.pages import put_plan
from interpreter.results.predictions import make_view
from interpreter.results.schema import migrate
from interpreter.results.staging import chunk_of
from interpreter.run.record import Record
from interpreter.run.status import status_of


@dataclass(frozen=True, slots=True)
class Ingested:
    """What was taken in: stages that had something new, rows of metrics; or, `behind`, why nothing could be."""

    stages: int = 0
    rows: int = 0
    behind: bool = False
    message: str = ""


def ingest(project: Project, plans: Sequence[Plan], *, wait_s: float = 20.0) -> Ingested:
    """Take in what `plans` say and what is new under runs/. A database held by others for `wait_s` is left behind.

    Raises: RecordError when the database can't be written for another reason.
    """
    try:
        with writer_lock(project, wait_s):
            return fill(project, project.database, plans, wait_s=wait_s)
    except DatabaseBusy as error:
        return Ingested(behind=True, message=str(error))


def fill(project: Project, path: Path, plans: Sequence[Plan], *, wait_s: float) -> Ingested:
    """Take everything new into the database at `path`, under the writer's lock. Raises: DatabaseBusy, RecordError."""
    connection = open_database(path, project.root, read_only=False, wait_s=wait_s)
    try:
        migrate(connection)
        connection.execute("BEGIN")
        try:
            result = _take_in(connection, project, plans)
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise
        return result
    except duckdb.Error as error:
        raise RecordError(f"{path.name} can't be written: {str(error).strip().splitlines()[0]}", hint="expt rebuild") from error
    finally:
        connection.close()


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("ROLLBACK")
    except duckdb.Error:  # it has been rolled back already, or the connection is gone
        return


def _take_in(connection: duckdb.DuckDBPyConnection, project: Project, plans: Sequence[Plan]) -> Ingested:
    stages = {key: stage for plan in plans for key, stage in plan.stages.items()}
    known = {
        key: _Known(stage_id, state, epochs, taken, head or "", signature)
        for key, stage_id, state, epochs, taken, head, signature in connection.execute(
            "SELECT key, stage_id, state, epochs, bytes, head, signature FROM stages LEFT JOIN ingested USING (stage_id)"
        ).fetchall()
    }
    segments = _segments(connection)
    ids = {key: found.stage_id for key, found in known.items()}
    free = max(ids.values(), default=0) + 1
    here = records.keys(project)
    for key in [*here, *sorted(stages.keys() - set(here))]:
        if key not in ids:
            ids[key], free = free, free + 1
    changes = [change for key in here if (change := _change(project, key, ids[key], known.get(key), stages.get(key)))]
    absent = set(here)
    vanished = [found.stage_id for key, found in known.items() if found.signature is not None and key not in absent]
    new = [(ids[key], stage) for key, stage in stages.items() if key not in absent and key not in known]
    rows = put_changes(connection, changes, vanished, new, project.cache) if changes or vanished or new else 0
    written = [put_plan(connection, project, plan, ids) for plan in plans]
    if any(written) or vanished:
        remove_orphans(connection)
    if _segments(connection) != segments:
        make_view(connection)
    return Ingested(len(changes), rows)


@dataclass(frozen=True, slots=True)
class _Known:
    stage_id: int
    state: str
    epochs: int
    bytes: int | None
    head: str
    signature: str | None


def _change(project: Project, key: str, stage_id: int, known: _Known | None, stage: Stage | None) -> Change | None:
    """What is new in the record `key`, or None when nothing is."""
    record = Record.of(project, key)
    signature = records.signature(record)
    if known is not None and known.signature == signature:
        if known.state == "done":
            return None
        status = status_of(project, key)
        if (status.state, status.epoch) == (known.state, known.epochs):
            return None
    head = records.head_of(record)
    taken = known.bytes or 0 if known is not None else 0
    mixed = records.attempts_made(record) > 1
    chunk = chunk_of(stage_id, record.events, 0 if mixed else taken, mixed)
    # A second attempt that left no file of its own shows in its first line.
    whole = mixed or chunk.attempts + (taken > 0) > 1 or (taken > 0 and known is not None and known.head != head)
    whole = whole or _shorter(record, taken)
    if whole and chunk.start > 0:
        chunk = chunk_of(stage_id, record.events, 0, mixed)
    return Change(stage_id, key, records.read(project, key, stage), chunk, whole, head, signature)


def _shorter(record: Record, taken: int) -> bool:
    try:
        return record.events.stat().st_size < taken
    except OSError:
        return taken > 0


def _segments(connection: duckdb.DuckDBPyConnection) -> object:
    return connection.execute("SELECT count(*), bit_xor(hash(path, targets, target_kind)) FROM prediction_segments").fetchall()
