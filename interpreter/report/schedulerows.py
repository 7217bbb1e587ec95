"""The strips of a chart of schedules: seeds that went through the same phases, where each strip stands, what is on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median_low
from typing import Any

from interpreter.report.charts.schedule import ENDS, LETTER, NARROW
from interpreter.report.charts.theme import LONE_WIDTH
from interpreter.report.words import count, names, number

Record = Mapping[str, Any]
TALL, THIN, GAP, BETWEEN = 19.0, 6.0, 2.0, 9.0  # pixels: a strip, one of several seeds, between those, between arms
NAMES, LINE = 14.0, 12.5  # pixels of a row of names above thin strips, and of a line of a label
THIN_ROWS = 60  # strips of single seeds in one chart; with more, an arm has one strip, of medians
PALE, DEEP = 0.16, 0.54  # opacity of the first and of the last phase: text stays legible on either
LABEL = 30  # letters of a line of an arm's label
SHOWN = (4, 2)  # names written on a strip, where there is room and where there is less; what is pointed at tells all


@dataclass
class Strips:
    """Rows of the data sets of `charts.schedule.Trace`, and where the arms' labels stand."""

    spans: list[dict[str, Any]] = field(default_factory=list)
    names: list[dict[str, Any]] = field(default_factory=list)
    ends: list[dict[str, Any]] = field(default_factory=list)
    spread: list[dict[str, Any]] = field(default_factory=list)
    labels: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    height: float = 0.0
    medians: bool = False  # some arm is drawn by medians
    apart: bool = False  # some arm has a strip a seed
    again: bool = False  # some phase froze what trained before
    numbered: bool = False  # some strip is too short for a name, at the width of a file


def strips(arms: Mapping[str, Sequence[Record]], keys: Mapping[str, str], window: tuple[int, int]) -> Strips:
    """The strips of `arms`: label -> its phases, as `Reader.phases` has them, with `began` and `ended` along the x axis.

    Each phase has besides: `unit`, what its `groups` are ("group", "layer" or "tensor"); `kept`, whether all that trained in
    the phase before still does; `shift`, what was added to its epochs; `several`, whether the stage needs a name.
    Seeds that went through the same phases share a strip. `window` is the first and last epoch drawn.
    """
    made = Strips()
    by_seed = {arm: _trials(rows, window) for arm, rows in arms.items()}
    thin = sum(len(trials) for trials in by_seed.values() if len(_alike(trials)) > 1)
    deepest = max((row["phase"] for rows in arms.values() for row in rows), default=0)
    for arm, trials in by_seed.items():
        lines = wrapped(arm)
        who = {"arm": arm, "key": keys[arm]}
        top = made.height
        if len(_alike(trials)) <= 1:
            height = _one(made, who, trials, top, deepest)
        elif thin <= THIN_ROWS:
            height = _each(made, who, trials, top, deepest)
        else:
            height = _medians(made, who, trials, top, deepest)
        needed = LINE * len(lines)
        made.labels.append((round(top + height / 2, 1), lines))
        made.height = round(top + max(height, needed) + BETWEEN, 1)
    made.again = any(not row["kept"] for rows in arms.values() for row in rows)
    pixels = LONE_WIDTH / NARROW / (window[1] - window[0] + 1)
    made.numbered = any(_too_short(row, pixels) for row in made.names)
    return made


def wrapped(label: str) -> tuple[str, ...]:
    """An arm's label in lines of at most LABEL letters where it can be parted."""
    lines: list[str] = []
    for word in label.split(" · "):
        if lines and len(lines[-1]) + len(word) + 3 <= LABEL:
            lines[-1] += f" · {word}"
        else:
            lines.append(word)
    return tuple(lines)


def end_word(reason: str | None) -> str:
    """What ended a phase, in the chart's words; "" for the end of the fit as planned, and for what goes on."""
    return ENDS[reason][0] if reason is not None and reason in ENDS else ""


def trains(row: Record) -> list[str]:
    """What a phase is called by: what it thawed, or all that trains in it where something was frozen again.

    Names of groups, layers or tensors; ["all"] where there is nothing to tell apart.
    """
    if row["kept"] or row["unit"] != "group":  # phases of layers or tensors have none in common: what one thawed is all of it
        return list(row["groups"] or ()) or ["all"]
    # Groups are direct parts of the encoder, and the head; one that would be taken for the head keeps its whole name.
    return [name if name == "encoder.head" else name.removeprefix("encoder.") for name in row["trainable"]]


def only(row: Record) -> str:
    """What is said after the names of a phase that froze something again."""
    return "" if row["kept"] else " only"


