"""Charts and tables: whether what they ask for is there, so that a chart on nothing is heard of before it is drawn."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable
from collections.abc import Mapping as MappingType
from typing import TypeVar

from interpreter.check.metrics import metric_of
from interpreter.check.robustness import nobody
from interpreter.check.sides import Scope
from interpreter.check.types import CheckedArm
from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence, plain
from interpreter.spec.claims import Claim
from interpreter.spec.names import did_you_mean, own_arm_ref
from interpreter.spec.page import check_names
from interpreter.spec.points import picks
from interpreter.spec.robustness import FittedLine
from interpreter.spec.typed import read, wrong_type
from interpreter.spec.views import AnyChart, AnyTable, Chart, SqlChart, SqlTable, Table

V = TypeVar("V", Chart, Table)
S = TypeVar("S", SqlChart, SqlTable)


def read_charts(node: Mapping, scope: Scope, claims: Iterable[Claim], problems: Problems) -> dict[str, AnyChart]:
    """The charts of an entry, each held against what there is to draw."""
    made = list(claims)

    def hold(chart: Chart, path: str, item: Mapping) -> None:
        _Views(scope, problems, path, item).chart(chart, made)

    return _read(Chart, SqlChart, "charts", node, problems, hold)


def read_tables(node: Mapping, scope: Scope, problems: Problems) -> dict[str, AnyTable]:
    """The tables of an entry, each held against what there is to show."""

    def hold(table: Table, path: str, item: Mapping) -> None:
        _Views(scope, problems, path, item).table(table)

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
            found |= {name: query} if query is not None else {}
            continue
        view = read(own, item, problems, path)
        if view is not None:
            found[name] = view
            hold(view, path, item)
    return found


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


class _Views:
    """Holds one chart or table against what there is."""

    def __init__(self, scope: Scope, problems: Problems, path: str, node: Mapping) -> None:
        self.scope, self.problems, self.path, self.node = scope, problems, path, node

    def chart(self, chart: Chart, claims: list[Claim]) -> None:
        """A chart must have arms, what it draws of them, and the factors it speaks of."""
        before = len(self.problems.found)
        arms = self._arms(chart.arms)
        for key, factor in (("color", chart.color), ("facet", chart.facet)):
            if factor is not None and not (key == "color" and factor == "arm"):
                self._factor(factor, self._place(key), arms)
        arms = self._where(chart, arms)
        if len(self.problems.found) > before or not self.scope.arms:
            return
        if not arms:
            self._nothing("no arm is left by `arms` and `where`", "where" if chart.where else "arms")
        elif chart.kind in ("curves", "schedule_trace"):
            asked = [chart.y] if isinstance(chart.y, str) else chart.y or []
            self._known(asked, self.node.get("y"), arms, metrics=True)
            if not asked and not any(m.metric for m in self.scope.measures.values()) and not any(a.main_stage for a in arms):
                self._nothing("no arm has a fit", "kind")
        elif chart.kind == "measures":
            asked = [chart.y] if isinstance(chart.y, str) else chart.y or []
            self._known(asked, self.node.get("y"), arms, metrics=False)
            if not asked and not self.scope.measures:
                self._nothing("the entry has no measures", "kind")
        elif chart.kind == "robustness":
            self._robustness(chart, arms)
        elif chart.kind == "forest" and not claims:
            self._nothing("the entry expects nothing: a forest shows the effects of claims", "kind")

    def _robustness(self, chart: Chart, arms: list[CheckedArm]) -> None:
        """Both accuracies must be of some arm, and lines and families mean arms that are there."""
        for key, text in (("in", chart.in_), ("out", chart.out)):
            if text is not None and text not in self.scope.measures:
                self._one(text, self._place(key), arms, metrics=True)
            elif text is not None:
                self._wrong("unknown-metric", f"`{text}` is a measure, and a metric is drawn", self._place(key), text, ())
        lines = self.node.get("lines")
        for index, line in enumerate(chart.lines):
            if isinstance(line, FittedLine):
                self._fitted(line, lines, index)
        families = self.node.get("families")
        for family, texts in chart.families.items():
            below = families.get(family) if isinstance(families, Mapping) else None
            self._meant(texts, below, f"families.{family}")

    def _fitted(self, line: FittedLine, lines: Node | None, index: int) -> None:
        written = lines.items[index] if isinstance(lines, Sequence) else None
        self._meant(line.to, written.get("to") if isinstance(written, Mapping) else None, f"lines.{index}.to")

    def _meant(self, texts: list[str], below: Node | None, path: str) -> None:
        places = [item.place for item in below.items] if isinstance(below, Sequence) else [self.node.place] * len(texts)
        for text, place in zip(texts, places, strict=True):
            if why := nobody(text, self.scope.arms.values()):
                self.problems.add(
                    Problem("unknown-arm", why, place, f"{self.path}.{path}", got=text, hint=did_you_mean(text, self.scope.names))
                )

    def table(self, table: Table) -> None:
        """A table's columns, and what stands in its cells, must be there."""
        arms = list(self.scope.arms.values())
        place = self._place("rows")
        stage, dot, what = table.rows.partition(".")
        if dot:
            probes = {s.name for arm in arms for s in arm.chain if s.kind == "probe"}
            if arms and (stage not in probes or what != "at"):
                self._wrong(
                    "unknown-stage", f"there is no probe `{stage}` whose checkpoints could be rows", place, table.rows, probes
                )
        elif table.rows not in ("arm", "trial"):
            self._factor(table.rows, place, arms)
        if isinstance(table.columns, str):
            if table.columns != "arm":
                self._factor(table.columns, self._place("columns"), arms)
            assert table.cell is not None
            self._cell(table.cell, arms, stage if dot else "")
            return
        self._known(table.columns, self.node.get("columns"), arms, metrics=True)
        try:
            table.format.format(mean=0.0, ci=0.0, sd=0.0, n=1, min=0.0, max=0.0)
        except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
            text = f"this format can't be filled in: {error}"
            self.problems.add(Problem("bad-format", text, self._place("format"), self.path, "fields mean, ci, sd, n, min, max"))

    def _cell(self, cell: str, arms: list[CheckedArm], probe: str = "") -> None:
        """What stands in a cell must be there; of each checkpoint of a `probe` there are only the metrics that it measures."""
        place = self._place("cell")
        try:
            fields = [name for _, name, _, _ in string.Formatter().parse(cell) if name is not None]
        except ValueError as error:
            self.problems.add(Problem("bad-format", f"this cell can't be filled in: {error}", place, self.path))
            return
        for name in fields:
            if name in ("epoch", "n"):
                continue
            if probe and name in self.scope.measures:
                text = f"`{name}` is read off what `{probe}` picked, and a row is for each checkpoint it looked at"
                hint = "a metric of the probe, such as val/accuracy"
                self.problems.add(Problem("unknown-metric", text, place, self.path, got=name, hint=hint))
            elif probe and "/" in name:
                probing = [arm for arm in arms if any(s.name == probe and s.kind == "probe" for s in arm.chain)]
                self._one(f"{probe}.{name.removeprefix(probe + '.')}", place, probing, metrics=True)
            else:
                self._one(name, place, arms, metrics=True)

    def _arms(self, asked: list[str] | None) -> list[CheckedArm]:
        """The arms that `arms` names; all where it is absent."""
        every = list(self.scope.arms.values())
        if asked is None:
            return every
        below, found = self.node.get("arms"), []
        for index, text in enumerate(asked):
            place = below.items[index].place if isinstance(below, Sequence) else self.node.place
            ref = own_arm_ref(text)
            chosen = [a for a in every if ref and not ref.date and a.base == ref.arm and picks(ref.point, a.point, a.factors)]
            if not chosen and not (ref and not ref.point and ref.arm in self.scope.names):
                bases = self.scope.names
                points = [a.name for a in every if ref and a.base == ref.arm]
                self._wrong("unknown-arm", f"there is no arm `{text}`", place, text, points or bases)
            found += chosen
        return found

    def _where(self, chart: Chart, arms: list[CheckedArm]) -> list[CheckedArm]:
        below = self.node.get("where")
        for factor in chart.where or {}:
            assert isinstance(below, Mapping)
            item = below.items[factor]
            if factor == "seed":
                continue
            self._factor(factor, below.keys[factor], arms)
            wanted = _labels(item)
            known = {arm.factors[factor] for arm in arms if factor in arm.factors}
            for label in wanted:
                if known and label not in known:
                    self._wrong("unknown-point", f"`{factor}` has no value `{label}`", item.place, label, known)
            arms = [arm for arm in arms if arm.factors.get(factor) in wanted]
        return arms

    def _factor(self, name: str, place: Place, arms: list[CheckedArm]) -> None:
        known = dict.fromkeys(factor for arm in arms for factor in arm.factors)
        if arms and name not in known:
            self._wrong("unknown-factor", f"no sweep varies `{name}`", place, name, known)

    def _known(self, asked: Iterable[str], node: Node | None, arms: list[CheckedArm], *, metrics: bool) -> None:
        places = [item.place for item in node.items] if isinstance(node, Sequence) else [node.place] if node else []
        for text, place in zip(asked, places, strict=False):
            self._one(text, place, arms, metrics=metrics)

    def _one(self, text: str, place: Place, arms: list[CheckedArm], *, metrics: bool) -> None:
        """Tell `text` when it is neither a measure nor, where `metrics` may stand, a metric of any of `arms`."""
        if text in self.scope.measures:
            return
        if not metrics or "/" not in text:
            self._wrong("unknown-measure", f"there is no measure `{text}`", place, text, self.scope.measures)
            return
        whys = [metric_of(arm, text) for arm in arms]
        if whys and all(whys):
            self.problems.add(Problem("unknown-metric", whys[0], place, self.path, got=text))

    def _nothing(self, why: str, key: str) -> None:
        hint = "a chart needs something to draw"
        self.problems.add(Problem("empty-chart", f"this chart shows nothing: {why}", self._place(key), self.path, hint=hint))

    def _wrong(self, code: str, message: str, place: Place, got: str, known: Iterable[str] | MappingType[str, object]) -> None:
        self.problems.add(Problem(code, message, place, self.path, got=got, hint=did_you_mean(got, known)))

    def _place(self, key: str) -> Place:
        below = self.node.get(key)
        return below.place if below is not None else self.node.place


def _labels(node: Node) -> list[str]:
    """The values a filter asks for, as labels: texts as they are written."""
    if isinstance(node, Scalar):
        return [node.text]
    if isinstance(node, Sequence):
        return [label for item in node.items for label in _labels(item)]
    return [str(plain(node))]
