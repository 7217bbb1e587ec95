"""Thawing in names: what of a model trains in which phase of a fit. Nothing here knows tensors, only names and shapes.

Parameters come as `Facts.parameters` has them: (name, shape, trainable), in the order in which the model names them, which is
taken as the order of the network; a shared parameter is told once. What the model itself keeps frozen never trains.

    {tensors: k}   from the last parameter to the first, k a phase; the last phase has what is left
    {layers: k}    the head, whole; then from the last layer of the encoder to the first, k a phase
    {phases: [..]} by hand, by named groups

A layer is a module that owns parameters. One whose parameters all have at most one axis (a normalization, a scale) is part of
the layer before it: it thaws together with the convolution that it normalizes. A layer that is a whole group has the group's
name (`conv1`), another one its module's (`conv1.0`, `layer4.1.conv2`).

Of several networks of one kind side by side, phases are those of one, and take the parameters of all.

A parameter belongs to the first phase that thaws it, and has that phase's rate and decay for good: what a later phase freezes
and a yet later one thaws again is as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from interpreter.errors import StageFailed
from interpreter.spec.components.schedules import AnyRateRule, Schedule
from interpreter.spec.members import alone
from interpreter.spec.stages import Layers, Phase, Phases, Thaw

HEAD = "head"
_ENCODER = "encoder."
Parameter = tuple[str, tuple[int, ...], bool]  # name, shape, trainable
Named = Mapping[str, tuple[str, ...]]  # of a group or a layer -> names of its parameters


class ThawError(StageFailed):
    """A schedule of phases that the model can't follow; the hint has the model's own names."""


@dataclass(frozen=True, slots=True)
class PhaseOf:
    """One phase of a fit, for one model."""

    index: int  # from 0
    groups: tuple[str, ...]  # what it thaws: trained in it and not in the phase before; names of groups, layers or tensors
    parameters: tuple[str, ...]  # all that train in it
    new: tuple[str, ...]  # those that no phase before it trained
    lr: float | None = None  # peak rate of `new`; None: the stage's
    lr_schedule: AnyRateRule | None = None  # of `new`; None: the stage's goes on
    weight_decay: float | None = None  # of `new`; None: the stage's
    max_epochs: int | None = None  # the three ends; the last phase has none, it lasts as long as the fit
    until_epoch: int | None = None
    patience: int | None = None
    own_best: bool = True  # patience counts from its own first epoch, not from the best of the phases before


def planned_epochs(epochs: int, phase: PhaseOf, began: int) -> int:
    """Epochs of a phase that begins after `began` epochs of a fit of so many, when no patience ends it.

    To the first of its `max_epochs`, its `until_epoch` and the fit's end; at least 1, also where its `until_epoch` is past.
    """
    ends = [epochs]
    if phase.max_epochs is not None:
        ends.append(began + phase.max_epochs)
    if phase.until_epoch is not None:
        ends.append(phase.until_epoch)
    return max(1, min(ends) - began)


def earliest(phases: Sequence[PhaseOf]) -> tuple[int, ...]:
    """For each phase, after how many epochs of the fit it can begin at the earliest."""
    begins = [0] if phases else []
    for phase in phases[:-1]:
        ends = [] if phase.patience is None else [phase.patience + phase.own_best]
        ends += [] if phase.max_epochs is None else [phase.max_epochs]
        ends += [] if phase.until_epoch is None else [max(1, phase.until_epoch - begins[-1])]
        begins.append(begins[-1] + min(ends, default=1))
    return tuple(begins)


def rules_that_do_not_fit(schedule: Schedule, phases: Sequence[PhaseOf]) -> Iterator[tuple[PhaseOf, str, str]]:
    """Phases whose own rate rule can't be laid over them, however long they may become: (phase, why, what is known of it)."""
    for phase, begins in zip(phases, earliest(phases), strict=True):
        if phase.lr_schedule is not None:
            longest = planned_epochs(schedule.epochs, phase, begins)
            peak = schedule.peak_lr() if phase.lr is None else phase.lr
            if text := schedule.misfit(phase.lr_schedule, longest, peak):
                yield phase, text, f"the phase has at most {longest} epochs, of the fit's {schedule.epochs}"