def _trials(rows: Sequence[Record], window: tuple[int, int]) -> dict[int, list[dict[str, Any]]]:
    """Seed -> its phases in order, cut to the window."""
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        if row["ended"] >= window[0] and row["began"] <= window[1]:
            cut = {"a": max(row["began"], window[0]) - 0.5, "b": min(row["ended"], window[1]) + 0.5}
            found.setdefault(row["seed"], []).append({**row, **cut, "whole": row["ended"] <= window[1]})
    return found


def _alike(trials: Mapping[int, Sequence[Record]]) -> set[tuple[Any, ...]]:
    return {tuple((r["stage"], r["phase"], r["a"], r["b"], r["ended_by"]) for r in rows) for rows in trials.values()}


def _one(made: Strips, who: Mapping[str, str], trials: Mapping[int, Sequence[Record]], top: float, deepest: int) -> float:
    for row in next(iter(trials.values()), ()):
        _span(made, who, [r[i] for r in trials.values() for i, x in enumerate(r) if _same(x, row)], row, top, TALL, deepest)
        _name(made, who, [row], row["a"], row["b"], top + TALL / 2, len(trials), alone=True)
        _end(made, who, row, top + TALL / 2, 46)
    return TALL


def _each(made: Strips, who: Mapping[str, str], trials: Mapping[int, Sequence[Record]], top: float, deepest: int) -> float:
    made.apart = True
    for at, rows in enumerate(trials.values()):
        y = top + NAMES + at * (THIN + GAP)
        for row in rows:
            _span(made, who, [row], row, y, THIN, deepest)
            _end(made, who, row, y + THIN / 2, 22)
    columns = list(_columns(trials).values())
    for rows, (a, b) in zip(columns, _in_turn([_middle(rows) for rows in columns]), strict=True):
        _name(made, who, rows, a, b, top + NAMES / 2, len(trials), alone=False)
    return NAMES + len(trials) * (THIN + GAP) - GAP


def _medians(made: Strips, who: Mapping[str, str], trials: Mapping[int, Sequence[Record]], top: float, deepest: int) -> float:
    """One strip: phases from median to median, as far as seeds reached them, and how far the ends of each lie apart."""
    made.medians = True
    columns = list(_columns(trials).values())
    for place, (rows, (a, b)) in enumerate(zip(columns, _in_turn([_middle(rows) for rows in columns]), strict=True)):
        reasons = {row["ended_by"] for row in rows}
        row = {**rows[0], "a": a, "b": b, "ended_by": reasons.pop() if len(reasons) == 1 else None}
        _span(made, who, rows, row, top, TALL, deepest)
        _name(made, who, rows, a, b, top + TALL / 2, len(trials), alone=False)
        _end(made, who, row, top + TALL / 2, 36)
        ends = [r["b"] for r in rows if end_word(r["ended_by"])]
        if ends and min(ends) < max(ends):  # of neighbours one above and one below, for they may overlap
            made.spread.append({**who, "low": min(ends), "high": max(ends), "y": top + (TALL - 2 if place % 2 else 2)})
    return TALL


def _columns(trials: Mapping[int, Sequence[Record]]) -> dict[tuple[Any, ...], list[Record]]:
    """The same phase of all seeds that reached it."""
    found: dict[tuple[Any, ...], list[Record]] = {}
    for rows in trials.values():
        for row in rows:
            found.setdefault((row["shift"], row["phase"]), []).append(row)
    return dict(sorted(found.items()))


def _middle(rows: Sequence[Record]) -> tuple[float, float]:
    return median_low([r["a"] for r in rows]), median_low([r["b"] for r in rows])


