"""Types and settings that are announced and not built: they are typed, checked and part of keys as all others are."""

from typing import ClassVar

import pytest
from pydantic import Field, ValidationError

from interpreter import catalog
from interpreter.spec.base import Config, identity, since, unbuilt
from interpreter.spec.canonical import key_of
from interpreter.spec.components.contract import settings
from interpreter.spec.components.datasets import Digits, ImageFolder
from interpreter.spec.components.models import Mlp
from interpreter.spec.components.objectives import Classification
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.components.subsets import Subset
from interpreter.spec.components.volume_models import Atom3dCnn, Cnn3d, EquivariantResnet, Resnet3d
from interpreter.spec.components.volumes import View, VoxelImage

# As the examples of the language write them.
IMAGE = {"voxels": 21, "resolution_A": 0.75, "channels": ["C", "N", "O", "P", "S|SE", "*", "polymer"]}
GYM = {"type": "neighbor_location", "source": "gym", "image": IMAGE, "views": {"train": {"gap_A": 1}, "val": {"gap_A": 1}}}
SUBSET = {"easiest": "40%", "scored_by": {"result": "2024-06-20/score-gym/resnet.score", "seed": 0}}
LBA = {"type": "atom3d_lba", "source": "lba", "split": "identity30", "atoms": "protein", "image": IMAGE}
RESNET18 = {"type": "timm", "name": "resnet18", "stem": "cifar", "max_pool": "keep"}
FOUR = {"type": "ensemble", "of": RESNET18, "members": 4, "share": "none", "order": "shared"}
INTER = {"type": "interpensemble", "of": {"type": "wide_resnet18", "width": 2}, "groups": 2}
NORMALIZE = {"mean": [0.0418, 0.0353, 0.0409], "std": [0.0956, 0.0911, 0.0769]}
DYB = {"type": "image_folder", "source": "dyb", "roots": {"train": "linear-head/train"}, "size": 224}
EXAMPLES = [
    ("dataset", GYM),
    ("dataset", {**GYM, "subset": SUBSET}),
    ("dataset", {**GYM, "source": "embedded", "examples_per_epoch": 256}),
    ("dataset", LBA),
    ("dataset", {**LBA, "source": "embedded", "atoms": "pocket"}),
    ("dataset", {**DYB, "normalize": NORMALIZE, "augment": {"two_crops": "simclr"}}),
    ("dataset", {"type": "cifar10", "source": "cifar10", "val": {"from": "train", "n": 5000}}),
    ("dataset", {"type": "cifar10", "source": "cifar10", "part": "test"}),
    ("dataset", {"type": "cifar10_1", "source": "cifar10-1", "version": "v4"}),
    ("model", {"type": "cnn3d", "channels": [32, 64, 128, 256], "kernel": 3, "pool": [1, 2, 1, 2]}),
    ("model", {"type": "cnn3d", "channels": [8, 16, 32, 64], "kernel": 3, "pool": [1, 2, 1, 2]}),
    ("model", RESNET18),
    ("model", FOUR),
    ("model", {"type": "wide_resnet18", "width": 2}),
    ("model", INTER),
    ("objective", {"type": "neighbor_location"}),
    ("objective", {"type": "supcon", "temperature": 0.07, "projection": {"hidden": 2048, "out": 128}}),
    ("objective", {"type": "classification", "members": "mean_of_losses"}),
    ("objective", {"type": "classification", "members": "sum_of_losses"}),
    ("objective", {"type": "classification", "groups": 4}),
    ("objective", {"type": "interpensemble_mix", "big": 0.5}),
    ("objective", {"type": "interpensemble_draw", "big": 0.5}),
]
FIT = {"epochs": 100, "batch_size": 256, "optimizer": {"type": "sgd", "lr": 1e-2, "momentum": 0.9}}


@pytest.mark.parametrize(("kind", "written"), EXAMPLES, ids=lambda value: value if isinstance(value, str) else value["type"])
def test_the_examples_of_the_language(kind, written):
    config = catalog.typed(kind, written)
    again = catalog.typed(kind, settings(config))
    assert again == config
    assert identity(again) == identity(config)


def refusal(kind, written):
    with pytest.raises(ValidationError) as caught:
        catalog.typed(kind, written)
    return str(caught.value)


def test_what_is_inside_a_model_is_identity_and_settings():
    four = catalog.typed("model", FOUR)
    assert identity(four)["of"] == identity(catalog.typed("model", RESNET18))
    assert identity(four)["of"]["component_version"] == 1
    assert settings(four)["of"]["name"] == "resnet18"
    assert settings(four)["of"]["type"] == "timm"
    other = catalog.typed("model", {**FOUR, "of": {**RESNET18, "max_pool": "remove"}})
    assert key_of(identity(other)) != key_of(identity(four))


