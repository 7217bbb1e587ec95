"""Numbers of curves' shapes: by hand on curves without noise, and by simulation on noise without a shape."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import lfilter

from interpreter.spec.claims import SHAPES
from interpreter.verdicts.compare import ALPHA, Question, answer_at
from interpreter.verdicts.intervals import Bracket
from interpreter.verdicts.shapes import BRACKETED, expected_of_noise, noise_of, shape_of, slope, stretch

Floats = npt.NDArray[np.float64]
V = np.array([6.0, 4.0, 2.0, 1.0, 1.0, 2.0, 3.0, 4.0])  # falls to 1 and rises again


def wander(rng: np.random.Generator, curves: int, epochs: int, order: float) -> Floats:
    """Flat curves (curves, epochs) whose noise is an AR(1) of standard deviation 1."""
    white = rng.normal(size=(curves, epochs))
    white[:, 1:] *= math.sqrt(1 - order**2)
    return np.asarray(lfilter([1.0], [1.0, -order], white, axis=-1))


def test_every_shape_of_the_language_has_a_number() -> None:
    curve = np.linspace(1.0, 0.0, 40)
    found = {name: shape_of(name, curve, 10, seed=1).high for name in SHAPES}
    # A line that falls by 1 over 40 epochs: no rise, a whole fall, and 9/39 of it over any ten of them.
    assert found["rises_after_min"] == pytest.approx(0.0, abs=1e-12)
    assert {round(found[name], 6) for name in ("plateaus", "still_improving", "stagnant_first")} == {round(9 / 39, 6)}
    assert found["never_improves"] > 0.5


@pytest.mark.parametrize(
    ("name", "k", "number"),
    [
        ("rises_after_min", 2, 3.5 - 1.0),  # the mean of 3 and 4 less that of 1 and 1
        ("never_improves", 2, 5.0 - 1.0),  # the mean of 6 and 4 less the same
        ("plateaus", 4, -3.0),  # 1, 2, 3, 4: worse by 1 an epoch, over three steps
        ("still_improving", 4, -3.0),
        ("stagnant_first", 3, 4.0),  # 6, 4, 2: better by 2 an epoch, over two steps
    ],
)
def test_numbers_by_hand(name: str, k: int, number: float) -> None:
    found = shape_of(name, V, k, seed=1)
    assert found.high == pytest.approx(number)
    if name not in BRACKETED:
        assert found.low == found.high
    else:
        assert found.low == pytest.approx(number - expected_of_noise(V, k, 1))
        assert found.low < found.high


def test_stretches() -> None:
    assert [stretch(epochs, None) for epochs in (4, 60, 100, 300)] == [4, 10, 10, 30]
    assert [stretch(60, asked) for asked in (5, 100)] == [5, 60]


def test_slopes() -> None:
    assert slope(np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 9.0])) == pytest.approx(2.0)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=9), rng.normal(size=9)
    assert slope(x, y) == pytest.approx(np.polyfit(x, y, 1)[0])


def test_noise_is_told_from_the_course() -> None:
    rng = np.random.default_rng(2)
    course = 5 * np.exp(-np.arange(400) / 40)
    found = np.array([noise_of(curve + course) for curve in wander(rng, 40, 400, 0.5)])
    assert found[:, 0].mean() == pytest.approx(1.0, abs=0.1)
    assert found[:, 1].mean() == pytest.approx(0.5, abs=0.08)
    assert noise_of(np.full(10, 0.3)) == (0.0, 0.0)


@pytest.mark.parametrize("order", [0.0, 0.5, 0.8])
def test_the_expectation_of_noise_is_that_of_flat_curves(order: float) -> None:
    """Of noise as it is, that of the last level less the lowest; of one drawn curve it is estimated, on the average too high."""
    rng = np.random.default_rng(3)
    curves = wander(rng, 200, 60, order)
    highs, taken = zip(*((s.high, s.high - s.low) for s in (shape_of("rises_after_min", c, 10, 4) for c in curves)), strict=True)
    assert np.mean(highs) - 0.1 < np.mean(taken) < np.mean(highs) + 0.4
    assert min(highs) >= 0


def test_the_same_seed_gives_the_same_number() -> None:
    (curve,) = wander(np.random.default_rng(5), 1, 40, 0.3)
    assert shape_of("rises_after_min", curve, 5, 7) == shape_of("rises_after_min", curve, 5, 7)
    assert shape_of("rises_after_min", curve, 5, 7) != shape_of("rises_after_min", curve, 5, 8)


@pytest.mark.parametrize("name", sorted(BRACKETED))
@pytest.mark.parametrize("order", [0.0, 0.5, 0.9])
def test_noise_alone_has_no_shape(name: str, order: float) -> None:
    """Five flat curves are called a rise, or an improvement, in less than alpha of all cases."""
    rng, repeats = np.random.default_rng(6), 250
    wrong = 0
    for _ in range(repeats):
        found = [shape_of(name, curve, 10, seed) for seed, curve in enumerate(wander(rng, 5, 60, order))]
        sample = Bracket(np.array([s.low for s in found]), upper=np.array([s.high for s in found]))
        wrong += answer_at(Question(">", 0.0, sample), 1 - ALPHA).state == "supported"
    assert wrong / repeats < ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / repeats)


@pytest.mark.parametrize("rise", [0.0, 0.5, 2.0])
def test_the_bracket_covers_the_true_rise(rise: float) -> None:
    """Of a curve that falls, and then rises by less or more than its noise: the two bounds miss the truth in less than alpha."""
    rng, repeats = np.random.default_rng(7), 200
    t = np.arange(60)
    course = 3 * np.exp(-t / 5) + rise * np.clip((t - 30) / 20, 0, 1)
    levels = np.convolve(course, np.full(10, 0.1), "valid")
    true = levels[-1] - levels.min()
    missed = 0
    for _ in range(repeats):
        found = [shape_of("rises_after_min", c + course, 10, seed) for seed, c in enumerate(wander(rng, 5, 60, 0.3))]
        lo, hi = Bracket(np.array([s.low for s in found]), upper=np.array([s.high for s in found])).interval(0.95) or (0, 0)
        missed += not lo <= true <= hi
    assert missed / repeats < ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / repeats)
