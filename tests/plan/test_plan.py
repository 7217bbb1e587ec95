"""Identity: what shares a stage, what makes a new one, and what never does."""

import json

import pytest

from interpreter.check.page import check_page
from interpreter.errors import PageError
from interpreter.plan.build import build_plan
from interpreter.plan.types import Plan
from interpreter.spec.canonical import canonical, key_of
from interpreter.spec.library import Library
from tests.check.pages import PAGE


def plan_of(project, text: str, name: str = "2026-01-01", profile: str = "", seeds: int | None = None) -> Plan:
    path = project.specs / f"{name}.yaml"
    path.write_text(text, "utf-8")
    library = Library(project)
    return build_plan(check_page(library, library.page(path), profile, seeds), {})


def keys(plan: Plan) -> dict[tuple[str, int, str], str]:
    return {(t.arm, t.seed, name): key for e in plan.entries for a in e.arms for t in a.trials for name, key in t.stages}


def test_equal_stages_are_one(project):
    plan = plan_of(project, PAGE)
    found = keys(plan)
    assert len(found) == 3 * (2 + 3 + 3)
    assert len(plan.stages) == 3 * (2 + 3 + 2)  # `pre` is shared by two arms
    assert found["pretrained", 0, "pre"] == found["slow", 0, "pre"]
    assert found["pretrained", 0, "tune"] != found["slow", 0, "tune"]
    assert found["pretrained", 0, "tune"] != found["naive", 0, "tune"]
    order = list(plan.stages)
    for key, stage in plan.stages.items():
        assert all(order.index(source.key) < order.index(key) for source in stage.inputs)


COSMETIC = {
    "title": ("title: A first entry", "title: Another title"),
    "notes": ("    seeds: 3", "    notes: Something to say\n    seeds: 3"),
    "claim": ("margin: 0.01", "margin: 0.05"),
    "chart": ("    seeds: 3", "    charts: {c: {y: val/loss}}\n    seeds: 3"),
    "a stage's name": ("final", "held-out"),
    "a model's name": ("net", "perceptron"),
    "a measure": ("read: best", "read: last"),
    "1e-3 as 0.001": ("lr: 1e-3", "lr: 0.001"),
    "a default written out": ("{type: mlp, hidden: [16]}", "{type: mlp, hidden: [16], dropout: 0.0}"),
    "a whole number for a number": ("{type: mlp, hidden: [16]}", "{type: mlp, hidden: [16], dropout: -0}"),
}


@pytest.mark.parametrize("change", COSMETIC, ids=str)
def test_what_cannot_change_numbers_changes_no_key(project, change):
    before, after = COSMETIC[change]
    assert before in PAGE
    assert set(plan_of(project, PAGE).stages) == set(plan_of(project, PAGE.replace(before, after)).stages)


REAL = {
    "learning rate of one arm": ("optimizer.lr: 1e-4", "optimizer.lr: 2e-4", {"slow"}),
    "data of the first stage": ("classes: [0, 1, 2, 3, 4]", "classes: [0, 1, 2, 3, 5]", {"pretrained", "slow"}),
    "labels of the last stage": ("per_class: 5", "per_class: 6", {"naive", "pretrained", "slow"}),
    "model": ("hidden: [16]", "hidden: [17]", {"naive", "pretrained", "slow"}),
}


@pytest.mark.parametrize("change", REAL, ids=str)
def test_what_changes_numbers_changes_the_keys_that_depend_on_it(project, change):
    before, after, arms = REAL[change]
    old, new = keys(plan_of(project, PAGE)), keys(plan_of(project, PAGE.replace(before, after)))
    assert {where[0] for where, key in old.items() if new[where] != key} == arms


def test_order_and_start_are_shared_by_arms_with_the_same_seed(project):
    plan = plan_of(project, PAGE)
    found = keys(plan)
    naive, pretrained = (plan.stages[found[arm, 1, "tune"]] for arm in ("naive", "pretrained"))
    assert naive.settings["streams"] == pretrained.settings["streams"]  # same data, first draw: same order
    assert naive.settings["start"] == {"kind": "random"}
    assert pretrained.settings["start"] == {"kind": "stage", "take": "encoder"}
    assert naive.seed == pretrained.seed == 1


