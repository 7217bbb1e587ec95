"""Opening results.duckdb: by one writer or many readers at a time, each only for as long as it needs.

DuckDB locks the file for the time a connection is open. What is held is tried again for a while, then reported with the
process that holds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

from interpreter.errors import DatabaseBusy, RecordError
from interpreter.project import Project

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.25
_HELD = re.compile(r"lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_HERE = "different configuration"  # held by another connection of this process, in the other mode


def open_database(path: Path, root: Path, *, read_only: bool, wait_s: float) -> duckdb.DuckDBPyConnection:
    """A connection to the database at `path`; relative paths in SQL are below `root`.

    Raises: DatabaseBusy when it stays held for `wait_s` seconds; RecordError when it can't be opened.
    """
    deadline, pause = time.monotonic() + wait_s, _FIRST_PAUSE_S
    while True:
        try:
            connection = duckdb.connect(str(path), read_only=read_only)
        except duckdb.Error as error:
            holder = _holder(str(error))
            if holder is None:
                words = str(error).strip().partition("\n")[0]
                raise RecordError(f"{path.name} can't be opened: {words}", hint="make it anew: expt rebuild") from None
            if time.monotonic() + pause > deadline:
                raise DatabaseBusy(
                    f"{path.name} is held by {holder}",
                    hint="nothing is lost: the record has everything; close that program and try again",
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            continue
        try:
            connection.execute("SET file_search_path = ?", [str(root)])
            connection.execute("SET TimeZone = 'UTC'")
        except BaseException:
            connection.close()
            raise
        return connection


@contextlib.contextmanager
def connect_readonly(project: Project, wait_s: float = 20.0) -> Iterator[duckdb.DuckDBPyConnection]:
    """The project's database, read-only, for as long as the block runs: nobody can write meanwhile, so keep it short.

    Raises: RecordError when there is none; DatabaseBusy when a writer keeps it for `wait_s` seconds.
    """
    if not project.database.is_file():
        raise RecordError(
            f"there is no {project.database.name} yet", hint="`expt run` makes it; `expt rebuild` makes it from an existing runs/"
        )
    connection = open_database(project.database, project.root, read_only=True, wait_s=wait_s)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def writer_lock(project: Project, wait_s: float) -> Iterator[None]:
    """The right to take records in, one process at a time. Raises: DatabaseBusy; RecordError when it can't be asked for."""
    path = project.runs / "ingest.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RecordError(f"{path} can't be opened: {error.strerror}") from None
    try:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                    raise DatabaseBusy(f"process {holder or 'unknown'} is taking records in") from None
                time.sleep(0.02)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(message: str) -> str | None:
    """Who holds the database, in words, or None when the message is about something else."""
    if _HERE in message:
        return "another connection of this process"
    if "set lock on file" not in message:
        return None
    found = _HELD.search(message)
    return f"process {found['pid']} ({Path(found['program']).name})" if found else "another process"