def test_a_name_inside_a_model_must_have_been_resolved():
    assert "name of a component" in refusal("model", {**FOUR, "of": "resnet18"})


@pytest.mark.parametrize(
    ("kind", "written", "words"),
    [
        ("dataset", {**GYM, "image": {**IMAGE, "channels": ["C", "c"]}}, "names C twice"),
        ("dataset", {**GYM, "image": {**IMAGE, "channels": ["Xx"]}}, "XX is none of them"),
        ("dataset", {**GYM, "image": {**IMAGE, "channels": ["H", "C"]}}, "hydrogens are left out"),
        ("dataset", {**LBA, "image": {**IMAGE, "channels": ["H", "C"]}}, "hydrogens are left out"),
        ("dataset", {**GYM, "image": {**IMAGE, "fill": "binary", "radius_A": 1.0}}, "radius_A"),
        ("dataset", {**GYM, "image": {**IMAGE, "normalize": {"std": [0.05, 0.05]}}}, "2 numbers for 7 channels"),
        ("dataset", {**GYM, "also_val": {"val": {"gap_A": 1}}}, "`val`: that one is there already"),
        ("dataset", {**GYM, "views": {"train": {"gap_A": [4, 1]}}}, "[smallest, largest]"),
        ("dataset", {**GYM, "views": {"train": {"gap_A": [1, 4], "max_shift_A": 1}}}, "says the shift already"),
        ("dataset", {**GYM, "structures": {"val": 0.5, "test": 0.5}}, "nothing to train on"),
        ("dataset", {**GYM, "subset": {**SUBSET, "below": 0.3}}, "`easiest`, `below`"),
        ("dataset", {**GYM, "subset": {"scored_by": SUBSET["scored_by"]}}, "here are none"),
        ("dataset", {**GYM, "subset": {**SUBSET, "easiest": {"from": "60%", "to": "20%", "over": 3}}}, "goes 0.6 to 0.2"),
        ("dataset", {**LBA, "rotation": "none", "val_poses": 4}, "gives one pose"),
        ("dataset", {k: v for k, v in LBA.items() if k != "atoms"}, "atoms"),
        ("dataset", {"type": "cifar10", "source": "embedded"}, "no embedded data"),
        ("dataset", {"type": "cifar10", "source": "c", "part": "test", "val": {"from": "train", "n": 1}}, "no training images"),
        ("dataset", {"type": "cifar10", "source": "c", "val": {"from": "train", "n": 50_000}}, "leaves nothing"),
        ("dataset", {"type": "shifted", "of": DYB, "corruption": "rotate", "severity": 1}, "no test split, only train"),
        ("model", {**FOUR, "of": FOUR}, "itself made of networks"),
        ("model", {**FOUR, "share": "all", "order": "own"}, "one order"),
        ("model", {**INTER, "of": RESNET18}, "only a `wide_resnet18`"),
        ("model", {**INTER, "groups": 4}, "does not divide the width 2"),
        ("model", {"type": "cnn3d", "channels": [4, 4], "pool": [2]}, "1 numbers for 2 convolutions"),
        ("model", {"type": "cnn3d", "channels": [4], "kernel": 4, "padding": "same"}, "must be odd"),
        ("model", {"type": "resnet3d", "widths": [64, 128], "block": "bottleneck"}, "go together"),
        ("model", {"type": "resnet3d", "widths": [6, 8], "block": "bottleneck", "factor": 4}, "a width of 6"),
        ("model", {"type": "equivariant_resnet", "channels": [2, 4, 7], "middle": [2]}, "1 numbers for 2 blocks"),
        ("model", {"type": "equivariant_resnet", "channels": [2, 4], "max_frequency": 4}, "the 165 numbers of a field"),
        ("model", {"type": "equivariant_resnet", "channels": [2, 4], "samples": 100}, "24 rotations"),
        ("objective", {"type": "classification", "members": "sum_of_losses", "groups": 4}, "give one"),
    ],
)
def test_what_can_not_be_meant_is_told(kind, written, words):
    assert words in refusal(kind, written)


def test_a_range_of_gaps_is_a_gap_and_a_shift():
    assert View.model_validate({"gap_A": [1, 4], "max_angle_deg": 20}) == View(gap_A=2.5, max_shift_A=1.5, max_angle_deg=20.0)
    assert identity(View.model_validate({"gap_A": [2, 2]})) == identity(View(gap_A=2.0))


