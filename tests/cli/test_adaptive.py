"""Seeds that are added until claims are decided, by the command line alone, as a user has it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.test_end_to_end import EXPT, expt, rows

# `wide` is far better than `small` after two epochs, and `again` is `small` but for a decay that does next to nothing.
PAGE = """\
expt: 1
date: 2026-01-01
datasets: {digits: {type: digits}}
models: {net: {type: mlp, hidden: [2]}}
schedules: {short: {epochs: 2, batch_size: 64, optimizer: {type: adamw, lr: 3e-3, weight_decay: 0}}}
entries:
  grow:
    stages: {tune: {fit: classification, data: digits, model: net, schedule: short}, final: {evaluate: digits}}
    arms:
      small: {chain: [tune, final], baseline: true}
      wide: {chain: [tune, final], set: {models.net.hidden: [64]}}
      again: {chain: [tune, final], set: {stages.tune.schedule.optimizer.weight_decay: 0.5}}
    seeds: {min: 6, max: 8}
    measures: {test: {metric: final/accuracy}}
    expect:
      width: {claim: wide > small, on: test, margin: 0}
      decay: {claim: again > small, on: test, margin: 0}
"""


def project(folder: Path) -> Path:
    (folder / "specs").mkdir(parents=True)
    (folder / "specs" / "2026-01-01.yaml").write_text(PAGE)
    return folder


def seeds(folder: Path) -> dict[str, int]:
    found = rows(folder, "SELECT arm, count(DISTINCT seed) AS n FROM readings WHERE measure = 'test' GROUP BY arm")
    return {str(row["arm"]): int(str(row["n"])) for row in found}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = project(tmp_path_factory.mktemp("grown") / "p")
    assert "3 arms, 18 trials; more seeds, up to 8, while claims are not decided" in expt(folder, "plan", "2026-01-01").stdout
    (folder / "said").write_text(expt(folder, "run", "2026-01-01").stdout)
    return folder


def test_only_what_is_undecided_goes_on_and_only_as_far_as_allowed(whole):
    said = (whole / "said").read_text()
    assert "one more seed for small (7), again (7): decay is not decided" in said
    assert "one more seed for small (8), again (8): decay is not decided" in said
    assert "(9)" not in said
    assert seeds(whole) == {"small": 8, "wide": 6, "again": 8}
    verdicts = {row["claim"]: row for row in rows(whole, "SELECT * FROM verdicts")}
    assert (verdicts["width"]["state"], verdicts["width"]["n"]) == ("supported", 6)
    assert (verdicts["decay"]["state"], verdicts["decay"]["n"]) == ("undecided", 8)
    assert str(verdicts["decay"]["explanation"]).endswith("the page allows no more seeds")


def test_run_again_there_is_nothing_to_do(whole):
    assert "nothing has changed" in expt(whole, "run", "2026-01-01").stdout
    assert "38 reuse" not in (stages := expt(whole, "plan", "2026-01-01").stdout)
    assert "44 reuse" in stages  # 22 trials of two stages each
    assert "3 arms, 22 trials; more seeds" in stages  # `wide` has room still


def test_the_database_is_the_same_built_from_the_record(whole):
    assert "is what the record says" in expt(whole, "rebuild", "--check").stdout
    before = rows(whole, "SELECT claim, state, lo, hi, n FROM verdicts ORDER BY claim")
    (whole / "results.duckdb").unlink()
    expt(whole, "rebuild")
    assert rows(whole, "SELECT claim, state, lo, hi, n FROM verdicts ORDER BY claim") == before


def test_killed_while_seeds_are_added_it_goes_on_to_the_same_end(whole, tmp_path):
    folder = project(tmp_path / "p")
    run = subprocess.Popen([*EXPT, "run", "2026-01-01", "--quiet"], cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL)
    ledger = folder / "runs" / "ledger.jsonl"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and run.poll() is None:
        if ledger.is_file() and '"kind": "seeds"' in ledger.read_text():
            break
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    asked = [line for line in map(json.loads, ledger.read_text().splitlines()) if line["kind"] == "seeds"]
    assert {(line["arm"], line["seeds"]) for line in asked} >= {("small", 7), ("again", 7)}
    expt(folder, "run", "2026-01-01", "--quiet")
    query = "SELECT claim, state, effect, lo, hi, n FROM verdicts ORDER BY claim"
    assert rows(folder, query) == rows(whole, query)


def test_a_number_on_the_command_line_is_that_number(whole, tmp_path):
    folder = project(tmp_path / "p")
    expt(folder, "run", "2026-01-01", "--seeds", "2", "--quiet")
    assert seeds(folder) == {"small": 2, "wide": 2, "again": 2}
    found = rows(folder, "SELECT state, lo FROM verdicts")
    assert found == [{"state": "undecided", "lo": None}] * 2
