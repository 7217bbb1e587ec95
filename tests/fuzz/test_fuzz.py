"""No text makes the program do anything but check it, plan it, or say where it is wrong. More of the same: `make fuzz`."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from interpreter.errors import PageError, Place, Problem
from tests.fuzz.cases import make_project
from tests.fuzz.holds import Broken, examine
from tests.fuzz.run import BATCH, MEMORY_MB, PROCESSES, Tally, batch, limited

CASES = 3000


def test_any_text_is_planned_or_refused_with_places():
    whole = Tally()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"), initializer=limited) as pool:
        for tally in pool.map(batch, range(CASES // BATCH)):
            whole.take(tally)
    assert not whole.failures, "\n\n".join(f"{raised}\n{data!r}" for raised, _, data in whole.failures[:3])
    assert sum(whole.cases.values()) == CASES
    assert whole.fine["built"] > 0.3 * whole.cases["built"]  # else the cases would tell little of what comes after the check
    assert all(whole.cases[kind] > 50 for kind in ("built", "built-tree", "tree", "text", "bytes"))
    assert whole.memory_mb < MEMORY_MB


def test_a_page_that_must_be_planned_is(tmp_path):
    project = make_project(tmp_path)
    real = project.specs / "2024-06-29.yaml"
    assert examine(project, real.stem, real.read_bytes(), twice=True).stages > 50


def test_what_does_not_hold_is_found(tmp_path, monkeypatch):
    project = make_project(tmp_path)

    def elsewhere(*_):
        raise PageError([Problem("wrong", "somewhere below", Place("specs/2026-01-01.yaml", 99, 1))])

    monkeypatch.setattr("tests.fuzz.holds.check_page", elsewhere)
    with pytest.raises(Broken, match="is on line 99 of 4"):
        examine(project, "2026-01-01", b"expt: 1\ndate: 2026-01-01\nentries: {e: {}}\n")
