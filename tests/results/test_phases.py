"""Phases and rates in the database: when each began and ended, why, what was best in it, and what a later attempt supersedes."""

from __future__ import annotations

import dataclasses

import pytest

from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.results.rebuild import compare_with_rebuilt
from interpreter.spec.measures import Measure
from interpreter.spec.metrics import METRICS
from interpreter.verdicts.curves import length
from interpreter.verdicts.history import History
from tests.plans import append_events, begin_attempt, epoch_events, finish_record, make_plan, write_record
from tests.report.scheduling import Phase, phase_event, phased_events, write_phased
from tests.results.conftest import Ask

PHASES = [Phase(["head"], 3), Phase(["conv2"], 2, "max_epochs", 3e-4), Phase(["conv1"], 3, "patience", 1e-5)]
LOSSES = [2.0, 1.5, 1.6, 1.4, 1.2, 1.3, 1.1, 1.1]
SPANS = "SELECT phase, began, ended, epochs, groups, ended_by FROM phases ORDER BY seed, phase"


def one(**settings: object) -> Plan:
    return make_plan({"thaw": ["lba"]}, seeds=1, epochs=8, set_={"thaw": {"thaw.max_epochs": 3, **settings}})


def key_of(plan: Plan) -> str:
    (key,) = plan.stages
    return key


def test_a_row_a_phase(project: Project, ask: Ask) -> None:
    plan = one()
    write_phased(project, plan.stages[key_of(plan)], PHASES, LOSSES)
    ingest(project, [plan])
    assert ask(SPANS) == [
        (0, 1, 3, 3, ["head"], "max_epochs"),
        (1, 4, 5, 2, ["conv2"], "patience"),
        (2, 6, 8, 3, ["conv1"], "planned epochs"),
    ]
    assert ask("SELECT tensors, parameters, trainable, rate FROM phases WHERE phase = 1") == [
        (2, 200, ["head.weight", "conv2.weight"], 3e-4)
    ]
    # keep.best watches val/loss; of the two epochs with 1.1 the earlier one is the best.
    assert ask("SELECT monitor, best, best_epoch FROM phases ORDER BY phase") == [
        ("val/loss", 1.5, 2), ("val/loss", 1.2, 5), ("val/loss", 1.1, 7),
    ]  # fmt: skip