def test_elements_have_one_spelling():
    image = VoxelImage(voxels=24, resolution_A=1.0, channels=["c", "S|Se", "*", "ligand"])
    assert image.channels == ["C", "S|SE", "*", "ligand"]
    assert image.elements() == {"C", "S", "SE"}
    assert image.shape() == (4, 24, 24, 24)
    assert image.side_A() == 24.0


def test_noise_of_training_does_not_change_what_is_measured():
    clean, noisy = (catalog.typed("dataset", {**GYM, "views": {"train": {"gap_A": gap}}}) for gap in (1, [1, 4]))
    assert clean.measured("val") == noisy.measured("val")
    assert clean.measured("train") != noisy.measured("train")
    matched = catalog.typed("dataset", {**GYM, "views": {"val": {"gap_A": 4}}, "also_val": {"clean": {"gap_A": 1}}})
    assert matched.facts().splits == ("train", "val", "test", "clean")
    assert matched.measured("val") != clean.measured("val")
    assert matched.measured("clean") == clean.measured("val")


def test_facts_of_datasets():
    gym, lba = catalog.typed("dataset", GYM).facts(), catalog.typed("dataset", LBA).facts()
    assert (gym.shape, gym.outputs, gym.task, gym.views) == ((7, 21, 21, 21), 6, "neighbor_location", 2)
    assert (lba.shape, lba.outputs, lba.task, lba.views) == ((7, 21, 21, 21), 1, "regression", 1)
    whole, test = ({"type": "cifar10", "source": "c", **more} for more in ({"val": {"from": "test"}}, {"part": "test"}))
    assert catalog.typed("dataset", whole).facts().splits == ("train", "val", "test")
    assert catalog.typed("dataset", whole).measured("val") == catalog.typed("dataset", test).measured("test")
    assert catalog.typed("dataset", test).facts().splits == ("test",)


def test_constants_measure_the_same_however_they_are_said():
    named = catalog.typed("dataset", {"type": "cifar10_1", "source": "c", "version": "v6"})
    constants = {"mean": [0.4914, 0.4822, 0.4465], "std": [0.2471, 0.2435, 0.2616]}
    said = catalog.typed("dataset", {"type": "cifar10_1", "source": "c", "version": "v6", "normalize": constants})
    assert named.measured("test") == said.measured("test")


def test_shifted_data_are_those_of_another_dataset():
    shifted = catalog.typed("dataset", {"type": "shifted", "of": {"type": "digits"}, "corruption": "rotate", "severity": 3})
    assert shifted.source == "embedded"
    assert shifted.embedded_fingerprint == Digits.embedded_fingerprint
    assert shifted.facts().splits == ("test",)
    assert shifted.facts().target_space == Digits().facts().target_space
    assert shifted.measured("test") != Digits().measured("test")


def test_a_name_of_scores_is_not_identity_and_the_rule_is():
    here, there = (Subset.model_validate({"easiest": "40%", "scored_by": {"result": name}}) for name in ("a/b.score", "c.score"))
    assert identity(here) == identity(there)
    assert identity(here) == identity(Subset.model_validate({"easiest": 0.4, "scored_by": {"result": "x.y", "seed": 3}}))
    assert identity(here) != identity(Subset.model_validate({"hardest": "40%", "scored_by": {"result": "a/b.score"}}))
    assert settings(here)["scored_by"] == {"result": "a/b.score", "seed": None}


def test_percentages_are_rounded_as_decimals_are():
    assert Subset.model_validate({"easiest": "33.3 %", "scored_by": {"result": "x.y"}}).easiest == 0.333


@pytest.mark.parametrize("share", ["0%", "101%", "40", 0, 40])
def test_shares_are_shares(share):
    with pytest.raises(ValidationError):
        Subset.model_validate({"easiest": share, "scored_by": {"result": "x.y"}})


@pytest.mark.parametrize(
    ("model", "side", "sides"),
    [
        (Cnn3d(channels=[32, 64, 128, 256], pool=[1, 2, 1, 2]), 21, [19, 8, 6, 2]),
        (Cnn3d(channels=[32, 64, 128, 256], pool=[1, 2, 1, 2]), 24, [22, 10, 8, 3]),
        (Cnn3d(channels=[4, 4], padding="same_after_first"), 21, [9, 4]),
        (Atom3dCnn(), 41, [39, 18, 16, 7]),
        (Resnet3d(widths=[64, 128, 256, 512]), 27, [25, 13, 7, 4]),
        (Resnet3d(widths=[64, 128, 256, 512]), 21, [19, 10, 5, 3]),
        (Resnet3d(widths=[64, 128], downsample="pool"), 21, [19, 9]),
        (EquivariantResnet(channels=[2, 4, 7, 14, 28]), 33, [31, 15, 7, 3, 1]),
    ],
)
def test_sizes_of_maps(model, side, sides):
    """Those of the published descriptions."""
    assert list(model.walk(side).values()) == sides
    assert model.misfit((7, side, side, side)) == ""


