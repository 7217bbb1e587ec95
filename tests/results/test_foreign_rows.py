"""Imports, combinations and points of sweeps in the database: in the same tables and views as everything else."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from interpreter.errors import Place
from interpreter.plan.types import ArmPlan, EntryPlan, Plan, Stage, Trial
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.results.rebuild import compare_with_rebuilt
from interpreter.results.store import put_judgements
from interpreter.run.forecast import forecast
from interpreter.spec.entry import Entry, Outcome
from tests.results.conftest import Ask
from tests.stages.doing import do
from tests.stages.foreign import archive, combine_stage, import_stage, write

CURVES = "epoch,seed,val_loss\n1,0,2.0\n2,0,1.0\n1,1,4.0\n2,1,3.0\n"
TARGETS = np.array([0, 1, 1])


def arm(name: str, trials: list[list[tuple[str, Stage]]], evaluations: tuple[str, ...] = (), **fields: object) -> ArmPlan:
    planned = tuple(
        Trial(name, seed, {stage: seed for stage, _ in chain}, tuple((stage, made.key) for stage, made in chain))
        for seed, chain in enumerate(trials)
    )
    chain = tuple(stage for stage, _ in trials[0])
    return ArmPlan(name, chain, False, chain[0], evaluations, planned, **fields)  # type: ignore[arg-type]


@pytest.fixture
def plan(project: Project) -> Plan:
    write(project, "old.csv", CURVES)
    curves = [import_stage(project, "old.csv", seed=seed) for seed in (0, 1)]
    p = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]])
    file = archive(project, "p.npz", probabilities=np.stack([p, p[::-1], p]), targets=TARGETS)
    members = [import_stage(project, file, seed=seed, split="test") for seed in range(3)]
    together = combine_stage(*members[:2], part="test")
    arms = (
        arm("old[way=a]", [[("import", stage)] for stage in curves], base="old", factors={"way": "a", "width": "3"}),
        arm("single", [[("import", stage)] for stage in members]),
        arm("ensemble", [[("shifted", together)]], evaluations=("shifted",)),
    )
    stages = {stage.key: stage for stage in (*curves, *members, together)}
    outcome = Outcome("abandoned", stage="fit", cause="too slow", see=("2024-07-01/second",))
    entry = Entry("first", "Old and new", Place("specs/2024-06-28.yaml", 4, 3), about="2024-06-20", outcome=outcome)
    entries = (EntryPlan("2024-06-28", "2024-06-28/first", "", entry, arms, ()),)
    return Plan("2024-06-28", "", "specs/2024-06-28.yaml", "expt: 1\n", "h", "Page", entries, stages)


@pytest.fixture
def filled(project: Project, plan: Plan) -> Plan:
    assert do(project, *plan.stages.values()) == ["done"] * 6
    assert ingest(project, [plan]).rows == 4 + 4 * 9
    return plan


def test_imported_curves_are_curves(filled: Plan, ask: Ask) -> None:
    rows = ask("SELECT arm, base, factors, seed, stage, split, metric, epoch, value FROM curves WHERE base = 'old' ORDER BY ALL")
    assert rows == [
        ("old[way=a]", "old", {"way": "a", "width": "3"}, seed, "import", "val", "loss", epoch, value)
        for seed, epoch, value in ((0, 1, 2.0), (0, 2, 1.0), (1, 1, 4.0), (1, 2, 3.0))
    ]
    assert ask("SELECT n, last, min, max, factors['way'] FROM leaderboard WHERE base = 'old'") == [(2, 2.0, 2.0, 3.0, "a")]
    assert ask("SELECT kind, state, epochs, planned_epochs, ended, start FROM stages JOIN chains USING (stage_id, kind) "
               "WHERE base = 'old' AND chains.seed = 0") == [("import", "done", 2, 0, "imported", None)]  # fmt: skip
    assert ask(
        "SELECT last_epoch, last, min_epoch, kept FROM finals JOIN chains USING (stage_id) WHERE base = 'old' AND seed = 1"
    ) == [(2, 3.0, 2, None)]
    assert ask(
        "SELECT step, examples, cardinality(rates) FROM epochs JOIN chains USING (stage_id) WHERE base = 'old' LIMIT 1"
    ) == [(None, None, 0)]


def test_where_imported_numbers_come_from(filled: Plan, ask: Ask) -> None:
    assert ask("SELECT DISTINCT source, origin FROM datasets JOIN chains USING (stage_id) WHERE base = 'old'") == [
        (None, "imported from old.csv")
    ]


def test_a_combination_is_measured_as_the_evaluation_it_stands_for(filled: Plan, ask: Ask) -> None:
    assert ask("SELECT split, epoch, value FROM curves WHERE arm = 'ensemble' AND metric = 'accuracy'") == [
        ("shifted", 1, pytest.approx(1 / 3))  # each class has 0.5 in each row: the first of equals wins
    ]
    assert ask("SELECT split, n FROM leaderboard WHERE arm = 'single' AND metric = 'nll'") == [("test", 3)]
    key = filled.entries[0].arms[2].trials[0].stages[0][1]
    rows = ask("SELECT split, epoch, row, example, target, list_transform(output, lambda x: round(exp(x), 6)) FROM predictions "
               "WHERE key = ? ORDER BY row", key)  # fmt: skip
    assert rows == [("test", 1, row, str(row), float(TARGETS[row]), [0.5, 0.5]) for row in range(3)]


def test_measures_of_points(project: Project, filled: Plan, ask: Ask) -> None:
    value = {"measure": "loss", "epoch": 2, "selected": False, "complete": True, "note": ""}
    measures = [SimpleNamespace(arm=name, seed=0, value=1.0, **value) for name in ("old[way=a]", "single")]
    put_judgements(project, [SimpleNamespace(entry=filled.entries[0], measures=measures, verdicts=())])
    assert ask("SELECT arm, base, factors, value FROM readings ORDER BY arm") == [
        ("old[way=a]", "old", {"way": "a", "width": "3"}, 1.0),
        ("single", "single", {}, 1.0),
    ]


def test_what_an_entry_is_about_and_how_it_ended(project: Project, filled: Plan, ask: Ask) -> None:
    ((about, outcome),) = ask("SELECT about, outcome FROM entries")
    assert about == "2024-06-20"
    assert json.loads(outcome) == {
        "status": "abandoned", "stage": "fit", "error": "", "cause": "too slow", "see": ["2024-07-01/second"],
    }  # fmt: skip
    assert ask("SELECT outcome->>'$.cause' FROM entries") == [("too slow",)]


@pytest.mark.parametrize("change", ["about", "outcome", "base", "factors"])
def test_what_changes_on_the_page_is_written_again(project: Project, filled: Plan, ask: Ask, change: str) -> None:
    (entry,) = filled.entries
    old = entry.arms[0]
    changed = {
        "about": replace(entry, entry=replace(entry.entry, about="2024-06-21")),
        "outcome": replace(entry, entry=replace(entry.entry, outcome=None)),
        "base": replace(entry, arms=(replace(old, base="older"), *entry.arms[1:])),
        "factors": replace(entry, arms=(replace(old, factors={"way": "b"}), *entry.arms[1:])),
    }[change]
    ingest(project, [replace(filled, entries=(changed,))])
    found = ask("SELECT about, outcome IS NULL, base, factors FROM entries JOIN arms USING (entry_id) WHERE arms.position = 1")
    before = ["2024-06-20", False, "old", {"way": "a", "width": "3"}]
    after = {"about": "2024-06-21", "outcome": True, "base": "older", "factors": {"way": "b"}}
    place = list(after).index(change)
    assert list(found[0]) == [*before[:place], after[change], *before[place + 1 :]]


def test_a_rebuilt_database_is_the_same(project: Project, filled: Plan) -> None:
    assert compare_with_rebuilt(project, [filled]) == []


def test_what_can_not_run_is_told_and_holds_up_what_needs_it(project: Project, plan: Plan) -> None:
    (project.root / "p.npz").unlink()
    first = next(iter(plan.stages.values()))
    stages = {**plan.stages, first.key: replace(first, unbuilt=("the model type `cnn3d`",))}
    found = {f.stage.key: (f.fate, f.why) for f in forecast(project, replace(plan, stages=stages))}
    keys = [key for _, key in (walk for arm_plan in plan.entries[0].arms for t in arm_plan.trials for walk in t.stages)]
    assert [found[key] for key in keys] == [
        ("blocked", "not built yet: the model type `cnn3d`"),
        ("run", "never run"),
        *[("blocked", "the file `p.npz` to import is not here")] * 3,
        ("blocked", "its input import is blocked"),
    ]
