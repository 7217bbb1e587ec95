"""How fast the database takes records in, and answers: prints JSON. `python bench/database.py [--scale 1.0]`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from interpreter.results.ingest import ingest
from interpreter.results.read import connect_readonly
from tests.plans import append_events, epoch_events, make_plan, make_project, start_record, write_record

METRICS = ("train/loss", "val/loss", "val/accuracy")
EPOCHS = 100
BEST = """SELECT stage_id, arg_min(epoch, value) AS epoch, min(value) AS value FROM metrics
WHERE split = 'val' AND metric = 'loss' GROUP BY stage_id"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1.0: ten thousand trials of a hundred epochs, three metrics")
    trials = max(2, int(10_000 * parser.parse_args().scale))
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), trials)
    print(f"{trials} records, {found['event_lines']:.0f} event lines, {found['metric_rows']:.0f} metric rows", file=sys.stderr)
    goals = {
        "metric_rows_per_s": ("metric rows into the database, from 1e6 event lines", "rows/s", ">= 300000"),
        "event_lines_per_s": ("the same in event lines", "lines/s", ""),
        "best_of_history_s": ("best of history, 10,000 trials x 100 epochs x 3 metrics", "s", "< 0.1"),
        "ingest_one_epoch_s": ("ingest of one new epoch beside 10,000 records", "s", ""),
        "ingest_nothing_new_s": ("ingest when nothing is new, 10,000 records", "s", ""),
    }
    print(json.dumps([{"what": w, "ours": found[n], "unit": u, "goal": g} for n, (w, u, g) in goals.items()]))


def measure(folder: Path, trials: int) -> dict[str, float]:
    """Timings of `trials` records with EPOCHS epoch events each."""
    project = make_project(folder)
    plan = make_plan(seeds=trials, epochs=EPOCHS)
    history = {name: [1.0 / (e + 1) for e in range(EPOCHS)] for name in METRICS}
    for stage in plan.stages.values():
        write_record(project, stage, history)
    began = time.perf_counter()
    first = ingest(project, [plan])
    all_s = time.perf_counter() - began
    began = time.perf_counter()
    ingest(project, [plan])
    nothing_s = time.perf_counter() - began
    stage = next(iter(plan.stages.values()))
    append_events(start_record(project, stage), epoch_events({name: [0.5] for name in METRICS}, 1, EPOCHS))
    began = time.perf_counter()
    ingest(project, [plan])
    one_s = time.perf_counter() - began
    best = []
    with connect_readonly(project) as connection:
        for _ in range(5):
            began = time.perf_counter()
            rows = connection.execute(BEST).fetchall()
            best.append(time.perf_counter() - began)
        curves = []
        for _ in range(5):
            began = time.perf_counter()
            connection.execute("SELECT count(*) FROM curves WHERE arm = 'naive' AND seed = 7").fetchall()
            curves.append(time.perf_counter() - began)
    assert len(rows) == trials
    return {
        "event_lines": trials * EPOCHS,
        "metric_rows": first.rows,
        "ingest_s": round(all_s, 3),
        "metric_rows_per_s": round(first.rows / all_s),
        "event_lines_per_s": round(trials * EPOCHS / all_s),
        "ingest_nothing_new_s": round(nothing_s, 3),
        "ingest_one_epoch_s": round(one_s, 3),
        "best_of_history_s": round(sorted(best)[2], 4),
        "curves_of_one_trial_s": round(sorted(curves)[2], 4),
        "database_mb": round(project.database.stat().st_size / 1e6, 1),
    }


if __name__ == "__main__":
    main()
