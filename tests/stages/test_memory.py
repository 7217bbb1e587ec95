"""Memory over epochs: a leak is found and named, a flat run is not; loader processes may begin anew; waiting is timed."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interpreter.parts.contract import Data, Draw, Split
from interpreter.project import Execution, Project
from interpreter.run.record import Record
from interpreter.stages import work
from interpreter.stages.memory import GROWTH_SHARE, LEAST, SETTLING, Watch, of_attempt, rss_mb, slope_of, workers_mb
from tests.stages.build import fit
from tests.stages.doing import codes, do, lines, result, same

pytestmark = pytest.mark.alone
HELD: list[mmap.mmap] = []  # by the process that fetched the batches


class Leaking:
    """A split that keeps `mb` for every batch it ever served."""

    def __init__(self, split: Split, mb: float) -> None:
        self.ids, self.targets, self._split, self._mb = split.ids, split.targets, split, mb

    def __len__(self) -> int:
        return len(self._split)

    def batch(self, index: np.ndarray, draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        pages = mmap.mmap(-1, int(self._mb * 1_000_000))  # new pages: the heap may have some to spare, left by what ran before
        pages.write(bytes(len(pages)))
        HELD.append(pages)
        return self._split.batch(index, draw)


def home(root: Path, workers: int, restart: bool = False) -> Project:
    root.mkdir(parents=True, exist_ok=True)
    return Project(root, {}, Execution(jobs=1, loader_workers=workers, restart_workers=restart, accelerator="cpu"))


BATCHES = 10 + 3  # of an epoch: 10 of 32 to train on, 3 of 128 to validate on


@pytest.fixture
def leaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """Every split of every dataset leaks a thousandth of what this process holds, a batch; the MB of an epoch."""
    batch_mb = max(0.5, 0.001 * rss_mb())  # what is forked begins with what this process holds, and growth is told by its share
    read = work.build_data

    def build(*arguments: Any) -> Data:
        data = read(*arguments)
        return replace(data, splits={name: Leaking(split, batch_mb) for name, split in data.splits.items()})

    monkeypatch.setattr(work, "build_data", build)
    yield BATCHES * batch_mb
    HELD.clear()


def stage_of(epochs: int) -> Any:
    return fit("leak", epochs=epochs)


EPOCHS = 40  # a process holds several hundred MB to begin with


def slopes(project: Project, stage: Any) -> dict[str, Mapping[str, Any]]:
    return {line["resource"]: line for line in lines(project, stage, "memory")}


def test_a_line_through_what_comes_after_the_first_epochs() -> None:
    sizes = [0.0, 900.0, 3.0, 50.0, 7.0] + [400 + 3.0 * n for n in range(21)]
    found = slope_of(sizes)
    assert found is not None
    assert (found.slope_mb, found.size_mb, found.straight, found.n) == (pytest.approx(3.0), 430.0, pytest.approx(1.0), 21)
    assert found.share == pytest.approx(3 / 430)
    assert found.grows
    assert slope_of(sizes[: SETTLING + 2]) is None
    x, y = np.arange(4), np.array([400.0, 408.0, 402.0, 411.0])
    assert slope_of([1.0] * SETTLING + list(y)).slope_mb == pytest.approx(np.polyfit(x, y, 1)[0])  # type: ignore[union-attr]


def noisy(slope_mb: float, n: int = 45) -> list[float]:
    return [300.0] * SETTLING + list(400 + slope_mb * np.arange(n) + np.random.default_rng(0).normal(0, 2, n))


STEP = [400.0] * 25 + [460.0] * 25


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        (noisy(4.0), True),
        (noisy(-4.0), False),
        (noisy(0.0), False),
        (noisy(1.0), False),  # a quarter of a percent
        (STEP, False),  # a cache that was filled late
        ([10.0] * SETTLING + [10 + 0.2 * n for n in range(45)], False),  # 9 MB in all
        ([400.0] * SETTLING + [400 + 4.0 * n for n in range(LEAST - 1)], False),  # too short to tell
        ([300.0, 310.0, 400.0, 460.0, 520.0], True),  # by half and 210 MB in five epochs
        ([300.0, 310.0, 400.0, 460.0, 500.0], False),
        ([100.0, 110.0, 120.0, 170.0, 190.0], False),
    ],
)
def test_growth_is_told_from_noise_and_from_a_step(sizes: Sequence[float], found: bool) -> None:
    epochs = [{"resources": {"rss_mb": size, "workers_mb": 0.0}} for size in sizes]
    told = [event for event in of_attempt(epochs, len(sizes)) if event["kind"] == "finding"]
    assert [event["code"] for event in told] == ["memory-growth"] * found
    assert all("the main process" in event["text"] for event in told)


def test_the_memory_of_a_child_is_counted_while_it_lives() -> None:
    """60 MB that a forked child writes are its own; what it shares with this process counts by its share."""
    before = workers_mb()
    ready, leave = multiprocessing.Pipe(), multiprocessing.Pipe()

    def hold() -> None:
        held = np.ones(7_500_000)
        ready[1].send(len(held))
        leave[0].recv()

    child = multiprocessing.get_context("fork").Process(target=hold)
    child.start()
    try:
        ready[0].recv()
        with_child = workers_mb()
    finally:
        leave[1].send(None)
        child.join()
    assert before is not None
    assert with_child is not None
    assert 60 < with_child - before < 60 + rss_mb()
    assert workers_mb() == before


def test_waiting_is_for_the_next_batch_alone() -> None:
    def slow(n: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for _ in range(n):
            time.sleep(0.02)
            yield torch.zeros(1), torch.zeros(1)

    watch = Watch()
    for _ in watch.over(slow(5), 5):
        time.sleep(0.04)
    assert 0.1 <= watch.wait_s < 0.2  # all that was done with the batches took 0.2
    assert watch.resources()["wait_s"] == round(watch.wait_s, 4)
    for _ in watch.over(slow(1), 1):
        pass
    assert 0.02 <= watch.wait_s < 0.1  # each epoch anew


def test_a_leak_in_the_loader_processes_is_found(tmp_path: Path, leaking: float) -> None:
    project, stage = home(tmp_path, workers=2), stage_of(EPOCHS)
    assert do(project, stage) == ["done"]
    found = slopes(project, stage)
    # Whichever process fetches them. What is forked also copies, page by page, what it shares with a large process: less than a
    # fifth of what would be told as growth.
    copied = GROWTH_SHARE / 5 * found["workers_mb"]["size_mb"]
    assert 0.95 * leaking < found["workers_mb"]["slope_mb"] < 1.05 * leaking + copied
    assert found["workers_mb"]["n"] == EPOCHS - SETTLING
    assert abs(found["rss_mb"]["slope_mb"]) < 1.0
    (text,) = [line["text"] for line in lines(project, stage, "finding") if line["code"] == "memory-growth"]
    grown = re.match(r"memory of the loader processes grew by ([\d.]+)", text)
    assert grown is not None
    assert float(grown[1]) == pytest.approx(found["workers_mb"]["slope_mb"], rel=0.05)
    assert text.endswith("`restart_workers = true` in expt.toml, [run], begins them anew each epoch")


def test_loader_processes_that_begin_anew_give_back_what_they_leaked(tmp_path: Path, leaking: float) -> None:
    epochs = 12
    project, stage = home(tmp_path / "anew", workers=2, restart=True), stage_of(epochs)
    assert do(project, stage) == ["done"]
    found = slopes(project, stage)
    assert "memory-growth" not in codes(project, stage)
    assert abs(found["workers_mb"]["slope_mb"]) < 1.0
    held = [line["resources"]["workers_mb"] for line in lines(project, stage, "epoch")]
    assert len(held) == epochs
    assert min(held) > 5  # they were there when they were asked
    assert multiprocessing.active_children() == []
    # How batches are fetched changes no number.
    other = home(tmp_path / "stay", workers=2)
    assert do(other, stage) == ["done"]
    same(result(project, stage), result(other, stage))


def test_a_leak_in_the_process_itself_is_found(tmp_path: Path, leaking: float) -> None:
    project, stage = home(tmp_path, workers=0), stage_of(EPOCHS)
    assert do(project, stage) == ["done"]
    assert slopes(project, stage)["rss_mb"]["slope_mb"] == pytest.approx(leaking, rel=0.05)
    assert "workers_mb" not in slopes(project, stage)
    (text,) = [line["text"] for line in lines(project, stage, "finding") if line["code"] == "memory-growth"]
    assert text.startswith("memory of the main process grew by")
    assert "restart_workers" not in text


def test_a_flat_run_says_its_slope_and_nothing_else(tmp_path: Path) -> None:
    project, stage = home(tmp_path, workers=2), stage_of(20)
    assert do(project, stage) == ["done"]
    assert "memory-growth" not in codes(project, stage)
    for line in slopes(project, stage).values():
        assert line["n"] == 15
        assert abs(line["slope_mb"]) < 0.005 * line["size_mb"]
    for epoch in lines(project, stage, "epoch"):
        spent = epoch["resources"]
        assert 0 < spent["wait_s"] < spent["seconds"]
        assert spent["workers_mb"] > 0
    assert Record.of(project, stage.key).done() is not None
    assert os.getpid() not in [child.pid for child in multiprocessing.active_children()]
