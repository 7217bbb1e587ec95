"""Tables: measures and evaluated metrics by arm, trial or factor, for the reader and, exactly, for a CSV file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from interpreter.errors import ReportError
from interpreter.plan.points import factors, levels, short_labels
from interpreter.plan.types import ArmPlan, EntryPlan
from interpreter.report.content import Grid
from interpreter.report.crosstab import crossed
from interpreter.report.probetable import probe_table
from interpreter.report.read import Reader, Wanted, where_is
from interpreter.report.sqldata import sql_grid
from interpreter.report.statistics import Summary, summary
from interpreter.report.terms import rule_title
from interpreter.report.words import MINUS, NOTHING, capital, count, names, number, plus_minus
from interpreter.run.events import IGNORES_INPUT
from interpreter.spec.names import did_you_mean
from interpreter.spec.views import SqlTable, Table
from interpreter.verdicts.types import Judgement

ROWS = 60  # of a table on the page; the CSV file has all
_STATISTICS = ("mean", "ci", "sd", "n", "min", "max")
_PROBE = re.compile(r"(?P<stage>[a-z][a-z0-9_-]*)\.at")

Groups = Sequence[tuple[str, Sequence[ArmPlan]]]  # heading of a row -> the arms it is about
Values = Mapping[tuple[str, int], float | None]  # (arm, seed) -> value


class Number:
    """A number in a user's format string: absent ones become a dash whatever the format, minus signs are true ones."""

    def __init__(self, value: float | None) -> None:
        self.value = value

    def __format__(self, spec: str) -> str:
        if self.value is None or math.isnan(self.value):
            return NOTHING
        return format(self.value, spec).replace("-", MINUS)


def tables(judgement: Judgement, reader: Reader) -> tuple[Grid, ...]:
    """The tables asked for; when none is, one of all measures by arm (none when there are no measures).

    Raises: ReportError for a column that isn't there, a format that can't be used, or a query that fails.
    """
    entry = judgement.entry.entry
    if entry.tables:
        return tuple(_table(name, table, judgement, reader) for name, table in entry.tables.items())
    if not entry.measures:
        return ()
    table = Table(
        columns=list(entry.measures), caption="All measures by arm: mean and half-width of its 95 % interval over seeds."
    )
    return (_grid("measures", table, judgement, reader, ""),)


def title_of(name: str) -> str:
    """A table's name as its heading."""
    return capital(name.replace("-", " ").replace("_", " "))


def _table(name: str, table: Table | SqlTable, judgement: Judgement, reader: Reader) -> Grid:
    if isinstance(table, SqlTable):
        return cut(sql_grid(name, title_of(name), table, reader))
    if probe := _PROBE.fullmatch(table.rows):
        return cut(probe_table(name, title_of(name), table, probe["stage"], judgement.entry, reader, Number))
    axes = [table.rows, *([table.columns] if isinstance(table.columns, str) else [])]
    for axis in axes:
        if axis not in ("arm", "trial") and axis not in factors(judgement.entry.arms):
            raise ReportError(
                f"{judgement.entry.id}: table `{name}` asks for the factor `{axis}`, which no sweep here has",
                hint=did_you_mean(axis, ["arm", "trial", *factors(judgement.entry.arms)]),
            )
    if table.cell is not None:
        return cut(crossed(name, title_of(name), table, judgement, reader, Number))
    return _grid(name, table, judgement, reader, table.format)


def cut(grid: Grid) -> Grid:
    """The table with no more rows than a page can bear, and a note that says so."""
    if len(grid.rows) <= ROWS:
        return grid
    note = f"The first {ROWS} of {count(len(grid.rows), 'row')}; the CSV file has all."
    caption = f"{grid.caption} {note}".strip()
    return Grid(grid.name, grid.title, caption, grid.columns, grid.rows[:ROWS], grid.footer, grid.csv_columns, grid.csv_rows)


