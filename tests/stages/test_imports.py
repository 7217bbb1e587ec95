"""Old results become the record of a stage: the numbers of the file, and where they come from."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.attempts import numbers
from interpreter.run.execute import run_plan
from interpreter.run.record import Record
from interpreter.run.status import status_of
from tests.stages.build import plan
from tests.stages.build import project as make_project
from tests.stages.doing import codes, do, lines, result, same
from tests.stages.foreign import archive, import_stage, write

ROOT = Path(__file__).resolve().parents[2]
CIFAR = Path(os.environ.get("EXPT_DATA_CIFAR10_1", ROOT.parent / "shared" / "data" / "cifar10_1")) / "predictions.npz"
CURVES = "epoch,seed,train_loss,val_loss,val_accuracy\n1,0,2.0,2.5,0.5\n2,0,1.0,1.5,0.75\n4,0,0.5,nan,0.5\n1,3,2.0,1.0,0.25\n"


@pytest.fixture
def home(tmp_path: Path) -> Project:
    return make_project(tmp_path.resolve() / "home")


def metrics(home: Project, stage: Stage) -> dict[int, dict[str, Any]]:
    return {line["epoch"]: line["metrics"] for line in lines(home, stage, "epoch")}


def outputs(home: Project, stage: Stage, split: str = "val") -> np.ndarray:
    folder = Record.of(home, stage.key).predictions / split
    return np.array(pq.read_table(folder / "epochs-0000-0000.parquet")["output"].to_pylist())


def test_curves_of_a_seed(home: Project) -> None:
    write(home, "old/runs.csv", CURVES)
    stage = import_stage(home, "old/runs.csv", source="the appendix of a report")
    other = import_stage(home, "old/runs.csv", seed=3)
    assert do(home, stage, other) == ["done", "done"]
    assert metrics(home, stage) == {
        0: {"train/loss": 2.0, "val/loss": 2.5, "val/accuracy": 0.5},
        1: {"train/loss": 1.0, "val/loss": 1.5, "val/accuracy": 0.75},
        3: {"train/loss": 0.5, "val/loss": "NaN", "val/accuracy": 0.5},
    }
    assert metrics(home, other) == {0: {"train/loss": 2.0, "val/loss": 1.0, "val/accuracy": 0.25}}
    (data,) = lines(home, stage, "data")
    assert data["origin"] == "imported from old/runs.csv: the appendix of a report"
    assert codes(home, stage) == ["epochs-missing", "non-finite-metric"]
    done = Record.of(home, stage.key).done()
    assert done is not None
    assert {name: done[name] for name in ("kind", "epochs", "planned_epochs", "best", "last", "predictions", "why")} == {
        "kind": "import", "epochs": 4, "planned_epochs": 0, "best": None, "last": None, "predictions": {}, "why": "imported",
    }  # fmt: skip
    status = status_of(home, stage.key)
    assert (status.state, status.epoch, status.epochs) == ("done", 4, 0)


def test_a_file_without_seeds_serves_any_seed(home: Project) -> None:
    write(home, "a.csv", "epoch,val_loss\n1,2\n")
    stage = import_stage(home, "a.csv", seed=9)
    assert do(home, stage) == ["done"]
    assert metrics(home, stage) == {0: {"val/loss": 2.0}}


def test_what_a_file_can_do_wrong_fails_the_stage_in_words(home: Project) -> None:
    write(home, "a.csv", CURVES)
    write(home, "b.csv", "epoch,val_loss\n1,2\n2,x\n")
    absent = import_stage(home, "a.csv", seed=1)
    changed = import_stage(home, "a.csv", seed=3)
    assert do(home, absent, import_stage(home, "b.csv")) == [
        "failed: `a.csv`: has no seed 1; it has 0, 3",
        "failed: `b.csv`: line 3: `x` is no number (val/loss)",
    ]
    write(home, "a.csv", CURVES + "2,3,1,1,0.5\n")
    (how,) = do(home, changed)
    assert how.startswith("failed: the file `a.csv` has changed since it was planned with: its sha256 is ")
    assert how.endswith("(plan again: its results are then others, under a key of their own)")
    (home.root / "a.csv").unlink()
    assert do(home, changed) == ["failed: the file `a.csv` to import is not here"]
    assert not Record.of(home, changed.key).done_file.exists()


def test_identity_has_the_content_and_not_the_place(home: Project) -> None:
    write(home, "a.csv", CURVES)
    write(home, "moved/b.csv", CURVES)
    one, other = import_stage(home, "a.csv", source="here"), import_stage(home, "moved/b.csv", source="there")
    assert one.key == other.key
    assert do(home, one, other) == ["done", "busy: done"]


LOGITS = np.array([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5], [0.0, 0.0, 3.0], [1.0, 0.9, 0.0]])
TARGETS = np.array([0, 1, 1, 1])


def test_predictions_of_classes(home: Project) -> None:
    file = archive(
        home, "p.npz", outputs=LOGITS, targets=TARGETS, ids=np.array(["a", "b", "c", "d"]), class_names=np.array(list("xyz"))
    )
    stage = import_stage(home, file, split="test")
    assert do(home, stage) == ["done"]
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    found = metrics(home, stage)[0]
    assert found["test/accuracy"] == 0.5
    assert found["test/nll"] == pytest.approx(-np.log(p[range(4), TARGETS]).mean(), abs=1e-6)
    assert found["test/top5"] == 1.0
    (table,) = lines(home, stage, "table")
    assert table["value"] == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]
    folder = Record.of(home, stage.key).predictions / "test"
    known = pq.read_table(folder / "targets.parquet").to_pydict()
    assert known == {"row": [0, 1, 2, 3], "id": ["a", "b", "c", "d"], "target": [0, 1, 1, 1]}
    assert np.array_equal(outputs(home, stage, "test"), LOGITS.astype(np.float32))
    (data,) = lines(home, stage, "data")
    assert data["facts"] == {"n": {"test": 4}, "class_names": ["x", "y", "z"]}
    assert lines(home, stage, "epoch")[0]["resources"] == {}


def test_probabilities_become_logits_and_zero_stays_finite(home: Project) -> None:
    p = np.array([[1.0, 0.0], [0.25, 0.75]])
    stage = import_stage(home, archive(home, "p.npz", probabilities=p, targets=np.array([1, 1])))
    assert do(home, stage) == ["done"]
    assert metrics(home, stage)[0]["val/nll"] == pytest.approx((87.3365 - math.log(0.75)) / 2, abs=1e-3)
    assert np.exp(outputs(home, stage)[1]) == pytest.approx([0.25, 0.75])
    wrong = import_stage(home, archive(home, "q.npz", probabilities=p * 2, targets=np.array([1, 1])))
    assert do(home, wrong) == [
        "failed: `q.npz`: its probabilities in row 0 are negative or sum to 2, not 1 (logits are called `outputs`)"
    ]


def test_predicted_classes_alone_tell_what_they_can(home: Project) -> None:
    said = np.array([[0, 1, 1, 0], [2, 1, 0, 0]])
    file = archive(home, "p.npz", said=said, labels=TARGETS)
    columns = {"said": "classes", "labels": "targets"}
    first, second = (import_stage(home, file, seed=seed, columns=columns) for seed in (0, 1))
    assert do(home, first, second, import_stage(home, file, seed=2, columns=columns)) == [
        "done",
        "done",
        "failed: `p.npz`: has predictions of seeds 0 to 1, and this trial has seed 2",
    ]
    assert set(metrics(home, first)[0]) == {"val/accuracy", "val/precision", "val/recall", "val/f1"}
    assert (metrics(home, first)[0]["val/accuracy"], metrics(home, second)[0]["val/accuracy"]) == (0.75, 0.25)
    assert codes(home, first) == ["only-classes"]
    assert outputs(home, second).argmax(axis=1).tolist() == [2, 1, 0, 0]


def test_arrays_that_are_damaged_or_mean_nothing_fail_in_words(home: Project) -> None:
    archive(home, "p.npz", outputs=np.arange(600.0).reshape(200, 3), targets=np.zeros(200, int))
    data = bytearray((home.root / "p.npz").read_bytes())
    data[200:220] = bytes(20)
    write(home, "damaged.npz", bytes(data))
    many = archive(home, "many.npz", classes=np.array([2**30]), targets=np.array([0]))
    nan = archive(home, "nan.npz", outputs=LOGITS, targets=np.array([0, 1, np.nan, 1]))
    stages = [import_stage(home, name, objective="classification") for name in ("damaged.npz", many, nan)]
    damaged, classes, targets = do(home, *stages)
    assert damaged.startswith("failed: `damaged.npz`: ")
    assert "can" in damaged and "be read" in damaged
    assert classes == "failed: `many.npz`: has a class 1073741824; classes are counted from 0, and 100,000 are the most"
    assert targets.startswith("failed: `nan.npz`: its targets are no classes")
    assert not (Record.of(home, stages[0].key).attempts / "0001.error").exists()


def test_predicted_numbers_in_a_table_with_seeds(home: Project) -> None:
    table = pa.table(
        {
            "seed": [0, 0, 0, 5, 5, 5],
            "id": list("abcabc"),
            "target": [1.0, 2.0, 4.0] * 2,
            "output": [1.0, 2.0, 3.0, 2.0, 3.0, 5.0],
        }
    )
    pq.write_table(table, home.root / "p.parquet")
    stage = import_stage(home, "p.parquet", seed=5)
    assert do(home, stage, import_stage(home, "p.parquet", seed=1)) == ["done", "failed: `p.parquet`: has no seed 1; it has 0, 5"]
    found = metrics(home, stage)[0]
    assert (found["val/rmse"], found["val/mae"], found["val/loss"]) == (1.0, 1.0, 1.0)
    assert found["val/pearson"] == pytest.approx(1.0)
    assert outputs(home, stage).tolist() == [[2.0], [3.0], [5.0]]


def test_predictions_that_are_not_asked_for_are_not_kept(tmp_path: Path) -> None:
    home = make_project(tmp_path / "home", keep="none")
    stage = import_stage(home, archive(home, "p.npz", outputs=LOGITS, targets=TARGETS))
    assert do(home, stage) == ["done"]
    assert metrics(home, stage)[0]["val/accuracy"] == 0.5
    assert not Record.of(home, stage.key).predictions.exists()


@pytest.mark.skipif(not CIFAR.is_file(), reason="published predictions are absent: EXPT_DATA_CIFAR10_1")
def test_published_predictions(home: Project) -> None:
    """VGG-16 on CIFAR-10.1 (Recht et al. 2018): 85.25 % on v4 and 93.59 % on the original test set, as its README says."""
    write(home, "published.npz", CIFAR.read_bytes())
    found = {}
    for split, right, count in (("v4", 1723, 2021), ("original", 9359, 10000)):
        columns = {split: "classes", f"labels_{split}": "targets"}
        stage = import_stage(home, "published.npz", seed=25, split=split, columns=columns, source="arXiv 1806.00451")
        assert do(home, stage) == ["done"]
        found[split] = metrics(home, stage)[0][f"{split}/accuracy"]
        assert found[split] == right / count
        assert lines(home, stage, "epoch")[0]["examples"] == count


def events(folder: Path, name: str, scalars: list[tuple[str, int, float]], when: float = 1.0) -> Path:
    """A TensorBoard event file, written by TensorBoard's own writer."""
    record_writer = pytest.importorskip("tensorboard.summary.writer.record_writer", reason="`tensorboard` is not installed")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{name}"
    with path.open("wb") as file:
        writer = record_writer.RecordWriter(file)
        writer.write(Event(wall_time=when, file_version="brain.Event:2").SerializeToString())
        for tag, step, value in scalars:
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.write(Event(wall_time=when, step=step, summary=summary).SerializeToString())
        writer.flush()
    return path


