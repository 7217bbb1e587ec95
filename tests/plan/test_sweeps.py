"""Sweeps: which points there are, what they share, what chains over them inherit."""

from __future__ import annotations

import pytest

from interpreter.errors import PageError
from interpreter.plan.types import Plan
from tests.check.pages import PAGE
from tests.plan.test_plan import keys, plan_of


def with_arm(text: str, page: str = PAGE) -> str:
    return page.replace("    seeds: 3\n", f"      {text}\n    seeds: 3\n")


def names(plan: Plan) -> list[str]:
    return [arm.name for entry in plan.entries for arm in entry.arms]


def codes(project, text: str) -> list[str]:
    with pytest.raises(PageError) as error:
        plan_of(project, text)
    return [problem.code for problem in error.value.problems if problem.severity == "error"]


def settings(plan: Plan, arm: str, stage: str) -> dict:
    key = keys(plan)[arm, 0, stage]
    return dict(plan.stages[key].settings)


def test_vary_is_a_product_in_the_order_written(project):
    sweep = "s: {chain: [tune], vary: {stages.tune.head.dropout: [0.1, 0.5], stages.tune.schedule.epochs: {short: 1, long: 4}}}"
    plan = plan_of(project, with_arm(sweep))
    arms = {arm.name: arm for entry in plan.entries for arm in entry.arms if arm.base == "s"}
    assert list(arms) == [
        "s[dropout=0.1,epochs=short]",
        "s[dropout=0.1,epochs=long]",
        "s[dropout=0.5,epochs=short]",
        "s[dropout=0.5,epochs=long]",
    ]
    assert arms["s[dropout=0.5,epochs=long]"].factors == {"dropout": "0.5", "epochs": "long"}
    long = settings(plan, "s[dropout=0.5,epochs=long]", "tune")
    assert (long["head"]["dropout"], long["schedule"]["epochs"]) == (0.5, 4)
    short = settings(plan, "s[dropout=0.1,epochs=short]", "tune")
    assert (short["head"]["dropout"], short["schedule"]["epochs"]) == (0.1, 1)


def test_off_in_a_sweep_removes_the_setting(project):
    clip = "s: {chain: [tune], vary: {stages.tune.schedule.clip: {off: off, hard: {norm: 1.0}}}}"
    plan = plan_of(project, with_arm(clip))
    assert settings(plan, "s[clip=off]", "tune")["schedule"]["clip"] is None
    assert settings(plan, "s[clip=hard]", "tune")["schedule"]["clip"] == {"norm": 1.0}
    found = keys(plan)
    assert found["s[clip=off]", 0, "tune"] == found["naive", 0, "tune"]  # what is equal is one stage, whatever its name


def test_points_of_a_sweep_share_what_comes_before(project):
    plan = plan_of(project, with_arm("s: {chain: [pre, tune, final], vary: {stages.tune.head.dropout: [0.1, 0.2, 0.3]}}"))
    found = keys(plan)
    pre = {found[f"s[dropout={d}]", 1, "pre"] for d in ("0.1", "0.2", "0.3")}
    assert pre == {found["pretrained", 1, "pre"]}
    assert len({found[f"s[dropout={d}]", 1, "final"] for d in ("0.1", "0.2", "0.3")}) == 3


def test_zip_goes_in_step(project):
    plan = plan_of(
        project, with_arm("s: {chain: [tune], zip: {stages.tune.head.hidden: [8, 16], stages.tune.head.dropout: [0.0, 0.5]}}")
    )
    assert [n for n in names(plan) if n.startswith("s[")] == ["s[hidden=8,dropout=0.0]", "s[hidden=16,dropout=0.5]"]


def test_listed_points_are_called_by_their_labels(project):
    listed = "s: {chain: [tune], points: {1-4-20: {stages.tune.head.hidden: 4}, 1-2-0: {stages.tune.head.hidden: 2}}}"
    plan = plan_of(project, with_arm(listed))
    assert [n for n in names(plan) if n.startswith("s[")] == ["s[1-4-20]", "s[1-2-0]"]
    assert settings(plan, "s[1-2-0]", "tune")["head"]["hidden"] == 2


