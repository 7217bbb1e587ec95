"""What a fit in phases trains, when its phases end, where the next one begins, and what it records of all that."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from interpreter.parts.build import build_model, build_optimizer
from interpreter.parts.contract import Model
from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.record import Record
from interpreter.stages.phases import Thawing
from tests.stages.build import DIGITS, fit, project, schedule
from tests.stages.doing import codes, do, lines

CNN = {"type": "cnn2d", "channels": [4, 6], "batch_norm": True, "dropout": 0.1}
SMALL = DIGITS | {"per_class": 8}
CONSTANT = {"schedule_lr_schedule": {"type": "constant"}, "schedule_clip": None}
SGD = {"type": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}
EVERY = {"best": "val/loss", "every": 1, "last": True}
GROUPS: dict[str, list[str] | str] = {"phases": [["head"], ["head", "conv2"], "all"]}


def thawed(name: str, thaw: dict[str, Any], **changes: Any) -> Stage:
    return fit(name, **{"model": CNN, "data": SMALL, "keep": EVERY, "thaw": thaw, **CONSTANT, **changes})


def checkpoint(home: Project, stage: Stage, epoch: int) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(Record.of(home, stage.key).checkpoint(epoch), weights_only=True)
    return found


def spans(home: Project, stage: Stage) -> list[tuple[int, int, str]]:
    """(phase, first epoch, why) of each phase event."""
    return [(line["phase"], line["epoch"], line["why"]) for line in lines(home, stage, "phase")]


def phase_of_epochs(home: Project, stage: Stage) -> list[int]:
    return [line["phase"] for line in lines(home, stage, "epoch")]


# What trains


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD,
        {"type": "adam", "lr": 0.01, "weight_decay": 0.1},
        {"type": "adamw", "lr": 0.01, "weight_decay": 0.1},
    ],
    ids=lambda o: o["type"],
)
@pytest.mark.parametrize("cumulative", [True, False])
def test_what_is_frozen_gets_no_step_no_decay_and_no_momentum(tmp_path: Path, optimizer: Any, cumulative: bool) -> None:
    by = {"phases": [["head"], ["conv2"], ["conv1"], ["head", "conv1"]]} if not cumulative else {"layers": 1}
    stage = thawed("frozen", {"by": by, "max_epochs": 1, "cumulative": cumulative}, epochs=4, schedule_optimizer=optimizer)
    home = project(tmp_path)
    assert do(home, stage) == ["done"]
    trained = (
        [{"head"}, {"head", "conv2"}, {"head", "conv2", "conv1"}, {"head", "conv2", "conv1"}]
        if cumulative
        else [{"head"}, {"conv2"}, {"conv1"}, {"head", "conv1"}]
    )
    checkpoints = [checkpoint(home, stage, epoch) for epoch in range(4)]
    begun = build_model(CNN, stage.settings["head"], (1, 8, 8), 10, stage.seed).state_dict()
    order = _names_in_optimizer(stage)
    assert len(order) == len(set(order))
    for epoch, now in enumerate(checkpoints):
        before = begun if epoch == 0 else checkpoints[epoch - 1]["model"]
        had = {} if epoch == 0 else checkpoints[epoch - 1]["optimizer"]["state"]
        names = [name for name in before if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
        assert sorted(names) == sorted(order)
        for name in names:
            group = name.removeprefix("encoder.").partition(".")[0]
            moves = group in trained[epoch]
            assert torch.equal(before[name], now["model"][name]) is not moves, (epoch, name)
            assert (name in now["trainable"]) is moves
            index = order.index(name)
            kept, found = had.get(index), now["optimizer"]["state"].get(index)
            if moves:
                assert found
                assert kept is None or not _equal(kept, found)
            else:
                assert _equal(kept, found), f"the optimizer's state of {name} moved in epoch {epoch}"


def _names_in_optimizer(stage: Stage) -> list[str]:
    """Names of the parameters in the order of the optimizer's state, whose groups never change."""
    model = build_model(stage.settings["model"], stage.settings["head"], (1, 8, 8), 10, stage.seed)
    thawing = Thawing(stage.settings["thaw"], model)
    optimizer = build_optimizer(stage.settings["schedule"], model, thawing.phases)
    names = {id(p): name for name, p in model.named_parameters()}
    return [names[id(p)] for group in optimizer.param_groups for p in group["params"]]


