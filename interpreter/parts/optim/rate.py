"""The learning rate at a step, in closed form. With T steps in the fit, of which W warm up, peak b and first rate s:

    t < W     s + (b - s) t / (W - 1)                                 so the peak is reached at t = W - 1
    cosine    e + (b - e) (1 + cos(pi (t - W) / (T - W))) / 2         from b at t = W towards e at t = T
    step      b times^(how many of `at` are epochs already done)

W of 0 or 1 is no warm-up. A cosine that moves once an epoch has, after its warm-up, the value it has at the epoch's start
or end. From T on the rate stays where it is at T.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable

from interpreter.spec.components.schedules import Cosine, Schedule, Step, Steps, share


def warmup_steps(schedule: Schedule, steps_per_epoch: int) -> int:
    """Steps of the warm-up, rounded to the nearest; 0 where there is none."""
    warmup = schedule.lr_schedule.warmup
    if isinstance(warmup, Steps):
        steps = warmup.steps
    elif isinstance(warmup, str):
        steps = math.floor(share(warmup) * schedule.epochs * steps_per_epoch + 0.5)
    else:
        steps = warmup * steps_per_epoch
    return steps if steps > 1 else 0


def rule(schedule: Schedule, steps_per_epoch: int) -> Callable[[int], float]:
    """The learning rate as a function of the step, counted from 0."""
    curve = schedule.lr_schedule
    peak, start = schedule.peak_lr(), curve.from_
    total = schedule.epochs * steps_per_epoch
    warm = warmup_steps(schedule, steps_per_epoch)

    def warming(step: int) -> float:
        return start + (peak - start) * step / (warm - 1) if step < warm - 1 else peak

    def constant(step: int) -> float:
        return warming(step) if step < warm else peak

    if isinstance(curve, Step):
        at, times = curve.at, curve.times

        def stepped(step: int) -> float:
            return warming(step) if step < warm else peak * times ** bisect_right(at, step // steps_per_epoch)

        return stepped
    if isinstance(curve, Cosine):
        floor = start if curve.floor is None else curve.floor * peak
        every = curve.every

        def cosine(step: int) -> float:
            if step < warm:
                return warming(step)
            if every == "epoch":
                step = max(warm, step // steps_per_epoch * steps_per_epoch)
            elif every == "epoch_end":
                step = (step // steps_per_epoch + 1) * steps_per_epoch
            done = min(1.0, (step - warm) / (total - warm)) if total > warm else 0.0
            return max(floor, peak - (peak - floor) * (1 - math.cos(math.pi * done)) / 2)  # exactly the peak at 0

        return cosine
    return constant
