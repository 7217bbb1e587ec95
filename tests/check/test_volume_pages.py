"""The pages on volumes: each dated entry of the three notebooks is there, checks, plans at full scale and in `laptop`."""

import pytest

from interpreter.errors import Problems, Severity
from interpreter.source.nodes import Mapping
from tests.check.notebook import LIBRARY, checked, entry_of, planned, settings_of
from tests.conftest import ROOT

NOISE = [f"noisy[gap_A={gap},max_angle_deg={angle}]" for gap in (1, 2, 4) for angle in (0, 10, 20)]
MORE_NOISE = [f"[gap_A={gap},max_angle_deg={angle}]" for gap in (2, 4, 8) for angle in (20, 40)]
BOTTLENECKS = [f"pretrained[{legend}]" for legend in ("1-1-0", "1-2-0", "1-4-0", "1-1-20", "1-2-20", "1-4-20")]
# Entry -> its arms, in the order of the page.
ENTRIES = {
    "2024-05-21/first-try": ["cnn"],
    "2024-06-10/image-sizes": ["resnet[16A]", "resnet[24A]"],
    "2024-06-10/noisy-neighbors": NOISE,
    "2024-06-10/scale-up": ["equivariant"],
    "2024-06-11/finetune-noisy": ["random", *(name.replace("noisy", "pretrained") for name in NOISE)],
    "2024-06-12/add-noise": NOISE,
    "2024-06-13/train-on-lba": [f"random[dropout={rate}]" for rate in (0.2, 0.3, 0.4, 0.5)],
    "2024-06-14/more-noise": [f"noisy{point}" for point in MORE_NOISE],
    "2024-06-20/score-gym": ["resnet"],
    "2024-06-20/finetune-on-lba": ["random", *(f"tuned{point}" for point in MORE_NOISE)],
    "2024-06-28/finetune-curriculum": ["naive", "easy-only", "curriculum"],
    "2024-06-29/gradual-thaw": ["naive", "unconstrained"]
    + [f"thaw[by={by},max_epochs={n},patience={p}]" for by in ("layerwise", "manual") for n in (1, 100) for p in (3, "off")],
    "2024-07-02/late-layers": ["naive", "unconstrained"]
    + [f"late[by={by},patience={p}]" for by in ("head-first", "one-conv", "two-convs") for p in (3, "off")],
    "2024-07-02/bottleneck": ["random", *BOTTLENECKS, "frozen", "whole"],
    "2024-07-05/again": ["naive", "curriculum"],
    "2024-07-05/bottleneck-again": BOTTLENECKS,
}
# Page -> stages at full scale and in the profile, those that it builds on included: with 06-28, 15 fine-tunings, 5 pretrainings
# on the easy part (for two arms), 5 on all, and the two stages of 06-20 that score.
STAGES = {
    "2024-05-21": (5, 3),
    "2024-06-10": (10 + 45 + 5, 6 + 27 + 3),
    "2024-06-11": (45 + 50, 27 + 30),
    "2024-06-12": (45, 27),
    "2024-06-13": (20, 12),
    "2024-06-14": (30, 18),
    "2024-06-20": (2 + 30 + 35, 2 + 18 + 21),
    "2024-06-28": (15 + 5 + 5 + 2, 27),
    "2024-06-29": (10 + 5 + 5 + 2 + 40, 6 + 3 + 3 + 2 + 24 + 2),  # in the profile, two more seeds of the arm that it reproduces
    "2024-07-02": (10 + 5 + 5 + 2 + 30 + 30 + 15, 6 + 3 + 3 + 2 + 18 + 18 + 9),
    "2024-07-05": (10 + 5 + 5 + 2 + 30, 6 + 3 + 3 + 2 + 18),
}
# Entries that claim nothing, since their author expected nothing that the notebook tells.
UNCLAIMED = ["2024-06-10/image-sizes", "2024-06-10/noisy-neighbors", "2024-06-14/more-noise", "2024-06-20/score-gym"]
# What may be told of these pages: few seeds, and views beyond the place where neighbours were looked for. All else would be an
# oversight.
TOLD = {"weak-design", "doubtful-data", "no-effect"}  # a laptop fit is too short for the long phases