def _equal(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) if isinstance(a[k], torch.Tensor) else a[k] == b[k] for k in a
    )  # fmt: skip


def test_groups_of_the_optimizer_never_change(tmp_path: Path) -> None:
    rated = [
        {"groups": each if isinstance(each, str) else list(each), "lr": 0.01 / n} for n, each in enumerate(GROUPS["phases"], 1)
    ]
    stage = thawed("groups", {"by": {"phases": rated}, "max_epochs": 1}, epochs=3)
    home = project(tmp_path)
    assert do(home, stage) == ["done"]
    shapes = [
        [(g["name"], g["phase"], g["params"]) for g in checkpoint(home, stage, e)["optimizer"]["param_groups"]] for e in range(3)
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    assert [name for name, _, _ in shapes[0]] == ["phase-0", "phase-1", "phase-2"]
    assert "parameters-not-optimized" not in codes(home, stage)


@pytest.mark.parametrize("norm", ["eval", "batch", "track"])
def test_frozen_normalizations_follow_the_policy(tmp_path: Path, norm: str) -> None:
    stage = thawed(norm, {"by": {"phases": [["head"], "all"]}, "max_epochs": 2, "norm": norm}, epochs=3)
    home = project(tmp_path)
    assert do(home, stage) == ["done"]
    first, second, third = (checkpoint(home, stage, epoch)["model"] for epoch in range(3))
    for name in ("encoder.conv1.1.running_mean", "encoder.conv2.1.running_var"):
        assert torch.equal(first[name], second[name]) is (norm != "track")
        assert not torch.equal(second[name], third[name])  # thawed, they are tracked again
    counted = [int(weights["encoder.conv1.1.num_batches_tracked"]) for weights in (first, second, third)]
    assert counted == ([3, 6, 9] if norm == "track" else [0, 0, 3])


def test_the_policy_decides_what_a_frozen_layer_gives_in_training() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 1, 8, 8) * 3 + 2
    given = {}
    for norm in ("eval", "batch", "track"):
        model = build_model(CNN | {"dropout": 0.0}, {"hidden": None, "dropout": 0.0}, (1, 8, 8), 10, 0)
        thawing = Thawing({"by": "frozen", "norm": norm}, model)
        thawing.freeze_all_but(thawing.phase.parameters)
        thawing.train(model)
        assert model.encoder.conv1[0].training
        given[norm] = model.encoder.conv1(x)
        model.eval()
        plain = build_model(CNN | {"dropout": 0.0}, {"hidden": None, "dropout": 0.0}, (1, 8, 8), 10, 0).eval()
        if norm != "track":  # evaluated, it normalizes by running statistics, which have not moved
            assert torch.equal(model(x), plain(x))
        if norm == "eval":
            assert torch.equal(given["eval"], plain.encoder.conv1(x))
    assert torch.equal(given["batch"], given["track"])
    assert not torch.allclose(given["eval"], given["batch"])


def test_a_normalization_without_parameters_goes_with_the_layer_before_it() -> None:
    encoder = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False), nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False))
    model = Model(encoder, nn.Linear(4, 2), 4, 2)
    thawing = Thawing({"by": {"phases": [["head", "2"], "all"]}, "max_epochs": 1}, model)
    thawing.freeze_all_but(thawing.phase.parameters)
    thawing.train(model)
    assert [module.training for module in encoder] == [True, False, True, True]


def test_shared_parameters_are_frozen_and_trained_once(tmp_path: Path) -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    model = Model(nn.Sequential(first, second), nn.Linear(4, 2), 4, 2)
    thawing = Thawing({"by": {"phases": [["head", "1"], "all"]}, "max_epochs": 1}, model)
    assert thawing.phases[0].parameters == ("encoder.1.bias", "head.weight", "head.bias")
    held = [p for g in build_optimizer(schedule(), model, thawing.phases).param_groups for p in g["params"]]
    assert len(held) == len({id(p) for p in held}) == 5
    thawing.freeze_all_but(thawing.phase.parameters)
    assert second.weight.requires_grad is False


# When phases end


