"""Measures of every kind, read off records: what each reads, on which stage, and what it says where there is nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpreter.plan.types import ArmPlan, Input, Plan, Stage, Trial
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.spec.canonical import key_of
from interpreter.spec.measures import EffectiveRobustness, Measure, Smooth
from interpreter.verdicts.effective_robustness import LINES, effective_robustness, line_note, predicted
from interpreter.verdicts.history import History
from interpreter.verdicts.measures import Reader, read_measures
from interpreter.verdicts.readings import Metric, measured, recorded_split, weights_chosen_on
from interpreter.verdicts.types import MeasureValue
from tests.plans import (
    append_events,
    begin_attempt,
    epoch_events,
    finish_record,
    make_evaluate,
    make_fit,
    make_plan,
    make_project,
    start_record,
    write_record,
    write_records,
)

ACCURACY = [0.2, 0.5, 0.8, 0.7]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def reader_of(project: Project, plan: Plan) -> Reader:
    ingest(project, [plan])
    return Reader(plan, plan.entries[0], History(project, plan))


def read_one(project: Project, measures: Mapping[str, Measure], history: Mapping[str, Sequence[float]], **more: Any) -> Any:
    """One trial of one fit with `history`, every measure by name."""
    plan = make_plan({"a": ["lba"]}, seeds=1, epochs=len(next(iter(history.values()))), measures=measures, **more)
    write_records(project, plan, lambda arm, seed, stage: history)
    return {value.measure: value for value in read_measures(reader_of(project, plan))}


def write_phases(project: Project, stage: Stage, phases: Sequence[int], seconds: Sequence[float]) -> None:
    """A finished record whose epochs are in `phases` and took `seconds`."""
    history = {"val/loss": [1.0] * len(phases), "val/accuracy": [0.5] * len(phases)}
    folder = start_record(project, stage)
    begin_attempt(folder, 1, 0)
    lines = epoch_events(history)
    for line, phase, took in zip(lines, phases, seconds, strict=True):
        line |= {"phase": phase, "resources": {"seconds": took, "it_per_s": 10 / took, "rss_mb": 100 * took}}
    append_events(folder, lines)
    finish_record(folder, stage, history)


def test_a_curve_and_how_soon_and_whether(project: Project) -> None:
    found = read_one(
        project,
        {
            "area": Measure(metric="val/accuracy", read="auc"),
            "soon": Measure(metric="val/accuracy", read="epochs_to", value=0.8),
            "never": Measure(metric="val/accuracy", read="epochs_to", value=0.9),
            "low": Measure(metric="val/loss", read="epochs_to", value=0.45),
            "got": Measure(metric="val/accuracy", read="best", over=0.75),
            "missed": Measure(metric="val/accuracy", read="best", over=0.8),
            "ended": Measure(metric="val/accuracy", read="last", over=0.5),
            "late": Measure(metric="val/accuracy", read="epochs_to", value=0.7, over=2),
        },
        {"val/accuracy": ACCURACY, "val/loss": [0.9, 0.6, 0.4, 0.5]},
    )
    assert found["area"].value == pytest.approx(0.55)
    assert (found["area"].epoch, found["area"].selected) == (None, False)
    assert (found["soon"].value, found["soon"].epoch, found["soon"].selected) == (3.0, 3, False)
    assert (found["never"].value, found["never"].complete) == (None, True)
    assert found["never"].note == "never reached 0.9 in 4 epochs"
    assert found["low"].value == 3.0
    assert (found["got"].value, found["got"].epoch, found["got"].selected) == (1.0, 3, True)
    assert found["missed"].value == 0.0  # above, not at
    assert (found["ended"].value, found["ended"].selected) == (1.0, False)
    assert found["late"].value == 1.0


def test_at_a_measure_without_an_epoch_says_so(project: Project) -> None:
    found = read_one(
        project,
        {
            "soon": Measure(metric="val/accuracy", read="epochs_to", value=0.5),
            "never": Measure(metric="val/accuracy", read="epochs_to", value=0.95),
            "area": Measure(metric="val/accuracy", read="auc"),
            "memory": Measure(resource="rss_mb", read="max"),
            "loss-soon": Measure(metric="val/loss", at="soon"),
            "loss-never": Measure(metric="val/loss", at="never"),
            "loss-area": Measure(metric="val/loss", at="area"),
            "loss-memory": Measure(metric="val/loss", at="memory"),
        },
        {"val/accuracy": ACCURACY, "val/loss": [0.9, 0.6, 0.4, 0.5]},
    )
    assert (found["loss-soon"].value, found["loss-soon"].epoch) == (0.6, 2)
    assert found["loss-never"].note == "`never` has no epoch: never reached 0.95 in 4 epochs"
    assert found["loss-area"].note == "`area` has no epoch: it is read at no single one"
    assert found["loss-memory"].note == "`memory` has no epoch: it is read at no single one"


def test_phases_and_resources_of_the_last_fit(project: Project) -> None:
    measures = {
        "first": Measure(phase=0, read="length"),
        "second": Measure(phase=1, read="length"),
        "third": Measure(phase=2, read="length"),
        "long": Measure(phase=1, read="length", over=2),
        "time": Measure(resource="seconds", read="total"),
        "pace": Measure(resource="it_per_s", read="median"),
        "memory": Measure(resource="rss_mb", read="max", epochs=(1, 3)),
    }
    plan = make_plan({"a": ["easy", "lba"]}, seeds=1, epochs=5, measures=measures, evaluate=["final"])
    (arm,) = plan.entries[0].arms
    easy, lba, final = (plan.stages[key] for _, key in arm.trials[0].stages)
    write_phases(project, easy, [0] * 5, [50.0] * 5)
    write_phases(project, lba, [0, 0, 1, 1, 1], [1.0, 2.0, 4.0, 5.0, 8.0])
    write_record(project, final, {"final/accuracy": [0.5]})
    reader = reader_of(project, plan)
    found = {value.measure: value for value in read_measures(reader)}
    assert {name: found[name].value for name in ("first", "second", "long")} == {"first": 2.0, "second": 3.0, "long": 1.0}
    assert (found["third"].value, found["third"].complete) == (None, True)
    assert found["third"].note == "phase 2 was never reached: the last of 5 epochs is in phase 1"
    assert (found["time"].value, found["pace"].value, found["memory"].value) == (20.0, 2.5, 400.0)
    assert all(value.epoch is None and not value.selected for value in found.values())
    assert {reader.stage(arm, name) for name in measures} == {"lba"}
    assert all(reader.metric(arm, name) is None and reader.metrics(arm, name) == () for name in measures)


def test_a_fit_without_phases_is_one_phase(project: Project) -> None:
    found = read_one(project, {"all": Measure(phase=0, read="length")}, {"val/loss": [1.0] * 6})
    assert found["all"].value == 6.0


def test_an_arm_without_a_fit_has_no_phases(project: Project) -> None:
    plan = make_plan({"a": ["lba"]}, seeds=1, epochs=2, measures={"long": Measure(phase=0, read="length")}, evaluate=["final"])
    write_records(project, plan, lambda arm, seed, stage: {f"{'final' if stage == 'final' else 'val'}/loss": [1.0, 0.5]})
    (entry,) = plan.entries
    (arm,) = entry.arms
    (trial,) = arm.trials
    alone = replace(arm, chain=("final",), main_stage="", trials=(Trial("a", 0, {}, trial.stages[1:]),))
    plan = replace(plan, entries=(replace(entry, arms=(alone,)),))
    reader = reader_of(project, plan)
    assert reader.stage(alone, "long") is None
    assert reader.of(alone, "long") == ()


def test_what_a_trial_that_ended_early_has_is_read_and_said(project: Project) -> None:
    measures = {
        "never": Measure(metric="val/accuracy", read="epochs_to", value=0.9),
        "time": Measure(resource="seconds", read="total"),
    }
    plan = make_plan({"a": ["lba"]}, seeds=1, epochs=8, measures=measures)
    (stage,) = plan.stages.values()
    write_record(project, stage, {"val/accuracy": ACCURACY}, done=False, how="stopped")
    found = {value.measure: value for value in read_measures(reader_of(project, plan))}
    assert not found["never"].complete
    assert found["never"].note == "lba was stopped at epoch 4 of 8; never reached 0.9 in 4 epochs"
    assert (found["time"].value, found["time"].complete) == (4.0, False)


def test_the_line_at_the_accuracies_of_a_known_model() -> None:
    # A ResNet-18: 9,292 of 9,984 and 1,475 of 1,792 right, "very much on the curve"; by hand,
    # logit(0.930689) = 2.597323, times 0.8318 less 0.4736 is 1.686853, whose logistic is 0.843810.
    acc_in, acc_out = np.array([9292 / 9984]), np.array([1475 / 1792])
    line = LINES["andreassen"]
    assert predicted(acc_in, line)[0] == pytest.approx(0.843810, abs=1e-6)
    assert effective_robustness(acc_in, acc_out, line)[0] == pytest.approx(0.823103 - 0.843810, abs=2e-6)
    assert predicted(np.array([0.5]), line)[0] == pytest.approx(1 / (1 + math.exp(0.4736)))
    assert predicted(np.array([0.0, 1.0]), line).tolist() == [0.0, 1.0]
    assert line_note("andreassen", "v4") == ""
    assert "also serves v6" in line_note("andreassen", "v6")


def robust(version: str = "v4", original: str = "original/accuracy", over: float | None = None) -> Measure:
    asked = {"in": original, "out": "shifted/accuracy", "version": version}
    return Measure(effective_robustness=EffectiveRobustness.model_validate(asked), over=over)


def test_effective_robustness_of_each_trial(project: Project) -> None:
    measures = {"er": robust(), "six": robust("v6"), "above": robust(over=-0.1), "unlike": robust(original="val/accuracy")}
    plan = make_plan({"a": ["lba"]}, seeds=2, epochs=4, measures=measures, evaluate=["original", "shifted"])
    values = {"original": [0.93, 0.90], "shifted": [0.85, 0.80]}

    def history(arm: str, seed: int, stage: str) -> dict[str, list[float]]:
        return (
            {"val/loss": [1, 0.5, 0.4, 0.6], "val/accuracy": ACCURACY}
            if stage == "lba"
            else {f"{stage}/accuracy": [values[stage][seed]]}
        )

    write_records(project, plan, history)
    reader = reader_of(project, plan)
    (arm,) = plan.entries[0].arms
    found = reader.of(arm, "er")
    for value, p, q in zip(found, *values.values(), strict=True):
        line = 1 / (1 + math.exp(-(0.8318 * math.log(p / (1 - p)) - 0.4736)))
        assert value.value == pytest.approx(q - line)
        assert (value.complete, value.selected, value.note) == (True, False, "")
    assert reader.stage(arm, "er") == "shifted"
    assert reader.metrics(arm, "er") == (Metric("original", "original", "accuracy"), Metric("shifted", "shifted", "accuracy"))
    assert reader.metric(arm, "er") == Metric("shifted", "shifted", "accuracy")
    assert reader.points(arm, "er")[1] == tuple(zip(reader.metrics(arm, "er"), (1, 1), strict=True))
    assert "taken to be of v4: it also serves v6" in reader.of(arm, "six")[0].note
    assert [value.value for value in reader.of(arm, "above")] == [1.0, 1.0]
    unlike = reader.of(arm, "unlike")[0]
    assert unlike.note == "the two accuracies are not of the same weights"
    assert unlike.selected


def test_effective_robustness_lacks_what_one_evaluation_lacks(project: Project) -> None:
    plan = make_plan({"a": ["lba"]}, seeds=1, epochs=1, measures={"er": robust()}, evaluate=["original", "shifted"])
    (arm,) = plan.entries[0].arms
    for name, key in arm.trials[0].stages:
        if name != "original":
            write_record(project, plan.stages[key], {"val/loss": [1.0]} if name == "lba" else {"shifted/accuracy": [0.8]})
    (value,) = reader_of(project, plan).of(arm, "er")
    assert (value.value, value.complete, value.note) == (None, False, "original was not run")


def test_an_evaluation_has_one_epoch_whatever_is_asked(project: Project) -> None:
    measures = {
        "smooth": Measure(metric="final/accuracy", read="stable_max", smooth=Smooth(savgol=15)),
        "area": Measure(metric="final/accuracy", read="auc"),
        "reached": Measure(metric="final/accuracy", read="epochs_to", value=0.6),
        "not": Measure(metric="final/accuracy", read="epochs_to", value=0.7),
    }
    plan = make_plan({"a": ["lba"]}, seeds=1, epochs=2, measures=measures, evaluate=["final"])
    write_records(
        project, plan, lambda arm, seed, stage: {"val/loss": [1, 0.5]} if stage == "lba" else {"final/accuracy": [0.65]}
    )
    found = {value.measure: value for value in read_measures(reader_of(project, plan))}
    assert (found["smooth"].value, found["smooth"].note) == (0.65, "")
    assert found["area"].value == 0.65
    assert found["reached"].value == 1.0
    assert (found["not"].value, found["not"].note) == (None, "never reached 0.7 in 1 epoch")


def stage_of(kind: str, settings: Mapping[str, Any], inputs: tuple[Input, ...] = ()) -> Stage:
    identity = {"kind": kind, "settings": settings, "inputs": [i.key for i in inputs]}
    return Stage(key_of(identity), kind, kind, identity, settings, inputs, (), 0)


def write_plain(project: Project, stage: Stage, history: Mapping[str, Sequence[float]]) -> None:
    """A finished record of a stage that has no data of its own: epochs and nothing else."""
    folder = start_record(project, stage)
    begin_attempt(folder, 1, 0)
    append_events(folder, [line | {"resources": {}} for line in epoch_events(history)])
    finish_record(folder, stage, history)


def imported(project: Project, values: Sequence[float], read: str) -> MeasureValue:
    """A measure of an arm that is an import of `values`, one an epoch."""
    stage = stage_of("import", {"import": {"sha256": "5" * 64, "split": "val"}, "name": "val"})
    plan = make_plan({"a": ["lba"]}, seeds=1, measures={"m": Measure(metric="val/accuracy", read=read)})
    arm = ArmPlan("old", ("import",), False, "import", (), (Trial("old", 0, {}, (("import", stage.key),)),))
    plan = replace(plan, entries=(replace(plan.entries[0], arms=(arm,)),), stages={stage.key: stage})
    write_plain(project, stage, {"val/accuracy": values})
    (value,) = reader_of(project, plan).of(arm, "m")
    return value


def test_imported_curves_are_read_like_those_of_a_fit(project: Project) -> None:
    value = imported(project, ACCURACY, "best")
    assert (value.value, value.epoch, value.selected, value.complete) == (0.8, 3, True, True)


def test_an_import_of_one_epoch_was_not_chosen(project: Project) -> None:
    value = imported(project, [0.6], "best")
    assert (value.value, value.selected) == (0.6, False)


def combined_plan(members: Sequence[Stage], evaluated: bool) -> tuple[Plan, Stage, ArmPlan]:
    name = "final" if evaluated else "val"
    inputs = tuple(Input("member", member.key, "best", "all") for member in members)
    stage = stage_of("combine", {"combine": {"how": "mean_probability"}, "part": name, "name": name}, inputs)
    plan = make_plan({"a": ["lba"]}, seeds=1, measures={"m": Measure(metric=f"{name}/accuracy")})
    arm = ArmPlan("four", ("all",), False, "all", (), (Trial("four", 0, {}, (("all", stage.key),)),))
    stages = {stage.key: stage, **{member.key: member for member in members}}
    return replace(plan, entries=(replace(plan.entries[0], arms=(arm,)),), stages=stages), stage, arm


def test_a_combination_measures_what_its_members_do(project: Project) -> None:
    fits = [make_fit(seed=seed) for seed in range(2)]
    plan, stage, arm = combined_plan(fits, evaluated=False)
    assert measured(stage, "val", plan) == measured(fits[0], "val")
    assert weights_chosen_on(plan, stage.key) == measured(fits[0], "val")
    assert recorded_split(stage, Metric("all", "anything", "accuracy")) == "val"
    write_plain(project, stage, {"val/accuracy": [0.9]})
    (value,) = reader_of(project, plan).of(arm, "m")
    assert (value.value, value.selected) == (0.9, True)
    assert value.note == "its weights were chosen on the data it reports"


def test_a_combination_of_evaluations_was_chosen_on_other_data(project: Project) -> None:
    fits = [make_fit(seed=seed) for seed in range(2)]
    tests = [make_evaluate(fit) for fit in fits]
    plan, stage, arm = combined_plan(tests, evaluated=True)
    plan = replace(plan, stages={**plan.stages, **{fit.key: fit for fit in fits}})
    assert measured(stage, "final", plan) == measured(tests[0], "final")
    assert weights_chosen_on(plan, stage.key) == measured(fits[0], "val")
    write_plain(project, stage, {"final/accuracy": [0.9]})
    (value,) = reader_of(project, plan).of(arm, "m")
    assert (value.value, value.selected, value.note) == (0.9, False, "")


def test_imports_are_of_the_same_thing_when_their_file_is() -> None:
    one = stage_of("import", {"import": {"sha256": "1" * 64}, "name": "val"})
    other = stage_of("import", {"import": {"sha256": "2" * 64}, "name": "val"})
    assert measured(one, "val") == measured(one, "val")
    assert measured(one, "val") != measured(other, "val")
    assert measured(one, "val") != measured(one, "test")


def test_points_are_where_numbers_were_read(project: Project) -> None:
    measures = {"best": Measure(metric="val/accuracy"), "area": Measure(metric="val/accuracy", read="auc")}
    plan = make_plan({"a": ["lba"]}, seeds=1, epochs=4, measures=measures)
    write_records(project, plan, lambda *_: {"val/accuracy": ACCURACY})
    reader = reader_of(project, plan)
    (arm,) = plan.entries[0].arms
    metric = Metric("lba", "val", "accuracy")
    assert reader.points(arm, "best") == (((metric, 3),),)
    assert reader.points(arm, "area") == (((metric, None),),)
    assert reader.stage(arm, "unknown") is None


def test_a_later_attempt_replaces_the_resources_of_the_epochs_it_repeats(project: Project) -> None:
    plan = make_plan({"a": ["lba"]}, seeds=1, epochs=3, measures={"time": Measure(resource="seconds", read="total")})
    (stage,) = plan.stages.values()
    history = {"val/loss": [1.0, 0.9, 0.8]}
    folder = start_record(project, stage)
    begin_attempt(folder, 1, 0)
    slow = [json.loads(json.dumps(line)) | {"resources": {"seconds": 100.0}} for line in epoch_events(history)[:2]]
    append_events(folder, slow)
    begin_attempt(folder, 2, 1, minute=5)
    append_events(folder, epoch_events({"val/loss": [0.9, 0.8]}, 2, 1))
    finish_record(folder, stage, history, attempt=2)
    (value,) = read_measures(reader_of(project, plan))
    assert value.value == 102.0  # the first epoch as it was, the second and third as repeated
