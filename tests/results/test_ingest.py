"""Records into the database: what counts, what is told, and that nothing is counted twice."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interpreter.plan.types import SourceNeed
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.results.rebuild import compare, rebuild
from interpreter.run.events import effective, read_events
from tests.plans import (
    append_events,
    begin_attempt,
    end_attempt,
    epoch_events,
    finish_record,
    make_fit,
    make_plan,
    start_record,
    write_record,
    write_records,
)
from tests.results.conftest import Ask

ROOT = Path(__file__).resolve().parents[2]


def curve(epochs: int, start: float = 1.0) -> dict[str, list[float]]:
    return {"train/loss": [start / (e + 1) for e in range(epochs)], "val/loss": [start / (e + 2) for e in range(epochs)]}


def same_as_rebuilt(project: Project, plans: list) -> list[str]:
    grown = project.root / "grown.duckdb"
    shutil.copy(project.database, grown)
    wal = Path(f"{project.database}.wal")  # of a writer that was killed after its commit
    if wal.exists():
        shutil.copy(wal, f"{grown}.wal")
    rebuild(project, plans)
    return compare(grown, project.database)


def test_a_page_with_shared_stages(project: Project, ask: Ask) -> None:
    plan = make_plan({"naive": ["lba"], "curriculum": ["easy", "lba"]}, seeds=2, epochs={"easy": 3, "lba": 4}, evaluate=["final"])
    write_records(
        project,
        plan,
        lambda arm, seed, stage: {"final/accuracy": [0.9]} if stage == "final" else curve(3 if stage == "easy" else 4, 1 + seed),
        baseline={"val/loss": 2.3},
    )
    found = ingest(project, [plan])
    assert (found.stages, found.behind) == (10, False)
    assert found.rows == 2 * (2 * 3 + 2 * 2 * 4 + 2 * 1)
    assert ask("SELECT count(*) FROM trials")[0][0] == 4
    assert ask("SELECT list(stage ORDER BY position) FROM chains WHERE arm = 'curriculum' AND seed = 1")[0][0] == [
        "easy",
        "lba",
        "final",
    ]
    rows = ask(
        "SELECT epoch, value FROM curves WHERE arm = 'naive' AND seed = 1 AND split = 'val' AND metric = 'loss' ORDER BY epoch"
    )
    assert rows == [(e + 1, 2 / (e + 2)) for e in range(4)]
    assert ask("SELECT state, epochs, best_epoch, best_value, ended, start FROM stages WHERE name = 'easy' AND seed = 0") == [
        ("done", 3, 3, 0.25, "planned epochs", "random")
    ]
    assert ask("SELECT DISTINCT value FROM baselines") == [(2.3,)]
    assert ask("SELECT n, kept FROM leaderboard WHERE arm = 'naive' AND split = 'val'") == [(2, pytest.approx((0.2 + 0.4) / 2))]
    assert ask("SELECT best, last, epoch FROM checkpoints c JOIN stages USING (stage_id) WHERE name = 'easy' AND seed = 0") == [
        (True, True, 3)
    ]
    assert ask('SELECT DISTINCT "group", rate FROM schedule_trace') == [("all", 0.001)]
    assert ask("SELECT DISTINCT torch, threads, git_commit FROM provenance") == [("2.14.1", 1, "0123abcd")]


def test_twice_is_the_same_and_a_rebuilt_one_too(project: Project, ask: Ask) -> None:
    plan = make_plan(
        {"naive": ["lba"], "curriculum": ["easy", "lba"]}, seeds=2, epochs=3, sources=(SourceNeed("embedded", "f1"),)
    )
    write_records(project, plan, lambda *_: curve(3))
    ingest(project, [plan])
    counts = {
        t: ask(f"SELECT count(*) FROM {t}")[0][0] for t in ("metrics", "finals", "trials", "attempts", "environments", "ingested")
    }
    again = ingest(project, [plan])
    assert (again.stages, again.rows) == (0, 0)
    assert {t: ask(f"SELECT count(*) FROM {t}")[0][0] for t in counts} == counts
    assert ask("SELECT DISTINCT source, fingerprint FROM datasets") == [("embedded", "f1")]
    assert same_as_rebuilt(project, [plan]) == []


def test_comparing_tells_a_changed_number(project: Project) -> None:
    import duckdb

    plan = make_plan(seeds=1, epochs=2)
    write_records(project, plan, lambda *_: curve(2))
    ingest(project, [plan])
    grown = project.root / "grown.duckdb"
    shutil.copy(project.database, grown)
    wal = Path(f"{project.database}.wal")  # of a writer that was killed after its commit
    if wal.exists():
        shutil.copy(wal, f"{grown}.wal")
    with duckdb.connect(str(grown)) as connection:
        connection.execute("UPDATE metrics SET value = value + 1e-9 WHERE epoch = 2 AND split = 'val'").fetchall()
    told = compare(grown, project.database)
    assert len(told) == 1
    assert told[0].startswith("metrics: 1 rows only in the first, 1 only in the second")


def test_a_resumed_attempt_supersedes_what_it_repeats(project: Project, ask: Ask) -> None:
    plan = make_plan(seeds=1, epochs=8)
    (stage,) = plan.stages.values()
    folder = start_record(project, stage)
    begin_attempt(folder, 1, 0)
    append_events(folder, epoch_events({"val/loss": [9.0, 8.0, 7.0, 6.0]}, 1))
    append_events(folder, [{"kind": "finding", "attempt": 1, "epoch": 3, "code": "spike", "text": "once"}])
    ingest(project, [plan])
    assert ask("SELECT count(*) FROM metrics") == [(4,)]
    end_attempt(folder, 1, "died", 4)
    begin_attempt(folder, 2, 2)
    late = epoch_events({"val/loss": [99.0]}, 1, 4)  # a paused writer that woke up
    append_events(folder, [*epoch_events({"val/loss": [3.0, 2.0, 1.0]}, 2, 2), *late])
    ingest(project, [plan])
    rows = ask("SELECT attempt, epoch, value FROM metrics ORDER BY epoch")
    assert rows == [(1, 1, 9.0), (1, 2, 8.0), (2, 3, 3.0), (2, 4, 2.0), (2, 5, 1.0)]
    assert ask("SELECT count(*) FROM findings") == [(0,)]
    assert ask("SELECT attempt, first_epoch, how FROM attempts ORDER BY attempt") == [(1, 1, "died"), (2, 3, None)]
    assert ask("SELECT min, min_epoch, last FROM finals") == [(1.0, 5, 1.0)]
    assert same_as_rebuilt(project, [plan]) == []


def test_what_counts_is_what_the_record_says_counts(project: Project, ask: Ask) -> None:
    """Random histories of attempts: the database holds what `effective` keeps, whenever it was taken in."""
    draw = random.Random(3)
    plan = make_plan(seeds=5, epochs=50)
    for stage in plan.stages.values():
        folder = start_record(project, stage)
        for attempt in range(1, draw.randint(2, 4)):
            first = draw.randint(0, 6) if attempt > 1 else 0
            begin_attempt(folder, attempt, first)
            append_events(folder, epoch_events({"val/loss": [draw.random() for _ in range(draw.randint(1, 6))]}, attempt, first))
            if attempt > 1 and draw.random() < 0.5:
                append_events(folder, epoch_events({"val/loss": [draw.random()]}, attempt - 1, draw.randint(0, 9)))
            if draw.random() < 0.5:
                ingest(project, [plan])
    ingest(project, [plan])
    for key in plan.stages:
        lines = effective(read_events(project.runs / key / "events.jsonl").lines)
        kept = sorted((e["attempt"], e["epoch"] + 1, e["metrics"]["val/loss"]) for e in lines if e["kind"] == "epoch")
        assert (
            sorted(ask("SELECT m.attempt, epoch, value FROM metrics m JOIN stages USING (stage_id) WHERE key = ?", key)) == kept
        )
    assert same_as_rebuilt(project, [plan]) == []


def test_bit_by_bit_is_all_at_once(project: Project, ask: Ask) -> None:
    plan = make_plan(seeds=1, epochs=6)
    (stage,) = plan.stages.values()
    other = project.root / "whole"
    whole = write_record(
        project, stage, curve(6), findings=[(2, "overfitting", "since epoch 3")], tables={"val": [[1, 2], [3, 4]]}
    )
    data = (whole / "events.jsonl").read_bytes()
    shutil.copytree(whole, other)
    (whole / "DONE").unlink()
    for size in [*range(50, len(data), 211), len(data)]:  # ends in the middle of lines, mostly
        (whole / "events.jsonl").write_bytes(data[:size])
        assert not ingest(project, [plan]).behind
    shutil.copy(other / "DONE", whole / "DONE")
    ingest(project, [plan])
    assert ask("SELECT count(*), count(DISTINCT epoch) FROM metrics") == [(12, 6)]
    assert ask("SELECT epoch, code FROM findings") == [(3, "overfitting")]
    assert ask("SELECT epoch, value FROM metric_tables") == [(6, "[[1,2],[3,4]]")]
    assert ask("SELECT state FROM stages") == [("done",)]
    assert same_as_rebuilt(project, [plan]) == []


def test_numbers_that_are_none(project: Project, ask: Ask) -> None:
    plan = make_plan(seeds=1, epochs=4)
    (stage,) = plan.stages.values()
    write_record(project, stage, {"val/loss": [0.5, math.nan, math.inf, -math.inf]}, done=False, how="failed")
    ingest(project, [plan])
    values = [row[0] for row in ask("SELECT value FROM metrics ORDER BY epoch")]
    assert values[0] == 0.5
    assert math.isnan(values[1])
    assert values[2:] == [math.inf, -math.inf]
    assert ask("SELECT last, max, max_epoch FROM finals") == [(-math.inf, math.inf, 3)]
    assert ask("SELECT state FROM stages") == [("failed",)]


BROKEN = [
    b'{"kind":"epoch","attempt":1,"epo{"kind":"x"}\n',
    b"\x00\x00\x00\x00\n",
    b'{"kind":"epoch","attempt":1,"epoch":1,"metrics":{"val/loss":"high"}}\n',
    b'{"kind":"epoch","attempt":1,"metrics":{"val/loss":1}}\n',
    b'{"kind":"finding","attempt":1,"epoch":1,"text":"\xff\xfe"}\n',
    b"[1, 2]\n",
    b'{"kind":"epoch","attempt":1,"epoch":99999999999,"metrics":{"val/loss":1}}\n',
]


@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_line_is_told_and_costs_nothing_else(project: Project, ask: Ask, line: bytes) -> None:
    plan = make_plan(seeds=2, epochs=4)
    first, second = plan.stages.values()
    write_record(project, second, curve(4))
    folder = write_record(project, first, curve(2), done=False)
    with open(folder / "events.jsonl", "ab") as file:
        file.write(line)
    append_events(folder, epoch_events(curve(2), 1, 2))
    ingest(project, [plan])
    ingest(project, [plan])
    assert ask("SELECT count(*) FROM metrics") == [(16,)]
    ((key, severity, text),) = ask(
        "SELECT key, severity, text FROM findings JOIN stages USING (stage_id) WHERE code = 'corrupt-line'"
    )
    assert (key, severity) == (first.key, "warning")
    assert "left out" in text
    assert same_as_rebuilt(project, [plan]) == []


def test_events_of_a_later_version_are_told(project: Project, ask: Ask) -> None:
    plan = make_plan(seeds=1, epochs=2)
    (stage,) = plan.stages.values()
    folder = write_record(project, stage, curve(2))
    append_events(folder, [{"kind": "gradient", "attempt": 1, "epoch": 1}] * 2)
    ingest(project, [plan])
    append_events(folder, [{"kind": "gradient", "attempt": 1, "epoch": 2}])
    ingest(project, [plan])
    assert ask("SELECT code, text FROM findings") == [
        ("unknown-event", "events of the kind `gradient` are not taken in by this version")
    ]


def test_records_of_nobody_are_taken_in_too(project: Project, ask: Ask) -> None:
    plan = make_plan(seeds=1, epochs=2)
    write_record(project, make_fit("stray", 5, 3), curve(3))
    (project.runs / "ledger.jsonl").write_text("")
    (project.runs / "pages").mkdir()
    ingest(project, [plan])
    assert ask("SELECT name, state, epochs FROM stages ORDER BY name") == [("lba", "new", 0), ("stray", "done", 3)]
    assert ask("SELECT count(*) FROM curves") == [(0,)]


def test_a_record_replaced_or_removed(project: Project, ask: Ask) -> None:
    plan = make_plan(seeds=2, epochs=3)
    first, second = plan.stages.values()
    write_records(project, plan, lambda *_: curve(3))
    ingest(project, [plan])
    shutil.rmtree(project.runs / first.key)
    write_record(project, first, curve(3, 5.0), minute=30)
    shutil.rmtree(project.runs / second.key)
    ingest(project, [plan])
    assert ask("SELECT max(value), count(*) FROM metrics") == [(5.0, 6)]
    assert ask("SELECT state, epochs, best_epoch FROM stages WHERE key = ?", second.key) == [("new", 0, None)]
    assert same_as_rebuilt(project, [plan]) == []


def test_a_record_that_cannot_be_read_is_told(project: Project, ask: Ask) -> None:
    plan = make_plan(seeds=2, epochs=2)
    write_records(project, plan, lambda *_: curve(2))
    first, _ = plan.stages
    (project.runs / first / "DONE").write_text("{")
    (project.runs / ("ab" * 20)).mkdir()
    ingest(project, [plan])
    assert ask("SELECT state FROM stages WHERE key = ?", first) == [("unreadable",)]
    assert {row[0] for row in ask("SELECT code FROM findings")} == {"unreadable-record"}
    assert ask("SELECT count(*) FROM metrics") == [(8,)]


def test_a_page_planned_again(project: Project, ask: Ask) -> None:
    before = make_plan({"a": ["lba"], "b": ["lba2"]}, seeds=3, epochs=2, page="2024-06-28")
    other = make_plan({"x": ["lba"]}, seeds=1, epochs=2, page="2024-06-29", profile="laptop")
    ingest(project, [before, other])
    entry_id = ask("SELECT entry_id FROM entries WHERE entry = '2024-06-28/first'")[0][0]
    after = make_plan({"a": ["lba"]}, seeds=2, epochs=2, page="2024-06-28", title="Renamed")
    ingest(project, [after])
    assert ask("SELECT entry_id, title FROM entries WHERE entry = '2024-06-28/first'") == [(entry_id, "Renamed")]
    assert ask("SELECT arm, count(*) FROM arms JOIN trials USING (arm_id) GROUP BY arm ORDER BY arm") == [("a", 2), ("x", 1)]
    assert ask("SELECT count(*) FROM stages") == [(2,)]  # what nobody asks for and nobody ran is gone; x shares one with a
    assert same_as_rebuilt(project, [after, other]) == []


def test_a_reader_never_fails_while_somebody_writes(project: Project) -> None:
    plan = make_plan(seeds=1, epochs=60)
    (stage,) = plan.stages.values()
    folder = start_record(project, stage)
    begin_attempt(folder, 1, 0)
    ingest(project, [plan])
    code = """if True:
        import sys, time
        from pathlib import Path
        from interpreter.project import load_project
        from interpreter.results.read import query
        project, last, asked = load_project(Path(sys.argv[1])), 0, 0
        while last < 20:
            (count,), = query(project, "SELECT count(*) FROM metrics").rows
            assert count >= last, (count, last)
            last, asked = count, asked + 1
        print(asked)"""
    reader = subprocess.Popen([sys.executable, "-c", code, str(project.root)], stdout=subprocess.PIPE, env=_environment())
    for epoch in range(20):
        append_events(folder, epoch_events({"val/loss": [0.5]}, 1, epoch))
        assert not ingest(project, [plan], wait_s=20).behind
        time.sleep(0.02)
    out, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0
    assert int(out) > 0


def test_a_shell_that_holds_the_database(project: Project, ask: Ask) -> None:
    plan = make_plan(seeds=1, epochs=3)
    (stage,) = plan.stages.values()
    folder = start_record(project, stage)
    begin_attempt(folder, 1, 0)
    ingest(project, [plan])
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    shell = subprocess.Popen(
        [sys.executable, "-c", code, str(project.database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    try:
        assert shell.stdout is not None
        shell.stdout.readline()
        append_events(folder, epoch_events(curve(3), 1))
        found = ingest(project, [plan], wait_s=0.3)
        assert found.behind
        assert f"process {shell.pid}" in found.message
    finally:
        shell.communicate("")
    assert ingest(project, [plan]).rows == 6
    assert ask("SELECT count(*) FROM metrics") == [(6,)]


def test_a_writer_killed_halfway_leaves_a_readable_database(project: Project, ask: Ask) -> None:
    plan = make_plan(seeds=1, epochs=3)
    write_records(project, plan, lambda *_: curve(3))
    ingest(project, [plan])
    for seed in range(1, 120):
        write_record(project, make_fit("stray", seed, 100), curve(100))
    code = """if True:
        import sys
        from pathlib import Path
        from interpreter.project import load_project
        from interpreter.results.ingest import ingest
        print('go', flush=True)
        ingest(load_project(Path(sys.argv[1])), [])"""
    for pause in (0.02, 0.1, 0.2, 0.3, 0.4):
        writer = subprocess.Popen([sys.executable, "-c", code, str(project.root)], stdout=subprocess.PIPE, env=_environment())
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(pause)
        writer.kill()
        writer.communicate()
        assert ask("SELECT count(*) FROM metrics")[0][0] in (6, 6 + 119 * 200)
    ingest(project, [plan])
    assert ask("SELECT count(*) FROM metrics") == [(6 + 119 * 200,)]
    assert same_as_rebuilt(project, [plan]) == []


def test_two_writers_at_once_lose_nothing(project: Project, ask: Ask) -> None:
    for seed in range(20):
        write_record(project, make_fit("stray", seed, 10), curve(10))
    code = """if True:
        import sys
        from pathlib import Path
        from interpreter.project import load_project
        from interpreter.results.ingest import ingest
        assert not ingest(load_project(Path(sys.argv[1])), [], wait_s=30).behind"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(project.root)], env=_environment()) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert ask("SELECT count(*) FROM metrics") == [(400,)]


