"""Trivial rules beside a model: what they reach is recorded, and a model that is no better says so."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interpreter.errors import StageFailed
from interpreter.parts.contract import Data
from interpreter.parts.objectives.regression import NumberError
from interpreter.spec.components.objectives import Regression
from interpreter.stages import work
from interpreter.stages.outputs import Recorded
from interpreter.stages.rules import agreed, of_rules, on_split, on_splits, read_rules
from tests.stages.build import evaluate, fit, project
from tests.stages.doing import codes, do, lines

IGNORES = "ignores input"


def numbers(**rules: dict[str, torch.Tensor]) -> Data:
    """Four training targets of mean 5 and three to validate on."""
    train = Recorded(["a", "b", "c", "d"], torch.tensor([[2.0], [4.0], [6.0], [8.0]]))
    val = Recorded(["e", "f", "g"], torch.tensor([[3.0], [5.0], [7.0]]))
    return Data({"train": train, "val": val}, (), 1, (), "", "", (), {}, rules=rules)


def objective() -> NumberError:
    return NumberError(Regression(type="regression"), 1)


SIZES = {"train": torch.tensor([[2.5], [4.0], [6.0], [7.5]]), "val": torch.tensor([[4.0], [5.0], [6.0]])}


def test_each_rule_is_measured_as_a_model_would_be() -> None:
    told = on_splits(numbers(ligand_size=SIZES), objective(), ["train", "val"])
    assert list(told) == [IGNORES, "ligand_size"]
    assert told[IGNORES]["val/rmse"] == pytest.approx(math.sqrt(8 / 3))
    assert told[IGNORES]["train/rmse"] == pytest.approx(math.sqrt(5))
    assert math.isnan(told[IGNORES]["val/pearson"])
    size = told["ligand_size"]
    assert (size["val/rmse"], size["val/mae"]) == (pytest.approx(math.sqrt(2 / 3)), pytest.approx(2 / 3))
    assert size["train/mae"] == pytest.approx(0.25)
    assert size["val/pearson"] == pytest.approx(1.0)


def test_a_rule_may_know_some_splits_only_and_must_know_all_of_them() -> None:
    assert list(on_split(numbers(size={"train": SIZES["train"]}), objective(), "val")) == [IGNORES]
    with pytest.raises(StageFailed, match="the rule `size` has 2 outputs for the 3 examples of val"):
        on_split(numbers(size={"val": torch.zeros(2, 1)}), objective(), "val")
    only_test = replace(numbers(size=SIZES), splits={"val": numbers().splits["val"]})
    assert on_split(only_test, objective(), "val") == {}


def said(rule: str | None, **metrics: Any) -> dict[str, Any]:
    named = {"rule": rule} if rule else {}
    return {"kind": "baseline", "epoch": 0, **named, "metrics": {f"val/{name}": value for name, value in metrics.items()}}


@pytest.mark.parametrize(
    ("metric", "value", "lower", "found"),
    [
        ("val/rmse", 1.03, True, []),
        ("val/rmse", 1.04, True, ["no-better-than-rule"]),
        ("val/rmse", 1.2, True, ["no-better-than-rule"]),
        ("val/rmse", 1.28, True, ["no-better-than-baseline", "no-better-than-rule"]),
        ("val/pearson", 0.7, False, []),
        ("val/pearson", 0.6, False, ["no-better-than-rule"]),
        ("val/mae", 9.0, True, []),
    ],
)
def test_a_model_that_is_no_better_says_than_which(metric: str, value: float, lower: bool, found: list[str]) -> None:
    events = [said(None, rmse=1.28, pearson="NaN"), said("ligand_size", rmse=1.04, pearson=0.625), {"kind": "end", "epoch": 3}]
    findings = of_rules(events, metric, value, lower, 3)
    assert [event["code"] for event in findings] == found
    if value == 1.2:
        assert findings[0]["text"] == "the best val/rmse is 1.2; the rule `ligand_size` has 1.04"


def test_a_combination_keeps_the_rules_that_its_members_share() -> None:
    one = read_rules([said(None, rmse=1.5, pearson="NaN"), said("size", rmse=1.0)], "val")
    other = read_rules([said(IGNORES, rmse=1.5, pearson="NaN"), said("size", rmse=1.1)], "val")
    assert list(agreed([one, other])) == [IGNORES]
    assert list(agreed([one, one])) == [IGNORES, "size"]
    assert agreed([one, {}]) == {}


def test_a_fit_and_its_evaluation_record_every_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that knows the answers beats a model of two epochs; one that always says 3 does not."""
    read = work.build_data

    def with_rules(*arguments: Any) -> Data:
        data = read(*arguments)
        knows = {name: 50.0 * torch.eye(10)[split.targets] for name, split in data.splits.items()}
        three = {name: torch.eye(10)[torch.full_like(split.targets, 3)] for name, split in data.splits.items()}
        return replace(data, rules={"knows": knows, "three": three})

    monkeypatch.setattr(work, "build_data", with_rules)
    home, stage = project(tmp_path), fit("one", epochs=3)
    final = evaluate("final", stage)
    assert do(home, stage, final) == ["done"] * 2
    for each, split in ((stage, "val"), (final, "final")):
        told = {line["rule"]: line["metrics"] for line in lines(home, each, "baseline")}
        assert list(told) == [IGNORES, "knows", "three"]
        assert told["knows"][f"{split}/accuracy"] == 1.0
        data = read(stage.settings["data"], None, home.cache, None)
        targets = data.splits["val" if each is stage else "test"].targets.numpy()
        assert told["three"][f"{split}/accuracy"] == np.mean(targets == 3)
    assert [code for code in codes(home, stage) if code.startswith("no-better")] == ["no-better-than-rule"]
    (text,) = [line["text"] for line in lines(home, stage, "finding") if line["code"] == "no-better-than-rule"]
    assert 0 <= float(text.rpartition("the rule `knows` has ")[2]) < 1e-18
