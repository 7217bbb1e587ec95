"""`combine`: an arm whose trials are groups of another arm's trials, their predictions averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from interpreter.spec.base import Config
from interpreter.spec.names import own_arm_ref


class Combine(Config):
    """Trials of an arm taken together: their predictions are averaged and measured as those of one model."""

    combine: str
    """The arm of this entry whose trials are members, `arm` or `arm[point]`."""
    members: int = Field(ge=2)
    """Trials in a group."""
    groups: Literal["disjoint", "sliding"] = "disjoint"
    """disjoint: each trial in one group, what is left over unused; groups are replicates. sliding: group i has the seeds from the
    i-th on, around the end; such groups share members, so they describe and are no replicates."""
    how: Literal["mean_probability", "geometric_mean", "mean_logit", "mean_output"] = "mean_probability"
    """What is averaged: probabilities; their logarithms (geometric_mean) or the logits before them (mean_logit), which predict
    the same and differ in the outputs kept; or, for numbers, the outputs (mean_output)."""
    baseline: bool = False
    """Claims and tables compare against this arm."""
    only: list[str] | None = Field(default=None, min_length=1)
    """The evaluate stages that are combined. Absent: all of them, and the validation split of the last fit."""

    @field_validator("combine")
    @classmethod
    def _an_arm(cls, value: str) -> str:
        found = own_arm_ref(value)
        if found is None or found.date:
            raise ValueError(f"`{value}` is not the name of an arm of this entry")
        return value


def groups_of(seeds: Sequence[int], combine: Combine) -> list[tuple[int, ...]]:
    """The groups of `seeds` that are combined, by group number; [] where there are fewer seeds than members.

    Disjoint groups are runs of consecutive seeds; a rest that makes no whole group is left out. There are as many sliding
    groups as seeds, except that all of the seeds are one group.
    """
    size, count = combine.members, len(seeds)
    if count < size:
        return []
    if combine.groups == "disjoint" or count == size:
        return [tuple(seeds[i : i + size]) for i in range(0, count - size + 1, size)]
    return [tuple(seeds[(i + j) % count] for j in range(size)) for i in range(count)]
