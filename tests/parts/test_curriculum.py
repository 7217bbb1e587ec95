"""Subsets of the training examples by difficulty, and how they grow: counted by hand."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from interpreter.errors import StageFailed
from interpreter.parts.build import build_data
from interpreter.parts.contract import Data, Draw
from interpreter.parts.datasets.curriculum import Growing, with_subset, words
from interpreter.spec.components.subsets import Growth, Subset

BY = {"result": "scored.score"}


class Five:
    """Five examples of two classes; an augmented one has its draw's epoch added."""

    ids = ("a", "b", "c", "d", "e")
    targets = torch.tensor([0, 1, 0, 1, 1])

    def __len__(self):
        return 5

    def batch(self, index, draw):
        x = torch.from_numpy(index).float()[:, None, None, None]
        return (x if draw is None else x + draw.epoch), self.targets[torch.from_numpy(index)]


SCORES = {"a": 0.5, "b": 0.1, "c": 0.5, "d": 0.9, "e": 0.1}
FIVE = Data({"train": Five(), "val": Five()}, (1, 1, 1), 2, ("x", "y"), "xy", "real: five", (("old", "finding"),),
            {"n": {"train": 5, "val": 5}, "classes": {"train": [2, 3], "val": [2, 3]}})  # fmt: skip


def subset(**rule):
    return Subset.model_validate({**rule, "scored_by": BY})


def growth(**settings):
    return Growth.model_validate(settings)


def growing(n=10, least=1, **settings):
    g = growth(**settings)
    return Growing(np.arange(n, dtype=np.int64), g, n, least)


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ({"easiest": "40%"}, ["b", "e"]),
        ({"easiest": "50%"}, ["a", "b", "e"]),  # 2.5 examples: halves up; a and c are equally difficult, a comes first
        ({"easiest": 0.49}, ["b", "e"]),
        ({"easiest": 1.0}, ["a", "b", "c", "d", "e"]),
        ({"hardest": "20%"}, ["d"]),
        ({"hardest": "40%"}, ["a", "d"]),  # the same tie from the other end: again the earlier one
        ({"hardest": "60%"}, ["a", "c", "d"]),
        ({"below": 0.5}, ["b", "e"]),  # strictly
        ({"below": 0.51}, ["a", "b", "c", "e"]),
        ({"above": 0.1}, ["a", "c", "d"]),
        ({"above": 0.5}, ["d"]),
    ],
)
def test_each_rule_by_hand(rule, left):
    data = with_subset(FIVE, subset(**rule), SCORES)
    train = data.splits["train"]
    assert list(train.ids) == left  # in the order of the dataset
    rows = [Five.ids.index(name) for name in left]
    assert train.targets.tolist() == Five.targets[rows].tolist()
    assert len(train) == len(left) == data.facts["n"]["train"]
    x, y = train.batch(np.arange(len(left)), None)
    assert x.flatten().tolist() == rows
    assert y.tolist() == train.targets.tolist()
    assert data.facts["n"] == {"train": len(left), "val": 5}
    assert data.facts["n_before_subset"] == 5
    assert data.facts["classes"] == {"train": [(train.targets == c).sum().item() for c in (0, 1)], "val": [2, 3]}
    assert data.splits["val"] is FIVE.splits["val"]
    assert data.growing is None


def test_facts_and_findings_of_what_remains():
    data = with_subset(FIVE, subset(easiest="40%"), SCORES)
    assert data.facts["subset"] == {"rule": "easiest 40%", "difficulty": {"min": 0.1, "mean": 0.1, "max": 0.1}}
    assert data.findings == (("old", "finding"), ("missing-class", "the subset leaves no training examples of x"))
    assert FIVE.facts["n"]["train"] == 5
    assert FIVE.findings == (("old", "finding"),)


def test_an_example_keeps_its_augmentation_and_can_go_to_another_process():
    whole = build_data({"type": "digits", "source": "embedded", "shift": 2}, None, None)
    scores = {name: n / len(whole.splits["train"]) for n, name in enumerate(whole.splits["train"].ids)}
    part = with_subset(whole, subset(above=0.5), scores).splits["train"]
    rows = np.array([whole.splits["train"].ids.index(name) for name in part.ids[:40]])
    draw = Draw(77, 3)
    expected = whole.splits["train"].batch(rows, draw)
    for each in (part, pickle.loads(pickle.dumps(part))):
        x, y = each.batch(np.arange(40), draw)
        assert torch.equal(x, expected[0])
        assert torch.equal(y, expected[1])
    assert not torch.equal(x, part.batch(np.arange(40), None)[0])


