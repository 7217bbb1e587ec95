"""Differences of settings: which stages are compared, what is told of them, and in which words."""

import pytest

from interpreter.check.page import check_page
from interpreter.plan.build import build_plan
from interpreter.plan.differences import (
    ancestors,
    differences,
    matched,
    phrase,
    rank,
    span,
    stage_differences,
    start_of,
    upstream,
    word,
)
from interpreter.spec.library import Library
from tests.check.pages import PAGE


@pytest.fixture
def plan(project, write):
    library = Library(project)
    return build_plan(check_page(library, library.page(write("2026-01-01", PAGE))), {})


def arm(plan, name):
    return next(each for each in plan.entries[0].arms if each.name == name)


def test_leaves_that_differ_with_their_paths():
    left = {"a": 1, "b": {"c": [1, 2], "d": None}, "e": "x"}
    right = {"a": 1.0, "b": {"c": (1, 3), "d": None, "new": 7}, "e": "y"}
    assert list(differences(left, right)) == [("b.c", [1, 2], (1, 3)), ("b.new", None, 7), ("e", "x", "y")]
    assert list(differences({"c": [1, 2]}, {"c": (1, 2)})) == []


def test_another_type_is_told_with_what_both_types_have():
    left = {"optimizer": {"type": "adam", "lr": 1e-3, "betas": [0.9, 0.999]}, "epochs": 2}
    right = {"optimizer": {"type": "sgd", "lr": 0.1, "momentum": 0.9}, "epochs": 3}
    assert list(differences(left, right)) == [("optimizer.type", "adam", "sgd"), ("optimizer.lr", 1e-3, 0.1), ("epochs", 2, 3)]


def test_what_python_has_a_word_for_is_told_as_pages_have_it():
    left, right = {"from_": 1, "grow": {"from_": 0.2}}, {"from_": 2, "grow": None}
    assert list(differences(left, right)) == [("from", 1, 2), ("grow", {"from_": 0.2}, None)]
    assert word({"from_": 0.2}) == "{from: 0.2}"


def test_stages_that_are_one_and_the_same_are_not_compared(plan):
    pretrained, slow = arm(plan, "pretrained"), arm(plan, "slow")
    assert [name for name, _, _ in matched(plan, pretrained, slow)] == ["tune", "final"]
    by_name = {name: (x, y) for name, x, y in matched(plan, pretrained, slow)}
    assert list(stage_differences(*by_name["tune"])) == [("schedule.optimizer.lr", 0.001, 0.0001)]
    assert list(stage_differences(*by_name["final"])) == []  # what it measures differs, and is compared where it was trained
    assert matched(plan, slow, slow) == []


def test_where_weights_come_from(plan):
    naive, slow = arm(plan, "naive"), arm(plan, "slow")
    before = upstream(plan, slow)
    assert list(before) == ["pre", "tune", "final"]
    assert start_of(before["tune"], before) == "pre@best"
    assert start_of(before["pre"], before) == "random weights"
    assert start_of(upstream(plan, naive)["tune"], {}) == "random weights"
    final = slow.trials[0].key_of("final")
    assert [stage.name for stage in ancestors(plan, final)] == ["final", "tune", "pre"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("head.dropout", "dropout of the head of lba"),
        ("schedule.epochs", "epochs of lba"),
        ("schedule.optimizer.lr", "lr of the optimizer of lba"),
        ("schedule.optimizer.type", "optimizer of lba"),
        ("model.type", "model of lba"),
        ("data.image.voxels", "voxels of the image of the data of lba"),
        ("thaw.by.layers", "layers of the thaw of lba"),
        ("thaw", "thaw of lba"),
        ("part", "split of lba"),
        ("keep.every", "epochs between kept checkpoints of lba"),
    ],
)
def test_paths_in_words(path, said):
    assert phrase(path, "lba") == said


def test_values_in_words():
    values = [None, True, False, 1e-4, 0.5, 3, "sgd", (8, 16), {"norm": 1.0, "by": None}]
    assert [word(v) for v in values] == ["off", "on", "off", "0.0001", "0.5", "3", "sgd", "[8, 16]", "{norm: 1, by: off}"]
    assert [span(s) for s in ([0, 1, 2, 3], (0, 1), [0, 2, 5], [7], [])] == ["0-3", "0,1", "0,2,5", "7", ""]


def test_what_is_told_first():
    topics = ["start", "numerics", "schedule", "average", "metric", "data", "objective", "head", "model", "part"]
    assert sorted(topics, key=rank) == [
        "data", "part", "metric", "model", "head", "objective", "schedule", "numerics", "start", "average",
    ]  # fmt: skip
