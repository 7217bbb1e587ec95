"""Each metric against scikit-learn or scipy, and where it is not defined."""

import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as sk

from interpreter.parts.metrics import classification as c
from interpreter.parts.metrics import regression as r
from interpreter.parts.objectives.classification import CrossEntropy
from interpreter.parts.objectives.regression import NumberError
from interpreter.spec.components.objectives import Classification, Regression
from interpreter.spec.metrics import METRICS


def scores(n=400, k=7, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k - 1, n)  # the last class is never there
    return rng.normal(size=(n, k)) + 1.5 * np.eye(k)[y], y


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_classification_against_scikit_learn(smoothing):
    outputs, y = scores()
    objective = CrossEntropy(Classification(label_smoothing=smoothing), 7)
    found = objective.metrics(torch.from_numpy(outputs), torch.from_numpy(y))
    p = np.exp(outputs - np.logaddexp.reduce(outputs, axis=1, keepdims=True))
    guess = outputs.argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, _ = sk.precision_recall_fscore_support(y, guess, average="macro", zero_division=0)
    expected = {
        "loss": torch.nn.functional.cross_entropy(
            torch.from_numpy(outputs), torch.from_numpy(y), label_smoothing=smoothing
        ).item(),
        "accuracy": sk.accuracy_score(y, guess),
        "top5": sk.top_k_accuracy_score(y, outputs, k=5, labels=np.arange(7)),
        "nll": sk.log_loss(y, p, labels=np.arange(7)),
        "brier": np.mean(np.sum((p - np.eye(7)[y]) ** 2, axis=1)),
        "ece": slow_ece(p, y),
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }
    assert list(found) == list(Classification.metrics)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name
    assert objective.tables(torch.from_numpy(outputs), torch.from_numpy(y))["confusion"] == (
        sk.confusion_matrix(y, guess, labels=np.arange(7)).tolist()
    )
    assert abs(float(objective.loss(torch.from_numpy(outputs), torch.from_numpy(y))) - found["loss"]) < 1e-12


def slow_ece(p, y, bins=15):
    confidence, right, total = p.max(1), p.argmax(1) == y, 0.0
    for low in np.arange(bins) / bins:
        inside = (confidence > low) & (confidence <= low + 1 / bins)
        if inside.any():
            total += abs(confidence[inside].mean() - right[inside].mean()) * inside.mean()
    return total


def test_brier_is_scikit_learns_for_two_classes():
    outputs, _ = scores(k=2)
    y = np.arange(400) % 2
    p = np.exp(c.log_softmax(outputs))
    assert c.brier(np.log(p), y) == pytest.approx(2 * sk.brier_score_loss(y, p[:, 1]), abs=1e-12)


def test_five_classes_or_fewer_are_all_among_five():
    outputs, y = scores(k=5)
    assert c.top(outputs, y, 5) == 1.0


def test_ties_go_to_the_first_class():
    outputs = np.zeros((6, 6))
    y = np.arange(6)
    assert c.accuracy(c.predicted(outputs), y) == pytest.approx(1 / 6)
    assert c.top(outputs, y, 5) == pytest.approx(5 / 6)


def test_a_split_is_measured_whole_not_as_a_mean_of_batches():
    outputs, y = scores(n=101)
    objective = CrossEntropy(Classification(), 7)
    t, z = torch.from_numpy(outputs), torch.from_numpy(y)
    batches = [objective.metrics(t[i : i + 50], z[i : i + 50])["f1"] for i in (0, 50, 100)]
    assert objective.metrics(t, z)["f1"] != pytest.approx(np.mean(batches), abs=1e-3)


def test_outputs_that_are_not_numbers_are_never_right():
    outputs = torch.zeros(10, 6)
    outputs[:, 0] = 1
    outputs[5:] = float("nan")
    found = CrossEntropy(Classification(), 6).metrics(outputs, torch.zeros(10, dtype=torch.long))
    assert found["accuracy"] == 0.5
    assert found["top5"] == 0.5
    assert found["recall"] == 0.5
    assert all(np.isnan(found[name]) for name in ("loss", "nll", "brier", "ece"))
    with_infinity = torch.tensor([[float("inf"), 0.0], [0.0, 1.0]])
    assert np.isnan(CrossEntropy(Classification(), 2).metrics(with_infinity, torch.tensor([0, 1]))["nll"])


