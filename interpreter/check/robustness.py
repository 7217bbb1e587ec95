"""Lines that are fitted to arms: whether the arms they speak of are there."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingType

from interpreter.check.metrics import metric_of
from interpreter.check.types import CheckedArm
from interpreter.errors import Problem, Problems
from interpreter.source.nodes import Mapping, Sequence
from interpreter.spec.measures import EffectiveRobustness
from interpreter.spec.names import did_you_mean
from interpreter.spec.robustness import FittedLine, means


def nobody(text: str, arms: Iterable[CheckedArm]) -> str:
    """Why `text` means no arm, or ""."""
    known = list(arms)
    if not known or any(_means(text, arm) for arm in known):
        return ""
    blocked = any(_unseen(arm) and text.startswith(f"{arm.base}[") for arm in known)
    return "" if blocked else f"`{text}` means no arm of this entry"


def fitted_line(
    robust: EffectiveRobustness, item: Mapping, path: str, arms: MappingType[str, CheckedArm], problems: Problems
) -> None:
    """Tell the arms of a fitted line that aren't there, and a line none of whose arms has both accuracies."""
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
    if not told and whys and all(whys):
        problems.add(Problem("unknown-metric", f"no arm of this line has both accuracies: {whys[0]}", places[0], where))


def _means(text: str, arm: CheckedArm) -> bool:
    return means(text, arm.name, arm.base, arm.point, arm.factors)


def _unseen(arm: CheckedArm) -> bool:
    """Whether the arm is a file that is not here, whose models nobody knows."""
    stage = arm.chain[0]
    return stage.imported is not None and not arm.factors and bool(stage.imported.settings.each)
