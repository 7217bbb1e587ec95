"""Fits of several networks side by side: what they record, what is found out about them, and that stopping changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from interpreter import catalog
from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.record import Record
from interpreter.spec.components.contract import settings
from interpreter.stages.facts import answer
from tests.stages.build import DIGITS, evaluate, fit, project, start_from
from tests.stages.doing import codes, do, do_by_epochs, lines, result, same

CNN = {"type": "cnn2d", "channels": [4, 8]}
LINEAR = {"hidden": None, "dropout": 0.0}
M = 3
PLAIN = {
    "schedule_clip": None,
    "schedule_optimizer": {"type": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 0.01},
    "head": LINEAR,
}


def joint(name: str, rule: str = "sum_of_losses", *, epochs: int = 2, model: Any = None, **more: Any) -> Stage:
    written = catalog.typed("model", {"type": "ensemble", "of": CNN, "members": M, **(model or {})})
    return fit(name, epochs=epochs, model=settings(written), objective={"type": "classification", "members": rule}, **more)


def weights(home: Project, stage: Stage, rule: str = "last") -> dict[str, torch.Tensor]:
    record = Record.of(home, stage.key)
    return torch.load(record.checkpoints / record.done()[rule]["checkpoint"], weights_only=True)["model"]


def curve(home: Project, stage: Stage, metric: str) -> list[float]:
    return [float(line["metrics"][metric]) for line in lines(home, stage, "epoch")]


def member(state: dict[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
    """The weights of one member under the names of a network alone."""
    part = f".member{number}."
    return {name.replace(part, ".", 1): tensor for name, tensor in state.items() if part in name}


def largest(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert set(a) == set(b)
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)


def test_a_joint_fit_records_one_prediction_and_how_its_members_differ(tmp_path: Path) -> None:
    home, stage = project(tmp_path), joint("four", epochs=4)
    final = evaluate("final", stage)
    assert do(home, stage, final) == ["done", "done"]
    assert [code for code in codes(home, stage) if code.startswith(("members", "norm", "parameters", "frozen"))] == []
    last = lines(home, stage, "epoch")[-1]["metrics"]
    assert {"val/member_accuracy", "val/disagreement", "train/disagreement"} <= set(last)
    assert 0 < last["val/disagreement"] < 1
    assert last["val/accuracy"] > last["val/member_accuracy"] > 0.1
    assert last["val/loss"] > M * last["val/nll"]  # the sum of the members' losses, and the loss of their common prediction
    trivial = lines(home, stage, "baseline")[0]["metrics"]
    assert trivial["val/loss"] == pytest.approx(M * trivial["val/nll"])
    record = Record.of(home, stage.key)
    table = pq.read_table(record.predictions / "val" / record.done()["predictions"]["val"][0])
    log_p = torch.tensor(table["output"].to_pylist()).reshape(4, -1, 10)
    assert torch.allclose(log_p.exp().sum(-1), torch.ones(log_p.shape[:2]), atol=1e-5)
    y = torch.tensor(pq.read_table(record.predictions / "val" / "targets.parquet")["target"].to_pylist())
    assert (log_p[-1].argmax(-1) == y).double().mean() == pytest.approx(last["val/accuracy"], abs=1e-12)
    assert lines(home, final, "epoch")[0]["metrics"]["final/disagreement"] > 0


def test_at_once_trains_as_in_turn(tmp_path: Path) -> None:
    home = project(tmp_path)
    once, turn = joint("once", **PLAIN), joint("turn", model={"passes": "serial"}, **PLAIN)
    averaged = {"average": {"swa": 2}}  # whose statistics are estimated by passes that are counted
    mean, mean_turn = joint("mean", **PLAIN, **averaged), joint("mean-turn", model={"passes": "serial"}, **PLAIN, **averaged)
    assert do(home, once, turn, mean, mean_turn) == ["done"] * 4
    assert largest(weights(home, once), weights(home, turn)) < 1e-5
    for a, b in ((once, turn), (mean, mean_turn)):
        assert curve(home, a, "val/nll") == pytest.approx(curve(home, b, "val/nll"), abs=1e-5)
    assert curve(home, mean, "val/nll")[-1] != pytest.approx(curve(home, once, "val/nll")[-1], abs=1e-3)


def test_a_mixed_precision_reaches_members_which_then_run_in_turn(tmp_path: Path) -> None:
    home = project(tmp_path)
    full, half = joint("full", epochs=1), joint("half", epochs=1, schedule_precision="bf16")
    assert do(home, full, half) == ["done", "done"]
    assert ("members-in-turn" in codes(home, half), "members-in-turn" in codes(home, full)) == (True, False)
    assert 1e-6 < largest(weights(home, full), weights(home, half)) < 0.5


def test_the_first_member_trains_as_a_network_alone(tmp_path: Path) -> None:
    """Also with an order and an augmentation of each member's own: the first member's are those of the network alone."""
    home = project(tmp_path)
    one = fit("one", epochs=2, model=CNN, **PLAIN)
    shared, own = joint("shared", **PLAIN), joint("own", model={"order": "own"}, **PLAIN)
    same_start = joint("same", model={"order": "own", "init": "shared"}, **PLAIN)
    assert do(home, one, shared, own, same_start) == ["done"] * 4
    alone = weights(home, one)
    for stage in (shared, own, same_start):
        assert largest(member(weights(home, stage), 0), alone) < 1e-4
    # From the same weights in orders of their own, members part; in the same order they would not.
    assert largest(member(weights(home, same_start), 1), alone) > 0.01
    assert largest(member(weights(home, own), 1), member(weights(home, shared), 1)) > 0.01
    train = lines(home, own, "epoch")[-1]["metrics"]
    assert train["train/accuracy"] == "NaN"
    assert 0 < train["train/member_accuracy"] < 1
    assert {"members-begin-equal", "constant-predictions"}.isdisjoint(codes(home, same_start))


def test_one_network_seen_several_times_is_found_out(tmp_path: Path) -> None:
    """The mean of its losses trains exactly as the network alone; its statistics follow the last batches closer."""
    home = project(tmp_path)
    one = fit("one", epochs=3, model=CNN, **PLAIN)
    shared = joint("shared", "mean_of_losses", epochs=3, model={"share": "all"}, **PLAIN)
    assert do(home, one, shared) == ["done", "done"]
    assert curve(home, shared, "train/loss") == pytest.approx(curve(home, one, "train/loss"), rel=1e-4)
    assert max(abs(a - b) for a, b in zip(curve(home, shared, "val/nll"), curve(home, one, "val/nll"), strict=True)) > 1e-3
    found = {line["code"]: line for line in lines(home, shared, "finding")}
    told = found["members-share-weights"]
    assert told["severity"] == "error"
    size = sum(tensor.numel() for name, tensor in weights(home, one).items() if name.endswith((".weight", ".bias")))
    assert "members 0, 1, 2 hold the same weights (`share: all`)" in told["text"]
    assert f"{size:,} parameters, where 3 networks of {size:,} have {M * size:,}" in told["text"]
    assert "updated 30 times in the 10 passes of an epoch, 3 times in each" in found["norm-updates"]["text"]
    assert "a momentum of 0.271, not 0.1" in found["norm-updates"]["text"]
    assert "every example of train, val after 3 epochs" in found["members-never-disagree"]["text"]


def test_members_that_begin_equal_are_found_out_unless_that_was_asked_for(tmp_path: Path) -> None:
    home = project(tmp_path)
    asked = joint("asked", epochs=1, model={"init": "shared"}, head=LINEAR)
    started = joint("started", epochs=1, inputs=start_from(asked, "last"), head=LINEAR)
    assert do(home, asked, started) == ["done", "done"]
    assert "members-begin-equal" not in codes(home, asked)
    assert "members-never-disagree" in codes(home, asked)  # with the same batches they stay equal
    (text,) = [line["text"] for line in lines(home, started, "finding") if line["code"] == "members-begin-equal"]
    assert "encoder.conv1.0.weight" in text


def test_batches_in_parts_and_frozen_normalizations_are_counted_right(tmp_path: Path) -> None:
    home = project(tmp_path)
    parts = joint("parts", epochs=1, schedule_batch_size=32, schedule_accumulate=4)
    frozen = joint("frozen", epochs=1, thaw={"by": "frozen", "norm": "eval"})
    assert do(home, parts, frozen) == ["done", "done"]
    assert "norm-updates" not in codes(home, parts) + codes(home, frozen)
    counted = {int(t) for name, t in weights(home, parts).items() if name.endswith("tracked")}
    assert counted == {9 * 4 + 4}  # 300 examples: nine batches of 32, and one of 12, in four parts each


@pytest.mark.parametrize(
    "model", [{}, {"order": "own"}, {"passes": "serial"}, {"share": "all"}], ids=["at-once", "own", "in-turn", "shared"]
)
def test_stopped_and_taken_up_again_is_bit_equal(tmp_path: Path, model: dict[str, Any]) -> None:
    stage = joint("stopped", epochs=4, model={"of": {**CNN, "dropout": 0.2}, **model}, average={"ema": 0.9})
    whole, cut = project(tmp_path / "whole"), project(tmp_path / "cut")
    assert do(whole, stage) == ["done"]
    assert do_by_epochs(cut, stage) == [0, 1, 2, 3]
    same(result(whole, stage), result(cut, stage))


def test_thawing_and_layer_decay_reach_every_member(tmp_path: Path) -> None:
    home = project(tmp_path)
    thaw = {"by": {"layers": 1}, "max_epochs": 1, "lr": 0.01, "norm": "eval"}
    stage = joint("thawed", epochs=3, thaw=thaw, schedule_layer_decay=0.5, keep={"best": "val/loss", "every": 1, "last": True})
    assert do(home, stage) == ["done"]
    phases = lines(home, stage, "phase")
    assert [line["trainable"] for line in phases] == [
        ["head"],
        ["encoder.conv2", "head"],
        ["encoder.conv1", "encoder.conv2", "head"],
    ]
    record = Record.of(home, stage.key)
    first, second, third = (torch.load(record.checkpoint(n), weights_only=True)["model"] for n in range(3))
    for before, after, moved in ((first, second, {"conv2", "head"}), (second, third, {"conv1", "conv2", "head"})):
        for m in range(M):
            old, new = member(before, m), member(after, m)
            changed = {
                "head" if name.startswith("head") else name.split(".")[1] for name in old if not torch.equal(old[name], new[name])
            }
            assert changed == moved
    rates = lines(home, stage, "epoch")[-1]["rates"]
    assert len({round(rate, 12) for rate in rates.values()}) == 3
    assert {name.rpartition("depth-")[2] for name in rates} == {"0", "1", "2"}


def test_groups_of_features_train_and_their_heads_are_not_carried_into_one(tmp_path: Path) -> None:
    home = project(tmp_path)
    field = fit("field", epochs=2, model=CNN, objective={"type": "classification", "groups": 4}, head=LINEAR)
    usual = fit("usual", epochs=1, model=CNN, head=LINEAR, inputs=start_from(field))
    final = evaluate("final", field)
    assert do(home, field, usual, final) == ["done"] * 3
    state = weights(home, field)
    assert [tuple(t.shape) for name, t in state.items() if name.startswith("head.")] == [(10, 2), (10,)] * 4
    assert lines(home, usual, "start")[0]["carried"] == ["encoder"]
    metrics = lines(home, final, "epoch")[0]["metrics"]
    assert metrics["final/nll"] < metrics["final/loss"]
    assert "final/disagreement" not in metrics


def test_facts_of_ensembles_and_of_groups() -> None:
    def asked(model: dict[str, Any], **more: Any) -> dict[str, Any]:
        return answer({"model": model, "head": LINEAR, "shape": [1, 8, 8], "outputs": 10, **more})

    one, several = asked(CNN), asked({"type": "ensemble", "of": CNN, "members": M})
    assert (several["total"], several["features"]) == (M * one["total"], one["features"])
    assert list(several["groups"]) == list(one["groups"])
    field = asked(CNN, groups=4)
    assert (field["encoder"], field["head"]) == (one["encoder"], one["head"] + 3 * 10)
    assert "can't be cut into 3" in asked(CNN, groups=3)["error"]


def test_several_networks_need_a_rule(tmp_path: Path) -> None:
    home = project(tmp_path)
    stage = fit("numbers", model={"type": "ensemble", "of": CNN, "members": M}, data=DIGITS, objective={"type": "simclr"})
    (ended,) = do(home, stage)
    assert "the objective `simclr` is for one network, and the model `ensemble` is several" in ended
