"""Differences between arms, in words: what makes a comparison unfair, what is worth a warning, what follows from the arms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from interpreter.plan.types import ArmPlan, Plan, SourceNeed
from interpreter.spec.claims import Waiver
from interpreter.spec.components.contract import settings
from interpreter.spec.components.datasets import ImageFolder
from interpreter.spec.measures import Reference
from interpreter.verdicts.fairness import (
    arm_confounds,
    measurement_confounds,
    numerics_confounds,
    reference_confounds,
    waived,
)
from interpreter.verdicts.readings import Metric, measured, metric_of
from tests.plans import make_plan

LOSS, RMSE = Metric("lba", "val", "loss"), Metric("lba", "val", "accuracy")


def two(changed: dict[str, Any], **more: Any) -> tuple[Plan, ArmPlan, ArmPlan]:
    """A plan whose arm `b` differs from `a` in the dotted settings `changed` of its fit."""
    plan = make_plan({"a": ["lba"], "b": ["lba"]}, set_={"b": changed}, seeds=2, **more)
    return plan, *plan.entries[0].arms


def told(changed: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(c.rule, c.severity, c.text) for c in arm_confounds(*two(changed))]


def test_arms_with_one_record_differ_in_nothing() -> None:
    assert told({}) == []


def test_one_difference_is_what_the_arms_compare() -> None:
    assert told({"head.dropout": 0.5}) == [("declared", "note", "lba head.dropout: 0 -> 0.5 (the only difference)")]


def test_several_differences_are_listed_in_order_of_what_they_touch() -> None:
    assert told({"schedule.clip": {"norm": 1.0}, "head.dropout": 0.5, "data.split_seed": 1, "model.hidden": [64]}) == [
        ("setting", "note", "lba data.split_seed: off -> 1"),
        ("setting", "note", "lba model.hidden: [32] -> [64]"),
        ("setting", "note", "lba head.dropout: 0 -> 0.5"),
        ("setting", "note", "lba schedule.clip: off -> {norm: 1}"),
    ]


def test_a_changed_type_is_told_with_what_both_types_have() -> None:
    found = told({"schedule.optimizer": {"type": "sgd", "lr": 0.1, "momentum": 0.9}})
    assert found == [
        ("setting", "note", "lba schedule.optimizer.type: adam -> sgd"),
        ("setting", "note", "lba schedule.optimizer.lr: 0.001 -> 0.1"),
    ]


def test_epochs_checkpoint_and_unscaled_rate_are_warnings() -> None:
    assert told({"schedule.epochs": 16}) == [("unequal-epochs", "warning", "lba schedule.epochs: 8 -> 16")]
    assert told({"keep.best": "val/accuracy"}) == [("checkpoint-rule", "warning", "lba keep.best: val/loss -> val/accuracy")]
    assert told({"schedule.batch_size": 128}) == [
        ("unscaled-rate", "warning", "lba schedule.batch_size: 64 -> 128, and the learning rate is 0.001 in both")
    ]


def test_a_scaled_rate_is_no_warning() -> None:
    rules = {rule for rule, _, _ in told({"schedule.batch_size": 128, "schedule.optimizer.lr": 0.002})}
    assert rules == {"setting"}


def test_a_longer_chain_is_the_declared_factor_and_has_seen_more() -> None:
    plan = make_plan({"naive": ["lba"], "curriculum": ["easy", "lba"]}, seeds=2)
    naive, curriculum = plan.entries[0].arms
    found = [(c.rule, c.severity, c.text) for c in arm_confounds(plan, naive, curriculum)]
    assert found == [
        ("declared", "note", "easy is a stage of curriculum only"),
        ("more-examples", "note", "curriculum has trained longer than naive: 8 epochs of easy on digits come before"),
        ("declared", "note", "lba starts from random weights -> easy@best"),
    ]


def test_training_settings_alone_leave_the_measured_split_the_same() -> None:
    plan, a, b = two({"data.label_fraction": 0.1})
    assert measurement_confounds(plan, a, RMSE, b, RMSE) == ()


def test_another_split_or_transform_is_unfair() -> None:
    plan, a, b = two({"data.split_seed": 1})
    (found,) = measurement_confounds(plan, a, RMSE, b, RMSE)
    assert (found.rule, found.severity) == ("measured-split", "unfair")
    assert found.text == "a and b are not measured on the same data: split_seed: 0 -> 1"
    plan, a, b = two({"data.normalize": "range"})
    assert [c.rule for c in measurement_confounds(plan, a, RMSE, b, RMSE)] == ["measured-split"]


def test_evaluations_are_compared_by_the_part_they_measure() -> None:
    plan, a, b = two({"data.split_seed": 1}, evaluate=["final"])
    final = metric_of(a, "final/accuracy")
    assert final == Metric("final", "final", "accuracy")
    assert measurement_confounds(plan, a, final, b, final) == ()  # the test part does not depend on the seed of the split


def test_settings_as_the_planner_writes_them_are_read_back() -> None:
    photos = {
        "source": "photos", "size": 32, "roots": {"train": "old/train", "test": "new/test"},
        "val": {"from": "train", "fraction": 0.2},
        "normalize": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
    }  # fmt: skip
    config = ImageFolder.model_validate(photos)
    flipped = ImageFolder.model_validate({**photos, "augment": {"flip": 0.5, "crop": {"scale": [0.5, 1.0]}}})
    plan, a, b = two({"data": settings(flipped)})
    same = make_plan({"a": ["lba"]}, set_={"a": {"data": settings(config)}}, seeds=2)
    both = replace(plan, stages={**plan.stages, **same.stages})
    (other,) = same.entries[0].arms
    assert measured(both.stages[other.trials[0].key_of("lba")], "val") == config.measured("val")
    assert measurement_confounds(both, other, RMSE, b, RMSE) == ()
    assert [c.rule for c in measurement_confounds(both, a, RMSE, b, RMSE)] == ["measured-split"]


def test_changed_files_of_a_source_are_other_data() -> None:
    folder = {"type": "image_folder", "source": "photos", "size": 32}
    plans = [
        make_plan({name: ["lba"]}, seeds=1, set_={name: {"data": folder}}, sources=(SourceNeed("photos", fingerprint),))
        for name, fingerprint in (("a", "11"), ("b", "22"))
    ]
    (a,), (b,) = plans[0].entries[0].arms, plans[1].entries[0].arms
    both = Plan("2024-06-28", "", "", "", "", "", (), {**plans[0].stages, **plans[1].stages})
    (found,) = measurement_confounds(both, a, RMSE, b, RMSE)
    assert found.text == "a and b are not measured on the same data: fingerprint.photos: 11 -> 22"


def test_losses_of_different_objectives_are_different_quantities() -> None:
    plan, a, b = two({"objective.label_smoothing": 0.1})
    (found,) = measurement_confounds(plan, a, LOSS, b, LOSS)
    assert (found.rule, found.severity) == ("metric", "unfair")
    assert found.text == "`loss` is another quantity in a than in b: label_smoothing: off -> 0.1"
    assert measurement_confounds(plan, a, RMSE, b, RMSE) == ()
    assert [c.rule for c in measurement_confounds(plan, a, LOSS, b, RMSE)] == ["metric"]


def test_a_reference_of_another_split_or_other_data_is_unfair() -> None:
    plan, a, _ = two({})

    def rules(profile: str = "", **facts: str) -> list[str]:
        reference = Reference(values={"x": 1.0}, source="a paper", **facts)
        return [c.text for c in reference_confounds(plan, a, RMSE, "paper", reference, profile)]

    assert rules() == rules(split="val", data="digits") == []
    assert rules(split="test") == ["paper is of test, a is measured on val"]
    assert rules("quick", split="val") == ["paper is not of the profile quick, a is"]
    assert rules(data="photos") == ["paper is of the data `photos`, a is measured on `digits`"]


def test_data_goes_by_its_name_on_the_page_too() -> None:
    plan, a, _ = two({})
    named = replace(a, data_names={"lba": "scans"})
    assert reference_confounds(plan, named, RMSE, "paper", Reference(values={"x": 1.0}, source="a paper", data="scans"), "") == ()


def test_numerics_that_differ_within_a_pair_are_told_once() -> None:
    one, four = {"threads": 1, "torch": "2.14.1", "device": "cpu"}, {"threads": 4, "torch": "2.14.1", "device": "cpu"}
    found = numerics_confounds({0: (one, four), 1: (one, one), 2: (one, four), 3: ({}, four)})
    assert [(c.rule, c.severity, c.text) for c in found] == [
        ("numerics", "warning", "threads differs within the pairs of seeds 0, 2: 1 -> 4")
    ]


def test_a_waiver_carries_the_authors_reason() -> None:
    (found,) = waived(arm_confounds(*two({"schedule.epochs": 16})), (Waiver("unequal-epochs", "both had converged"),))
    assert found.waived == "both had converged"
