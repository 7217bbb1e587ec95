"""The two sides of a comparison, each as one number a seed: of an arm, of several points taken together, or given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from interpreter.plan.types import ArmPlan
from interpreter.spec.claims import Side
from interpreter.verdicts.readings import Metric
from interpreter.verdicts.replicates import Keys
from interpreter.verdicts.types import MeasureValue, Pair


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read off one arm: a number for each of its trials, and the key of the stage that it is read on."""

    arm: ArmPlan
    what: str  # "accuracy", as the page calls it
    values: Mapping[int, MeasureValue]  # by seed
    keys: Mapping[int, str]
    metrics: tuple[Metric, ...] = ()

    def value(self, seed: int) -> float | None:
        """The number at a seed; None where the trial has not got one, or has not reached its end."""
        found = self.values[seed]
        return found.value if found.complete else None

    def lack(self, seed: int) -> str:
        """Why there is none."""
        return f"{self.arm.name} at seed {seed}: {self.values[seed].note or 'no value'}"

    def __str__(self) -> str:
        return f"{self.arm.name}.{self.what}"


@dataclass(frozen=True, slots=True)
class Term:
    """One side of one comparison. Without `readings` it is the number `number`, whatever the seed.

    `take` makes one number of those of its readings at a seed: the mean, a slope, or the one that was chosen. `needs` are
    further readings that have to be complete for that. `favour`: 1 or -1 where taking what looked best may have pushed its
    numbers up or down. `least`: how many of its readings show something of what is claimed.
    """

    side: Side
    label: str
    readings: tuple[Reading, ...] = ()
    number: float = math.nan
    take: Callable[[int, Sequence[float]], float] = field(default=lambda seed, values: math.fsum(values) / len(values))
    needs: tuple[Reading, ...] = ()
    favour: int = 0
    least: int = 1

    @property
    def seeds(self) -> set[int] | None:
        """Seeds at which all its readings have a trial; None for a number, which has any."""
        return set.intersection(*(set(r.values) for r in self.readings)) if self.readings else None

    @property
    def everywhere(self) -> set[int]:
        """Seeds at which any of its readings has a trial."""
        return {seed for reading in self.readings for seed in reading.values}

    def value(self, seed: int) -> float | None:
        """Its number at a seed; None where a reading that it needs is not complete."""
        if not self.readings:
            return self.number
        values = [reading.value(seed) for reading in self.readings]
        if None in values or any(reading.value(seed) is None for reading in self.needs):
            return None
        return self.take(seed, [value for value in values if value is not None])

    def lacks(self, seed: int) -> list[str]:
        """What is not there at a seed, one text a reading."""
        return list(dict.fromkeys(r.lack(seed) for r in (*self.readings, *self.needs) if r.value(seed) is None))

    def keys(self, seed: int) -> Keys:
        """Keys of the stages that its number at a seed is read off."""
        return tuple(dict.fromkeys(reading.keys[seed] for reading in (*self.readings, *self.needs)))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison over seeds; `point` says which of several it is, "" for the only one."""

    point: str
    left: Term
    right: Term

    @property
    def terms(self) -> tuple[Term, Term]:
        """Both sides."""
        return (self.left, self.right)

    @property
    def seeds(self) -> list[int]:
        """Seeds that both sides have, ascending."""
        sets = [term.seeds for term in self.terms if term.seeds is not None]
        return sorted(set.intersection(*sets)) if sets else []

    @property
    def alone(self) -> list[int]:
        """Seeds that something has and something else has not: they have no partner."""
        return sorted(set.union(*(term.everywhere for term in self.terms)) - set(self.seeds))

    def pairs(self) -> list[Pair]:
        """The pairs that are there, by seed."""
        found = ((seed, self.left.value(seed), self.right.value(seed)) for seed in self.seeds)
        return [Pair(seed, a, b) for seed, a, b in found if a is not None and b is not None]

    def missing(self) -> list[str]:
        """What stands in the way of the other pairs."""
        return [lack for seed in self.seeds for term in self.terms if term.value(seed) is None for lack in term.lacks(seed)]

    def readings(self) -> tuple[Reading, ...]:
        """Everything that is read for it."""
        return tuple(reading for term in self.terms for reading in (*term.readings, *term.needs))