def run(thaw: dict[str, Any], values: list[float], epochs: int = 100) -> list[tuple[int, int, str]]:
    """(phase, its epochs, why it ended) of the phases that end, when the metric watched takes `values`."""
    thawing = Thawing({"by": {"layers": 1}, **thaw}, build_model(CNN, {"hidden": None, "dropout": 0.0}, (1, 8, 8), 10, 0))
    out = []
    for epoch, value in enumerate(values[:epochs]):
        if why := thawing.due():
            ended = thawing.advance()
            out.append((ended.phase, ended.epochs, why))
        thawing.observe(epoch, {"val/loss": value})
    return out


NAN = float("nan")


@pytest.mark.parametrize(
    ("thaw", "values", "ended"),
    [
        # lengths
        ({"max_epochs": 1}, [3, 2, 1, 0], [(0, 1, "max_epochs"), (1, 1, "max_epochs")]),
        ({"max_epochs": 3}, [3, 2, 1, 0, 0], [(0, 3, "max_epochs")]),
        # absolute ends: of three phases the second is as long as the first
        ({"until_epoch": 2}, [1] * 6, [(0, 2, "until_epoch"), (1, 2, "until_epoch")]),
        # the first of several
        ({"until_epoch": 2, "max_epochs": 3}, [1] * 6, [(0, 2, "until_epoch"), (1, 2, "until_epoch")]),
        ({"max_epochs": 2, "patience": 1}, [2, 1, 1, 1, 1], [(0, 2, "max_epochs"), (1, 2, "max_epochs")]),
        # patience: a phase's first epoch is its first best, so it lasts patience + 1 epochs at least
        ({"patience": 2}, [1, 1, 1, 5, 5, 5, 9], [(0, 3, "patience"), (1, 3, "patience")]),
        # from the best of the fit, a phase that never beats it lasts `patience` epochs
        ({"patience": 2, "best": "global"}, [1, 1, 1, 5, 5, 9], [(0, 3, "patience"), (1, 2, "patience")]),
        # an exact tie is no improvement, within a phase and across phases
        ({"patience": 1, "best": "global"}, [1, 1, 1, 1], [(0, 2, "patience"), (1, 1, "patience")]),
        ({"patience": 1}, [1, 1, 1, 1, 1], [(0, 2, "patience"), (1, 2, "patience")]),
        # no number is no improvement, and nothing to improve on
        ({"patience": 2}, [NAN, NAN, 3, 2, NAN, NAN, 9], [(0, 2, "patience"), (1, 4, "patience")]),
        ({"patience": 2}, [3, NAN, 2, NAN, NAN, 1], [(0, 5, "patience")]),
        # less than min_delta does not count, but small steps add up
        ({"patience": 2, "min_delta": 0.5}, [3.0, 2.6, 2.3, 1.9, 1.5, 1.2], []),
        ({"patience": 2, "min_delta": 0.5}, [3.0, 2.7, 2.5, 2.4], [(0, 3, "patience")]),
    ],
)  # fmt: skip
def test_a_phase_ends_by_the_first_of_its_ends(thaw: Any, values: list[float], ended: Any) -> None:
    assert run(thaw, values) == ended


def test_a_phase_whose_end_is_past_trains_one_epoch() -> None:
    late = {"phases": [{"groups": ["head"], "until_epoch": 4}, {"groups": ["conv2"], "until_epoch": 2}, "all"]}
    assert run({"by": late}, [1.0] * 8) == [(0, 4, "until_epoch"), (1, 1, "until_epoch")]


def test_a_metric_where_more_is_better() -> None:
    thawing = Thawing({"by": {"layers": 1}, "patience": 1, "monitor": "val/accuracy"}, build_model(
        CNN, {"hidden": None, "dropout": 0.0}, (1, 8, 8), 10, 0))  # fmt: skip
    for epoch, value in enumerate([0.1, 0.2, 0.3]):
        thawing.observe(epoch, {"val/accuracy": value})
    assert thawing.due() == ""
    thawing.observe(3, {"val/accuracy": 0.3})
    assert thawing.due() == "patience"
    assert thawing.clock.best == {"value": 0.3, "epoch": 2}


