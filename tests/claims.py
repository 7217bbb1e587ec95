"""Claims of every kind made by hand. `tests.plans.make_claim` makes those that compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interpreter.spec.canonical import digest
from interpreter.spec.claims import Claim, Side


def make_trend(way: str, levels: Mapping[str, float], factor: str = "size", on: str = "accuracy", margin: float = 0.0) -> Claim:
    """A claim that a measure is "rising", "falling" or "flat" along a factor. `levels`: full name of an arm -> its value."""
    base = next(iter(levels)).partition("[")[0]
    relation: Any = {"rising": ">", "falling": "<", "flat": "~"}[way]
    text = f"{on} of {base} {way} along {factor}"
    side = Side(arm=base, measure=on, arms=tuple(levels))
    return Claim("trend", "trend", side, relation, Side(number=0.0), margin, text, digest(f"{text} {margin}"), factor=factor,
                 levels=tuple(sorted(levels.items(), key=lambda item: item[1])))  # fmt: skip


def make_shape(
    shape: str, arm: str = "naive", metric: str = "val/loss", by: float = 0.0, over_last: int | None = None,
    arms: Sequence[str] = (), quantifier: Any = "",
) -> Claim:  # fmt: skip
    """A claim about the shape of the curve of `metric`."""
    text = f"{quantifier} {arm} {shape}".strip()
    side = Side(arm=arm, arms=tuple(arms), quantifier=quantifier)
    return Claim("shape", "shape", side, ">", Side(), by, text, digest(f"{text} {metric} {by}"), shape=shape, metric=metric,
                 over_last=over_last)  # fmt: skip


def make_finishes(arm: str, arms: Sequence[str] = ()) -> Claim:
    """A claim that every trial of an arm, or of all points of a sweep, reaches its planned end."""
    return Claim(
        "done", "finishes", Side(arm=arm, arms=tuple(arms)), "~", Side(), 0.0, f"finishes: {arm}", digest(f"finishes {arm}")
    )
