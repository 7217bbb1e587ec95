"""Claims of an entry: one line of text each, parsed, and every name in it resolved to an arm, a measure or a reference."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Literal, cast

from interpreter.check.metrics import metric_of
from interpreter.check.types import CheckedArm
from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, kind_of
from interpreter.spec.base import identity
from interpreter.spec.canonical import canonical, digest
from interpreter.spec.claims import Claim, Side, Waiver, plain
from interpreter.spec.measures import Measure, Reference
from interpreter.spec.names import arm_ref, did_you_mean

_KEYS = ("claim", "value", "arm", "on", "margin", "within", "over", "why", "allow")
_NOT_BUILT = ("shape", "trend", "flat", "reproduces", "finishes")
_COMPARISON = re.compile(r"\s*(?P<left>\S.*?)\s*(?P<relation>[<>~])\s*(?P<right>\S.*?)\s*")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?%?")
_QUANTIFIERS = ("all", "any", "mean", "best")
RULES = (
    "measured-split",
    "metric",
    "reference",
    "unequal-epochs",
    "checkpoint-rule",
    "unscaled-rate",
    "numerics",
    "more-examples",
    "setting",
)


@dataclass(slots=True)
class Scope:
    """What the claims of one entry may speak of. `wanted` collects the arms of other entries they name."""

    arms: MappingType[str, CheckedArm]
    measures: MappingType[str, Measure]
    references: MappingType[str, Reference]
    foreign: dict[str, CheckedArm] = field(default_factory=dict)


class Claims:
    """Reads the claims of one entry."""

    def __init__(self, scope: Scope, problems: Problems) -> None:
        self.scope, self.problems = scope, problems

    def all(self, node: Node | None) -> tuple[Claim, ...]:
        """Every claim under `expect` that can be read."""
        if node is None:
            return ()
        if not isinstance(node, Mapping):
            self.problems.add(
                Problem("wrong-type", "`expect` must be a mapping of names", node.place, "expect", "a mapping", kind_of(node))
            )
            return ()
        found = [self._claim(name, below, node.keys[name]) for name, below in node.items.items()]
        return tuple(claim for claim in found if claim is not None)

    def _claim(self, name: str, node: Node, place: Place) -> Claim | None:
        path = f"expect.{name}"
        if not isinstance(node, Mapping):
            self.problems.add(
                Problem(
                    "wrong-type", f"claim `{name}` must be a mapping", node.place, path, "{claim: a < b, on: measure, margin: 0}"
                )
            )
            return None
        for key in node.items:
            if key in _NOT_BUILT:
                self.problems.add(Problem("not-built-yet", f"`{key}` claims are not built yet", node.keys[key], path))
                return None
            if key not in _KEYS:
                self.problems.add(
                    Problem(
                        "unknown-key", f"a claim has no key `{key}`", node.keys[key], path, got=key, hint=did_you_mean(key, _KEYS)
                    )
                )
        said = node.get("claim") or node.get("value")
        if ("claim" in node.items) == ("value" in node.items) or not isinstance(said, Scalar):
            self.problems.add(
                Problem(
                    "missing-key",
                    f"claim `{name}` must say what is claimed",
                    place,
                    path,
                    "claim: a < b, or value: measure < 0.5",
                )
            )
            return None
        found = _COMPARISON.fullmatch(str(said.text))
        if found is None:
            self.problems.add(Problem("bad-claim", "this is no comparison", said.place, path, "a < b, a > b or a ~ b", said.text))
            return None
        over = node.get("over")
        if isinstance(over, Scalar) and over.text != "seeds":
            self.problems.add(
                Problem("not-built-yet", f"claims over `{over.text}` are not built yet", over.place, f"{path}.over")
            )
        relation = cast("Literal['<', '>', '~']", found["relation"])
        margin = self._margin(node, relation, place, path)
        on = node.get("on")
        measure = on.text if isinstance(on, Scalar) else ""
        if "value" in node.items:
            left, right = self._value_sides(found, node, said, path)
        else:
            left, right = (self._side(found[side], measure, said, path) for side in ("left", "right"))
            if isinstance(left, Side) and isinstance(right, Side) and right.reference and left.measure:
                right = self._reference(right.reference, left.measure, said, path)
        if left is None or right is None or margin is None:
            return None
        return self._made(name, left, relation, right, margin, said, node)

    def _made(
        self, name: str, left: Side, relation: Literal["<", ">", "~"], right: Side, margin: float, said: Scalar, node: Mapping
    ) -> Claim | None:
        if not left.arm:
            self.problems.add(
                Problem("bad-claim", "the left side must be a measure of an arm", said.place, f"expect.{name}", got=said.text)
            )
            return None
        if (left.arm, left.measure) == (right.arm, right.measure):
            self.problems.add(
                Problem("bad-claim", "this compares a measure with itself", said.place, f"expect.{name}", got=said.text)
            )
            return None
        kind: Literal["order", "likeness", "value", "reference"] = "likeness" if relation == "~" else "order"
        if right.number is not None:
            kind = "value"
        elif right.reference:
            kind = "reference"
        named = {side.measure for side in (left, right) if side.measure}
        named |= {m.at for n in named if (m := self.scope.measures.get(n)) is not None and m.at}
        claimed = {
            "left": plain(left),
            "relation": relation,
            "right": plain(right),
            "margin": margin,
            "over": "seeds",
            "measures": {n: identity(self.scope.measures[n]) for n in sorted(named) if n in self.scope.measures},
        }
        why = node.get("why")
        return Claim(
            name,
            kind,
            left,
            relation,
            right,
            margin,
            said.text,
            digest(canonical(claimed)),
            why=str(why.text) if isinstance(why, Scalar) else "",
            place=said.place,
        )

    def _margin(self, node: Mapping, relation: str, place: Place, path: str) -> float | None:
        key, other = ("within", "margin") if relation == "~" else ("margin", "within")
        below = node.get(key)
        if below is None:
            why = "a likeness says how near is near enough" if relation == "~" else "an order says by how much; 0 must be written"
            wrong = node.keys.get(other)
            hint = f"`{other}` belongs to the other kind of claim" if wrong else ""
            self.problems.add(
                Problem("missing-key", f"`{key}` is missing: {why}", wrong or place, path, f"{key}: a number", hint=hint)
            )
            return None
        if not isinstance(below, Scalar) or type(below.value) not in (int, float) or float(below.value or 0) < 0:
            self.problems.add(
                Problem("wrong-type", f"`{key}` must be a number, not negative", below.place, f"{path}.{key}", got=kind_of(below))
            )
            return None
        value = float(below.value)  # type: ignore[arg-type]
        if relation == "~" and value == 0:
            self.problems.add(
                Problem(
                    "bad-value", "`within: 0` can never be shown: no two measurements are equal", below.place, f"{path}.within"
                )
            )
            return None
        return value

    def _value_sides(self, found: re.Match[str], node: Mapping, said: Scalar, path: str) -> tuple[Side | None, Side | None]:
        arm = node.get("arm")
        if not isinstance(arm, Scalar):
            self.problems.add(Problem("missing-key", "a value claim says of which arm", said.place, path, "arm: name"))
            return None, None
        left = self._side(f"{arm.text}.{found['left']}", "", said, path)
        number = found["right"].replace("_", "")
        if not _NUMBER.fullmatch(number):
            self.problems.add(
                Problem("bad-claim", "the right side of a value claim is a number", said.place, path, got=found["right"])
            )
            return left, None
        value = float(number.rstrip("%")) / (100 if number.endswith("%") else 1)
        return left, Side(number=value)

    def _side(self, text: str, measure: str, said: Scalar, path: str) -> Side | None:
        head = text.split(" ")[0]
        if (head in _QUANTIFIERS and " " in text) or "[" in text:
            self.problems.add(
                Problem("not-built-yet", "claims over points of a sweep are not built yet", said.place, path, got=text)
            )
            return None
        if text in self.scope.references and text not in self.scope.arms:
            return Side(reference=text, measure=measure)
        arm, _, own = text.partition(".")
        measure = own or measure
        known = {**self.scope.arms, **self.scope.foreign}
        if arm not in known:
            elsewhere = arm_ref(arm) is not None
            self.problems.add(
                Problem(
                    "unknown-arm",
                    f"there is no arm {'' if elsewhere else 'or reference '}`{arm}`",
                    said.place,
                    path,
                    got=text,
                    hint=did_you_mean(arm, [*known, *self.scope.references]),
                )
            )
            return None
        if not measure:
            self.problems.add(
                Problem("missing-key", "this claim doesn't say on which measure", said.place, path, "on: measure", text)
            )
            return None
        if measure not in self.scope.measures:
            self.problems.add(
                Problem(
                    "unknown-measure",
                    f"there is no measure `{measure}`",
                    said.place,
                    path,
                    got=measure,
                    hint=did_you_mean(measure, self.scope.measures),
                )
            )
            return None
        why = self._measure_of(known[arm], measure)
        if why:
            self.problems.add(Problem("unknown-metric", f"`{arm}` has no {measure}: {why}", said.place, path, got=text))
            return None
        return Side(arm=arm, measure=measure)

    def _measure_of(self, arm: CheckedArm, name: str) -> str:
        measure = self.scope.measures[name]
        other = self.scope.measures.get(measure.at) if measure.at else None
        return metric_of(arm, measure.metric) or (metric_of(arm, other.metric) if other else "")

    def _reference(self, name: str, measure: str, said: Scalar, path: str) -> Side | None:
        values = self.scope.references[name].values
        if measure not in values:
            self.problems.add(
                Problem(
                    "unknown-measure",
                    f"reference `{name}` has no value for `{measure}`",
                    said.place,
                    path,
                    got=measure,
                    hint=did_you_mean(measure, values),
                )
            )
            return None
        return Side(reference=name, measure=measure)


def foreign_arms(node: Node | None) -> list[tuple[str, Place]]:
    """The arms of other entries (`DATE/entry/arm`) that the claims under `node` name, each with its place."""
    found = []
    for below in node.items.values() if isinstance(node, Mapping) else ():
        said = below.get("claim") if isinstance(below, Mapping) else None
        match = _COMPARISON.fullmatch(said.text) if isinstance(said, Scalar) else None
        for text in (match["left"], match["right"]) if match else ():
            arm = text.partition(".")[0]
            if arm_ref(arm) is not None:
                assert isinstance(said, Scalar)
                found.append((arm, said.place))
    return found


def waivers(node: Node | None, problems: Problems) -> tuple[Waiver, ...]:
    """The fairness rules an entry accepts, each with its reason."""
    found = []
    for item in getattr(node, "items", ()) if node is not None and not isinstance(node, (Mapping, Scalar)) else ():
        rule, why = (item.get("rule"), item.get("why")) if isinstance(item, Mapping) else (None, None)
        if not isinstance(rule, Scalar) or not isinstance(why, Scalar) or not why.text:
            problems.add(Problem("bad-waiver", "a waiver is {rule: ..., why: ...}", item.place, "allow", got=kind_of(item)))
        elif rule.text not in RULES:
            problems.add(
                Problem(
                    "unknown-rule",
                    f"there is no rule `{rule.text}`",
                    rule.place,
                    "allow",
                    got=rule.text,
                    hint=did_you_mean(rule.text, RULES),
                )
            )
        else:
            found.append(Waiver(rule.text, why.text))
    if node is not None and isinstance(node, (Mapping, Scalar)):
        problems.add(
            Problem("wrong-type", "`allow` is a list of waivers", node.place, "allow", "[{rule: ..., why: ...}]", kind_of(node))
        )
    return tuple(found)