def test_phases_are_recorded(tmp_path: Path) -> None:
    home = project(tmp_path)
    stage = thawed("recorded", {"by": GROUPS, "max_epochs": 2, "lr": 1e-3}, epochs=6)
    assert do(home, stage) == ["done"]
    assert spans(home, stage) == [(0, 0, "start"), (1, 2, "max_epochs"), (2, 4, "max_epochs")]
    said = lines(home, stage, "phase")
    assert [line["groups"] for line in said] == [["head"], ["conv2"], ["conv1"]]
    assert [line["trainable"] for line in said] == [
        ["head"], ["encoder.conv2", "head"], ["encoder.conv1", "encoder.conv2", "head"]]  # fmt: skip
    assert [line["rate"] for line in said] == [0.01, 1e-3, 1e-3]
    assert [line["began"] for line in said] == [0, 2, 4]
    assert [(line["tensors"], line["parameters"]) for line in said] == _sizes(stage)
    assert "restored" not in said[0]
    losses = [line["metrics"]["val/loss"] for line in lines(home, stage, "epoch")]
    assert said[1]["best"] == {"value": min(losses[:2]), "epoch": losses.index(min(losses[:2]))}
    assert said[1]["restored"] is None
    assert phase_of_epochs(home, stage) == [0, 0, 1, 1, 2, 2]
    rates = [line["rates"] for line in lines(home, stage, "epoch")]
    assert rates[0] == {"phase-0": 0.01}
    assert rates[3] == {"phase-0": 0.01, "phase-1": 1e-3}
    assert rates[5] == {"phase-0": 0.01, "phase-1": 1e-3, "phase-2": 1e-3}


def _sizes(stage: Stage) -> list[tuple[int, int]]:
    """Tensors and numbers that train in each phase."""
    model = build_model(stage.settings["model"], stage.settings["head"], (1, 8, 8), 10, stage.seed)
    parameters = dict(model.named_parameters())
    found = [[parameters[name] for name in phase.parameters] for phase in Thawing(stage.settings["thaw"], model).phases]
    return [(len(tensors), sum(p.numel() for p in tensors)) for tensors in found]


def test_a_phase_without_a_rate_goes_by_the_stages_rule_as_it_goes_on(tmp_path: Path) -> None:
    home = project(tmp_path)
    own = {"groups": ["conv2"], "lr": 0.1, "lr_schedule": {"type": "constant"}}
    cosine = {"type": "cosine"}
    stage = thawed("rates", {"by": {"phases": [["head"], own, "all"]}, "max_epochs": 2}, epochs=6, schedule_lr_schedule=cosine)
    plain = fit("plain", epochs=6, model=CNN, data=SMALL, schedule_lr_schedule=cosine, schedule_clip=None)
    assert do(home, stage, plain) == ["done"] * 2
    expected = [line["rates"]["all"] for line in lines(home, plain, "epoch")]
    found = [line["rates"] for line in lines(home, stage, "epoch")]
    assert [rates["phase-0"] for rates in found] == expected
    assert [rates["phase-1"] for rates in found[2:]] == [0.1] * 4


def test_one_phase_of_everything_is_the_plain_fit(tmp_path: Path) -> None:
    home = project(tmp_path)
    stage = thawed("none", {"by": "none"}, epochs=3)
    plain = fit("plain", epochs=3, model=CNN, data=SMALL, keep=EVERY, **CONSTANT)
    assert do(home, stage, plain) == ["done"] * 2
    for name, tensor in checkpoint(home, plain, 2)["model"].items():
        assert torch.equal(tensor, checkpoint(home, stage, 2)["model"][name])


def test_random_weights_can_thaw_and_a_head_can_be_all_that_trains(tmp_path: Path) -> None:
    home, stage = project(tmp_path), thawed("head", {"by": "frozen"}, epochs=2)
    assert do(home, stage) == ["done"]
    assert lines(home, stage, "start")[0]["from"] == "random"
    assert checkpoint(home, stage, 1)["trainable"] == ["head.0.weight", "head.0.bias", "head.3.weight", "head.3.bias"]
    assert spans(home, stage) == [(0, 0, "start")]
    assert not {"parameters-not-optimized", "frozen-in-optimizer"} & set(codes(home, stage)), "what never trains is not missed"


# Going back to the best


