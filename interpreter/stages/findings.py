"""What a fit has to say against itself: rules over its model, its outputs and its curves. Each returns findings to record."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from interpreter.parts.contract import Model
from interpreter.spec.members import network_of
from interpreter.stages.phases import Thawing
from interpreter.stages.rates import Rates
from interpreter.stages.work import Event, finding, finding_at_end

OVERFIT_BY = 0.05  # of the lowest validation loss
TINY_RATE = 100.0  # times below the rates of what trains already, or below its own peak
LOW = 10.0  # times below the peak that a phase asks for


def of_optimizer(model: nn.Module, optimizer: Optimizer) -> list[Event]:
    """A finding when the optimizer does not hold exactly the trainable parameters, each once."""
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    names = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    out: list[Event] = []
    forgotten = [name for i, name in names.items() if i not in set(held)]
    if forgotten:
        out.append(finding(0, "parameters-not-optimized", f"trainable, but not in the optimizer: {few(forgotten)}", "error"))
    if len(held) != len(set(held)):
        out.append(finding(0, "parameters-optimized-twice", "a parameter is in the optimizer more than once", "error"))
    if any(i not in names for i in held):
        out.append(finding(0, "frozen-in-optimizer", "the optimizer holds parameters that are not trained", "note"))
    return out


def of_gradients(model: Model, names: Collection[str], epoch: int, idle: Collection[int] = ()) -> list[Event]:
    """A finding when trainable parameters of `names` have no gradient after a step.

    Not of networks that this step was not for; a note on those that none is for, `idle`.
    """
    none = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None and name in names]
    missed = [name for name in none if model.running is None or network_of(name) in (None, *model.running)]
    never = [name for name in none if network_of(name) in idle]
    out: list[Event] = []
    if missed:
        out.append(finding(epoch, "no-gradient", f"the loss does not depend on: {few(missed)}"))
    if never:
        which = ", ".join(map(str, sorted(idle)))
        text = f"the loss has no weight on network {which}: what no other network has stays as it began: {few(never)}"
        out.append(finding(epoch, "never-trained", text, "note"))
    return out


def of_count(epoch: int, split: str, expected: int, found: int) -> list[Event]:
    """A finding when an evaluation gave another number of outputs than there are examples."""
    if expected == found:
        return []
    return [finding(epoch, "evaluated-n", f"{found} outputs for the {expected} examples of {split}", "error")]


def of_curves(epochs: Sequence[Mapping[str, Any]], end: int) -> list[Event]:
    """Overfitting, by this rule: the last val/loss is more than 5 % above the lowest one, and train/loss has gone down since.

    `epochs` are the epoch events that count, in order; `end` is the number of epochs reached.
    """
    val = [_number(e["metrics"].get("val/loss")) for e in epochs]
    train = [_number(e["metrics"].get("train/loss")) for e in epochs]
    if len(val) < 3 or not all(map(math.isfinite, val)):
        return []
    low = min(range(len(val)), key=val.__getitem__)
    if low == len(val) - 1 or not val[-1] > val[low] + OVERFIT_BY * abs(val[low]) or not train[-1] < train[low]:
        return []
    text = (
        f"overfits since epoch {epochs[low]['epoch'] + 1}: val/loss has gone from {val[low]:.4g} to {val[-1]:.4g}"
        f" while train/loss has gone down from {train[low]:.4g} to {train[-1]:.4g}"
    )
    return [finding_at_end(end, "overfitting", text)]


def of_phase_end(thawing: Thawing, why: str, epoch: int) -> list[Event]:
    """A finding when patience ended a phase in the first epoch in which it could."""
    if why != "patience" or not thawing.ended_at_once():
        return []
    counted = "its first epoch" if thawing.phase.own_best else "the best epoch of the phases before"
    by = f" by more than {thawing.thaw.min_delta:g}" if thawing.thaw.min_delta else ""
    text = (
        f"phase {thawing.clock.phase} was ended by patience after {thawing.clock.epochs} epochs:"
        f" none improved {thawing.thaw.monitor} on {counted}{by}"
    )
    return [finding_at_end(epoch, "phase-ended-at-once", text)]


def of_rates(rates: Rates, thawing: Thawing, epoch: int) -> list[Event]:
    """Findings when a phase begins, by the rates that are planned for as long as it lasts.

    What it thaws may have a far lower rate than what trains already; a rate of its own may not be what it gets, where the
    stage's rule has come down by now; and the rule that an earlier phase has for itself may have run out.
    """
    now, what = thawing.clock.phase, few(thawing.phase.groups)
    trained, mine = set(thawing.phase.parameters), rates.planned(now)
    others = [phase for phase in thawing.phases[:now] if trained.intersection(phase.new)]
    before = {phase: found for phase in others if (found := rates.planned(phase.index)) is not None}
    out: list[Event] = []
    highest = max((found.mean for found in before.values()), default=0.0)
    if mine is not None and before and mine.mean * TINY_RATE <= highest * (1 + 1e-9):
        text = f"phase {now} thaws {what} at a rate of {mine.mean:g} on average; what was thawed before has {highest:g}"
        out.append(finding(epoch, "thawed-rate-tiny", text))
    asked = thawing.phase.lr is not None and thawing.phase.lr_schedule is None
    if mine is not None and asked and mine.highest * LOW <= mine.peak:
        text = f"phase {now} has a peak rate of {mine.peak:g} of its own, and gets {mine.highest:g} at most:"
        out.append(finding(epoch, "rate-never-peaked", f"{text} the stage's rule has come down by the time it begins"))
    for phase, found in before.items():
        if phase.lr_schedule is not None and found.highest * TINY_RATE <= found.peak:
            text = f"phase {now} trains {few(phase.groups)} on at a rate of {found.highest:g}: the rule of phase {phase.index}"
            out.append(
                finding(epoch, "rate-ran-out", f"{text}, with its peak of {found.peak:g}, has ended; a `floor` keeps it up")
            )
    return out


def of_phases(rates: Rates, thawing: Thawing, end: int, steps: int) -> list[Event]:
    """Findings when the fit has ended before a phase began, or before a rate reached its peak."""
    out: list[Event] = []
    missed = thawing.phases[thawing.clock.phase + 1 :]
    if missed:
        which = (
            f"phase {missed[0].index} was" if len(missed) == 1 else f"phases {missed[0].index} to {len(thawing.phases) - 1} were"
        )
        groups = few([group for phase in missed for group in phase.groups])
        text = f"{which} never reached: after {end} epochs {groups} had not been thawed"
        out.append(finding_at_end(end, "phase-never-reached", text))
    for phase, highest, peak in rates.never_peaked(steps):
        of = f"of phase {phase} " if len(thawing.phases) > 1 else ""
        text = f"the learning rate {of}never reached its peak of {peak:g}: it got as far as {highest:g}"
        out.append(finding_at_end(end, "rate-never-peaked", text))
    return out


def _number(value: Any) -> float:
    return float(value) if value is not None else math.nan  # float() reads "NaN" and "Infinity"


def few(names: Sequence[str]) -> str:
    """The first five names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
