"""The learning rate at a step, in closed form. With T steps in the fit, of which W warm up, peak b and first rate s:

    t < W       s + (b - s) t / (W - 1)                                 so the peak is reached at t = W - 1
    cosine      e + (b - e) (1 + cos(pi (t - W) / (T - W))) / 2         from b at t = W towards e at t = T
    polynomial  e + (b - e) (1 - (t - W) / (T - W))^power               from b at t = W towards e at t = T
    step        b times^(how many of `at` are epochs already done)
    one_cycle   up from s at t = 0 to b at t = W - 1, and down to e at t = T - 1, by half a cosine or a line each
    cyclic      l + (b - l) h times^(cycles already done), where h goes 0, 1, 0 over `up` and `down` epochs

W of 0 or 1 is no warm-up. A cosine that moves once an epoch has, after its warm-up, the value it has at the epoch's start
or end. From T on the rate stays where it is at T. Epochs may differ in their number of steps: what is counted in epochs
happens where those epochs begin.

`plateau` is the one rule that depends on what happens: its warm-up is a closed form as above, and what the rate is
multiplied by is a `Plateau`, to be told of the metric after every epoch.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from interpreter.errors import StageFailed
from interpreter.spec.components.schedules import Cosine, Cyclic, OneCycle, Polynomial, Schedule, Step, Steps, share
from interpreter.spec.components.schedules import Plateau as PlateauRule
from interpreter.spec.metrics import METRICS
from interpreter.spec.thawing import PhaseOf, planned_epochs

Curve = Callable[[int], float]
StepCounts = int | Sequence[int]


@dataclass(frozen=True, slots=True)
class Rule:
    """The learning rate as a function of the step, counted from the fit's first, and what is worth knowing about it."""

    at: Curve
    peak: float
    peaks_at: int  # the first step at which the rise, if there is one, is over
    momentum: Curve | None = None  # momentum, or first beta, where the rule moves it too

    def __call__(self, step: int) -> float:
        """The rate at a step."""
        return self.at(step)


@dataclass(frozen=True, slots=True)
class Epochs:
    """Where the epochs of a fit begin, in steps. Epochs beyond the last are as long as it."""

    starts: tuple[int, ...]  # and, last, the number of steps of the fit

    @property
    def total(self) -> int:
        """Steps of the fit."""
        return self.starts[-1]

    def of(self, step: int) -> int:
        """The epoch, from 0, that a step of the fit is in."""
        return bisect_right(self.starts, step) - 1

    def start(self, epoch: int) -> int:
        """The first step of an epoch."""
        last = len(self.starts) - 1
        return self.starts[epoch] if epoch <= last else self.total + (epoch - last) * (self.total - self.starts[last - 1])


def epochs_of(counts: Sequence[int]) -> Epochs:
    """The epochs of a fit that have so many steps each."""
    return Epochs((0, *accumulate(counts)))


def rule(schedule: Schedule, steps: StepCounts) -> Rule:
    """The learning rate of a fit; `steps` in each epoch: one number for all, or one for each of the schedule's epochs."""
    curve, peak = schedule.lr_schedule, schedule.peak_lr()
    counts = _counts(steps, schedule.epochs)
    epochs = epochs_of(counts)
    total = epochs.total
    warm = warmup_steps(schedule, counts)
    rising = max(warm - 1, 0)
    if isinstance(curve, OneCycle):
        low, end = curve.start * peak, curve.floor * peak
        rate = _up_and_down(low, peak, end, rising, total, curve.shape)
        moves = curve.momentum
        momentum = _up_and_down(moves[1], moves[0], moves[1], rising, total, curve.shape) if moves else None
        return Rule(rate, peak, rising, momentum)
    if isinstance(curve, Cyclic):
        return Rule(_cyclic(curve, peak, epochs), peak, epochs.start(curve.up))

    start = curve.from_
    after = _after_warmup(schedule, epochs, warm)

    def rate_at(step: int) -> float:
        if step < rising:
            return start + (peak - start) * step / rising
        return after(step) if step >= warm else peak

    return Rule(rate_at, peak, rising)


