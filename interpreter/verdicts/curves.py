"""Reading numbers off curves: pure functions on arrays, for many trials at once.

A block of curves is a float array (T, E): T trials, E epochs, all finite, with the epochs they belong to, (E,) int,
counted from 1 and rising. `measures` cuts histories into such blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter, savgol_filter

from interpreter.spec.measures import Measure, Smooth

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Curve = tuple[Ints, Floats]
"""Epochs (E,), counted from 1 and rising, and the value at each (E,), as recorded."""

SAVGOL_ORDER = 2


NO_EPOCH = 0
"""Stands for the epoch of what was read at no single one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One number per trial: values (T,), the epoch each was read at (T,), and what had to be adjusted, in words.

    A value is NaN where a curve has none, and `lacking` says why; its epoch is NO_EPOCH, as that of a mean over all is.
    """

    values: Floats
    epochs: Ints
    notes: tuple[str, ...] = ()
    lacking: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What one curve came to: the number, None where there is none, its epoch, and what had to be adjusted, in words.

    `epoch` is None where the number was read at no single one.
    """

    value: float | None
    epoch: int | None
    notes: tuple[str, ...]


def smoothed(curves: Floats, smooth: Smooth | None) -> tuple[Floats, tuple[str, ...]]:
    """`curves` (T, E) smoothed along the epochs, and what had to be adjusted.

    Savitzky-Golay of order 2 (its ends are those of the parabola through the last window); an exponential moving
    average starts at the first value: s[0] = x[0], s[t] = w s[t-1] + (1 - w) x[t].
    """
    count = curves.shape[-1]
    if smooth is None or count == 0:
        return curves, ()
    if smooth.ema is not None:
        start = smooth.ema * curves[..., :1]
        filtered, _ = lfilter([1.0 - smooth.ema], [1.0, -smooth.ema], curves, axis=-1, zi=start)
        return np.asarray(filtered, dtype=np.float64), ()
    assert smooth.savgol is not None
    wanted = smooth.savgol + (smooth.savgol % 2 == 0)
    window = min(wanted, count - (count % 2 == 0))
    if window <= SAVGOL_ORDER:
        return curves, (f"not smoothed: {count} epochs are fewer than 3",)
    notes = (f"smoothing window cut from {wanted} to {window} epochs: the curve has {count}",) if window < wanted else ()
    return np.asarray(savgol_filter(curves, window, SAVGOL_ORDER, axis=-1), dtype=np.float64), notes


def extreme(curves: Floats, epochs: Ints, better: str) -> Reading:
    """The best value of each curve and its epoch; the earliest of equal ones. better: "lower" or "higher"."""
    at = np.argmin(curves, axis=-1) if better == "lower" else np.argmax(curves, axis=-1)
    return Reading(np.take_along_axis(curves, at[:, None], axis=-1)[:, 0], epochs[at])


def final(curves: Floats, epochs: Ints) -> Reading:
    """The value of each curve at its last epoch."""
    return Reading(curves[:, -1], np.full(len(curves), epochs[-1], dtype=np.int64))


