"""The phases of a thaw before anything is trained: what a page means for the model it names, and what the model has not got.

All of it follows from names and shapes of parameters, which are known once a model was looked at (`--deep`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from math import prod
from typing import Any

from interpreter.check.thaws import phase_problems
from interpreter.check.types import CheckedArm, CheckedPage, CheckedStage
from interpreter.cli.uses import request_of
from interpreter.errors import Place, Problem, Problems
from interpreter.run.facts import Facts, Request
from interpreter.source import nodes
from interpreter.source.nodes import Node
from interpreter.spec.stages import Phases
from interpreter.spec.thawing import PhaseOf, ThawError, phases_of

NAMES = 6  # of the parameters that a phase thaws; of more the first, and how many more there are
_QUOTED = re.compile(r"`([^`]+)`")
_ENDS = ("max_epochs", "until_epoch", "patience")

Known = Callable[[Request], Facts | None]


def phases(stage: CheckedStage, known: Known, page: str) -> dict[int, Any] | str | None:
    """The phases of a fit as plain data, by number from 0; in words why they can't be told; None for a fit without a thaw."""
    if stage.thaw is None:
        return None
    request, why = request_of(stage)
    if request is None:
        return f"not known: {why}"
    facts = known(request)
    if facts is None:
        return f"known once the model was looked at: expt plan {page} --deep"
    try:
        found = phases_of(stage.thaw, facts.groups, facts.parameters)
    except ThawError as error:
        return f"can't be followed: {error}"
    sizes = {name: prod(shape) for name, shape, _ in facts.parameters}
    before = [(), *(set(phase.parameters) for phase in found)]
    return {p.index: _phase(p, stage, sizes, had, last=p is found[-1]) for p, had in zip(found, before, strict=False)}


def _phase(
    phase: PhaseOf, stage: CheckedStage, sizes: Mapping[str, int], before: Collection[str], *, last: bool
) -> dict[str, Any]:
    """One phase; `before`: names of the parameters that train in the one before it."""
    thawed = [name for name in phase.parameters if name not in before]
    more = len(thawed) - NAMES
    out: dict[str, Any] = {
        "thaws": list(phase.groups),
        "parameters": sum(sizes[name] for name in thawed),
        "names": [*thawed[:NAMES], *([f"and {more} more"] if more > 0 else [])],
        "trains": f"{sum(sizes[name] for name in phase.parameters)} parameters in {len(phase.parameters)} tensors",
    }
    if phase.new and stage.schedule is not None:
        out["peak_lr"] = stage.schedule.peak_lr() if phase.lr is None else phase.lr
    if phase.lr_schedule is not None:
        out["lr_schedule"] = phase.lr_schedule.type
    if phase.weight_decay is not None:
        out["weight_decay"] = phase.weight_decay
    ends = {name: value for name in _ENDS if (value := getattr(phase, name)) is not None}
    return out | {"ends": "with the fit" if last else ends}


def misfits(arms: Iterable[CheckedArm], known: Known) -> list[Problem]:
    """A Problem for each thaw, and each `lr_times`, that names what the model has not got; models not `known` are passed by."""
    problems = Problems()
    for arm in arms:
        for stage in arm.chain:
            named = stage.schedule is not None and bool(stage.schedule.lr_times)
            if stage.kind != "fit" or (stage.thaw is None and not named):
                continue
            request, _ = request_of(stage)
            facts = known(request) if request is not None else None
            if facts is not None:
                for problem in _misfits(stage, facts):
                    problems.add(problem)
    return problems.found


def arms_of(page: CheckedPage) -> list[CheckedArm]:
    """All arms of a page."""
    return [arm for entry in page.entries for arm in entry.arms.values()]


def _misfits(stage: CheckedStage, facts: Facts) -> Iterable[Problem]:
    if stage.thaw is not None:
        path = f"stages.{stage.name}"
        try:
            found = phases_of(stage.thaw, facts.groups, facts.parameters)
        except ThawError as error:
            place = _place(stage, ("thaw",), str(error))
            yield Problem("thaw-misfit", str(error), place, f"{path}.thaw", hint=error.hint)
        else:
            if stage.schedule is not None and not isinstance(stage.thaw.by, (str, Phases)):  # the others need no model
                yield from phase_problems(stage.schedule, found, _place(stage, ("thaw",), ""), path)
    if stage.schedule is not None and stage.schedule.lr_times:
        try:
            stage.schedule.lr_patterns(facts.groups)
        except ValueError as error:
            place = _place(stage, ("schedule", "lr_times"), str(error))
            hint = f"its groups: {', '.join(facts.groups)}"
            yield Problem("rates-misfit", str(error), place, f"stages.{stage.name}.schedule.lr_times", hint=hint)


def _place(stage: CheckedStage, path: tuple[str, ...], words: str) -> Place:
    """Where the last name that `words` quote stands below `path`, else the deepest part of the path that was written."""
    node: Node | None = stage.written
    place = stage.place
    for key in path:
        node = node.get(key) if isinstance(node, nodes.Mapping) else None
        if node is None:
            return place
        place = node.place
    for name in reversed(_QUOTED.findall(words)):
        if (found := _find(node, name)) is not None:
            return found
    return place


def _find(node: Node | None, name: str) -> Place | None:
    if isinstance(node, nodes.Scalar):
        return node.place if node.value == name else None
    if isinstance(node, nodes.Sequence):
        return next((place for item in node.items if (place := _find(item, name)) is not None), None)
    if isinstance(node, nodes.Mapping):
        below = (node.keys[key] if key == name else _find(item, name) for key, item in node.items.items())
        return next((place for place in below if place is not None), None)
    return None