@pytest.mark.parametrize("best", ["phase", "global"])
def test_a_phase_begins_with_the_best_of_the_last_one(tmp_path: Path, best: str) -> None:
    # A rate that is far too high: losses go up and down, and the best epoch of a phase is not its last one.
    thaw = {"by": {"layers": 1}, "max_epochs": 4, "restore_best": True, "best": best}
    wild = {"type": "sgd", "lr": 0.9, "momentum": 0.9}
    stage = thawed(best, thaw, epochs=12, schedule_optimizer=wild, seed=3)
    home = project(tmp_path)
    assert do(home, stage) == ["done"]
    losses = [line["metrics"]["val/loss"] for line in lines(home, stage, "epoch")]
    said = lines(home, stage, "phase")[1:]
    first = {"phase": [0, 4], "global": [0, 0]}[best]
    for line, begin, end in zip(said, first, [4, 8], strict=True):
        expected = min(range(begin, end), key=losses.__getitem__)
        assert line["restored"] == expected
        assert line["best"] == {"value": losses[expected], "epoch": expected}
    assert any(line["restored"] < line["epoch"] - 1 for line in said), "the best epoch always was the last: nothing is tested"
    # What is frozen in a phase still is as in the checkpoint that the phase began with.
    for line in said[:1]:
        began, ended = checkpoint(home, stage, line["restored"])["model"], checkpoint(home, stage, line["epoch"])["model"]
        for name in ("encoder.conv1.0.weight", "encoder.conv1.1.running_mean"):
            assert torch.equal(began[name], ended[name])
    done = Record.of(home, stage.key).done()
    assert done is not None
    assert done["best"]["epoch"] == losses.index(min(losses))  # the fit's own best is what it was


def test_what_is_read_back_is_the_files_weights_and_optimizer_state(tmp_path: Path) -> None:
    """What the next phase freezes stays as the file has it, and not as the epochs left it that were thrown away."""
    home = project(tmp_path)
    wild = {"type": "sgd", "lr": 0.9, "momentum": 0.9}
    thaw = {"by": {"phases": [["head"], "all", ["conv1"]]}, "max_epochs": 4, "restore_best": True, "cumulative": False}
    stage = thawed("back", thaw, epochs=9, schedule_optimizer=wild, seed=3)
    assert do(home, stage) == ["done"]
    restored = lines(home, stage, "phase")[2]["restored"]
    assert restored in (4, 5, 6), "the best epoch of the phase was the last: nothing is tested"
    file, thrown, after = (checkpoint(home, stage, epoch) for epoch in (restored, 7, 8))
    order = _names_in_optimizer(stage)
    for name in ("head.0.weight", "encoder.conv2.0.weight", "encoder.conv2.1.running_mean"):
        assert torch.equal(after["model"][name], file["model"][name])
        assert not torch.equal(after["model"][name], thrown["model"][name])
    for name in ("head.0.weight", "encoder.conv2.0.weight"):
        index = order.index(name)
        assert _equal(after["optimizer"]["state"][index], file["optimizer"]["state"][index])
        assert not _equal(after["optimizer"]["state"][index], thrown["optimizer"]["state"][index])
    assert not torch.equal(after["model"]["encoder.conv1.0.weight"], file["model"]["encoder.conv1.0.weight"])
    assert (file["phase"], after["phase"]) == (1, 2)
    assert (thrown["needs"], after["needs"]) == ([restored], [])
    # Going back takes no epoch and no step back: both are counted on.
    assert (thrown["step"], after["step"]) == (24, 27)


def test_nothing_to_go_back_to_is_told_and_goes_on() -> None:
    thawing = Thawing({"by": {"layers": 1}, "max_epochs": 1, "restore_best": True}, build_model(
        CNN, {"hidden": None, "dropout": 0.0}, (1, 8, 8), 10, 0))  # fmt: skip
    thawing.observe(0, {"val/loss": NAN})
    assert thawing.due() == "max_epochs"
    assert thawing.needs == []


# Early stopping


def test_early_stopping_ends_the_last_phase_only(tmp_path: Path) -> None:
    home = project(tmp_path)
    dead = {"type": "sgd", "lr": 1e-30}
    stop = {"monitor": "val/loss", "patience": 2, "min_delta": 0.0}
    thaw = {"by": {"layers": 1}, "max_epochs": 4, "norm": "eval", "patience": 50}
    stage = thawed("stop", thaw, epochs=40, schedule_optimizer=dead, schedule_early_stopping=stop)
    assert do(home, stage) == ["done"]
    # With frozen statistics nothing moves, and early stopping waits for the last phase: there it counts from its first epoch.
    assert phase_of_epochs(home, stage)[:9] == [0] * 4 + [1] * 4 + [2]
    done = Record.of(home, stage.key).done()
    assert done is not None
    assert (done["why"], done["planned_epochs"]) == ("early stopping", 40)
    assert 8 + 3 <= done["epochs"] < 40
    assert lines(home, stage, "end")[0]["reached"] == done["epochs"]