def test_a_second_fit_on_the_same_data_draws_anew(project):
    text = PAGE.replace("data: low", "data: few")
    plan = plan_of(project, text)
    found = keys(plan)
    streams = [plan.stages[found["pretrained", 0, stage]].settings["streams"] for stage in ("pre", "tune")]
    assert streams[0]["data"] == streams[1]["data"]
    assert [s["occurrence"] for s in streams] == [0, 1]


def test_profiles_and_seeds_change_the_plan(project):
    plan = plan_of(project, PAGE, profile="quick")
    assert len(plan.stages) == 7
    assert {stage.epochs for stage in plan.stages.values() if stage.kind == "fit"} == {1}
    assert len(keys(plan_of(project, PAGE, seeds=2))) == 2 * 8


def test_seeds_by_stage_share_the_backbone(project):
    text = PAGE.replace("    seeds: 3", "    seeds: {pre: 1, tune: {from: 5, n: 4}}")
    plan = plan_of(project, text)
    arm = {a.name: a for e in plan.entries for a in e.arms}
    assert [t.seed for t in arm["pretrained"].trials] == [5, 6, 7, 8]
    assert {t.key_of("pre") for t in arm["pretrained"].trials} == {arm["pretrained"].trials[0].key_of("pre")}
    assert arm["pretrained"].given == ("pre",)
    assert arm["naive"].given == ()
    assert dict(arm["pretrained"].trials[0].levels) == {"pre": 0, "tune": 5, "final": 5}


LATER = """\
expt: 1
date: 2026-01-05
models: {net: {type: mlp, hidden: [99]}}
schedules: {longer: {extends: 2026-01-01#schedules.short, epochs: 4}}
entries:
  second:
    stages:
      tune: 2026-01-01/first#tune
      more: {fit: classification, data: 2026-01-01#datasets.digits, model: 2026-01-01#models.net, schedule: longer,
             start: {from: 2026-01-01/first/pretrained.tune@best}}
    arms:
      again: [tune]
      on: [more]
    seeds: 3
    measures: {acc: {metric: val/accuracy}}
    expect: {like-before: {claim: again ~ 2026-01-01/first/naive, on: acc, within: 0.02}}
"""


def test_an_imported_stage_keeps_its_meaning_and_its_key(project):
    first = keys(plan_of(project, PAGE))
    plan = plan_of(project, LATER, "2026-01-05")
    found = keys(plan)
    assert found["again", 0, "tune"] == first["naive", 0, "tune"]  # not this page's own `net`
    assert found["2026-01-01/first/naive", 2, "tune"] == first["naive", 2, "tune"]
    more = plan.stages[found["on", 1, "more"]]
    assert [i.key for i in more.inputs] == [first["pretrained", 1, "tune"]]
    assert more.epochs == 4
    assert more.settings["schedule"]["optimizer"]["lr"] == 1e-3
    assert first["pretrained", 1, "pre"] in plan.stages  # what it needs is planned with it


def test_a_start_without_its_seed_is_told(project):
    plan_of(project, PAGE)
    with pytest.raises(PageError) as error:
        plan_of(project, LATER.replace("    seeds: 3", "    seeds: 4"), "2026-01-05")
    assert [p.code for p in error.value.problems] == ["missing-seed"]


def test_references_go_back_in_time_only(project):
    plan_of(project, PAGE)
    with pytest.raises(PageError) as error:
        plan_of(project, LATER.replace("2026-01-05", "2025-12-31"), "2025-12-31")
    assert {p.code for p in error.value.problems} >= {"later-reference"}


def test_the_canonical_form():
    assert canonical({"b": -0.0, "a": [1, 1.0, 0.1, 1e22, None, True, "é"]}) == '{"a":[1,1.0,0.1,1e+22,null,true,"é"],"b":0.0}'
    for bad, error in [
        ({1: 2}, TypeError),
        ({"a": {1, 2}}, TypeError),
        (float("nan"), ValueError),
        ([float("inf")], ValueError),
        (object(), TypeError),
    ]:
        with pytest.raises(error):
            canonical(bad)
    assert key_of({"a": 1}) != key_of({"a": 1.0})
    assert json.loads(canonical({"x": 0.1 + 0.2}))["x"] == 0.1 + 0.2
