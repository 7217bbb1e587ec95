"""Image folders: clean and dirty ones made here, and the real photographs where they are at hand."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from interpreter.errors import DataMissing
from interpreter.parts.build import build_data, build_objective
from interpreter.parts.contract import Draw
from interpreter.parts.datasets.augment import DRAWS, augmented
from interpreter.parts.datasets.decode import UnreadableImage, decode
from interpreter.parts.random import uniform
from interpreter.spec.components.datasets import Augment, ImageFolder
from tests.conftest import ROOT

CLOTHING = ROOT.parent / "shared" / "data" / "clothing"
clothing = pytest.mark.skipif(not CLOTHING.is_dir(), reason="the real photographs are not at ../shared/data/clothing")
PHOTOS = {
    "type": "image_folder",
    "source": "clothing",
    "size": 64,
    "roots": {"train": "train", "val": "validation", "test": "test"},
}
SIZE = 8


@pytest.fixture
def photos(tmp_path):
    """train, val and test, classes a and b, six, three and three random images of 10 x 8 each."""
    rng = np.random.default_rng(0)
    for split, n in (("train", 6), ("val", 3), ("test", 3)):
        for name in "ab":
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                Image.fromarray(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "photos"


def build(folder, **settings):
    settings = {"type": "image_folder", "source": "photos", "size": SIZE, **settings}
    return build_data(settings, folder, folder.parent / "cache")


def codes(data):
    return [code for code, _ in data.findings]


def test_a_clean_folder_has_no_findings(photos):
    data = build(photos)
    assert data.findings == ()
    assert (data.facts["n"], data.class_names) == ({"train": 12, "val": 6, "test": 6}, ("a", "b"))
    assert data.splits["val"].ids[:2] == ["val/a/0.png", "val/a/1.png"]
    x, y = data.splits["val"].batch(np.array([0, 3]), None)
    original = np.asarray(Image.open(photos / "val/a/0.png"))[:, 1:9]
    assert torch.equal(x[0], torch.from_numpy(original.transpose(2, 0, 1).copy()).float() / 255)
    assert y.tolist() == [0, 1]


def test_dirt_becomes_findings_and_never_a_crash(photos):
    train = photos / "train"
    (train / "a" / "notes.txt").write_text("remember")
    (train / "stray.png").write_bytes((train / "a" / "0.png").read_bytes())
    (train / "a" / ".DS_Store").write_bytes(b"x")
    rng = np.random.default_rng(1)
    big = Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    big.save(train / "a" / "whole.jpg")
    (train / "a" / "cut.jpg").write_bytes((train / "a" / "whole.jpg").read_bytes()[:900])
    (train / "a" / "empty.jpg").touch()
    (train / "a" / "text.jpg").write_text("no image")
    big.convert("L").save(train / "b" / "grey.png")
    big.quantize(16).save(train / "b" / "palette.png")
    big.convert("CMYK").save(train / "b" / "cmyk.jpg")
    big.save(train / "b" / "in_truth_a.jpg", format="png")
    data = build(photos)
    told = dict(data.findings)
    assert "train/a/notes.txt, train/stray.png" in told["stray-files"]
    unreadable = [text for code, text in data.findings if code == "unreadable-image"]
    assert [text.split(":")[0] for text in unreadable] == ["train/a/cut.jpg", "train/a/empty.jpg", "train/a/text.jpg"]
    assert "truncated" in unreadable[0]
    assert "empty" in unreadable[1]
    assert "no image" in unreadable[2]
    assert sorted(codes(data)) == ["stray-files"] + ["unreadable-image"] * 3
    assert data.facts["n"]["train"] == 12 + 1 + 4
    assert len(data.splits["train"].batch(np.arange(17), None)[0]) == 17
    assert build(photos).findings == data.findings  # from the cache too


def test_the_cache_follows_the_content(photos):
    before = build(photos)
    arrays = set((photos.parent / "cache" / "images").glob("*.npy"))
    assert len(arrays) == 3
    Image.new("RGB", (10, 8), "red").save(photos / "train" / "a" / "0.png")
    after = build(photos)
    x = after.splits["train"].batch(np.array([0]), None)[0]
    assert x[0, 0].min() == 1.0
    assert x[0, 1:].max() == 0.0
    assert before.splits["train"].batch(np.array([1]), None)[0].equal(after.splits["train"].batch(np.array([1]), None)[0])
    assert len(set((photos.parent / "cache" / "images").glob("*.npy"))) == 4
    shutil.rmtree(photos.parent / "cache")
    assert build(photos).splits["train"].batch(np.array([0]), None)[0].equal(x)


def test_a_torn_cache_is_made_again(photos):
    whole = build(photos).splits["train"].batch(np.arange(12), None)[0]
    for report in (photos.parent / "cache" / "images").glob("*.json"):
        report.write_text("{")
    assert build(photos).splits["train"].batch(np.arange(12), None)[0].equal(whole)


def test_equal_files_in_two_splits_or_classes_are_found(photos):
    shutil.copy(photos / "train/a/0.png", photos / "test/a/copy.png")
    shutil.copy(photos / "train/a/1.png", photos / "train/b/other.png")
    told = dict(build(photos).findings)
    assert "test/a/copy.png (test) is train/a/0.png (train)" in told["overlapping-splits"]
    assert "train/b/other.png (b) is train/a/1.png (a)" in told["two-labels"]


def test_a_class_missing_in_val_is_told_and_in_train_is_an_error(photos):
    shutil.rmtree(photos / "val" / "b")
    assert codes(build(photos)) == ["missing-class"]
    shutil.rmtree(photos / "train" / "b")
    with pytest.raises(DataMissing, match="training split of `photos` has no images of b"):
        build(photos)


def test_absent_data_says_what_to_do(photos):
    with pytest.raises(DataMissing, match="`photos` is not here") as error:
        build_data({"type": "image_folder", "source": "photos", "size": 8}, None, photos)
    assert "EXPT_DATA_PHOTOS" in error.value.hint
    with pytest.raises(DataMissing, match="has no folder `validation`") as error:
        build(photos, roots={"train": "train", "val": "validation"})
    assert "test, train, val" in error.value.hint


def test_declared_classes_are_numbered_as_declared(photos):
    data = build(photos, classes=["b", "a"])
    assert data.splits["val"].batch(np.array([0]), None)[1].tolist() == [1]
    assert data.class_names == ("b", "a")


def test_validation_drawn_from_train(photos):
    shutil.rmtree(photos / "val")
    data = build(photos, val={"from": "train", "fraction": 0.3})
    assert data.facts["classes"] == {"train": [4, 4], "val": [2, 2], "test": [3, 3]}
    assert not set(data.splits["train"].ids) & set(data.splits["val"].ids)
    assert build(photos, val={"from": "train", "n": 5}).facts["n"]["val"] == 5
    assert build(photos, val={"from": "train", "fraction": 0.3, "seed": 1}).splits["val"].ids != data.splits["val"].ids
    budget = build(photos, val={"from": "train", "fraction": 0.3}, per_class=2)
    assert budget.splits["val"].ids == data.splits["val"].ids
    assert budget.facts["n"] == {"train": 4, "val": 4, "test": 6}


def test_computed_normalization_is_of_train_before_a_budget(photos):
    data = build(photos, normalize="computed", label_fraction=0.2)
    pixels = np.stack([np.asarray(Image.open(p))[:, 1:9] for p in sorted((photos / "train").rglob("*.png"))]) / 255
    assert data.facts["normalization"]["mean"] == pytest.approx(pixels.mean((0, 1, 2)), abs=1e-6)
    assert data.facts["normalization"]["std"] == pytest.approx(pixels.std((0, 1, 2)), abs=1e-6)
    x = build(photos, normalize="computed").splits["train"].batch(np.arange(12), None)[0]
    assert x.mean(dim=(0, 2, 3)).abs().max() < 1e-4


def test_only_the_splits_with_a_root_are_there(photos):
    assert list(build(photos, roots={"test": "test"}).splits) == ["test"]
    nested = build(photos.parent, roots={"train": "photos/train", "test": "photos/test"})
    assert list(nested.splits) == ["train", "test"]


def test_a_split_survives_pickling(photos):
    split = build(photos).splits["train"]
    text = pickle.dumps(split)
    assert len(text) < 5000  # the map is opened anew, not copied
    again = pickle.loads(text)
    assert again.batch(np.array([3, 1]), None)[0].equal(split.batch(np.array([3, 1]), None)[0])


def test_decoding_rules(tmp_path):
    wide = Image.new("RGB", (20, 10), "red")
    wide.paste("blue", (10, 0, 20, 10))
    wide.save(tmp_path / "wide.png")
    red, blue = [255, 0, 0], [0, 0, 255]
    center, pad, squash = (decode(tmp_path / "wide.png", 10, rule) for rule in ("center", "pad", "squash"))
    assert (center[:, 5, 2].tolist(), center[:, 5, 7].tolist()) == (red, blue)
    assert (pad[:, 1, 5].tolist(), pad[:, 5, 0].tolist(), pad[:, 5, 9].tolist()) == ([0, 0, 0], red, blue)
    assert (squash[:, 0, 0].tolist(), squash[:, 9, 9].tolist()) == (red, blue)
    turned = wide.getexif()
    turned[0x0112] = 3  # upside down
    wide.save(tmp_path / "turned.jpg", exif=turned, quality=95)
    assert decode(tmp_path / "turned.jpg", 10, "squash")[2, 5, 1] > 200
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert decode(tmp_path / "clear.png", 4, "center").min() == 255
    Image.fromarray(np.full((4, 4), 40000, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert decode(tmp_path / "deep.png", 4, "center")[0, 0, 0] == round(40000 / 257)
    (tmp_path / "none.jpg").write_bytes(b"")
    with pytest.raises(UnreadableImage, match="empty"):
        decode(tmp_path / "none.jpg", 4, "center")


AUGMENTS = [
    {"flip": 0.5},
    {"shift": 3},
    {"crop": {"scale": [0.2, 1.0]}},
    {"jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "p": 0.8}, "gray": 0.2},
    {"two_crops": "simclr"},
]


@pytest.mark.parametrize("augment", AUGMENTS)
def test_a_view_is_the_same_in_whatever_batch(photos, augment):
    split = build(photos, augment=augment, size=13).splits["train"]
    index = np.arange(12)
    whole, _ = split.batch(index, Draw(3, 1))
    assert whole.shape == ((12, 2, 3, 13, 13) if "two_crops" in augment else (12, 3, 13, 13))
    for some in ([7], [11, 0, 5], [4, 4, 4, 4, 4]):
        assert torch.equal(split.batch(np.array(some), Draw(3, 1))[0], whole[some])
    assert not torch.equal(split.batch(index, Draw(3, 2))[0], whole)
    assert torch.equal(split.batch(index, None)[0], build(photos, size=13).splits["train"].batch(index, None)[0])
    assert float(whole.min()) >= 0
    assert float(whole.max()) <= 1


def test_evaluated_splits_are_never_augmented(photos):
    split = build(photos, augment={"flip": 1.0}).splits["val"]
    assert torch.equal(split.batch(np.arange(6), Draw(0, 0))[0], split.batch(np.arange(6), None)[0])


def test_each_change_does_what_it_says():
    x = torch.rand(400, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    draws = uniform(1, 0, np.arange(400), DRAWS)
    flipped = augmented(x, draws, Augment(flip=0.25))
    turned = torch.tensor([torch.equal(a, b.flip(-1)) for a, b in zip(flipped, x, strict=True)])
    assert 70 < int(turned.sum()) < 130
    assert torch.equal(flipped[~turned], x[~turned])
    grey = augmented(x, draws, Augment(gray=1.0))
    assert torch.equal(grey[:, 0], grey[:, 2])
    assert torch.allclose(grey[:, 0], (x * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1))
    whole = Augment.model_validate({"crop": {"scale": [1.0, 1.0], "ratio": [1.0, 1.0]}})
    assert torch.allclose(augmented(x, draws, whole), x, atol=1e-5)
    ramp = torch.arange(12.0).expand(400, 3, 12, 12) / 12
    part = augmented(ramp, draws, Augment.model_validate({"crop": {"scale": [0.25, 0.25], "ratio": [1.0, 1.0]}}))
    slopes = part[:, 0, 5, 6] - part[:, 0, 5, 5]
    assert slopes.median() == pytest.approx(0.5 / 12, rel=1e-4)  # a quarter of the area: twice as large
    hue = augmented(grey, draws, Augment.model_validate({"jitter": {"hue": 0.5}}))
    assert torch.allclose(hue, grey, atol=1e-4)  # grey has no hue
    bright = augmented(x * 0.5, draws, Augment.model_validate({"jitter": {"brightness": 0.4}})) / (x * 0.5)
    assert 0.6 < float(bright.amin()) < 0.61
    assert 1.39 < float(bright.amax()) < 1.4


@clothing
def test_real_photographs(tmp_path):
    """Counts, statistics and trivial rules as the notes of the data set give them."""
    data = build_data({**PHOTOS, "normalize": "computed"}, CLOTHING, tmp_path)
    assert data.facts["n"] == {"train": 3068, "val": 341, "test": 372}
    assert data.facts["classes"]["train"] == [241, 123, 455, 184, 468, 290, 198, 202, 112, 795]
    assert data.facts["classes"]["val"] == [32, 14, 49, 24, 49, 29, 26, 25, 12, 81]
    assert data.facts["classes"]["test"] == [15, 12, 72, 38, 42, 26, 73, 30, 12, 52]
    assert (data.class_names[0], data.class_names[9], data.findings) == ("dress", "t-shirt", ())
    assert np.round(data.facts["normalization"]["mean"], 4).tolist() == pytest.approx([0.5374, 0.4651, 0.4543], abs=1e-4)
    assert np.round(data.facts["normalization"]["std"], 4).tolist() == pytest.approx([0.2515, 0.2438, 0.2325], abs=1e-4)
    objective = build_objective({"type": "classification"}, data)
    train = data.splits["train"].targets
    for split, expected in (("val", 0.2375), ("test", 0.1398)):
        found = objective.baseline(train, data.splits[split].targets)
        assert round(found["accuracy"], 4) == expected
        assert found["recall"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"source": "embedded"}, "no embedded data"),
        ({"source": "../x"}, "pattern"),
        ({"roots": {"train": "/abs"}}, "inside the source"),
        ({"roots": {"train": "a/../../b"}}, "inside the source"),
        ({"roots": {}}, "gives no split"),
        ({"roots": {"train": "a", "test": "a"}}, "same folder"),
        ({"roots": {"test": "a"}, "normalize": "computed"}, "computed on train"),
        ({"roots": {"test": "a"}, "augment": {"flip": 0.5}}, "touch only train"),
        ({"roots": {"train": "a", "val": "b"}, "val": {"from": "train", "n": 5}}, "give one"),
        ({"val": {"from": "train"}}, "`fraction` or `n`"),
        ({"normalize": {"mean": [120.0, 110.0, 100.0], "std": [1.0, 1.0, 1.0]}}, "divide constants"),
        ({"augment": {"two_crops": "simclr", "flip": 0.1}}, "whole recipe"),
        ({"crop": "centre"}, "'center', 'pad' or 'squash'"),
        ({"classes": ["a", "a"]}, "twice"),
    ],
)
def test_mistakes_are_named(wrong, words):
    with pytest.raises(ValidationError, match=words):
        ImageFolder.model_validate({"source": "x", "size": 8, **wrong})


def test_what_is_measured_leaves_out_what_touches_only_training():
    base = ImageFolder.model_validate({"source": "x", "size": 8})
    same = ImageFolder.model_validate({"source": "x", "size": 8, "augment": {"flip": 0.5}, "per_class": 3})
    assert base.measured("val") == same.measured("val")
    for other in ({"size": 9}, {"crop": "pad"}, {"normalize": "computed"}, {"roots": {"train": "train", "val": "v"}}):
        assert ImageFolder.model_validate({"source": "x", "size": 8, **other}).measured("val") != base.measured("val")


def test_settings_read_back_as_they_were():
    config = ImageFolder.model_validate(
        {"source": "x", "size": 8, "val": {"from": "train", "fraction": 0.1}, "augment": {"two_crops": "simclr"}}
    )
    assert ImageFolder.model_validate(config.model_dump()) == config
    assert config.facts().splits == ("train", "val", "test")
    assert config.folders() == {"train": "train", "test": "test"}
