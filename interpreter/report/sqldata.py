"""Charts and tables of whatever a query gives: run read-only, bounded, drawn with the theme of all others."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from interpreter.errors import ReportError, UsageError
from interpreter.plan.points import short_labels
from interpreter.report.charts import custom
from interpreter.report.charts.palette import Look, ordered_look
from interpreter.report.content import Figure, Grid, Keeper, Rows
from interpreter.report.read import Reader
from interpreter.report.words import NOTHING, count, names, number
from interpreter.results.read import Rows as Found
from interpreter.spec.names import did_you_mean
from interpreter.spec.views import SqlChart, SqlTable

DRAWN = 5_000  # rows of one chart
LISTED = 100_000  # rows of one table's CSV file
PANELS = 12
CLASSES = 24  # colours of one chart; more values of a column share the last, and the caption says so
TICKS = 12
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
            "FLOAT", "DOUBLE", "DECIMAL", "NUMBER")  # fmt: skip


def sql_figure(name: str, chart: SqlChart, reader: Reader, look: Look, data: Keeper) -> Figure:
    """The figure of a query. Raises: ReportError when the query fails, or a column isn't in its result."""
    what = f"chart `{name}`"
    found = _asked(what, chart.sql, reader, DRAWN + 1)
    title = chart.title or name.replace("-", " ").replace("_", " ").capitalize()
    kinds = dict(zip(found.columns, map(_kind, found.types), strict=True))
    for axis, column in (("x", chart.x), ("y", chart.y), ("color", chart.color), ("facet", chart.facet)):
        if column is not None and column not in kinds:
            raise ReportError(
                f"{reader.plan.id}: {what} has `{axis}: {column}`, which isn't a column of its query",
                hint=did_you_mean(column, found.columns),
            )
    if not found.rows:
        return Figure(name, "sql", title, chart.caption, "", notice="No rows yet: the query gives nothing.")
    rows = [{k: _plain(v) for k, v in zip(found.columns, row, strict=True)} for row in found.rows[:DRAWN]]
    _shorten(rows, kinds, short_labels(reader.plan.arms))
    said = [chart.caption] if chart.caption else []
    if len(found.rows) > DRAWN:
        said.append(f"Only the first {DRAWN} rows of the query are drawn.")
    colours, note = _colours(chart, rows, kinds, look)
    said += [note] if note else []
    panels = [("", rows)]
    if chart.facet is not None:
        values = _distinct(rows, chart.facet)
        panels = [(f"{chart.facet} {_text(v)}", [r for r in rows if r[chart.facet] == v]) for v in values[:PANELS]]
        said += [f"{PANELS} of {len(values)} values of {chart.facet} are drawn."] if len(values) > PANELS else []
    shown = {c for c in (chart.x, chart.y, chart.color) if c is not None} | {custom.KEY}
    told = "" if chart.color is None or chart.color == chart.facet else chart.color
    made = [
        custom.Panel(title, data.add("query", [{k: v for k, v in r.items() if k in shown} for r in part]), chart.mark,
                     chart.x, kinds[chart.x], chart.y, kinds[chart.y], told, colours,
                     _ticks(rows, chart.x, chart.y),
                     _range(rows, chart.y) if len(panels) > 1 and kinds[chart.y] == "quantitative" else None)
        for title, part in panels
    ]  # fmt: skip
    alt = (
        f"{title}. {chart.y} against {chart.x}" + (f", by {chart.color}" if chart.color else "") + f": {count(len(rows), 'row')}."
    )
    drawn, file = custom.chart(made, page=True), custom.chart(made, page=False)[0]
    return Figure(
        name, "sql", title, " ".join(said), alt, tuple(c.to_dict(validate=False) for c in drawn), file.to_dict(validate=False),
        colours, legend="plain" if told else "",
    )  # fmt: skip


def sql_grid(name: str, title: str, table: SqlTable, reader: Reader) -> Grid:
    """The table of a query. Raises: ReportError when the query fails, or a format names no column or can't be used."""
    what = f"table `{name}`"
    found = _asked(what, table.sql, reader, LISTED + 1)
    for column in table.format:
        if column not in found.columns:
            raise ReportError(
                f"{reader.plan.id}: {what} formats the column `{column}`, which isn't in its query",
                hint=did_you_mean(column, found.columns),
            )
    if not found.rows:
        return Grid(name, title, table.caption, found.columns, (), (), found.columns, (), "No rows yet: the query gives nothing.")
    rows = tuple(
        tuple(_cell(v, table.format.get(column), what, reader) for column, v in zip(found.columns, row, strict=True))
        for row in found.rows[:LISTED]
    )
    caption = table.caption
    if len(found.rows) > LISTED:
        caption = f"{caption} Only the first {LISTED} rows of the query are kept.".strip()
    exact = tuple(tuple(_exact(v) for v in row) for row in found.rows[:LISTED])
    return Grid(name, title, caption, found.columns, rows, (), found.columns, exact)


