"""A fit that is killed at any moment and goes on gives the same bits as one that never was. EXPT_KILLS sets how many kills,
EXPT_KILL_THREADS at how many threads."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from interpreter.project import Project
from interpreter.run.attempts import numbers
from interpreter.run.record import Record
from tests.stages.build import fit, project
from tests.stages.doing import codes, do, fork, kill, lines, result, same

pytestmark = pytest.mark.alone
THREADS = int(os.environ.get("EXPT_KILL_THREADS", "1"))
KILLS = int(os.environ.get("EXPT_KILLS", "3"))
STAGE = fit("killed", epochs=24)


def _past_a_checkpoint(home: Project) -> bool:
    """Whether the second epoch is over: the checkpoint of the first was written before it."""
    return Record.of(home, STAGE.key).events.exists() and len(lines(home, STAGE, "epoch")) > 1


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_and_resumed_is_bit_equal(tmp_path: Path, workers: int) -> None:
    whole = project(tmp_path / "whole", threads=THREADS, keep="every_epoch")
    began = time.monotonic()
    assert os.waitpid(fork(whole, STAGE), 0)[1] == 0
    seconds = time.monotonic() - began
    expected = result(whole, STAGE)
    assert len(expected["epochs"]) == 24

    moments = random.Random(workers)
    rounds, kills, resumed_at = 0, 0, set()
    while kills < KILLS:
        rounds += 1
        killed = project(tmp_path / f"killed{rounds}", workers=workers, threads=THREADS, keep="every_epoch")
        expected_files = list(expected["files"])
        while True:
            pid = fork(killed, STAGE)
            wait = moments.uniform(0, seconds * 0.7) if kills < KILLS else 60.0
            # Every other moment counts from where there is a checkpoint to go on from, however slow the machine is just now.
            patience = time.monotonic() + 60.0
            while kills % 2 and not _past_a_checkpoint(killed) and time.monotonic() < patience:
                time.sleep(0.001)
            deadline = time.monotonic() + wait
            while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
                time.sleep(0.001)
            if ended[0] == 0:
                kill(pid)
                kills += 1
                if Record.of(killed, STAGE.key).done() is None:
                    continue
                expected_files.clear()  # killed after DONE: what it supersedes may still be there
            else:
                assert ended[1] == 0
            break
        resumed_at |= {line["resume_epoch"] for line in lines(killed, STAGE, "attempt")}
        found = result(killed, STAGE)
        same({**expected, "files": expected_files}, {**found, "files": found["files"] if expected_files else []})
    assert len(resumed_at) > 1  # not every kill came before the first checkpoint
    print(f"workers={workers} kills={kills} runs={rounds} resumed at epochs {sorted(resumed_at)}")


def test_more_workers_or_threads_asked_for_later_change_nothing(tmp_path: Path) -> None:
    stage = fit("longer", epochs=30)
    whole, cut = project(tmp_path / "whole"), project(tmp_path / "cut")
    do(whole, stage)
    pid = fork(cut, stage)
    while len(lines(cut, stage, "epoch")) < 5:
        time.sleep(0.005)
    kill(pid)
    assert do(project(tmp_path / "cut", threads=2), stage) == ["done"]
    same(result(whole, stage), result(cut, stage))
    assert codes(cut, stage).count("numerics") == 1
    assert "numerics" not in codes(whole, stage)


def test_a_corrupt_checkpoint_is_told_and_the_one_before_is_used(tmp_path: Path) -> None:
    stage = fit("damaged", epochs=8, keep={"best": "val/loss", "every": 1, "last": True})
    whole, cut = project(tmp_path / "whole"), project(tmp_path / "cut")
    do(whole, stage)
    do(cut, stage)
    record = Record.of(cut, stage.key)
    record.done_file.unlink()
    newest = record.checkpoint(7)
    newest.write_bytes(newest.read_bytes()[:-100])
    record.checkpoint(6).write_bytes(b"")
    # What the merged predictions held for these epochs is made again, so the older segments have to be there.
    assert do(cut, stage) == ["done"]
    assert codes(cut, stage).count("checkpoint-refused") >= 2
    same(result(whole, stage), result(cut, stage))
    assert numbers(record) == [1, 2]


def test_killed_between_the_end_and_DONE(tmp_path: Path) -> None:
    stage = fit("nearly", epochs=4)
    whole, cut = project(tmp_path / "whole"), project(tmp_path / "cut")
    do(whole, stage)
    do(cut, stage)
    Record.of(cut, stage.key).done_file.unlink()
    assert do(cut, stage) == ["done"]
    same(result(whole, stage), result(cut, stage))