def test_volumes_too_small_are_told_by_layer():
    cnn = Cnn3d(channels=[4, 4, 4], pool=[1, 2, 2])
    assert "before conv3 they are 2 voxels a side, and it takes 3" in cnn.misfit((1, 8, 8, 8))
    assert "before the pooling of block3" in EquivariantResnet(channels=[2, 4, 7, 14]).misfit((7, 8, 8, 8))
    assert "before the first convolution" in Resnet3d(widths=[4, 8]).misfit((7, 2, 2, 2))
    assert "takes 3-D images" in cnn.misfit((3, 32, 32))


def test_numbers_of_features():
    assert EquivariantResnet(channels=[2, 28]).field_size() == 35
    assert EquivariantResnet(channels=[2, 28], fields="quotient").field_size() == 9
    assert EquivariantResnet(channels=[2, 28], global_pool="avg").features() == 980
    assert Resnet3d(widths=[64, 128, 256, 512], cap=256).capped() == (64, 128, 256, 256)
    assert Resnet3d(widths=[64, 128, 256, 512], cap=256).features() == 256
    assert catalog.typed("model", INTER).features() == 1024
    assert Cnn3d(channels=[4]).features() is None


def test_an_ensemble_takes_the_images_its_members_take():
    assert "takes 2-D images" in catalog.typed("model", FOUR).misfit((7, 21, 21, 21))
    assert catalog.typed("model", FOUR).misfit((3, 32, 32)) == ""


def test_objectives_and_models_must_suit_each_other():
    wide, four, inter = (catalog.typed("model", m) for m in ({"type": "wide_resnet18", "width": 2}, FOUR, INTER))
    plain, summed = Classification(), Classification(members="sum_of_losses")
    mix = catalog.typed("objective", {"type": "interpensemble_mix", "big": 0.5})
    assert [plain.model_misfit(wide), summed.model_misfit(four), mix.model_misfit(inter)] == ["", "", ""]
    assert "doesn't say what it minimizes" in plain.model_misfit(four)
    assert "is one network" in summed.model_misfit(wide)
    assert "interpensemble_mix" in plain.model_misfit(inter)
    assert "for an interpensemble" in mix.model_misfit(wide)
    assert Classification(groups=4).model_misfit(wide) == ""
    assert "1024 features" in Classification(groups=3).model_misfit(wide)
    assert Classification(groups=3).model_misfit(Mlp(hidden=[8, 9])) == ""


def test_objectives_and_datasets_must_suit_each_other():
    supcon, simclr = (catalog.typed("objective", {"type": type_}) for type_ in ("supcon", "simclr"))
    crops = ImageFolder.model_validate({k: v for k, v in DYB.items() if k != "type"} | {"augment": {"two_crops": "simclr"}})
    once = ImageFolder.model_validate({k: v for k, v in DYB.items() if k != "type"})
    test = ImageFolder.model_validate({**DYB, "roots": {"test": "original/test"}})
    assert [objective.misfit(data) for objective in (supcon, simclr) for data in (crops, test)] == ["", "", "", ""]
    assert "two_crops: simclr" in supcon.misfit(once)
    assert supcon.misfit(Digits()) == ""
    assert "a `digits` dataset gives one: say `two_views: true`" in simclr.misfit(Digits())
    moved = Digits(shift=1, two_views=True)
    assert [objective.misfit(moved) for objective in (supcon, simclr)] == ["", ""]
    for data in (crops, moved):
        assert Classification().misfit(data) == "is for one view of an image, and a training example of this dataset is 2"
    lba = catalog.typed("dataset", LBA)
    assert Classification().misfit(lba) == "wants a classification target, and this dataset's is regression"
    assert "is regression" in supcon.misfit(lba)
    pairs = catalog.typed("objective", {"type": "neighbor_location"})
    assert pairs.misfit(catalog.typed("dataset", GYM)) == ""
    assert "wants a neighbor_location target" in pairs.misfit(Digits())


