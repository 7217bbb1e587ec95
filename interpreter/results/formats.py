"""Rows as a table for people, CSV or JSON. Parquet never passes through Python: see `read.write_parquet`."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
import sys
from pathlib import Path
from typing import Any, TextIO

from interpreter.errors import UsageError
from interpreter.results.read import Rows

FORMATS = ("table", "csv", "json")
_RIGHT = ("INT", "DOUBLE", "FLOAT", "DECIMAL")


def write(rows: Rows, format_: str, path: Path | None = None) -> None:
    """Write `rows` to the file `path`, or to standard output.

    Raises: UsageError for an unknown format, or a file that can't be written.
    """
    if format_ not in FORMATS:
        raise UsageError(f"no format `{format_}`", hint=f"known: {', '.join(FORMATS)}")
    try:
        if path is None:
            print_rows(rows, format_, sys.stdout)
        else:
            with open(path, "w", encoding="utf-8", newline="") as file:
                print_rows(rows, format_, file)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror or error}") from None


def print_rows(rows: Rows, format_: str, out: TextIO) -> None:
    """Print `rows` as a table, CSV or JSON (a list of objects, one a line; NaN and infinities as strings)."""
    if format_ == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(rows.columns)
        writer.writerows([_csv(value) for value in row] for row in rows.rows)
    elif format_ == "json":
        lines = [json.dumps(dict(zip(rows.columns, map(_json, row), strict=True)), ensure_ascii=False) for row in rows.rows]
        out.write("[" + ",\n ".join(lines) + "]\n")
    else:
        out.write(as_table(rows, None if out is not sys.stdout or not out.isatty() else 0))


def as_table(rows: Rows, width: int | None = None) -> str:
    """`rows` as a light table. width: of the terminal; 0 asks the terminal, None is as wide as the rows need."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name, type_ in zip(rows.columns, rows.types, strict=True):
        right = any(word in type_ for word in _RIGHT) and "[" not in type_ and "(" not in type_.replace("DECIMAL(", "")
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold", no_wrap=width is None)
    for row in rows.rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    out = io.StringIO()
    wanted = sys.maxsize if width is None else width or Console().width
    console = Console(file=out, width=min(wanted, 100_000), color_system=None, highlight=False)
    if rows.columns:
        console.print(table)
    console.print(f"{len(rows.rows)} row{'s' * (len(rows.rows) != 1)}")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(_json(value), ensure_ascii=False)
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "seconds")
    return str(value)


def _csv(value: Any) -> Any:
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(_json(value), ensure_ascii=False)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return value


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(k): _json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
