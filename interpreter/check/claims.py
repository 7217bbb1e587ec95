"""Claims of an entry: each parsed by its form, and every name in it resolved to arms, a measure or a reference."""

from __future__ import annotations

import re
from typing import Any, Literal, cast

from interpreter.check.sides import Scope, Sides
from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Node
from interpreter.spec.base import identity
from interpreter.spec.canonical import canonical, digest
from interpreter.spec.claim_forms import (
    CLAIM_FORMS,
    WrittenFinishes,
    WrittenOrder,
    WrittenReproduces,
    WrittenShape,
    WrittenTrend,
    WrittenValue,
)
from interpreter.spec.claims import SHAPES, Claim, Kind, Side, plain
from interpreter.spec.names import did_you_mean
from interpreter.spec.typed import read, wrong_type

_COMPARISON = re.compile(r"\s*(?P<left>\S.*?)\s*(?P<relation>[<>~])\s*(?P<right>\S.*?)\s*")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?%?")
_TREND: dict[str, Literal["<", ">", "~"]] = {"rising": ">", "falling": "<", "flat": "~"}
Relation = Literal["<", ">", "~"]


class Claims:
    """Reads the claims of one entry."""

    def __init__(self, scope: Scope, problems: Problems) -> None:
        self.scope, self.problems = scope, problems

    def all(self, node: Node | None) -> tuple[Claim, ...]:
        """Every claim under `expect` that can be read."""
        if node is None:
            return ()
        if not isinstance(node, Mapping):
            self.problems.add(wrong_type("`expect`", node, "expect", "a mapping of names"))
            return ()
        found = [self._claim(name, below, node.keys[name]) for name, below in node.items.items()]
        return tuple(claim for claim in found if claim is not None)

    def _claim(self, name: str, node: Node, place: Place) -> Claim | None:
        path = f"expect.{name}"
        if not isinstance(node, Mapping):
            self.problems.add(wrong_type(f"claim `{name}`", node, path, "a mapping: {claim: a < b, on: measure, margin: 0}"))
            return None
        kinds = [key for key in CLAIM_FORMS if key in node.items]
        if len(kinds) != 1:
            text = f"claim `{name}` must say what is claimed" if not kinds else f"claim `{name}` claims several things at once"
            expected = f"one of {', '.join(CLAIM_FORMS)}"
            self.problems.add(Problem("missing-key", text, place, path, expected, ", ".join(kinds), "claim: a < b, for instance"))
            return None
        form = read(CLAIM_FORMS[kinds[0]], node, self.problems, path)
        reader = _Reader(self, name, node, place, path)
        match form:
            case WrittenOrder():
                return reader.order(form)
            case WrittenValue():
                return reader.value(form)
            case WrittenTrend():
                return reader.trend(form)
            case WrittenShape():
                return reader.shape(form)
            case WrittenReproduces():
                return reader.reproduces(form)
            case WrittenFinishes():
                return reader.finishes(form)
        return None


