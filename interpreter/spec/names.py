"""Names and references: the grammar of how a page points at things.

A definition is text: `2024-06-28#models.cnn`, `2024-06-28/entry#stage`.
A result is something run: `2024-06-28/entry/arm.stage@checkpoint`, shortened within its own entry (`arm.stage@best`,
`stage@best`). Separators `/ # . @ [ ]` are in no name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

NAME = re.compile(r"[a-z][a-z0-9_-]*")
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
DATE = re.compile(_DATE)
CHECKPOINT = re.compile("best|last|epoch-[0-9]+")
_N = r"[a-z][a-z0-9_-]*"
_COMPONENT = re.compile(rf"(?P<date>{_DATE})#(?P<kind>datasets|models|objectives|schedules)\.(?P<name>{_N})")
_STAGE = re.compile(rf"(?P<date>{_DATE})/(?P<entry>{_N})#(?P<name>{_N})")
_ARM = re.compile(rf"(?P<date>{_DATE})/(?P<entry>{_N})/(?P<arm>{_N})")
_RESULT = re.compile(
    rf"((?P<date>{_DATE})/(?P<entry>{_N})/)?((?P<arm>{_N})(?P<point>\[[^\]]*\])?\.)?(?P<stage>{_N})(@(?P<checkpoint>best|last|epoch-[0-9]+))?"
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
    """`DATE/entry/arm`: an arm of another entry, with its trials."""

    date: str
    entry: str
    arm: str

    def __str__(self) -> str:
        return f"{self.date}/{self.entry}/{self.arm}"


@dataclass(frozen=True, slots=True)
class ResultRef:
    """A checkpoint of a stage that was run; `date` and `entry` are "" within the same entry, `arm` within the same arm."""

    date: str
    entry: str
    arm: str
    point: str
    stage: str
    checkpoint: str


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
    found = _ARM.fullmatch(text)
    return ArmRef(found["date"], found["entry"], found["arm"]) if found else None


def result_ref(text: str) -> ResultRef | None:
    """`text` as a checkpoint of something run, or None. The checkpoint is `best` where none is named."""
    found = _RESULT.fullmatch(text)
    if not found:
        return None
    return ResultRef(
        found["date"] or "",
        found["entry"] or "",
        found["arm"] or "",
        (found["point"] or "")[1:-1],
        found["stage"],
        found["checkpoint"] or "best",
    )


def metric_ref(text: str) -> tuple[str, str, str]:
    """`[stage.]split/name` as (stage or "", split, name); parts that are not written are ""."""
    where, slash, name = text.rpartition("/")
    stage, dot, split = where.partition(".")
    if not slash:
        return "", "", name
    return (stage, split, name) if dot else ("", where, name)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A hint: the known name nearest to `name`, else the list of them while it is short."""
    names = sorted(set(known))
    close = difflib.get_close_matches(str(name), names, n=2, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(f'`{c}`' for c in close)}?"
    if not names:
        return "none is defined here"
    return f"known: {', '.join(names[:16])}{', ...' if len(names) > 16 else ''}"
