"""The grammar of claims and waivers: what people write under `expect` and `allow`, each as one strict model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from interpreter.spec.base import Config


class WrittenOrder(Config):
    """A claim that one arm is below, above or like another."""

    claim: str
    """`a < b`, `a > b` or `a ~ b`, of arms or of `[all | any | mean | best] arm[point].measure`."""
    on: str | None = None
    """The measure, where the claim itself names none."""
    margin: float | None = Field(default=None, ge=0)
    """Of an order: by how much; 0 must be written."""
    within: float | None = Field(default=None, gt=0)
    """Of a likeness: how near is near enough."""
    chosen_by: str | None = None
    """Of `best`: the measure that chooses the point, on other data than what is compared."""
    over: Literal["seeds", "examples", "both"] = "seeds"
    """What the interval speaks of: other seeds, other examples, or both."""
    cluster: str | None = None
    """Over examples: what examples that belong together share; they are drawn together."""
    why: str | None = None
    """The author's reason."""


class WrittenValue(Config):
    """A claim about a measure of one arm and a number."""

    value: str
    """`measure < 0.5`, `measure > 90%` or `measure ~ 0`."""
    arm: str
    """The arm, `[all | any | mean] arm[point]`."""
    margin: float | None = Field(default=None, ge=0)
    """Of an order: by how much; 0 must be written."""
    within: float | None = Field(default=None, gt=0)
    """Of a likeness: how near is near enough."""
    over: Literal["seeds", "examples", "both"] = "seeds"
    """What the interval speaks of: other seeds, other examples, or both."""
    cluster: str | None = None
    """Over examples: what examples that belong together share."""
    why: str | None = None
    """The author's reason."""


class WrittenTrend(Config):
    """A claim that a measure rises, falls or stays along a factor of a sweep."""

    trend: Literal["rising", "falling", "flat"]
    """Which way. flat: no two values of the factor differ by more than `within`."""
    arm: str
    """The sweep; `arm[factor=value]` keeps another factor fixed, else its values are averaged."""
    along: str
    """The factor; its values must be numbers."""
    on: str
    """The measure."""
    margin: float | None = Field(default=None, ge=0)
    """rising, falling: slope at least, in units of the measure per unit of the factor; 0 must be written."""
    within: float | None = Field(default=None, gt=0)
    """flat: how near is near enough."""
    why: str | None = None
    """The author's reason."""


class WrittenShape(Config):
    """A claim about the shape of a curve."""

    shape: Literal["rises_after_min", "plateaus", "still_improving", "stagnant_first", "never_improves"]
    """What the curve does."""
    arm: str
    """The arm, `[all | any | mean] arm[point]`."""
    on: str
    """The metric, `[stage.]split/name`."""
    by: float = Field(default=0.0, ge=0)
    """By how much, in the metric's units."""
    over_last: int | None = Field(default=None, ge=2)
    """Epochs at the end that are looked at. Absent: a tenth of the curve, at least ten."""
    why: str | None = None
    """The author's reason."""


class WrittenReproduces(Config):
    """A claim that an arm gives again what an arm of another entry gave."""

    reproduces: str
    """The other arm, `DATE/entry/arm`."""
    arm: str
    """The arm of this entry."""
    on: str
    """The measure."""
    within: float = Field(gt=0)
    """How near is near enough."""
    why: str | None = None
    """The author's reason."""


class WrittenFinishes(Config):
    """A claim that every trial reaches its planned end."""

    finishes: str
    """The arm; the name of a sweep stands for all its points."""
    why: str | None = None
    """The author's reason."""


class WrittenWaiver(Config):
    """A fairness rule that the author accepts as broken; the report shows it with the reason."""

    rule: str
    """The rule."""
    why: str = Field(min_length=1)
    """The reason."""


AnyClaim = WrittenOrder | WrittenValue | WrittenTrend | WrittenShape | WrittenReproduces | WrittenFinishes
CLAIM_FORMS: dict[str, type[Config]] = {
    "claim": WrittenOrder,
    "value": WrittenValue,
    "trend": WrittenTrend,
    "shape": WrittenShape,
    "reproduces": WrittenReproduces,
    "finishes": WrittenFinishes,
}
