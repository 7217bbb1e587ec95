"""Whether two arms are the same record, as far as a page tells: equal settings and equal seeds, wherever they are written."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from interpreter.check.types import CheckedArm, CheckedStage
from interpreter.errors import Place
from interpreter.spec.claims import Side

_NOWHERE = Place("", 0, 0)


def alike(one: CheckedArm, other: CheckedArm) -> bool:
    """Whether the stages of two arms come out equal, so that what is read off one is read off the other."""
    if one is other:
        return True
    if (len(one.chain), one.seeds, one.levels, one.growth) != (len(other.chain), other.seeds, other.levels, other.growth):
        return False
    pairs = zip(one.chain, other.chain, strict=True)
    return all(_bare(mine, one.entry_id) == _bare(theirs, other.entry_id) for mine, theirs in pairs)


def same(left: Side, right: Side, arms: Mapping[str, CheckedArm]) -> bool:
    """Whether all that two sides compare, or the points of one, is read in the same way off the same record. `arms`: by name."""
    if right.names and left.measure != right.measure:
        return False
    several = len(left.names) > 1 and not left.quantifier and len(left.names) == len(right.names)
    ones, others = ([arms[name] for name in names] for names in (left.names, right.names or left.names[:1]))
    pairs = zip(ones, others, strict=True) if several else itertools.product(ones, others)
    return all(alike(one, other) for one, other in pairs)


def _bare(stage: CheckedStage, entry_id: str) -> CheckedStage:
    """`stage` without where it is written and what the page calls its parts; arms of its own entry named from everywhere."""
    origin = replace(stage.origin, place=None)
    if origin.arm:
        origin = replace(origin, entry=origin.entry or entry_id)
    scores = tuple(replace(each, place=_NOWHERE, entry=each.entry or entry_id) for each in stage.scores)
    combined = replace(stage.combined, arm=f"{entry_id}/{stage.combined.arm}") if stage.combined is not None else None
    return replace(
        stage, place=_NOWHERE, model_place=None, data_name="", model_name="", origin=origin, scores=scores, combined=combined
    )