class _Reader(Sides):
    """Reads one claim, by its form."""

    def __init__(self, claims: Claims, name: str, node: Mapping, place: Place, path: str) -> None:
        super().__init__(claims.scope, claims.problems, node, place, path)
        self.name = name

    def order(self, form: WrittenOrder) -> Claim | None:
        """`a < b`, `a > b` or `a ~ b`."""
        found = _COMPARISON.fullmatch(form.claim)
        if found is None:
            self.wrong("bad-claim", "this is no comparison", "claim", form.claim, expected="a < b, a > b or a ~ b")
            return None
        relation = cast("Relation", found["relation"])
        margin = self._margin(relation, form.margin, form.within)
        left = self.side(found["left"], form.on or "", form.chosen_by or "")
        right = self.side(found["right"], form.on or "", form.chosen_by or "", left)
        if left is None or right is None or margin is None:
            return None
        left, right = self.marginal(left, right)
        if not self.agree(left, right, form.claim):
            return None
        kind: Kind = "reference" if right.reference else "likeness" if relation == "~" else "order"
        return self._made(kind, left, relation, right, margin, form.claim, over=form.over, cluster=form.cluster, why=form.why)

    def value(self, form: WrittenValue) -> Claim | None:
        """`measure < number` of an arm."""
        found = _COMPARISON.fullmatch(form.value)
        if found is None:
            self.wrong("bad-claim", "this is no comparison", "value", form.value, expected="measure < 0.5 or measure ~ 0")
            return None
        relation = cast("Relation", found["relation"])
        margin = self._margin(relation, form.margin, form.within)
        left = self.side(form.arm, found["left"], key="arm")
        number = found["right"].replace("_", "")
        if not _NUMBER.fullmatch(number):
            self.wrong("bad-claim", "the right side of a value claim is a number", "value", found["right"])
            return None
        value = float(number.rstrip("%")) / (100 if number.endswith("%") else 1)
        if left is None or margin is None:
            return None
        left, _ = self.marginal(left, Side(number=value))
        if len(left.names) > 1 and not left.quantifier:
            self.needs_word(left, "arm")
            return None
        right = Side(number=value)
        return self._made("value", left, relation, right, margin, form.value, over=form.over, cluster=form.cluster, why=form.why)

    def trend(self, form: WrittenTrend) -> Claim | None:
        """A measure rises, falls or stays along a factor."""
        relation = _TREND[form.trend]
        margin = self._margin(relation, form.margin, form.within)
        left = self.side(form.arm, form.on, key="arm")
        if left is None or margin is None:
            return None
        levels = []
        for name in left.names:
            label = self.chosen[name].factors.get(form.along)
            if label is None:
                known = dict.fromkeys(f for n in left.names for f in self.chosen[n].factors)
                text = f"`{form.arm}` doesn't vary `{form.along}`" if known else f"`{form.arm}` is no sweep: it varies nothing"
                hint = did_you_mean(form.along, known) if known else ""
                self.wrong("unknown-factor", text, "along", form.along, hint=hint)
                return None
            if not _NUMBER.fullmatch(label):
                text = f"a trend needs numbers, and `{form.along}` has the value `{label}`"
                self.wrong("not-a-number", text, "along", label, hint="claim an order between two of its values")
                return None
            levels.append((name, float(label.rstrip("%"))))
        if len({x for _, x in levels}) < 3:
            text = f"a trend needs three values, and `{form.along}` has {len({x for _, x in levels})}"
            self.wrong("too-few-values", text, "along", form.along, hint="claim an order between two of its values")
            return None
        levels.sort(key=lambda pair: (pair[1], pair[0]))
        text = f"{form.on} of {form.arm} {'stays flat' if form.trend == 'flat' else f'is {form.trend}'} along {form.along}"
        side = Side(left.arm, left.measure, arms=tuple(name for name, _ in levels))
        return self._made(
            "trend", side, relation, Side(number=0.0), margin, text, why=form.why, factor=form.along, levels=tuple(levels)
        )

    def shape(self, form: WrittenShape) -> Claim | None:
        """What a curve does."""
        left = self.side(form.arm, "", key="arm", metric=form.on)
        if left is None:
            return None
        if len(left.names) > 1 and not left.quantifier:
            self.needs_word(left, "arm")
            return None
        relation = SHAPES[form.shape]
        if relation == "~" and form.by == 0:
            text = f"`by` is missing: `{form.shape}` says how little is none"
            self.problems.add(Problem("missing-key", text, self.place, self.path, "by: a number above 0"))
            return None
        text = f"{form.on} of {form.arm} {form.shape.replace('_', ' ')}"
        last = form.over_last
        return self._made(
            "shape",
            left,
            relation,
            Side(number=0.0),
            form.by,
            text,
            why=form.why,
            shape=form.shape,
            metric=form.on,
            over_last=last,
        )

    def reproduces(self, form: WrittenReproduces) -> Claim | None:
        """An arm gives again what another gave."""
        left = self.side(form.arm, form.on, key="arm")
        right = self.side(form.reproduces, form.on, key="reproduces")
        if left is None or right is None:
            return None
        for side, key in ((left, "arm"), (right, "reproduces")):
            if len(side.names) > 1:
                self.needs_word(side, key)
                return None
        if left.names == right.names:
            self.wrong("bad-claim", "this compares an arm with itself", "reproduces", form.reproduces)
            return None
        return self._made("reproduces", left, "~", right, form.within, f"{form.arm} ~ {form.reproduces}", why=form.why)

    def finishes(self, form: WrittenFinishes) -> Claim | None:
        """Every trial reaches its end."""
        left = self.side(form.finishes, "", key="finishes", metric="")
        if left is None:
            return None
        side = Side(left.arm, arms=left.arms, quantifier="all" if len(left.names) > 1 else "")
        return self._made("finishes", side, ">", Side(number=0.0), 0.0, f"{form.finishes} finishes", why=form.why)

    def _made(
        self,
        kind: Kind,
        left: Side,
        relation: Relation,
        right: Side,
        margin: float,
        text: str,
        *,
        why: str | None = None,
        **more: Any,
    ) -> Claim | None:
        if not left.arm:
            hint = "turn the claim around: a reference stands on the right"
            self.wrong("bad-claim", "the left side must be a measure of an arm", "claim", text, hint=hint)
            return None
        if (left.names, left.measure, left.quantifier) == (right.names, right.measure, right.quantifier):
            self.wrong("bad-claim", "this compares a measure with itself", "claim", text)
            return None
        measures = self.scope.measures
        named = {name for side in (left, right) for name in (side.measure, side.chosen_by) if name}
        named |= {m.at for n in named if (m := measures.get(n)) is not None and m.at}
        over = more.pop("over", "seeds")
        extra = {key: value for key, value in more.items() if value}
        claimed = {
            "left": plain(left),
            "relation": relation,
            "right": plain(right),
            "margin": margin,
            "over": over,
            "measures": {n: identity(measures[n]) for n in sorted(named) if n in measures},
            **({"kind": kind} if kind in ("trend", "shape", "reproduces", "finishes") else {}),
            **extra,
        }
        place = self.node.items[next(key for key in CLAIM_FORMS if key in self.node.items)].place
        return Claim(
            self.name,
            kind,
            left,
            relation,
            right,
            margin,
            text,
            digest(canonical(claimed)),
            over=over,
            why=why or "",
            place=place,
            **extra,
        )

    def _margin(self, relation: Relation, margin: float | None, within: float | None) -> float | None:
        key, other = ("within", "margin") if relation == "~" else ("margin", "within")
        value, unwanted = (within, margin) if relation == "~" else (margin, within)
        if unwanted is not None:
            text = f"`{other}` belongs to {'an order' if relation == '~' else 'a likeness'}, and this is none"
            self.wrong("bad-claim", text, other, f"{unwanted:g}", expected=f"{key}: a number")
        elif value is None:
            why = "a likeness says how near is near enough" if relation == "~" else "an order says by how much; 0 must be written"
            text = f"`{key}` is missing: {why}"
            self.problems.add(Problem("missing-key", text, self.place, self.path, f"{key}: a number"))
        else:
            return value
        return None
