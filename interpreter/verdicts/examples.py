"""Claims `over: examples` and `over: both`: what the examples of a split, and not only the seeds, leave uncertain.

The two sides are compared on the same examples, by what was predicted for each of them at the epoch the measure was read at.

- `examples`: the mean over the trials there are, were other examples drawn. The trials are taken as they are: it says
  something about these weights, even if there are those of one seed only.
- `both`: other seeds and other examples. The two standard errors are added in quadrature, with Welch's degrees of freedom. A
  hierarchical bootstrap, which draws seeds and then examples, would be too narrow: five seeds drawn from five vary too little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import stats

from interpreter.plan.types import ArmPlan, EntryPlan, Plan
from interpreter.project import Project
from interpreter.spec.canonical import digest
from interpreter.spec.claims import Claim, Side
from interpreter.verdicts.example_sums import Gate, Read, Sums
from interpreter.verdicts.history import History
from interpreter.verdicts.mcnemar import mcnemar
from interpreter.verdicts.measures import Reader
from interpreter.verdicts.predictions import PER_EXAMPLE, Recorded
from interpreter.verdicts.readings import recorded_split
from interpreter.verdicts.replicates import Keys, Replicates, replicates
from interpreter.verdicts.resampling import DRAWS, Resampled
from interpreter.verdicts.robustness_lines import Judging, Model
from interpreter.verdicts.types import Pair

Floats = npt.NDArray[np.float64]

_DRAWN_WITH = (
    "the fitted line is drawn anew with the examples, which its models share with the arm; its models are taken as they are"
)
_TOLERANCE = 1e-4  # between a metric as recorded and as its predictions, kept in single precision, give it


@dataclass(frozen=True, slots=True)
class ExamplesResult:
    """What a claim over examples is judged by. `gate`: the state where there can be no other, and `why`.

    `n` counts what is drawn: examples, or clusters of them; of several populations the smallest. `seeds` are the replicates
    whose mean is taken. `effect` is the mean of left - right, in the measure's units.
    """

    gate: str = ""  # "", "not-run", "incomplete" or "unfair"
    why: str = ""
    effect: float | None = None
    n: int = 0
    seeds: int = 0
    over: str = "examples"
    same_record: bool = False
    notes: tuple[str, ...] = ()
    method: str = ""  # in words, without the adjustment for a family
    _resampled: Resampled | None = field(default=None, repr=False, compare=False)
    _between: float = 0.0  # over both: variance of the mean over other seeds

    def interval(self, level: float) -> tuple[float, float] | None:
        """The two-sided interval for the effect at `level`, or None where the data give none.

        None, as for seeds, where differences do not vary; over both also with a single seed.
        """
        if self.effect is None or self._resampled is None:
            return None
        if self.same_record:
            return (self.effect, self.effect)
        if self.over == "examples":
            return self._resampled.interval(level)
        within, between = self._resampled.variance, self._between
        if self.seeds < 2 or self.n < 2 or within + between <= 0 or not math.isfinite(within + between):
            return None
        df = (within + between) ** 2 / (within**2 / self._resampled.df + between**2 / (self.seeds - 1))
        half = float(stats.t.ppf((1 + level) / 2, df)) * math.sqrt(within + between)
        return (self.effect - half, self.effect + half)


def examples_sample(
    project: Project, plan: Plan, entry: EntryPlan, claim: Claim, pairs: Sequence[Pair], history: History
) -> ExamplesResult:
    """What there is to judge `claim` by over examples, from recorded predictions of the trials of `pairs`, all complete.

    Raises: RecordError where predictions can't be read; DatabaseBusy.
    """
    try:
        return _Examples(project, plan, entry, claim, history).result(pairs)
    except Gate as gate:
        return ExamplesResult(gate.state, gate.why, over=claim.over)


class _Examples:
    def __init__(self, project: Project, plan: Plan, entry: EntryPlan, claim: Claim, history: History) -> None:
        self.plan, self.entry, self.claim = plan, entry, claim
        self.reader = Reader(plan, entry, history)
        self.recorded = Recorded(project)
        self.arms = {arm.name: arm for arm in entry.arms}
        self.history = history
        self._off = 0.0  # how far, at most, predictions are from the measure they stand for
        self._lines: dict[str, None] = {}  # what is done with fitted lines, in words

    def result(self, pairs: Sequence[Pair]) -> ExamplesResult:
        sides = (self.claim.left, self.claim.right)
        for side in sides:
            self._readable(side)
        distinct: dict[tuple[Keys, Keys], Pair] = {}
        for pair in pairs:
            distinct.setdefault((self._keys(sides[0], pair.seed), self._keys(sides[1], pair.seed)), pair)
        pairs = tuple(distinct.values())
        if not pairs:
            return ExamplesResult(over=self.claim.over)
        numbers = [self._number(side) for side in sides]
        constant = sum(sign * number for sign, number in zip((1.0, -1.0), numbers, strict=True) if number is not None)
        sums, tests, kinds = Sums(self.claim.cluster), [], set()
        for pair in pairs:
            read = [self._read(side, pair) for side in sides]
            self._comparable(read, pair.seed)
            kinds.add(tuple(one.outputs.ids for arm in (read[0] or read[1])[:1] for one in arm))
            for sign, side, arms in zip((1.0, -1.0), sides, read, strict=True):
                for (arm, _), one in zip(self._trials(side, pair.seed), arms, strict=bool(arms)):
                    self._add(sums, sign / (len(pairs) * len(arms)), arm, one, side)
            # It takes examples as independent of each other, and weights as they are.
            tests += _mcnemar(read, pair.seed) if self.claim.over == "examples" and not self.claim.cluster else []
        resampled = sums.resampled(constant, int(digest(self.claim.hash)[:12], 16))
        same = self._same_record(pairs)
        seeds, between, notes = len(pairs), 0.0, self._notes(len(pairs), len(kinds), tests)
        if self.claim.over == "both":
            made = self._replicates(pairs)
            seeds = len(made.differences)
            between = float(np.var(made.differences, ddof=1)) / seeds if seeds > 1 else 0.0
            notes += ["one seed: nothing is known of others"] if seeds < 2 else []
        how = self._method(resampled, seeds, same)
        return ExamplesResult(
            effect=resampled.value, n=resampled.n, seeds=seeds, over=self.claim.over, same_record=same,
            notes=tuple(notes), method=how, _resampled=resampled, _between=between,
        )  # fmt: skip

    def _readable(self, side: Side) -> None:
        """Raises: Gate where a side has nothing to be compared example by example."""
        if not side.names:
            return
        if side.quantifier not in ("", "mean"):
            raise Gate(
                "not-run", f"`{side.quantifier}` picks arms by seed: over examples one arm is compared, or the mean of some"
            )
        measure = self.entry.entry.measures[side.measure]
        for name in side.names:
            metrics = self.reader.metrics(self.arms[name], side.measure) if name in self.arms else ()
            strange = [m.name for m in metrics if m.name not in PER_EXAMPLE]
            if not metrics or strange or measure.over is not None or measure.read in ("auc", "epochs_to"):
                what = strange[0] if strange else side.measure
                known = ", ".join(sorted(PER_EXAMPLE))
                raise Gate("not-run", f"`{what}` is not made of single examples at one epoch; of these metrics are: {known}")

    def _number(self, side: Side) -> float | None:
        """The number that a side is, without arms."""
        if side.names:
            return None
        return side.number if side.number is not None else self.entry.entry.references[side.reference].values[side.measure]

    def _trials(self, side: Side, seed: int) -> Iterator[tuple[ArmPlan, int]]:
        """The arms of a side, each with the place of its trial at `seed`."""
        for name in side.names:
            arm = self.arms[name]
            yield arm, next(i for i, trial in enumerate(arm.trials) if trial.seed == seed)

    def _keys(self, side: Side, seed: int) -> Keys:
        """Keys of the stages that a side is read off at one seed."""
        read = (
            arm.trials[place].key_of(metric.stage)
            for arm, place in self._trials(side, seed)
            for metric in self.reader.metrics(arm, side.measure)
        )
        return tuple(dict.fromkeys(read))

    def _read(self, side: Side, pair: Pair) -> list[list[Read]]:
        """For each arm of a side, what is read of it at one seed; [] for a number. Raises: Gate."""
        found = []
        for arm, place in self._trials(side, pair.seed):
            read = []
            for metric, epoch in self.reader.points(arm, side.measure)[place]:
                split = recorded_split(self.plan.stages[arm.trials[0].key_of(metric.stage)], metric)
                self.recorded.expect(split, [trial.key_of(metric.stage) for trial in arm.trials])
                key = arm.trials[place].key_of(metric.stage)
                outputs = self.recorded.outputs(key, split, epoch) if epoch is not None else None
                if outputs is None:
                    where = f"{metric.stage} at epoch {epoch}" if epoch is not None else metric.stage
                    why = f"{arm.name} at seed {pair.seed}: predictions of {where} for {split} were not kept"
                    raise Gate("incomplete", why)
                read.append(Read(metric, outputs))
            found.append(read)
            self._check(side, arm, place, read)
        return found

    def _check(self, side: Side, arm: ArmPlan, place: int, read: Sequence[Read]) -> None:
        """Compare what the predictions give with the measure itself, which may be smoothed, or a mean over epochs."""
        sums = Sums("")
        self._add(sums, 1.0, arm, read, side)
        given, value = sums.resampled(0.0, 0).value, self.reader.of(arm, side.measure)[place].value
        if value is not None:
            self._off = max(self._off, abs(given - value) / max(1.0, abs(value)))

    def _add(self, sums: Sums, weight: float, arm: ArmPlan, read: Sequence[Read], side: Side) -> None:
        """Add `weight` times the measure of one trial to `sums`."""
        robust = self.entry.entry.measures[side.measure].effective_robustness
        if robust is None:
            sums.add(weight, read)
            return
        judging = self.reader.line(arm, robust)
        if judging.line is None:
            raise Gate("not-run", judging.note)
        models = self._models(judging)
        if models is None:
            sums.add(weight, read, judging.line)
        else:
            sums.add_fitted(weight, read, models, judging.line.scale)

    def _models(self, judging: Judging) -> list[list[Read]] | None:
        """What was predicted by each model that the line is fitted to; None for a line that is not drawn with the examples."""
        if not judging.models:
            return None
        found = [self._model(model) for model in judging.models]
        kept = [read for read in found if read is not None]
        fixed = len(kept) < len(found)
        text = "the line is taken as it is: of some of its models no predictions are kept"
        self._lines.setdefault(text if fixed else _DRAWN_WITH, None)
        return None if fixed else kept

    def _model(self, model: Model) -> list[Read] | None:
        read = []
        for metric, key in zip(model.metrics, model.keys, strict=True):
            split = recorded_split(self.plan.stages[key], metric)
            self.recorded.expect(split, [trial.key_of(metric.stage) for trial in model.arm.trials])
            outputs = self.recorded.outputs(key, split, 1)
            if outputs is None or self.history.fact(key).epochs != 1:
                return None
            read.append(Read(metric, outputs))
        return read

    def _comparable(self, read: Sequence[list[list[Read]]], seed: int) -> None:
        """Raises: Gate where arms at one seed were not measured on the same examples with the same targets."""
        arms = [arm for side in read for arm in side]
        for other in arms[1:]:
            for mine, theirs in zip(arms[0], other, strict=False):
                if mine.outputs.ids != theirs.outputs.ids:
                    common = len(set(mine.outputs.ids) & set(theirs.outputs.ids))
                    counts = f"{len(mine.outputs.ids)} and {len(theirs.outputs.ids)}, {common} in common"
                    raise Gate("unfair", f"the sides were not measured on the same examples at seed {seed}: {counts}")
                if not np.array_equal(mine.outputs.targets, theirs.outputs.targets):
                    raise Gate("unfair", f"the same examples have other targets on the other side at seed {seed}")

    def _same_record(self, pairs: Sequence[Pair]) -> bool:
        """Whether both sides are the same numbers of the same records."""
        left, right = self.claim.left, self.claim.right
        if not (left.names and right.names) or len(left.names) != len(right.names):
            return False
        measures = self.entry.entry.measures
        if measures[left.measure] != measures[right.measure]:
            return False
        return all(self._keys(left, pair.seed) == self._keys(right, pair.seed) for pair in pairs)

    def _replicates(self, pairs: Sequence[Pair]) -> Replicates:
        """The differences over seeds, of which those that share a stage count once."""
        left, right = self.claim.left, self.claim.right
        keys = {pair.seed: (self._keys(left, pair.seed), self._keys(right, pair.seed)) for pair in pairs}
        names = {key: name for arm in self.arms.values() for trial in arm.trials for name, key in trial.stages}
        return replicates(self.plan, pairs, keys, names, same_measure=False)

    def _notes(self, seeds: int, kinds: int, tests: Sequence[str]) -> list[str]:
        notes = []
        if self.claim.over == "examples":
            these = "the mean of these seeds" if seeds > 1 else "one seed"
            notes.append(f"over examples: about these weights ({these}), not about others trained alike")
        if kinds > 1:
            notes.append(f"{kinds} different sets of examples over the seeds, each drawn for itself")
        if self.claim.right.reference and self.entry.entry.references[self.claim.right.reference].sd is not None:
            notes.append("over examples the reference's own spread is left out")
        if self._off > _TOLERANCE:
            notes.append("predictions are those of the epoch the measure was read at, without smoothing or a mean over epochs")
        notes += self._lines
        if tests:
            notes.append(f"McNemar's exact test: {'; '.join(tests)}")
        return notes

    def _method(self, resampled: Resampled, seeds: int, same: bool) -> str:
        if same:
            return "the same record on both sides: nothing to estimate"
        what = "clusters" if self.claim.cluster else "examples"
        counts = " and ".join(f"{population.n:,}" for population in resampled.populations)
        paired = "paired" if self.claim.left.names and self.claim.right.names else "one-sample"
        if self.claim.over == "both":
            return f"{paired} Welch t: standard errors over {seeds} seeds and over {counts} {what}, added in quadrature"
        how = f"BCa bootstrap ({DRAWS:,} draws)" if resampled.resampled else "Student t with the jackknife's standard error"
        return f"{paired} {how} over {counts} {what}" + (f", mean of {seeds} seeds" if seeds > 1 else "")


def _mcnemar(read: Sequence[list[list[Read]]], seed: int) -> list[str]:
    """McNemar's exact test of one pair of arms measured by accuracy, in words; [] for anything else."""
    if any(len(side) != 1 or len(side[0]) != 1 or side[0][0].metric.name != "accuracy" for side in read):
        return []
    left, right = (side[0][0].adds() > 0 for side in read)
    return [f"seed {seed}: {mcnemar(left, right).words}"]
