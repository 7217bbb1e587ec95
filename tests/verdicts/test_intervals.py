"""Intervals against scipy, their coverage, and what is done where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from interpreter.verdicts.intervals import Sample, bca, replicates_needed, spread_limit


@pytest.mark.parametrize("level", [0.95, 1 - 0.05 / 3, 0.99])
@pytest.mark.parametrize("n", [2, 5, 12])
def test_student_t_is_scipys_paired_test(n: int, level: float) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(1.0, 0.2, n), rng.normal(0.9, 0.3, n)
    want = stats.ttest_rel(a, b).confidence_interval(level)
    assert Sample(a - b).interval(level) == pytest.approx((want.low, want.high))


def test_one_sample_against_a_number_is_scipys() -> None:
    values = np.array([0.91, 0.93, 0.90, 0.95])
    want = stats.ttest_1samp(values, 0.9).confidence_interval(0.95)
    assert Sample(values - 0.9).interval(0.95) == pytest.approx((want.low - 0.9, want.high - 0.9))


def test_a_reference_with_a_spread_is_welchs_test() -> None:
    rng = np.random.default_rng(3)
    ours, theirs = rng.normal(1.0, 0.2, 5), rng.normal(1.2, 0.5, 7)
    want = stats.ttest_ind(ours, theirs, equal_var=False)
    interval = want.confidence_interval(0.95)
    sd = float(np.std(theirs, ddof=1))
    sample = Sample(ours - theirs.mean(), reference_se=sd / math.sqrt(7), reference_df=6)
    assert sample.df == pytest.approx(want.df)
    assert sample.interval(0.95) == pytest.approx((interval.low, interval.high))


def test_a_known_spread_of_one_reference_run_widens_the_interval() -> None:
    values = np.array([0.1, 0.2, 0.3])
    exact, widened = Sample(values).interval(0.95), Sample(values, reference_se=0.5).interval(0.95)
    assert exact
    assert widened
    assert widened[1] - widened[0] > exact[1] - exact[0]
    assert Sample(values, reference_se=0.5).se == pytest.approx(math.hypot(0.1 / math.sqrt(3), 0.5))


@pytest.mark.parametrize("n", [2, 5])
def test_coverage_is_the_level(n: int) -> None:
    rng = np.random.default_rng(11)
    repeats, covered = 4000, 0
    for row in rng.normal(0.3, 1.0, (repeats, n)):
        lo, hi = Sample(row).interval(0.95) or (math.nan, math.nan)
        covered += lo < 0.3 < hi
    assert abs(covered / repeats - 0.95) < 3.3 * math.sqrt(0.95 * 0.05 / repeats)


def test_no_interval_from_one_replicate_nor_from_differences_that_do_not_vary() -> None:
    assert Sample(np.array([0.3])).interval(0.95) is None
    constant = Sample(np.array([0.3, 0.1 + 0.2, 0.3]))  # equal to rounding
    assert constant.constant
    assert constant.sd == 0
    assert constant.dz is None
    assert constant.interval(0.95) is None

    rounding = np.array([0.0, 1.1e-16, 0.0])  # of numbers around 0.9
    assert not Sample(rounding).constant
    assert Sample(rounding, scale=0.9).constant


def test_the_same_record_is_equal_for_certain() -> None:
    assert Sample(np.zeros(3), same_record=True).interval(0.95) == (0.0, 0.0)
    assert Sample(np.zeros(1), same_record=True).interval(0.95) is None


def test_bootstrap_only_from_fifty_replicates_the_same_each_time() -> None:
    values = np.random.default_rng(5).exponential(1.0, 60)
    assert not Sample(values[:49]).resampled
    assert Sample(values).resampled
    first = Sample(values, seed=7).interval(0.95)
    assert first == Sample(values, seed=7).interval(0.95) == bca(values, 0.95, 7)
    assert first
    assert first != Sample(values, seed=8).interval(0.95)
    want = stats.bootstrap((values,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(7)).confidence_interval
    assert first == pytest.approx((want.low, want.high), abs=0.02)
    student = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert first == pytest.approx((student.low, student.high), abs=0.1)
    assert first[0] > student.low


def test_dz_is_the_effect_in_standard_deviations() -> None:
    assert Sample(np.array([1.0, 2.0, 3.0])).dz == pytest.approx(2.0)


def test_upper_limit_of_a_spread_holds_its_level() -> None:
    rng = np.random.default_rng(12)
    sds = np.std(rng.normal(0, 2.0, (4000, 5)), axis=1, ddof=1)
    above = np.mean([spread_limit(float(sd), 5) > 2.0 for sd in sds])
    assert abs(above - 0.95) < 3.3 * math.sqrt(0.95 * 0.05 / 4000)


def test_replicates_needed_settle_with_the_promised_chance() -> None:
    n = replicates_needed(1.0, 0.8, 0.05)
    assert n == 18  # (2.110 + 1.282) / sqrt(18) = 0.799
    rng = np.random.default_rng(13)
    d = rng.normal(0.0, 1.0, (4000, n))
    half = stats.t.ppf(0.975, n - 1) * d.std(axis=1, ddof=1) / math.sqrt(n)
    settled = float(np.mean(np.abs(d.mean(axis=1)) + half < 0.8))
    assert 0.75 < settled < 0.85


def test_no_number_of_replicates_makes_up_for_the_reference() -> None:
    assert replicates_needed(1.0, 0.5, 0.05, reference_se=0.5) is None
    assert replicates_needed(1.0, 0.0, 0.05) is None
