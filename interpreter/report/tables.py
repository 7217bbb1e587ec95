"""Tables: measures and evaluated metrics by arm or by trial, for the reader and, exactly, for a CSV file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from interpreter.errors import ReportError
from interpreter.report.content import Grid
from interpreter.report.read import Reader, Wanted, where_is
from interpreter.report.statistics import Summary, summary
from interpreter.report.words import MINUS, NOTHING, names, number, plus_minus
from interpreter.spec.views import Table
from interpreter.verdicts.types import Judgement

_STATISTICS = ("mean", "ci", "sd", "n", "min", "max")


class _Number:
    """A number in a user's format string: absent ones become a dash whatever the format, minus signs are true ones."""

    def __init__(self, value: float | None) -> None:
        self.value = value

    def __format__(self, spec: str) -> str:
        if self.value is None or math.isnan(self.value):
            return NOTHING
        return format(self.value, spec).replace("-", MINUS)


def tables(judgement: Judgement, reader: Reader) -> tuple[Grid, ...]:
    """The tables asked for; when none is, one of all measures by arm (none when there are no measures).

    Raises: ReportError for a column that isn't there, or a format that can't be used.
    """
    entry = judgement.entry.entry
    if entry.tables:
        return tuple(_grid(name, table, judgement, reader, table.format) for name, table in entry.tables.items())
    if not entry.measures:
        return ()
    table = Table(
        columns=list(entry.measures), caption="All measures by arm: mean and half-width of its 95 % interval over seeds."
    )
    return (_grid("measures", table, judgement, reader, ""),)


def _grid(name: str, table: Table, judgement: Judgement, reader: Reader, form: str) -> Grid:
    values = {column: _values(column, name, judgement, reader) for column in table.columns}
    title = name.replace("-", " ").replace("_", " ")
    title = title[:1].upper() + title[1:]
    make = _by_arm if table.rows == "arm" else _by_trial
    rows, csv_columns, csv_rows = make(values, judgement, form, name)
    heads = ("arm", "n") if table.rows == "arm" else ("arm", "seed")
    footer = _footer(table.columns, judgement, reader)
    return Grid(name, title, table.caption, (*heads, *table.columns), rows, footer, csv_columns, csv_rows)


Values = Mapping[tuple[str, int], float | None]  # (arm, seed) -> value


def _values(column: str, table: str, judgement: Judgement, reader: Reader) -> Values:
    """What a column shows of each trial. Raises: ReportError when it is neither a measure nor an evaluated metric."""
    if column in judgement.entry.entry.measures:
        return {(m.arm, m.seed): m.value for m in judgement.measures if m.measure == column}
    split, _, metric = column.partition("/")
    evaluations = {e for arm in judgement.entry.arms for e in arm.evaluations}
    known = sorted({f"{r['split']}/{r['metric']}" for r in reader.evaluated})
    if split not in evaluations or (known and column not in known and any(k.startswith(f"{split}/") for k in known)):
        there = [*judgement.entry.entry.measures, *known]
        raise ReportError(
            f"{judgement.entry.id}: column `{column}` of table `{table}` is no measure, and no metric of an evaluate stage",
            hint=f"there are: {names(there, 24)}" if there else "define it under `measures:`",
        )
    return {(r["arm"], r["seed"]): r["value"] for r in reader.evaluated if r["split"] == split and r["metric"] == metric}


Made = tuple[tuple[tuple[str, ...], ...], tuple[str, ...], tuple[tuple[Any, ...], ...]]


def _by_arm(values: Mapping[str, Values], judgement: Judgement, form: str, table: str) -> Made:
    rows, exact = [], []
    for arm in judgement.entry.arms:
        found = [summary([v for t in arm.trials if (v := of.get((arm.name, t.seed))) is not None]) for of in values.values()]
        counts = {s.n for s in found if s.n}
        n = "/".join(str(s.n) for s in found) if len(counts) > 1 else str(max(counts, default=0))
        rows.append((arm.name, n, *(_cell(s, form, table, judgement.entry.id) for s in found)))
        exact.append((arm.name, *(x for s in found for x in (s.mean, s.ci, s.sd, s.n, s.low, s.high))))
    columns = ("arm", *(f"{column}.{statistic}" for column in values for statistic in _STATISTICS))
    return tuple(rows), columns, tuple(exact)


def _by_trial(values: Mapping[str, Values], judgement: Judgement, form: str, table: str) -> Made:
    rows, exact = [], []
    for arm in judgement.entry.arms:
        for trial in arm.trials:
            found = [of.get((arm.name, trial.seed)) for of in values.values()]
            rows.append((arm.name, str(trial.seed), *(number(v) for v in found)))
            exact.append((arm.name, trial.seed, *found))
    return tuple(rows), ("arm", "seed", *values), tuple(exact)


def _cell(found: Summary, form: str, table: str, entry: str) -> str:
    if found.mean is None:
        return NOTHING
    if not form:
        return plus_minus(found.mean, found.ci)
    numbers = {"mean": found.mean, "ci": found.ci, "sd": found.sd, "n": found.n, "min": found.low, "max": found.high}
    try:
        return form.format(**{name: _Number(value) for name, value in numbers.items()})
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ReportError(
            f"{entry}: table `{table}` can't be set in the format {form!r}: {error}",
            hint="it may use {mean}, {ci}, {sd}, {n}, {min} and {max}, each with a format such as {mean:.3f}",
        ) from None


def _footer(columns: Sequence[str], judgement: Judgement, reader: Reader) -> tuple[tuple[str, ...], ...]:
    """Rows below the rule: what the trivial rule reaches, and references, in the columns that have them."""
    entry = judgement.entry.entry
    trivial = []
    for column in columns:
        metric = entry.measures[column].metric if column in entry.measures else column
        wanted = [Wanted(arm.name, *where_is(arm, metric), asked=metric) for arm in judgement.entry.arms]
        value = reader.trivial(wanted)
        trivial.append("" if value is None else number(value))
    rows = [("trivial baseline", "", *trivial)] if any(trivial) else []
    for name, reference in entry.references.items():
        cells = [number(reference.values[c]) if c in reference.values else "" for c in columns]
        if any(cells):
            rows.append((name, "" if reference.n is None else str(reference.n), *cells))
    return tuple(rows)