def written(id_):
    """An entry's text."""
    return LIBRARY.entry(*id_.split("/"))[1]


@pytest.mark.parametrize("profile", ["", "laptop"])
@pytest.mark.parametrize("date", STAGES)
def test_a_page_has_nothing_wrong(date, profile):
    problems = checked(date, profile).problems
    assert not [p for p in problems if p.severity is Severity.ERROR or p.code not in TOLD]


@pytest.mark.parametrize("date", STAGES)
def test_a_page_plans_so_many_stages(date):
    assert (len(planned(date).stages), len(planned(date, "laptop").stages)) == STAGES[date]


@pytest.mark.parametrize("profile", ["", "laptop"])
@pytest.mark.parametrize("id_", ENTRIES)
def test_an_entry_has_every_arm(id_, profile):
    own = [arm.name for arm in entry_of(id_, profile).arms if "/" not in arm.name]  # others are what a claim compares with
    assert own == ENTRIES[id_]


def test_there_is_no_other_entry_and_none_is_left_out():
    assert [entry.id for date in STAGES for entry in planned(date).entries] == list(ENTRIES)


@pytest.mark.parametrize("id_", ENTRIES)
def test_an_entry_says_what_is_asked_expected_shown_and_assumed(id_):
    entry, text = entry_of(id_).entry, written(id_)
    assert entry.question and entry.notes and entry.charts
    assert entry.assumed, "no notebook tells everything"  # that each leads somewhere is held by the check
    assert bool(entry.claims) == (id_ not in UNCLAIMED)
    if entry.claims:
        assert set(entry.concludes) <= {claim.name for claim in entry.claims}
        assert entry.conclusion or id_ == "2024-07-05/again", "a notebook's entry ends in what came of it"
    for name, reference in entry.references.items():
        below = text.items["references"].items[name]
        assert {"split", "data", "source"} <= set(below.items) and {"n", "sd"} & set(below.items), name
        assert reference.source
    assert "seeds" in entry.assumed or id_ == "2024-06-20/score-gym", "the notebooks ran everything once"


@pytest.mark.parametrize("notebook", ["cnn-on-lba", "resnet-on-lba", "equivariant-resnet-on-lba"])
def test_a_notebook_orders_the_entries_that_name_it(notebook):
    problems = Problems()
    found = LIBRARY.notebook(notebook, problems)
    assert not problems.found and found.aim and found.discussion
    assert sorted(found.order) == sorted(id_ for id_ in ENTRIES if entry_of(id_).entry.notebook == notebook)


def test_the_third_notebook_keeps_its_order():
    order = LIBRARY.notebook("equivariant-resnet-on-lba", Problems()).order
    assert [id_[:10] for id_ in order] == ["2024-06-10", "2024-06-12", "2024-06-14", "2024-06-13", "2024-06-20"]


@pytest.mark.parametrize("date", STAGES)
def test_the_profile_needs_no_data_of_the_users_and_keeps_replicates(date):
    full, small = planned(date), planned(date, "laptop")
    assert {source.name for stage in full.stages.values() for source in stage.sources} <= {"gym", "lba"}
    assert any(stage.sources for stage in full.stages.values()), "at full scale it needs data"
    for stage in small.stages.values():
        data = stage.settings["data"]
        assert data["source"] == "embedded" and not [source for source in stage.sources if source.name in ("gym", "lba")]
        assert data["type"] != "atom3d_lba" or data["atoms"] == "pocket"
        assert data["image"]["voxels"] <= 17 or date == "2024-06-10"
    for entry in small.entries:
        assert all(len(arm.trials) >= 3 for arm in entry.arms) or entry.id == "2024-06-20/score-gym"


