"""Names and references: the grammar of how a page points at things.

A definition is text: `2024-06-28#models.cnn`, `2024-06-28/entry#stage`.
A result is something run: `2024-06-28/entry/arm[point].stage@checkpoint`, shortened within its own entry (`arm.stage@best`,
`stage@best`). A point of a sweep is its label (`[1-2-0]`) or what its factors are (`[patience=3,by=manual]`); `[*]` is every
point. Separators `/ # . @ [ ]` are in no name.
"""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

NAME = re.compile(r"[a-z][a-z0-9_-]*")
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
DATE = re.compile(_DATE)
CHECKPOINT = re.compile("best|last|epoch-[0-9]+")
LABEL = re.compile(r"[^\s\[\]=,@#/]+")  # of a value that a factor of a sweep takes: 3, off, 1e-3, 1-2-0
_N = r"[a-z][a-z0-9_-]*"
_COMPONENT = re.compile(rf"(?P<date>{_DATE})#(?P<kind>datasets|models|objectives|schedules)\.(?P<name>{_N})")
_STAGE = re.compile(rf"(?P<date>{_DATE})/(?P<entry>{_N})#(?P<name>{_N})")
_ARM_TEXT = rf"((?P<date>{_DATE})/(?P<entry>{_N})/)?(?P<arm>{_N})(\[(?P<point>[^\]]*)\])?"
_ARM = re.compile(_ARM_TEXT)
_SIDE = re.compile(rf"((?P<quantifier>all|any|mean|best)\s+)?(?P<text>{_ARM_TEXT})(\.(?P<measure>{_N}))?")
_RESULT = re.compile(
    rf"((?P<date>{_DATE})/(?P<entry>{_N})/)?((?P<arm>{_N})(\[(?P<point>[^\]]*)\])?\.)?(?P<stage>{_N})"
    r"(@(?P<checkpoint>best|last|epoch-[0-9]+|\*))?"
)


@dataclass(frozen=True, slots=True)
class ComponentRef:
    """`DATE#models.cnn`: the definition of a component on another page."""

    date: str
    kind: str  # "datasets" | "models" | "objectives" | "schedules"
    name: str


@dataclass(frozen=True, slots=True)
class StageRef:
    """`DATE/entry#stage`: the definition of a stage of another entry."""

    date: str
    entry: str
    name: str


@dataclass(frozen=True, slots=True)
class ArmRef:
    """`DATE/entry/arm[point]`: an arm with its trials; `date` and `entry` are "" within the same entry, `point` for all of it."""

    date: str
    entry: str
    arm: str
    point: str = ""

    def __str__(self) -> str:
        return f"{self.date}/{self.entry}/{self.name}" if self.date else self.name

    @property
    def name(self) -> str:
        """The arm within its entry: `arm`, `arm[point]`."""
        return f"{self.arm}[{self.point}]" if self.point else self.arm


@dataclass(frozen=True, slots=True)
class SideText:
    """One side of a claim as written: `[all | any | mean | best] arm[point].measure`."""

    quantifier: str
    arm: ArmRef
    measure: str


@dataclass(frozen=True, slots=True)
class ResultRef:
    """A checkpoint of a stage that was run; `date` and `entry` are "" within the same entry, `arm` within the same arm.

    `point` is "" for an arm as a whole, `*` for every point of it; `checkpoint` is `*` for every one that is kept.
    """

    date: str
    entry: str
    arm: str
    point: str
    stage: str
    checkpoint: str


def is_day(text: str) -> bool:
    """Whether `text` is a day of the calendar, YYYY-MM-DD."""
    if not DATE.fullmatch(text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def component_ref(text: str) -> ComponentRef | None:
    """`text` as the definition of a component elsewhere, or None."""
    found = _COMPONENT.fullmatch(text)
    return ComponentRef(found["date"], found["kind"], found["name"]) if found else None


def stage_ref(text: str) -> StageRef | None:
    """`text` as the definition of a stage elsewhere, or None."""
    found = _STAGE.fullmatch(text)
    return StageRef(found["date"], found["entry"], found["name"]) if found else None


def arm_ref(text: str) -> ArmRef | None:
    """`text` as an arm of another entry, or None."""
    found = own_arm_ref(text)
    return found if found is not None and found.date else None


def own_arm_ref(text: str) -> ArmRef | None:
    """`text` as an arm, of this or of another entry, or None."""
    found = _ARM.fullmatch(text)
    return _arm(found) if found else None


def side_text(text: str) -> SideText | None:
    """`text` as one side of a claim, or None."""
    found = _SIDE.fullmatch(text)
    return SideText(found["quantifier"] or "", _arm(found), found["measure"] or "") if found else None


def _arm(found: re.Match[str]) -> ArmRef:
    return ArmRef(found["date"] or "", found["entry"] or "", found["arm"], found["point"] or "")


def result_ref(text: str) -> ResultRef | None:
    """`text` as a checkpoint of something run, or None. The checkpoint is `best` where none is named."""
    found = _RESULT.fullmatch(text)
    if not found:
        return None
    date, entry, arm, point = (found[part] or "" for part in ("date", "entry", "arm", "point"))
    return ResultRef(date, entry, arm, point, found["stage"], found["checkpoint"] or "best")


def wrong_checkpoint(text: str) -> tuple[str, str]:
    """What stands behind the `@` of `text` where all else names a result, and a hint what may; "", "" where that is not so."""
    before, at, checkpoint = text.partition("@")
    if not at or result_ref(text) is not None or result_ref(before) is None:
        return "", ""
    return checkpoint, nearest(checkpoint, ("best", "last")) or "a checkpoint is best, last or epoch-N"


def metric_ref(text: str) -> tuple[str, str, str]:
    """`[stage.]split/name` as (stage or "", split, name); parts that are not written are ""."""
    where, slash, name = text.rpartition("/")
    stage, dot, split = where.partition(".")
    if not slash:
        return "", "", name
    return (stage, split, name) if dot else ("", where, name)


def nearest(name: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A hint: the known name nearest to `name`, "" where none is near."""
    close = difflib.get_close_matches(str(name), sorted(set(known)), n=2, cutoff=cutoff)
    return f"did you mean {' or '.join(f'`{c}`' for c in close)}?" if close else ""


def misspelt(written: Iterable[str], known: Iterable[str]) -> tuple[str, str]:
    """The first of the words `written` that is near to one of `known`, and a hint which; "", "" where none is."""
    names = set(known)
    return next(((word, hint) for word in written if word not in names and (hint := nearest(word, names))), ("", ""))


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A hint: the known name nearest to `name`, else the list of them while it is short."""
    names = sorted(set(known))
    close = nearest(name, names)
    if close:
        return close
    if not names:
        return "none is defined here"
    return f"known: {', '.join(names[:16])}{', ...' if len(names) > 16 else ''}"
