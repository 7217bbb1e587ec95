"""Claims of an entry: each parsed by its form, and every name in it resolved to arms, a measure or a reference."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Literal, cast

from interpreter.check.alike import same
from interpreter.check.metrics import epochs_of
from interpreter.check.sides import Scope, Sides
from interpreter.errors import Place, Problem, Problems, Severity
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
from interpreter.spec.names import did_you_mean, misspelt
from interpreter.spec.typed import read, wrong_type

_LEAST_EPOCHS = 3  # of a curve that has a shape
_WORDS = ("all", "any", "mean")  # of one side alone; `best` is for two sides, one of which is chosen
_DOUBLE = re.compile(r"[<>=!~]=|=[<>~]|<>|[≤≥≠]")
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
            wrong, hint = ("", "") if kinds else misspelt(node.items, CLAIM_FORMS)
            got, place = wrong or ", ".join(kinds), node.keys.get(wrong, place)
            self.problems.add(Problem("missing-key", text, place, path, expected, got, hint or "claim: a < b, for instance"))
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
        found = self._comparison("claim", form.claim, "a < b, a > b or a ~ b")
        if found is None:
            return None
        relation = cast("Relation", found["relation"])
        margin = self._margin(relation, form.margin, form.within)
        left = self.side(found["left"], form.on or "", form.chosen_by or "")
        right = self.side(found["right"], form.on or "", form.chosen_by or "", left)
        if left is None or right is None or margin is None:
            return None
        left, right = self.marginal(left, right)
        best = any(found[side].startswith("best ") for side in ("left", "right"))
        if not self.agree(left, right, form.claim) or self._idle(form, best):
            return None
        kind: Kind = "reference" if right.reference else "likeness" if relation == "~" else "order"
        return self._made(kind, left, relation, right, margin, form.claim, over=form.over, cluster=form.cluster, why=form.why)

    def value(self, form: WrittenValue) -> Claim | None:
        """`measure < number` of an arm."""
        found = self._comparison("value", form.value, "measure < 0.5 or measure ~ 0")
        if found is None:
            return None
        relation = cast("Relation", found["relation"])
        margin = self._margin(relation, form.margin, form.within)
        left = self.side(form.arm, found["left"], key="arm", words=_WORDS)
        number = found["right"].replace("_", "")
        if not _NUMBER.fullmatch(number):
            self.wrong("bad-claim", "the right side of a value claim is a number", "value", found["right"])
            return None
        value = float(number.rstrip("%")) / (100 if number.endswith("%") else 1)
        if left is None or margin is None:
            return None
        left, _ = self.marginal(left, Side(number=value))
        if len(left.names) > 1 and not left.quantifier:
            self.needs_word(left, "arm", _WORDS)
            return None
        if self._idle(form, best=False):
            return None
        right = Side(number=value)
        return self._made("value", left, relation, right, margin, form.value, over=form.over, cluster=form.cluster, why=form.why)

    def trend(self, form: WrittenTrend) -> Claim | None:
        """A measure rises, falls or stays along a factor."""
        relation = _TREND[form.trend]
        margin = self._margin(relation, form.margin, form.within)
        left = self.side(form.arm, form.on, key="arm", words=("mean",))
        if left is None or margin is None:
            return None
        # One at a time, each factor has points of its own; in other sweeps all points have all factors.
        along = {name: label for name in left.names if (label := self.chosen[name].factors.get(form.along)) is not None}
        if not along:
            known = dict.fromkeys(f for n in left.names for f in self.chosen[n].factors)
            text = f"`{form.arm}` doesn't vary `{form.along}`" if known else f"`{form.arm}` is no sweep: it varies nothing"
            hint = did_you_mean(form.along, known) if known else ""
            self.wrong("unknown-factor", text, "along", form.along, hint=hint)
            return None
        levels = []
        for name, label in along.items():
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
        left = self.side(form.arm, "", key="arm", metric=form.on, words=_WORDS)
        if left is None:
            return None
        if len(left.names) > 1 and not left.quantifier:
            self.needs_word(left, "arm", _WORDS)
            return None
        if not self._curved(form, left):
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
        left = self.side(form.arm, form.on, key="arm", words=())
        right = self.side(form.reproduces, form.on, key="reproduces", words=())
        if left is None or right is None:
            return None
        for side, key in ((left, "arm"), (right, "reproduces")):
            if len(side.names) > 1:
                self.needs_word(side, key, ())
                return None
        if left.names == right.names:
            self.wrong("bad-claim", "this compares an arm with itself", "reproduces", form.reproduces)
            return None
        return self._made("reproduces", left, "~", right, form.within, f"{form.arm} ~ {form.reproduces}", why=form.why)

    def finishes(self, form: WrittenFinishes) -> Claim | None:
        """Every trial reaches its end."""
        left = self.side(form.finishes, "", key="finishes", metric="", words=("all",))
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
        if kind in ("order", "likeness", "trend") and same(left, right, self.chosen):
            who = f"the points of `{left.arm}`" if kind == "trend" else f"`{left.arm}` and `{right.arm}`"
            told = f"{who} are one and the same record: equal settings at equal seeds"
            hint = "arms differ by their chains, or by what they set"
            problem = Problem("same-record", told, self._place(), self.path, got=text, hint=hint, severity=Severity.WARNING)
            self.problems.add(problem)
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
            place=self._place(),
            **extra,
        )

    def _place(self) -> Place:
        """Where what is claimed is written."""
        return self.node.items[next(key for key in CLAIM_FORMS if key in self.node.items)].place

    def _comparison(self, key: str, text: str, expected: str) -> re.Match[str] | None:
        """`text`, written at `key`, cut at its relation; None with what is wrong."""
        found = _COMPARISON.fullmatch(text)
        double = _DOUBLE.search(text)
        if found is None or double is not None:
            told = f"`{double[0]}` is no relation of claims" if double is not None else "this is no comparison"
            hint = "claims say <, > or ~; by how much, `margin` or `within` says" if double is not None else ""
            self.wrong("bad-claim", told, key, text, expected=expected, hint=hint)
            return None
        return found

    def _idle(self, form: WrittenOrder | WrittenValue, best: bool) -> bool:
        """Whether a key of the claim has nothing to say, which is told. `best`: whether a best point is to be chosen."""
        before = len(self.problems.found)
        if isinstance(form, WrittenOrder) and form.chosen_by is not None and not best:
            text = "`chosen_by` says how `best` is chosen, and there is no `best`"
            self.wrong("bad-claim", text, "chosen_by", form.chosen_by)
        if form.cluster is not None and form.over == "seeds":
            text, hint = "`cluster` is of claims over examples, and this is over seeds", "over: examples, or over: both"
            self.wrong("bad-claim", text, "cluster", form.cluster, hint=hint)
        return len(self.problems.found) > before

    def _curved(self, form: WrittenShape, side: Side) -> bool:
        """Whether some curve is long enough to have a shape; a stretch longer than any is told."""
        lengths = [epochs_of(self.chosen[name], form.on) for name in side.names]
        known = [length for length in lengths if length is not None]
        if not self.scope.whole or len(known) < len(lengths):
            return True  # a profile may shorten a curve, and a file's is as long as it is
        most = max(known)
        epochs = f"{most} epoch{'s' * (most != 1)}"
        if most < _LEAST_EPOCHS:
            text = f"`{form.on}` has {epochs}, and a shape needs {_LEAST_EPOCHS}"
            hint = "take the curve of a fit, such as val/loss" if most == 1 else "more epochs"
            self.wrong("bad-claim", text, "on", form.on, hint=hint)
            return False
        if form.over_last is not None and form.over_last > most:
            text, place = f"the curve has {epochs}: no more are looked at", self.node.items["over_last"].place
            problem = Problem("no-effect", text, place, self.path, f"at most {most}", str(form.over_last))
            self.problems.add(replace(problem, severity=Severity.WARNING))
        return True

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
