"""A fit whose objective is drawn at each step goes on, after a stop, with the draws it would have made."""

from __future__ import annotations

from pathlib import Path

import pytest

from interpreter.run.record import Record
from interpreter.stages.main import run_stage
from tests.stages import build
from tests.stages.doing import do, lines, result, same

SMOOTH = {"type": "classification", "label_smoothing": 0.4}
COIN = {"type": "draw", "one": {"type": "classification"}, "other": SMOOTH, "p": 0.5}


@pytest.mark.parametrize("stop_after", [1, 2])
def test_a_fit_that_draws_resumes_bit_for_bit(tmp_path: Path, stop_after: int) -> None:
    whole, parts = build.project(tmp_path / "whole"), build.project(tmp_path / "parts")
    stage = build.fit("coin", objective=COIN)
    assert do(whole, stage) == ["done"]
    Record.of(parts, stage.key).write_stage(stage)
    asked = iter([False] * stop_after)
    assert run_stage(parts, stage.key, lambda: next(asked, True)).how == "stopped"
    assert do(parts, stage) == ["done"]
    same(result(whole, stage), result(parts, stage))


def test_what_is_drawn_is_neither_of_the_two_alone(tmp_path: Path) -> None:
    project = build.project(tmp_path)
    stages = [build.fit(name, objective=objective) for name, objective in (("coin", COIN), ("a", COIN["one"]), ("b", SMOOTH))]
    assert do(project, *stages) == ["done"] * 3
    nll = [lines(project, stage, "epoch")[-1]["metrics"]["val/nll"] for stage in stages]
    assert len(set(nll)) == 3
