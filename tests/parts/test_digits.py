"""The digits: the file and its fingerprint, splits, budgets, shifts."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.datasets import load_digits

from interpreter.parts.build import build_data
from interpreter.parts.contract import Draw
from interpreter.parts.datasets.digits import MEAN, STD, load
from interpreter.spec.base import identity
from interpreter.spec.components.datasets import Digits


def digits(**settings):
    return build_data({"type": "digits", **settings}, None, None)


def test_the_file_is_scikit_learns_and_the_fingerprint_is_of_it():
    images, targets = load_digits(return_X_y=True)
    text = images.astype(np.uint8).tobytes() + targets.astype(np.uint8).tobytes()
    assert hashlib.sha256(text).hexdigest()[:40] == Digits.embedded_fingerprint
    mine, classes = load()
    assert np.array_equal(mine.reshape(-1, 64), images)
    assert np.array_equal(classes, targets)
    rest = images[:-360] / 16
    assert (round(rest.mean(), 4), round(rest.std(), 4)) == (MEAN, STD)


def test_splits_cover_everything_once():
    data = digits()
    assert data.facts["n"] == {"train": 1149, "val": 288, "test": 360}
    ids = [i for split in data.splits.values() for i in split.ids]
    assert len(set(ids)) == len(ids) == 1797
    assert data.splits["test"].ids == [f"digit-{n:04d}" for n in range(1437, 1797)]
    assert data.facts["classes"]["test"] == [35, 36, 35, 37, 37, 37, 37, 36, 33, 37]
    assert (data.shape, data.outputs, data.origin.split(":")[0]) == ((1, 8, 8), 10, "embedded")
    x, y = data.splits["train"].batch(np.arange(1149), None)
    assert (x.shape, x.dtype, y.dtype) == ((1149, 1, 8, 8), torch.float32, torch.int64)
    assert abs(float(x.mean())) < 0.02
    assert abs(float(x.std()) - 1) < 0.02


def test_the_facts_are_those_of_what_is_built():
    for settings in ({}, {"classes": [7, 2, 4]}):
        facts, data = Digits.model_validate(settings).facts(), digits(**settings)
        assert facts.splits == tuple(data.splits)
        assert (facts.shape, facts.outputs, facts.target_space) == (data.shape, data.outputs, data.target_space)


def test_split_seed_moves_validation_but_never_test():
    a, b = digits(), digits(split_seed=1)
    assert a.splits["test"].ids == b.splits["test"].ids
    assert a.splits["val"].ids != b.splits["val"].ids
    assert a.splits["val"].ids == digits(normalize="range", shift=2, label_fraction=0.1).splits["val"].ids


def test_classes_are_numbered_in_the_order_given():
    data, all_ten = digits(classes=[7, 2, 4], normalize="range"), digits()
    assert data.class_names == ("7", "2", "4")
    images, targets = load()
    for split in data.splits.values():
        rows = [int(i.removeprefix("digit-")) for i in split.ids]
        assert np.array_equal(np.array([7, 2, 4])[split.targets.numpy()], targets[rows])
        assert torch.equal(split.batch(np.arange(len(split)), None)[0][:, 0] * 16, torch.from_numpy(images[rows]).float())
    assert set(data.splits["val"].ids) <= set(all_ten.splits["val"].ids)


@pytest.mark.parametrize(
    ("budget", "each"), [({"label_fraction": 0.1}, 11), ({"per_class": 3}, 3), ({"label_fraction": 1e-6}, 1)]
)
def test_a_label_budget_touches_only_train(budget, each):
    data, whole = digits(**budget), digits()
    assert all(abs(n - each) <= 1 for n in data.facts["classes"]["train"])
    assert data.splits["val"].ids == whole.splits["val"].ids
    assert set(data.splits["train"].ids) < set(whole.splits["train"].ids)
    assert Digits(**budget).measured("val") == Digits().measured("val")


def test_smaller_budgets_are_subsets_of_larger_ones():
    chosen = [set(digits(label_fraction=f).splits["train"].ids) for f in (0.01, 0.02, 0.05, 0.3, 1.0)]
    counted = [set(digits(per_class=n).splits["train"].ids) for n in (1, 2, 50, 500)]
    for smaller, larger in [*pairwise(chosen), *pairwise(counted)]:
        assert smaller < larger
    assert chosen[-1] == counted[-1] == set(digits().splits["train"].ids)


def test_what_is_measured_tells_apart_what_matters():
    base = Digits().measured("val")
    assert Digits(shift=2).measured("val") == base
    for other in (Digits(split_seed=1), Digits(val_fraction=0.3), Digits(classes=[0, 1]), Digits(normalize="range")):
        assert other.measured("val") != base
    assert Digits(split_seed=1).measured("test") == Digits().measured("test") != base


def test_shifts_move_whole_images_by_whole_pixels():
    data, still = digits(shift=2, normalize="range"), digits(normalize="range")
    index = np.arange(300)
    moved, y = data.splits["train"].batch(index, Draw(5, 0))
    plain, y_plain = still.splits["train"].batch(index, None)
    assert torch.equal(y, y_plain)
    assert torch.equal(data.splits["train"].batch(index, None)[0], plain)
    wide = torch.nn.functional.pad(plain, (2, 2, 2, 2))
    seen = set()
    for i in range(300):
        match = [(r, c) for r in range(5) for c in range(5) if torch.equal(wide[i, :, r : r + 8, c : c + 8], moved[i])]
        assert match
        seen.add(match[0])
    assert len(seen) == 25
    assert torch.equal(data.splits["train"].batch(np.array([299, 4]), Draw(5, 0))[0], moved[[299, 4]])
    assert not torch.equal(data.splits["train"].batch(index, Draw(5, 1))[0], moved)
    assert not torch.equal(data.splits["train"].batch(index, Draw(6, 0))[0], moved)


def test_two_views_are_the_same_images_moved_each_on_its_own():
    two, one = digits(shift=2, two_views=True), digits(shift=2)
    index, draw = np.arange(300), Draw(5, 0)
    views, y = two.splits["train"].batch(index, draw)
    first, y_one = one.splits["train"].batch(index, draw)
    assert views.shape == (300, 2, 1, 8, 8)
    assert torch.equal(y, y_one)
    assert torch.equal(views[:, 0], first)
    alike = (views[:, 0] == views[:, 1]).flatten(1).all(1).double().mean()
    assert 0.01 < alike < 0.1  # one place in 25 is the same
    wide = torch.nn.functional.pad(one.splits["train"].batch(index, None)[0], (2, 2, 2, 2), value=-MEAN / STD)
    windows = wide.unfold(2, 8, 1).unfold(3, 8, 1).flatten(2, 3)  # (300, 1, 25, 8, 8)
    assert (windows == views[:, 1, :, None]).flatten(3).all(3).any(2).all()
    assert torch.equal(two.splits["train"].batch(np.array([299, 4]), draw)[0], views[[299, 4]])


def test_two_views_are_for_training_alone():
    config = Digits(shift=1, two_views=True)
    data = build_data(config.model_dump(), None, None)
    for split in data.splits.values():
        assert split.batch(np.arange(4), None)[0].shape == (4, 1, 8, 8)
    assert data.splits["val"].batch(np.arange(4), Draw(1, 0))[0].shape == (4, 1, 8, 8)
    assert (config.facts().views, Digits(shift=1).facts().views) == (2, 1)
    assert config.measured("val") == Digits().measured("val")


def test_a_page_without_two_views_has_the_key_it_had():
    assert "two_views" not in identity(Digits(shift=1))
    assert identity(Digits(shift=1)) == identity(Digits(shift=1, two_views=False)) != identity(Digits(shift=1, two_views=True))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"source": "mnist"}, "'embedded'"),
        ({"classes": [1, 1]}, "twice"),
        ({"classes": [1]}, "at least 2"),
        ({"classes": [1, 10]}, "less than or equal to 9"),
        ({"label_fraction": 0.1, "per_class": 3}, "give one"),
        ({"label_fraction": 0.0}, "greater than 0"),
        ({"shift": 1.5}, "integer"),
        ({"two_views": True}, "one view twice"),
    ],
)
def test_mistakes_are_named(wrong, words):
    with pytest.raises(ValidationError, match=words):
        Digits.model_validate(wrong)