def test_one_at_a_time_goes_around_the_arm_as_written(project):
    text = "s: {chain: [tune], one_at_a_time: {stages.tune.head.dropout: [0.1, 0.5], stages.tune.head.hidden: [8]}}"
    plan = plan_of(project, with_arm(text))
    assert [n for n in names(plan) if n.startswith("s[")] == ["s[as-written]", "s[dropout=0.1]", "s[dropout=0.5]", "s[hidden=8]"]
    assert settings(plan, "s[hidden=8]", "tune")["head"] == {"hidden": 8, "dropout": 0.0}


def test_factors_with_one_last_word_are_told_apart(project):
    text = "s: {chain: [pre, tune], vary: {stages.pre.head.dropout: [0.1], stages.tune.head.dropout: [0.2]}}"
    plan = plan_of(project, with_arm(text))
    assert "s[pre.head.dropout=0.1,tune.head.dropout=0.2]" in names(plan)


def test_a_chain_over_an_earlier_sweep_has_its_factors_and_its_stages(project):
    sweep = (
        "swept: {chain: [pre], vary: {stages.pre.head.dropout: [0.1, 0.5]}}\n      over: {chain: ['swept[*].pre', tune, final]}"
    )
    plan = plan_of(project, with_arm(sweep))
    found = keys(plan)
    arms = {arm.name: arm for entry in plan.entries for arm in entry.arms}
    assert arms["over[dropout=0.5]"].factors == {"dropout": "0.5"}
    assert arms["over[dropout=0.5]"].chain == ("pre", "tune", "final")
    for value in ("0.1", "0.5"):
        assert found[f"over[dropout={value}]", 2, "pre"] == found[f"swept[dropout={value}]", 2, "pre"]


def test_a_chain_goes_on_from_a_point_and_a_checkpoint_of_an_earlier_page(project):
    swept = "swept: {chain: [pre], points: {1-4-20: {stages.pre.head.hidden: 4}, 1-2-0: {stages.pre.head.hidden: 2}}}"
    plan_of(project, with_arm(swept))
    later = PAGE.replace("2026-01-01", "2026-01-02").replace("first:", "second:")
    text = 'one: {chain: ["2026-01-01/first/swept[1-2-0].pre@last", tune]}'
    plan = plan_of(project, with_arm(text, later), "2026-01-02")
    found = keys(plan)
    tune = plan.stages[found["one", 0, "tune"]]
    assert (tune.inputs[0].key, tune.inputs[0].checkpoint) == (found["one", 0, "pre"], "last")
    assert plan.stages[found["one", 0, "pre"]].settings["head"]["hidden"] == 2


def test_a_star_goes_over_every_kept_checkpoint(project):
    page = PAGE.replace("schedule: short}\n      tune", "schedule: short, keep: {every: 1}}\n      tune", 1)
    plan = plan_of(project, with_arm('each: {chain: ["pretrained.pre@*", tune]}', page))
    each = [name for name in names(plan) if name.startswith("each")]
    assert each == [f"each[checkpoint={rule}]" for rule in ("epoch-1", "epoch-2", "best", "last")]
    rules = {plan.stages[keys(plan)[name, 0, "tune"]].inputs[0].checkpoint for name in each}
    assert rules == {"epoch-1", "epoch-2", "best", "last"}


def test_what_comes_right_after_a_checkpoint_measures_that_one(project):
    page = PAGE.replace("schedule: short}\n      final", "schedule: short, keep: {every: 1}}\n      final", 1)
    plan = plan_of(
        project, with_arm('each: {chain: ["naive.tune@*", final]}\n      one: {chain: ["naive.tune@last", final]}', page)
    )
    found = keys(plan)

    def measured(arm):
        return plan.stages[found[arm, 0, "final"]].inputs[0].checkpoint

    assert measured("one") == "last"
    rules = ("epoch-1", "epoch-2", "best", "last")
    assert [measured(f"each[checkpoint={rule}]") for rule in rules] == list(rules)


def test_a_start_at_a_point_takes_its_weights(project):
    text = (
        "swept: {chain: [pre], points: {a: {stages.pre.head.hidden: 4}, b: {stages.pre.head.hidden: 2}}}\n"
        "      from-b: {chain: [tune], set: {stages.tune.start: {from: 'swept[b].pre@last'}}}"
    )
    plan = plan_of(project, with_arm(text))
    found = keys(plan)
    tune = plan.stages[found["from-b", 1, "tune"]]
    assert tune.inputs[0].key == found["swept[b]", 1, "pre"]


