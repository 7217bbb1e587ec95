"""Which arms are to have one more seed: those of claims that are not decided yet and that more seeds can decide."""

from __future__ import annotations

from collections.abc import Iterable

from interpreter.plan.types import EntryPlan, Plan
from interpreter.run.seeds import Wanted
from interpreter.verdicts.types import Judgement, Verdict


def more_seeds(plan: Plan, judgements: Iterable[Judgement]) -> tuple[Wanted, ...]:
    """The arms of `plan` that the verdicts ask more seeds for, each with one more than the claim has now."""
    entries = {entry.id: entry for entry in plan.entries}
    found: dict[tuple[str, str], Wanted] = {}
    for judgement in judgements:
        entry = entries.get(judgement.entry.id)
        for verdict in judgement.verdicts if entry is not None else ():
            for arm, seeds in _asked(entry, verdict):
                where = (entry.id, arm)
                before = found.get(where)
                claims = (*(before.claims if before else ()), verdict.claim.name)
                found[where] = Wanted(*where, max(seeds, before.seeds if before else 0), claims)
    return tuple(found.values())


def _asked(entry: EntryPlan, verdict: Verdict) -> list[tuple[str, int]]:
    """The arms that a verdict asks seeds for, and how many; [] where it asks for none."""
    claim = verdict.claim
    named = dict.fromkeys([*claim.left.names, *claim.right.names, *(name for name, _ in claim.levels)])
    arms = [arm for arm in entry.arms if arm.name in named]
    if not verdict.open or not arms or len(arms) < len(named) or any(arm.growth is None for arm in arms):
        return []  # a side that stays as it is has no seed to pair a further one with
    next_ = min(arm.seeds for arm in arms) + 1
    if any(next_ > arm.seeds + arm.room for arm in arms):
        return []
    return [(arm.name, next_) for arm in arms if arm.seeds < next_]
