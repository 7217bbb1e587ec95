"""Rows from Python into a table, in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]], *, replace: str = "") -> None:
    """Insert `rows`, columns by name. `replace` is SQL as in SELECT * REPLACE (...), for what needs a cast of its own."""
    if not rows:
        return
    hand_over(connection, "handed", rows)
    try:
        chosen = f"* REPLACE ({replace})" if replace else "*"
        connection.execute(f"INSERT INTO {table} BY NAME SELECT {chosen} FROM handed")
    finally:
        connection.unregister("handed")


def hand_over(connection: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make `rows` readable in SQL as `name`, until unregistered. All rows must have the columns of the first."""
    columns = {column: _array([row[column] for row in rows]) for column in rows[0]}
    connection.register(name, pa.table(columns))


def _array(values: list[Any]) -> pa.Array:
    if any(isinstance(value, list) for value in values) and not any(values):
        return pa.array(values, pa.list_(pa.string()))  # only empty lists: of nothing that could tell their type
    return pa.array(values)
