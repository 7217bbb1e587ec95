"""What epochs hold of memory, and how long they wait for data: sizes, slopes, and a finding where memory grows."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from interpreter.stages.work import Event, finding_at_end

SETTLING = 5  # epochs of an attempt before its memory is expected to stay: caches fill, allocators find their size
LEAST = 10  # epochs that a slope is told from
GROWTH_SHARE = 0.005  # of the size, an epoch
GROWTH_MB = 20.0  # along the line in all: less is the noise of allocators
STRAIGHT = 0.8  # R squared of the line: one step halfway has 0.75
SUDDEN_FACTOR, SUDDEN_MB = 1.5, 200.0  # over an attempt that is too short for a slope
WHOSE = {"rss_mb": "the main process", "workers_mb": "the loader processes"}

Batch = tuple[torch.Tensor, torch.Tensor]


def rss_mb() -> float:
    """Memory this process holds now, in MB (its peak where the system does not say)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def workers_mb() -> float | None:
    """Memory the processes that this one started hold now, in MB, 0 where there are none; None where the system does not say.

    What they share with others counts by its share (proportional set size), or in full on systems that don't tell.
    """
    if not Path("/proc/self/statm").exists():
        return None
    return sum(_held_mb(child.pid) for child in multiprocessing.active_children() if child.pid is not None)


def _held_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    with contextlib.suppress(OSError):  # a process that has just ended holds nothing
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    return 0.0


class Watch:
    """One epoch's batches as they are served: how long they were waited for, and what loader processes held at the last one."""

    def __init__(self) -> None:
        self.wait_s = 0.0
        self.workers_mb: float | None = None

    def over(self, batches: Iterable[Batch], count: int) -> Iterator[Batch]:
        """`batches`, of which there are `count`. At the last one the loader processes are still there, whatever comes after."""
        self.wait_s, served = 0.0, iter(batches)
        for number in itertools.count(1):
            began = time.perf_counter()
            try:
                batch = next(served)
            except StopIteration:
                return
            self.wait_s += time.perf_counter() - began
            if number == count:
                self.workers_mb = workers_mb()
            yield batch

    def resources(self) -> dict[str, float]:
        """What to record of the epoch: wait_s, workers_mb."""
        held = {} if self.workers_mb is None else {"workers_mb": round(self.workers_mb, 1)}
        return {"wait_s": round(self.wait_s, 4), **held}


@dataclass(frozen=True, slots=True)
class Slope:
    """A line by least squares through sizes, one an epoch."""

    slope_mb: float  # an epoch
    size_mb: float  # the mean
    straight: float  # R squared; 0 where nothing varies
    n: int  # epochs

    @property
    def share(self) -> float:
        """The slope as a share of the size, an epoch."""
        return self.slope_mb / self.size_mb if self.size_mb else 0.0

    @property
    def grows(self) -> bool:
        """True for more than GROWTH_SHARE an epoch, and GROWTH_MB in all, along what is nearly a straight line."""
        rise = self.slope_mb * (self.n - 1)
        return self.n >= LEAST and self.share > GROWTH_SHARE and rise > GROWTH_MB and self.straight > STRAIGHT


def slope_of(sizes_mb: Sequence[float]) -> Slope | None:
    """The slope of memory after the first SETTLING epochs of an attempt; None where fewer than three are left."""
    y = np.asarray(sizes_mb[SETTLING:], dtype=np.float64)
    if len(y) < 3:
        return None
    x = np.arange(len(y)) - (len(y) - 1) / 2
    about = y - y.mean()
    slope = float(x @ about / (x @ x))
    spread = float(about @ about)
    return Slope(slope, float(y.mean()), slope**2 * float(x @ x) / spread if spread else 0.0, len(y))


def of_attempt(epochs: Sequence[Mapping[str, Any]], end: int) -> list[Event]:
    """What the end of a fit tells of the memory of an attempt: a line with each slope, and findings where memory grew.

    `epochs` are the attempt's epoch events, in order.
    """
    said: list[Event] = []
    for name, whose in WHOSE.items():
        sizes = [float(line["resources"][name]) for line in epochs if name in line["resources"]]
        found = slope_of(sizes) if any(sizes) else None
        if found is not None:
            told = {"slope_mb": round(found.slope_mb, 4), "size_mb": round(found.size_mb, 1), "n": found.n}
            said.append({"kind": "memory", "epoch": end, "resource": name, **told})
        if found is not None and found.grows:
            text = (
                f"memory of {whose} grew by {found.slope_mb:.1f} MB an epoch, {100 * found.share:.1f} % of its size,"
                f" from {sizes[SETTLING]:.0f} MB to {sizes[-1]:.0f} MB over {found.n} epochs"
            )
            said.append(finding_at_end(end, "memory-growth", text + _remedy(name)))
        elif len(sizes) > 2 and sizes[-1] >= sizes[1] * SUDDEN_FACTOR and sizes[-1] - sizes[1] >= SUDDEN_MB:
            text = f"memory of {whose} grew from {sizes[1]:.0f} MB to {sizes[-1]:.0f} MB while epochs repeated"
            said.append(finding_at_end(end, "memory-growth", text + _remedy(name)))
    return said


def _remedy(name: str) -> str:
    return "; `restart_workers = true` in expt.toml, [run], begins them anew each epoch" if name == "workers_mb" else ""
