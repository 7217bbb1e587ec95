"""A page from its text to its report, by the command line alone, as a user has it."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.test_import_budget import imported

PAGE = "2026-11-22-digits"
EXPT = [sys.executable, "-m", "interpreter.cli.main"]
QUICK = ["run", PAGE, "--profile", "quick"]


def expt(folder: Path, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """`expt ARGUMENTS` in `folder`, which must end with `code`."""
    wide = {"COLUMNS": "160"}  # as without a terminal, whatever the tests run in
    env = {**os.environ, **wide, **environment}
    done = subprocess.run([*EXPT, *arguments], cwd=folder, capture_output=True, text=True, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def planned_and_run(folder: Path, page: str) -> list[dict[str, Any]]:
    """Make a project of one page, plan it, and run it; returns the stages as they were planned."""
    (folder / "specs").mkdir()
    (folder / "specs" / "2026-01-01.yaml").write_text(page)
    planned = [json.loads(line) for line in expt(folder, "plan", "2026-01-01", "--format", "json").stdout.splitlines()]
    expt(folder, "run", "2026-01-01", "--quiet")
    return planned


def rows(folder: Path, query: str) -> list[dict[str, object]]:
    return json.loads(expt(folder, "sql", query, "--format", "json").stdout)


def new_project(folder: Path) -> Path:
    (folder / "specs").mkdir(parents=True)
    shutil.copy(ROOT / "specs" / f"{PAGE}.yaml", folder / "specs")
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A project in which the demo page was run once, at its quick profile. Tests copy it, or leave it as it was."""
    folder = new_project(tmp_path_factory.mktemp("done"))
    expt(folder, *QUICK)
    return folder


@pytest.fixture
def copied(done, tmp_path) -> Path:
    return shutil.copytree(done, tmp_path / "copy")


def test_the_report_and_the_database_are_there(done):
    folder = done / "reports" / "2026-11-22-quick"
    html = (folder / "few-labels.html").read_text()
    assert "Does pretraining on other digits help" in html
    assert (folder / "few-labels.md").is_file()
    assert (folder / "tables" / "few-labels-best.csv").is_file()
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".svg"}
    (count,) = rows(done, "SELECT count(*) AS n FROM stages")
    assert count["n"] == 14
    (split,) = rows(done, "SELECT DISTINCT split FROM curves WHERE stage = 'final'")
    assert split["split"] == "final"  # as the page calls it; the record says which part of the data it is
    with (folder / "tables" / "few-labels-best.csv").open() as file:
        table = {row["arm"]: row for row in csv.DictReader(file)}
    f1 = rows(done, "SELECT arm, avg(value) AS mean FROM curves WHERE stage = 'final' AND metric = 'f1' GROUP BY arm")
    assert {row["arm"]: row["mean"] for row in f1} == pytest.approx(
        {arm: float(row["final/f1.mean"]) for arm, row in table.items()}
    )
    verdicts = rows(done, "SELECT state, registered, n FROM verdicts")
    assert len(verdicts) == 4
    assert all(v["registered"] and v["n"] == 2 for v in verdicts)


def test_the_database_says_what_the_record_says(done):
    """The best epoch of each fit, read from the events by hand, equals the database's."""
    for row in rows(done, "SELECT key, max(value) AS best FROM metrics JOIN stages USING (stage_id) "
                          "WHERE split = 'val' AND metric = 'accuracy' AND kind = 'fit' GROUP BY key"):  # fmt: skip
        events = [json.loads(line) for line in (done / "runs" / str(row["key"]) / "events.jsonl").read_text().splitlines()]
        assert row["best"] == max(e["metrics"]["val/accuracy"] for e in events if e["kind"] == "epoch")


def test_everything_reused_takes_no_heavy_package(done):
    code, names = imported(done, *QUICK)
    assert code == 0
    assert not names & {"torch", "altair", "scipy", "lightning", "duckdb"}


