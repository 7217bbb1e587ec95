"""Training on part of a dataset, chosen by scores that an earlier run gave each example. Evaluated splits stay whole."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from interpreter.spec.base import Config, how, since
from interpreter.spec.components.contract import Dataset

_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


def _share(value: Any) -> Any:
    """A percentage as the number it stands for, correctly rounded: "33.3%" is 0.333."""
    if isinstance(value, str):
        match = _PERCENT.fullmatch(value)
        if match is None:
            raise ValueError("a share is written with a % (40%), or as a number above 0 and up to 1 (0.4)")
        return float(f"{match[1]}e-2")
    return value


Share = Annotated[
    float,
    BeforeValidator(_share),
    Field(gt=0, le=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\d+(\.\d+)? ?%$"},
            ]
        }
    ),
]


class ScoredBy(Config):
    """Where the scores of the training examples come from: a `score` stage that ran before."""

    result: Annotated[str, Field(min_length=1)] = how(...)
    """The score stage, as DATE/entry/arm.stage, shorter within its own page or entry. Its key is identity, not its name."""
    seed: Annotated[int, Field(ge=0)] | None = how(None)
    """Which of its trials. Absent: the one with the seed of this fit."""


class Growth(Config):
    """A share that grows while the fit goes on: a curriculum within one stage. Each epoch has one batch at the least."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Share = Field(alias="from")
    """Share of the training examples in the first epoch."""
    to: Share = 1.0
    """Share from the end of the growth on."""
    over: Annotated[int, Field(ge=1)]
    """Epochs after which the last share is reached."""
    pace: Literal["linear", "step", "root"] = "linear"
    """How the share grows: evenly, in equal `jumps`, or so that its square grows evenly (fast first: Platanios 2019)."""
    jumps: Annotated[int, Field(ge=1)] | None = None
    """For `pace: step`: how many equal jumps, evenly spaced, the last of them after `over` epochs. Absent: one."""

    @model_validator(mode="after")
    def _grows(self) -> Growth:
        if self.to <= self.from_:
            raise ValueError(f"a subset that grows ends at more than it begins with, and this goes {self.from_:g} to {self.to:g}")
        if self.jumps is not None and self.pace != "step":
            raise ValueError("`jumps` belong to `pace: step`")
        return self


class Subset(Config):
    """Part of the training examples, by difficulty: 1 - probability of the true class, averaged over an example's scores.

    Shares are of what a label budget leaves, rounded to whole examples, halves up. Ties are broken by the order of the
    dataset. How many examples remain, and of which classes, is recorded. Computed normalization is that of the whole training
    split, so that arms with and without a subset see the same numbers.
    """

    easiest: Share | Growth | None = None
    """This share of the examples, least difficult first: 40%; or one that grows: {from: 20%, to: 100%, over: 30}."""
    hardest: Share | Growth | None = None
    """This share of the examples, most difficult first; or one that grows."""
    below: Annotated[float, Field(gt=0, le=1)] | None = None
    """Examples whose difficulty is below this, strictly."""
    above: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Examples whose difficulty is above this, strictly."""
    scored_by: ScoredBy
    """The earlier run that scored the examples."""

    @model_validator(mode="after")
    def _one_rule(self) -> Subset:
        rules = {name: getattr(self, name) for name in ("easiest", "hardest", "below", "above")}
        given = [name for name, value in rules.items() if value is not None]
        if len(given) != 1:
            said = ", ".join(f"`{name}`" for name in given) or "none"
            raise ValueError(f"a subset has one rule of easiest, hardest, below, above, and here are {said}")
        return self


class Scored(Dataset):
    """A dataset whose training examples keep their names from run to run, so that earlier scores can choose among them."""

    subset: Subset | None = since(1, None, neutral=None)
    """Only part of the training examples, by an earlier run's scores: {easiest: 40%, scored_by: {result: ...}}."""