def _in_turn(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """`spans` without overlaps: medians over the seeds that reached a phase need not follow upon each other."""
    made: list[tuple[float, float]] = []
    for a, b in spans:
        begun = max(a, made[-1][1]) if made else a
        made.append((begun, max(begun, b)))
    return made


def _same(one: Record, other: Record) -> bool:
    return (one["stage"], one["phase"]) == (other["stage"], other["phase"])


def _span(
    made: Strips, who: Mapping[str, str], rows: Sequence[Record], row: Record, top: float, height: float, deepest: int
) -> None:
    shade = PALE + (DEEP - PALE) * (row["phase"] / deepest if deepest else 0.0)
    made.spans.append({**who, "a": row["a"], "b": row["b"], "top": top, "bottom": top + height, "shade": round(shade, 3),
                       **_told(rows, row)})  # fmt: skip


def _told(rows: Sequence[Record], row: Record) -> dict[str, Any]:
    """What a reader is told who points at a phase."""
    trained = ""
    if row["parameters"] is not None:
        trained = f"{row['parameters']:,} parameters in {count(row['tensors'], 'tensor')}"
    elif row["trainable"]:
        trained = names(list(row["trainable"]), 8)
    best = ""
    values = [r["best"] for r in rows if r["best"] is not None]
    if len(values) == 1:
        best = f"{row['monitor']} {number(values[0])} at epoch {rows[0]['best_epoch']}"
    elif values:
        best = f"{row['monitor']} {number(min(values))} to {number(max(values))}"
    lasted = sorted(r["epochs"] for r in rows)
    span = f"{row['began']} to {row['ended']} ({row['epochs']})"
    if lasted[0] != lasted[-1]:
        span = f"{lasted[0]} to {lasted[-1]} of them"
    back = sorted({r["restored"] for r in rows if r["restored"] is not None})
    began = f"; from the weights of epoch {names([str(e) for e in back], 5)}" if back else ""
    if not row["kept"]:
        trained += f" ({names(trains(row), 8)})"
    new = "all" if row["groups"] is None else names(list(row["groups"]), 8) or "nothing more"
    return {"of": names([str(s) for s in sorted({r["seed"] for r in rows})], 8), "number": row["phase"], "span": span,
            "thawed": new + began, "trained": trained, "ended": _reasons(rows), "best": best}  # fmt: skip


def _reasons(rows: Sequence[Record]) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        reason = end_word(row["ended_by"]) or row["ended_by"] or "goes on"
        counts[reason] = counts.get(reason, 0) + 1
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{reason} {count}" for reason, count in counts.items())


def _name(
    made: Strips, who: Mapping[str, str], rows: Sequence[Record], a: float, b: float, y: float, seeds: int, *, alone: bool
) -> None:
    """What is written on a phase: what it thawed and what ended it, then in fewer letters, for where there is less room."""
    row = rows[0]
    full, bare = _texts(row)
    stage = f"{row['stage']}: " if row["several"] else ""
    reached = f" ({len(rows)} of {seeds} seeds)" if not alone and len(rows) < seeds else ""
    named = _shrinking([f"{stage}{text}{reached}" for text in full])
    counts: dict[str, int] = {}
    for each in rows:
        reason = end_word(each["ended_by"]) if each["whole"] else ""
        counts[reason] = counts.get(reason, 0) + 1
    top = max(counts, key=lambda word: counts[word])
    word = f"{top} {counts[top]}/{len(rows)}" if top and len(counts) > 1 else top
    # A name of any length together with the reason comes before the longest one without it.
    texts = [(text, word) for text in named if word] + [(text, "") for text in _shrinking([*named, *full, *bare])]
    # Beside the letters: what lies before, between and after them. A number, the last resort, comes close to the mark behind it.
    rooms = [LETTER * (len(text) + len(said)) + (26 if said else 12 if text == bare[-1] else 16) for text, said in texts]
    made.names.append({**who, "a": a, "b": b, "y": y, "number": str(row["phase"]), "texts": [text for text, _ in texts],
                       "words": [said for _, said in texts], "rooms": [round(room) for room in rooms]})  # fmt: skip


def _texts(row: Record) -> tuple[list[str], list[str]]:
    """Names for a strip, each shorter than the one before where it can be, and what is left where no name has room.

    "+ conv1, conv2", "+2 groups"; "+2", "phase 3", "3". The sign is that of what joins others; what trains alone has none.
    """
    found, phase = trains(row), row["phase"]
    bare = [f"phase {phase}", str(phase)]
    if row["groups"] is None:
        return ["all"], bare
    # Of a tensor the part says enough: encoder.conv3.1.weight.
    short = [name.removeprefix("encoder.") if row["unit"] == "tensor" else name for name in found]
    plus, sign = ("+ ", "+") if phase and row["kept"] else ("", "")
    told = [", ".join([*short[:shown], *([f"{len(short) - shown} more"] if len(short) > shown else [])]) for shown in SHOWN]
    full = [f"{plus}{text}{only(row)}" for text in told]
    full.append(f"{sign}{count(len(found), row['unit'])}{only(row)}")
    return full, [f"+{len(found)}" if row["kept"] else f"{len(found)} only", *bare]


def _shrinking(texts: Sequence[str]) -> list[str]:
    """`texts` without those that are no shorter than one before them."""
    kept: list[str] = []
    for text in texts:
        if not kept or len(text) < len(kept[-1]):
            kept.append(text)
    return kept


def _too_short(row: Record, pixels: float) -> bool:
    """Whether there is room on a strip, of so many pixels an epoch, for the phase's number at most."""
    room = (row["b"] - row["a"]) * pixels
    return not any(room > needed and text != row["number"] for text, needed in zip(row["texts"], row["rooms"], strict=True))


def _end(made: Strips, who: Mapping[str, str], row: Record, y: float, size: float) -> None:
    word = end_word(row["ended_by"])
    if word and row["whole"]:
        made.ends.append({**who, "x": row["b"], "y": y, "size": size, "end": word, "at": f"{row['b'] - 0.5:g}"})
