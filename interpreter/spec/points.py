"""Points of a sweep: how they are called, and which of them a selector means."""

from __future__ import annotations

from collections.abc import Mapping

POINT = "point"  # the factor of points that are listed one by one: their labels stand alone in the brackets


def called(factors: Mapping[str, str]) -> str:
    """What stands in the brackets for a point: `patience=3,by=manual`, or `1-4-20` for a listed one."""
    return ",".join(label if factor == POINT else f"{factor}={label}" for factor, label in factors.items())


def picks(selector: str, point: str, factors: Mapping[str, str]) -> bool:
    """Whether `selector`, as written in brackets, means the point called `point` with these `factors`.

    "" and "*" mean every point; a label the point of that name; `factor=label`, separated by commas, those where all hold.
    """
    if selector in ("", "*", point):
        return True
    wanted = [part.strip().partition("=") for part in selector.split(",")]
    return all(
        same_value(factors.get(name.strip()), label.strip()) if equals else name in (factors.get(POINT), point)
        for name, equals, label in wanted
    )


def same_value(label: str | None, text: str) -> bool:
    """Whether the value of a factor that is called `label` is the one written `text`: the same word, or the same number."""
    if label is None or label == text:
        return label is not None
    try:
        return float(label) == float(text)
    except ValueError:
        return False


def unknown(selector: str, known: Mapping[str, set[str]], points: set[str]) -> tuple[str, list[str]] | None:
    """The first part of `selector` that no point has, with what there is instead; None when each part is known.

    `known` maps each factor to its labels, `points` holds the names of all points.
    """
    if selector in ("", "*") or selector in points:
        return None
    for part in selector.split(","):
        name, equals, label = part.strip().partition("=")
        if not equals:
            if name not in known.get(POINT, set()) | points:
                return name, sorted(known.get(POINT, set()) or points)
        elif name not in known:
            return name, sorted(known)
        elif not any(same_value(there, label) for there in known[name]):
            return label, sorted(known[name])
    return None