def test_the_best_is_by_the_metric_that_the_thaw_watches(project: Project, ask: Ask) -> None:
    plan = one(**{"thaw.monitor": "val/accuracy"})
    folder = write_phased(project, plan.stages[key_of(plan)], PHASES[:2], LOSSES[:5], done=False)
    text = (folder / "events.jsonl").read_text()
    for value, accuracy in ((2.0, 0.5), (1.5, "NaN"), (1.6, 0.7), (1.4, "NaN"), (1.2, "NaN")):
        shown = f'"{accuracy}"' if isinstance(accuracy, str) else accuracy
        text = text.replace(f'"val/loss":{value}', f'"val/accuracy":{shown}')
    (folder / "events.jsonl").write_text(text)
    ingest(project, [plan])
    assert ask("SELECT monitor, best, best_epoch FROM phases ORDER BY phase") == [
        ("val/accuracy", 0.7, 3), ("val/accuracy", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_sql_knows_which_way_is_better(project: Project, ask: Ask, metric: str) -> None:
    ingest(project, [])
    assert ask("SELECT higher_is_better(?)", metric) == [(METRICS[metric].better == "higher",)]


def test_rates_by_epoch_and_group(project: Project, ask: Ask) -> None:
    plan = one()
    write_phased(project, plan.stages[key_of(plan)], PHASES, LOSSES)
    ingest(project, [plan])
    rows = ask('SELECT epoch, phase, "group", rate FROM schedule_trace ORDER BY epoch, "group"')
    assert rows[:3] == [(1, 0, "head", 1e-3), (2, 0, "head", 1e-3), (3, 0, "head", 1e-3)]
    assert rows[3:5] == [(4, 1, "conv2", 3e-4), (4, 1, "head", 1e-3)]
    assert len(rows) == 3 + 2 * 2 + 3 * 3


def test_a_fit_without_phases_has_one(project: Project, ask: Ask) -> None:
    plan = make_plan({"naive": ["lba"]}, seeds=2, epochs=4, evaluate=["final"])
    for stage in plan.stages.values():
        found = {"final/loss": [0.5]} if stage.kind == "evaluate" else {"val/loss": [1.0, 0.5, 0.4]}
        write_record(project, stage, found, early_stopping=True)
    ingest(project, [plan])
    rows = ask("SELECT seed, phase, began, ended, groups, ended_by FROM phases WHERE stage = 'lba' ORDER BY seed")
    assert rows == [(0, 0, 1, 3, None, "early stopping"), (1, 0, 1, 3, None, "early stopping")]


def test_a_phase_that_goes_on_has_no_end_and_grows(project: Project, ask: Ask) -> None:
    plan = one()
    folder = write_phased(project, plan.stages[key_of(plan)], PHASES[:2], LOSSES[:5], done=False)
    ingest(project, [plan])
    assert ask(SPANS)[1] == (1, 4, 5, 2, ["conv2"], None)
    append_events(folder, [phase_event(2, 5, PHASES[2], ["head", "conv2", "conv1"])])
    ingest(project, [plan])
    assert ask(SPANS)[1:] == [(1, 4, 5, 2, ["conv2"], "patience"), (2, 6, 5, 0, ["conv1"], None)]
    line = epoch_events({"val/loss": [1.3]}, 1, 5)
    append_events(folder, [line[0] | {"phase": 2}])
    ingest(project, [plan])
    assert ask(SPANS)[2] == (2, 6, 6, 1, ["conv1"], None)


def test_what_a_later_attempt_repeats_is_superseded(project: Project, ask: Ask) -> None:
    """The first attempt ended phase 0 after 3 epochs and died in phase 1; the second goes on from epoch 2, with another end."""
    plan = one()
    stage = plan.stages[key_of(plan)]
    folder = write_phased(project, stage, PHASES[:2], LOSSES[:5], done=False)
    ingest(project, [plan])
    begin_attempt(folder, 2, 2)
    again = [Phase(["head"], 4), Phase(["conv2"], 4, "until_epoch", 3e-4)]
    events = [line | {"attempt": 2} for line in phased_events(again, LOSSES) if line["epoch"] >= 2]
    append_events(folder, events)
    finish_record(folder, stage, {"val/loss": LOSSES[2:]}, attempt=2, first=2)
    ingest(project, [plan])
    assert ask(SPANS) == [(0, 1, 4, 4, ["head"], "until_epoch"), (1, 5, 8, 4, ["conv2"], "planned epochs")]
    assert ask("SELECT phase, attempt FROM phases ORDER BY phase") == [(0, 1), (1, 2)]
    assert compare_with_rebuilt(project, [plan]) == []


def test_a_measure_reads_how_long_a_phase_was(project: Project) -> None:
    plan = one()
    write_phased(project, plan.stages[key_of(plan)], PHASES, LOSSES)
    ingest(project, [plan])
    measure = Measure(phase=1, read="length")
    curve = History(project, plan).phases([key_of(plan)])[key_of(plan)]
    assert measure.phase is not None
    assert length(curve, measure.phase, None).value == 2.0
    assert length(curve, 3, None).value is None


def test_an_event_with_a_wrong_rate_is_told_and_left_out(project: Project, ask: Ask) -> None:
    plan = one()
    folder = write_phased(project, plan.stages[key_of(plan)], PHASES, LOSSES)
    text = (folder / "events.jsonl").read_text()
    (folder / "events.jsonl").write_text(text.replace('"rate":0.0003', '"rate":"quick"'))
    ingest(project, [plan])
    assert [row[0] for row in ask("SELECT phase FROM phases ORDER BY phase")] == [0, 2]
    ((found,),) = ask("SELECT text FROM findings WHERE code = 'corrupt-line'")
    assert "`rate`" in found


def test_phases_of_arms_that_share_a_stage_are_told_for_each(project: Project, ask: Ask) -> None:
    plan = make_plan({"a": ["lba"], "b": ["lba"]}, seeds=1, epochs=8)
    assert len(plan.stages) == 1
    write_phased(project, plan.stages[key_of(plan)], PHASES, LOSSES)
    ingest(project, [plan])
    assert ask("SELECT arm, count(*) FROM phases GROUP BY arm ORDER BY arm") == [("a", 3), ("b", 3)]
    plan = dataclasses.replace(plan, entries=())
    ingest(project, [plan])
    assert ask("SELECT count(*) FROM phase_starts") == [(3,)]


def test_a_fit_without_a_thaw_thaws_nothing_by_name(project: Project, ask: Ask) -> None:
    plan = make_plan({"naive": ["lba"]}, seeds=1, epochs=8)
    write_phased(project, plan.stages[key_of(plan)], [Phase(["conv1", "head"], 8)], LOSSES)
    ingest(project, [plan])
    assert ask("SELECT phase, groups, trainable FROM phases") == [(0, None, ["conv1.weight", "head.weight"])]


def test_the_epoch_that_a_phase_went_back_to(project: Project, ask: Ask) -> None:
    plan = one()
    folder = write_phased(project, plan.stages[key_of(plan)], PHASES, LOSSES)
    text = (folder / "events.jsonl").read_text()
    (folder / "events.jsonl").write_text(text.replace('"why":"patience"', '"why":"patience","restored":1'))
    ingest(project, [plan])
    assert ask("SELECT phase, restored FROM phases ORDER BY phase") == [(0, None), (1, None), (2, 2)]