def test_what_was_added_leaves_old_keys_alone():
    assert identity(Digits()).keys() & {"subset"} == set()
    assert identity(Classification()) == {"type": "classification", "label_smoothing": 0.0, "component_version": 1}
    assert identity(Classification(members="sum_of_losses"))["members"] == "sum_of_losses"
    fit = Schedule.model_validate({**FIT, "optimizer": {"type": "sgd", "lr": {"base": 0.1, "per": 256}}})
    assert identity(fit)["optimizer"]["lr"] == {"base": 0.1, "per": 256}
    assert not identity(fit).keys() & {"accumulate", "lr_times", "layer_decay"}


def test_scaling_rules():
    for scale, lr in (("linear", 0.4), ("sqrt", 0.2)):
        written = {**FIT, "optimizer": {"type": "sgd", "lr": {"base": 0.1, "per": 64, "scale": scale}}}
        assert Schedule.model_validate(written).peak_lr() == pytest.approx(lr)
        assert unbuilt(Schedule.model_validate(written)) == []


@pytest.mark.parametrize(
    "more",
    [
        {"lr_schedule": {"type": "polynomial", "power": 2.0, "warmup": "5%"}},
        {"lr_schedule": {"type": "one_cycle"}},
        {"lr_schedule": {"type": "cyclic", "low": 0.1, "up": 5}},
        {"lr_schedule": {"type": "plateau", "times": 0.1, "patience": 5}},
        {"accumulate": 4},
        {"lr_times": {"conv*": 0.1}},
        {"layer_decay": 0.75},
    ],
)
def test_schedules_are_typed_and_told_apart(more):
    schedule = Schedule.model_validate({**FIT, **more})
    assert Schedule.model_validate(settings(schedule)) == schedule
    assert unbuilt(schedule) == []
    assert key_of(identity(schedule)) != key_of(identity(Schedule.model_validate(FIT)))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"lr_schedule": {"type": "one_cycle", "from": 1e-4}}, "begins at `start`"),
        ({"lr_schedule": {"type": "cyclic", "low": 0.1, "up": 101}}, "never reach the peak"),
        ({"lr_schedule": {"type": "plateau", "patience": 5}}, "times"),
        ({"accumulate": 257}, "257 parts"),
    ],
)
def test_schedules_are_checked(more, words):
    with pytest.raises(ValidationError, match=words):
        Schedule.model_validate({**FIT, **more})


def test_what_is_in_use_and_not_built_is_found_by_path():
    assert unbuilt(Schedule.model_validate(FIT)) == []
    assert unbuilt(Classification()) == []
    assert unbuilt(Classification(groups=4)) == []
    grown = {"subset": {"easiest": {"from": "20%", "over": 3}, "scored_by": {"result": "a.b"}}}
    assert unbuilt(Digits.model_validate(grown)) == []
    assert unbuilt(Announced()) == [()]


class Announced(Config):
    """A mapping of a later release."""

    built: ClassVar[bool] = False
    inner: int = since(1, 5, neutral=0, built=False)


class Holder(Config):
    """What can hold it, anywhere."""

    from_: Announced | None = Field(default=None, alias="from")
    several: list[Announced | int] = Field(default=[])
    named: dict[str, list[Announced]] = Field(default={})
    flag: bool = since(1, True, neutral=False, built=False)


def test_paths_are_those_of_the_page_at_any_depth():
    assert unbuilt(Holder(flag=False)) == []
    assert unbuilt(Holder()) == [("flag",)]  # a default that is not neutral is in use
    holder = Holder.model_validate({"from": {}, "several": [1, {"inner": 2}], "named": {"a": [], "b": [{}]}, "flag": False})
    assert unbuilt(holder) == [("from",), ("several", "1"), ("named", "b", "0")]


def test_weights_are_for_one_encoder():
    cnn = Cnn3d(channels=[4, 8], kernel=3, dropout=0.1, pool=[1, 2])
    assert cnn.weights_misfit(Cnn3d(channels=[4, 8], kernel=3, pool=2, activation="gelu")) == ""
    assert cnn.weights_misfit(Cnn3d(channels=[4, 6], dropout=0.1)) == "`channels` is [4, 6] there, and [4, 8] here"
    assert cnn.weights_misfit(Atom3dCnn()) == "atom3d_cnn, and this is cnn3d"
    four = catalog.typed("model", FOUR)
    assert four.weights_misfit(catalog.typed("model", {**FOUR, "order": "own", "of": {**RESNET18, "dropout": 0.5}})) == ""
    assert "`name` is resnet34" in four.weights_misfit(catalog.typed("model", {**FOUR, "of": {**RESNET18, "name": "resnet34"}}))
    assert "`members` is 2" in four.weights_misfit(catalog.typed("model", {**FOUR, "members": 2}))
    assert (Mlp.flattens, Cnn3d.flattens) == (True, False)
