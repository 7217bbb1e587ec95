"""What is told of a file of old results before anything runs."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from interpreter.spec import imported
from interpreter.spec.combined import Combine, groups_of
from interpreter.spec.curve_files import Layout, metric_of, read_curves
from interpreter.spec.imported import Import, ImportFacts, content_hash, look


def config(file: str = "old.csv", **fields: Any) -> Import:
    return Import.model_validate({"import": file, **fields})


def facts(folder: Path, text: str | bytes, name: str = "old.csv", **fields: Any) -> ImportFacts:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return look(path, config(name, **fields))


def told(folder: Path, text: str | bytes, **fields: Any) -> tuple[str, ...]:
    return facts(folder, text, **fields).problems


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("val_loss", "val/loss"), ("val/loss", "val/loss"), ("validation_accuracy", "val/accuracy"), ("Loss/train", "train/loss"),
        ("accuracy", "val/accuracy"), ("train.acc", "train/accuracy"), ("Test Top-5", "test/top5"), ("valid_f1_score", "val/f1"),
        ("train_loss_epoch", "train/loss"), ("train_loss_step", None), ("lr", None), ("loss", "val/loss"), ("val", None),
        ("shifted_rmse", None), ("epoch", None), ("", None),
    ],
)  # fmt: skip
def test_names_of_metrics(name: str, metric: str | None) -> None:
    assert metric_of(name, "val") == metric


def test_a_split_of_its_own_is_understood_in_names() -> None:
    assert metric_of("shifted_rmse", "shifted") == "shifted/rmse"
    assert metric_of("rmse", "shifted") == "shifted/rmse"
    assert metric_of("train_rmse", "shifted") == "train/rmse"


def test_a_wide_table(tmp_path: Path) -> None:
    text = "epoch,seed,lr,train_loss,val_loss,val/accuracy\n1,0,0.1,2.0,2.1,0.5\n2,0,0.1,1.0,1.5,0.75\n1,7,0.1,2.5,nan,\n"
    found = facts(tmp_path, text)
    assert found == ImportFacts(
        hashlib.sha256(text.encode()).hexdigest(), "curves", ("train/loss", "val/loss", "val/accuracy"), (0, 7), 2
    )
    curves = read_curves(text.encode(), "old.csv", Layout())
    assert curves.by_seed[0] == {
        0: {"train/loss": 2.0, "val/loss": 2.1, "val/accuracy": 0.5},
        1: {"train/loss": 1.0, "val/loss": 1.5, "val/accuracy": 0.75},
    }
    assert math.isnan(curves.by_seed[7][0]["val/loss"])
    assert "val/accuracy" not in curves.by_seed[7][0]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffepoch;val_loss\r\n1;2.5\r\n2;1.5\r\n",
        "epoch\tval_loss\n1\t2.5\n2\t1.5",
        '"epoch","val_loss"\n"1","2.5"\n\n" 2 "," 1.5 "\n',
        "epoch,val_loss\r1,2.5\r2,1.5\r",
        "epoch,step,train_loss,val_loss\n1.0,9,,2.5\n1.0,9,3,\n2.0,19,,1.5\n2.0,19,2,\n",
        "epoch,metric,value\n1,val_loss,2.5\n1,lr,0.1\n2,val_loss,1.5\n",
    ],
    ids=["bom-semicolon-crlf", "tab", "quotes-spaces", "cr", "two-rows-an-epoch", "long"],
)
def test_forms_that_say_the_same(text: str) -> None:
    found = read_curves(text.encode(), "old.csv", Layout())
    assert found.problems == []
    assert {epoch: row["val/loss"] for epoch, row in found.by_seed[None].items()} == {0: 2.5, 1: 1.5}


def test_results_without_epochs_are_one_epoch() -> None:
    long = read_curves(b"metric,value\ntest_accuracy,0.9\ntest/nll,0.25\n", "a.csv", Layout())
    assert (long.by_seed, long.epochs) == ({None: {0: {"test/accuracy": 0.9, "test/nll": 0.25}}}, 1)
    wide = read_curves(b"seed,accuracy\n0,0.9\n1,0.8\n", "a.csv", Layout(split="test", first_epoch=0))
    assert wide.by_seed == {0: {0: {"test/accuracy": 0.9}}, 1: {0: {"test/accuracy": 0.8}}}


def test_columns_by_hand(tmp_path: Path) -> None:
    text = "it,run,err,Kendall\n0,3,0.5,0.1\n1,3,0.25,0.2\n"
    how = {"epoch": "it", "first_epoch": 0, "seed": "run", "columns": {"err": "rmse"}}
    assert facts(tmp_path, text, **how).metrics == ("val/rmse",)
    found = read_curves(text.encode(), "old.csv", config(**how).layout)
    assert found.by_seed == {3: {0: {"val/rmse": 0.5}, 1: {"val/rmse": 0.25}}}


@pytest.mark.parametrize(
    ("text", "fields", "problem"),
    [
        ("Epoch,val_loss\n1,2\n", {}, "has no column `epoch`; did you mean `Epoch`?"),
        ("EPOCH,val_loss\n1,2\n", {}, "has no column `epoch`; did you mean `EPOCH`?"),
        ("step,val_loss\n1,2\n2,1\n", {}, "line 3: a second row, and there is no column `epoch` to tell them apart"),
        ("epoch,val_loss\n1,2\n", {"epoch": "it"}, "has no column `it`; known: epoch"),
        ("epoch,val_loss,x\n1,2\n2,1,1\n", {}, "line 2: 2 fields, and the header has 3"),
        ("epoch,val_loss\n1,2\n2,high\n", {}, "line 3: `high` is no number (val/loss)"),
        ("epoch;val_loss\n1;2,5\n", {}, "line 2: `2,5` is no number (val/loss); a decimal comma? write 2.5"),
        ("epoch,val_loss\n1,1_0\n", {}, "line 2: `1_0` is no number (val/loss)"),
        ("epoch,val_loss\n1,2\n2,1\n\n1,2\n", {}, "line 5: val/loss of epoch 1 is there twice (its rows begin on line 2)"),
        ("seed,epoch,val_loss\n4,1,2\n4,1,2\n", {},
         "line 3: val/loss of epoch 1, seed 4, is there twice (its rows begin on line 2)"),
        ("epoch,val_loss\n0,2\n", {}, "line 2: epoch 0, and the first is 1; say `first_epoch: 0`"),
        ("epoch,val_loss\n1.5,2\n", {}, "line 2: `1.5` in column `epoch` is no whole number from 0 up"),
        ("epoch,seed,val_loss\n1,a,2\n", {}, "line 2: `a` in column `seed` is no whole number from 0 up"),
        ("epoch,val_accuracy\n1,93.5\n", {},
         "line 2: val/accuracy is between 0 and 1, and this is 93.5 (percent? divide by 100)"),
        ("epoch,val_rmse\n1,-1\n", {}, "line 2: val/rmse is 0 or more, and this is -1"),
        ("epoch,lr,loss1\n1,2,3\n", {},
         "has no column that is a known metric (it has `lr`, `loss1`); name them: `columns: {COLUMN: split/metric}`"),
        ("epoch,val_loss,val/loss\n1,2,3\n", {},
         "has several columns that mean val/loss: val_loss, val/loss; choose with `columns`"),
        ("epoch,val_loss,val_loss\n1,2,3\n", {}, "has two columns `val_loss`"),
        ("epoch,eror\n1,2\n", {"columns": {"error": "rmse"}}, "has no column `error`; did you mean `eror`?"),
        ("epoch,val_loss\n", {}, "has no rows"),
        ("epoch,val_loss\n1,\n", {}, "has no values of known metrics"),
        ("", {}, "is empty"),
        (b"epoch,val_loss\n1,2\n\xff\xfe\n", {}, "line 3: not UTF-8 text (byte 19); save it as UTF-8"),
        ('epoch,val_loss\n1,"2\n', {}, "line 2: unexpected end of data"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table(tmp_path: Path, text: str | bytes, fields: dict[str, Any], problem: str) -> None:
    assert told(tmp_path, text, **fields) == (problem,)


def test_many_problems_are_counted(tmp_path: Path) -> None:
    lines = "".join(f"{n},x\n" for n in range(1, 31))
    problems = told(tmp_path, "epoch,val_loss\n" + lines)
    assert len(problems) == 11
    assert (problems[9], problems[10]) == ("line 11: `x` is no number (val/loss)", "and 20 more")


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "old.csv").open("wb") as file:
        file.truncate(imported.LIMIT_BYTES + 1)
    found = look(tmp_path / "old.csv", config())
    assert found.sha256 == ""
    assert found.problems == ("has 50 MB, and 50 MB is the most that is read; keep what is needed, one row an epoch",)


def test_kinds_and_absence(tmp_path: Path) -> None:
    assert look(tmp_path / "no.csv", config("no.csv")) == ImportFacts("", "curves", problems=("is not here",))
    assert told(tmp_path, "epoch,val_loss\n1,2\n", name="old.dat")[0].startswith("is of no known kind by its name")
    assert facts(tmp_path, "epoch,val_loss\n1,2\n", name="old.dat", kind="curves").metrics == ("val/loss",)
    (tmp_path / "logs" / "version_0").mkdir(parents=True)
    assert look(tmp_path / "logs", config("logs")).problems == ("has no event files, events.out.tfevents*",)
    (tmp_path / "logs" / "version_0" / "events.out.tfevents.1.host").write_bytes(b"a")
    assert look(tmp_path / "logs", config("logs")).problems == (
        "has no event files, events.out.tfevents*; its folders `version_0` do",
    )
    folder = tmp_path / "logs" / "version_0"
    found = look(folder, config("logs/version_0", columns={"x": "train/loss"}))
    assert (found.kind, found.metrics, found.problems) == ("tensorboard", ("train/loss",), ())
    line = f"events.out.tfevents.1.host\t1\t{hashlib.sha256(b'a').hexdigest()}\n"
    assert found.sha256 == hashlib.sha256(line.encode()).hexdigest() == content_hash(folder)
    (folder / "hparams.yaml").write_text("lr: 1")
    assert content_hash(folder) == found.sha256
    (folder / "events.out.tfevents.1.host").write_bytes(b"b")
    assert content_hash(folder) != found.sha256


def archive(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_archives_by_their_headers(tmp_path: Path) -> None:
    targets = np.array([0, 1, 2, 1])
    path = archive(tmp_path / "p.npz", outputs=np.zeros((4, 3), np.float32), targets=targets)
    found = look(path, config("p.npz", split="test"))
    assert (found.kind, found.seeds, found.epochs, found.problems) == ("predictions", (), 1, ())
    assert found.metrics is not None
    assert {"test/accuracy", "test/nll", "test/loss"} <= set(found.metrics)
    path = archive(tmp_path / "p.npz", v4=np.zeros((5, 4), np.uint8), labels=targets)
    found = look(path, config("p.npz", columns={"v4": "classes", "labels": "targets"}))
    assert (found.seeds, found.metrics) == ((0, 1, 2, 3, 4), ("val/accuracy", "val/precision", "val/recall", "val/f1"))
    path = archive(tmp_path / "p.npz", output=np.zeros(4), target=np.zeros(4))
    assert look(path, config("p.npz")).metrics == ("val/loss", "val/rmse", "val/mae", "val/pearson", "val/spearman")


@pytest.mark.parametrize(
    ("arrays", "fields", "problem"),
    [
        ({"logits": np.zeros((4, 3)), "targets": np.zeros(4, int)}, {},
         "has none of outputs, probabilities, classes (it holds logits, targets); say which is which: `columns: {NAME: "
         "outputs, NAME: targets}`"),
        ({"outputs": np.zeros((4, 3))}, {}, "has no `targets`; say which they are: `columns: {NAME: targets}`"),
        ({"outputs": np.zeros((4, 3)), "targets": np.zeros(5, int)}, {}, "`outputs` has 4 examples and `targets` has 5"),
        ({"outputs": np.zeros((2, 2, 4, 3)), "targets": np.zeros(4, int)}, {},
         "`outputs` has 4 axes; outputs have 2, or one more in front for seeds"),
        ({"classes": np.zeros(4), "targets": np.zeros(4, int)}, {}, "`classes` are no whole numbers, and classes are"),
        ({"outputs": np.zeros((4, 3)), "targets": np.array(list("abcd"))}, {},
         "`targets` are no numbers; classes are counted from 0"),
        ({"outputs": np.array([{}], dtype=object), "targets": np.zeros(1)}, {},
         "`outputs` holds objects, which are not read; save plain numbers or text"),
        ({"out": np.zeros((4, 3)), "targets": np.zeros(4)}, {"columns": {"oot": "outputs"}}, "has no `oot`; did you mean `out`?"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_archive(tmp_path: Path, arrays: dict[str, Any], fields: dict[str, Any], problem: str) -> None:
    assert look(archive(tmp_path / "p.npz", **arrays), config("p.npz", **fields)).problems == (problem,)


def test_archives_that_are_damaged(tmp_path: Path) -> None:
    words = "is no archive of arrays that can be read: "
    assert told(tmp_path, b"hello", name="p.npz") == (f"{words}File is not a zip file",)
    data = archive(tmp_path / "q.npz", outputs=np.arange(600.0).reshape(200, 3), targets=np.zeros(200, int)).read_bytes()
    refused = 0
    for at in range(60, len(data), 7):  # in headers, in compressed bytes, in the list of members
        damaged = data[:at] + bytes(255 - byte for byte in data[at : at + 3]) + data[at + 3 :]
        refused += bool(told(tmp_path, damaged, name="p.npz"))
    assert refused > 20


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"import": "/etc/passwd"}, "no path from the project's root"),
        ({"import": "../old.csv"}, "no path from the project's root"),
        ({"import": "a/../../old.csv"}, "no path from the project's root"),
        ({"import": {"one": "a.csv"}}, "`one` is no seed"),
        ({"import": {"01": "a.csv"}}, "`01` is no seed"),
        ({"import": {}}, "no files"),
        ({"import": "a.csv", "columns": {"x": "val/acuracy"}}, "there is no metric `acuracy`; did you mean `accuracy`"),
        ({"import": "a.csv", "columns": {"x": "V!/loss"}}, "no name of a split"),
        ({"import": "a.npz", "columns": {"x": "output"}}, "did you mean `outputs`?"),
        ({"import": "a.csv", "objective": "regression"}, "`objective` is for predictions"),
        ({"import": "a.csv", "first_epoch": 2}, "Input should be 0 or 1"),
        ({"import": "a.csv", "splt": "val"}, "Extra inputs are not permitted"),
    ],
)
def test_pages_that_are_refused(written: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        Import.model_validate(written)
    assert words in str(error.value)


def test_files_by_seed() -> None:
    assert Import.model_validate({"import": {"0": "a.csv", "12": "b.csv"}}).files == {0: "a.csv", 12: "b.csv"}
    assert config("a/b.csv").files == {None: "a/b.csv"}


def test_groups() -> None:
    def groups(count: int, members: int, kind: str) -> list[tuple[int, ...]]:
        combine = Combine.model_validate({"combine": "single", "members": members, "groups": kind})
        return groups_of(range(10, 10 + count), combine)

    assert groups(8, 4, "disjoint") == [(10, 11, 12, 13), (14, 15, 16, 17)]
    assert groups(7, 3, "disjoint") == [(10, 11, 12), (13, 14, 15)]
    assert groups(4, 3, "sliding") == [(10, 11, 12), (11, 12, 13), (12, 13, 10), (13, 10, 11)]
    assert groups(3, 3, "sliding") == groups(3, 3, "disjoint") == [(10, 11, 12)]
    assert groups(2, 3, "sliding") == groups(2, 3, "disjoint") == []


@pytest.mark.parametrize("written", [{"combine": "single", "members": 1}, {"combine": "2024-06-28/a/single", "members": 2}])
def test_combinations_that_are_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Combine.model_validate(written)