def test_done_after_a_second_attempt(project: Project, ask: Ask) -> None:
    plan = make_plan(seeds=1, epochs=4)
    (stage,) = plan.stages.values()
    folder = write_record(project, stage, {"val/loss": [4.0, 3.0]}, done=False, how="stopped")
    begin_attempt(folder, 2, 2)
    append_events(folder, epoch_events({"val/loss": [1.0, 2.0]}, 2, 2))
    finish_record(folder, stage, {"val/loss": [1.0, 2.0]}, attempt=2, first=2)
    ingest(project, [plan])
    assert ask("SELECT state, attempt, epochs, best_epoch FROM stages") == [("done", 2, 4, 3)]
    assert ask("SELECT min, kept, epochs FROM finals") == [(1.0, 1.0, 4)]
    assert json.loads(ask("SELECT numerics FROM attempts WHERE attempt = 2")[0][0])["threads"] == 1


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_rules_are_told_apart_and_an_unnamed_one_ignores_the_input(project: Project, ask: Ask) -> None:
    plan = make_plan({"naive": ["lba"]}, seeds=1, epochs=2, evaluate=["final"])
    rules = {"ligand_size": {"val/rmse": 1.04, "val/pearson": float("nan")}}
    write_records(
        project,
        plan,
        lambda arm, seed, stage: {"final/rmse": [1.1]} if stage == "final" else curve(2),
        baseline={"val/rmse": 1.28},
        rules=rules,
    )
    ingest(project, [plan])
    found = ask("SELECT rule, split, metric, value FROM baselines JOIN stages USING (stage_id) WHERE name = 'lba' ORDER BY ALL")
    assert found[0] == ("ignores input", "val", "rmse", 1.28)
    assert (found[1][:3], found[2]) == (("ligand_size", "val", "pearson"), ("ligand_size", "val", "rmse", 1.04))
    assert math.isnan(found[1][3])
    assert same_as_rebuilt(project, [plan]) == []