def test_event_files_whose_steps_are_epochs(home: Project) -> None:
    events(home.root / "logs", "1.lab", [("Loss/train", 1, 2.0), ("Loss/val", 1, 3.0), ("lr", 1, 0.1), ("Loss/train", 2, 1.0)])
    events(home.root / "logs", "2.lab", [("Loss/train", 2, 0.5), ("Loss/val", 2, 1.5), ("Loss/train", 3, 0.25)])
    stage = import_stage(home, "logs")
    assert do(home, stage) == ["done"]
    assert metrics(home, stage) == {
        0: {"train/loss": 2.0, "val/loss": 3.0},
        1: {"train/loss": 0.5, "val/loss": 1.5},
        2: {"train/loss": 0.25},
    }


def test_event_files_with_a_scalar_that_counts_epochs(home: Project) -> None:
    scalars = [("epoch", 9, 0.0), ("train_loss", 4, 9.0), ("train_loss", 9, 2.0), ("val_loss", 9, 3.0)]
    scalars += [("epoch", 19, 1.0), ("train_loss", 19, 1.0), ("val_loss", 19, 2.5), ("val_loss", 20, 2.25)]
    events(home.root, "one", scalars)
    stage = import_stage(home, "events.out.tfevents.one", first_epoch=0)
    assert do(home, stage) == ["done"]
    assert metrics(home, stage) == {0: {"train/loss": 2.0, "val/loss": 3.0}, 1: {"train/loss": 1.0, "val/loss": 2.25}}
    assert do(home, import_stage(home, "events.out.tfevents.one")) == [
        "failed: `events.out.tfevents.one`: `train_loss` begins with epoch 0, and the first is 1; say `first_epoch: 0`; "
        "`val_loss` begins with epoch 0, and the first is 1; say `first_epoch: 0`"
    ]


