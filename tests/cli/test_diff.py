"""`expt diff`: every difference between two arms, in words, in order, with the lines that make it."""

import pytest

from interpreter.check.page import check_page
from interpreter.cli.main import main
from interpreter.plan.build import build_plan
from interpreter.spec.library import Library
from tests.check.pages import PAGE
from tests.plans import write_record

LATER = """\
expt: 1
date: 2026-01-02
models: {wide: {type: mlp, hidden: [64]}}
schedules: {long: {extends: 2026-01-01#schedules.short, epochs: 5}}
entries:
  second:
    stages:
      tune: 2026-01-01/first#tune
      own: {fit: classification, data: 2026-01-01#datasets.few, model: wide, schedule: long, keep: {best: val/accuracy}}
      final: {evaluate: 2026-01-01#datasets.digits}
    arms:
      same: {chain: [tune, final], baseline: true}
      other:
        chain: [own]
        set: {stages.own.head.dropout: 0.5}
      swept: {chain: [tune], vary: {stages.tune.head.dropout: [0.0, 0.5], stages.tune.schedule.epochs: [2, 4]}}
    seeds: {from: 1, n: 3}
    profiles:
      quick: {seeds: 1, schedules.long.epochs: 3}
"""


@pytest.fixture
def diff(project, write, monkeypatch, capsys):
    write("2026-01-01", PAGE)
    write("2026-01-02", LATER)
    monkeypatch.chdir(project.root)

    def run(*arguments, code=0):
        assert main(["diff", *arguments]) == code
        out, err = capsys.readouterr()
        return out.splitlines() if code == 0 else err

    return run


def test_one_override_with_the_line_that_makes_it(diff):
    assert diff("2026-01-01/first/pretrained", "2026-01-01/first/slow") == [
        "2026-01-01/first/pretrained -> 2026-01-01/first/slow",
        "  lr of the optimizer of tune: 0.001 -> 0.0001  (specs/2026-01-01.yaml:5 / set of arm slow, specs/2026-01-01.yaml:16)",
    ]


def test_stages_that_only_one_arm_has(diff):
    assert diff("2026-01-01/first/naive", "2026-01-01/first/pretrained")[1:] == [
        "  start of tune: random weights -> pre@best",
        "  pre: a stage of 2026-01-01/first/pretrained only  (specs/2026-01-01.yaml:10)",
    ]


def test_arms_of_two_days_that_differ_only_in_seeds(diff):
    assert diff("2026-01-01/first/naive", "2026-01-02/second/same")[1:] == [
        "  seeds: 0-2 -> 1-3  (specs/2026-01-01.yaml:17 / specs/2026-01-02.yaml:17)"
    ]


def test_an_arm_and_itself(diff):
    assert diff("2026-01-01/first/naive", "2026-01-01/first/naive")[1:] == ["  nothing differs"]


def test_main_stages_of_two_names_in_order_of_what_they_touch(diff):
    first, second = "specs/2026-01-01.yaml", "specs/2026-01-02.yaml"
    assert diff("2026-01-01/first/naive", "2026-01-02/second/other")[1:] == [
        f"  hidden of the model of tune and own: [16] -> [64]  ({first}:4 / {second}:3)",
        f"  dropout of the head of tune and own: 0 -> 0.5  (default / set of arm other, {second}:15)",
        f"  epochs of tune and own: 2 -> 5  ({first}:5 / {second}:4)",
        f"  metric of the best checkpoint of tune and own: val/loss -> val/accuracy  (default / {second}:9)",
        "  final: a stage of 2026-01-01/first/naive only  (specs/2026-01-01.yaml:12)",
        "  seeds: 0-2 -> 1-3  (specs/2026-01-01.yaml:17 / specs/2026-01-02.yaml:17)",
    ]


def test_points_of_a_sweep_in_any_order_of_factors(diff):
    found = diff("2026-01-02/second/swept[epochs=2,dropout=0.0]", "2026-01-02/second/swept[dropout=0.5,epochs=4]")
    assert found == [
        "2026-01-02/second/swept[dropout=0.0,epochs=2] -> 2026-01-02/second/swept[dropout=0.5,epochs=4]",
        "  dropout of the head of tune: 0 -> 0.5  (sweep of arm swept, specs/2026-01-02.yaml:16)",
        "  epochs of tune: 2 -> 4  (sweep of arm swept, specs/2026-01-02.yaml:16)",
    ]


def test_at_a_profile(diff):
    found = diff("2026-01-01/first/naive", "2026-01-02/second/other", "--profile", "quick")
    assert found[0].endswith(" at profile quick")
    assert not [line for line in found if "seeds" in line]  # one seed on both days
    places = "(profile quick, specs/2026-01-01.yaml:29 / profile quick, specs/2026-01-02.yaml:19)"
    assert f"  epochs of tune and own: 1 -> 3  {places}" in found


def test_numerics_that_were_recorded(diff, project):
    library = Library(project)
    plan = build_plan(check_page(library, library.page(project.specs / "2026-01-01.yaml")), {})
    for name, device in (("pretrained", "cpu"), ("slow", "cuda")):
        arm = next(each for each in plan.entries[0].arms if each.name == name)
        for trial in arm.trials[:2]:
            write_record(project, plan.stages[trial.key_of("tune")], {"val/loss": [1.0, 0.5]}, numerics={"device": device})
    found = diff("2026-01-01/first/pretrained", "2026-01-01/first/slow")
    assert found[2] == "  device of tune, as recorded: cpu -> cuda  (seeds 0, 1)"


def test_names_may_be_short(diff):
    assert diff("2026-01-01/f/pre", "2026-01-02/sec/oth")[0] == "2026-01-01/first/pretrained -> 2026-01-02/second/other"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("naive", "an arm is DATE/entry/arm"),
        ("2026-01-01/first", "an arm is DATE/entry/arm"),
        ("2026-01-03/first/naive", "no page is dated 2026-01-03\nhint: did you mean `2026-01-0"),
        ("2026-01-01/frist/naive", "there is no entry `2026-01-01/frist`\nhint: did you mean `first`?"),
        ("2026-01-01/first/naiv3", "there is no arm `2026-01-01/first/naiv3`\nhint: did you mean `naive`?"),
        (
            "2026-01-02/second/s",
            "`2026-01-02/second/s` is short for 5 names: say which\nhint: same, swept[dropout=0.0,epochs=2], ",
        ),
        ("2026-01-02/second/swept", "`2026-01-02/second/swept` is 4 arms: say which"),
        (
            "2026-01-02/second/swept[epochs=2]",
            "is 2 arms: say which\nhint: swept[dropout=0.0,epochs=2], swept[dropout=0.5,epochs=2]",
        ),
        ("2026-01-02/second/swept[epochs=3]", "there is no arm `2026-01-02/second/swept[epochs=3]`"),
    ],
)
def test_an_arm_that_is_not_there(diff, wrong, words):
    assert words in diff("2026-01-01/first/naive", wrong, code=2)


def test_a_page_that_is_wrong(diff, write):
    write("2026-01-02", LATER.replace("model: wide", "model: wied"))
    assert "did you mean `wide`?" in diff("2026-01-01/first/naive", "2026-01-02/second/same", code=2)
