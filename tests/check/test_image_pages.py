"""The pages on images: each dated entry of the two notebooks is there, checks, plans at full scale and in its profiles."""

import pytest

from interpreter.errors import Problems, Severity
from tests.check.notebook import LIBRARY, checked, entry_of, planned, settings_of

NOTES = ["2021-10-20/wide-networks", "2021-10-24/gradients", "2021-10-28/dominance"]
# Entry -> its arms, in the order of the page.
ENTRIES = {
    "2021-10-26/joint-ensemble": ["single", "joint"],
    "2021-10-27/one-set-of-weights": ["single", "shared", "own"],
    "2021-10-27/more-members": ["single", "more", "wide", "wrn28", "pairs", "fours", "pairs-of-wrn28"],
    "2021-11-03/sum-or-mean": ["single", "sum", "mean", "mean-fixed", "independent"],
    "2021-11-03/wide-members": ["single", "sum", "mean"],
    "2021-11-03/interpensembles": ["wide", "mix[big=0]", "mix[big=0.5]", "mix[big=1]", "coin"],
    "2021-11-03/mean-field": ["wide", "field", "ensemble"],
    "2023-07-17/backbones-and-heads": ["r50-bs64", "r50-bs32", "se50-bs32"],
    "2023-07-17/scaled-rate": ["bs64", "bs32"],
    "2023-07-17/head-noise": ["last", "picked"],
    "2023-07-17/features": ["untrained", "trained"],
    "2023-07-17/cosine-data": ["linear-head", "cosine"],
    "2023-08-06/test": ["r50-bs64", "r50-bs32", "se50-bs32"],
}
# Page -> its profiles, with the stages of each, those of other pages that it builds on included.
STAGES = {
    "2021-10-20": {"": 0},
    "2021-10-24": {"": 0},
    "2021-10-26": dict.fromkeys(("", "laptop"), 10 + 10),
    # One set: 15 fits and evaluations. More: 20 fits with two evaluations, one more of the single ones; 9 groups on 3 splits.
    "2021-10-27": dict.fromkeys(("", "laptop"), 30 + 5 + 20 * 3 + 9 * 3),
    "2021-10-28": {"": 0},
    # Sums, means: 32 fits on 3 splits, and 2 groups. Wide ones: 15 fits, then 20 mixed ones on 3 splits, 5 wide ones on 2 more.
    # Mean field: 5 fits on 2 splits; its wide networks and ensembles are there already.
    "2021-11-03": {"": (32 + 2) * 3 + 15 + 20 * 3 + 5 * 2 + 5 * 2, "laptop": (16 + 1) * 3 + 9 + 15 * 3 + 8 * 2},
    # Backbones: 3, 6 for the rate, 2 + 3 for the features, 1 of the other data; heads and their tests.
    "2023-07-17": dict.fromkeys(("", "laptop", "photographs"), (3 + 6 + 2 + 3 + 1) + 2 * (15 + 6 + 5 + 3 + 3 + 5)),
    "2023-08-06": dict.fromkeys(("", "laptop", "photographs"), 3 + 15 + 15),
}

# What may be told of these pages: few seeds, and what one of them is about. All else would be an oversight.
TOLD = {"2023-07-17": {"weak-design", "unscaled-rate"}, "2023-08-06": {"weak-design", "unscaled-rate"}}
PROFILED = [(date, profile) for date, profiles in STAGES.items() for profile in profiles]


@pytest.mark.parametrize(("date", "profile"), PROFILED)
def test_a_page_has_nothing_wrong(date, profile):
    problems = checked(date, profile).problems
    assert {p.code for p in problems} <= TOLD.get(date, {"weak-design"})
    assert not [p for p in problems if p.severity is Severity.ERROR]


@pytest.mark.parametrize(("date", "profile"), PROFILED)
def test_a_page_plans_so_many_stages(date, profile):
    assert len(planned(date, profile).stages) == STAGES[date][profile]


@pytest.mark.parametrize("date", STAGES)
def test_no_entry_is_left_out_and_each_has_every_arm(date):
    ids = [id_ for id_ in (*NOTES, *ENTRIES) if id_.startswith(date)]
    assert [entry.id for entry in planned(date).entries] == ids
    for id_ in ids:
        for profile in STAGES[date]:
            assert [arm.name for arm in entry_of(id_, profile).arms] == ENTRIES.get(id_, [])


@pytest.mark.parametrize("id_", NOTES)
def test_a_note_is_prose_in_every_profile(id_):
    for profile in ("", "laptop", "photographs"):
        entry = entry_of(id_, profile).entry
        assert entry.question and entry.notes
        assert not (entry.claims or entry.measures or entry.charts or entry.tables)


@pytest.mark.parametrize("id_", ENTRIES)
def test_an_entry_says_what_is_asked_expected_and_assumed(id_):
    entry = entry_of(id_).entry
    assert entry.question and entry.notes and entry.tables
    assert "seeds" in entry.assumed, "the notebooks ran everything once"
    assert bool(entry.claims) == (id_ != "2023-07-17/cosine-data"), "nothing came of that one"
    assert set(entry.concludes) <= {claim.name for claim in entry.claims}
    for name, reference in entry.references.items():
        assert reference.source and reference.n == 1, name


@pytest.mark.parametrize(("notebook", "more"), [("cifar-ensembles", ["2021-10-25/on-the-curve"]), ("supcon-and-heads", [])])
def test_a_notebook_orders_the_entries_that_name_it(notebook, more):
    problems = Problems()
    found = LIBRARY.notebook(notebook, problems)
    own = [id_ for id_ in (*NOTES, *ENTRIES) if entry_of(id_).entry.notebook == notebook]
    assert not problems.found and found.aim and found.discussion
    assert sorted(found.order) == sorted([*own, *more])