COSMETIC = [
    ("title: Few labels", "title: Other words"),
    ("notes: |", "notes: |\n      A new first line."),
    ("smooth: {savgol: 9}\n", "smooth: {savgol: 7}\n"),
    ("margin: 0.02", "margin: 0.03"),
]


def test_prose_charts_and_claims_train_nothing(copied):
    page = copied / "specs" / f"{PAGE}.yaml"
    text = page.read_text()
    for before, after in COSMETIC:
        assert before in text
        text = text.replace(before, after)
    page.write_text(text)
    plan = [json.loads(line) for line in expt(copied, "plan", PAGE, "--profile", "quick", "--format", "json").stdout.splitlines()]
    assert {item["what"] for item in plan} == {"reuse"}
    before = (copied / "reports" / "2026-11-22-quick" / "few-labels.html").read_text()
    expt(copied, *QUICK)
    after = (copied / "reports" / "2026-11-22-quick" / "few-labels.html").read_text()
    assert "A new first line." in after
    assert "A new first line." not in before
    (changed,) = rows(copied, "SELECT registered FROM verdicts WHERE claim = 'pretraining-helps'")
    assert not changed["registered"]  # another margin is another claim, made after the data


def test_a_learning_rate_runs_what_depends_on_it_and_says_why(copied):
    page = copied / "specs" / f"{PAGE}.yaml"
    page.write_text(
        page.read_text().replace("stages.tune.schedule.optimizer.lr: 5e-4", "stages.tune.schedule.optimizer.lr: 4e-4")
    )
    plan = [json.loads(line) for line in expt(copied, "plan", PAGE, "--profile", "quick", "--format", "json").stdout.splitlines()]
    to_run = [item for item in plan if item["what"] == "run"]
    assert {(item["name"], item["arms"]) for item in to_run} == {("tune", "gentle"), ("final", "gentle")}
    assert {item["why"] for item in to_run} == {"changed: schedule.optimizer.lr: 0.0005 -> 0.0004", "its input is new"}
    assert sum(item["what"] == "reuse" for item in plan) == 10


def test_rebuild_makes_the_same_database(copied):
    before = rows(copied, "SELECT * FROM curves ORDER BY ALL")
    judged = rows(copied, "SELECT claim, state, effect, lo, hi, registered, registered_at FROM verdicts ORDER BY ALL")
    assert judged
    assert all(row["registered"] for row in judged)
    assert "what the record says" in expt(copied, "rebuild", "--check").stdout
    (copied / "results.duckdb").unlink()
    expt(copied, "sql", "SELECT 1", code=4)
    expt(copied, "rebuild")
    assert rows(copied, "SELECT * FROM curves ORDER BY ALL") == before
    assert rows(copied, "SELECT claim, state, effect, lo, hi, registered, registered_at FROM verdicts ORDER BY ALL") == judged


def test_a_page_that_is_gone_is_rebuilt_from_its_kept_text(copied):
    before = rows(copied, "SELECT * FROM curves ORDER BY ALL")
    (copied / "specs" / f"{PAGE}.yaml").unlink()
    expt(copied, "rebuild")
    assert rows(copied, "SELECT * FROM curves ORDER BY ALL") == before


