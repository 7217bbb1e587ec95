"""The tables of results.duckdb, made by named steps in order: migrations/*.sql."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import duckdb

from interpreter.errors import RecordError
from interpreter.results.predictions import make_views


@cache
def steps() -> tuple[tuple[str, str], ...]:
    """Name and SQL of every step, in order."""
    folder = files("interpreter.results") / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return tuple((name.removesuffix(".sql"), (folder / name).read_text("utf-8")) for name in names)


def migrate(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Do the steps that the database lacks, in one transaction; returns their names.

    Raises: RecordError when the database was made by a newer program, or is none of ours.
    """
    missing = _missing(connection)
    if not missing:
        return ()
    connection.execute("BEGIN")
    try:
        for name, sql in missing:
            if name.endswith("macros"):
                make_views(connection)  # macros read the view predictions
            connection.execute(sql)
            connection.execute("INSERT INTO migrations VALUES (?, now()::TIMESTAMP)", [name])
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return tuple(name for name, _ in missing)


def is_current(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether no step is missing. Raises: RecordError when there is one that this program does not know."""
    return not _missing(connection)


def _missing(connection: duckdb.DuckDBPyConnection) -> tuple[tuple[str, str], ...]:
    done = _done(connection)
    known = [name for name, _ in steps()]
    if done != known[: len(done)]:
        strange = [name for name in done if name not in known]
        raise RecordError(
            f"results.duckdb was made by a newer version of this program (it has {', '.join(strange) or 'other steps'})",
            hint="update the program, or make the database anew with this one: expt rebuild",
        )
    return steps()[len(done) :]


def _done(connection: duckdb.DuckDBPyConnection) -> list[str]:
    tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if "migrations" in tables:
        return [row[0] for row in connection.execute("SELECT name FROM migrations ORDER BY name").fetchall()]
    if tables:
        raise RecordError("results.duckdb holds tables that are not ours", hint="move the file away, then: expt rebuild")
    return []
