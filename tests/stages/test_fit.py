"""What a fit and an evaluation record, where they start from, and how they fail."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from interpreter.parts.build import rate_at
from interpreter.run.events import effective, read_events
from interpreter.run.execute import run_plan
from interpreter.run.inline import Inline
from interpreter.run.record import Record
from tests.stages.build import DIGITS, HEAD, MLP, evaluate, fit, plan, project, schedule, start_from
from tests.stages.doing import codes, do, lines, result, same


def weights(home: object, stage: object, rule: str = "best") -> dict[str, torch.Tensor]:
    record = Record.of(home, stage.key)  # type: ignore[arg-type, attr-defined]
    return torch.load(record.checkpoints / record.done()[rule]["checkpoint"], weights_only=True)["model"]


def test_a_fit_records_what_it_did(tmp_path: Path) -> None:
    home, stage = project(tmp_path), fit("one", epochs=6, keep={"best": "val/accuracy", "every": 2, "last": True})
    assert do(home, stage) == ["done"]
    record, epochs = Record.of(home, stage.key), lines(home, stage, "epoch")
    assert [e["epoch"] for e in epochs] == list(range(6))
    assert [e["step"] for e in epochs] == [10, 20, 30, 40, 50, 60]
    assert {e["examples"] for e in epochs} == {300}
    assert [e["rates"]["all"] for e in epochs] == [rate_at(stage.settings["schedule"], 10 * n + 9, 10) for n in range(6)]
    accuracy = [e["metrics"]["val/accuracy"] for e in epochs]
    done = record.done()
    assert done["best"]["value"] == max(accuracy)
    assert done["best"]["epoch"] == accuracy.index(max(accuracy))
    assert {p.name for p in record.checkpoints.iterdir()} == {f"epoch-{e:04d}.pt" for e in {1, 3, 5, done["best"]["epoch"]}}
    baseline = lines(home, stage, "baseline")[0]["metrics"]
    assert baseline["val/loss"] == pytest.approx(math.log(10), abs=0.01)
    assert done["events_bytes"] == record.events.stat().st_size
    assert (done["planned_epochs"], done["epochs"], done["why"]) == (6, 6, "planned epochs")

    targets = pq.read_table(record.predictions / "val" / "targets.parquet")
    outputs = pq.read_table(record.predictions / "val" / done["predictions"]["val"][0])
    assert outputs.schema.types == ["int32", "int32", "list<element: float>"] or str(
        outputs.schema.field("output").type
    ).startswith("list")
    assert outputs.num_rows == 6 * targets.num_rows
    scores = torch.tensor(outputs.column("output").to_pylist()).reshape(6, targets.num_rows, 10)
    right = scores.argmax(-1) == torch.tensor(targets.column("target").to_pylist())
    assert right.double().mean(1).tolist() == pytest.approx(accuracy, abs=1e-12)
    assert json.loads((record.attempts / "0001.end").read_text())["how"] == "done"


def test_an_evaluation_gives_what_the_fit_gave(tmp_path: Path) -> None:
    home, stage = project(tmp_path), fit("one", epochs=5)
    final, again, late = (
        evaluate("final", stage),
        evaluate("val", stage, part="val"),
        evaluate("late", stage, part="val", checkpoint="last"),
    )
    assert do(home, stage, final, again, late) == ["done"] * 4
    best = Record.of(home, stage.key).done()["best"]["epoch"]
    of_fit = lines(home, stage, "epoch")
    metrics = lines(home, again, "epoch")[0]["metrics"]
    assert metrics == {k: v for k, v in of_fit[best]["metrics"].items() if k.startswith("val/")}
    assert lines(home, late, "epoch")[0]["metrics"]["late/loss"] == of_fit[-1]["metrics"]["val/loss"]
    assert set(lines(home, final, "epoch")[0]["metrics"]) == {k.replace("val/", "final/") for k in metrics}
    assert lines(home, final, "baseline")[0]["metrics"]["final/loss"] > 2
    assert Record.of(home, final.key).done()["predictions"] == {"final": ["epochs-0000-0000.parquet"]}
    assert do(home, evaluate("no", stage, checkpoint="epoch-2")) == [
        f"failed: stage {stage.key} kept no checkpoint `epoch-2` (kept: epoch-5; ask with `keep: {{every: N}}` for more)"
    ]


def test_the_head_is_carried_when_it_means_the_same(tmp_path: Path) -> None:
    home, first = project(tmp_path), fit("first", epochs=2)
    none = {"schedule_optimizer": {"type": "sgd", "lr": 1e-30}, "schedule_clip": None, "epochs": 1}
    flat = {"schedule_lr_schedule": {"type": "constant"}}
    same_head = fit("same", inputs=start_from(first), **none, **flat)
    other_head = fit("other", inputs=start_from(first), head={"hidden": 8, "dropout": 0.0}, **none, **flat)
    never = fit("never", inputs=start_from(first, "last", "encoder-only"), **none, **flat)
    everything = fit("all", inputs=start_from(first, take="all"), head={"hidden": 8, "dropout": 0.0}, **none, **flat)
    other_model = fit("misfit", inputs=start_from(first), model=MLP | {"hidden": [12]}, **none, **flat)
    ended = do(home, first, same_head, other_head, never, everything, other_model)
    assert ended[:4] == ["done"] * 4
    assert ended[4].startswith("failed: take: all, but the head")
    assert "do not fit the model: of another shape: encoder." in ended[5]
    carried = [lines(home, s, "start")[0]["carried"] for s in (first, same_head, other_head, never)]
    assert carried == [[], ["encoder", "head"], ["encoder"], ["encoder"]]
    old = weights(home, first)
    for stage in (same_head, other_head, never):
        new = weights(home, stage)
        for name in (n for n, p in new.items() if p.ndim > 1):
            equal = torch.equal(new[name], old[name]) if name in old and new[name].shape == old[name].shape else False
            assert equal == (name.startswith("encoder.") or stage is same_head), name


def test_weights_from_a_file_are_checked(tmp_path: Path) -> None:
    home, first = project(tmp_path), fit("first", epochs=1)
    do(home, first)
    torch.save({"state_dict": weights(home, first)}, tmp_path / "w.pt")
    sha = hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()
    good = fit("good", epochs=1, start={"kind": "file", "file": "w.pt", "sha256": sha})
    bad = fit("bad", epochs=1, start={"kind": "file", "file": "w.pt", "sha256": "0" * 64})
    absent = fit("absent", epochs=1, start={"kind": "file", "file": "v.pt", "sha256": sha})
    ended = do(home, good, bad, absent)
    assert ended[0] == "done"
    assert "is not the one asked for" in ended[1]
    assert "is not here" in ended[2]
    assert lines(home, good, "start")[0]["from"] == f"sha256:{sha}"


def test_arms_with_a_seed_are_paired_and_others_are_not(tmp_path: Path) -> None:
    home = project(tmp_path)
    one, again, other = (
        fit("one", epochs=2),
        fit("two", epochs=2, keep={"best": "val/f1", "every": None, "last": True}),
        fit("x", epochs=2, seed=1),
    )
    do(home, one, again, other)
    first, second, third = (lines(home, s, "epoch")[-1]["metrics"] for s in (one, again, other))
    assert first == second
    assert first != third


def test_early_stopping_and_overfitting_are_told(tmp_path: Path) -> None:
    home = project(tmp_path)
    stop = {"monitor": "val/loss", "patience": 2, "min_delta": 0.0}
    few = DIGITS | {"per_class": 3, "shift": 0}
    rate = {"schedule_lr_schedule": {"type": "constant"}, "schedule_optimizer": {"type": "adam", "lr": 0.03}}
    plain = {"model": {"type": "mlp", "hidden": [64]}, "head": {"hidden": None, "dropout": 0.0}, "data": few, **rate}
    early = fit("early", epochs=80, schedule_early_stopping=stop, **plain)
    late = fit("late", epochs=80, **plain)
    assert do(home, early, late) == ["done", "done"]
    done = Record.of(home, early.key).done()
    assert done["why"] == "early stopping"
    assert done["epochs"] == done["best"]["epoch"] + 3 < done["planned_epochs"] == 80
    end = lines(home, early, "end")[0]
    assert (end["planned"], end["reached"], end["why"]) == (80, done["epochs"], "early stopping")
    assert "overfitting" in codes(home, late)
    assert lines(home, late, "finding")[-1]["text"].startswith("overfits since epoch")


def test_a_fit_that_learns_nothing_says_so(tmp_path: Path) -> None:
    home = project(tmp_path)
    dead = fit("dead", epochs=2, schedule_optimizer={"type": "sgd", "lr": 1e-30}, schedule_lr_schedule={"type": "constant"})
    assert do(home, dead) == ["done"]
    assert "no-better-than-baseline" in codes(home, dead)


def test_a_loss_that_is_no_number_fails_the_stage_and_is_recorded(tmp_path: Path) -> None:
    home = project(tmp_path)
    wild = {
        "schedule_optimizer": {"type": "sgd", "lr": 1e30},
        "schedule_lr_schedule": {"type": "constant"},
        "schedule_clip": None,
    }
    stage = fit("wild", epochs=4, model={"type": "mlp", "hidden": [16]}, **wild)
    (ended,) = do(home, stage)
    assert ended.startswith("failed: train/loss became nan in epoch 1")
    assert lines(home, stage, "epoch")[-1]["metrics"]["train/loss"] == "NaN"
    assert "non-finite-loss" in codes(home, stage)
    assert Record.of(home, stage.key).done() is None


def test_what_cannot_be_is_said_clearly(tmp_path: Path) -> None:
    home = project(tmp_path)
    metric = fit("metric", keep={"best": "val/beauty", "every": None, "last": True})
    split = fit("split", keep={"best": "dev/loss", "every": None, "last": True})
    big = fit("big", schedule_batch_size=500, schedule_drop_last=True)
    ended = do(home, metric, split, big, evaluate("e", metric))
    assert ended[0].startswith("failed: there is no metric val/beauty (there are: train/loss")
    assert "the data has no dev split" in ended[1]
    assert "no whole batch of 500 in 300" in ended[2]
    assert ended[3] == f"failed: stage {metric.key} is not done, and weights are to come from it"


@pytest.mark.parametrize("keep", ["best", "none"])
def test_predictions_are_kept_as_asked(tmp_path: Path, keep: str) -> None:
    home, stage = project(tmp_path, keep=keep), fit("one", epochs=3)
    assert do(home, stage) == ["done"]
    record = Record.of(home, stage.key)
    best = record.done()["best"]["epoch"]
    files = sorted(p.name for p in record.predictions.rglob("*.parquet")) if record.predictions.exists() else []
    assert files == ([f"epochs-{best:04d}-{best:04d}.parquet", "targets.parquet"] if keep == "best" else [])


def test_many_epochs_are_merged_as_they_come(tmp_path: Path) -> None:
    home, stage = project(tmp_path, keep="every_epoch"), fit("long", epochs=70, data=DIGITS | {"per_class": 2})
    assert do(home, stage) == ["done"]
    record = Record.of(home, stage.key)
    table = pq.read_table(record.predictions / "val" / "epochs-0000-0069.parquet")
    assert table.column("epoch").to_pylist() == [e for e in range(70) for _ in range(288)]
    assert len(list((record.predictions / "val").iterdir())) == 2


def test_weights_are_measured_on_the_classes_they_learned(tmp_path: Path) -> None:
    home = project(tmp_path)
    learned = fit("learned", epochs=1, data={**DIGITS, "classes": [3, 4, 5]})
    turned = evaluate("turned", learned, data={**DIGITS, "classes": [5, 4, 3]})
    assert do(home, learned) == ["done"]
    outcome = run_plan(home, plan(turned), executor=Inline(home))
    assert outcome.failed[turned.key].startswith("the weights tell 3, 4, 5 apart, and this data's classes are 5, 4, 3")


def test_a_precision_reaches_the_layers(tmp_path: Path) -> None:
    home = project(tmp_path)
    full, half = fit("full", epochs=2), fit("half", epochs=2, schedule=schedule(2, precision="bf16"))
    assert do(home, full, half) == ["done", "done"]
    first, second = weights(home, full, "last"), weights(home, half, "last")
    assert {tensor.dtype for tensor in second.values() if tensor.is_floating_point()} == {
        torch.float32
    }  # mixed: weights stay single
    largest = max(float((first[name] - second[name]).abs().max()) for name in first if first[name].is_floating_point())
    assert 1e-6 < largest < 0.5  # bfloat16 rounds, and does not derail


def test_loader_processes_change_nothing(tmp_path: Path) -> None:
    stage = fit("one", epochs=2)
    do(project(tmp_path / "0"), stage)
    do(project(tmp_path / "2", workers=2), stage)
    same(result(project(tmp_path / "0"), stage), result(project(tmp_path / "2"), stage))


def test_a_torn_tail_is_cut_and_told(tmp_path: Path) -> None:
    home, stage = project(tmp_path), fit("one", epochs=2)
    do(home, stage)
    record = Record.of(home, stage.key)
    record.done_file.unlink()
    with open(record.events, "ab") as file:
        file.write(b'{"kind":"ep')
    assert do(home, stage) == ["done"]
    assert "torn-event" in codes(home, stage)


def test_a_corrupt_line_is_told_by_the_attempt_that_finds_it(tmp_path: Path) -> None:
    home, stage = project(tmp_path), fit("one", epochs=2)
    do(home, stage)
    record = Record.of(home, stage.key)
    record.done_file.unlink()
    with open(record.events, "ab") as file:
        file.write(b"\x00\x00\n")
    assert do(home, stage) == ["done"]
    said = [x for x in effective(read_events(record.events).lines) if x.get("code") == "corrupt-event"]
    assert len(said) == 1


def test_stages_can_be_done_in_this_process(tmp_path: Path) -> None:
    home, stage = project(tmp_path), fit("here")
    outcome = run_plan(home, plan(stage, evaluate("final", stage)), executor=Inline(home), jobs=1)
    assert outcome.ok
    assert len(outcome.done) == 2


def test_head_settings_written_two_ways_are_one_head(tmp_path: Path) -> None:
    home, first = project(tmp_path), fit("first", epochs=1)
    second = fit("second", epochs=1, inputs=start_from(first), head=HEAD | {"hidden": [16]})
    assert do(home, first, second) == ["done", "done"]
    assert lines(home, second, "start")[0]["carried"] == ["encoder", "head"]
