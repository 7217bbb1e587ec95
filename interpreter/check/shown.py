"""What charts and tables have in common: a name, which must be that of something there is to show."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingType

from interpreter.check.metrics import metric_of
from interpreter.check.sides import Scope
from interpreter.check.types import CheckedArm
from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Node, Sequence
from interpreter.spec.names import did_you_mean


class Shown:
    """One chart or table, held against what there is to show."""

    def __init__(self, scope: Scope, problems: Problems, path: str, node: Mapping) -> None:
        self.scope, self.problems, self.path, self.node = scope, problems, path, node

    def factor(self, name: str, place: Place, arms: list[CheckedArm]) -> None:
        """Tell `name` when it is no factor of `arms`."""
        known = dict.fromkeys(factor for arm in arms for factor in arm.factors)
        if arms and name not in known:
            self.wrong("unknown-factor", f"no sweep varies `{name}`", place, name, known)

    def known(
        self, asked: Iterable[str], node: Node | None, arms: list[CheckedArm], *, metrics: bool = True, measures: bool = True
    ) -> None:
        """As `one`, for each of `asked`, which is written at `node`."""
        places = [item.place for item in node.items] if isinstance(node, Sequence) else [node.place] if node else []
        for text, place in zip(asked, places, strict=False):
            self.one(text, place, arms, metrics=metrics, measures=measures)

    def one(
        self, text: str, place: Place, arms: list[CheckedArm], *, metrics: bool = True, measures: bool = True
    ) -> None:  # fmt: skip
        """Tell `text` when it is none of the `metrics` that any of `arms` has and none of the `measures`, as far as these may
        stand there."""
        measure = self.scope.measures.get(text)
        if measure is not None and not measures:
            hint = f"it reads {measure.metric}" if measure.metric else "a metric is split/name, such as val/loss"
            why = f"`{text}` is a measure, and a metric is drawn"
            self.problems.add(Problem("unknown-metric", why, place, self.path, got=text, hint=hint))
        elif measure is None and (not metrics or (measures and "/" not in text)):
            if text not in self.scope.wrong:  # one that can't be read is told where it stands
                self.wrong("unknown-measure", f"there is no measure `{text}`", place, text, self.scope.measures)
        elif measure is None:
            lacks = [lack for arm in arms if (lack := metric_of(arm, text))]
            if arms and len(lacks) == len(arms):
                why, hint = lacks[0].why, lacks[0].hint
                self.problems.add(Problem("unknown-metric", why, place, self.path, got=text, hint=hint))

    def wrong_key(self, key: str, text: str, hint: str = "") -> None:
        """Tell that what `key` says can't be."""
        self.problems.add(Problem("bad-value", text, self.place(key), f"{self.path}.{key}", hint=hint))

    def wrong(self, code: str, message: str, place: Place, got: str, known: Iterable[str] | MappingType[str, object]) -> None:
        """Tell a name that is none of the `known` ones."""
        self.problems.add(Problem(code, message, place, self.path, got=got, hint=did_you_mean(got, known)))

    def place(self, key: str) -> Place:
        """Where the value of `key` stands, or all of it where nobody wrote that."""
        below = self.node.get(key)
        return below.place if below is not None else self.node.place