def test_a_sweep_too_large_is_refused_by_its_size_before_it_is_written_out(project):
    values = "[" + ", ".join(str(1 + i) for i in range(1000)) + "]"
    page = with_arm(f"s: {{chain: [tune], vary: {{stages.tune.head.hidden: {values}, schedules.short.epochs: {values}}}}}")
    with pytest.raises(PageError) as error:
        plan_of(project, page)
    (problem,) = [problem for problem in error.value.problems if problem.severity == "error"]
    assert problem.code == "sweep-too-large"
    assert "1000 x 1000 = 1,000,000 points" in problem.message


@pytest.mark.parametrize(
    ("arm", "code"),
    [
        ("s: {chain: [tune], vary: {stages.tune.head: [{hidden: 3}]}}", "unlabelled-value"),
        ("s: {chain: [tune], vary: {stages.tune.head.hidden: [3, 3]}}", "duplicate-value"),
        ("s: {chain: [tune], vary: {stages.tune.head.hidden: []}}", "empty-sweep"),
        ("s: {chain: [tune], zip: {stages.tune.head.hidden: [3], schedules.short.epochs: [1, 2]}}", "zip-lengths"),
        ("s: {chain: [tune], vary: {stages.tume.head.hidden: [3]}}", "unknown-path"),
        ("s: {chain: [tune], points: {a b: {schedules.short.epochs: 3}}}", "bad-label"),
        ("s: {chain: [tune, 'pretrained.pre']}", "unknown-stage"),
        ("a: {chain: ['b[*].tune', final]}\n      b: {chain: ['a[*].tune', final]}", "cycle"),
        ("s: {chain: [pre], vary: {schedules.short.epochs: [1, 2]}}\n      t: {chain: ['s.pre', tune]}", "several-points"),
        (
            "s: {chain: [pre], vary: {schedules.short.epochs: [1, 2]}}\n      t: {chain: ['s[epochs=3].pre', tune]}",
            "unknown-point",
        ),
    ],
)
def test_what_is_wrong_with_a_sweep_is_told(project, arm, code):
    assert code in codes(project, with_arm(arm))


def test_rerun_is_new_and_draws_the_same(project):
    plan = plan_of(project, with_arm("again: {chain: [tune, final], rerun: true}"))
    found = keys(plan)
    again, naive = (plan.stages[found[arm, 0, "tune"]] for arm in ("again", "naive"))
    assert again.key != naive.key
    assert again.settings == naive.settings
    assert again.identity["rerun"] == "2026-01-01/first/again"
    assert again.seed == naive.seed


def test_combine_makes_disjoint_groups_of_seeds(project):
    page = with_arm("four: {combine: naive, members: 2}").replace("seeds: 3", "seeds: 5").replace("seeds: 1}", "seeds: 4}")
    plan = plan_of(project, page)
    arm = next(arm for entry in plan.entries for arm in entry.arms if arm.name == "four")
    assert [trial.seed for trial in arm.trials] == [0, 1]  # the fifth seed is in no group
    assert (arm.main_stage, arm.evaluations) == ("tune", ("final",))
    found = keys(plan)
    tune = plan.stages[found["four", 1, "tune"]]
    assert tune.kind == "combine"
    assert [i.key for i in tune.inputs] == [found["naive", seed, "tune"] for seed in (2, 3)]
    assert [i.key for i in plan.stages[found["four", 1, "final"]].inputs] == [found["naive", seed, "final"] for seed in (2, 3)]


def test_an_import_has_a_trial_for_each_seed_of_its_file(project):
    (project.root / "old.csv").write_text("epoch,seed,val_accuracy\n1,0,0.5\n2,0,0.6\n1,7,0.4\n2,7,0.7\n", "utf-8")
    page = with_arm("old: {import: old.csv, source: an old notebook}")
    plan = plan_of(project, page)
    arm = next(arm for entry in plan.entries for arm in entry.arms if arm.name == "old")
    assert [trial.seed for trial in arm.trials] == [0, 7]
    first = plan.stages[arm.trials[0].key_of("import")]
    assert first.kind == "import"
    assert first.settings["import"]["path"] == "old.csv"
    (project.root / "old.csv").write_text("epoch,seed,val_accuracy\n1,0,0.5\n2,0,0.9\n1,7,0.4\n2,7,0.7\n", "utf-8")
    changed = plan_of(project, page)
    assert first.key not in changed.stages


