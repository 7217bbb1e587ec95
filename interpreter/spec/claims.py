"""Claims: what the author expects, in the grammar of one line, with names resolved by check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from interpreter.errors import Place

Kind = Literal["order", "likeness", "value", "reference", "trend", "shape", "reproduces", "finishes"]
Quantifier = Literal["", "all", "any", "mean", "best"]
# How the number of each shape relates to the claim's `by`: above it, or within it.
SHAPES: Mapping[str, Literal["<", ">", "~"]] = MappingProxyType(
    {"rises_after_min": ">", "plateaus": "~", "still_improving": ">", "stagnant_first": "~", "never_improves": "~"}
)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a measure of an arm or of several points of a sweep, a reference's value, or a plain number.

    `arm` is how the page writes it, without quantifier: "curriculum", "thaw[patience=3]", "2024-06-28/first/naive". `arms`
    are the full names of the arms it speaks of, () standing for (arm,). A quantifier says what of several is meant; with
    several and none, both sides speak of matched points (a main effect): left.arms[i] belongs to right.arms[i].
    """

    arm: str = ""
    measure: str = ""
    reference: str = ""
    number: float | None = None
    arms: tuple[str, ...] = ()
    quantifier: Quantifier = ""
    chosen_by: str = ""  # best: the measure whose best value picks the point, at each seed

    @property
    def names(self) -> tuple[str, ...]:
        """Full names of the arms it speaks of; () for a reference or a number."""
        return self.arms or ((self.arm,) if self.arm else ())

    def __str__(self) -> str:
        if self.number is not None:
            return f"{self.number:g}"
        arm = f"{self.quantifier} {self.arm}".strip()
        return self.reference or (f"{arm}.{self.measure}" if self.measure else arm)


@dataclass(frozen=True, slots=True)
class Claim:
    """`left relation right`, by a margin (order) or within a range (likeness).

    kind: "order" (a < b or a > b), "likeness" (a ~ b), "value" (the right side is a number), "reference",
    "trend" (rising ">", falling "<" or flat "~" along the numeric `levels` of a factor), "shape" (of the curve of `metric`;
    `margin` is its `by`, `over_last` its stretch), "reproduces" (a likeness with another arm's own results), "finishes"
    (every trial of the left side reached its planned end; no numbers).
    A value or reference claim is an order or a likeness by its `relation`. `margin` is m of the order or r of the
    likeness, in the measure's units, never negative. `text` is the claim as written. `hash` identifies what is
    claimed, measures' definitions included, and not why or where it is written.
    """

    name: str
    kind: Kind
    left: Side
    relation: Literal["<", ">", "~"]
    right: Side
    margin: float
    text: str
    hash: str
    over: Literal["seeds", "examples", "both"] = "seeds"
    why: str = ""
    place: Place | None = None
    factor: str = ""  # trend: the factor whose levels are followed
    levels: tuple[tuple[str, float], ...] = ()  # trend: (full name of an arm, where it stands on the factor), ascending
    shape: str = ""  # one of SHAPES
    metric: str = ""  # shape: `[stage.]split/name` of the curve
    over_last: int | None = None  # shape: epochs at the end that are looked at
    cluster: str = ""  # over examples: what examples that belong together share


@dataclass(frozen=True, slots=True)
class Waiver:
    """A fairness rule the author accepts, and why: `allow: [{rule: unequal-epochs, why: ...}]`."""

    rule: str
    why: str


def plain(side: Side) -> dict[str, Any]:
    """`side` as JSON data, empty fields left out."""
    fields: dict[str, Any] = {"arm": side.arm, "measure": side.measure, "reference": side.reference, "number": side.number}
    fields |= {"arms": list(side.arms), "quantifier": side.quantifier, "chosen_by": side.chosen_by}
    return {k: v for k, v in fields.items() if v not in ("", None, [])}
