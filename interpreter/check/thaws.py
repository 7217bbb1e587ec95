"""What is wrong or idle in a thaw, whatever the model: phases without an end, rules that can't fit, settings that do nothing."""

from __future__ import annotations

from collections.abc import Iterator

from interpreter.check.types import CheckedStage
from interpreter.errors import Place, Problem, Problems, Severity
from interpreter.source.nodes import Mapping, place_of
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.stages import Phase, Phases, Thaw
from interpreter.spec.thawing import PhaseOf, ThawError, earliest, ends_as_written, rules_that_do_not_fit, written_lengths

_OF_PHASES = ("max_epochs", "until_epoch", "patience", "restore_best", "lr")  # do nothing where there is one phase


def needs_monitor(thaw: Thaw) -> bool:
    """Whether some phase can't do without the monitored metric."""
    own = [each.patience for each in thaw.by.phases if isinstance(each, Phase)] if isinstance(thaw.by, Phases) else []
    return thaw.restore_best or thaw.patience is not None or any(own)


def thaw_problems(stage: CheckedStage, node: Mapping, path: str, problems: Problems) -> None:
    """Tell what of a fit's thaw can't be followed, or would do nothing, whatever the model."""
    thaw, schedule = stage.thaw, stage.schedule
    assert thaw is not None and schedule is not None
    where = place_of(node, ("thaw",))
    try:
        ends_as_written(thaw)
    except ThawError as error:
        problems.add(Problem("thaw-misfit", str(error), place_of(node, ("thaw", "by")), f"{path}.thaw", hint=error.hint))
        return
    if isinstance(thaw.by, str):
        idle = [name for name in _OF_PHASES if getattr(thaw, name) != Thaw.model_fields[name].default]
        if idle:
            text = f"`by: {thaw.by}` is one phase, and `{idle[0]}` does nothing"
            hint = "the rate is the schedule's" if idle[0] == "lr" else "a phase that is the last one lasts as long as the fit"
            place = place_of(node, ("thaw", idle[0]))
            problems.add(Problem("no-effect", text, place, f"{path}.thaw.{idle[0]}", hint=hint, severity=Severity.WARNING))
        return
    for problem in phase_problems(schedule, written_lengths(thaw), where, path):
        problems.add(problem)


def phase_problems(schedule: Schedule, phases: tuple[PhaseOf, ...], place: Place, path: str) -> Iterator[Problem]:
    """What is wrong with the lengths of `phases` and with the rates that are laid over them."""
    for phase, text, hint in rules_that_do_not_fit(schedule, phases):
        yield Problem("thaw-misfit", f"phase {phase.index} of the thaw: {text}", place, f"{path}.thaw", hint=hint)
    begins = earliest(phases)
    late = [phase.index for phase, begin in zip(phases, begins, strict=True) if begin >= schedule.epochs]
    if late:
        which = f"phase {late[0]}" + (" and those after it" if len(late) > 1 else "") + " can't begin"
        text = f"{which}: after {begins[late[0]]} epochs at the earliest, of a fit of {schedule.epochs}"
        yield Problem("no-effect", text, place, f"{path}.thaw", hint="shorter phases, or more epochs", severity=Severity.WARNING)
    for phase in phases[:-1]:
        rule = phase.lr_schedule
        if rule is not None and rule.ends_at(schedule.peak_lr() if phase.lr is None else phase.lr) == 0:
            text = f"phase {phase.index} has a rate rule of its own that ends at 0 with the phase: what it thaws learns no more"
            hint = "give the rule a `floor`; what a phase thaws keeps that phase's rule"
            yield Problem("rate-runs-out", text, place, f"{path}.thaw", hint=hint, severity=Severity.WARNING)
