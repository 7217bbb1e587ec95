"""What a fit does with rules of the rate, rates by group, averaged weights and a growing subset, and that each can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from interpreter.parts.optim import rate
from interpreter.parts.optim.averages import evaluated
from interpreter.plan.types import Input, Stage
from interpreter.project import Project
from interpreter.run.record import Record
from interpreter.spec.components.schedules import Schedule
from interpreter.stages.main import run_stage
from tests.stages.build import DIGITS, evaluate, fit, project, score, start_from
from tests.stages.doing import codes, do, lines, result, same

CNN = {"type": "cnn2d", "channels": [4, 6], "batch_norm": True, "dropout": 0.1}
SMALL = DIGITS | {"per_class": 16}
EVERY = {"best": "val/loss", "every": 1, "last": True}
STEPS = 5  # of an epoch, of 160 examples


def made(name: str, **changes: Any) -> Stage:
    return fit(name, **{"epochs": 6, "model": CNN, "data": SMALL, "keep": EVERY, "schedule_clip": None, **changes})


def held(home: Project, stage: Stage, epoch: int) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(Record.of(home, stage.key).checkpoint(epoch), weights_only=True)
    return found


def goes_on(tmp_path: Path, stage: Stage, *before: Stage) -> Project:
    """Do `stage` at once, and stopped after four epochs and again: both end the same. Returns where the whole one is."""
    whole, cut = project(tmp_path / "whole"), project(tmp_path / "cut")
    assert do(whole, *before, stage) == ["done"] * (len(before) + 1)
    assert do(cut, *before) == ["done"] * len(before)
    Record.of(cut, stage.key).write_stage(stage)
    asked = iter([False] * 4 + [True])
    assert run_stage(cut, stage.key, lambda: next(asked)).how == "stopped"
    torch.manual_seed(1)
    assert do(cut, stage) == ["done"]
    assert [line["resume_epoch"] for line in lines(cut, stage, "attempt")] == [0, 4]
    same(result(whole, stage), result(cut, stage))
    return whole


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "polynomial", "power": 2.0, "warmup": 1},
        {"type": "one_cycle", "momentum": [0.85, 0.95]},
        {"type": "cyclic", "low": 0.1, "up": 1},
    ],
    ids=lambda rule: rule["type"],
)
def test_rules_set_the_rate_of_each_step(tmp_path: Path, rule: dict[str, Any]) -> None:
    stage = made(rule["type"], schedule_lr_schedule=rule, schedule_optimizer={"type": "adam", "lr": 0.01})
    home = goes_on(tmp_path, stage)
    expected = rate.rule(Schedule.model_validate(stage.settings["schedule"]), STEPS)
    ends = [STEPS * epoch + STEPS - 1 for epoch in range(6)]
    assert [line["rates"] for line in lines(home, stage, "epoch")] == [{"all": expected(step)} for step in ends]
    (group,) = held(home, stage, 2)["optimizer"]["param_groups"]
    assert group["lr"] == expected(ends[2])
    if expected.momentum is not None:
        assert group["betas"][0] == expected.momentum(ends[2])
        assert 0.85 < group["betas"][0] < 0.95
    assert "rate-never-peaked" not in codes(home, stage)


def test_a_plateau_drops_the_rate_and_remembers(tmp_path: Path) -> None:
    rule = {"type": "plateau", "times": 0.1, "patience": 2, "monitor": "val/accuracy"}
    stage = made("plateau", epochs=9, schedule_lr_schedule=rule, schedule_optimizer={"type": "sgd", "lr": 1e-20})
    home = goes_on(tmp_path, stage)
    # Weights that do not move: the metric does with the running statistics, so what to expect is told by its values.
    best, wait, factor, expected = None, 0, 1.0, []
    for line in lines(home, stage, "epoch"):
        expected.append(1e-20 * factor)
        value = line["metrics"]["val/accuracy"]
        best, wait = (value, 0) if best is None or value > best else (best, wait + 1)
        if wait == 2:
            wait, factor = 0, factor * 0.1
    assert [line["rates"]["all"] for line in lines(home, stage, "epoch")] == pytest.approx(expected, rel=1e-12, abs=0)
    assert expected[-1] < expected[0], "it never dropped: nothing is tested"


def test_rates_by_group_and_by_depth(tmp_path: Path) -> None:
    constant = {"type": "constant"}
    times = made("times", schedule_lr_times={"head": 10.0, "conv1": 0.0}, schedule_lr_schedule=constant)
    depth = made("depth", schedule_layer_decay=0.5, schedule_lr_schedule=constant)
    thaw = {"by": {"phases": [["head"], "all"]}, "max_epochs": 3, "lr": 1e-3}
    both = made("both", schedule_lr_times={"conv*": 0.1}, schedule_lr_schedule=constant, thaw=thaw)
    home = project(tmp_path)
    assert do(home, times, depth, both) == ["done"] * 3
    assert lines(home, times, "epoch")[0]["rates"] == {"rest": 0.01, "head": 0.1, "conv1": 0.0}
    first, last = held(home, times, 0)["model"], held(home, times, 5)["model"]
    for name in ("encoder.conv1.0.weight", "encoder.conv2.0.weight"):
        assert torch.equal(first[name], last[name]) is ("conv1" in name)  # a rate of 0 moves nothing
    assert sorted(lines(home, depth, "epoch")[0]["rates"].values()) == [0.0025, 0.005, 0.01]
    rates = [line["rates"] for line in lines(home, both, "epoch")]
    assert rates[0] == {"phase-0/rest": 0.01}
    assert rates[5] == {"phase-0/rest": 0.01, "phase-1/conv*": pytest.approx(1e-4)}
    assert lines(home, both, "phase")[1]["rate"] == pytest.approx(1e-4)


@pytest.mark.parametrize("average", [{"ema": 0.8}, {"swa": 3}], ids=["ema", "swa"])
def test_averaged_weights_are_what_is_evaluated_and_handed_on(tmp_path: Path, average: dict[str, Any]) -> None:
    stage, plain = made("averaged", average=average), made("plain")
    after = fit("after", epochs=1, model=CNN, data=SMALL, keep=EVERY, inputs=start_from(stage, "last", "all"),
                schedule_optimizer={"type": "sgd", "lr": 1e-30}, schedule_lr_schedule={"type": "constant"})  # fmt: skip
    measured = evaluate("val", stage, part="val", checkpoint="last")
    home = goes_on(tmp_path, stage)
    assert do(home, plain, measured, after) == ["done"] * 3
    last, trained = held(home, stage, 5), held(home, plain, 5)
    same(trained["model"], last["model"])  # averaging looks on: training is as without it
    mine = evaluated(last)
    assert not torch.equal(mine["head.0.weight"], last["model"]["head.0.weight"])
    metrics = lines(home, stage, "epoch")[5]["metrics"]
    again = lines(home, measured, "epoch")[0]["metrics"]
    assert again == {name: value for name, value in metrics.items() if name.startswith("val/")}
    assert metrics["val/loss"] != lines(home, plain, "epoch")[5]["metrics"]["val/loss"]
    assert metrics["train/loss"] == lines(home, plain, "epoch")[5]["metrics"]["train/loss"]
    # Before there is an average over epochs, the trained weights are evaluated.
    early = [lines(home, each, "epoch")[2]["metrics"]["val/loss"] for each in (stage, plain)]
    assert (early[0] == early[1]) is ("swa" in average)
    assert torch.equal(held(home, after, 0)["model"]["encoder.conv2.0.weight"], mine["encoder.conv2.0.weight"])


def test_a_subset_that_grows(tmp_path: Path) -> None:
    graded = made("graded", epochs=2)
    scores = score("scores", graded)
    growth = {"from": 0.25, "to": 1.0, "over": 3, "pace": "linear"}
    data = SMALL | {"subset": {"easiest": growth, "scored_by": {"result": "graded/scores"}}}
    inputs = (Input("scores", scores.key, "", "encoder"),)
    more = {"inputs": inputs, "start": {"kind": "random"}, "streams": graded.settings["streams"]}
    stage = made("grown", data=data, schedule_lr_schedule={"type": "cosine"}, **more)
    home = goes_on(tmp_path, stage, graded, scores)
    epochs = lines(home, stage, "epoch")
    assert [line["examples"] for line in epochs] == [40, 80, 120, 160, 160, 160]
    assert [line["step"] for line in epochs] == [2, 5, 9, 14, 19, 24]  # batches of 32, the last one smaller
    assert held(home, stage, 1)["curriculum"] == {"examples": 80}
    expected = rate.rule(Schedule.model_validate(stage.settings["schedule"]), [2, 3, 4, 5, 5, 5])
    assert [line["rates"]["all"] for line in epochs] == [expected(line["step"] - 1) for line in epochs]
    assert expected(24) == pytest.approx(0.0, abs=1e-12)  # the curve is laid over the steps that there are


def test_a_phases_own_rule_must_fit_into_it(tmp_path: Path) -> None:
    own = {"groups": "all", "lr_schedule": {"type": "step", "at": [5], "times": 0.1}}
    stage = made("misfit", thaw={"by": {"phases": [["head"], own]}, "max_epochs": 3})
    assert do(project(tmp_path), stage) == [
        "failed: phase 1 of the thaw: the rate drops at epoch 5, and the fit ends at 3: it would never happen"
        " (the phase has at most 3 epochs, of the fit's 6)"
    ]