def warmup_steps(schedule: Schedule, steps: StepCounts) -> int:
    """Steps of the warm-up, rounded to the nearest; 0 where there is none."""
    warmup, counts = schedule.lr_schedule.warmup, _counts(steps, schedule.epochs)
    if isinstance(warmup, Steps):
        found = warmup.steps
    elif isinstance(warmup, str):
        # Of equal epochs in this order of multiplication, now as ever: a fit that goes on must find its warm-up as it was.
        part = share(warmup) * len(counts) * counts[0] if len(set(counts)) == 1 else share(warmup) * sum(counts)
        found = math.floor(part + 0.5)
    else:  # a phase that patience has made late may have fewer epochs than its warm-up: the rest of it would be as they are
        found = sum(counts[:warmup]) + max(0, warmup - len(counts)) * counts[-1]
    return found if found > 1 else 0


def of_phase(schedule: Schedule, phase: PhaseOf, began_epoch: int = 0) -> Schedule:
    """The schedule by which what thaws in a phase goes: with the phase's own peak rate and, where it has one, its own rule.

    A rule of its own is laid over the phase's planned length, and its epochs count from where the
    phase begins: `epochs` of the schedule returned is that length.
    """
    optimizer = schedule.optimizer if phase.lr is None else schedule.optimizer.model_copy(update={"lr": phase.lr})
    if phase.lr_schedule is None:
        return schedule.model_copy(update={"optimizer": optimizer})
    length = planned_epochs(schedule.epochs, phase, began_epoch)
    return schedule.model_copy(update={"optimizer": optimizer, "lr_schedule": phase.lr_schedule, "epochs": length})


def phase_rule(schedule: Schedule, phase: PhaseOf, steps: StepCounts, began_step: int) -> Rule:
    """The learning rate of what thaws in a phase that began at a step, the first of an epoch; steps count from the fit's first.

    A phase without a rule of its own goes by the stage's, which goes on: at the phase's own peak, every rate is in
    proportion. A rule of its own begins with the phase and is laid over its planned length; when the phase ends before, the
    rule goes on, and from that length on the rate stays where the rule ended.
    """
    if phase.lr_schedule is None:
        stage, peak = rule(schedule, steps), schedule.peak_lr() if phase.lr is None else phase.lr
        if peak == stage.peak:
            return stage
        return Rule(lambda step: peak * (stage.at(step) / stage.peak), peak, stage.peaks_at, stage.momentum)
    counts = _counts(steps, schedule.epochs)
    began_epoch = epochs_of(counts).of(began_step)
    own = of_phase(schedule, phase, began_epoch)
    at = rule(own, counts[began_epoch : began_epoch + own.epochs])
    return Rule(_later(at.at, began_step), at.peak, began_step + at.peaks_at, at.momentum and _later(at.momentum, began_step))


def never_peaked(rule: Rule, steps: int, began: int = 0) -> float | None:
    """The highest rate there was, of a rule in use from step `began` on whose rise was not over when the fit ended.

    `steps` are those of the whole fit. None where the rate got to its peak, or no step was made by the rule.
    """
    return None if steps > rule.peaks_at or steps <= began else max(rule(step) for step in range(began, steps))