# Findings


def test_findings_of_phases(tmp_path: Path) -> None:
    home = project(tmp_path)
    dead = {"schedule_optimizer": {"type": "sgd", "lr": 1e-30}, "epochs": 4}
    stage = thawed("told", {"by": {"layers": 1}, "patience": 2, "monitor": "val/accuracy"}, **dead)
    tiny = thawed("tiny", {"by": GROUPS, "max_epochs": 1, "lr": 1e-5}, epochs=3, schedule_optimizer={"type": "adam", "lr": 1e-3})
    fine = thawed("fine", {"by": GROUPS, "max_epochs": 1, "lr": 2e-5}, epochs=3, schedule_optimizer={"type": "adam", "lr": 1e-3})
    slow = fit("slow", epochs=2, model=CNN, data=SMALL, schedule_lr_schedule={"type": "cosine", "warmup": {"steps": 50}})
    assert do(home, stage, tiny, fine, slow) == ["done"] * 4
    said = {line["code"]: line["text"] for line in lines(home, stage, "finding")}
    assert said["phase-ended-at-once"] == (
        "phase 0 was ended by patience after 3 epochs: none improved val/accuracy on its first epoch"
    )
    assert said["phase-never-reached"] == "phase 2 was never reached: after 4 epochs conv1 had not been thawed"
    text = next(line["text"] for line in lines(home, tiny, "finding") if line["code"] == "thawed-rate-tiny")
    assert text == "phase 1 thaws conv2 at a rate of 1e-05 on average; what was thawed before has 0.001"
    assert not {"thawed-rate-tiny", "phase-never-reached", "rate-never-peaked"} & set(codes(home, fine))
    assert "rate-never-peaked" in codes(home, slow)


def test_rates_are_told_as_they_are_used_and_not_as_they_were_asked_for(tmp_path: Path) -> None:
    home = project(tmp_path)
    cosine = {"schedule_lr_schedule": {"type": "cosine"}, "schedule_optimizer": {"type": "sgd", "lr": 0.1}}
    held = {"groups": ["head"], "lr_schedule": {"type": "constant"}}
    hidden = thawed("hidden", {"by": {"phases": [held, "all"]}, "max_epochs": 28}, epochs=30, **cosine)
    own = thawed("own", {"by": {"phases": [["head"], {"groups": "all", "lr": 0.1}]}, "max_epochs": 28}, epochs=30, **cosine)
    early = thawed("early", {"by": {"phases": [["head"], {"groups": "all", "lr": 0.1}]}, "max_epochs": 8}, epochs=30, **cosine)
    assert do(home, hidden, own, early) == ["done"] * 3
    (text,) = (line["text"] for line in lines(home, hidden, "finding") if line["code"] == "thawed-rate-tiny")
    # 80 examples in batches of 8 or so: the last two of thirty epochs of half a cosine, on average.
    (begun,) = (line for line in lines(home, hidden, "phase") if line["phase"] == 1)
    assert begun["rate"] == pytest.approx(0.1 * (1 + math.cos(math.pi * 28 / 30)) / 2)
    assert text.startswith("phase 1 thaws conv1, conv2 at a rate of 0.000") and text.endswith("thawed before has 0.1")
    (text,) = (line["text"] for line in lines(home, own, "finding") if line["code"] == "rate-never-peaked")
    assert text.startswith("phase 1 has a peak rate of 0.1 of its own, and gets 0.00109262 at most:")
    assert not {"thawed-rate-tiny", "rate-never-peaked", "rate-ran-out"} & set(codes(home, early))


