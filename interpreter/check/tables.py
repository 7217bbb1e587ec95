"""Tables: whether their columns and cells are there, and can be filled in."""

from __future__ import annotations

from collections.abc import Iterable

from interpreter.check.metrics import metric_of
from interpreter.check.shown import Shown
from interpreter.check.types import CheckedArm
from interpreter.errors import Problem
from interpreter.source.nodes import Sequence
from interpreter.spec.formats import EXAMPLES, Piece, pieces, try_form
from interpreter.spec.names import nearest
from interpreter.spec.views import Table

_STATISTICS = ("mean", "ci", "sd", "n", "min", "max")  # of a row of arms


class ShownTable(Shown):
    """One table, held against what there is to show."""

    def hold(self, table: Table) -> None:
        """A table's columns, and what stands in its cells, must be there."""
        arms = list(self.scope.arms.values())
        place = self.place("rows")
        stage, dot, what = table.rows.partition(".")
        if dot:
            probes = {s.name for arm in arms for s in arm.chain if s.kind == "probe"}
            if arms and (stage not in probes or what != "at"):
                self.wrong(
                    "unknown-stage", f"there is no probe `{stage}` whose checkpoints could be rows", place, table.rows, probes
                )
        elif table.rows not in ("arm", "trial"):
            self.factor(table.rows, place, arms)
        if isinstance(table.columns, str):
            if table.columns != "arm":
                self.factor(table.columns, self.place("columns"), arms)
            if table.columns == table.rows:
                self.wrong_key("columns", f"rows and columns are both by `{table.rows}`, and two things are crossed")
            if table.rows == "trial":
                self.wrong_key("rows", "`rows: trial` goes with a list of columns, and a cell is a mean over trials")
            assert table.cell is not None
            self._cell(table.cell, arms, stage if dot else "")
            return
        if dot:
            hint = 'with `columns: arm, cell: "{val/accuracy:.2%}"`'
            self.wrong_key("columns", f"rows of checkpoints have a text in each cell: `{table.rows}` goes with `cell`", hint)
            return
        self.known(table.columns, self.node.get("columns"), arms)
        self._evaluated(table.columns, arms)
        for piece in self._pieces(table.format, "format"):
            if piece.hole not in ("", *_STATISTICS):
                text, expected = f"this format has no `{piece.hole}` to show", f"fields {', '.join(_STATISTICS)}"
                hint = nearest(piece.hole, _STATISTICS)
                self.problems.add(Problem("bad-format", text, self.place("format"), self.path, expected, piece.hole, hint))
            self._form(piece, "format", whole=piece.hole == "n")

    def _evaluated(self, columns: Iterable[str], arms: list[CheckedArm]) -> None:
        """A metric in a column is one of a stage that evaluates: what a fit logs at each epoch has no one value."""
        splits = {split for arm in arms for split in arm.evaluations}
        below = self.node.get("columns")
        for text, item in zip(columns, below.items if isinstance(below, Sequence) else (), strict=False):
            logged = text not in self.scope.measures and "/" in text and any(metric_of(arm, text) is None for arm in arms)
            if logged and text.partition("/")[0] not in splits:
                hint = f"measures: {{NAME: {{metric: {text}, read: best}}}}, and NAME as the column"
                why = f"`{text}` is no metric of an evaluate stage, and has a value for each epoch"
                self.problems.add(Problem("unknown-metric", why, item.place, self.path, got=text, hint=hint))

    def _pieces(self, text: str, key: str) -> list[Piece]:
        """The parts of a text with holes; none with what is wrong."""
        try:
            return pieces(text)
        except ValueError as error:
            self.problems.add(Problem("bad-format", f"this {key} can't be filled in: {error}", self.place(key), self.path))
            return []

    def _form(self, piece: Piece, key: str, *, whole: bool) -> None:
        try:
            try_form(piece.form, whole)
        except ValueError as error:
            text = f"this {key} can't be filled in: {error}"
            self.problems.add(Problem("bad-format", text, self.place(key), self.path, hint=EXAMPLES))

    def _cell(self, cell: str, arms: list[CheckedArm], probe: str = "") -> None:
        """What stands in a cell must be there; of each checkpoint of a `probe` there are only the metrics that it measures."""
        place, found = self.place("cell"), self._pieces(cell, "cell")
        if found and all(piece.hole in ("", "epoch", "n") for piece in found):
            text = "this cell shows no number: `epoch` and `n` are those of a metric or measure"
            self.problems.add(Problem("bad-format", text, place, self.path, hint="such as {val/accuracy:.2%} / {epoch}"))
        for piece in found:
            name = piece.hole
            self._form(piece, "cell", whole=name == "n" or (name == "epoch" and piece.form == "d"))
            if name in ("", "epoch", "n"):
                continue
            if probe and name in self.scope.measures:
                text = f"`{name}` is read off what `{probe}` picked, and a row is for each checkpoint it looked at"
                hint = "a metric of the probe, such as val/accuracy"
                self.problems.add(Problem("unknown-metric", text, place, self.path, got=name, hint=hint))
            elif probe and "/" in name:
                probing = [arm for arm in arms if any(s.name == probe and s.kind == "probe" for s in arm.chain)]
                self.one(f"{probe}.{name.removeprefix(probe + '.')}", place, probing)
            else:
                self.one(name, place, arms)
