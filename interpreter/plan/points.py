"""Points of sweeps: which arms a text on a page stands for, and what to call them where there is little room.

Works on anything that has the `name`, `base` and `factors` of an ArmPlan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from interpreter.spec.names import ArmRef, own_arm_ref
from interpreter.spec.points import picks
from interpreter.spec.points import same_value as spelled_same
from interpreter.spec.robustness import means as named


class Point(Protocol):
    """An arm as planned, as far as its name goes."""

    @property
    def name(self) -> str:
        """In full: "naive", "thaw[max_epochs=1,patience=3]", "2024-06-28/first/naive"."""
        ...

    @property
    def base(self) -> str:
        """As the page names the arm; "" means `name`."""
        ...

    @property
    def factors(self) -> Mapping[str, str]:
        """Factor of the sweep -> label of its value here."""
        ...


P = TypeVar("P", bound=Point)


def select(arms: Sequence[P], text: str) -> list[P]:
    """The arms that `text` stands for, in their order; none when it stands for nothing here.

    "thaw" is an arm or all points of a sweep, "thaw[patience=3,by=manual]" the points with those values, in any order,
    "noisy[1-4-20]" the one with that label, "thaw[*]" all points, "[*]" every arm. An arm of another entry is written
    in full, "2024-06-28/first/thaw[patience=3]".
    """
    if text.strip() == "[*]":
        return list(arms)
    wanted = own_arm_ref(text.strip())
    if wanted is None:
        return []
    exact = [arm for arm in arms if arm.name == str(wanted)]
    if exact:
        return exact
    base = str(ArmRef(wanted.date, wanted.entry, wanted.arm))
    points = [arm for arm in arms if base_of(arm) == base]
    return [arm for arm in points if picks(wanted.point, label_of(arm), arm.factors)]


def base_of(arm: Point) -> str:
    """The arm as the page names it: equal for all points of a sweep."""
    return arm.base or arm.name


def label_of(arm: Point) -> str:
    """What stands in the brackets of the arm's name, "" where there are none."""
    head, bracket, rest = arm.name.partition("[")
    return rest.removesuffix("]") if bracket and head else ""


def means(text: str, arm: Point) -> bool:
    """Whether `text`, as a line or a family of a chart names arms, means `arm`: by its name, as a point, or with `*`."""
    return named(text, arm.name, base_of(arm), label_of(arm), arm.factors)


def same_value(label: str | None, value: Any) -> bool:
    """Whether the value `label` of a factor is `value`, compared as the texts they are written as, or as numbers."""
    return spelled_same(label, written(value))


def written(value: Any) -> str:
    """A plain value as a page writes it: true and false as words, `off` for nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "off" if value is None else str(value)


def levels(arms: Iterable[Point], factor: str) -> list[str]:
    """The labels that `factor` has among `arms`: ascending when all are numbers, else in the arms' order."""
    found = list(dict.fromkeys(arm.factors[factor] for arm in arms if factor in arm.factors))
    try:
        return sorted(found, key=float)
    except ValueError:
        return found


def factors(arms: Iterable[Point]) -> list[str]:
    """Names of all factors of the sweeps among `arms`."""
    return list(dict.fromkeys(factor for arm in arms for factor in arm.factors))


def short_labels(arms: Sequence[Point], without: Iterable[str] = ()) -> dict[str, str]:
    """Full name -> a short label for legends and tables, unique among `arms`.

    A point is its base and the factors that vary, "thaw · max_epochs 1 · patience 3"; one with a label is the label.
    Factors in `without` are left out: the heading of a row or a panel says them; points that differ in nothing else
    then share a label.
    """
    left_out = set(without)
    groups: dict[str, list[Point]] = {}
    for arm in arms:
        groups.setdefault(base_of(arm), []).append(arm)
    labels: dict[str, str] = {}
    for base, points in groups.items():
        varied = [f for f in factors(points) if len({p.factors.get(f) for p in points}) > 1 and f not in left_out]
        for point in points:
            label = label_of(point)
            if label and "=" not in label and not left_out & set(point.factors):
                labels[point.name] = label
            else:
                labels[point.name] = " · ".join([base, *(f"{f} {point.factors[f]}" for f in varied if f in point.factors)])
    if not left_out:
        taken: dict[str, int] = {}
        for label in labels.values():
            taken[label] = taken.get(label, 0) + 1
        labels = {name: label if taken[label] == 1 else name for name, label in labels.items()}
    return {arm.name: labels[arm.name] for arm in arms}