def test_a_rule_that_has_ended_with_its_phase_is_told(tmp_path: Path) -> None:
    home = project(tmp_path)
    head = {"groups": ["head"], "lr_schedule": {"type": "cosine"}}
    dead = thawed("dead", {"by": {"phases": [head, "all"]}, "max_epochs": 3}, epochs=5)
    kept = {"groups": ["head"], "lr_schedule": {"type": "cosine", "floor": 0.1}}
    alive = thawed("alive", {"by": {"phases": [kept, "all"]}, "max_epochs": 3}, epochs=5)
    assert do(home, dead, alive) == ["done"] * 2
    (text,) = (line["text"] for line in lines(home, dead, "finding") if line["code"] == "rate-ran-out")
    assert text.startswith("phase 1 trains head on at a rate of 0: the rule of phase 0, with its peak of")
    rates = [line["rates"] for line in lines(home, dead, "epoch")]
    assert [found["phase-0"] == 0 for found in rates[3:]] == [True, True]
    assert "rate-ran-out" not in codes(home, alive)


def test_a_warmup_that_a_late_phase_cuts_off_is_not_squeezed_into_it(tmp_path: Path) -> None:
    home = project(tmp_path)
    warm = {"groups": "all", "lr": 0.3, "lr_schedule": {"type": "constant", "warmup": 6}}
    # Patience could end the first phase after two epochs, which leaves six; its length ends it after four, which leaves four.
    thaw = {"by": {"phases": [{"groups": ["head"], "max_epochs": 4}, warm]}, "patience": 1, "monitor": "val/accuracy"}
    late = thawed("late", thaw, epochs=8, schedule_optimizer={"type": "sgd", "lr": 0.1})
    fixed = thawed("fixed", {**thaw, "patience": None}, epochs=8)
    ended = do(home, late, fixed)
    assert ended == [
        "done",
        "failed: phase 1 of the thaw: a warm-up of 6 epochs is longer than the fit of 4"
        " (the phase has at most 4 epochs, of the fit's 8)",
    ]
    length = phase_of_epochs(home, late).count(1)
    if length < 6:
        steps = len(lines(home, late, "epoch"))
        reached = max(line["rates"]["phase-1"] for line in lines(home, late, "epoch") if line["phase"] == 1)
        assert steps == 8 and reached < 0.3 * length / 6 + 0.01
        assert "rate-never-peaked" in codes(home, late)


@pytest.mark.parametrize("best", ["phase", "global"])
def test_a_first_phase_that_patience_ended_at_once_is_told_whatever_it_counts_from(tmp_path: Path, best: str) -> None:
    home = project(tmp_path)
    stage = thawed("once", {"by": {"layers": 1}, "patience": 1, "min_delta": 10.0, "best": best}, epochs=4)
    assert do(home, stage) == ["done"]
    first = next(line for line in lines(home, stage, "finding") if line["code"] == "phase-ended-at-once")
    assert first["text"] == (
        "phase 0 was ended by patience after 2 epochs: none improved val/loss on its first epoch by more than 10"
    )
    assert (first["epoch"], first["of"]) == (2, 1)  # counted from 0: told in the third epoch, and speaks of the second


def test_early_stopping_in_the_last_planned_epoch_ended_nothing_early(tmp_path: Path) -> None:
    home = project(tmp_path)
    stop = {"monitor": "val/loss", "patience": 3, "min_delta": 10.0}
    stage = fit("whole", epochs=4, model=CNN, data=SMALL, schedule_early_stopping=stop, **CONSTANT)
    assert do(home, stage) == ["done"]
    done = Record.of(home, stage.key).done()
    assert done is not None and (done["epochs"], done["planned_epochs"]) == (4, 4)
    assert done["why"] == "planned epochs"


def test_a_gradient_that_never_comes_is_told_of_in_the_phase_that_thaws_it(tmp_path: Path) -> None:
    home, stage = project(tmp_path), thawed("fine", {"by": GROUPS, "max_epochs": 1}, epochs=3)
    assert do(home, stage) == ["done"]
    assert "no-gradient" not in codes(home, stage)
    assert "parameters-optimized-twice" not in codes(home, stage)


def test_what_cannot_be_is_said_clearly(tmp_path: Path) -> None:
    home = project(tmp_path)
    unknown = thawed("unknown", {"by": {"phases": [["conv9"], "all"]}, "max_epochs": 1})
    split = thawed("split", {"by": {"layers": 1}, "patience": 1, "monitor": "dev/loss"})
    metric = thawed("metric", {"by": {"layers": 1}, "patience": 1, "monitor": "val/beauty"})
    ended = do(home, unknown, split, metric)
    assert ended[0] == (
        "failed: phase 0 of the thaw: no group of the model that trains is called `conv9` (its groups: conv1, conv2, head)"
    )
    assert ended[1] == (
        "failed: phases are watched by dev/loss, and the data has no dev split"
        " (give the dataset one, or say `thaw: {monitor: train/loss}`)"
    )
    assert ended[2].startswith("failed: there is no metric val/beauty (there are: train/loss")


