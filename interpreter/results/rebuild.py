"""The database made anew from runs/ and the plans given, and how two databases differ."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from interpreter.errors import DatabaseBusy, RecordError
from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.results.connect import open_database, writer_lock
from interpreter.results.ingest import Ingested, fill

# What may differ between a database that grew and one made at once, besides the ids.
VOLATILE: dict[str, frozenset[str]] = {"ingested": frozenset({"signature"}), "migrations": frozenset({"applied"})}
# In place of an id, what it stands for: every table is compared with the names its ids mean.
_NAMES = {
    "stage_id": "(SELECT any_value(key) FROM {db}.stages s WHERE s.stage_id = t.stage_id) AS stage_key",
    "entry_id": "(SELECT any_value(entry || '@' || profile) FROM {db}.entries e WHERE e.entry_id = t.entry_id) AS entry_name",
    "arm_id": "(SELECT any_value(e.entry || '@' || e.profile || '/' || a.arm) FROM {db}.arms a JOIN {db}.entries e"
    " USING (entry_id) WHERE a.arm_id = t.arm_id) AS arm_name",
    "trial_id": "(SELECT any_value(e.entry || '@' || e.profile || '/' || a.arm || '#' || r.seed) FROM {db}.trials r"
    " JOIN {db}.arms a USING (arm_id) JOIN {db}.entries e USING (entry_id) WHERE r.trial_id = t.trial_id) AS trial_name",
    "page_id": "(SELECT any_value(file || '@' || profile) FROM {db}.pages p WHERE p.page_id = t.page_id) AS page_name",
    "environment_id": "(SELECT any_value(everything) FROM {db}.environments v WHERE v.environment_id = t.environment_id)"
    " AS environment",
}
_OWN = {"pages": "page_id", "entries": "entry_id", "arms": "arm_id", "trials": "trial_id", "stages": "stage_id",
        "environments": "environment_id"}  # fmt: skip
JUDGED = frozenset({"measures", "claims", "verdicts"})


def rebuild(project: Project, plans: Sequence[Plan], *, wait_s: float = 20.0) -> Ingested:
    """Make results.duckdb anew beside the old one and put it in its place. Measures and verdicts are left to judging.

    Raises: DatabaseBusy when somebody holds the old one for `wait_s` seconds; RecordError.
    """
    with writer_lock(project, wait_s), _beside(project) as path:
        result = fill(project, path, plans, wait_s=0)
        holder = None
        if project.database.exists():
            try:  # Opening it shows that nobody reads it, keeps it so, and folds in what a killed writer left beside it.
                holder = open_database(project.database, project.root, read_only=False, wait_s=wait_s)
            except DatabaseBusy:
                raise
            except RecordError:  # damaged: what it says is no longer needed
                holder = None
        try:
            Path(f"{project.database}.wal").unlink(missing_ok=True)
            os.replace(path, project.database)
        finally:
            if holder is not None:
                holder.close()
    return result


def compare_with_rebuilt(project: Project, plans: Sequence[Plan], *, wait_s: float = 20.0) -> list[str]:
    """How results.duckdb differs from what `rebuild` would make, verdicts and measures apart; [] when it does not."""
    if not project.database.is_file():
        return [f"there is no {project.database.name}"]
    with writer_lock(project, wait_s), _beside(project) as path:
        fill(project, path, plans, wait_s=0)
        return compare(project.database, path, leave_out=JUDGED)


def compare(first: Path, second: Path, *, leave_out: frozenset[str] = frozenset()) -> list[str]:
    """Differences between two databases, a line a table, volatile columns apart; [] when there is none.

    Rows are compared as a multiset, ids by what they stand for. Raises: RecordError when one can't be read.
    """
    try:
        with duckdb.connect() as connection:
            for name, path in (("a", first), ("b", second)):
                connection.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS {name} (READ_ONLY)")
            tables = {db: _tables(connection, db) for db in ("a", "b")}
            told = [f"{table}: only in one of the two" for table in sorted(tables["a"].keys() ^ tables["b"].keys())]
            for table in sorted((tables["a"].keys() & tables["b"].keys()) - leave_out):
                if tables["a"][table] != tables["b"][table]:
                    told.append(f"{table}: columns differ")
                elif line := _difference(connection, table, tables["a"][table]):
                    told.append(line)
            return told
    except duckdb.Error as error:
        if "lock" in str(error).lower():
            raise DatabaseBusy(f"{first.name} is held by another process", hint="try again") from None
        raise RecordError(f"databases can't be compared: {str(error).strip().splitlines()[0]}") from None


def _tables(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    rows = connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = ? AND NOT internal"
        " AND table_name IN (SELECT table_name FROM duckdb_tables() WHERE database_name = ?) ORDER BY ALL",
        [database, database],
    ).fetchall()
    for table, column in rows:
        found.setdefault(table, []).append(column)
    return found


def _difference(connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str]) -> str:
    def rows(database: str) -> str:
        chosen = [f't."{c}"::VARCHAR AS "{c}"' for c in columns if c not in VOLATILE.get(table, frozenset()) and c not in _NAMES]
        chosen += [_NAMES[c].format(db=database) for c in columns if c in _NAMES and _OWN.get(table) != c]
        return f"SELECT {', '.join(chosen)} FROM {database}.{table} t"

    missing = connection.execute(f"SELECT * FROM ({rows('a')} EXCEPT ALL {rows('b')}) ORDER BY ALL").fetchall()
    extra = connection.execute(f"SELECT * FROM ({rows('b')} EXCEPT ALL {rows('a')}) ORDER BY ALL").fetchall()
    if not missing and not extra:
        return ""
    example = (missing or extra)[0]
    where = "first" if missing else "second"
    return f"{table}: {len(missing)} rows only in the first, {len(extra)} only in the second; in the {where}: {example}"


@contextlib.contextmanager
def _beside(project: Project) -> Iterator[Path]:
    path = project.database.with_name(f".{project.database.name}.{os.getpid()}.new")
    try:
        yield path
    finally:
        for leftover in (path, Path(f"{path}.wal")):
            leftover.unlink(missing_ok=True)
