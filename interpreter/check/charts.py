"""Charts: whether what they ask for is there, so that a chart on nothing is heard of before it is drawn."""

from __future__ import annotations

from interpreter.check.metrics import epochs_of
from interpreter.check.robustness import nobody
from interpreter.check.shown import Shown
from interpreter.check.types import CheckedArm
from interpreter.errors import Problem, Severity
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence, plain
from interpreter.spec.claims import Claim
from interpreter.spec.names import did_you_mean, own_arm_ref
from interpreter.spec.points import picks
from interpreter.spec.robustness import FittedLine
from interpreter.spec.views import Chart


class ShownChart(Shown):
    """One chart, held against what there is to draw."""

    def hold(self, chart: Chart, claims: list[Claim]) -> None:
        """A chart must have arms, what it draws of them, and the factors it speaks of."""
        before = len(self.problems.found)
        if chart.y == []:
            self._nothing("`y` is empty", "y", "leave `y` out, and what the measures read is drawn")
        arms = self._arms(chart.arms)
        for key, factor in (("color", chart.color), ("facet", chart.facet)):
            if factor is not None and not (key == "color" and factor == "arm"):
                self.factor(factor, self.place(key), arms)
        arms = self._where(chart, arms)
        if len(self.problems.found) > before or not self.scope.arms:
            return
        if not arms:
            self._nothing("no arm is left by `arms` and `where`", "where" if chart.where else "arms")
        elif chart.kind in ("curves", "schedule_trace"):
            asked = [chart.y] if isinstance(chart.y, str) else chart.y or []
            self.known(asked, self.node.get("y"), arms, measures=False)
            self._shown(chart, asked, arms)
            if not asked and not any(m.metric for m in self.scope.measures.values()) and not any(a.main_stage for a in arms):
                self._nothing("no arm has a fit", "kind")
        elif chart.kind == "measures":
            asked = [chart.y] if isinstance(chart.y, str) else chart.y or []
            self.known(asked, self.node.get("y"), arms, metrics=False)
            if not asked and not self.scope.measures:
                self._nothing("the entry has no measures", "kind")
        elif chart.kind == "robustness":
            self._robustness(chart, arms)
        elif chart.kind == "forest" and not claims:
            self._nothing("the entry expects nothing: a forest shows the effects of claims", "kind")

    def _shown(self, chart: Chart, metrics: list[str], arms: list[CheckedArm]) -> None:
        """Some arm must have the epochs that are shown."""
        if chart.epochs is None:
            return
        first, last = chart.epochs
        if not 1 <= first <= last:
            self.wrong_key("epochs", "`epochs` are [first, last] with 1 <= first <= last")
            return
        drawn = metrics or [m.metric for m in self.scope.measures.values() if m.metric] or ["val/loss"]
        if chart.x == "stage_epoch":
            lengths = [_length(arm) for arm in arms]
        else:
            lengths = [epochs_of(arm, metric) for arm in arms for metric in drawn]
        known = [length for length in lengths if length is not None]
        if known and len(known) == len(lengths) and first > max(known):
            why = f"it begins with epoch {first}, and what it draws ends with {max(known)}"
            self._nothing(why, "epochs", "leave `epochs` out, and all are drawn", Severity.WARNING)

    def _robustness(self, chart: Chart, arms: list[CheckedArm]) -> None:
        """Both accuracies must be of some arm, and lines and families mean arms that are there."""
        for key, text in (("in", chart.in_), ("out", chart.out)):
            if text is not None:
                self.one(text, self.place(key), arms, measures=False)
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
                self.wrong("unknown-arm", f"there is no arm `{text}`", place, text, points or bases)
            found += chosen
        return found

    def _where(self, chart: Chart, arms: list[CheckedArm]) -> list[CheckedArm]:
        below = self.node.get("where")
        for factor in chart.where or {}:
            assert isinstance(below, Mapping)
            item = below.items[factor]
            if factor == "seed":
                continue
            self.factor(factor, below.keys[factor], arms)
            wanted = _labels(item)
            known = {arm.factors[factor] for arm in arms if factor in arm.factors}
            for label in wanted:
                if known and label not in known:
                    self.wrong("unknown-point", f"`{factor}` has no value `{label}`", item.place, label, known)
            arms = [arm for arm in arms if arm.factors.get(factor) in wanted]
        return arms

    def _nothing(
        self, why: str, key: str, hint: str = "a chart needs something to draw", severity: Severity = Severity.ERROR
    ) -> None:
        text = f"this chart shows nothing: {why}"
        self.problems.add(Problem("empty-chart", text, self.place(key), self.path, hint=hint, severity=severity))


def _length(arm: CheckedArm) -> int | None:
    """The epochs of a chain's stages one after the other; None where a file tells."""
    if any(stage.kind == "import" for stage in arm.chain):
        return None
    return sum(stage.schedule.epochs for stage in arm.chain if stage.schedule is not None)


def _labels(node: Node) -> list[str]:
    """The values a filter asks for, as labels: texts as they are written."""
    if isinstance(node, Scalar):
        return [node.text]
    if isinstance(node, Sequence):
        return [label for item in node.items for label in _labels(item)]
    return [str(plain(node))]
