"""Colours, dashes and shapes of what charts tell apart: arms, points of sweeps, values of a factor.

Colours are those of Okabe & Ito, darkened or lightened for contrast on white and on near-black; the baseline is grey.
A tint is a colour for light and one for dark surroundings. A page names it by a CSS variable, a file spells it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Tint = tuple[str, str]  # on white, on near-black

LIGHT_ARMS = ("#0072B2", "#D55E00", "#00916A", "#B5538F", "#B07C00", "#3FA2DB", "#6B4FA3", "#7A5230")
DARK_ARMS = ("#5DB4EA", "#FF9450", "#3CC9A0", "#E594C4", "#E9BE4B", "#9AD4F5", "#B9A3EC", "#C9A27E")
TINTS: tuple[Tint, ...] = tuple(zip(LIGHT_ARMS, DARK_ARMS, strict=True))
BASELINE: Tint = ("#5B6168", "#B9C0C7")
DASHES = ((1, 0), (7, 3), (2, 2), (9, 3, 2, 3), (4, 2))
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
TOLD_BY_COLOUR = 4  # with more arms than this, dashes and shapes tell them apart as well
CATEGORIES = len(TINTS)  # with more arms than this, the points of a sweep share a hue, from pale to deep
STEPS = 12  # of a ramp: more points than this share steps


@dataclass(frozen=True, slots=True)
class Look:
    """How what a chart tells apart is drawn: a label each, in order, with its colours, dash and shape."""

    labels: tuple[str, ...]
    tints: tuple[Tint, ...]
    dashes: tuple[tuple[int, ...], ...]
    shapes: tuple[str, ...]

    @property
    def light(self) -> tuple[str, ...]:
        """The colours on white."""
        return tuple(tint[0] for tint in self.tints)

    @property
    def by_form(self) -> bool:
        """True when there are too many to be told by colour alone."""
        return len(self.labels) > TOLD_BY_COLOUR

    def colours(self, *, page: bool) -> list[str]:
        """A colour a label: CSS variables for the page, light colours for a file."""
        return [variable(tint) if page else tint[0] for tint in self.tints]

    def only(self, labels: Sequence[str]) -> Look:
        """The same, for some labels, in their order."""
        at = [self.labels.index(label) for label in labels]
        return Look(
            tuple(labels), tuple(self.tints[i] for i in at), tuple(self.dashes[i] for i in at), tuple(self.shapes[i] for i in at)
        )


def look_of(labels: Sequence[str], baselines: Iterable[str], bases: Sequence[str] = ()) -> Look:
    """How arms are drawn: baselines grey, the others in turn; with many arms, dashes and shapes in turn too.

    `bases` names the arm that each is a point of: with more than CATEGORIES arms, its points share a hue.
    """
    grey = set(baselines)
    groups = list(bases) or list(labels)
    coloured = [i for i, label in enumerate(labels) if label not in grey]
    tints = [BASELINE] * len(labels)
    if len(coloured) <= CATEGORIES:
        for turn, i in enumerate(coloured):
            tints[i] = TINTS[turn]
    else:
        points: dict[str, list[int]] = {}
        for i in coloured:
            points.setdefault(groups[i], []).append(i)
        for turn, members in enumerate(points.values()):
            for i, tint in zip(members, ramp(TINTS[turn % CATEGORIES], len(members)), strict=True):
                tints[i] = tint
    return _formed(labels, tints)


def ordered_look(labels: Sequence[str], others: Sequence[str] = (), *, numeric: bool) -> Look:
    """How the values of a factor are drawn: numbers from pale to deep in one hue, words in turn; `others` in grey."""
    if (numeric and len(labels) > 2) or len(labels) > CATEGORIES:
        tints = list(ramp(TINTS[0], len(labels)))
    else:
        tints = list(TINTS[: len(labels)])
    return _formed([*labels, *others], [*tints, *(BASELINE for _ in others)])


def ramp(tint: Tint, count: int) -> list[Tint]:
    """`count` colours of one hue, from pale to deep on white, from dim to bright on black; at most STEPS different ones."""
    if count == 1:
        return [tint]
    steps = min(count, STEPS)
    made = []
    for i in range(steps):
        t = 2 * i / (steps - 1) - 1  # from -1 to 1; the hue itself in the middle
        light = mixed(tint[0], "#FFFFFF", -0.52 * t) if t < 0 else mixed(tint[0], "#000000", 0.62 * t)
        dark = mixed(tint[1], "#15181B", -0.52 * t) if t < 0 else mixed(tint[1], "#FFFFFF", 0.62 * t)
        made.append((light, dark))
    return [made[i * steps // count] for i in range(count)]


def mixed(colour: str, other: str, share: float) -> str:
    """`colour` with `share` (0 to 1) of `other` in it."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)


def variable(tint: Tint) -> str:
    """The CSS variable that holds a tint."""
    return f"var(--{_name(tint)})"


def declarations(tints: Iterable[Tint], *, dark: bool) -> str:
    """The CSS variables of `tints`, each once."""
    return " ".join(f"--{_name(tint)}: {tint[1 if dark else 0]};" for tint in dict.fromkeys(tints))


def _name(tint: Tint) -> str:
    return f"c{tint[0][1:]}-{tint[1][1:]}"


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _formed(labels: Sequence[str], tints: Sequence[Tint]) -> Look:
    many = len(labels) > TOLD_BY_COLOUR
    dashes = tuple(DASHES[i % len(DASHES)] if many else DASHES[0] for i in range(len(labels)))
    shapes = tuple(SHAPES[i % len(SHAPES)] if many else SHAPES[0] for i in range(len(labels)))
    return Look(tuple(labels), tuple(tints), dashes, shapes)
