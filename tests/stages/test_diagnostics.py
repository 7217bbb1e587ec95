"""What goes wrong without failing: weights that don't arrive, frozen ones that move, losses that stand still."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from interpreter.run.record import Record
from interpreter.stages import fit as fits
from interpreter.stages import start
from interpreter.stages.checkpoint import of_rule
from interpreter.stages.diagnostics import hash_of, of_losses, stagnant_epochs
from tests.stages.build import fit, project, start_from
from tests.stages.doing import codes, do, lines

THAW: dict[str, Any] = {"by": {"phases": [["head"], "all"]}, "max_epochs": 2}


def test_a_hash_is_over_names_kinds_shapes_and_bytes() -> None:
    weights = {"encoder.b": torch.arange(6.0), "encoder.a": torch.tensor(1), "head.w": torch.ones(2)}
    found = hash_of(weights)
    assert len(found) == 16
    assert found == hash_of({"encoder.a": torch.tensor(1), "encoder.b": torch.arange(6.0)})
    for change in (
        {"encoder.b": torch.arange(6.0).reshape(2, 3)},
        {"encoder.b": torch.arange(6.0, dtype=torch.float64)},
        {"encoder.b": torch.tensor([0.0, 1, 2, 3, 4, 5.0000005])},
        {"encoder.c": torch.zeros(0)},
    ):
        assert hash_of(weights | change) != found
    assert hash_of({"encoder.t": torch.arange(6.0).reshape(2, 3).T}) == hash_of(
        {"encoder.t": torch.arange(6.0).reshape(2, 3).T.clone()}
    )


def test_the_start_names_the_encoder_that_the_checkpoint_holds(tmp_path: Path) -> None:
    home, first = project(tmp_path), fit("first", epochs=3)
    assert do(home, first) == ["done"]
    assert len(lines(home, first, "start")[0]["encoder_hash"]) == 16
    for rule in ("best", "last"):
        then = fit(f"then-{rule}", inputs=start_from(first, rule), epochs=1)
        assert do(home, then) == ["done"]
        (told,) = lines(home, then, "start")
        kept = torch.load(of_rule(Record.of(home, first.key), rule), weights_only=True)["model"]
        assert told["encoder_hash"] == hash_of(kept) != lines(home, first, "start")[0]["encoder_hash"]
        assert "carried_hash" not in told
        assert "transfer-differs" not in codes(home, then)


def test_weights_that_did_not_arrive_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, first = project(tmp_path), fit("first", epochs=1)
    then = fit("then", inputs=start_from(first), epochs=1)
    assert do(home, first) == ["done"]
    monkeypatch.setattr(start, "_put", lambda *arguments: None)
    assert do(home, then) == ["done"]
    (told,) = lines(home, then, "start")
    assert told["carried_hash"] == hash_of(torch.load(of_rule(Record.of(home, first.key), "best"), weights_only=True)["model"])
    assert told["encoder_hash"] != told["carried_hash"]
    (found,) = [line for line in lines(home, then, "finding") if line["code"] == "transfer-differs"]
    assert (found["severity"], told["encoder_hash"] in found["text"]) == ("error", True)


class Meddling(fits.Fit):
    """A fit that moves something of the encoder after every epoch."""

    what = ""

    def _train(self, epoch: int) -> dict[str, float]:
        found = super()._train(epoch)
        with torch.no_grad():
            self.model.state_dict()[self.what].add_(1e-3)
        return found


@pytest.mark.parametrize("kind", ["weight", "running_mean"])
def test_what_is_frozen_and_moves_is_found_until_it_is_thawed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    home, stage = project(tmp_path), fit("one", epochs=4, thaw=THAW)
    assert do(home, stage) == ["done"]
    assert "frozen-changed" not in codes(home, stage)
    names = torch.load(of_rule(Record.of(home, stage.key), "last"), weights_only=True)["model"]
    what = next(name for name in names if name.startswith("encoder.") and name.endswith(kind))

    monkeypatch.setattr(Meddling, "what", what)
    monkeypatch.setattr(fits, "Fit", Meddling)
    other = project(tmp_path / "other")
    assert do(other, stage) == ["done"]
    (found,) = [line for line in lines(other, stage, "finding") if line["code"] == "frozen-changed"]
    assert (found["epoch"], found["severity"]) == (2, "error")
    assert found["text"] == f"frozen in phase 0, and changed in it: {what}"


def test_statistics_that_are_meant_to_be_tracked_may_move(tmp_path: Path) -> None:
    home, stage = project(tmp_path), fit("one", epochs=3, thaw=THAW | {"norm": "track"})
    assert do(home, stage) == ["done"]
    assert "frozen-changed" not in codes(home, stage)


@pytest.mark.parametrize(
    ("losses", "epochs"),
    [
        ([1.0, 0.99], 0),
        ([1.0, 0.991, 0.99], 1),
        ([1.0, *[0.995] * 10, 0.9], 10),
        ([1.0, 1.2, 1.1], None),
        ([1.0], None),
        ([], None),
        ([math.nan, 0.5], None),
        ([-1.0, -1.005, -1.01], 1),
        ([1.0, math.nan, 0.5], 1),
    ],
)
def test_epochs_until_the_loss_is_one_percent_better(losses: Sequence[float], epochs: int | None) -> None:
    assert stagnant_epochs(losses) == epochs


def record(
    val: Sequence[float], train: Sequence[float], carried: Sequence[str] = (), chance: float = math.log(6)
) -> list[Mapping[str, Any]]:
    head = [{"kind": "start", "carried": list(carried)}, {"kind": "baseline", "metrics": {"train/loss": chance}}]
    return [*head, *({"kind": "epoch", "metrics": {"val/loss": v, "train/loss": t}} for v, t in zip(val, train, strict=True))]


FALLING = [1.5 - 0.1 * n for n in range(12)]
SLOW = [1.0, *[0.995] * 6, *[0.8] * 5]


@pytest.mark.parametrize(
    ("val", "train", "carried", "found"),
    [
        (SLOW, FALLING, ["encoder"], ["stagnates-at-start"]),
        (SLOW, FALLING, [], []),
        ([1.0, *[0.995] * 5, *[0.8] * 6], FALLING, ["encoder"], []),  # five
        ([1.0] * 12, FALLING, ["encoder", "head"], ["stagnates-at-start"]),
        ([1.0] * 6, FALLING[:6], ["encoder"], []),  # too short to tell
        (FALLING, [1.79] * 12, [], ["at-chance"]),
        (FALLING, [1.9, *[1.8] * 4, 1.2, *[1.8] * 4, 1.1, 1.0], [], []),  # never five in a row
        (FALLING, [1.5, 1.4, *[1.80, 1.77, 1.79, 1.82, 1.76], *[1.5] * 5], [], ["at-chance"]),
        (FALLING, [1.79] * 4 + [math.nan] + [1.79] * 4 + [1.0] * 3, [], []),
        (FALLING, [2.5] * 12, [], []),  # worse than chance is another matter
    ],
)
def test_losses_that_stand_still(val: Sequence[float], train: Sequence[float], carried: Sequence[str], found: list[str]) -> None:
    said = of_losses(record(val, train, carried), 12)[1]
    assert [event["code"] for event in said] == found


def test_chance_is_told_with_its_epochs() -> None:
    stood, (said,) = of_losses(record(FALLING, [1.5, 1.4, *[1.79] * 6, *[1.0] * 4]), 12)
    assert stood == 0
    assert said["text"] == (
        "train/loss stayed within 2 % of 1.792, which a rule that ignores the input has, for 6 epochs, from epoch 3 to 8"
    )


def test_a_fit_that_learns_nothing_is_at_chance_and_one_that_learns_is_not(tmp_path: Path) -> None:
    home = project(tmp_path)
    still = {"schedule_optimizer": {"type": "sgd", "lr": 1e-30}, "schedule_lr_schedule": {"type": "constant"}}
    dead = fit("dead", epochs=6, head={"hidden": None, "dropout": 0.0}, **still)
    live = fit("live", epochs=6)
    first = fits.Fit.__init__

    def zeroed(self: fits.Fit, work: Any) -> None:
        first(self, work)
        if work.stage.key == dead.key:
            for module in self.model.head.modules():
                if isinstance(module, nn.Linear):
                    nn.init.zeros_(module.weight)
                    nn.init.zeros_(module.bias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fits.Fit, "__init__", zeroed)
        assert do(home, dead, live) == ["done"] * 2
    assert "at-chance" in codes(home, dead)
    assert "at-chance" not in codes(home, live)
    assert lines(home, dead, "end")[0]["stagnant_epochs"] is None
    losses = [line["metrics"]["val/loss"] for line in lines(home, live, "epoch")]
    assert lines(home, live, "end")[0]["stagnant_epochs"] == next(i for i, x in enumerate(losses[1:]) if x <= 0.99 * losses[0])
