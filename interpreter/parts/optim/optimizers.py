"""From a schedule to torch's optimizer, with its groups of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from interpreter.errors import StageFailed
from interpreter.parts.models.groups import groups as named_groups
from interpreter.parts.optim.depth import depths
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.thawing import PhaseOf

CLASSES: Mapping[str, type[torch.optim.Optimizer]] = MappingProxyType({
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "asgd": torch.optim.ASGD,
    "rprop": torch.optim.Rprop,
    "adafactor": torch.optim.Adafactor,
})  # fmt: skip


def build(schedule: Schedule, model: nn.Module, phases: Sequence[PhaseOf] = ()) -> torch.optim.Optimizer:
    """The optimizer of a fit, its groups at their peak rates; what sets the rate of a step sets it in each group.

    Without phases all parameters of `model` are in it, those frozen now too. With phases, those that any phase trains: what
    never trains has no place in it. Groups are fixed for the fit; what gets no gradient is neither stepped nor decayed.

    Raises: StageFailed when `lr_times` does not name the model's groups, or a phase decays weights where the optimizer can't.
    """
    return of_groups(schedule, groups(model, schedule, phases), phases)


def of_groups(schedule: Schedule, made: list[dict[str, Any]], phases: Sequence[PhaseOf] = ()) -> torch.optim.Optimizer:
    """The optimizer over groups that were `made` by `groups`, or stand for such. Raises: StageFailed as `build` does."""
    config = schedule.optimizer
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in config.model_dump(exclude={"type", "lr", "decay_exclude"}).items()
    }
    if config.type == "rprop":
        del options["weight_decay"]  # torch's has none
        if any(phase.weight_decay for phase in phases):
            raise StageFailed("a phase gives a `weight_decay`, and rprop has none")
    for group in made:
        own = phases[group["phase"]].lr if phases else None
        group["lr"] = (schedule.peak_lr() if own is None else own) * group["times"]
    make: Any = CLASSES[config.type]
    optimizer: torch.optim.Optimizer = make(made, lr=schedule.peak_lr(), **options)
    return optimizer


def groups(model: nn.Module, schedule: Schedule, phases: Sequence[PhaseOf] = ()) -> list[dict[str, Any]]:
    """The parameters in groups, each parameter once, in the order of phases and of the network.

    A group has a `name`, stable and unique; its `phase`, whose rate and decay it has (0 without phases; phases that say nothing
    of their own share a group, see `places`); `times`, what its rate is multiplied by; and a `weight_decay` where it is not the
    optimizer's. The name says what tells groups apart in the fit,
    joined by "/": `phase-1`, the key of `lr_times` that names it or `rest`, `depth-2` below the head, `decay` or `no_decay`
    (of one axis or none). Where nothing does, there is one group, "all".

    Raises: StageFailed when `lr_times` does not name the model's groups.
    """
    config = schedule.optimizer
    decays = [config.weight_decay if phase.weight_decay is None else phase.weight_decay for phase in phases]
    spares = config.decay_exclude != "none" and any(decays or [config.weight_decay])
    pattern = _patterns(schedule, model)
    depth = depths(model) if schedule.layer_decay < 1 else {}
    phase_of = _phases_of(model, phases)
    at = places(schedule, phases)
    found: dict[tuple[int, int, int, bool], dict[str, Any]] = {}
    keys = [*schedule.lr_times, None]
    for name, parameter in model.named_parameters():  # tells a shared one once
        if id(parameter) not in phase_of:
            continue
        phase, spared = at[phase_of[id(parameter)]], spares and parameter.ndim <= 1
        key, below = pattern.get(name), depth.get(name, 0)
        place = (phase, keys.index(key), below, spared)
        if place not in found:
            said = [f"phase-{phase}"] if len(set(at)) > 1 else []
            said += [key or "rest"] if schedule.lr_times else []
            said += [f"depth-{below}"] if depth else []
            said += ["no_decay" if spared else "decay"] if spares else []
            times = schedule.lr_times.get(key or "", 1.0) * schedule.layer_decay**below
            found[place] = {"params": [], "name": "/".join(said) or "all", "phase": phase, "times": times}
            if spared:
                found[place]["weight_decay"] = 0.0
            elif phases and decays[phase] != config.weight_decay:
                found[place]["weight_decay"] = decays[phase]
        found[place]["params"].append(parameter)
    return sorted(found.values(), key=_order)


def places(schedule: Schedule, phases: Sequence[PhaseOf]) -> tuple[int, ...]:
    """For each phase the one whose group holds what it thaws: itself, or the first of those that say nothing of their own.

    Each group costs an optimizer some 0.05 ms a step, and what is frozen in one costs nothing. Where groups differ in `times`,
    phases are kept apart, so that each has a peak rate of its own.
    """
    if not phases:
        return (0,)
    apart = bool(schedule.lr_times) or schedule.layer_decay < 1
    own = [apart or p.lr is not None or p.lr_schedule is not None or p.weight_decay is not None for p in phases]
    shared = own.index(False) if False in own else 0
    return tuple(index if said else shared for index, said in enumerate(own))


def _order(group: Mapping[str, Any]) -> tuple[int, bool]:
    """Groups by their phase, what is spared from decay last; within these as they were found, so in the network's order."""
    return group["phase"], group["name"].endswith("no_decay")


def _patterns(schedule: Schedule, model: nn.Module) -> dict[str, str]:
    """Parameter name -> the key of `lr_times` that it goes by, where one does."""
    if not schedule.lr_times:
        return {}
    named = named_groups(model)
    try:
        patterns = schedule.lr_patterns(named)
    except ValueError as error:
        raise StageFailed(str(error), hint=f"the model's groups: {', '.join(named)}") from None
    return {name: pattern for group, pattern in patterns.items() for name in named[group]}


def _phases_of(model: nn.Module, phases: Sequence[PhaseOf]) -> dict[int, int]:
    """Parameter, by id -> the first phase that trains it; a shared parameter may go by any of its names."""
    known = dict(model.named_parameters(remove_duplicate=False))
    if not phases:
        return {id(parameter): 0 for parameter in known.values()}
    found: dict[int, int] = {}
    for number, phase in enumerate(phases):
        for name in phase.parameters:
            found.setdefault(id(known[name]), number)
    return found
