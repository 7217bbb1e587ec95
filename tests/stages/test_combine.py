"""Predictions of several trials, averaged and measured as those of one model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.attempts import numbers
from interpreter.run.execute import run_plan
from interpreter.run.record import Record
from tests.stages.build import evaluate, fit, plan
from tests.stages.build import project as make_project
from tests.stages.doing import codes, do, lines, result, same
from tests.stages.foreign import archive, combine_stage, import_stage

ROOT = Path(__file__).resolve().parents[2]
TARGETS = np.array([0, 1, 2, 1])
FIRST = np.log(np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.4, 0.5, 0.1]]))
SECOND = np.log(np.array([[0.4, 0.5, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.7, 0.2, 0.1]]))


@pytest.fixture
def home(tmp_path: Path) -> Project:
    return make_project(tmp_path.resolve() / "home")


def member(home: Project, name: str, outputs: np.ndarray, targets: np.ndarray = TARGETS, **arrays: Any) -> Stage:
    stage = import_stage(home, archive(home, f"{name}.npz", outputs=outputs, targets=targets, **arrays))
    assert do(home, stage) == ["done"]
    return stage


def metrics(home: Project, stage: Stage) -> dict[str, float]:
    (line,) = lines(home, stage, "epoch")
    return dict(line["metrics"])


def outputs(home: Project, stage: Stage, split: str = "val", epoch: int = 0) -> np.ndarray:
    folder = Record.of(home, stage.key).predictions / split
    table = pq.read_table(next(folder.glob("epochs-*.parquet")), filters=[("epoch", "=", epoch)])
    return np.array(table["output"].to_pylist())


def test_each_rule_by_hand(home: Project) -> None:
    # Logits that are no log-probabilities: what is added to all of an example must not count, except for mean_logit's outputs.
    a, b = member(home, "a", FIRST + 3.0), member(home, "b", SECOND - 1.0)
    p, q = np.exp(FIRST), np.exp(SECOND)
    together = {how: combine_stage(a, b, how=how) for how in ("mean_probability", "geometric_mean", "mean_logit")}
    assert do(home, *together.values()) == ["done"] * 3
    mean = (p + q) / 2
    assert np.exp(outputs(home, together["mean_probability"])) == pytest.approx(mean, abs=1e-6)
    geometric = np.sqrt(p * q) / np.sqrt(p * q).sum(axis=1, keepdims=True)
    assert np.exp(outputs(home, together["geometric_mean"])) == pytest.approx(geometric, abs=1e-6)
    assert outputs(home, together["mean_logit"]) == pytest.approx((FIRST + SECOND) / 2 + 1.0, abs=1e-6)
    found = {how: metrics(home, stage) for how, stage in together.items()}
    assert found["mean_probability"]["val/nll"] == pytest.approx(-np.log(mean[range(4), TARGETS]).mean(), abs=1e-7)
    assert found["geometric_mean"]["val/nll"] == pytest.approx(-np.log(geometric[range(4), TARGETS]).mean(), abs=1e-7)
    assert found["mean_logit"] == pytest.approx(found["geometric_mean"], abs=1e-6)
    assert found["mean_probability"]["val/accuracy"] == 0.75  # rows 0 and 1 are each wrong in one member, row 3 stays wrong
    done = Record.of(home, together["mean_logit"].key).done()
    assert done is not None
    assert (done["epochs"], done["planned_epochs"], done["why"]) == (1, 0, "combined")
    assert done["predictions"] == {"val": ["epochs-0000-0000.parquet"]}


def test_extreme_logits_stay_exact(home: Project) -> None:
    sure = np.array([[0.0, 1000.0], [2000.0, 0.0]])
    targets = np.array([1, 1])
    stage = combine_stage(member(home, "a", sure, targets), member(home, "b", np.zeros((2, 2)), targets))
    assert do(home, stage) == ["done"]
    assert np.exp(outputs(home, stage)) == pytest.approx(np.array([[0.25, 0.75], [0.75, 0.25]]))


def test_the_order_of_members_does_not_matter(home: Project) -> None:
    # (big + 1) - big is 0 and (big - big) + 1 is 1: only a fixed order gives one answer.
    big, one, minus = ([[value, 0.0]] * 2 for value in (1e16, 1.0, -1e16))
    a, b, c = (member(home, name, np.array(rows), np.array([0, 1])) for name, rows in (("a", big), ("b", one), ("c", minus)))
    orders = [combine_stage(*order, how="mean_logit") for order in ((a, b, c), (a, c, b), (c, b, a))]
    assert len({stage.key for stage in orders}) == 3
    assert do(home, *orders) == ["done"] * 3
    first, second, third = (outputs(home, stage).tolist() for stage in orders)
    assert first == second == third


def test_numbers_are_averaged_and_beat_their_members(home: Project) -> None:
    targets = np.array([1.0, 2.0, 3.0])
    a = member(home, "a", np.array([[2.0], [3.0], [4.0]]), targets)
    b = member(home, "b", np.array([[0.0], [2.0], [2.0]]), targets)
    stage, wrong = combine_stage(a, b, how="mean_output", loss="mae"), combine_stage(a, b, how="mean_logit")
    assert do(home, stage) == ["done"]
    assert outputs(home, stage).tolist() == [[1.0], [2.5], [3.0]]
    assert metrics(home, stage)["val/rmse"] == pytest.approx(np.sqrt(0.25 / 3))
    assert metrics(home, stage)["val/loss"] == metrics(home, stage)["val/mae"] == pytest.approx(0.5 / 3)
    (how,) = do(home, wrong)
    assert how.startswith("failed: these are predictions of numbers, which only mean_output averages")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ids": np.array(list("abxd"))}, "did not predict the same examples: `c` and `x` in row 2"),
        (
            {"targets": np.array([0, 1, 2, 2]), "ids": np.array(list("abcd"))},
            "predicted the same examples with different targets",
        ),
        (
            {"ids": np.array(list("abcd")), "class_names": np.array(list("xzy"))},
            "tell different classes apart, or in another order",
        ),
    ],
)
def test_members_that_do_not_agree(home: Project, changes: dict[str, Any], words: str) -> None:
    a = member(home, "a", FIRST, ids=np.array(list("abcd")), class_names=np.array(list("xyz")))
    b = member(home, "b", SECOND, **changes)
    (how,) = do(home, combine_stage(a, b))
    assert how == f"failed: import, seed 0 and import, seed 0 {words}"


def test_members_of_another_length_or_width(home: Project) -> None:
    a = member(home, "a", FIRST)
    short, wide = member(home, "b", SECOND[:3], TARGETS[:3]), member(home, "c", np.hstack([SECOND, SECOND[:, :1]]))
    assert "did not predict the same examples: 4 and 3" in do(home, combine_stage(a, short))[0]
    assert "have 3 and 4 outputs" in do(home, combine_stage(a, wide))[0]


def test_members_whose_predictions_were_not_kept(tmp_path: Path) -> None:
    home = make_project(tmp_path.resolve() / "home", keep="none")
    a, b = member(home, "a", FIRST), member(home, "b", SECOND)
    (how,) = do(home, combine_stage(a, b))
    assert how.startswith("failed: predictions of import, seed 0 for val were not kept")
    assert 'keep_predictions = "best"' in how


def test_a_member_that_is_not_done_or_damaged(home: Project) -> None:
    a, b = member(home, "a", FIRST), member(home, "b", SECOND)
    segment = Record.of(home, b.key).predictions / "val" / "epochs-0000-0000.parquet"
    segment.write_bytes(segment.read_bytes()[:100])
    assert "predictions of val can't be read" in do(home, combine_stage(a, b))[0]
    Record.of(home, b.key).done_file.unlink()
    assert f"stage {b.key} is not done" in do(home, combine_stage(a, b, group=1, how="mean_logit"))[0]


def test_equal_members_are_told(home: Project) -> None:
    a, b = member(home, "a", FIRST), member(home, "b", FIRST, ids=np.arange(4))
    stage = combine_stage(a, b)
    assert do(home, stage) == ["done"]
    assert codes(home, stage) == ["members-equal"]


def test_fits_and_their_evaluations_end_to_end(home: Project) -> None:
    """Three small fits, combined on val at their best epochs and on test through their evaluations, by real workers."""
    fits = [fit("net", seed=seed, epochs=4, schedule_optimizer={"type": "adam", "lr": 0.05}) for seed in range(3)]
    finals = [evaluate("test", one) for one in fits]
    val, test = combine_stage(*fits), combine_stage(*finals, part="test")
    last = combine_stage(*fits, checkpoint="last")
    outcome = run_plan(home, plan(val, test, last, *finals, *fits), jobs=2)
    assert (outcome.failed, outcome.blocked) == ({}, {})
    assert len(outcome.done) == 9
    for stage, members, rule, split in ((val, fits, "best", "val"), (last, fits, "last", "val"), (test, finals, "", "test")):
        p = []
        for one in members:
            done = Record.of(home, one.key).done()
            assert done is not None
            logits = outputs(home, one, split, done[rule]["epoch"] if rule else 0).astype(np.float64)
            p.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
        mean = np.mean(p, axis=0)
        assert np.exp(outputs(home, stage, split)) == pytest.approx(mean, abs=1e-6)
        folder = Record.of(home, stage.key).predictions / split
        targets = np.array(pq.read_table(folder / "targets.parquet")["target"].to_pylist())
        found = metrics(home, stage)
        assert found[f"{split}/accuracy"] == (mean.argmax(axis=1) == targets).mean()
        assert found[f"{split}/nll"] == pytest.approx(-np.log(mean[range(len(targets)), targets]).mean(), abs=1e-6)
        (mine,), (theirs,) = lines(home, stage, "baseline"), lines(home, members[0], "baseline")
        assert mine["metrics"] == {name: value for name, value in theirs["metrics"].items() if name.startswith(f"{split}/")}
        (data,) = lines(home, stage, "data")
        assert data["origin"] == lines(home, members[0], "data")[0]["origin"]
    assert metrics(home, last) != metrics(home, val)
    assert run_plan(home, plan(val, *fits)).reused == (val.key, *(one.key for one in fits))


SLOW_COMBINE = """
import sys, time
from pathlib import Path
from interpreter.stages import outputs
from interpreter.stages.main import run_stage
from tests.stages.build import project
def slow(*arguments):
    print("here", flush=True)
    time.sleep(60)
outputs.finish_single = slow
run_stage(project(Path(sys.argv[1])), sys.argv[2], lambda: False)
"""


def test_killed_before_its_end_it_is_done_again_to_the_same_bits(home: Project, tmp_path: Path) -> None:
    other = make_project(tmp_path / "undisturbed")
    stages = [combine_stage(member(place, "a", FIRST), member(place, "b", SECOND)) for place in (home, other)]
    stage = stages[0]
    assert stage.key == stages[1].key
    record = Record.of(home, stage.key)
    record.write_stage(stage)
    command = [sys.executable, "-c", SLOW_COMBINE, str(home.root), stage.key]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
    assert (record.predictions / "val" / "epochs-0000-0000.parquet").is_file()
    assert not record.done_file.exists()
    assert do(home, stage) == ["done"]
    assert numbers(record) == [1, 2]
    assert do(other, stage) == ["done"]
    same(result(home, stage), result(other, stage))
    for path in record.predictions.rglob("*.parquet"):
        twin = Record.of(other, stage.key).folder / path.relative_to(record.folder)
        assert path.read_bytes() == twin.read_bytes()