def phases_of(thaw: Thaw, groups: Named, parameters: Sequence[Parameter]) -> tuple[PhaseOf, ...]:
    """The phases that `thaw` means for a model with these `groups` and `parameters`; at least one.

    Raises: ThawError when a name matches no group, or one group twice in a phase, when a phase thaws nothing, never ends or has
    settings that would do nothing.
    """
    of_all: dict[str, list[str]] = {}
    for name, _, _ in parameters:
        of_all.setdefault(alone(name), []).append(name)
    if len(of_all) < len(parameters):
        groups = {group: tuple(dict.fromkeys(alone(name) for name in names)) for group, names in groups.items()}
        shapes = {alone(name): (alone(name), shape, trainable) for name, shape, trainable in parameters}
        return tuple(_of_all(phase, of_all) for phase in phases_of(thaw, groups, tuple(shapes.values())))
    names = tuple(name for name, _, trainable in parameters if trainable)
    known = _trained(groups, names)
    if not names:
        raise ThawError("the model has no parameters that train")
    written = _written(thaw, known, parameters)
    found: list[PhaseOf] = []
    before: dict[str, tuple[str, ...]] = {}
    ever: set[str] = set()
    for index, (said, part) in enumerate(written):
        now = {**before, **part} if thaw.cumulative else dict(part)
        members = {name for each in now.values() for name in each}
        new = members - ever
        last = index == len(written) - 1
        _sensible(thaw, said, index, last, bool(new))
        found.append(
            PhaseOf(
                index,
                groups=tuple(group for group in now if group not in before),
                parameters=tuple(name for name in names if name in members),
                new=tuple(name for name in names if name in new),
                **_times_and_rates(thaw, said, index, last, bool(new)),
            )
        )
        before, ever = now, ever | members
    return tuple(found)


def _of_all(phase: PhaseOf, names: Mapping[str, Sequence[str]]) -> PhaseOf:
    """A phase of one network for all of several, whose names of each parameter are `names`."""

    def each(parameters: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for own in parameters for name in names[own])

    return replace(phase, parameters=each(phase.parameters), new=each(phase.new))


def layers(groups: Named, parameters: Sequence[Parameter]) -> dict[str, tuple[str, ...]]:
    """Layer -> names of its parameters, in the order of the network; the head, all of it, is the last one."""
    head = set(groups.get(HEAD, ()))
    owners: dict[str, list[str]] = {}
    vectors: dict[str, bool] = {}
    for name, shape, _ in parameters:
        if name not in head:
            owner = name.rpartition(".")[0]
            owners.setdefault(owner, []).append(name)
            vectors[owner] = vectors.get(owner, True) and len(shape) <= 1
    joined: dict[str, list[str]] = {}
    current = ""
    for owner, names in owners.items():
        if not joined or not vectors[owner]:
            current = owner
        joined.setdefault(current, []).extend(names)
    whole = {names: group for group, names in groups.items()}
    found = {whole.get(tuple(names)) or _short(owner): tuple(names) for owner, names in joined.items()}
    return {**found, HEAD: tuple(groups[HEAD])} if head else found


def _short(owner: str) -> str:
    """The module's name without `encoder.`, unless it could then be taken for the stage's head."""
    short = owner.removeprefix(_ENCODER)
    return owner if short.partition(".")[0] == HEAD else short


