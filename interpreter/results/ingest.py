"""Taking records into the database: whoever holds the lock takes in what is new in every record under runs/.

New event lines are read from the byte where the last ingest stopped, up to the last whole line, and written in one
transaction (several, where there are hundreds of megabytes). A record with several attempts, or one that was replaced,
is taken in whole instead. What can't be written now is written by the next ingest: the record has everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import duckdb

from interpreter.errors import DatabaseBusy, RecordError
from interpreter.plan.types import Plan, Stage
from interpreter.project import Project
from interpreter.results import records
from interpreter.results.connect import open_database, writer_lock
from interpreter.results.load import Change, put_changes, remove_orphans
from interpreter.results.pages import is_put, put_plan
from interpreter.results.predictions import make_views
from interpreter.results.schema import is_current, migrate
from interpreter.results.staging import chunk_of, stage_lines
from interpreter.run.record import Record
from interpreter.run.status import status_of

BATCH_BYTES = 256 * 2**20  # of events that are held in memory, and written in one transaction


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
    """Take everything new into the database at `path`, under the writer's lock. Raises: DatabaseBusy, RecordError.

    What is new is found before the database is opened for writing, so that readers wait for the writing alone.
    """
    try:
        known, settled = _look(project, path, plans, wait_s)
        here = set(records.keys(project))
        ids = _ids(known, [*sorted(here), *(key for plan in plans for key in plan.stages)])
        stages = {key: stage for plan in plans for key, stage in plan.stages.items()}
        found = (_change(project, key, ids[key], known.get(key), stages.get(key)) for key in sorted(here))
        changes = (change for change in found if change is not None)
        vanished = [old.stage_id for key, old in known.items() if old.signature is not None and key not in here]
        new = [(ids[key], stage) for key, stage in stages.items() if key not in here and key not in known]
        batches = _batches(changes)
        first = next(batches)
        if settled and not first and not vanished and not new:
            return Ingested()
        connection = open_database(path, project.root, read_only=False, wait_s=wait_s)
        try:
            migrate(connection)
            rows = count = 0
            for last, batch in _last(chain([first], batches)):
                corrupt = stage_lines(connection, [change.chunk for change in batch], project.cache)
                connection.execute("BEGIN")
                rows += put_changes(connection, batch, corrupt, vanished if last else (), new if last else ())
                count += len(batch)
                if last:
                    _put_plans(connection, project, plans, ids)
                connection.execute("COMMIT")
            return Ingested(count, rows)
        finally:
            connection.close()  # what was not committed is gone with it
    except duckdb.Error as error:
        raise RecordError(f"{path.name} can't be written: {str(error).strip().splitlines()[0]}", hint="expt rebuild") from error


def _look(project: Project, path: Path, plans: Sequence[Plan], wait_s: float) -> tuple[dict[str, _Known], bool]:
    """What the database at `path` knows of each stage, and whether it is up to date with all `plans`."""
    if not path.is_file():
        return {}, False
    connection = open_database(path, project.root, read_only=True, wait_s=wait_s)
    try:
        if not is_current(connection):
            connection.close()
            connection = open_database(path, project.root, read_only=False, wait_s=wait_s)
            migrate(connection)
        rows = connection.execute(
            "SELECT key, stage_id, state, epochs, bytes, head, signature FROM stages LEFT JOIN ingested USING (stage_id)"
        ).fetchall()
        return {row[0]: _Known(*row[1:]) for row in rows}, all(is_put(connection, project, plan) for plan in plans)
    finally:
        connection.close()


def _ids(known: Mapping[str, _Known], keys: Sequence[str]) -> dict[str, int]:
    ids = {key: found.stage_id for key, found in known.items()}
    free = max(ids.values(), default=0) + 1
    for key in keys:
        if key not in ids:
            ids[key], free = free, free + 1
    return ids


def _batches(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """`changes` in lists of at most BATCH_BYTES of events or so; at least one list, which may be empty."""
    batch: list[Change] = []
    size = 0
    for change in changes:
        batch.append(change)
        size += len(change.chunk.data)
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch


def _last(batches: Iterable[list[Change]]) -> Iterator[tuple[bool, list[Change]]]:
    held: list[Change] | None = None
    for batch in batches:
        if held is not None:
            yield False, held
        held = batch
    if held is not None:
        yield True, held


def _put_plans(connection: duckdb.DuckDBPyConnection, project: Project, plans: Sequence[Plan], ids: Mapping[str, int]) -> None:
    for plan in plans:
        put_plan(connection, project, plan, ids)
    remove_orphans(connection)
    make_views(connection)


@dataclass(frozen=True, slots=True)
class _Known:
    stage_id: int
    state: str
    epochs: int
    bytes: int | None
    head: str | None
    signature: str | None


def _change(project: Project, key: str, stage_id: int, known: _Known | None, stage: Stage | None) -> Change | None:
    """What is new in the record `key`, or None when nothing is."""
    record = Record.of(project, key)
    signature = records.signature(project, key)
    if known is not None and known.signature == signature:
        if known.state == "done":
            return None
        status = status_of(project, key)
        if (status.state, status.epoch) == (known.state, known.epochs):
            return None
    taken = known.bytes or 0 if known is not None else 0
    attempts = records.attempt_files(record)
    mixed = len(attempts) > 1
    chunk = chunk_of(stage_id, record.events, 0 if mixed else taken, mixed)
    line = chunk.data[: chunk.data.find(b"\n") + 1] if chunk.start == 0 else records.first_line(record)
    head = hashlib.sha256(line).hexdigest()[:16] if line else ""
    # A second attempt that left no file of its own shows in its first line.
    whole = mixed or chunk.attempts + (taken > 0) > 1 or (taken > 0 and known is not None and known.head != head)
    whole = whole or _shorter(record, taken)
    if whole and chunk.start > 0:
        chunk = chunk_of(stage_id, record.events, 0, mixed)
    return Change(stage_id, key, records.read(project, key, stage, attempts), chunk, whole, head, signature)


def _shorter(record: Record, taken: int) -> bool:
    try:
        return record.events.stat().st_size < taken
    except OSError:
        return taken > 0
