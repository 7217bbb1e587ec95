"""`events.jsonl`: what a stage has to tell, one JSON object a line, appended only.

A line is written whole or cut off again; what a dead writer left torn is dropped by the next attempt; a line in the
middle that can't be read is reported, never skipped silently. `effective` is the one place that says which lines count.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Line = Mapping[str, Any]
IGNORES_INPUT = "ignores input"  # the rule of a baseline event that does not name one


class EventWriter:
    """Appends to an events file for one attempt. `guard` is called before each write and may raise Fenced."""

    def __init__(self, path: Path, attempt: int, guard: Callable[[], object]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._attempt = attempt
        self._guard = guard
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, *lines: Line, sync: bool = True) -> int:
        """Append `lines` in one write, each with the attempt's number; returns the file's size after it.

        Raises: Fenced; OSError when the disk is full, the file then as it was before.
        """
        data = b"".join(encode({"kind": line["kind"], "attempt": self._attempt, **line}) for line in lines)
        self._guard()
        before = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, data)
            if written != len(data):
                raise OSError(28, "no space left for the record", "events.jsonl")
        except OSError:
            os.ftruncate(self._fd, before)
            raise
        if sync:
            os.fsync(self._fd)
        return before + len(data)

    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        """Close the file, durably. Closing again does nothing."""
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1


def encode(line: Line) -> bytes:
    """A line as bytes, newline included. NaN and infinities become the strings "NaN", "Infinity", "-Infinity"."""
    return json.dumps(_finite(line), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value


def drop_torn_tail(path: Path) -> int:
    """Cut an unfinished last line off; returns how many bytes. Only for the attempt that holds the stage."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return 0
    try:
        size = os.fstat(fd).st_size
        end = size
        while end > 0:
            start = max(0, end - 65536)
            found = os.pread(fd, end - start, start).rfind(b"\n")
            end = start + found + 1 if found >= 0 else start
            if found >= 0:
                break
        if end < size:
            os.ftruncate(fd, end)
            os.fsync(fd)
        return size - end
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Corrupt:
    """A whole line that is no event: where it begins, in bytes, and how it begins."""

    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Read:
    """Lines read from an offset on, those that could not be, and the offset to go on from."""

    lines: tuple[dict[str, Any], ...]
    corrupt: tuple[Corrupt, ...]
    end: int


def read_events(path: Path, offset: int = 0) -> Read:
    """The events of `path` from byte `offset` to its last newline. A file that isn't there has none."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return Read((), (), offset)
    return parse(data, offset)


def parse(data: bytes, offset: int = 0) -> Read:
    """The events in `data`, which begins at byte `offset` of its file; an unfinished last line is left for later."""
    data = data[: data.rfind(b"\n") + 1]
    lines: list[dict[str, Any]] = []
    corrupt: list[Corrupt] = []
    at = offset
    for raw in data.splitlines(keepends=True) if b"\r" not in data else _split(data):
        try:
            value = json.loads(raw)
            if not isinstance(value, dict) or not isinstance(value.get("kind"), str) or type(value.get("attempt")) is not int:
                raise ValueError
            lines.append(value)
        except ValueError:  # not JSON, not UTF-8, not an event
            corrupt.append(Corrupt(at, raw[:80].decode("utf-8", "backslashreplace").rstrip("\n")))
        at += len(raw)
    return Read(tuple(lines), tuple(corrupt), at)


def _split(data: bytes) -> list[bytes]:
    return [part + b"\n" for part in data.split(b"\n")[:-1]]


def effective(lines: Iterable[Line]) -> list[Line]:
    """The lines that count, in order.

    An attempt that begins at epoch r supersedes every line of earlier attempts with an epoch >= r, and with it anything
    an earlier attempt should write after it. `attempt` lines themselves always stay.
    """
    kept: list[Line] = []
    current = 0
    for line in lines:
        if line["kind"] == "attempt":
            if line["attempt"] <= current:
                continue
            current = line["attempt"]
            start = line.get("resume_epoch", 0)
            kept = [k for k in kept if k["kind"] == "attempt" or k.get("epoch", 0) < start]
        elif line["attempt"] != current:
            continue  # a superseded writer that woke up too late
        kept.append(line)
    return kept


def last_epochs(path: Path, limit: int = 65536) -> Sequence[Line]:
    """Effective `epoch` events among the last `limit` bytes of `path`, in order: enough for a display."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - limit)
            file.seek(start)
            data = file.read()
    except FileNotFoundError:
        return ()
    if start:
        data = data[data.find(b"\n") + 1 :]
    lines = [line for line in parse(data).lines if line["kind"] in ("epoch", "attempt")]
    newest = max((line["attempt"] for line in lines), default=0)
    if not any(line["kind"] == "attempt" for line in lines):
        return [line for line in lines if line["attempt"] == newest]
    return [line for line in lines if line["kind"] == "epoch" and _counts(line, lines)]


def _counts(line: Line, lines: Sequence[Line]) -> bool:
    later = (a for a in lines if a["kind"] == "attempt" and a["attempt"] > line["attempt"])
    return all(line.get("epoch", 0) < a.get("resume_epoch", 0) for a in later)
