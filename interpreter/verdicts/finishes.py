"""Claims that every trial reaches its planned end: counted, not estimated."""

from __future__ import annotations

from collections.abc import Sequence

from interpreter.plan.types import ArmPlan
from interpreter.verdicts.history import History

_TOLD = 3  # trials told one by one
_UNDER_WAY = frozenset({"new", "running"})


def finishes(arms: Sequence[ArmPlan], history: History) -> tuple[str, str, int]:
    """The state of the claim that every trial of `arms` reaches its planned end, why, and how many did.

    Early stopping is a planned end. A trial that failed, was stopped, died or ended early contradicts, whatever is still to
    come; one that is not done yet leaves the claim open.
    """
    broken, pending, touched, done, count = [], [], False, 0, 0
    for arm in arms:
        for trial in arm.trials:
            facts = [(name, history.fact(key)) for name, key in trial.stages]
            where = f"{arm.name} at seed {trial.seed}: "
            ended = [fact.words(name) for name, fact in facts if not fact.complete and fact.state not in _UNDER_WAY]
            waiting = [fact.words(name) for name, fact in facts if fact.state in _UNDER_WAY]
            broken += [where + ended[0]] if ended else []
            pending += [where + waiting[0]] if waiting and not ended else []
            touched |= any(fact.state != "new" for _, fact in facts)
            done += not ended and not waiting
            count += 1
    called = f"{count} trial{'s' * (count != 1)}"
    if broken:
        return "contradicted", f"{len(broken)} of {called} did not reach the planned end: {_some(broken)}", done
    if not touched:
        return "not-run", f"none of {called} was run", done
    if pending:
        return "incomplete", f"{done} of {called} reached the planned end: {_some(pending)}", done
    return "supported", f"all {called} reached the planned end" if count > 1 else "the trial reached its planned end", done


def _some(texts: Sequence[str]) -> str:
    return "; ".join(texts[:_TOLD]) + (f"; and {len(texts) - _TOLD} more" if len(texts) > _TOLD else "")
