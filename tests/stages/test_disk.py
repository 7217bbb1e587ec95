"""A disk that fills up: the stage fails with a clear message, what is recorded stays readable, and later it goes on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from interpreter.run.record import PART, Record
from interpreter.run.status import status_of
from tests.stages.build import fit, project
from tests.stages.doing import do, fork, lines, result, same

STAGE = fit("big", epochs=12)


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    home, whole = project(tmp_path / "a", keep="every_epoch"), project(tmp_path / "b", keep="every_epoch")
    Record.of(home, STAGE.key).write_stage(STAGE)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))  # the events outgrow this; a checkpoint is larger from the start
        os._exit(0 if do(home, STAGE) == ["failed: no space left to write its record: free some and run again"] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    _goes_on(home, whole)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_file_system(small: Path, tmp_path: Path) -> None:
    home, whole = project(small), project(tmp_path / "whole", keep="every_epoch")
    home = project(small, keep="every_epoch")
    assert os.waitpid(fork(home, STAGE), 0)[1] != 0
    status = status_of(home, STAGE.key)
    assert status.state in ("failed", "died")
    if status.state == "failed":
        assert status.error == "no space left to write its record: free some and run again"
    assert lines(home, STAGE, "epoch")
    subprocess.run(["mount", "-o", "remount,size=20m", small], check=True)
    _goes_on(home, whole)


def _goes_on(home: object, whole: object) -> None:
    assert do(home, STAGE) == ["done"]  # type: ignore[arg-type]
    do(whole, STAGE)  # type: ignore[arg-type]
    same(result(whole, STAGE), result(home, STAGE))  # type: ignore[arg-type]
    assert not list(Record.of(home, STAGE.key).folder.rglob(f"*{PART}"))  # type: ignore[arg-type]
