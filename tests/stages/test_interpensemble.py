"""Fits of a wide network with the narrow ones inside it: mixed, by one branch alone, and by a coin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from interpreter.parts.build import build_model
from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.record import Record
from interpreter.stages.facts import answer
from tests.stages.build import DIGITS, evaluate, fit, project
from tests.stages.doing import codes, do, do_by_epochs, lines, result, same

WIDE = {"type": "wide_resnet18", "width": 2, "base": 2, "max_pool": "remove"}  # 2 channels for each 64: as deep, and quick
FEW = {**DIGITS, "per_class": 12}
LINEAR = {"hidden": None, "dropout": 0.0}
COIN = {"type": "interpensemble_draw", "big": 0.5}
SGD = {"type": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}


def mix(big: float) -> dict[str, Any]:
    return {"type": "interpensemble_mix", "big": big}


def inter(name: str, objective: dict[str, Any], *, epochs: int = 2, **more: Any) -> Stage:
    model = {"type": "interpensemble", "of": WIDE, "groups": 2}
    settings = {"model": model, "head": LINEAR, "schedule_optimizer": SGD, "schedule_clip": None}
    return fit(name, epochs=epochs, objective=objective, **(settings | more))


def weights(home: Project, stage: Stage, epoch: int | None = None) -> dict[str, torch.Tensor]:
    record = Record.of(home, stage.key)
    path = record.checkpoints / record.done()["last"]["checkpoint"] if epoch is None else record.checkpoint(epoch)
    return torch.load(path, weights_only=True)["model"]


def own_of(state: dict[str, torch.Tensor], *, wide: bool) -> dict[str, torch.Tensor]:
    """Tensors that only the wide network has, or only the narrow ones."""
    shared = {name for name in state if ".member0.layer" in name and state[name].ndim == 4}
    return {name: tensor for name, tensor in state.items() if name not in shared and (".member0." in name) == wide}


def test_a_mixed_fit_records_one_prediction_and_both_branches(tmp_path: Path) -> None:
    home = project(tmp_path)
    stage = inter("half", mix(0.5), epochs=5)
    final = evaluate("final", stage)
    assert do(home, stage, final) == ["done", "done"]
    assert {"no-gradient", "never-trained", "parameters-optimized-twice", "norm-updates"}.isdisjoint(codes(home, stage))
    last = lines(home, stage, "epoch")[-1]["metrics"]
    for split in ("train", "val"):
        assert all(0 < last[f"{split}/{name}"] <= 1 for name in ("accuracy", "big_accuracy", "member_accuracy", "disagreement"))
        assert last[f"{split}/loss"] > last[f"{split}/nll"]  # of the mean of several predictions, by Jensen
    assert last["train/accuracy"] > 0.2  # of ten classes, of which a guess finds a tenth
    metrics = lines(home, final, "epoch")[0]["metrics"]
    assert {"final/big_accuracy", "final/member_accuracy", "final/disagreement"} <= set(metrics)
    record = Record.of(home, stage.key)
    table = pq.read_table(record.predictions / "val" / record.done()["predictions"]["val"][0])
    log_p = torch.tensor(table["output"].to_pylist()).reshape(5, -1, 10)
    assert torch.allclose(log_p.exp().sum(-1), torch.ones(log_p.shape[:2]), atol=1e-5)
    counted = {int(tensor) for name, tensor in weights(home, stage).items() if name.endswith("tracked")}
    assert counted == {50}  # once a step, and not once a network
    trivial = lines(home, stage, "baseline")[0]["metrics"]
    assert trivial["val/big_accuracy"] == trivial["val/member_accuracy"] == trivial["val/accuracy"]


@pytest.mark.parametrize("big", [0.0, 1.0])
def test_one_branch_alone_leaves_what_is_the_others(tmp_path: Path, big: float) -> None:
    home = project(tmp_path)
    stage = inter("one", mix(big), epochs=2, keep={"best": "val/loss", "every": 1, "last": True})
    assert do(home, stage) == ["done"]
    first, last = weights(home, stage, 0), weights(home, stage)
    still, moved = own_of(last, wide=big == 0), own_of(last, wide=big == 1)
    assert all(torch.equal(tensor, first[name]) for name, tensor in still.items())
    assert not any(torch.equal(tensor, first[name]) for name, tensor in moved.items())
    found = {line["code"]: line for line in lines(home, stage, "finding")}
    assert "no-gradient" not in found
    assert found["never-trained"]["severity"] == "note"
    assert f"network {'0' if big == 0 else '1, 2, 3, 4'}:" in found["never-trained"]["text"]
    metrics = lines(home, stage, "epoch")[-1]["metrics"]
    absent = {"train/big_accuracy"} if big == 0 else {"train/member_accuracy", "train/disagreement"}
    assert {name for name, value in metrics.items() if value == "NaN"} == absent
    if big == 1:
        assert metrics["val/accuracy"] == metrics["val/big_accuracy"]


def test_all_the_weight_on_the_wide_network_trains_it_as_alone(tmp_path: Path) -> None:
    home = project(tmp_path)
    one = fit("one", epochs=2, model=WIDE, head=LINEAR, schedule_optimizer=SGD, schedule_clip=None)
    stage, coin = inter("whole", mix(1.0)), inter("coin", {**COIN, "big": 1.0})
    assert do(home, one, stage, coin) == ["done"] * 3
    alone = weights(home, one)
    for each in (stage, coin):
        state = weights(home, each)
        for name, tensor in alone.items():
            part, _, rest = name.partition(".")
            assert torch.allclose(state[f"{part}.member0.{rest}"].double(), tensor.double(), atol=1e-6)
        nll = [line["metrics"]["val/nll"] for line in lines(home, each, "epoch")]
        assert nll == pytest.approx([line["metrics"]["val/nll"] for line in lines(home, one, "epoch")], abs=1e-5)


def test_a_coin_runs_one_branch_a_step(tmp_path: Path) -> None:
    home = project(tmp_path)
    coin, half = inter("coin", COIN), inter("half", mix(0.5))
    assert do(home, coin, half) == ["done", "done"]
    assert {"no-gradient", "never-trained", "non-finite-loss"}.isdisjoint(codes(home, coin))
    counted = {".member0." in name: int(tensor) for name, tensor in weights(home, coin).items() if name.endswith("tracked")}
    assert counted[True] + counted[False] == 20  # steps of two epochs: of each one branch
    assert min(counted.values()) >= 4
    metrics = lines(home, coin, "epoch")[-1]["metrics"]
    assert metrics["train/accuracy"] == "NaN"  # no example has a prediction by both
    assert all(0 < metrics[f"train/{name}"] <= 1 for name in ("big_accuracy", "member_accuracy", "disagreement"))
    assert all(value != "NaN" for name, value in metrics.items() if name.startswith("val/"))
    assert metrics["val/nll"] != lines(home, half, "epoch")[-1]["metrics"]["val/nll"]


def test_a_precision_reaches_all_networks(tmp_path: Path) -> None:
    home = project(tmp_path)
    full, half = (inter(name, COIN, epochs=1, data=FEW, schedule_precision=name) for name in ("32", "bf16"))
    assert do(home, full, half) == ["done", "done"]
    one, other = (weights(home, stage)["encoder.member0.layer3.0.conv1.weight"] for stage in (full, half))
    assert 1e-5 < float((one - other).abs().max()) < 0.1


@pytest.mark.parametrize(
    ("objective", "more"),
    [(COIN, {"average": {"swa": 1}, "schedule_clip": {"norm": 1.0}}), (mix(0.0), {"schedule_accumulate": 2})],
    ids=["coin", "narrow"],
)
def test_stopped_and_taken_up_again_is_bit_equal(tmp_path: Path, objective: dict[str, Any], more: dict[str, Any]) -> None:
    stage = inter("stopped", objective, epochs=2, data=FEW, **more)
    whole, cut = project(tmp_path / "whole"), project(tmp_path / "cut")
    assert do(whole, stage) == ["done"]
    assert do_by_epochs(cut, stage) == [0, 1]
    same(result(whole, stage), result(cut, stage))


def test_thawing_and_layer_decay_reach_every_network(tmp_path: Path) -> None:
    home = project(tmp_path)
    phases = [{"groups": ["head", "layer4"], "max_epochs": 1}, ["layer[1-3]", "bn1", "conv1"]]
    stage = inter(
        "thawed",
        mix(0.5),
        data=FEW,
        thaw={"by": {"phases": phases}, "norm": "eval"},
        schedule_layer_decay=0.5,
        keep={"best": "val/loss", "every": 1, "last": True},
    )
    assert do(home, stage) == ["done"]
    assert "frozen-changed" not in codes(home, stage)
    first, last = weights(home, stage, 0), weights(home, stage)
    start = build_model(stage.settings["model"], LINEAR, (1, 8, 8), 10, stage.seed).state_dict()
    parts = {
        name: name.split(".")[2] if name.startswith("encoder") else "head"
        for name in first
        if name.endswith((".weight", ".bias"))
    }
    assert {part for name, part in parts.items() if not torch.equal(first[name], start[name])} == {"head", "layer4"}
    assert {part for name, part in parts.items() if torch.equal(first[name], start[name])} == {
        "conv1",
        "bn1",
        "layer1",
        "layer2",
        "layer3",
    }
    assert not any(torch.equal(last[name], first[name]) for name in parts)
    rates = lines(home, stage, "epoch")[-1]["rates"]
    assert {name.rpartition("depth-")[2] for name in rates} == {str(depth) for depth in range(11)}


def test_facts_of_an_interpensemble() -> None:
    def asked(model: dict[str, Any]) -> dict[str, Any]:
        return answer({"model": model, "head": LINEAR, "shape": [1, 8, 8], "outputs": 10})

    wide, found = asked(WIDE), asked({"type": "interpensemble", "of": WIDE})
    assert list(found["groups"]) == list(wide["groups"])
    assert (found["features"], wide["features"]) == (32, 32)
    assert found["head"] == wide["head"] + 4 * (16 * 10 + 10)
    norms = 2 * (5 * 2 + 5 * 4 + 5 * 8 + 5 * 16)  # of 5 normalizations with 2, 4, 8, and 16 channels each: scale and shift
    assert found["encoder"] - wide["encoder"] == 4 * (9 * 2 + norms)
