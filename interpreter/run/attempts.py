"""Who may write a stage's record: attempts, numbered by exclusive creation, alive by heartbeat, fenced when superseded.

    attempts/0001.json    who: taken with os.link, so of N takers exactly one wins
    attempts/0001.alive   touched every 5 s; holds how far the attempt is, for display
    attempts/0001.end     how it ended: done, failed, stopped, died
    attempts/0001.error   the traceback of a failure

An attempt is alive when it has no `.end`, its heartbeat is younger than 60 s and, on this machine, its process exists.
A process that was paused for longer is taken for dead; when it wakes it finds a higher number and is Fenced.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpreter.errors import ExptError, Fenced, RecordError
from interpreter.run.record import Record, now, read_json, write_atomically

_NUMBER = re.compile(r"(\d{4,})\.json")


class Busy(ExptError):
    """The stage is done, or another attempt is alive: there is nothing to take."""


def beat_every() -> float:
    """Seconds between heartbeats (EXPT_HEARTBEAT_S, default 5)."""
    return float(os.environ.get("EXPT_HEARTBEAT_S", "5"))


def stale_after() -> float:
    """Seconds without a heartbeat after which an attempt counts as dead (EXPT_STALE_S, default 60)."""
    return float(os.environ.get("EXPT_STALE_S", "60"))


@dataclass(frozen=True, slots=True)
class Who:
    """A process, so that it can be told from another with the same pid."""

    host: str
    boot_id: str
    pid_space: str  # container: pids mean something only within one
    pid: int
    pid_start: int  # clock ticks since boot

    @classmethod
    def me(cls) -> Who:
        """This process."""
        return cls(*machine(), os.getpid(), process_start(os.getpid()))


def machine() -> tuple[str, str, str]:
    """Host name, boot id and pid namespace of this machine."""
    boot, space = "", ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with contextlib.suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return socket.gethostname(), boot, space


def process_start(pid: int) -> int:
    """When process `pid` began, in clock ticks since boot; 0 when there is none, or it is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()  # the name, in brackets, may hold anything
    return 0 if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True, slots=True)
class Found:
    """The highest attempt of a record, as others see it."""

    number: int
    who: Mapping[str, Any]
    end: Mapping[str, Any] | None
    alive: bool
    beat: Mapping[str, Any]  # what its last heartbeat said: epoch, step, steps


def numbers(record: Record) -> list[int]:
    """Numbers of all attempts, ascending."""
    try:
        names = os.listdir(record.attempts)
    except FileNotFoundError:
        return []
    return sorted(int(m[1]) for m in map(_NUMBER.fullmatch, names) if m)


def path_of(record: Record, number: int, ending: str) -> Path:
    """A file of attempt `number`: ending is "json", "alive", "end" or "error"."""
    return record.attempts / f"{number:04d}.{ending}"


def latest(record: Record) -> Found | None:
    """The highest attempt, or None when there is none. Raises: RecordError."""
    taken = numbers(record)
    return look(record, taken[-1]) if taken else None


def look(record: Record, number: int) -> Found:
    """Attempt `number` as others see it. Raises: RecordError."""
    who = read_json(path_of(record, number, "json"))
    try:
        end: Mapping[str, Any] | None = read_json(path_of(record, number, "end"))
    except FileNotFoundError:
        end = None
    beat: Mapping[str, Any] = {}
    with contextlib.suppress(FileNotFoundError, RecordError):
        beat = read_json(path_of(record, number, "alive"))
    return Found(number, who, end, end is None and _alive(record, number, who), beat)


def _alive(record: Record, number: int, who: Mapping[str, Any]) -> bool:
    here = (who.get("host"), who.get("boot_id"), who.get("pid_space")) == machine()
    if here:
        start = process_start(int(who["pid"]))
        if not start or start != who["pid_start"]:
            return False
    beat = 0.0
    for ending in ("alive", "json"):  # between taking the number and the first heartbeat there is only the json
        with contextlib.suppress(FileNotFoundError):
            beat = max(beat, path_of(record, number, ending).stat().st_mtime)
    clock = time.time() if here else _file_system_time(record.attempts)
    return clock - beat < stale_after()