def test_slopes_of_memory_are_taken_in(project: Project, ask: Ask) -> None:
    stage = make_fit("lba", epochs=2)
    folder = start_record(project, stage)
    begin_attempt(folder, 1, 0)
    history = curve(2)
    slope = {"kind": "memory", "attempt": 1, "epoch": 2, "resource": "workers_mb", "slope_mb": 2.5, "size_mb": 500.0, "n": 45}
    nothing = {**slope, "resource": "rss_mb", "slope_mb": 0.0, "size_mb": 0.0}
    events = epoch_events(history, 1)
    events[0]["resources"] |= {"workers_mb": 210.5, "wait_s": 0.25}
    append_events(folder, [*events, slope, nothing])
    ingest(project, [])
    assert ask("SELECT attempt, resource, size_mb, slope_mb, share, epochs FROM memory_slopes ORDER BY resource DESC") == [
        (1, "workers_mb", 500.0, 2.5, 0.005, 45),
        (1, "rss_mb", 0.0, 0.0, None, 45),
    ]
    assert ask("SELECT resource, value FROM resources WHERE resource IN ('workers_mb', 'wait_s') ORDER BY ALL") == [
        ("wait_s", 0.25), ("workers_mb", 210.5)
    ]  # fmt: skip
    assert ask("SELECT count(*) FROM findings") == [(0,)]
