"""Reading one number off a curve, against hand calculation and scipy."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.signal import savgol_filter

from interpreter.spec.measures import Measure, Smooth
from interpreter.verdicts.curves import length, read, read_blocks, smoothed, summary

EPOCHS = np.arange(1, 7)


def block(*curves: list[float]) -> np.ndarray:
    return np.array(curves, dtype=np.float64)


def test_best_takes_the_earliest_of_equals_in_the_better_direction() -> None:
    curves = block([3, 1, 2, 1, 4, 5], [9, 8, 7, 6, 5, 4])
    low = read(curves, EPOCHS, "best", better="lower")
    high = read(curves, EPOCHS, "best", better="higher")
    assert low.values.tolist() == [1, 4]
    assert low.epochs.tolist() == [2, 6]
    assert high.values.tolist() == [5, 9]
    assert high.epochs.tolist() == [6, 1]


def test_last_reads_the_last_epoch() -> None:
    reading = read(block([3, 1, 2, 1, 4, 5]), EPOCHS, "last", better="lower")
    assert (reading.values.tolist(), reading.epochs.tolist()) == ([5], [6])


@pytest.mark.parametrize(
    ("how", "window", "value", "epoch"),
    [
        ("stable_min", 3, (1 + 2 + 1) / 3, 3),  # epochs 2 to 4
        ("stable_max", 3, (1 + 4 + 5) / 3, 5),  # epochs 4 to 6
        ("stable_min", 2, 1.5, 2),  # epochs 2 and 3, the earlier of two equal windows; its middle is the earlier epoch
        ("stable_min", 1, 1, 2),
    ],
)
def test_stable_by_hand(how: str, window: int, value: float, epoch: int) -> None:
    reading = read(block([3, 1, 2, 1, 4, 5]), EPOCHS, how, better="lower", window=window)
    assert reading.values[0] == pytest.approx(value)
    assert reading.epochs[0] == epoch
    assert reading.notes == ()


def test_a_window_longer_than_the_curve_is_cut_and_said_so() -> None:
    reading = read(block([3, 1, 2, 1, 4, 5]), EPOCHS, "stable_min", better="lower", window=10)
    assert reading.values[0] == pytest.approx(16 / 6)
    assert reading.epochs[0] == 3
    assert reading.notes == ("window cut from 10 to 6 epochs: the curve has 6",)


def test_savgol_is_scipys_with_an_odd_window() -> None:
    curve = np.random.default_rng(0).normal(size=(3, 40))
    for window, used in ((15, 15), (14, 15), (3, 3)):
        got, notes = smoothed(curve, Smooth(savgol=window))
        np.testing.assert_allclose(got, savgol_filter(curve, used, 2))
        assert notes == ()


@pytest.mark.parametrize(("count", "used"), [(8, 7), (7, 7), (3, 3)])
def test_a_savgol_window_is_cut_to_the_curve(count: int, used: int) -> None:
    curve = np.random.default_rng(0).normal(size=(1, count))
    got, notes = smoothed(curve, Smooth(savgol=15))
    np.testing.assert_allclose(got, savgol_filter(curve, used, 2), atol=1e-12)
    assert notes == (f"smoothing window cut from 15 to {used} epochs: the curve has {count}",)


def test_two_epochs_are_not_smoothed() -> None:
    got, notes = smoothed(block([2, 1]), Smooth(savgol=15))
    assert got.tolist() == [[2, 1]]
    assert notes == ("not smoothed: 2 epochs are fewer than 3",)


def test_ema_by_hand() -> None:
    got, notes = smoothed(block([1, 2, 4], [0, 8, 0]), Smooth(ema=0.75))
    np.testing.assert_allclose(got, [[1, 1.25, 1.9375], [0, 2, 1.5]])
    assert notes == ()


def test_savgol_then_stable_min_by_hand() -> None:
    # A parabola is left as it is by a filter of order 2, so the lowest mean of 3 is around its bottom.
    curve = [(e - 4.0) ** 2 for e in range(1, 9)]
    (got,) = read_blocks(
        [(np.arange(1, 9), np.array(curve))],
        Measure(metric="val/rmse", read="stable_min", smooth=Smooth(savgol=5), window=3),
        "lower",
    )
    assert got.value == pytest.approx(2 / 3)
    assert got.epoch == 4


def test_epochs_are_one_based_both_ends_included_and_cut_before_smoothing() -> None:
    values = np.array([5.0, 4.0, 3.0, 9.0, 0.0, 0.0])
    measure = Measure(metric="val/rmse", read="best", epochs=(2, 4))
    (got,) = read_blocks([(EPOCHS, values)], measure, "lower")
    assert (got.value, got.epoch) == (3.0, 3)
    smooth = Measure(metric="val/rmse", read="last", epochs=(1, 4), smooth=Smooth(savgol=3))
    (early,) = read_blocks([(EPOCHS, values)], smooth, "lower")
    (ended,) = read_blocks([(EPOCHS[:4], values[:4])], smooth, "lower")
    assert early.value == ended.value


def test_a_curve_that_ends_before_the_window_has_no_value() -> None:
    (got,) = read_blocks([(EPOCHS, np.ones(6))], Measure(metric="val/rmse", read="best", epochs=(10, 20)), "lower")
    assert got.value is None
    assert got.notes == ("the curve has no epoch from 10 to 20",)


def test_what_is_not_finite_is_left_out_and_said_so() -> None:
    values = np.array([np.nan, 4.0, 3.0, -np.inf, 5.0, np.nan])
    best, nothing, none = read_blocks(
        [(EPOCHS, values), (EPOCHS, np.full(6, np.nan)), None], Measure(metric="val/rmse", read="best"), "lower"
    )
    assert (best.value, best.epoch, best.notes) == (3.0, 3, ("3 of 6 epochs are not finite and were left out",))
    assert nothing.value is None
    assert nothing.notes == ("6 of 6 epochs are not finite and were left out",)
    assert none.value is None
    assert none.notes == ()


def test_curves_of_unequal_lengths_are_each_read_as_alone() -> None:
    rng = np.random.default_rng(1)
    curves = [(np.arange(1, n + 1), rng.normal(size=n)) for n in (30, 12, 30, 7)]
    measure = Measure(metric="val/rmse", read="stable_min", smooth=Smooth(savgol=9), window=4)
    together = read_blocks(curves, measure, "lower")
    alone = [read_blocks([curve], measure, "lower")[0] for curve in curves]
    assert [found.value for found in together] == pytest.approx([found.value for found in alone], abs=1e-12)
    assert [(found.epoch, found.notes) for found in together] == [(found.epoch, found.notes) for found in alone]


def test_ten_thousand_curves_are_read_in_seconds() -> None:
    curves = [(np.arange(1, 101), row) for row in np.random.default_rng(2).normal(size=(10_000, 100))]
    start = time.perf_counter()
    got = read_blocks(curves, Measure(metric="val/rmse", read="stable_min", smooth=Smooth(savgol=15)), "lower")
    assert time.perf_counter() - start < 3.0
    assert len(got) == 10_000


def test_auc_is_the_mean_over_epochs_and_has_no_epoch() -> None:
    values = np.array([1.0, 2.0, 6.0, np.nan, 7.0, 100.0])
    (all_of_it,) = read_blocks([(EPOCHS, values)], Measure(metric="val/accuracy", read="auc", epochs=(2, 5)), "higher")
    assert (all_of_it.value, all_of_it.epoch) == (5.0, None)
    assert all_of_it.notes == ("1 of 4 epochs are not finite and were left out",)
    smooth = Measure(metric="val/accuracy", read="auc", smooth=Smooth(ema=0.75))
    (smoothed_,) = read_blocks([(EPOCHS[:3], np.array([1.0, 2.0, 4.0]))], smooth, "higher")
    assert smoothed_.value == pytest.approx((1 + 1.25 + 1.9375) / 3)


@pytest.mark.parametrize(
    ("better", "target", "epoch", "note"),
    [
        ("higher", 3, 1, ()),  # the first value is there already
        ("higher", 4, 5, ()),  # as high is high enough
        ("higher", 5.5, None, ("never reached 5.5 in 6 epochs",)),
        ("lower", 1, 2, ()),
        ("lower", 0.5, None, ("never reached 0.5 in 6 epochs",)),
    ],
)
def test_epochs_to_is_the_first_epoch_that_reaches_it(
    better: str, target: float, epoch: int | None, note: tuple[str, ...]
) -> None:
    measure = Measure(metric="val/x", read="epochs_to", value=target)
    (got,) = read_blocks([(EPOCHS, np.array([3.0, 1, 2, 1, 4, 5]))], measure, better)
    assert (got.value, got.epoch, got.notes) == (epoch, epoch, note)


def test_epochs_to_counts_from_the_fits_first_epoch_and_reads_what_is_smoothed() -> None:
    values = np.array([0.0, 9.0, 0.0, 0.0, 5.0, 6.0])
    cut = Measure(metric="val/x", read="epochs_to", value=5, epochs=(3, 6))
    (late,) = read_blocks([(EPOCHS, values)], cut, "higher")
    assert late.value == 5
    slow = Measure(metric="val/x", read="epochs_to", value=3, smooth=Smooth(ema=0.5))
    (smooth,) = read_blocks([(EPOCHS, values)], slow, "higher")
    assert smooth.value == 2  # 0, 4.5: half of the peak
    slower = Measure(metric="val/x", read="epochs_to", value=5, smooth=Smooth(ema=0.5))
    assert read_blocks([(EPOCHS, values)], slower, "higher")[0].notes == ("never reached 5 in 6 epochs",)


def test_curves_that_do_and_do_not_get_there_are_told_apart() -> None:
    up, flat = np.arange(6.0), np.zeros(6)
    got = read_blocks([(EPOCHS, up), (EPOCHS, flat), (EPOCHS, up)], Measure(metric="m", read="epochs_to", value=2), "higher")
    assert [(f.value, f.epoch, len(f.notes)) for f in got] == [(3, 3, 0), (None, None, 1), (3, 3, 0)]


@pytest.mark.parametrize(("how", "value"), [("median", 2.5), ("mean", 4.0), ("min", 1.0), ("max", 10.0), ("total", 16.0)])
def test_what_epochs_took(how: str, value: float) -> None:
    curve = (np.arange(1, 6), np.array([50.0, 1.0, 2.0, 3.0, 10.0]))
    got = summary(curve, how, (2, 5))
    assert (got.value, got.epoch, got.notes) == (value, None, ())
    assert summary(None, how, None).value is None
    assert summary(curve, how, (8, 9)).notes == ("the curve has no epoch from 8 to 9",)


def test_the_length_of_a_phase_is_its_epochs_and_one_never_reached_has_none() -> None:
    phases = (EPOCHS, np.array([0.0, 0, 0, 1, 1, 2]))
    assert [length(phases, phase, None).value for phase in range(3)] == [3, 2, 1]
    missing = length(phases, 3, None)
    assert (missing.value, missing.notes) == (None, ("phase 3 was never reached: the last of 6 epochs is in phase 2",))
    assert length(phases, 0, (2, 6)).value == 2
    assert length(None, 0, None).value is None
