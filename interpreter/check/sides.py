"""Sides of claims: the arms, points and measures that a text such as `all thaw[patience=3].rmse` speaks of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, replace
from typing import cast

from interpreter.check.metrics import measure_of, metric_of
from interpreter.check.types import CheckedArm
from interpreter.errors import Place, Problem, Problems, Severity
from interpreter.source.nodes import Mapping
from interpreter.spec.claims import Quantifier, Side
from interpreter.spec.measures import Measure, Reference
from interpreter.spec.names import ArmRef, did_you_mean, side_text

# The arms that a reference selects, each with its full name as claims call it; None with what is wrong.
Select = Callable[[ArmRef, Place], "list[tuple[str, CheckedArm]] | None"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What the claims of one entry may speak of."""

    arms: MappingType[str, CheckedArm]
    names: tuple[str, ...]  # of all arms, those that can't be read included: what is wrong with these is told elsewhere
    measures: MappingType[str, Measure]
    references: MappingType[str, Reference]
    select: Select
    wrong: frozenset[str] = frozenset()  # measures that can't be read: what speaks of them is not told again
    whole: bool = True  # at full scale: a profile may shorten what a claim speaks of


class Sides:
    """Reads the sides of one claim, which is written at `node`; `chosen` holds every arm they speak of."""

    def __init__(self, scope: Scope, problems: Problems, node: Mapping, place: Place, path: str) -> None:
        self.scope, self.problems = scope, problems
        self.node, self.place, self.path = node, place, path
        self.chosen: dict[str, CheckedArm] = {}  # by full name

    def side(
        self,
        text: str,
        measure: str,
        chosen_by: str = "",
        other: Side | None = None,
        *,
        key: str = "claim",
        metric: str | None = None,
        words: Sequence[str] = ("all", "any", "mean", "best"),
    ) -> Side | None:
        """One side, resolved. `metric` stands for a measure in claims that read a curve ("" for none at all); `words` may say
        which of several points is meant."""
        references = self.scope.references
        if text in references and text not in self.scope.names:
            return self._reference(text, measure or (other.measure if other else ""), key)
        found = side_text(text)
        if found is None:
            expected = "[all | any | mean | best] arm[point].measure"
            number = text.rstrip("%").replace(".", "", 1).isdecimal()
            hint = f"write `value: measure < {text}` and `arm: ...` to compare with a number" if number else ""
            self.wrong("bad-claim", f"`{text}` is no side of a claim", key, text, expected=expected, hint=hint)
            return None
        if found.quantifier and found.quantifier not in words:
            told, hint = (
                f"`{found.quantifier}` has no meaning here",
                "a sweep stands for all its points" if key == "finishes" else "",
            )
            expected = f"[{' | '.join(words)}] arm[point]" if words else "arm[point]"
            self.wrong("bad-claim", told, key, text, expected=expected, hint=hint)
            return None
        place = self.node.items[key].place
        names = self.scope.names
        if not found.arm.date and found.arm.arm not in names:
            hint = did_you_mean(found.arm.arm, [*names, *references])
            self.wrong("unknown-arm", f"there is no arm or reference `{found.arm.arm}`", key, text, hint=hint)
            return None
        chosen = self.scope.select(found.arm, place)
        if chosen is None:
            return None
        # A measure stands behind its arm, or in a key of its own.
        where = key if found.measure else next((k for k in ("on", "value") if k in self.node.items), key)
        measure = found.measure or measure
        if metric is None and not self._measured(measure, chosen, where, text):
            return None
        for name, arm in chosen:
            why = metric_of(arm, metric) if metric else None
            if why is not None:
                known = self.scope.measures.get(metric or "")
                hint = f"`{metric}` is a measure; a shape is that of a curve, such as {known.metric}" if known else why.hint
                self.wrong("unknown-metric", why.why, where, metric or text, hint=hint)
                return None
            self.chosen[name] = arm
        if found.quantifier != "best":
            chosen_by = ""
        elif chosen_by and not self._measured(chosen_by, chosen, "chosen_by", text):
            return None
        elif chosen_by in ("", measure):
            said = f"the best of {found.arm} is chosen by what is compared: the claim can't be supported"
            hint = "chosen_by: a measure on other data"
            self.problems.add(Problem("chosen-by-itself", said, place, self.path, hint=hint, severity=Severity.WARNING))
        full = tuple(name for name, _ in chosen)
        written = str(found.arm)
        return Side(
            written,
            measure if metric is None else "",
            arms=() if full == (written,) else full,
            quantifier=cast("Quantifier", found.quantifier) if len(full) > 1 else "",
            chosen_by=chosen_by,
        )

    def _measured(self, measure: str, chosen: list[tuple[str, CheckedArm]], key: str, text: str) -> bool:
        """Whether each of the arms has the measure; what is wrong is told."""
        if not measure:
            self.problems.add(
                Problem(
                    "missing-key",
                    "this claim doesn't say on which measure",
                    self.node.items[key].place,
                    self.path,
                    "on: measure",
                    text,
                )
            )
            return False
        if measure in self.scope.wrong:
            return False
        if measure not in self.scope.measures:
            hint = did_you_mean(measure, self.scope.measures)
            self.wrong("unknown-measure", f"there is no measure `{measure}`", key, measure, hint=hint)
            return False
        definition = self.scope.measures[measure]
        other = self.scope.measures.get(definition.at) if definition.at else None
        for name, arm in chosen:
            why = measure_of(arm, definition) or (measure_of(arm, other) if other else None)
            if why is not None:
                self.wrong("unknown-metric", f"`{name}` has no {measure}: {why.why}", key, measure, hint=why.hint)
                return False
        return True

    def agree(self, left: Side, right: Side, text: str) -> bool:
        """Several points need a word, or must match one by one; two words that count points can't be one answer."""
        if left.quantifier in ("all", "any") and right.quantifier in ("all", "any"):
            self.wrong("bad-claim", "only one side can say `all` or `any`", "claim", text, hint="take the `mean` of the other")
            return False
        several = [side for side in (left, right) if len(side.names) > 1 and not side.quantifier]
        if not several:
            return True
        if len(several) == 1:
            self.needs_word(several[0], "claim")
            return False
        return self._matched(left, right, text)

    def marginal(self, left: Side, right: Side) -> tuple[Side, Side]:
        """A side that fixes a factor and leaves others open means their mean, where the other side is one arm or has a word."""
        if all(len(side.names) > 1 and not side.quantifier for side in (left, right)):
            return left, right
        made = [
            replace(side, quantifier="mean") if len(side.names) > 1 and not side.quantifier and _fixed(side.arm) else side
            for side in (left, right)
        ]
        return made[0], made[1]

    def _matched(self, left: Side, right: Side, text: str) -> bool:
        """Both sides of a main effect have the same points, less what tells the sides apart."""
        fixed = [_fixed(side.arm) for side in (left, right)]
        rests = [
            [tuple(sorted((f, v) for f, v in self.chosen[name].factors.items() if f not in fix)) for name in side.names]
            for side, fix in zip((left, right), fixed, strict=True)
        ]
        if rests[0] == rests[1] and fixed[0] and fixed[1]:
            return True
        why = f"`{left.arm}` and `{right.arm}` have several points each, and they don't match one by one"
        hint = "say `all`, `any` or `mean`, or fix the same factor on both sides"
        self.wrong("unmatched-points", why, "claim", text, hint=hint)
        return False

    def needs_word(self, side: Side, key: str, words: Sequence[str] = ("all", "any", "mean", "best")) -> None:
        """Tell that `side`, written at `key`, has several points and none of the `words` for what is meant."""
        text = f"`{side.arm}` has {len(side.names)} points: say which{', or how' if words else ''}"
        hint = f"such as `all {side.arm}`, `mean {side.arm}`, or {side.names[0]}" if words else f"such as {side.names[0]}"
        expected = ", ".join((*words, "or one point")) if words else "one point"
        self.wrong("several-points", text, key, side.arm, expected=expected, hint=hint)

    def _reference(self, name: str, measure: str, key: str) -> Side | None:
        values = self.scope.references[name].values
        if not measure:
            text = "this claim doesn't say on which measure"
            self.problems.add(Problem("missing-key", text, self.node.items[key].place, self.path, "on: measure", name))
            return None
        if measure not in values:
            hint = did_you_mean(measure, values)
            self.wrong("unknown-measure", f"reference `{name}` has no value for `{measure}`", key, measure, hint=hint)
            return None
        return Side(reference=name, measure=measure)

    def wrong(self, code: str, message: str, key: str, got: str, *, expected: str = "", hint: str = "") -> None:
        """Tell a problem of what is written at `key`."""
        below = self.node.get(key)
        place = below.place if below is not None else self.place
        self.problems.add(Problem(code, message, place, self.path, expected, got, hint))


def _fixed(arm: str) -> set[str]:
    """The factors that a selector fixes: `thaw[patience=3]` fixes patience."""
    inside = arm.partition("[")[2].rstrip("]")
    return {part.partition("=")[0].strip() for part in inside.split(",") if "=" in part}