@pytest.mark.parametrize(("date", "profile"), [each for each in PROFILED if each[1]])
def test_profiles_need_what_they_say(date, profile):
    full, small = planned(date), planned(date, profile)
    here = {source.name for stage in small.stages.values() for source in stage.sources}
    assert {source.name for stage in full.stages.values() for source in stage.sources} <= {"cifar10", "cifar10-1", "dyb"}
    assert here == ({"clothing"} if profile == "photographs" else set())
    if profile == "laptop":
        assert {stage.settings["data"]["source"] for stage in small.stages.values() if "data" in stage.settings} == {"embedded"}


def test_the_shared_weights_are_the_only_thing_wrong_with_the_first_ensemble():
    for profile in ("", "laptop"):
        shared, own = (settings_of("2021-10-27/one-set-of-weights", arm, "joint", profile) for arm in ("shared", "own"))
        assert own == settings_of("2021-10-26/joint-ensemble", "joint", "joint", profile)
        assert (shared["model"]["share"], own["model"]["share"]) == ("all", "none")
        assert {k for k in own["model"] if own["model"][k] != shared["model"][k]} == {"share"}
        assert {k for k in own if own[k] != shared[k]} == {"model"}
    claims = {claim.name: claim for claim in entry_of("2021-10-27/one-set-of-weights").entry.claims}
    assert {claims["same-training"].left.measure, claims["same-validation"].left.measure} == {"training", "val-loss"}
    assert [(update.date, update.entry) for update in entry_of("2021-10-26/joint-ensemble").entry.updates] == [
        ("2021-10-27", "2021-10-27/one-set-of-weights")
    ]


def test_the_single_network_of_three_days_is_one():
    first = {trial.key_of("one") for trial in entry_of("2021-10-26/joint-ensemble").arms[0].trials}
    for id_ in ("2021-10-27/one-set-of-weights", "2021-10-27/more-members"):
        assert {trial.key_of("one") for trial in entry_of(id_).arms[0].trials} == first


def test_no_pair_shares_a_member_with_another_or_with_a_single_network():
    entry = entry_of("2021-10-27/more-members")
    arms = {arm.name: arm for arm in entry.arms}
    stages = planned("2021-10-27").stages
    members = [each.key for trial in arms["pairs"].trials for each in stages[trial.key_of("original")].inputs]
    assert len(set(members)) == len(members) == 10
    assert not set(members) & {trial.key_of("original") for trial in arms["single"].trials}


def test_the_mean_is_repaired_by_both_the_rate_and_the_decay():
    for profile in ("", "laptop"):
        plain, fixed = (
            settings_of("2021-11-03/sum-or-mean", arm, "joint", profile)["schedule"]["optimizer"]
            for arm in ("mean", "mean-fixed")
        )
        assert fixed["lr"] == pytest.approx(4 * plain["lr"]) and fixed["weight_decay"] == pytest.approx(plain["weight_decay"] / 4)
        assert {k for k in plain if plain[k] != fixed[k]} == {"lr", "weight_decay"}


def test_lambda_and_the_coin():
    found = [
        settings_of("2021-11-03/interpensembles", arm, "inter")["objective"] for arm in ENTRIES["2021-11-03/interpensembles"][1:]
    ]
    assert [(each["type"], each["big"]) for each in found] == [("interpensemble_mix", big) for big in (0, 0.5, 1)] + [
        ("interpensemble_draw", 0.5)
    ]


def test_one_rate_for_two_sizes_of_batches_is_told_and_one_that_is_scaled_is_not():
    for date, arm in (("2023-07-17", "r50-bs64"), ("2023-08-06", "r50-bs64")):
        told = [problem for problem in checked(date).problems if problem.code == "unscaled-rate"]
        assert [(p.severity, p.path) for p in told] == [(Severity.WARNING, f"arms.{arm}")]
        assert "batches of 64 in `r50-bs64` and of 32 in `r50-bs32`, and the same rate of 0.016" in told[0].message
    rates = [settings_of("2023-07-17/scaled-rate", arm, "backbone")["schedule"] for arm in ("bs64", "bs32")]
    assert [each["batch_size"] for each in rates] == [64, 32]
    assert all(each["optimizer"]["lr"] == {"base": 0.5, "per": 1024, "scale": "linear"} for each in rates)


def test_heads_are_on_every_late_checkpoint_and_picked_as_in_the_notebook():
    page, (arm, *_) = planned("2023-07-17"), entry_of("2023-07-17/backbones-and-heads").arms
    probe = page.stages[arm.trials[0].key_of("head")]
    assert [each.checkpoint for each in probe.inputs] == [*(f"epoch-{epoch}" for epoch in range(700, 1001, 50)), "last"]
    assert probe.settings["pick"] == {"best": "val/accuracy", "ties": "latest"}
    assert len({trial.key_of("backbone") for trial in arm.trials}) == 1
    assert len({trial.key_of("head") for trial in arm.trials}) == 5


def test_the_test_of_august_trains_nothing_again():
    july, august = planned("2023-07-17").stages, planned("2023-08-06").stages
    assert set(august) <= set(july)
    values = {name: reference.values["accuracy"] for name, reference in entry_of("2023-08-06/test").entry.references.items()}
    assert values == {"bs64": 0.9486, "bs32": 0.9510, "se": 0.9530}


def test_backbones_see_two_views_in_every_profile():
    for profile in ("", "laptop", "photographs"):
        data = settings_of("2023-07-17/backbones-and-heads", "r50-bs32", "backbone", profile)["data"]
        assert data.get("two_views") or data["augment"]["two_crops"] == "simclr"
