"""A fit in five phases, with dropout, batch normalization, augmentation, a growing subset, averaged weights, going back to the
best and a rate that follows a metric, killed with SIGKILL at the boundaries of its epochs and inside them, gives the same bits.

EXPT_KILLS sets how many kills there are of each sort, for each number of loader workers (at most one at each boundary).
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from interpreter.plan.types import Input, Stage
from interpreter.project import Project
from interpreter.run.record import Record
from tests.stages.build import DIGITS, fit, project, score
from tests.stages.doing import do, fork, kill, lines, result, same

pytestmark = pytest.mark.alone
KILLS = int(os.environ.get("EXPT_KILLS", "2"))
EPOCHS = 20
CNN = {"type": "cnn2d", "channels": [4, 4, 6, 6], "pool": [1, 2, 1, 2], "batch_norm": True, "dropout": 0.2}
DATA = DIGITS | {"per_class": 24, "shift": 1}
PHASES: list[Any] = [
    {"groups": ["head"], "max_epochs": 2},
    {"groups": ["conv4"], "patience": 2, "lr": 0.02, "lr_schedule": {"type": "cosine", "every": "step"}},
    ["conv3"],
    {"groups": ["conv2"], "until_epoch": 12, "weight_decay": 0.1},
    "all",
]


def made(average: dict[str, Any]) -> tuple[Stage, Stage, Stage]:
    """A fit, the scores of its training examples, and the fit in phases that grows by them."""
    graded = fit("graded", epochs=2, model=CNN, data=DATA)
    scores = score("scores", graded)
    growth = {"from": 0.4, "to": 1.0, "over": 10, "pace": "linear"}
    stage = fit(
        "phases",
        epochs=EPOCHS,
        model=CNN,
        data=DATA | {"subset": {"easiest": growth, "scored_by": {"result": "graded/scores"}}},
        inputs=(Input("scores", scores.key, "", "encoder"),),
        start={"kind": "random"},
        thaw={"by": {"phases": PHASES}, "max_epochs": 4, "restore_best": True, "norm": "batch"},
        average=average,
        keep={"best": "val/accuracy", "every": None, "last": True},
        schedule_optimizer={"type": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
        schedule_lr_schedule={"type": "plateau", "times": 0.5, "patience": 2},
        schedule_accumulate=2,
    )
    return graded, scores, stage


def uninterrupted(home: Project, stages: tuple[Stage, Stage, Stage]) -> tuple[dict[str, Any], float]:
    """What the last of `stages` gives, and how long it takes, in seconds."""
    assert do(home, *stages[:2]) == ["done"] * 2
    began = time.monotonic()
    assert os.waitpid(fork(home, stages[2]), 0)[1] == 0
    return result(home, stages[2]), time.monotonic() - began


def finish(home: Project, stage: Stage) -> None:
    assert os.waitpid(fork(home, stage), 0)[1] == 0
    assert Record.of(home, stage.key).done() is not None


def equal(expected: dict[str, Any], home: Project, stage: Stage, *, after_done: bool = False) -> None:
    """Everything is bit-equal; after a kill behind DONE, what that supersedes may still be there."""
    found = result(home, stage)
    same(expected, found | {"files": expected["files"]} if after_done else found)


@pytest.mark.parametrize(("workers", "average"), [(0, {"ema": 0.9}), (2, {"swa": 6})], ids=["0-ema", "2-swa"])
def test_killed_in_five_phases_and_resumed_is_bit_equal(tmp_path: Path, workers: int, average: dict[str, Any]) -> None:
    stages = made(average)
    stage = stages[2]
    expected, seconds = uninterrupted(project(tmp_path / "whole", keep="every_epoch"), stages)
    phases = [line["phase"] for line in expected["epochs"]]
    assert sorted(set(phases)) == [0, 1, 2, 3, 4]
    counts = [line["examples"] for line in expected["epochs"]]
    assert counts[0] < counts[5] < counts[10] == counts[-1] == 240
    said = lines(project(tmp_path / "whole"), stage, "phase")
    assert {line["why"] for line in said} >= {"start", "max_epochs", "patience"}
    assert any(line.get("restored", line["epoch"] - 1) != line["epoch"] - 1 for line in said[1:]), "nothing was gone back to"

    moments = random.Random(workers)
    killed = project(tmp_path / "boundaries", workers=workers, keep="every_epoch")
    assert do(killed, *stages[:2]) == ["done"] * 2
    # Where a phase begins first, then anywhere.
    begins = {line["epoch"] - 1 for line in said[1:]}
    candidates = sorted(moments.sample(range(EPOCHS - 1), EPOCHS - 1), key=lambda epoch: epoch not in begins)
    boundaries = sorted(candidates[:KILLS])
    record = Record.of(killed, stage.key)
    at_boundaries = 0
    for epoch in boundaries:
        pid = fork(killed, stage)
        while not record.checkpoint(epoch).exists():
            assert os.waitpid(pid, os.WNOHANG)[0] == 0, "it ended before its last epoch"
            time.sleep(0.0005)
        kill(pid)
        at_boundaries += 1
    finish(killed, stage)
    equal(expected, killed, stage)
    assert len(lines(killed, stage, "attempt")) == at_boundaries + 1

    inside, rounds, resumed_at = 0, 0, set()
    while inside < KILLS:
        rounds += 1
        killed = project(tmp_path / f"inside{rounds}", workers=workers, keep="every_epoch")
        assert do(killed, *stages[:2]) == ["done"] * 2
        done = False
        while not done and inside < KILLS:
            pid = fork(killed, stage)
            deadline = time.monotonic() + moments.uniform(0.1, 0.6) * seconds
            while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
                time.sleep(0.001)
            if ended[0] == 0:
                kill(pid)
                inside += 1
            assert ended[1] == 0
            done = Record.of(killed, stage.key).done() is not None
        after_done = done and ended[0] == 0  # killed after its last write that counts
        if not done:
            finish(killed, stage)
        resumed_at |= {line["resume_epoch"] for line in lines(killed, stage, "attempt")}
        equal(expected, killed, stage, after_done=after_done)
    print(
        f"workers={workers} {next(iter(average))}: {at_boundaries} kills at boundaries of epochs, {inside} inside them,"
        f" in {rounds + 1} runs, these resumed at epochs {sorted(resumed_at)}: all equal"
    )