@pytest.mark.parametrize("date", STAGES)
def test_every_profile_says_what_it_costs(date):
    for name in [entry.id.partition("/")[2] for entry in planned(date).entries]:
        lines = LIBRARY.page(ROOT / "specs" / f"{date}.yaml").text.splitlines()
        node = written(f"{date}/{name}").items["profiles"]
        assert isinstance(node, Mapping)
        above = lines[node.keys["laptop"].line - 3 : node.keys["laptop"].line - 1]
        said = " ".join(line.strip() for line in above)
        assert "#" in said and ("minute" in said or "second" in said), said


def test_the_first_try_is_what_it_was():
    settings = settings_of("2024-05-21/first-try", "cnn", "gym")
    data, model, schedule = settings["data"], settings["model"], settings["schedule"]
    assert (data["image"]["voxels"], data["image"]["resolution_A"], len(data["image"]["channels"])) == (24, 1.0, 8)
    assert data["views"]["train"] == data["views"]["val"] == {"gap_A": 6.0, "max_shift_A": 2.0, "max_angle_deg": 10.0}
    assert (data["examples_per_epoch"], data["val_examples"]) == (32_000, 3_200)
    assert (schedule["epochs"], schedule["batch_size"], schedule["optimizer"]["type"]) == (500, 64, "adam")
    assert (model["channels"], model["batch_norm"], model["dropout"]) == ([32, 64, 128, 256], False, 0.1)
    assert settings["head"] == {"hidden": 512, "dropout": 0.25}


def test_gaps_and_angles_are_those_of_the_legend():
    view = settings_of("2024-07-02/bottleneck", "pretrained[1-4-20]", "gym")["data"]["views"]
    assert view["train"] == view["val"] == {"gap_A": 2.5, "max_shift_A": 1.5, "max_angle_deg": 20.0}
    data = settings_of("2024-06-14/more-noise", "noisy[gap_A=8,max_angle_deg=40]", "gym")["data"]
    assert data["views"]["val"] == data["views"]["train"] == {"gap_A": 4.0, "max_shift_A": 4.0, "max_angle_deg": 40.0}
    assert data["also_val"] == {"clean": {"gap_A": 4.0, "max_shift_A": 0.0, "max_angle_deg": 0.0}}


@pytest.mark.parametrize("id_", ["2024-06-10/noisy-neighbors", "2024-06-12/add-noise", "2024-06-14/more-noise"])
def test_arms_with_noise_share_a_split_without(id_):
    data = [settings_of(id_, arm, "gym")["data"] for arm in ENTRIES[id_]]
    assert len({str(each["also_val"]) for each in data}) == 1
    assert len({str(each["views"]["val"]) for each in data}) == len(data)
    assert {claim.left.measure for claim in entry_of(id_).entry.claims} <= {"clean"}


@pytest.mark.parametrize(
    ("id_", "arm"),
    [
        ("2024-06-10/scale-up", "equivariant"),
        ("2024-06-12/add-noise", NOISE[0]),
        ("2024-06-14/more-noise", f"noisy{MORE_NOISE[0]}"),
    ],
)
def test_the_equivariant_network_is_that_of_the_notebook(id_, arm):
    settings = settings_of(id_, arm, "gym")
    assert (settings["data"]["image"]["voxels"], settings["data"]["image"]["resolution_A"]) == (33, 0.75)
    assert (settings["model"]["channels"], settings["model"]["middle"]) == ([2, 4, 7, 14, 28], [2, 5, 5, 10])
    assert (settings["schedule"]["epochs"], settings["schedule"]["batch_size"]) == (50, 64)
    assert settings["head"] == {"hidden": 1024, "dropout": 0.2}


def test_fine_tuning_goes_on_from_what_was_pretrained():
    for id_, arm, before, stage in (
        ("2024-06-11/finetune-noisy", "pretrained[gap_A=4,max_angle_deg=20]", "2024-06-10/noisy-neighbors", "gym"),
        ("2024-06-20/finetune-on-lba", "tuned[gap_A=8,max_angle_deg=40]", "2024-06-14/more-noise", "gym"),
    ):
        for profile in ("", "laptop"):
            trial = next(each for each in entry_of(id_, profile).arms if each.name == arm).trials[0]
            other = next(each for each in entry_of(before, profile).arms if each.factors == dict(point(arm)))
            fit = planned(id_[:10], profile).stages[trial.key_of("lba")]
            assert [(put.key, put.checkpoint) for put in fit.inputs] == [(other.trials[0].key_of(stage), "last")]


