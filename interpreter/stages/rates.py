"""The learning rate of each parameter group at each step: the stage's rule, or that of the phase that thaws the group.

A rate is rule(step) * the group's own `times` * the plateau's factor. What a phase with a rate or a rate schedule of its own
thaws follows that from the phase's first step on, also when further phases have begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer

from interpreter.errors import StageFailed
from interpreter.parts.optim import rate
from interpreter.parts.optim.optimizers import places
from interpreter.spec.components.schedules import Plateau, Schedule
from interpreter.spec.thawing import PhaseOf, planned_epochs, rules_that_do_not_fit
from interpreter.stages.judging import value_of

Group = dict[str, Any]
_LOOKS = 512  # steps of a phase at which its planned rates are looked at


@dataclass(frozen=True, slots=True)
class Planned:
    """The learning rate over a stretch of steps: the highest, the mean, and the peak of its rule, wherever that is."""

    highest: float
    mean: float
    peak: float


class Rates:
    """Sets the rates of a fit's optimizer. What they follow besides the step is in `state`."""

    def __init__(self, settings: Mapping[str, Any], phases: Sequence[PhaseOf], steps: Sequence[int]) -> None:
        self._schedule = Schedule.model_validate(dict(settings))
        self._phases = phases
        self._steps = steps  # of each planned epoch
        self._check()
        self._stage = rate.rule(self._schedule, steps)
        self.began = [0]  # the step at which each phase reached so far began
        self._plateau = rate.Plateau(self._schedule) if isinstance(self._schedule.lr_schedule, Plateau) else None
        self._rules: list[rate.Rule] = []  # of each phase reached so far
        self._groups: list[Group] = []
        self._bound: list[tuple[rate.Rule, list[tuple[Group, float]]]] = []

    def _check(self) -> None:
        """Raises: StageFailed when a phase's own rule does not fit into the phase, however long it may become."""
        for phase, text, hint in rules_that_do_not_fit(self._schedule, self._phases):
            raise StageFailed(f"phase {phase.index} of the thaw: {text}", hint=hint)

    def bind(self, optimizer: Optimizer) -> None:
        """Take the groups of `optimizer` over; again whenever its state was loaded or a phase has begun."""
        self._groups = optimizer.param_groups
        self._rules = [self._rule(phase, step) for phase, step in zip(self._phases, self.began, strict=False)]
        bound: dict[int, tuple[rate.Rule, list[tuple[Group, float]]]] = {}
        for group in self._groups:
            # A group loaded from a checkpoint of an earlier release has neither key, and then there is one phase.
            if group.get("phase", 0) < len(self._rules):
                rule = self._rules[group.get("phase", 0)]
                bound.setdefault(id(rule), (rule, []))[1].append((group, group.get("times", 1.0)))
        self._bound = list(bound.values())

    def begin_phase(self, step: int) -> None:
        """The next phase begins with `step`."""
        self.began.append(step)

    def set(self, step: int) -> None:
        """Put the rates, and the momentum where a rule moves it, of `step` into the groups of all phases begun."""
        factor = 1.0 if self._plateau is None else self._plateau.factor
        for rule, members in self._bound:
            now = rule.at(step) * factor
            for group, times in members:
                group["lr"] = now * times
            if rule.momentum is not None:
                momentum = rule.momentum(step)
                for group, _ in members:
                    if "betas" in group:
                        group["betas"] = (momentum, *group["betas"][1:])
                    else:
                        group["momentum"] = momentum

    def observe(self, metrics: Mapping[str, float]) -> None:
        """An epoch has ended with these metrics: a plateau's rate may drop. Raises: StageFailed when its metric is not there."""
        if self._plateau is not None:
            self._plateau.observe(value_of(metrics, self._plateau.monitor))

    def now(self) -> dict[str, float]:
        """The rate last set of each group in which something trains."""
        return {group["name"]: float(group["lr"]) for group in self._groups if any(p.requires_grad for p in group["params"])}

    def planned(self, phase: int) -> Planned | None:
        """The rate of what `phase`, begun by now, thaws, for as long as the phase at hand is planned to last.

        None where it thaws nothing for the first time.
        """
        if not self._phases[phase].new:
            return None
        place = places(self._schedule, self._phases)[phase]
        times = [group.get("times", 1.0) for group in self._groups if group.get("phase", 0) == place]
        if not times:
            return None
        rule, now = self._rules[phase], len(self.began) - 1
        epochs = rate.epochs_of(self._steps)
        began = epochs.of(self.began[now])
        steps = range(self.began[now], epochs.start(began + planned_epochs(self._schedule.epochs, self._phases[now], began)))
        looked = {*steps[:: max(1, len(steps) // _LOOKS)], steps[-1]} | ({rule.peaks_at} if rule.peaks_at in steps else set())
        seen = [rule(step) for step in sorted(looked)]
        factor = max(times) * (1.0 if self._plateau is None else self._plateau.factor)
        return Planned(max(seen) * factor, sum(seen) / len(seen) * factor, rule.peak * factor)

    def never_peaked(self, steps: int) -> list[tuple[int, float, float]]:
        """Phases whose rate was still rising when the fit ended after `steps` steps: (phase, highest rate, peak of the rule)."""
        rules = {id(rule): (phase, rule) for phase, rule in reversed(list(enumerate(self._rules)))}
        found = [
            (phase, rate.never_peaked(rule, steps, self.began[phase]), rule.peak) for phase, rule in reversed(rules.values())
        ]
        return [(phase, highest, peak) for phase, highest, peak in found if highest is not None]

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        plateau = None if self._plateau is None else self._plateau.state()
        return {"rates": self.now(), "began": list(self.began), "plateau": plateau}

    def load(self, state: Any) -> None:
        """Go on from a checkpoint's state."""
        if isinstance(state, Mapping):  # a number, of an earlier release, says no more than the step does
            self.began = list(state["began"])
            if self._plateau is not None:
                self._plateau.load(state["plateau"])

    def _rule(self, phase: PhaseOf, began: int) -> rate.Rule:
        if phase.lr is None and phase.lr_schedule is None:
            return self._stage
        return rate.phase_rule(self._schedule, phase, self._steps, began)