def test_a_shell_that_holds_the_database_costs_nothing(done, tmp_path):
    """Somebody's shell holds the database open for writing during a whole run: it ends well, and the next one catches up."""
    folder = shutil.copytree(done, tmp_path / "held")
    page = folder / "specs" / f"{PAGE}.yaml"
    page.write_text(page.read_text().replace("seeds: 2}", "seeds: 3}"))
    code = "import duckdb, sys, time\nheld = duckdb.connect('results.duckdb')\nprint('held', flush=True)\nsys.stdin.read()"
    shell = subprocess.Popen([sys.executable, "-c", code], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert shell.stdout.readline() == "held\n"
    ended = expt(folder, *QUICK)
    assert "behind" in ended.stderr
    assert "nothing is lost" in ended.stderr
    shell.communicate("")
    (before,) = rows(folder, "SELECT count(*) AS n FROM stages")
    assert before["n"] == 14
    expt(folder, *QUICK)
    (after,) = rows(folder, "SELECT count(*) AS n FROM stages")
    assert after["n"] == 21


def test_sql_answers_while_a_run_trains(tmp_path):
    folder = new_project(tmp_path / "live")
    page = folder / "specs" / f"{PAGE}.yaml"
    page.write_text(page.read_text().replace("schedules.tune.epochs: 3", "schedules.tune.epochs: 60"))
    run = subprocess.Popen([*EXPT, *QUICK, "--quiet"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen = 0
    try:
        while run.poll() is None and not seen:
            time.sleep(0.3)
            asked = subprocess.run(
                [*EXPT, "sql", "SELECT count(*) FROM metrics", "--format", "csv"], cwd=folder, capture_output=True, text=True
            )
            assert asked.returncode in (0, 4), asked.stderr  # 4: no database yet
            if asked.returncode == 0:
                seen = int(asked.stdout.split()[-1])
        assert run.poll() is None, "the run ended before anything could be seen"
        assert seen > 0
    finally:
        run.wait()
    assert run.returncode == 0


def test_ctrl_c_stops_and_the_next_run_goes_on(tmp_path):
    folder = new_project(tmp_path / "stopped")
    page = folder / "specs" / f"{PAGE}.yaml"
    page.write_text(page.read_text().replace("schedules.tune.epochs: 3", "schedules.tune.epochs: 400"))
    run = subprocess.Popen(
        [*EXPT, *QUICK], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    while not any(b'"epoch":20' in path.read_bytes().replace(b" ", b"") for path in folder.glob("runs/*/events.jsonl")):
        assert run.poll() is None
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGINT)
    words, _ = run.communicate(timeout=60)
    assert run.returncode == 130, words
    assert "run the same command again" in words
    page.write_text(page.read_text().replace("seeds: 2}", "seeds: 1}"))
    again = expt(folder, *QUICK)
    attempts = [int(re.sub(r"\D", "", p.stem)) for p in folder.glob("runs/*/attempts/*.json")]
    assert max(attempts) == 2, again.stdout
    (early,) = rows(
        folder, "SELECT count(*) AS n FROM (SELECT stage_id, split, metric, epoch FROM metrics GROUP BY ALL HAVING count(*) > 1)"
    )
    assert early["n"] == 0  # nothing is counted twice


def test_photographs_by_their_name(tmp_path):
    """The page on photographs is checked and planned by anyone; with its data it runs, and the rest of the house with it."""
    folder = tmp_path / "photos"
    (folder / "specs").mkdir(parents=True)
    shutil.copy(ROOT / "specs" / "2026-11-21-photographs.yaml", folder / "specs")
    shutil.copy(ROOT / "data.lock", folder)
    planned = expt(folder, "plan", "2026-11-21-photographs")
    assert "blocked" in planned.stdout
    assert "data `clothing` is not here" in planned.stdout
    data = ROOT.parent / "shared" / "data" / "clothing"
    if not data.is_dir():
        pytest.skip("the photographs (../shared/data/clothing from the project's root) are not here")
    (folder / "expt.toml").write_text(f'[data]\nclothing = "{data}"\n')
    assert "as locked" in expt(folder, "data", "--hash").stdout
    expt(folder, "run", "2026-11-21-photographs", "--profile", "quick", "--quiet")
    found = rows(
        folder,
        "SELECT arm, count(*) AS n FROM curves WHERE metric = 'accuracy' AND stage = 'final' GROUP BY arm",
    )
    assert {row["arm"] for row in found} == {"as-is", "crops", "resnet"}
    (facts,) = rows(folder, "SELECT count(*) AS n FROM predictions WHERE split = 'test' AND epoch = 1")
    assert facts["n"] == 372 * 6
