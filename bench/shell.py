"""Whole commands as a user waits for them: check, plan of 1,000 trials, a run that reuses everything."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXPT = [sys.executable, "-m", "interpreter.cli.main"]
DEMO = Path(__file__).resolve().parents[1] / "specs" / "2026-11-22-digits.yaml"


def timed(arguments: list[str], folder: Path, runs: int = 7) -> float:
    """The median wall time of `expt ARGUMENTS` in `folder`, in seconds, after one warm-up."""
    times = []
    for index in range(runs + 1):
        start = time.perf_counter()
        done = subprocess.run([*EXPT, *arguments], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"expt {' '.join(arguments)}: {done.stdout}{done.stderr}")
        if index:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "specs").mkdir()
        text = DEMO.read_text()
        (folder / "specs" / DEMO.name).write_text(text)
        many = text.replace("2026-11-22", "2026-11-23").replace("seeds: 5", "seeds: 334")
        (folder / "specs" / "2026-11-23-many.yaml").write_text(many)
        check = timed(["check", "2026-11-22-digits"], folder)
        plan = timed(["plan", "2026-11-23-many"], folder, 3)
        subprocess.run([*EXPT, "run", "2026-11-22-digits", "--profile", "quick", "--quiet"], cwd=folder, check=True)
        again = timed(["run", "2026-11-22-digits", "--profile", "quick"], folder)
        bare = statistics.median(_python() for _ in range(7))
    print(
        json.dumps(
            [
                {
                    "what": "expt check, the demo page",
                    "ours": check,
                    "unit": "s",
                    "goal": "< 0.4",
                    "beside": "python -c pass",
                    "theirs": bare,
                },
                {"what": "expt plan, 1,002 trials (2,338 stages)", "ours": plan, "unit": "s", "goal": "< 2"},
                {"what": "expt run, everything reused", "ours": again, "unit": "s", "goal": "< 1"},
            ]
        )
    )


def _python() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
