"""`make bench`: every timing of this program, each side by side with the usual way, in one run.

Writes bench/results.json and prints a table. Timings are of this machine at this moment: compare within a run.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table. `ratio` is ours over the usual way's, where there is one."""

    what: str
    ours: float
    unit: str
    goal: str
    beside: str = ""
    theirs: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if not self.theirs else self.ours / self.theirs


PARTS = (
    "shell.py",
    "language.py",
    "sweep.py",
    "database.py",
    "step_overhead.py",
    "schedules.py",
    "voxels.py",
    "equivariant.py",
    "ensemble.py",
    "memory.py",
    "probes.py",
)


def main() -> None:
    """Run every part in a process of its own."""
    chosen = sys.argv[1:] or PARTS
    lines: list[Line] = []
    for part in chosen:
        print(f"{part} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        done = subprocess.run([sys.executable, str(HERE / part)], capture_output=True, text=True, cwd=HERE.parent)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            sys.exit(f"{part} failed")
        lines += [Line(**row) for row in json.loads(done.stdout.strip().splitlines()[-1])]
        print(f"  {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    rows = [{**asdict(line), "ratio": line.ratio} for line in lines]
    if not sys.argv[1:]:
        (HERE / "results.json").write_text(json.dumps({"machine": machine, "lines": rows}, indent=1) + "\n")
    show(lines)


def show(lines: list[Line]) -> None:
    """The table."""
    cells = [("what", "ours", "goal", "beside it", "", "ratio")]
    for line in lines:
        theirs = f"{line.theirs:.3g} {line.unit}" if line.theirs is not None else ""
        ratio = f"{line.ratio:.2f}" if line.ratio is not None else ""
        cells.append((line.what, f"{line.ours:.3g} {line.unit}", line.goal, line.beside, theirs, ratio))
    widths = [max(len(row[i]) for row in cells) for i in range(6)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
