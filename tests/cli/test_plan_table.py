"""`expt plan`'s table: a sweep is a few lines, every line says for whom, and it is never wider than the terminal."""

import json

import pytest

from interpreter.check.page import check_page
from interpreter.cli.main import main
from interpreter.cli.plan import table
from interpreter.plan.build import build_plan
from interpreter.run.forecast import Forecast
from interpreter.spec.library import Library
from tests.check.pages import PAGE
from tests.plans import write_record

WIDE = """\
expt: 1
date: 2026-01-02
datasets:
  digits: {type: digits}
  easy: {extends: digits, subset: {easiest: 50%, scored_by: {result: scored.difficulty, seed: 0}}}
models: {net: {type: mlp, hidden: [16]}}
schedules: {short: {epochs: 2, batch_size: 32, optimizer: {type: adam, lr: 1e-3}}}
entries:
  wide:
    stages:
      first: {fit: classification, data: digits, model: net, schedule: short}
      difficulty: {score: digits}
      pre: {fit: classification, data: easy, model: net, schedule: short}
      tune: {fit: classification, data: digits, model: net, schedule: short}
      final: {evaluate: digits}
    arms:
      scored: [first, difficulty]
      naive: {chain: [tune, final], baseline: true}
      swept:
        chain: [pre, tune, final]
        vary: {stages.tune.head.dropout: {LEVELS}, stages.tune.schedule.epochs: [2, 4]}
    seeds: 3
    measures: {acc: {metric: val/accuracy, read: best}}
    expect:
      helps: {claim: all swept > naive, on: acc, margin: 0}
      as-before: {reproduces: 2026-01-01/first/naive, arm: naive, on: acc, within: 0.1}
"""


def page(points: int) -> str:
    """A page whose sweep has so many points (an even number)."""
    return WIDE.replace("{LEVELS}", "[" + ", ".join(f"{n / 1000:.3f}" for n in range(points // 2)) + "]")


@pytest.fixture
def plan(project, write, monkeypatch, capsys):
    write("2026-01-01", PAGE)
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(text, *arguments, name="2026-01-02", code=0):
        write(name, text)
        assert main(["plan", name, *arguments]) == code
        return capsys.readouterr().out.splitlines()

    return run


def rows(lines):
    """The table's lines as cells: split where two blanks or more are."""
    first = next(i for i, line in enumerate(lines) if line.startswith("  stage"))
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[first + 1 :] if line.startswith("  ")]


def test_a_sweep_is_one_line_a_stage(plan):
    lines = plan(page(8))
    assert lines[0] == "2026-01-02: 66 stages"
    assert [row[:4] for row in rows(lines)] == [
        ["first", "scored, naive", "0-2", "2"],  # one stage: the first arm that asks for it names it
        ["difficulty", "scored", "0-2", "-"],
        ["final", "naive", "0-2", "-"],
        ["pre", "swept (8 points)", "0-2", "2"],
        ["tune", "swept (8 points)", "0-2", "2-4"],
        ["final", "swept (8 points)", "0-2", "-"],
        ["tune", "2026-01-01/first/naive", "0-2", "2"],  # another entry's, which a claim speaks of
        ["final", "2026-01-01/first/naive", "0-2", "-"],
    ]
    assert [row[-1].partition(" ")[2] for row in rows(lines)][3:6] == ["(+2)", "(+23)", "(+23)"]


def test_a_thousand_points(plan):
    lines = plan(page(1000))
    assert len(lines) < 20
    assert max(map(len, lines)) <= 160
    tune = next(row for row in rows(lines) if row[:2] == ["tune", "swept (1000 points)"])
    assert tune[2:4] == ["0-2", "2-4"]
    assert tune[-1].endswith("(+2999)")


def test_json_has_every_stage(plan):
    found = [json.loads(line) for line in plan(page(8), "--format", "json")]
    assert len({item["key"] for item in found}) == len(found) == 66
    arms = {item["arms"] for item in found if item["name"] == "tune"}
    points = {f"swept[dropout={n / 1000:.3f},epochs={epochs}]" for n in range(4) for epochs in (2, 4)}
    assert arms == points | {"2026-01-01/first/naive"}


def test_stages_that_serve_another_stage(plan):
    lines = plan(page(8), "--arm", "swept")
    found = [row[:4] for row in rows(lines)][:3]
    assert found == [["first", "for pre", "-", "2"], ["difficulty", "for pre", "-", "-"], ["pre", "swept (8 points)", "0-2", "2"]]


def test_only_some_points(plan):
    arms = [row[1] for row in rows(plan(page(8), "--arm", "swept[epochs=4]"))]
    assert "swept (4 points)" in arms
    assert not [arm for arm in arms if arm.startswith(("naive", "scored"))]


@pytest.mark.parametrize(("width", "cut"), [(60, True), (80, True), (160, False)])
def test_no_line_is_wider_than_the_terminal(plan, monkeypatch, width, cut):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = [line for line in plan(page(8), "--arm", "swept") if line.startswith("  ")]
    assert max(map(len, lines)) <= width
    assert any("..." in line for line in lines) == cut


def test_reasons_are_told_one_by_one_while_they_are_few(project, write):
    library = Library(project)
    write("2026-01-01", PAGE)
    plan = build_plan(check_page(library, library.page(write("2026-01-02", page(8)))), {})
    tunes = [stage for stage in plan.stages.values() if stage.name == "tune" and stage.inputs]

    def told(reasons):
        items = [Forecast(stage, "run", reasons[i % len(reasons)], "", (stage.seed,)) for i, stage in enumerate(tunes)]
        return [(row[5], row[6].partition(" ")[2]) for row in table(plan, items)]

    assert told(["a", "b", "c"]) == [("a", "(+7)"), ("b", "(+7)"), ("c", "(+7)")]
    assert told(["a", "b", "c", "d"]) == [("a (and 3 other reasons)", "(+23)")]


def test_what_changed_since_the_last_run(plan, project, write):
    library = Library(project)
    before = build_plan(check_page(library, library.page(write("2026-01-01", PAGE))), {})
    naive = next(arm for arm in before.entries[0].arms if arm.name == "naive")
    for trial in naive.trials:
        write_record(project, before.stages[trial.key_of("tune")], {"val/loss": [1.0, 0.5]})
    lines = plan(PAGE.replace("lr: 1e-3", "lr: 2e-3").replace("per_class: 5", "per_class: 6"), name="2026-01-01")
    row = next(row for row in rows(lines) if row[:2] == ["tune", "naive"])
    assert row[5] == "changed: data.per_class: 5 -> 6; schedule.optimizer.lr: 0.001 -> 0.002"


def test_arms_of_one_name_in_two_entries(plan):
    second = PAGE[PAGE.index("  first:") :].replace("  first:", "  again:", 1)
    lines = plan(PAGE + second, name="2026-01-01")
    assert "first/naive, again/naive" in [row[1] for row in rows(lines)]