def test_event_files_that_can_not_be_read(home: Project) -> None:
    events(home.root, "fine", [("speed", 1, 2.0)])
    write(home, "events.out.tfevents.bad", b"these are no events at all, not one of them")
    fine, bad = import_stage(home, "events.out.tfevents.fine"), import_stage(home, "events.out.tfevents.bad")
    tag = import_stage(home, "events.out.tfevents.fine", columns={"sped": "train/loss"})
    said = do(home, fine, tag, bad)
    assert "has no scalar that is a known metric (it has `speed`); name them: `columns: {TAG: split/metric}`" in said[0]
    assert "has no scalar `sped`; did you mean `speed`?" in said[1]
    assert "has an event file that can't be read: events.out.tfevents.bad" in said[2]


def test_a_cut_off_event_file_gives_what_is_whole(home: Project) -> None:
    path = events(home.root, "cut", [("val_loss", n, 1.0 / n) for n in range(1, 6)])
    path.write_bytes(path.read_bytes()[:-7])
    stage = import_stage(home, path.name)
    assert do(home, stage) == ["done"]
    assert sorted(metrics(home, stage)) == [0, 1, 2, 3]


def test_without_tensorboard_it_says_how_to_get_it(home: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "events.out.tfevents.x", b"")
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_file_loader", None)
    (said,) = do(home, import_stage(home, "events.out.tfevents.x"))
    assert said.endswith("event files are read by the package `tensorboard`, which is not installed (pip install tensorboard)")


