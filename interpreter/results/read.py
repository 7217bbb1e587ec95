"""Asking the database: read-only, open for one query at a time, so that whoever writes never waits for long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb

from interpreter.errors import RecordError, UsageError
from interpreter.project import Project
from interpreter.results.connect import connect_readonly

_LOST_FILES = ("No files found", "No such file", "Cannot open file")


@dataclass(frozen=True, slots=True)
class Rows:
    """What a query gave: names and SQL types of the columns, and the rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def dicts(self) -> list[dict[str, Any]]:
        """Each row by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def query(project: Project, sql: str, params: Sequence[Any] | Mapping[str, Any] = (), *, wait_s: float = 20.0) -> Rows:
    """The rows that `sql` gives, of its last statement. Parameters are ? and $1, or $name with a mapping.

    Raises: UsageError for SQL that DuckDB refuses; RecordError when there is no database, or a file of a record that the
    query reads is gone; DatabaseBusy when somebody writes for longer than `wait_s` seconds.
    """
    with connect_readonly(project, wait_s) as connection:
        try:
            connection.execute(sql, params or None)
            if connection.description is None:
                return Rows((), (), ())
            names = tuple(column[0] for column in connection.description)
            types = tuple(str(column[1]) for column in connection.description)
            return Rows(names, types, tuple(connection.fetchall()))
        except duckdb.Error as error:
            raise _explained(error) from None


def select(project: Project, sql: str, known: Mapping[str, Any], limit: int, *, wait_s: float = 20.0) -> Rows:
    """The first `limit` rows of one query that only reads; those of `known` that it names are bound ($entry).

    Raises: as `query`, and UsageError for anything but one query, or a parameter that isn't known.
    """
    with connect_readonly(project, wait_s) as connection:
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UsageError("not one query that only reads", hint="one SELECT, or WITH ... SELECT")
            wanted = sorted(statements[0].named_parameters)
            if unknown := [name for name in wanted if name not in known]:
                raise UsageError(f"the parameter ${unknown[0]} isn't known", hint=" and ".join(f"${name}" for name in known))
            connection.execute(statements[0], {name: known[name] for name in wanted} or None)
            names = tuple(column[0] for column in connection.description)
            types = tuple(str(column[1]) for column in connection.description)
            return Rows(names, types, tuple(connection.fetchmany(limit)))
        except duckdb.Error as error:
            raise _explained(error) from None


def write_parquet(project: Project, sql: str, path: str, *, wait_s: float = 20.0) -> int:
    """Write the rows that `sql` gives to the Parquet file `path`, types kept; returns how many. Raises: as `query`."""
    with connect_readonly(project, wait_s) as connection:
        try:
            quoted = path.replace("'", "''")
            copied = connection.execute(f"COPY ({sql.strip().rstrip(';')}) TO '{quoted}' (FORMAT parquet)")
            return int(copied.fetchall()[0][0])
        except duckdb.IOException as error:
            raise UsageError(f"{path} can't be written: {_first(str(error))}") from None
        except duckdb.Error as error:
            raise _explained(error) from None


@cache
def named(name: str) -> str:
    """The SQL of queries/<name>.sql. Raises: KeyError for an unknown name."""
    path = files("interpreter.results") / "queries" / f"{name}.sql"
    if not path.is_file():
        raise KeyError(name)
    return path.read_text("utf-8")


def query_names() -> tuple[str, ...]:
    """Names of all named queries."""
    folder = files("interpreter.results") / "queries"
    return tuple(sorted(item.name.removesuffix(".sql") for item in folder.iterdir() if item.name.endswith(".sql")))


def _explained(error: duckdb.Error) -> UsageError | RecordError:
    text = str(error).strip()
    if isinstance(error, duckdb.IOException) and any(words in text for words in _LOST_FILES):
        return RecordError(_first(text), hint="predictions were moved or never kept; `expt rebuild` forgets what is gone")
    if "read-only" in text.lower():
        return UsageError("the database can only be read here", hint="it is an index over runs/, which no SQL changes")
    if isinstance(error, (duckdb.FatalException, duckdb.InternalException)):
        return RecordError(f"the database can't be read: {_first(text)}", hint="make it anew: expt rebuild")
    return UsageError(text)


def _first(text: str) -> str:
    return next(iter(_lines(text)), "")


def _lines(text: str) -> Iterable[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
