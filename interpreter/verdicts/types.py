"""What judging hands on: measures read off trials, and a verdict on each claim."""

from __future__ import annotations

from dataclasses import dataclass

from interpreter.plan.types import EntryPlan
from interpreter.spec.claims import Claim

# In the order in which they are read: the first that applies is the verdict's state.
STATES = ("not-run", "blocked", "incomplete", "unfair", "anecdotal", "supported", "equivalent", "contradicted", "undecided")


@dataclass(frozen=True, slots=True)
class MeasureValue:
    """One measure of one trial. `value` is None where there is no data yet; `note` says why or what was adjusted."""

    arm: str
    seed: int
    measure: str
    value: float | None
    epoch: int | None  # counted from 1; the epoch the value was read at, or the middle of its window
    selected: bool  # the value was chosen (best epoch) on the data it reports
    complete: bool  # every stage of the trial that it reads reached its end
    note: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two sides of a comparison at one replicate, and their difference a - b."""

    seed: int
    a: float
    b: float

    @property
    def difference(self) -> float:
        """a - b."""
        return self.a - self.b


@dataclass(frozen=True, slots=True)
class Confound:
    """A setting, other than the declared factor, in which the compared arms differ; or another fairness finding."""

    rule: str  # "measured-split", "unequal-epochs", "unscaled-rate", "setting", ...
    severity: str  # "unfair" | "warning" | "note"
    text: str
    waived: str = ""  # the author's reason, when the rule is allowed


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one claim. The interval is for the mean of a - b, in the measure's units, at `level`.

    Of several points of which all or any are claimed, `effect`, `pairs` and `dz` are those of the extreme one, and the interval
    is the one that decides the claim. Of a trend, a is a slope, of a shape its number, in units that docs/verdicts.md has;
    b is then 0. A claim that is counted ("finishes") has no effect; its `n` are the trials that reached their end.
    """

    claim: Claim
    state: str
    effect: float | None
    lo: float | None
    hi: float | None
    level: float  # of the interval, after Holm's adjustment: 0.95 for a family of one
    n: int  # replicates at the level the claim speaks of; of several points those of the one that has the fewest
    pairs: tuple[Pair, ...]
    p_better: float | None  # share of pairs in which the claim's left side is on the claimed side of the right one
    dz: float | None  # Cohen's dz
    method: str  # in words: "paired Student t over seeds, Holm-adjusted in a family of 3"
    family: int
    registered: bool  # the claim was in the ledger before its first computable difference
    registered_at: str  # ISO time, "" when it never was
    confounds: tuple[Confound, ...] = ()
    notes: tuple[str, ...] = ()  # "reference taken as exact", "given one backbone", ...
    explanation: str = ""  # one sentence in words: what was found, which bound was missed
    seeds_to_settle: tuple[int, int] | None = None
    open: bool = False  # undecided, and what more seeds can decide


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything judged of one entry."""

    entry: EntryPlan
    measures: tuple[MeasureValue, ...]
    verdicts: tuple[Verdict, ...]