def stable(curves: Floats, epochs: Ints, window: int, better: str) -> Reading:
    """The lowest ("lower") or highest mean of `window` consecutive epochs, and the window's middle epoch.

    The middle of a window with an even number of epochs is the earlier of the two. A window longer than the curve is
    cut to it, and said so. The earliest of equal windows.
    """
    count = curves.shape[-1]
    used = min(window, count)
    notes = (f"window cut from {window} to {used} epochs: the curve has {count}",) if used < window else ()
    means = np.lib.stride_tricks.sliding_window_view(curves, used, axis=-1).mean(axis=-1)
    reading = extreme(means, epochs[(used - 1) // 2 : (used - 1) // 2 + means.shape[-1]], better)
    return Reading(reading.values, reading.epochs, notes)


def area(curves: Floats, epochs: Ints) -> Reading:
    """The mean of each curve over its epochs: the area under it over its length. It is of no single epoch."""
    return Reading(curves.mean(axis=-1), np.full(len(curves), NO_EPOCH, dtype=np.int64))


def crossing(curves: Floats, epochs: Ints, value: float, better: str) -> Reading:
    """The first epoch at which each curve has reached `value`: as high or higher ("higher"), as low or lower ("lower")."""
    reached = curves >= value if better == "higher" else curves <= value
    ever = reached.any(axis=-1)
    at = np.where(ever, epochs[np.argmax(reached, axis=-1)], NO_EPOCH)
    lacking = f"never reached {value:g} in {len(epochs)} epoch{'s' * (len(epochs) != 1)}"
    return Reading(np.where(ever, at, np.nan), at, lacking=lacking)


def read(
    curves: Floats, epochs: Ints, how: str, *, better: str, smooth: Smooth | None = None, window: int = 10,
    value: float | None = None,
) -> Reading:  # fmt: skip
    """One number per curve. how: "best", "last", "stable_min", "stable_max", "auc", or "epochs_to" with the `value` to reach.

    Curves must have an epoch at least.
    """
    curves, notes = smoothed(curves, smooth)
    if how == "last":
        reading = final(curves, epochs)
    elif how == "best":
        reading = extreme(curves, epochs, better)
    elif how == "auc":
        reading = area(curves, epochs)
    elif how == "epochs_to":
        assert value is not None
        reading = crossing(curves, epochs, value, better)
    else:
        reading = stable(curves, epochs, window, "lower" if how == "stable_min" else "higher")
    return replace(reading, notes=notes + reading.notes)


_SUMMARIES: Mapping[str, Callable[[Floats], np.float64]] = {
    "median": np.median, "mean": np.mean, "min": np.min, "max": np.max, "total": np.sum,
}  # fmt: skip


def summary(curve: Curve | None, how: str, span: tuple[int, int] | None) -> Found:
    """What an epoch took, over the epochs within `span`. how: "median", "mean", "min", "max" or "total".

    It is of no single epoch, though the least and the most of them happened at one.
    """
    if curve is None:
        return Found(None, None, ())
    epochs, values, notes = _finite(curve, span)
    return Found(float(_SUMMARIES[how](values)) if len(epochs) else None, None, notes)


def length(phases: Curve | None, phase: int, span: tuple[int, int] | None) -> Found:
    """How many epochs a fit spent in `phase`. The values of the curve `phases` are the phase of each epoch, from 0.

    A phase that the fit never reached has no length, which is not a length of 0.
    """
    if phases is None:
        return Found(None, None, ())
    epochs, values, notes = _finite(phases, span)
    count = int((values == phase).sum())
    if not count and len(epochs):
        reached = f"phase {phase} was never reached: the last of {len(epochs)} epochs is in phase {int(values[-1])}"
        notes = (*notes, reached)
    return Found(float(count) if count else None, None, notes)


def at_epoch(curve: Curve | None, epoch: int | None, measure: Measure) -> Found:
    """The value of a curve, smoothed where the measure says so, at one epoch that another measure chose."""
    if curve is None or epoch is None:
        return Found(None, None, ())
    epochs, values, notes = _finite(curve, None)
    if epoch not in epochs:
        return Found(None, None, (*notes, f"no value at epoch {epoch}"))
    smooth, more = smoothed(values[None, :], measure.smooth)
    return Found(float(smooth[0, int(np.searchsorted(epochs, epoch))]), epoch, notes + more)


def read_blocks(curves: Sequence[Curve | None], measure: Measure, better: str) -> list[Found]:
    """One reading per curve; curves with the same epochs are read together.

    Epochs outside `measure.epochs` are cut off before smoothing: what is read within a window of epochs knows nothing
    of the epochs after it, as if the trial had ended there. Values that are NaN or infinite are left out, and said so.
    """
    found: list[Found] = [Found(None, None, ())] * len(curves)
    blocks: dict[bytes, list[tuple[int, Floats, tuple[str, ...]]]] = {}
    epochs_of: dict[bytes, Ints] = {}
    for i, curve in enumerate(curves):
        if curve is None:
            continue
        epochs, values, notes = _finite(curve, measure.epochs)
        if not len(epochs):
            found[i] = Found(None, None, notes)
            continue
        key = epochs.tobytes()
        epochs_of[key] = epochs
        blocks.setdefault(key, []).append((i, values, notes))
    for key, members in blocks.items():
        reading: Reading = read(
            np.stack([values for _, values, _ in members]), epochs_of[key], measure.read or "best",
            better=better, smooth=measure.smooth, window=measure.window, value=measure.value,
        )  # fmt: skip
        for row, (i, _, notes) in enumerate(members):
            value, epoch = float(reading.values[row]), int(reading.epochs[row])
            told = notes + reading.notes + ((reading.lacking,) if np.isnan(value) else ())
            found[i] = Found(None if np.isnan(value) else value, epoch if epoch != NO_EPOCH else None, told)
    return found


def _finite(curve: Curve, span: tuple[int, int] | None) -> tuple[Ints, Floats, tuple[str, ...]]:
    epochs, values = curve
    notes: tuple[str, ...] = ()
    if span is not None:
        inside = (epochs >= span[0]) & (epochs <= span[1])
        if len(epochs) and not inside.any():
            notes = (f"the curve has no epoch from {span[0]} to {span[1]}",)
        epochs, values = epochs[inside], values[inside]
    finite = np.isfinite(values)
    if not finite.all():
        notes = (*notes, f"{int((~finite).sum())} of {len(values)} epochs are not finite and were left out")
        epochs, values = epochs[finite], values[finite]
    return epochs, values, notes
