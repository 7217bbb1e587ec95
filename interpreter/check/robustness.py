"""Lines that are fitted to arms: whether the arms they speak of are there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Mapping as MappingType

from interpreter.check.metrics import metric_of
from interpreter.check.types import CheckedArm
from interpreter.errors import Problem, Problems
from interpreter.source.nodes import Mapping, Sequence
from interpreter.spec.measures import EffectiveRobustness
from interpreter.spec.names import did_you_mean
from interpreter.spec.robustness import FittedLine, means

LEAST_MODELS = 3  # other than the one that is judged


def nobody(text: str, arms: Iterable[CheckedArm]) -> str:
    """Why `text` means no arm, or ""."""
    known = list(arms)
    if not known or any(_means(text, arm) for arm in known):
        return ""
    blocked = any(_unseen(arm) and text.startswith(f"{arm.base}[") for arm in known)
    return "" if blocked else f"`{text}` means no arm of this entry"


def fitted_line(
    robust: EffectiveRobustness, item: Mapping, path: str, arms: MappingType[str, CheckedArm], whole: bool, problems: Problems
) -> None:
    """Tell the arms of a fitted line that aren't there, and a line none of whose arms has both accuracies; or, where the
    entry is `whole`, one of too few models."""
    line, below = robust.line, item.get("effective_robustness")
    if not isinstance(line, FittedLine) or not isinstance(below, Mapping) or not arms:
        return
    written = below.get("line")
    to = written.get("to") if isinstance(written, Mapping) else None
    places = [each.place for each in to.items] if isinstance(to, Sequence) else [item.place] * len(line.to)
    where = f"{path}.effective_robustness.line.to"
    told = False
    for text, place in zip(line.to, places, strict=True):
        if why := nobody(text, arms.values()):
            hint = did_you_mean(text, {arm.base for arm in arms.values()})
            problems.add(Problem("unknown-arm", why, place, where, got=text, hint=hint))
            told = True
    meant = [arm for arm in arms.values() if any(_means(text, arm) for text in line.to)]
    whys = [metric_of(arm, robust.in_) or metric_of(arm, robust.out) for arm in meant]
    if not told and whys and whys[0] is not None and all(whys):
        text = f"no arm of this line has both accuracies: {whys[0].why}"
        problems.add(Problem("unknown-metric", text, places[0], where, hint=whys[0].hint))
    elif not told and whole and not any(_unseen(arm) for arm in meant):
        both = {arm.name: _models(arm) for arm in arms.values() if not any(metric_of(arm, m) for m in (robust.in_, robust.out))}
        of = {arm.name: both.get(arm.name, 0) for arm in meant}
        others = {name: sum(n for each, n in of.items() if each != name) for name in both}
        if others and max(others.values()) < LEAST_MODELS:
            n = max(others.values())
            text = f"this line has {n} model{'s' * (n != 1)} to be fitted to, those of the arm that is judged left out"
            hint = "more arms, more seeds, or imported results; each trial is a model"
            problems.add(Problem("bad-value", text, places[0], where, f"{LEAST_MODELS} models at least", hint=hint))


def _models(arm: CheckedArm) -> int:
    """How many trials an arm has, those that claims may add included."""
    seeds = arm.whole.seeds
    return math.prod(len(seeds[level]) for level in arm.levels) if arm.levels else max(map(len, seeds.values()), default=0)


def _means(text: str, arm: CheckedArm) -> bool:
    return means(text, arm.name, arm.base, arm.point, arm.factors)


def _unseen(arm: CheckedArm) -> bool:
    """Whether the arm is a file that is not here, whose models nobody knows."""
    stage = arm.chain[0]
    return stage.imported is not None and not arm.factors and bool(stage.imported.settings.each)