def _file_system_time(folder: Path) -> float:
    """Now by the clock that stamps files in `folder`, which may be another machine's."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".clock") as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:  # read-only for us: our own clock is the best there is
        return time.time()


class Attempt:
    """The right to write a record, held until superseded."""

    def __init__(self, record: Record, number: int) -> None:
        self.record = record
        self.number = number
        self.at: tuple[int, int, int] = (0, 0, 0)  # epoch, step, steps of it; written with each heartbeat
        self._next = path_of(record, number + 1, "json")
        self._ended = threading.Event()
        self._pulse = threading.Thread(target=self._beat, name=f"heartbeat-{number}", daemon=True)
        self._touch()
        self._pulse.start()

    def check(self) -> None:
        """Return if this attempt is still the highest. Called before every write. Raises: Fenced."""
        if self._next.exists():  # numbers are taken one after the other
            raise Fenced(
                f"attempt {self.number} of {self.record.key} was taken over by another process",
                hint="it was paused or cut off from the disk for too long; the other attempt goes on",
            )

    def end(self, how: str, *, epoch: int = 0, error: str = "", trace: str = "") -> None:
        """Stop the heartbeat and write how the attempt ended: "done", "failed" or "stopped". Raises: Fenced, OSError."""
        self.release()
        self.check()
        if trace:
            write_atomically(path_of(self.record, self.number, "error"), trace.encode())
        _write_end(self.record, self.number, how, epoch, error)

    def release(self) -> None:
        """Stop the heartbeat."""
        self._ended.set()
        self._pulse.join()

    def _beat(self) -> None:
        every = beat_every()
        while not self._ended.wait(every):
            with contextlib.suppress(OSError):  # a full or absent disk: what follows will say so, a heartbeat need not
                self._touch()

    def _touch(self) -> None:
        epoch, step, steps = self.at
        # Always of one length and written in place, so that a reader never sees it cut.
        text = json.dumps({"epoch": epoch, "step": step, "steps": steps}).ljust(80) + "\n"
        fd = os.open(path_of(self.record, self.number, "alive"), os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.utime(fd)
            os.pwrite(fd, text.encode(), 0)
        finally:
            os.close(fd)


def take(record: Record, about: Mapping[str, Any]) -> Attempt:
    """The right to write `record`: a new attempt, with `about` (environment, numerics) in its file.

    An attempt that was found dead is ended as "died". Raises: Busy when the stage is done or somebody alive holds it.
    """
    record.attempts.mkdir(parents=True, exist_ok=True)
    while True:
        if record.done() is not None:
            raise Busy("done")
        before = latest(record)
        if before is not None and before.alive:
            raise Busy(f"running on {before.who.get('host')} as process {before.who.get('pid')}")
        if before is not None and before.end is None:
            mark_ended(record, before.number)
        number = (before.number if before else 0) + 1
        who = Who.me()
        content = {
            "attempt": number,
            "host": who.host,
            "pid": who.pid,
            "pid_start": who.pid_start,
            "boot_id": who.boot_id,
            "pid_space": who.pid_space,
            "started": now(),
            **about,
        }
        try:
            write_atomically(path_of(record, number, "json"), json.dumps(content, indent=1).encode(), exclusive=True)
        except FileExistsError:
            continue  # somebody was faster: look again
        attempt = Attempt(record, number)
        if record.done() is None:
            return attempt
        attempt.end("stopped", error="another attempt finished the stage meanwhile")


def mark_ended(record: Record, number: int, how: str = "died", error: str = "its process was gone") -> None:
    """Write how attempt `number` ended, on behalf of a process that is gone, unless it left word itself."""
    beat = look(record, number).beat
    with contextlib.suppress(FileExistsError):
        _write_end(record, number, how, int(beat.get("epoch", 0)), error)


def _write_end(record: Record, number: int, how: str, epoch: int, error: str) -> None:
    content = {"how": how, "error": error, "at": now(), "epoch": epoch}
    write_atomically(path_of(record, number, "end"), json.dumps(content).encode(), exclusive=True)
