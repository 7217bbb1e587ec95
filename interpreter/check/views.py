"""The charts and tables of an entry: read by their names, those by a query as they are, the others held against what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from interpreter.check.charts import ShownChart
from interpreter.check.sides import Scope
from interpreter.check.tables import ShownTable
from interpreter.errors import Problem, Problems
from interpreter.source.nodes import Mapping, place_of
from interpreter.spec.claims import Claim
from interpreter.spec.formats import EXAMPLES, try_form
from interpreter.spec.page import check_names
from interpreter.spec.queries import no_query
from interpreter.spec.typed import read, wrong_type
from interpreter.spec.views import AnyChart, AnyTable, Chart, SqlChart, SqlTable, Table

_WHOLE = ("b", "d", "o", "x", "X")  # formats of whole numbers only

V = TypeVar("V", Chart, Table)
S = TypeVar("S", SqlChart, SqlTable)


def read_charts(node: Mapping, scope: Scope, claims: Iterable[Claim], problems: Problems) -> dict[str, AnyChart]:
    """The charts of an entry, each held against what there is to draw."""
    made = list(claims)

    def hold(chart: Chart, path: str, item: Mapping) -> None:
        ShownChart(scope, problems, path, item).hold(chart, made)

    return _read(Chart, SqlChart, "charts", node, problems, hold)


def read_tables(node: Mapping, scope: Scope, problems: Problems) -> dict[str, AnyTable]:
    """The tables of an entry, each held against what there is to show."""

    def hold(table: Table, path: str, item: Mapping) -> None:
        ShownTable(scope, problems, path, item).hold(table)

    return _read(Table, SqlTable, "tables", node, problems, hold)


def _read(
    own: type[V], sql: type[S], key: str, node: Mapping, problems: Problems, hold: Callable[[V, str, Mapping], None]
) -> dict[str, V | S]:
    """The views under `key`: those by a query as they are, the others held against what there is by `hold`."""
    found: dict[str, V | S] = {}
    for name, item in _named(node, key, problems):
        path = f"{key}.{name}"
        if "sql" in item.items:
            query = read(sql, item, problems, path)
            if query is not None:
                found[name] = query
                _hold_query(query, path, item, problems)
            continue
        view = read(own, item, problems, path)
        if view is not None:
            found[name] = view
            hold(view, path, item)
    return found


def _hold_query(view: SqlChart | SqlTable, path: str, node: Mapping, problems: Problems) -> None:
    """A query must be one that reads, and formats of its columns such that a number can be set in them."""
    if why := no_query(view.sql):
        problems.add(
            Problem("bad-value", f"`sql`: {why}", node.items["sql"].place, f"{path}.sql", "one SELECT, or WITH ... SELECT")
        )
    for column, form in view.format.items() if isinstance(view, SqlTable) else ():
        try:
            try_form(form, whole=form[-1:] in _WHOLE)
        except ValueError as error:
            text = f"the format of `{column}` can't be used: {error}"
            place = place_of(node, ("format", column))
            problems.add(Problem("bad-format", text, place, f"{path}.format.{column}", hint=EXAMPLES))


def _named(node: Mapping, key: str, problems: Problems) -> list[tuple[str, Mapping]]:
    below = node.get(key)
    if below is None:
        return []
    if not isinstance(below, Mapping):
        problems.add(wrong_type(f"`{key}`", below, key, "a mapping of names"))
        return []
    check_names(below, key, problems)
    found = []
    for name, item in below.items.items():
        if isinstance(item, Mapping):
            found.append((name, item))
        else:
            problems.add(wrong_type(f"`{name}`", item, f"{key}.{name}", "a mapping"))
    return found
