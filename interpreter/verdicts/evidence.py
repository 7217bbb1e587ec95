"""What a claim is judged by: one comparison over seeds, one over examples, or several points of a sweep taken together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from interpreter.verdicts.intervals import Sample

if TYPE_CHECKING:
    from interpreter.verdicts.examples import ExamplesResult


@dataclass(frozen=True, slots=True)
class OverExamples:
    """A comparison over examples, seen as one over seeds is."""

    dz: ClassVar[None] = None  # examples have no standard deviation of differences to be compared with that of seeds
    result: ExamplesResult

    @property
    def n(self) -> int:
        """What is drawn: examples or clusters of them; over both, the seeds."""
        return self.result.seeds if self.result.over == "both" else self.result.n

    @property
    def single(self) -> bool:
        """True with one replicate of what the claim speaks of."""
        return self.n == 1

    @property
    def mean(self) -> float:
        """The effect."""
        return math.nan if self.result.effect is None else self.result.effect

    @property
    def same_record(self) -> bool:
        """Whether both sides are one and the same record."""
        return self.result.same_record

    def interval(self, level: float) -> tuple[float, float] | None:
        """The two-sided interval for the effect at `level`."""
        return self.result.interval(level)


Comparable = Sample | OverExamples


@dataclass(frozen=True, slots=True)
class Decision:
    """What an interval says: bounds, the state read from them, and the point of several whose effect is shown."""

    lo: float
    hi: float
    at: int = 0


@dataclass(frozen=True, slots=True)
class Points:
    """Comparisons of which all, or any one, is claimed; `names` says of which point of a sweep each is.

    With k points whose mean differences are mu_1 ... mu_k, `all a < b` is a statement on the largest of them: it is below
    -m when all are. The interval for that largest one has as its

    - upper bound the largest of the points' upper bounds, each at the level itself. All points have to pass, so the error is
      that of the one that truly is the largest, and needs no adjustment (intersection-union: Berger 1982);
    - lower bound the largest of the lower bounds, each at 1 - alpha/k. One point is enough to speak against all, so they
      share the error (union-intersection, by Bonferroni, whatever their correlation).

    Both miss with at most alpha/2: the interval covers the largest mean with 1 - alpha, as that of a single point does. `any
    a > b` is the same. `all a > b` and `any a < b` are statements on the smallest, with the bounds exchanged.

    A likeness is about each point's own interval. `all a ~ b`: within the range at the level at every point, or outside of it
    at 1 - alpha/k at some point; shown is the point that decides. `any a ~ b` has the two levels exchanged.

    Source: Berger 1982, Technometrics 24, 295-300; Casella & Berger 2002, Statistical Inference, 8.3.3.
    """

    names: tuple[str, ...]
    parts: tuple[Comparable, ...]
    quantifier: Literal["all", "any"]

    @property
    def n(self) -> int:
        """Replicates of the point that has the fewest."""
        return min(part.n for part in self.parts)

    @property
    def single(self) -> bool:
        """True where a point has one replicate only."""
        return any(part.single for part in self.parts)

    @property
    def same_record(self) -> bool:
        """Whether the sides are the same record at every point."""
        return all(part.same_record for part in self.parts)

    def extreme(self, relation: str) -> int:
        """The point that the claim is about, by its effect: of `all` the least as claimed, of `any` the most."""
        means = [part.mean for part in self.parts]
        if relation == "~":
            means = [abs(mean) for mean in means]
        return means.index(max(means) if self._largest(relation) else min(means))

    def decision(self, relation: str, margin: float, level: float) -> Decision | None:
        """The interval that decides, for the claim as a whole; None where a point has none."""
        alone = _intervals(self.parts, level)
        shared = _intervals(self.parts, 1 - (1 - level) / len(self.parts))
        if alone is None or shared is None:
            return None
        if relation == "~":
            return self._likeness(margin, alone, shared)
        if self._largest(relation):
            lo, hi = max(lo for lo, _ in shared), max(hi for _, hi in alone)
        else:
            lo, hi = min(lo for lo, _ in alone), min(hi for _, hi in shared)
        return Decision(lo, hi, self.extreme(relation))

    def _largest(self, relation: str) -> bool:
        """Whether the claim is about the largest of the points' effects, in size for a likeness, or the smallest."""
        return (self.quantifier == "all") == (relation != ">")

    def _likeness(self, margin: float, alone: Sequence[tuple[float, float]], shared: Sequence[tuple[float, float]]) -> Decision:
        """The interval of the point that decides, at the level that its part in the claim asks for."""
        inside, outside = (alone, shared) if self.quantifier == "all" else (shared, alone)
        reach = [max(-lo, hi) for lo, hi in inside]
        distance = [max(lo, -hi) for lo, hi in outside]
        if self.quantifier == "all":
            worst = distance.index(max(distance))
            if distance[worst] > margin:
                return Decision(*outside[worst], worst)
            # Within at every point, or not at this one: its wider interval is neither within nor outside.
            worst = reach.index(max(reach))
            return Decision(*(inside if reach[worst] < margin else outside)[worst], worst)
        best = reach.index(min(reach))
        if reach[best] < margin:
            return Decision(*inside[best], best)
        best = distance.index(min(distance))
        return Decision(*(outside if distance[best] > margin else inside)[best], best)


Evidence = Sample | OverExamples | Points


def decision(evidence: Evidence, relation: str, margin: float, level: float) -> Decision | None:
    """The interval by which `evidence` decides a claim, at `level`; None where the data give none."""
    if isinstance(evidence, Points):
        return evidence.decision(relation, margin, level)
    interval = evidence.interval(level)
    return Decision(*interval) if interval is not None else None


def shown(evidence: Evidence, at: int) -> Comparable:
    """The comparison whose effect is shown: itself, or that of one of several points."""
    return evidence.parts[at] if isinstance(evidence, Points) else evidence


def _intervals(parts: Sequence[Comparable], level: float) -> list[tuple[float, float]] | None:
    found = [part.interval(level) for part in parts]
    return None if any(one is None for one in found) else [one for one in found if one is not None]
