"""Corrupted test splits: each formula against another way to compute it, and what hangs on what."""

import colorsys
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage, stats
from sklearn.linear_model import LogisticRegression

from interpreter import catalog
from interpreter.errors import DataMissing, StageFailed
from interpreter.parts.build import build_data, build_objective
from interpreter.parts.contract import Draw
from interpreter.parts.datasets.corruptions import CORRUPTIONS
from interpreter.spec.components.images import Shifted
from tests.conftest import ROOT

CLOTHING = ROOT.parent / "shared" / "data" / "clothing"
GRADES = range(1, 6)


def some(channels=3, side=16, n=4, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((n, channels, side, side)))


def luck(name, x, seed=1):
    return np.random.default_rng(seed).random((len(x), CORRUPTIONS[name].drawn(tuple(x.shape[1:]))))


def corrupted(name, x, severity, u=None):
    return CORRUPTIONS[name](x, severity, luck(name, x) if u is None else u).numpy()


def shifted(corruption, severity, of=None, source=None, cache=None, **settings):
    of = of or {"type": "digits"}
    settings = {"type": "shifted", "of": of, "corruption": corruption, "severity": severity, **settings}
    return build_data(settings, source, cache)


def all_of(data):
    split = data.splits["test"]
    return split.batch(np.arange(len(split)), None)[0]


@pytest.mark.parametrize("severity", GRADES)
def test_noise_is_what_its_distribution_says(severity):
    x = some()
    u = luck("gaussian_noise", x)
    c = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    expected = np.clip(x.numpy() + stats.norm.ppf(u, scale=c).reshape(x.shape), 0, 1)
    assert np.allclose(corrupted("gaussian_noise", x, severity, u), expected, rtol=0, atol=1e-12)
    c = (500, 250, 100, 75, 50)[severity - 1]
    expected = np.clip(stats.poisson.ppf(u, c * x.numpy().reshape(len(x), -1)).reshape(x.shape) / c, 0, 1)
    assert np.array_equal(corrupted("shot_noise", x, severity, u), expected)
    c = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    found = corrupted("impulse_noise", x, severity, u)
    touched = found != x.numpy()
    assert set(found[touched].tolist()) == {0.0, 1.0}
    assert touched.mean() == pytest.approx(c, abs=3 * np.sqrt(c / x.numel()))
    assert np.array_equal(touched, ((u < c / 2) | (u >= 1 - c / 2)).reshape(x.shape))


def test_noise_has_the_moments_it_should():
    grey = torch.full((40, 1, 32, 32), 0.5, dtype=torch.float64)
    n = grey.numel()
    for name, deviation in (("gaussian_noise", 0.10), ("shot_noise", np.sqrt(0.5 / 50))):
        found = corrupted(name, grey, 5)
        assert found.mean() == pytest.approx(0.5, abs=4 * deviation / np.sqrt(n))
        assert found.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * n))
    ends = np.array([[0.0, 1 - 2.0**-53]])
    edge = CORRUPTIONS["gaussian_noise"](torch.full((1, 1, 1, 2), 0.5, dtype=torch.float64), 1, ends)
    assert torch.isfinite(edge).all()
    black = torch.zeros(1, 1, 1, 2, dtype=torch.float64)
    assert CORRUPTIONS["shot_noise"](black, 5, ends).tolist() == black.tolist()  # no light, no noise