def _trained(named: Named, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`named`, with only the parameters that train; what is left without any is left out."""
    wanted = set(names)
    kept = {group: tuple(name for name in members if name in wanted) for group, members in named.items()}
    return {group: members for group, members in kept.items() if members}


def _written(thaw: Thaw, groups: Named, parameters: Sequence[Parameter]) -> list[tuple[Phase, Named]]:
    """What each phase names, and the settings it was given."""
    by = thaw.by
    if isinstance(by, Phases):
        return [_by_hand(each, number, groups) for number, each in enumerate(by.phases)]
    parts: list[Named]
    if isinstance(by, Layers):
        parts = _downward(by, groups, parameters)
    elif by == "frozen":
        if HEAD not in groups:
            raise ThawError("`by: frozen` trains the head alone, and this head has no parameters", hint=_have(groups))
        parts = [{HEAD: groups[HEAD]}]
    else:
        parts = [groups]
    nothing = Phase(groups="all")
    return [(nothing, part) for part in parts]


def _downward(by: Layers, groups: Named, parameters: Sequence[Parameter]) -> list[Named]:
    names = tuple(name for name, _, trainable in parameters if trainable)
    if by.tensors is not None:
        return _chunks([(name, (name,)) for name in reversed(names)], by.tensors)
    assert by.layers is not None
    found = _trained(layers(groups, parameters), names)
    first: list[Named] = [{HEAD: found.pop(HEAD)}] if HEAD in found else []
    return first + _chunks(list(reversed(found.items())), by.layers)


def _chunks(items: list[tuple[str, tuple[str, ...]]], size: int) -> list[Named]:
    return [dict(items[i : i + size]) for i in range(0, len(items), size)]


def _by_hand(said: list[str] | str | Phase, number: int, groups: Named) -> tuple[Phase, Named]:
    phase = _settings(said)
    if phase.groups == "all":
        return phase, groups
    matched: dict[str, str] = {}
    for pattern in phase.groups:
        hits = [group for group in groups if fnmatchcase(group, pattern)]
        if not hits:
            text = f"phase {number} of the thaw: no group of the model that trains is called `{pattern}`"
            raise ThawError(text, hint=_have(groups) + ("; `all` is written without brackets" if pattern == "all" else ""))
        for hit in hits:
            if hit in matched:
                text = f"phase {number} of the thaw names `{hit}` twice, by `{matched[hit]}` and by `{pattern}`"
                raise ThawError(text, hint=_have(groups))
            matched[hit] = pattern
    if not matched:
        raise ThawError(f"phase {number} of the thaw names no group", hint=_have(groups))
    return phase, {group: groups[group] for group in groups if group in matched}


def _settings(said: list[str] | str | Phase) -> Phase:
    """A phase by hand as a mapping of settings, however it was written."""
    return said if isinstance(said, Phase) else Phase.model_validate({"groups": said})


def _times_and_rates(thaw: Thaw, said: Phase, index: int, last: bool, new: bool) -> dict[str, Any]:
    """Fields of a `PhaseOf`: when it ends and what its rate is. `new`: it thaws something for the first time."""
    return {
        "lr": thaw.lr if said.lr is None and index > 0 and new else said.lr,
        "lr_schedule": said.lr_schedule,
        "weight_decay": said.weight_decay,
        "own_best": thaw.best == "phase" or index == 0,
        **({} if last else _ends(thaw, said, index)),
    }


def _ends(thaw: Thaw, said: Phase, index: int) -> dict[str, int | None]:
    """How the phase ends: what it says itself, or else what the thaw says for all."""
    until = None if thaw.until_epoch is None else thaw.until_epoch * (index + 1)
    return {
        "max_epochs": thaw.max_epochs if said.max_epochs is None else said.max_epochs,
        "until_epoch": until if said.until_epoch is None else said.until_epoch,
        "patience": thaw.patience if said.patience is None else said.patience,
    }


def written_lengths(thaw: Thaw) -> tuple[PhaseOf, ...]:
    """The phases of a thaw by hand without what they thaw, as far as ends and rates go: what is so for any model; else ()."""
    if not isinstance(thaw.by, Phases):
        return ()
    last = len(thaw.by.phases) - 1
    return tuple(
        PhaseOf(index, (), (), (), **_times_and_rates(thaw, _settings(said), index, index == last, new=True))
        for index, said in enumerate(thaw.by.phases)
    )


def ends_as_written(thaw: Thaw) -> None:
    """Tell where a thaw has no end for a phase, or one that does nothing, as far as that is so for any model.

    Raises: ThawError.
    """
    if isinstance(thaw.by, Phases):
        for index, said in enumerate(thaw.by.phases):
            _ends_well(thaw, _settings(said), index, index == len(thaw.by.phases) - 1)
    elif isinstance(thaw.by, Layers) and thaw.by.layers is not None:
        _ends_well(thaw, Phase(groups="all"), 0, last=False)  # there is a head, and there are layers below it


def _sensible(thaw: Thaw, said: Phase, number: int, last: bool, thaws: bool) -> None:
    _ends_well(thaw, said, number, last)
    if thaws:
        return
    if thaw.cumulative:
        text = f"phase {number} of the thaw names nothing that is not thawed already"
        raise ThawError(text, hint="leave it out, or say `cumulative: false`: a phase then trains only what it names")
    own = [name for name in ("lr", "lr_schedule", "weight_decay") if getattr(said, name) is not None]
    if own:
        text = f"phase {number} of the thaw has its own `{own[0]}`, and thaws nothing for the first time"
        raise ThawError(text, hint="rate and decay belong to the phase that first thaws a parameter: say them there")


def _ends_well(thaw: Thaw, said: Phase, number: int, last: bool) -> None:
    ends = ("max_epochs", "until_epoch", "patience")
    if last:
        idle = [name for name in ends if getattr(said, name) is not None]
        if idle:
            text = f"phase {number} is the last of the thaw and lasts as long as the fit: its `{idle[0]}` would do nothing"
            raise ThawError(text, hint="leave it out; `early_stopping` of the schedule ends a fit early")
    elif all(value is None for value in _ends(thaw, said, number).values()):
        text = f"phase {number} of the thaw would never end, and phase {number + 1} never begin"
        raise ThawError(text, hint="say how phases end: `max_epochs`, `until_epoch` or `patience`")


def _have(groups: Named) -> str:
    return f"its groups: {', '.join(groups)}"