class Plateau:
    """What a `plateau` rule multiplies the rate by: less and less, as the watched metric stops improving."""

    def __init__(self, schedule: Schedule) -> None:
        """Raises: StageFailed when it isn't known whether higher or lower is better."""
        assert isinstance(schedule.lr_schedule, PlateauRule)
        self.rule = schedule.lr_schedule
        info = METRICS.get(self.monitor.split("/")[-1])
        if info is None:
            raise StageFailed(f"whether higher or lower is better is not known for {self.monitor}")
        self._lower = info.better == "lower"
        self._best: float | None = None
        self._wait = self._cooldown = self._drops = 0

    @property
    def monitor(self) -> str:
        """The metric watched, as split/name."""
        return self.rule.monitor

    @property
    def factor(self) -> float:
        """What the rate is multiplied by from the next step on."""
        return max(self.rule.floor, self.rule.times**self._drops)

    def observe(self, value: float) -> None:
        """Count an epoch, which ended with this value of the metric. Call it once at the end of each epoch."""
        rule = self.rule
        if math.isfinite(value) and (self._best is None or self._better(value, self._best)):
            self._best, self._wait = value, 0
        else:
            self._wait += 1
        if self._cooldown:
            self._cooldown -= 1
            self._wait = 0
        if self._wait >= rule.patience:
            self._wait, self._cooldown = 0, rule.cooldown
            self._drops += 1

    def _better(self, value: float, than: float) -> bool:
        by = self.rule.min_delta
        return value < than - by if self._lower else value > than + by

    def state(self) -> dict[str, Any]:
        """Everything `load` needs, as plain values."""
        return {"best": self._best, "wait": self._wait, "cooldown": self._cooldown, "drops": self._drops}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self._best, self._wait = state["best"], state["wait"]
        self._cooldown, self._drops = state["cooldown"], state["drops"]


def _counts(steps: StepCounts, epochs: int) -> tuple[int, ...]:
    """Steps of each epoch."""
    if isinstance(steps, int):
        return (steps,) * epochs
    assert len(steps) == epochs, f"steps of {len(steps)} epochs, and the schedule has {epochs}"
    return tuple(steps)


def _later(curve: Curve, by: int) -> Curve:
    return lambda step: curve(step - by)


def _after_warmup(schedule: Schedule, epochs: Epochs, warm: int) -> Curve:
    """The rate from step `warm` on, of the rules that begin with a plain warm-up."""
    curve, peak, total = schedule.lr_schedule, schedule.peak_lr(), epochs.total

    def done(step: int) -> float:
        return min(1.0, (step - warm) / (total - warm)) if total > warm else 0.0

    if isinstance(curve, Step):
        at, times = curve.at, curve.times
        return lambda step: peak * times ** bisect_right(at, epochs.of(step))
    if isinstance(curve, Polynomial):
        end, power = curve.floor * peak, curve.power
        return lambda step: end + (peak - end) * (1 - done(step)) ** power if step > warm else peak
    if isinstance(curve, Cosine):
        floor, every = curve.from_ if curve.floor is None else curve.floor * peak, curve.every

        def cosine(step: int) -> float:
            if every == "epoch":
                step = max(warm, epochs.start(epochs.of(step)))
            elif every == "epoch_end":
                step = epochs.start(epochs.of(step) + 1)
            return max(floor, peak - (peak - floor) * (1 - math.cos(math.pi * done(step))) / 2)  # exactly the peak at 0

        return cosine
    return lambda step: peak


def _up_and_down(start: float, top: float, end: float, top_at: int, total: int, shape: str) -> Curve:
    """From `start` at step 0 to `top` and, at the last of `total` steps, to `end`; upside down where top is the lowest."""

    def between(a: float, b: float, left: float) -> float:
        """From a, with all of the way left (1), to b."""
        return b + (a - b) * (left if shape == "linear" else (1 - math.cos(math.pi * left)) / 2)

    def at(step: int) -> float:
        if step < top_at:
            return between(start, top, 1 - step / top_at)
        if step >= total - 1:
            return end if total - 1 > top_at else top
        return between(top, end, (total - 1 - step) / (total - 1 - top_at)) if step > top_at else top

    return at


def _cyclic(curve: Cyclic, peak: float, epochs: Epochs) -> Curve:
    low, up, times = curve.low * peak, curve.up, curve.times
    cycle = up + (up if curve.down is None else curve.down)

    def at(step: int) -> float:
        step = min(step, epochs.total)
        done = epochs.of(step) // cycle
        begins, top, ends = (epochs.start(done * cycle + n) for n in (0, up, cycle))
        height = times**done * ((step - begins) / (top - begins) if step < top else (ends - step) / (ends - top))
        return low * (1 - height) + peak * height  # exactly the peak at 1

    return at