SLOW_IMPORT = """
import json, sys, time
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
    for place in (home, other):
        archive(place, "p.npz", outputs=LOGITS, targets=TARGETS)
    stage = import_stage(home, "p.npz")
    Record.of(home, stage.key).write_stage(stage)
    command = [sys.executable, "-c", SLOW_IMPORT, str(home.root), stage.key]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
    record = Record.of(home, stage.key)
    assert (record.predictions / "val" / "epochs-0000-0000.parquet").is_file()
    assert not record.done_file.exists()
    assert status_of(home, stage.key).state == "died"
    assert do(home, stage) == ["done"]
    assert numbers(record) == [1, 2]
    assert do(other, stage) == ["done"]
    again, whole = result(home, stage), result(other, stage)
    same(again, whole)
    for name in ("targets.parquet", "epochs-0000-0000.parquet"):
        path = Path("predictions") / "val" / name
        assert (record.folder / path).read_bytes() == (Record.of(other, stage.key).folder / path).read_bytes()


def test_a_run_reuses_blocks_and_tells_what_is_not_built(home: Project) -> None:
    write(home, "a.csv", CURVES)
    write(home, "b.csv", CURVES + "\n")
    here, gone = import_stage(home, "a.csv"), import_stage(home, "b.csv")
    (home.root / "b.csv").unlink()
    announced = Stage(
        **{**{n: getattr(here, n) for n in Stage.__slots__}, "key": "c" * 40, "unbuilt": ("the model type `cnn3d`", "`thaw`")}
    )
    outcome = run_plan(home, plan(here, gone, announced))
    assert outcome.done == (here.key,)
    assert outcome.blocked == {
        gone.key: "the file `b.csv` to import is not here",
        announced.key: "not built yet: the model type `cnn3d`, `thaw`",
    }
    assert outcome.exit_code == 3
    assert not Record.of(home, announced.key).folder.exists()
    began = time.monotonic()
    (home.root / "a.csv").unlink()
    assert run_plan(home, plan(here)).reused == (here.key,)
    assert time.monotonic() - began < 1
    assert json.loads(Record.of(home, here.key).stage_file.read_text())["settings"]["import"]["path"] == "a.csv"