def test_extreme_outputs_stay_finite():
    found = CrossEntropy(Classification(), 2).metrics(torch.tensor([[1e4, 0.0], [0.0, 1e4]]), torch.tensor([0, 0]))
    assert found["nll"] == pytest.approx(5000)
    assert found["brier"] == pytest.approx(1.0)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_regression_against_scipy(loss):
    rng = np.random.default_rng(1)
    t = np.round(rng.normal(5, 2, 300), 1)  # many ties
    p = np.round(t + rng.normal(0, 1.5, 300), 1)
    objective = NumberError(Regression(loss=loss, huber_delta=0.7), 1)
    outputs, targets = torch.from_numpy(p)[:, None], torch.from_numpy(t)
    found = objective.metrics(outputs, targets)
    expected = {
        "loss": float(objective.loss(outputs, targets)),
        "rmse": sk.root_mean_squared_error(t, p),
        "mae": sk.mean_absolute_error(t, p),
        "pearson": stats.pearsonr(p, t).statistic,
        "spearman": stats.spearmanr(p, t).statistic,
    }
    assert list(found) == list(Regression.metrics)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name
    assert np.array_equal(r.ranks(t), stats.rankdata(t))


def test_several_outputs_are_measured_one_by_one():
    rng = np.random.default_rng(2)
    p, t = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    found = NumberError(Regression(), 2).metrics(torch.from_numpy(p), torch.from_numpy(t))
    assert found["pearson"] == pytest.approx(np.mean([stats.pearsonr(p[:, k], t[:, k]).statistic for k in range(2)]))
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((p - t) ** 2)))


def test_correlation_is_not_a_number_when_one_side_is_constant():
    ones, ramp = np.full(5, 0.1), np.arange(5.0)
    for a, b in [(ones, ramp), (ramp, ones), (ramp[:1], ramp[:1]), (np.array([1.0, np.nan]), ramp[:2])]:
        assert np.isnan(r.pearson(a, b))
        assert np.isnan(r.spearman(a, b))
    assert r.pearson(ramp * 1e-200, ramp * 1e200) == pytest.approx(1.0)


def test_regression_never_broadcasts():
    objective = NumberError(Regression(), 1)
    assert float(objective.loss(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 2.0]))) == 0.0


def test_trivial_rules():
    objective = CrossEntropy(Classification(), 3)
    train, val = torch.tensor([0, 1, 1, 2]), torch.tensor([1, 1, 0, 2, 2])
    found = objective.baseline(train, val)
    assert found["accuracy"] == pytest.approx(2 / 5)
    assert found["nll"] == pytest.approx(-(2 * np.log(0.5) + 3 * np.log(0.25)) / 5)
    assert np.isfinite(objective.baseline(torch.tensor([0, 0, 1]), val)["nll"])
    numbers = NumberError(Regression(), 1).baseline(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [4.0]]))
    assert numbers["rmse"] == pytest.approx(np.sqrt(2))
    assert numbers["mae"] == pytest.approx(1.0)
    assert np.isnan(numbers["pearson"])


def test_constant_predictions_are_noticed():
    objective = CrossEntropy(Classification(), 2)
    assert objective.constant(torch.tensor([[2.0, 1.0], [5.0, 0.0]]))
    assert not objective.constant(torch.tensor([[2.0, 1.0], [0.0, 5.0]]))
    assert not objective.constant(torch.tensor([[2.0, 1.0]]))
    numbers = NumberError(Regression(), 1)
    assert numbers.constant(torch.full((4, 1), 6.1) + 1e-7 * torch.arange(4)[:, None])
    assert not numbers.constant(torch.tensor([[6.1], [6.2]]))


def test_every_metric_is_in_the_table_and_within_its_bounds():
    outputs, y = scores()
    found = CrossEntropy(Classification(), 7).metrics(torch.from_numpy(outputs), torch.from_numpy(y))
    found |= NumberError(Regression(), 1).metrics(torch.from_numpy(outputs[:, :1]), torch.from_numpy(outputs[:, 1:2]))
    two = torch.from_numpy(np.stack([outputs, outputs[::-1]], axis=1))
    found |= CrossEntropy(Classification(members="mean_of_losses"), 7).metrics(two, torch.from_numpy(y))
    assert set(found) == set(METRICS) - {"big_accuracy"}  # that one is of interpensembles: tested with them
    for name, value in found.items():
        info = METRICS[name]
        assert info.better in ("higher", "lower")
        assert info.description
        assert info.low is None or value >= info.low, name
        assert info.high is None or value <= info.high, name
