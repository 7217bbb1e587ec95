"""Many cases in two processes: `make fuzz`, or `FUZZ=20000 python -m tests.fuzz.run [SEED]`.

Tells how many cases there were of each kind, what they were refused for, the slowest one and the memory at most. A text for
which something does not hold is kept under .expt/fuzz/ with what was raised.
"""

from __future__ import annotations

import collections
import hashlib
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from interpreter.project import Project
from tests.fuzz.cases import ROOT, Case, cases, make_project
from tests.fuzz.holds import examine, restore

BATCH = 250  # cases of one seed: what hypothesis remembers of them is given up afterwards
PROCESSES = 2
MEMORY_MB = 500  # that a process may have at most, in resident memory
KEPT = ROOT / ".expt" / "fuzz"


@dataclass
class Tally:
    """What became of a number of cases."""

    cases: collections.Counter[str] = field(default_factory=collections.Counter)  # kind -> how many
    fine: collections.Counter[str] = field(default_factory=collections.Counter)  # kind -> how many were planned
    codes: collections.Counter[str] = field(default_factory=collections.Counter)  # code of an error -> cases that have it
    stages: int = 0
    slowest: tuple[float, str] = (0.0, "")
    memory_mb: int = 0
    failures: list[tuple[str, str, bytes]] = field(default_factory=list)  # what was raised, kind, text

    def take(self, other: Tally) -> None:
        """Add `other`."""
        for mine, theirs in ((self.cases, other.cases), (self.fine, other.fine), (self.codes, other.codes)):
            mine.update(theirs)
        self.stages += other.stages
        self.slowest = max(self.slowest, other.slowest)
        self.memory_mb = max(self.memory_mb, other.memory_mb)
        self.failures += other.failures


def batch(number: int, size: int = BATCH) -> Tally:
    """The cases of one seed, each in a project of real pages. Nothing stops it: what does not hold is kept in the tally."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))

        @seed(number)
        @settings(
            max_examples=size, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        )
        @given(case=cases())
        def go(case: Case) -> None:
            _one(project, case, tally)

        go()
    tally.memory_mb = _peak_mb()
    return tally


def _peak_mb() -> int:
    """The most memory this process has had since it began. `ru_maxrss` would not do: a new process begins with its parent's."""
    status = Path("/proc/self/status")
    if status.is_file():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024)  # macOS counts in bytes


def _one(project: Project, case: Case, tally: Tally) -> None:
    tally.cases[case.kind] += 1
    try:
        twice = zlib.crc32(case.data) % 2 == 0  # it takes longer than everything else
        outcome = examine(project, case.name, case.data, twice=twice, profile=case.profile)
    except Exception:
        tally.failures.append((traceback.format_exc(), case.kind, case.data))
    else:
        tally.codes.update(outcome.codes)
        tally.fine[case.kind] += not outcome.codes
        tally.stages += outcome.stages
        tally.slowest = max(tally.slowest, (outcome.seconds, f"{case.kind}, {len(case.data)} bytes"))
    finally:
        restore(project, case.name)


def limited() -> None:
    """Hold this process to twice the memory it may have, so that a runaway one ends itself and not the machine."""
    resource.setrlimit(resource.RLIMIT_DATA, (2 * MEMORY_MB << 20, 2 * MEMORY_MB << 20))


def main() -> int:
    """Run as many cases as FUZZ says; 1 when something did not hold."""
    wanted, first = int(os.environ.get("FUZZ", "100000")), int(sys.argv[1]) if len(sys.argv) > 1 else 0
    began, whole = time.monotonic(), Tally()
    sizes = [min(BATCH, wanted - done) for done in range(0, wanted, BATCH)]
    shutil.rmtree(KEPT, ignore_errors=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context, initializer=limited) as pool:
        for index, tally in enumerate(pool.map(batch, range(first, first + len(sizes)), sizes)):
            whole.take(tally)
            _keep(tally.failures)
            if sys.stderr.isatty() or index % 20 == 19:
                done = sum(whole.cases.values())
                print(f"{done:,} of {wanted:,}, {len(whole.failures)} failed", file=sys.stderr, flush=True)
    return _tell(whole, time.monotonic() - began)


def _tell(whole: Tally, seconds: float) -> int:
    total = sum(whole.cases.values())
    print(f"{total:,} cases in {seconds:,.0f} s ({total / max(seconds, 1e-9):.0f} a second), {whole.stages:,} stages planned")
    for kind, count in whole.cases.most_common():
        print(f"  {kind:<12} {count:>8,}  planned: {whole.fine[kind]:,}")
    print("refused for")
    for code, count in whole.codes.most_common(25):
        print(f"  {code:<20} {count:>8,}")
    slow = whole.memory_mb > MEMORY_MB
    print(f"slowest: {whole.slowest[0]:.2f} s of processor time ({whole.slowest[1]})")
    print(f"memory at most: {whole.memory_mb} MB{f', more than {MEMORY_MB}' if slow else ''}")
    print(f"failures: {len(whole.failures)}")
    for where, count in collections.Counter(_where(raised) for raised, _, _ in whole.failures).most_common():
        print(f"  {count:>5} x {where}")
    return 1 if whole.failures or slow else 0


def _keep(failures: list[tuple[str, str, bytes]]) -> None:
    """Put each text for which something does not hold in a file, the smallest one of its kind."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for raised, kind, data in failures:
        name = hashlib.sha256(_where(raised).encode()).hexdigest()[:8]
        path = KEPT / f"{name}.yaml"
        if not path.exists() or path.stat().st_size > len(data):
            path.write_bytes(data)
            path.with_suffix(".txt").write_text(f"{kind}\n{raised}")
            print(f"{_where(raised)}: {path.relative_to(ROOT)}", file=sys.stderr, flush=True)


def _where(raised: str) -> str:
    """What tells one failure from another: what was raised, less its particulars, and where."""
    lines = raised.strip().splitlines()
    place = [line.strip() for line in lines if line.lstrip().startswith("File ")][-1].split("/")[-1]
    return f"{lines[-1][:100]} @ {place[:60]}"


if __name__ == "__main__":
    sys.exit(main())
