"""Claims: what the author expects, in the grammar of one line, with names resolved by check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from interpreter.errors import Place


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a measure of an arm, a reference's value, or a plain number."""

    arm: str = ""  # "curriculum" or "2024-06-28/first/naive"
    measure: str = ""
    reference: str = ""
    number: float | None = None

    def __str__(self) -> str:
        if self.number is not None:
            return f"{self.number:g}"
        return self.reference or f"{self.arm}.{self.measure}"


@dataclass(frozen=True, slots=True)
class Claim:
    """`left relation right`, by a margin (order) or within a range (likeness).

    kind: "order" (a < b or a > b), "likeness" (a ~ b), "value" (the right side is a number), "reference".
    A value or reference claim is an order or a likeness by its `relation`. `margin` is m of the order or r of the
    likeness, in the measure's units, never negative. `text` is the claim as written. `hash` identifies what is
    claimed, measures' definitions included, and not why or where it is written.
    """

    name: str
    kind: Literal["order", "likeness", "value", "reference"]
    left: Side
    relation: Literal["<", ">", "~"]
    right: Side
    margin: float
    text: str
    hash: str
    over: Literal["seeds"] = "seeds"
    why: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """A fairness rule the author accepts, and why: `allow: [{rule: unequal-epochs, why: ...}]`."""

    rule: str
    why: str


def plain(side: Side) -> dict[str, Any]:
    """`side` as JSON data, empty fields left out."""
    fields = {"arm": side.arm, "measure": side.measure, "reference": side.reference, "number": side.number}
    return {k: v for k, v in fields.items() if v not in ("", None)}