def test_later_seeds_are_trials_of_their_own(project):
    found = keys(plan_of(project, PAGE.replace("seeds: 3", "seeds: {from: 5, n: 2}")))
    assert {seed for _, seed, _ in found} == {5, 6}
    first = keys(plan_of(project, PAGE.replace("seeds: 3", "seeds: 7")))
    assert found["naive", 5, "tune"] == first["naive", 5, "tune"]


def test_a_probe_has_its_candidates_and_what_comes_after_has_its_pick(project):
    page = PAGE.replace("schedule: short}\n      tune", "schedule: short, keep: {every: 1}}\n      tune", 1).replace(
        "      final: {evaluate: digits}",
        "      final: {evaluate: digits}\n"
        "      head: {probe: classification, data: few, schedule: short, at: {from: 1, every: 1, and: last}}",
    )
    plan = plan_of(project, with_arm("probed: [pre, head, final]", page))
    found = keys(plan)
    head = plan.stages[found["probed", 0, "head"]]
    assert [(i.key, i.checkpoint) for i in head.inputs] == [
        (found["probed", 0, "pre"], rule) for rule in ("epoch-1", "epoch-2", "last")
    ]
    final = plan.stages[found["probed", 0, "final"]]
    assert [(i.key, i.checkpoint) for i in final.inputs] == [(head.key, "picked")]
    assert head.unbuilt == ()


def adam_with(more: str) -> str:
    return PAGE.replace("optimizer: {type: adam, lr: 1e-3}", f"optimizer: {{type: adam, lr: 1e-3, {more}}}")


@pytest.mark.parametrize(
    "changes",
    [
        "models.net.type: cnn2d, models.net.channels: [4, 8]",
        "models.net.channels: [4, 8], models.net.type: cnn2d",
        "stages.tune.model.type: cnn2d, stages.tune.model.channels: [4, 8]",
    ],
)
def test_a_type_changed_by_a_path_drops_what_stood_beside_it_in_whatever_order(project, changes):
    plan = plan_of(project, with_arm(f"other: {{chain: [tune], set: {{{changes}}}}}"))
    model = settings(plan, "other", "tune")["model"]
    assert (model["type"], model["channels"]) == ("cnn2d", [4, 8])
    assert "hidden" not in model


def test_an_optimizer_of_another_type_has_nothing_of_the_first(project):
    sweep = "s: {chain: [tune], vary: {schedules.short.optimizer.type: [sgd, adam], schedules.short.optimizer.lr: [0.1, 0.2]}}"
    plan = plan_of(project, with_arm(sweep, adam_with("amsgrad: true")))
    sgd, adam = (settings(plan, f"s[type={kind},lr=0.1]", "tune")["schedule"]["optimizer"] for kind in ("sgd", "adam"))
    assert (sgd["type"], sgd["lr"], "amsgrad" in sgd) == ("sgd", 0.1, False)
    assert (adam["type"], adam["lr"], adam["amsgrad"]) == ("adam", 0.1, True)  # the same type: nothing is dropped


def test_a_type_that_was_there_under_extends_is_no_change(project):
    text = PAGE.replace(
        "{net: {type: mlp, hidden: [16]}}", "{net: {type: mlp, hidden: [16]}, wide: {extends: net, hidden: [64]}}"
    )
    sweep = "s: {chain: [tune], set: {stages.tune.model: wide}, vary: {models.wide.type: [mlp]}}"
    same = "same: {chain: [tune], set: {stages.tune.model: wide, models.wide: {type: mlp}}}"
    plan = plan_of(project, with_arm(f"{sweep}\n      {same}", text))
    assert settings(plan, "s[type=mlp]", "tune")["model"]["hidden"] == [64]
    assert settings(plan, "same", "tune")["model"]["hidden"] == [64]


def test_a_sweep_over_names_and_one_of_a_setting_of_them_go_together(project):
    text = PAGE.replace("schedules: {", "schedules: {long: {extends: short, epochs: 4}, ")
    sweep = "s: {chain: [tune], vary: {stages.tune.schedule.batch_size: [8, 16], stages.tune.schedule: [short, long]}}"
    plan = plan_of(project, with_arm(sweep, text))
    schedule = settings(plan, "s[batch_size=8,schedule=long]", "tune")["schedule"]
    assert (schedule["epochs"], schedule["batch_size"]) == (4, 8)