@pytest.mark.parametrize("severity", GRADES)
@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 32), (3, 64)])
def test_blur_is_a_gaussian(severity, channels, side):
    x = some(channels, side)
    deviation = (0.4, 0.6, 0.7, 0.8, 1.0)[severity - 1] * max(1, side / 32)
    expected = ndimage.gaussian_filter(x.numpy(), (0, 0, deviation, deviation), mode="nearest", truncate=6)
    # Ours is cut off at four deviations, of which a part of 6e-5 lies outside.
    assert np.allclose(corrupted("gaussian_blur", x, severity), expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("severity", GRADES)
@pytest.mark.parametrize("side", [8, 32, 50])
def test_pixels_are_averaged_as_by_pillows_box_filter(severity, side):
    x = some(2, side)
    few = int((0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1] * side)
    found = corrupted("pixelate", x, severity)
    for image, made in zip(x.numpy().reshape(-1, side, side), found.reshape(-1, side, side), strict=True):
        small = Image.fromarray(image.astype(np.float32)).resize((few, few), Image.Resampling.BOX)
        assert np.allclose(made, np.asarray(small.resize((side, side), Image.Resampling.BOX)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("severity", GRADES)
def test_brightness_is_the_value_of_hsv(severity):
    x = some(3, 6)
    x[0, :, 0, 0] = 0.0
    c = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]

    def brighter(pixel):
        h, s, v = colorsys.rgb_to_hsv(*pixel)
        return colorsys.hsv_to_rgb(h, s, min(v + c, 1))

    expected = np.apply_along_axis(brighter, 1, x.numpy())
    assert np.allclose(corrupted("brightness", x, severity), expected, rtol=0, atol=1e-12)
    grey = some(1, 6)
    assert np.allclose(corrupted("brightness", grey, severity), np.minimum(grey.numpy() + c, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("severity", GRADES)
def test_contrast_is_around_the_mean_of_each_channel(severity):
    x = some(3, 9)
    found, c = corrupted("contrast", x, severity), (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1]
    assert np.allclose(found.mean((2, 3)), x.mean((2, 3)).numpy(), rtol=0, atol=1e-12)
    assert np.allclose(found.std((2, 3)), c * x.numpy().std((2, 3)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("severity", GRADES)
def test_turned_by_the_angle_to_either_side(severity):
    side, angle = 65, np.radians((6, 12, 18, 24, 30)[severity - 1])
    x = torch.zeros(2, 1, side, side, dtype=torch.float64)
    x[:, :, 31:34, 51:54] = 1.0  # right of the middle by 20
    found = corrupted("rotate", x, severity, np.array([[0.2], [0.7]]))
    sides = []
    for image in found[:, 0]:
        down, across = (ndimage.center_of_mass(image)[i] - 32 for i in (0, 1))
        assert np.hypot(down, across) == pytest.approx(20, abs=0.05)
        assert abs(np.arctan2(down, across)) == pytest.approx(angle, abs=0.01)
        sides.append(np.sign(down))
    assert sorted(sides) == [-1, 1]
    white = torch.ones(1, 1, side, side, dtype=torch.float64)
    corners = corrupted("rotate", white, severity, np.array([[0.2]]))[0, 0]
    assert (corners[0, 0], corners[32, 32]) == (0.0, 1.0)


@pytest.mark.parametrize("severity", GRADES)
def test_moved_by_a_share_of_the_side_in_any_direction(severity):
    x = some(3, 50)
    n, last = severity, 50 - severity  # 0.02 of 50 to a grade
    moved, still = corrupted("translate", x, severity, np.array([[0.0], [0.25], [0.5], [0.75]])), x.numpy()
    assert np.allclose(moved[0, :, :, :last], still[0, :, :, n:], rtol=0, atol=1e-9)
    assert np.allclose(moved[0, :, :, last:], 0, rtol=0, atol=1e-9)
    assert np.allclose(moved[1, :, :last], still[1, :, n:], rtol=0, atol=1e-9)
    assert np.allclose(moved[2, :, :, n:], still[2, :, :, :last], rtol=0, atol=1e-9)
    assert np.allclose(moved[3, :, n:], still[3, :, :last], rtol=0, atol=1e-9)
    assert np.allclose(moved[3, :, :n], 0, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_higher_grade_is_farther_from_the_image(name, channels):
    x = some(channels, 32, n=16)
    x = torch.from_numpy(ndimage.gaussian_filter(x.numpy(), (0, 0, 1.5, 1.5)))  # noise has no detail to lose
    x = (x - x.min()) / (x.max() - x.min())
    away = [float(np.abs(corrupted(name, x, grade) - x.numpy()).mean()) for grade in GRADES]
    assert away[0] > 0.001
    assert away == sorted(away)
    assert len(set(away)) == 5


def test_the_names_are_those_a_page_may_give():
    field = Shifted.model_json_schema()["properties"]["corruption"]
    assert set(field["anyOf"][0]["enum"]) == set(CORRUPTIONS)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_digits_stay_within_the_range_they_had(name):
    clean = build_data({"type": "digits"}, None, None)
    x, original = all_of(shifted(name, 5)), all_of(clean)
    assert x.shape == original.shape == (360, 1, 8, 8)
    assert x.dtype == torch.float32
    assert float(x.min()) >= float(original.min()) - 1e-6
    assert float(x.max()) <= float(original.max()) + 1e-6
    assert not torch.allclose(x, original, atol=0.01)
    plain = all_of(shifted(name, 5, {"type": "digits", "normalize": "range"}))
    mean, std = (clean.facts["normalization"][key][0] for key in ("mean", "std"))
    assert torch.allclose(x * std + mean, plain, rtol=0, atol=1e-6)  # corrupted in 0..1, whatever the constants


def test_what_is_told_of_shifted_data():
    clean, data = build_data({"type": "digits"}, None, None), shifted("rotate", 3)
    assert data.origin == (
        "shifted: embedded: real 8x8 scans of handwritten digits, shipped with scikit-learn, rotate severity 3; "
        "a stand-in for data from elsewhere"
    )
    assert list(data.splits) == ["test"]
    assert data.splits["test"].ids == clean.splits["test"].ids
    assert torch.equal(data.splits["test"].targets, clean.splits["test"].targets)
    assert data.facts["n"] == {"test": 360}
    assert data.facts["classes"] == {"test": clean.facts["classes"]["test"]}
    assert data.facts["shifted"] == {"of": "digits", "corruption": ["rotate"], "severity": 3}
    assert data.facts["normalization"] == clean.facts["normalization"]
    assert (data.class_names, data.target_space, data.outputs) == (clean.class_names, clean.target_space, 10)
    both = shifted(["rotate", "gaussian_noise"], 2)
    assert "rotate then gaussian_noise severity 2; a stand-in" in both.origin
    facts = catalog.typed("dataset", {"type": "shifted", "of": {"type": "digits"}, "corruption": "rotate", "severity": 3}).facts()
    assert (facts.splits, facts.shape, facts.target_space) == (("test",), data.shape, data.target_space)


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise", "rotate", "translate"])
def test_what_is_drawn_hangs_on_seed_and_image_alone(name):
    data = shifted(name, 3)
    split, whole = data.splits["test"], all_of(data)
    for some_index in ([7], [300, 0, 5], [4, 4]):
        for draw in (None, Draw(3, 1), Draw(9, 9)):
            assert torch.equal(split.batch(np.array(some_index), draw)[0], whole[some_index])
    assert torch.equal(pickle.loads(pickle.dumps(split)).batch(np.arange(360), None)[0], whole)
    assert torch.equal(all_of(shifted(name, 3)), whole)
    assert not torch.equal(all_of(shifted(name, 3, seed=1)), whole)
    fewer = shifted(name, 3, {"type": "digits", "classes": [7, 2, 4]})  # the same images at other places
    at = [split.ids.index(example) for example in fewer.splits["test"].ids]
    assert torch.equal(all_of(fewer), whole[at])
    changes = whole - all_of(build_data({"type": "digits"}, None, None))
    assert len({tuple(image.flatten().tolist()) for image in changes}) > 200  # a few images are not touched by an impulse


def test_several_in_their_order():
    both = all_of(shifted(["contrast", "brightness"], 4, {"type": "digits", "normalize": "range"}))
    clean = all_of(build_data({"type": "digits", "normalize": "range"}, None, None)).double()
    none = np.zeros((360, 0))
    one, other = CORRUPTIONS["contrast"], CORRUPTIONS["brightness"]
    assert torch.allclose(both.double(), other(one(clean, 4, none), 4, none), rtol=0, atol=1e-6)
    assert not torch.allclose(both.double(), one(other(clean, 4, none), 4, none), rtol=0, atol=1e-2)
    twice = all_of(shifted(["gaussian_noise", "gaussian_noise"], 1, {"type": "digits", "normalize": "range"}))
    once = all_of(shifted("gaussian_noise", 1, {"type": "digits", "normalize": "range"}))
    inside = (clean > 0.3) & (clean < 0.7)
    ratio = float((twice - clean)[inside].std() / (once - clean)[inside].std())
    assert ratio == pytest.approx(np.sqrt(2), rel=0.05)  # each draws its own


def test_a_classifier_of_clean_digits_loses_accuracy():
    data = build_data({"type": "digits"}, None, None)
    train = data.splits["train"]
    x = train.batch(np.arange(len(train)), None)[0].flatten(1).numpy()
    model = LogisticRegression(C=0.1, max_iter=1000).fit(x, train.targets.numpy())
    objective = build_objective({"type": "classification"}, data)

    def accuracy(of):
        scores = torch.from_numpy(model.predict_log_proba(all_of(of).flatten(1).numpy()))
        return objective.metrics(scores, of.splits["test"].targets)["accuracy"]

    clean = accuracy(data)
    assert clean > 0.88
    found = {name: [accuracy(shifted(name, grade)) for grade in (1, 3, 5)] for name in CORRUPTIONS}
    for name in ("rotate", "translate", "gaussian_blur"):
        assert found[name][2] < clean - 0.1, name
        assert found[name][0] > found[name][2], name
    assert all(values[2] <= clean + 0.01 for values in found.values())


def test_photographs_of_any_normalization(tmp_path):
    rng = np.random.default_rng(0)
    for split, n in (("train", 6), ("test", 5)):
        for name in "ab":
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                Image.fromarray(rng.integers(40, 200, (12, 12, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    photos = {"type": "image_folder", "source": "photos", "size": 12, "roots": {"train": "train", "test": "test"}}
    folder, cache = tmp_path / "photos", tmp_path / "cache"
    plain = shifted("shot_noise", 4, photos, folder, cache)
    computed = shifted("shot_noise", 4, {**photos, "normalize": "computed"}, folder, cache)
    constants = computed.facts["normalization"]
    mean, std = (torch.tensor(constants[key])[:, None, None] for key in ("mean", "std"))
    assert torch.allclose(all_of(computed) * std + mean, all_of(plain), rtol=0, atol=1e-6)
    assert plain.origin.startswith("shifted: real: images of the source `photos`, shot_noise severity 4")
    assert plain.facts["n"] == {"test": 10}
    with pytest.raises(DataMissing, match="`photos` is not here"):
        shifted("rotate", 1, photos, None, cache)


@pytest.mark.skipif(not CLOTHING.is_dir(), reason="the real photographs are not at ../shared/data/clothing")
def test_real_photographs(tmp_path):
    clothing = {"type": "image_folder", "source": "clothing", "size": 64, "roots": {"test": "test"}}
    clean = all_of(build_data(clothing, CLOTHING, tmp_path))
    sharp = clean.diff(dim=-1).abs().mean()
    assert all_of(shifted("gaussian_blur", 5, clothing, CLOTHING, tmp_path)).diff(dim=-1).abs().mean() < sharp / 2
    assert all_of(shifted("gaussian_noise", 5, clothing, CLOTHING, tmp_path)).diff(dim=-1).abs().mean() > sharp * 1.5
    assert all_of(shifted("brightness", 5, clothing, CLOTHING, tmp_path)).mean() > clean.mean() + 0.1


def test_a_dataset_that_does_not_say_how_it_was_normalized(monkeypatch):
    build = catalog.builder

    def silent(kind, type_):
        def without(config, source, cache):
            data = build("dataset", "digits")(config, source, cache)
            return type(data)(**{**{n: getattr(data, n) for n in data.__slots__}, "facts": {"n": data.facts["n"]}})

        return without if type_ == "digits" else build(kind, type_)

    monkeypatch.setattr(catalog, "builder", silent)
    with pytest.raises(StageFailed, match="does not say how its images were normalized") as error:
        shifted("rotate", 1)
    assert "normalization" in error.value.hint