def _grid(name: str, table: Table, judgement: Judgement, reader: Reader, form: str) -> Grid:
    values = {column: _values(column, name, judgement, reader) for column in table.columns}
    footer = _footer(list(table.columns), judgement, reader)
    entry = judgement.entry
    if table.rows == "trial":
        labels = short_labels(entry.arms)
        trials = [(arm, trial.seed, [of.get((arm.name, trial.seed)) for of in values.values()])
                  for arm in entry.arms for trial in arm.trials]  # fmt: skip
        rows = [(labels[arm.name], str(seed), *map(number, found)) for arm, seed, found in trials]
        exact = [(arm.name, seed, *found) for arm, seed, found in trials]
        return cut(Grid(name, title_of(name), table.caption, ("arm", "seed", *values), tuple(rows), footer,
                        ("arm", "seed", *values), tuple(exact)))  # fmt: skip
    rows, exact = [], []
    for text, key, arms in _groups(table.rows, entry):
        found = [summary(_pool(of, arms)) for of in values.values()]
        counts = {s.n for s in found if s.n}
        n = "/".join(str(s.n) for s in found) if len(counts) > 1 else str(max(counts, default=0))
        rows.append((text, n, *(_cell(s, form, name, entry.id) for s in found)))
        exact.append((key, *(x for s in found for x in (s.mean, s.ci, s.sd, s.n, s.low, s.high))))
    columns = (table.rows, *(f"{column}.{statistic}" for column in values for statistic in _STATISTICS))
    return cut(Grid(name, title_of(name), table.caption, (table.rows, "n", *values), tuple(rows), footer, columns, tuple(exact)))


def _groups(rows: str, entry: EntryPlan) -> list[tuple[str, str, Sequence[ArmPlan]]]:
    """(heading, exact name, arms) of each row: arms, or the values of a factor and the arms that don't have it."""
    labels = short_labels(entry.arms)
    if rows == "arm":
        return [(labels[arm.name], arm.name, [arm]) for arm in entry.arms]
    found = [(f"{rows} {v}", v, [a for a in entry.arms if a.factors.get(rows) == v]) for v in levels(entry.arms, rows)]
    return [*found, *((labels[arm.name], arm.name, [arm]) for arm in entry.arms if rows not in arm.factors)]


def _pool(of: Values, arms: Sequence[ArmPlan]) -> list[float]:
    return [v for arm in arms for t in arm.trials if (v := of.get((arm.name, t.seed))) is not None]


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


def _cell(found: Summary, form: str, table: str, entry: str) -> str:
    if found.mean is None:
        return NOTHING
    if not form:
        return plus_minus(found.mean, found.ci)
    numbers = {"mean": found.mean, "ci": found.ci, "sd": found.sd, "n": found.n, "min": found.low, "max": found.high}
    try:
        return form.format(**{name: Number(value) for name, value in numbers.items()})
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ReportError(
            f"{entry}: table `{table}` can't be set in the format {form!r}: {error}",
            hint="it may use {mean}, {ci}, {sd}, {n}, {min} and {max}, each with a format such as {mean:.3f}",
        ) from None


def _footer(columns: Sequence[str], judgement: Judgement, reader: Reader) -> tuple[tuple[str, ...], ...]:
    """Rows below the rule: what each trivial rule reaches, and references, in the columns that have them."""
    entry = judgement.entry.entry
    trivial: dict[str, list[str]] = {}
    for i, column in enumerate(columns):
        definition = entry.measures.get(column)
        metric = column if definition is None else definition.metric
        if metric is not None and (definition is None or (definition.over is None and definition.read != "epochs_to")):
            wanted = [Wanted(arm.name, *where_is(arm, metric), asked=metric) for arm in judgement.entry.arms]
            for rule, value in reader.trivial(wanted).items():
                trivial.setdefault(rule, [""] * len(columns))[i] = number(value)
    ordered = sorted(trivial, key=lambda rule: (rule != IGNORES_INPUT, rule))
    rows: list[tuple[Any, ...]] = [(rule_title(rule), "", *trivial[rule]) for rule in ordered]
    for name, reference in entry.references.items():
        cells = [number(reference.values[c]) if c in reference.values else "" for c in columns]
        if any(cells):
            rows.append((name, "" if reference.n is None else str(reference.n), *cells))
    return tuple(rows)
