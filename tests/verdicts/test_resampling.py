"""Intervals over examples: against formulas, against scipy, and how often they cover the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from interpreter.verdicts.examples import ExamplesResult
from interpreter.verdicts.resampling import DRAWS, Population, Resampled

ONE = 1e-9


def mean_of(values: np.ndarray, seed: int = 0) -> Resampled:
    return Resampled([Population(values[None, :], np.ones(len(values)))], lambda means: means[0][:, 0], seed)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=30)
    found = mean_of(values)
    assert found.variance == pytest.approx(values.var(ddof=1) / 30)
    assert found.df == pytest.approx(29)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert found.interval(0.9) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("statistic", ["mean", "root"])
def test_bca_is_scipys(statistic: str) -> None:
    values = np.random.default_rng(1).exponential(size=80)  # skewed, so that bias and acceleration matter
    of_mean = {"mean": lambda m: m, "root": np.sqrt}[statistic]
    found = Resampled([Population(values[None, :], np.ones(80))], lambda means: of_mean(means[0][:, 0]), 0)
    expected = stats.bootstrap(
        (values,), lambda x, axis: of_mean(x.mean(axis=axis)), n_resamples=40_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    lo, hi = found.interval(0.95)
    assert lo == pytest.approx(expected.low, abs=0.03 * (hi - lo))
    assert hi == pytest.approx(expected.high, abs=0.03 * (hi - lo))
    assert hi - found.value > found.value - lo  # a plain t would be symmetric


def test_few_kinds_of_units_are_drawn_as_all_of_them_are() -> None:
    values = np.repeat([0.0, 1.0], [300, 100])
    few = Population(values[None, :], np.ones(400)).drawn(DRAWS, np.random.default_rng(0))[:, 0]
    jitter = values + np.arange(400) * ONE  # no two alike: drawn one by one
    each = Population(jitter[None, :], np.ones(400)).drawn(DRAWS, np.random.default_rng(1))[:, 0]
    expected = math.sqrt(0.25 * 0.75 / 400)
    assert few.std() == pytest.approx(expected, rel=0.03)
    assert each.std() == pytest.approx(expected, rel=0.03)
    assert stats.ks_2samp(few, np.round(each, 6)).pvalue > 0.001


def test_two_populations_are_drawn_independently() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=200), rng.normal(size=100) * 2
    populations = [Population(v[None, :], np.ones(len(v))) for v in (x, y)]
    found = Resampled(populations, lambda means: means[0][:, 0] - means[1][:, 0], 0)
    a, b = x.var(ddof=1) / 200, y.var(ddof=1) / 100
    assert found.variance == pytest.approx(a + b)
    assert found.draws().std() == pytest.approx(math.sqrt(a + b), rel=0.03)
    assert found.df == pytest.approx((a + b) ** 2 / (a**2 / 199 + b**2 / 99))


def test_units_of_unequal_size_count_by_their_examples() -> None:
    sums, sizes = np.array([[3.0, 10.0, 0.0]]), np.array([3.0, 20.0, 1.0])
    found = Resampled([Population(sums, sizes)], lambda means: means[0][:, 0], 0)
    assert found.value == pytest.approx(13 / 24)
    assert Population(sums, sizes).without_one()[:, 0] == pytest.approx([10 / 21, 3 / 4, 13 / 23])


def test_units_that_do_not_vary_give_no_interval() -> None:
    assert mean_of(np.full(100, 0.3)).interval(0.95) is None
    assert mean_of(np.array([0.3])).interval(0.95) is None


def test_equal_seeds_equal_intervals() -> None:
    values = np.random.default_rng(4).normal(size=200)
    assert mean_of(values, 7).interval(0.95) == mean_of(values, 7).interval(0.95)
    assert mean_of(values, 7).interval(0.95) != mean_of(values, 8).interval(0.95)


def covered(hits: int, runs: int, level: float = 0.95) -> bool:
    """Whether so many hits are what a coverage of `level` or more gives, but for one in a thousand."""
    return bool(stats.binom.cdf(hits, runs, level) > 0.001)


def test_coverage_over_examples_of_a_paired_accuracy() -> None:
    rng, runs, hits = np.random.default_rng(5), 300, 0
    for run in range(runs):
        # 12 % only the left has right, 6 % only the right: the truth is 0.06.
        d = rng.choice([1.0, -1.0, 0.0], p=[0.12, 0.06, 0.82], size=300)
        lo, hi = mean_of(d, run).interval(0.95)
        hits += lo <= 0.06 <= hi
    assert covered(hits, runs, 0.94)  # a bootstrap of a share: an interval cut to multiples of 1/300


@pytest.mark.parametrize(("of_seeds", "of_examples"), [(1.0, 0.1), (0.1, 1.0), (0.07, 1.0)])
def test_coverage_over_both_where_a_hierarchical_bootstrap_fails(of_seeds: float, of_examples: float) -> None:
    rng, runs, seeds, n = np.random.default_rng(6), 400, 5, 200
    hits = bootstrap = 0
    for _ in range(runs):
        d = of_seeds * rng.normal(size=(seeds, 1)) + of_examples * rng.normal(size=(1, n)) + 0.1 * rng.normal(size=(seeds, n))
        between = float(d.mean(axis=1).var(ddof=1)) / seeds
        resampled = mean_of(d.mean(axis=0))
        found = ExamplesResult(effect=resampled.value, n=n, seeds=seeds, over="both", _resampled=resampled, _between=between)
        lo, hi = found.interval(0.95)
        hits += lo <= 0 <= hi
        means = d.mean(axis=1)[rng.integers(seeds, size=(200, seeds))].mean(axis=1)
        bootstrap += bool(np.quantile(means, 0.025) <= 0 <= np.quantile(means, 0.975))
    assert covered(hits, runs)
    if of_seeds == 1.0:
        assert not covered(bootstrap, runs)  # five seeds drawn from five: about 83 %