def _asked(what: str, sql: str, reader: Reader, limit: int) -> Found:
    try:
        return reader.select(sql, limit)
    except UsageError as error:
        words = " ".join(str(error).split())
        raise ReportError(f"{reader.plan.id}: the query of {what} fails: {words}", hint=error.hint) from None


def _colours(
    chart: SqlChart, rows: Rows, kinds: Mapping[str, str], look: Look
) -> tuple[Look | None, str]:  # fmt: skip
    """The colours of the column that tells rows apart, and what to say of them; arms have theirs. Sets each row's key."""
    if chart.color is None:
        return None, ""
    values = _distinct(rows, chart.color)
    if all(v in look.labels for v in values):
        for row in rows:
            row[custom.KEY] = row[chart.color]
        return look.only([label for label in look.labels if label in set(values)]), ""
    number_like = kinds[chart.color] == "quantitative"
    if number_like:
        values.sort(key=lambda v: (v is None, v))
    rest = f"{len(values) - CLASSES + 1} others"
    texts = [_text(v) for v in values]
    kept = texts if len(values) <= CLASSES else [*texts[: CLASSES - 1], rest]
    for row in rows:
        text = _text(row[chart.color])
        row[custom.KEY] = text if text in kept else rest
    note = (
        f"{chart.color} has {len(values)} values: the last {len(values) - CLASSES + 1} share a colour."
        if len(values) > CLASSES
        else ""
    )
    return ordered_look(list(dict.fromkeys(kept)), numeric=number_like), note


def _shorten(rows: Rows, kinds: Mapping[str, str], labels: Mapping[str, str]) -> None:
    """Give arms the labels they have in all other charts, in each column that holds nothing else."""
    for column, kind in kinds.items():
        if kind == "nominal" and all(row[column] in labels for row in rows):
            for row in rows:
                row[column] = labels[row[column]]


def _distinct(rows: Rows, column: str) -> list[Any]:
    return list(dict.fromkeys(row[column] for row in rows))


def _range(rows: Rows, column: str) -> tuple[float, float] | None:
    values = [row[column] for row in rows if row[column] is not None]
    return (min(values), max(values)) if values and min(values) < max(values) else None


def _ticks(rows: Rows, *columns: str) -> dict[str, list[int]]:
    """Ticks at whole numbers for the columns that hold nothing else, while they are few."""
    found = {}
    for column in columns:
        values = [row[column] for row in rows if row[column] is not None]
        if values and all(type(v) is int for v in values) and max(values) - min(values) < TICKS:
            found[column] = list(range(min(values), max(values) + 1))
    return found


def _kind(sql_type: str) -> str:
    """How an axis reads a column of this SQL type."""
    if sql_type.upper().startswith(_NUMBERS):
        return "quantitative"
    return "temporal" if sql_type.upper().startswith(("DATE", "TIMESTAMP")) else "nominal"


def _plain(value: Any) -> Any:
    """`value` as JSON data for a chart."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _exact(value: Any) -> Any:
    return _plain(value) if isinstance(value, (Decimal, datetime.date)) else value


def _text(value: Any) -> str:
    if value is None:
        return NOTHING
    return number(value) if isinstance(value, float) else str(value)


def _cell(value: Any, form: str | None, what: str, reader: Reader) -> str:
    if isinstance(value, Decimal):
        value = float(value)
    if value is None:
        return NOTHING
    if form is None or isinstance(value, (str, bool)) or not isinstance(value, (int, float)):
        return (
            number(value)
            if isinstance(value, float)
            else names([str(v) for v in value])
            if isinstance(value, list)
            else str(value)
        )
    try:
        return format(value, form).replace("-", "\N{MINUS SIGN}")
    except ValueError as error:
        raise ReportError(
            f"{reader.plan.id}: {what} can't be set in the format {form!r}: {error}", hint="formats are Python's: .3f, .2%, .4g"
        ) from None