# Accumulation


def test_a_batch_in_parts_is_the_batch(tmp_path: Path) -> None:
    home = project(tmp_path)
    plain = {"model": {"type": "mlp", "hidden": [16]}, "head": {"hidden": None, "dropout": 0.0}, "data": SMALL, "epochs": 3}
    exact = {"schedule_optimizer": {"type": "sgd", "lr": 0.1}, "schedule_lr_schedule": {"type": "constant"}, **plain}
    whole = fit("whole", **exact)
    parts = fit("parts", schedule_accumulate=3, **exact)
    many = fit("many", schedule_accumulate=32, **exact)  # the last batch, of 16, has fewer examples than parts
    assert do(home, whole, parts, many) == ["done"] * 3
    epochs = [lines(home, stage, "epoch") for stage in (whole, parts, many)]
    assert [[line["step"] for line in of] for of in epochs] == [[3, 6, 9]] * 3
    assert {line["examples"] for of in epochs for line in of} == {80}
    expected = _last(home, whole)
    for stage in (parts, many):
        for name, tensor in _last(home, stage).items():
            assert torch.allclose(tensor, expected[name], rtol=1e-4, atol=1e-6), name
        found = [line["metrics"]["train/loss"] for line in lines(home, stage, "epoch")]
        assert found == pytest.approx([line["metrics"]["train/loss"] for line in epochs[0]], rel=1e-5)


def _last(home: Project, stage: Stage) -> dict[str, torch.Tensor]:
    done = Record.of(home, stage.key).done()
    assert done is not None
    weights: dict[str, torch.Tensor] = checkpoint(home, stage, done["last"]["epoch"])["model"]
    return weights


# Checkpoints


def test_a_checkpoint_says_where_it_is_and_loading_believes_it(tmp_path: Path) -> None:
    home = project(tmp_path)
    stage = thawed("carries", {"by": GROUPS, "max_epochs": 2, "patience": 9}, epochs=6)
    assert do(home, stage) == ["done"]
    held = checkpoint(home, stage, 2)
    losses = [line["metrics"]["val/loss"] for line in lines(home, stage, "epoch")]
    assert held["phase"] == 1
    assert held["phase_clock"] == {
        "began": 2, "epochs": 1, "best": {"value": losses[2], "epoch": 2}, "mark": losses[2], "wait": 0}  # fmt: skip
    assert {name.split(".")[-3] if name.startswith("enc") else "head" for name in held["trainable"]} == {"conv2", "head"}
    assert held["rate"] == {"rates": {"all": 0.01}, "began": [0, 6], "plateau": None}
    # A new process has phase 0; told by the file it is in the file's phase, with what the file lets train and nothing else.
    model = build_model(CNN, stage.settings["head"], (1, 8, 8), 10, stage.seed)
    thawing = Thawing(stage.settings["thaw"], model)
    thawing.load(held)
    assert thawing.trainable() == held["trainable"]
    assert (thawing.clock.phase, thawing.clock.epochs) == (1, 1)
    odd = {**held, "trainable": held["trainable"][:3]}
    thawing.load(odd)
    assert thawing.trainable() == held["trainable"][:3]
    with pytest.raises(Exception, match="another schedule of phases"):
        thawing.load({**held, "phase": 7})


def test_a_checkpoint_that_may_be_gone_back_to_stays_until_it_is_not_needed(tmp_path: Path) -> None:
    home = project(tmp_path)
    wild = {"type": "sgd", "lr": 0.9, "momentum": 0.9}
    keep = {"best": "train/accuracy", "every": None, "last": True}
    thaw = {"by": {"layers": 1}, "max_epochs": 4, "restore_best": True}
    stage = thawed("kept", thaw, epochs=12, keep=keep, schedule_optimizer=wild, seed=3)
    assert do(home, stage) == ["done"]
    record, done = Record.of(home, stage.key), Record.of(home, stage.key).done()
    assert done is not None
    assert {p.name for p in record.checkpoints.iterdir()} == {done["best"]["checkpoint"], done["last"]["checkpoint"]}