def point(arm):
    """The factors in an arm's name."""
    return [tuple(pair.split("=")) for pair in arm.partition("[")[2].removesuffix("]").split(",")]


def test_the_bottleneck_is_tuned_from_the_last_weights_and_repeated_with_other_seeds():
    page = planned("2024-07-02")
    arms = {arm.name: arm for arm in entry_of("2024-07-02/bottleneck").arms}
    learned = arms["pretrained[1-2-0]"].trials[0].key_of("gym")
    for name in ("frozen", "whole"):
        fit = page.stages[arms[name].trials[0].key_of("lba")]
        assert [(put.key, put.checkpoint) for put in fit.inputs] == [(learned, "last")]
    thaw = {name: page.stages[arms[name].trials[0].key_of("lba")].settings.get("thaw") for name in ("frozen", "whole")}
    assert thaw["frozen"]["by"] == "frozen" and thaw["whole"] is None
    for before, after in zip(BOTTLENECKS, entry_of("2024-07-05/bottleneck-again").arms, strict=True):
        assert [trial.seed for trial in after.trials] == [5, 6, 7, 8, 9]
        again = planned("2024-07-05").stages[after.trials[0].key_of("gym")]
        assert again.settings == page.stages[arms[before].trials[0].key_of("gym")].settings


def test_the_second_study_of_thawing_runs_one_schedule_of_the_first_only_once():
    first, second = planned("2024-06-29"), planned("2024-07-02")
    assert {
        arm.trials[0].key_of("slowly") for arm in entry_of("2024-07-02/late-layers").arms if arm.factors.get("by") == "head-first"
    } == {
        arm.trials[0].key_of("lba")
        for arm in entry_of("2024-06-29/gradual-thaw").arms
        if (arm.factors.get("by"), arm.factors.get("max_epochs")) == ("manual", "100")
    }
    assert set(first.stages) & set(second.stages)


def test_the_crash_of_2024_is_told_with_its_likely_cause():
    entry = entry_of("2024-07-02/late-layers").entry
    assert entry.outcome.status == "failed" and "parameter groups" in entry.outcome.error
    assert [update.date for update in entry.updates] == ["2026-11-22"]
    assert any(
        claim.kind == "finishes" and set(claim.left.names) == set(ENTRIES["2024-07-02/late-layers"][2:]) for claim in entry.claims
    )


def test_the_older_network_is_no_fair_match():
    curriculum = entry_of("2024-06-28/finetune-curriculum").entry
    assert (curriculum.references["older-cnn"].values, curriculum.references["older-cnn"].data) == (
        {"mae": 1.53, "pearson": 0.58},
        "pisces",
    )
    assert curriculum.references["townshend2022"].values == {"rmse": 1.67, "pearson": 0.58}
    assert {y for chart in curriculum.charts.values() for y in [chart.y]} == {"val/rmse", "val/mae"}


def test_the_curriculum_runs_on_real_data_that_is_named():
    plan = planned("2024-06-28", "real")
    assert len(plan.stages) == STAGES["2024-06-28"][1]
    assert {source.name for stage in plan.stages.values() for source in stage.sources} == {"proteins", "binding"}
    assert not [problem for problem in checked("2024-06-28", "real").problems if problem.severity is Severity.ERROR]


def test_both_studies_of_thawing_are_as_long_in_the_profile_as_what_they_are_compared_with():
    base = settings_of("2024-06-28/finetune-curriculum", "naive", "lba", "laptop")
    slowly = settings_of("2024-07-02/late-layers", "late[by=two-convs,patience=3]", "slowly", "laptop")
    assert {**slowly, "thaw": None, "start": None, "streams": None} == {**base, "thaw": None, "start": None, "streams": None}
    assert slowly["thaw"]["patience"] + 1 < slowly["thaw"]["max_epochs"], "patience can end a phase before its length does"
