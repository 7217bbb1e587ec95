"""A page of six trials, killed with SIGKILL at random moments, ends as if nothing had happened.

EXPT_KILLS sets how many kills. Half of them take one worker; half take the coordinator, its server and all workers at once.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interpreter.check.page import check_page
from interpreter.plan.build import build_plan
from interpreter.project import Project, load_project
from interpreter.run.record import Record
from interpreter.run.status import status_of
from interpreter.spec.library import Library
from tests.stages.doing import lines, result, same

pytestmark = pytest.mark.alone
KILLS = int(os.environ.get("EXPT_KILLS", "4"))
RUN = [sys.executable, "-m", "interpreter.cli.main", "run", "2026-01-01", "--quiet"]
PAGE = f"""\
expt: 1
date: 2026-01-01
datasets:
  low: {{type: digits, classes: [0, 1, 2, 3, 4]}}
  few: {{type: digits, classes: [5, 6, 7, 8, 9], per_class: 20, shift: 1}}
models: {{net: {{type: cnn2d, channels: [8, 8], dropout: 0.2}}}}
schedules:
  s:
    epochs: {20 + 3 * KILLS}
    batch_size: 32
    optimizer: {{type: sgd, lr: 0.05, momentum: 0.9}}
    lr_schedule: {{type: cosine, warmup: 20%}}
entries:
  e:
    stages:
      pre: {{fit: classification, data: low, model: net, schedule: s}}
      tune: {{fit: classification, data: few, model: net, head: {{dropout: 0.3}}, schedule: s}}
      final: {{evaluate: few}}
    arms:
      scratch: {{chain: [tune, final], baseline: true}}
      pretrained: [pre, tune, final]
    seeds: 3
    measures: {{acc: {{metric: val/accuracy, read: best}}}}
    expect: {{helps: {{claim: pretrained > scratch, on: acc, margin: 0}}}}
"""


def make(folder: Path, workers: int) -> Project:
    (folder / "specs").mkdir(parents=True)
    (folder / "specs" / "2026-01-01.yaml").write_text(PAGE)
    (folder / "expt.toml").write_text(f"[run]\nloader_workers = {workers}\njobs = 2\n")
    return load_project(folder.resolve())


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, children first."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                below.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        children = below.get(queue.pop(), [])
        found += children
        queue += children
    return found[::-1]


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def training(project: Project, keys: list[str]) -> list[int]:
    """Processes that hold a stage and have something recorded of it."""
    statuses = [status_of(project, key) for key in keys if Record.of(project, key).events.exists()]
    return [status.pid for status in statuses if status.state == "running"]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_page_killed_at_random_moments_ends_the_same(tmp_path, workers):
    whole, killed = make(tmp_path / "whole", workers), make(tmp_path / "killed", workers)
    library = Library(whole)
    plan = build_plan(check_page(library, library.page(whole.specs / "2026-01-01.yaml")), {})
    keys = list(plan.stages)
    assert len(keys) == 3 * 2 + 3 * 3
    subprocess.run(RUN, cwd=whole.root, check=True)

    moments = random.Random(workers)
    kills = runs = 0
    while kills < KILLS:
        run = subprocess.Popen(RUN, cwd=killed.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        runs += 1
        try:
            while kills < KILLS and run.poll() is None:
                while run.poll() is None and not (holders := training(killed, keys)):
                    time.sleep(0.02)
                time.sleep(moments.uniform(0, 0.6))
                if run.poll() is not None:
                    break
                if moments.random() < 0.5:
                    kill(moments.choice(holders))
                    kills += 1
                    continue
                below = descendants(run.pid)
                kill(run.pid)
                for pid in below:
                    kill(pid)
                kills += 1
        finally:
            kill(run.pid) if kills >= KILLS else None
            run.wait()
        assert runs < 4 * KILLS, "the page ended too often before it could be killed"
        if all(status_of(killed, key).state == "done" for key in keys):
            break
    assert kills == KILLS, "the page was done before enough kills: give it more epochs"

    for _ in range(3):  # a stage whose worker died twice in one run fails there, and goes on in the next
        if subprocess.run(RUN, cwd=killed.root).returncode == 0:
            break
    attempts = 0
    for stage in plan.stages.values():
        assert status_of(killed, stage.key).state == "done"
        expected, found = result(whole, stage), result(killed, stage)
        # A kill after DONE, of the first attempt or a later one, may leave checkpoints and predictions that it supersedes.
        assert set(expected["files"]) <= set(found["files"])
        left = [name for name in found["files"] if name not in expected["files"]]
        assert all(name.startswith(("checkpoints/", "predictions/")) for name in left)
        same(expected, {**found, "files": expected["files"]})
        attempts += len(lines(killed, stage, "attempt"))
    assert attempts > len(keys)
    print(f"workers={workers}: {kills} kills, {runs} runs, {attempts} attempts at {len(keys)} stages; all equal")