def test_a_subset_is_of_what_a_label_budget_leaves():
    whole = build_data({"type": "digits", "source": "embedded"}, None, None)
    scores = {name: float(n) / 2000 for n, name in enumerate(whole.splits["train"].ids)}
    settings = {"type": "digits", "source": "embedded", "per_class": 20, "subset": {"hardest": "25%", "scored_by": BY}}
    data = build_data(settings, None, None, scores)
    assert len(data.splits["train"]) == 50
    budget = build_data({**settings, "subset": None}, None, None)
    assert list(data.splits["train"].ids) == sorted(budget.splits["train"].ids, key=scores.__getitem__)[-50:]
    assert sum(data.facts["classes"]["train"]) == 50
    for name in ("val", "test"):
        assert data.splits[name].ids == whole.splits[name].ids
        assert torch.equal(data.splits[name].targets, whole.splits[name].targets)


def test_computed_normalization_is_that_of_the_whole_training_split(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("train/a", "train/b", "val/a", "val/b", "test/a", "test/b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "photos" / name / f"{i}.png")
    settings = {"type": "image_folder", "source": "photos", "size": 8, "normalize": "computed"}
    whole = build_data(settings, tmp_path / "photos", tmp_path / "cache")
    names = list(whole.splits["train"].ids)
    scores = {name: n / 100 for n, name in enumerate(names)}
    chosen = {**settings, "subset": {"hardest": "50%", "scored_by": BY}}
    assert len(names) == 8
    part = build_data(chosen, tmp_path / "photos", tmp_path / "cache", scores)
    assert list(part.splits["train"].ids) == names[len(names) // 2 :]
    assert part.facts["normalization"] == whole.facts["normalization"]
    assert part.facts["n_before_budget"] == whole.facts["n_before_budget"]


@pytest.mark.parametrize(
    ("rule", "scores", "text", "hint"),
    [
        ({"below": 0.1}, SCORES, "the subset (difficulty below 0.1) leaves none of 5 training examples",
         "difficulties go from 0.1 to 0.9, median 0.5"),
        ({"easiest": "9%"}, SCORES, "the subset (easiest 9%) leaves none of 5", "larger share"),
        ({"easiest": "40%"}, {"a": 0.1, "d": 0.2}, "3 of 5 training examples have no score: b, c, e", "same classes"),
        ({"easiest": "40%"}, {}, "5 of 5 training examples have no score: a, b, c, ...", "same classes"),
    ],
)  # fmt: skip
def test_what_can_not_be_chosen_is_told(rule, scores, text, hint):
    with pytest.raises(StageFailed) as told:
        with_subset(FIVE, subset(**rule), scores)
    assert text in str(told.value)
    assert hint in told.value.hint


def test_without_scores_nothing_is_chosen():
    with pytest.raises(StageFailed, match="none are given"):
        build_data({"type": "digits", "source": "embedded", "subset": {"easiest": "40%", "scored_by": BY}}, None, None)


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        # 20% to 100% in 4 epochs: 2, 4, 6, 8, 10 of 10
        ({"from": "20%", "over": 4}, [2, 4, 6, 8, 10, 10, 10]),
        # 25% to 75% in 2: 2.5, 5, 7.5, halves up
        ({"from": "25%", "to": "75%", "over": 2}, [3, 5, 8, 8]),
        ({"from": "20%", "over": 1}, [2, 10, 10]),
        # one jump, after `over` epochs
        ({"from": "20%", "over": 3, "pace": "step"}, [2, 2, 2, 10, 10]),
        # four jumps of 20% each in 8 epochs: after epochs 2, 4, 6, 8
        ({"from": "20%", "over": 8, "pace": "step", "jumps": 4}, [2, 2, 4, 4, 6, 6, 8, 8, 10, 10]),
        # two jumps of 40% in 3 epochs: after 1.5, which is in the third epoch, and after 3
        ({"from": "20%", "over": 3, "pace": "step", "jumps": 2}, [2, 2, 6, 10]),
        # squares 0.04 to 1 evenly: 0.04, 0.28, 0.52, 0.76, 1; roots 0.2, 0.529, 0.721, 0.872, 1
        ({"from": "20%", "over": 4, "pace": "root"}, [2, 5, 7, 9, 10, 10]),
    ],
)
def test_the_counts_of_each_pace_by_hand(settings, counts):
    grown = growing(**settings)
    assert [grown.count(epoch) for epoch in range(len(counts))] == counts
    assert list(grown.counts(len(counts))) == counts
    assert [len(grown.members(epoch)) for epoch in range(len(counts))] == counts


def test_root_is_exact_whatever_the_size():
    assert growing(n=5, **{"from": 0.1, "to": 0.5, "over": 4, "pace": "root"}).count(0) == 1  # half an example: halves up
    n, low, high = 99_991, Fraction(13, 100), Fraction(87, 100)
    many = growing(n=n, **{"from": 0.13, "to": 0.87, "over": 5, "pace": "root"})
    for epoch in range(7):  # the definition: m is the whole number with (m - 1/2)^2 <= (share n)^2 < (m + 1/2)^2
        square = (low**2 + (high**2 - low**2) * Fraction(min(epoch, 5), 5)) * n**2
        m = many.count(epoch)
        assert (m - Fraction(1, 2)) ** 2 <= square < (m + Fraction(1, 2)) ** 2
    assert many.counts(1) == (12_999,)  # 12998.83
    assert many.count(5) == 86_992  # 86992.17


def test_decimal_shares_are_taken_as_written():
    # 0.7 * 45 is 31.499999999999996 in binary, and 31.5 as written: halves up.
    assert 0.7 * 45 < 31.5
    assert growing(n=45, **{"from": 0.7, "over": 1}).count(0) == 32


def test_every_epoch_has_a_batch_as_far_as_there_is_one():
    assert growing(least=4, **{"from": "20%", "over": 4}).counts(4) == (4, 4, 6, 8)
    assert growing(least=64, **{"from": "20%", "over": 4}).counts(2) == (10, 10)
    assert growing(**{"from": 0.01, "over": 100}).count(0) == 1  # a tenth of an example
    assert growing(**{"from": "20%", "over": 4}).at_least(3).counts(2) == (3, 4)


@pytest.mark.parametrize(("rule", "order"), [("easiest", ["b", "e", "a", "c", "d"]), ("hardest", ["d", "a", "c", "b", "e"])])
def test_examples_come_in_by_difficulty_ties_by_the_dataset(rule, order):
    data = with_subset(FIVE, subset(**{rule: {"from": "20%", "over": 4}}), SCORES)
    grown = data.growing
    assert data.splits["train"] is FIVE.splits["train"]
    assert grown.counts(6) == (1, 2, 3, 4, 5, 5)
    for epoch in range(6):
        assert [data.splits["train"].ids[i] for i in grown.members(epoch)] == order[: grown.count(epoch)]


def test_what_never_comes_in_is_not_there():
    data = with_subset(FIVE, subset(hardest={"from": "20%", "to": "60%", "over": 2}), SCORES)
    train, grown = data.splits["train"], data.growing
    assert list(train.ids) == ["a", "c", "d"]
    assert data.facts["n"]["train"] == 3
    assert grown.counts(4) == (1, 2, 3, 3)  # shares of all five
    assert [train.ids[i] for i in grown.members(3)] == ["d", "a", "c"]
    assert grown.members(0).tolist() == [2]
    codes = [text for code, text in data.findings if code == "missing-class"]
    assert codes == ["the subset begins without training examples of x"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"easiest": "33.3%"}, "easiest 33.3%"),
        ({"hardest": 1.0}, "hardest 100%"),
        ({"above": 0.25}, "difficulty above 0.25"),
        ({"easiest": {"from": "20%", "over": 30, "pace": "root"}}, "easiest 20% to 100% over 30 epochs, root"),
        ({"hardest": {"from": 0.1, "to": 0.5, "over": 8, "pace": "step", "jumps": 4}},
         "hardest 10% to 50% over 8 epochs, step in 4 jumps"),
    ],
)  # fmt: skip
def test_a_subset_in_words(rule, said):
    assert words(subset(**rule)) == said
