"""Measures of an entry: each read, and held against the arms that it should be read on."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field

from interpreter.check.metrics import epochs_of, measure_of, metric_of
from interpreter.check.robustness import fitted_line
from interpreter.check.types import CheckedArm
from interpreter.errors import Place, Problem, Problems, errors_of
from interpreter.source.nodes import Mapping, Node, place_of
from interpreter.spec.measures import EffectiveRobustness, Measure
from interpreter.spec.metrics import METRICS
from interpreter.spec.names import did_you_mean, metric_ref
from interpreter.spec.page import check_names
from interpreter.spec.stages import Phases
from interpreter.spec.typed import read, wrong_type

_ACCURACIES = frozenset({"top5", *(name for name in METRICS if name.endswith("accuracy"))})


@dataclass(frozen=True, slots=True)
class Readings:
    """The measures of an entry, and the names of those that are told to be wrong: what speaks of them is not told again."""

    of: dict[str, Measure] = field(default_factory=dict)
    wrong: frozenset[str] = frozenset()


def read_measures(below: Node | None, arms: MappingType[str, CheckedArm], whole: bool, problems: Problems) -> Readings:
    """The measures of an entry. `whole`: at its full scale, where a curve is as long as the page means it to be."""
    if below is None:
        return Readings()
    if not isinstance(below, Mapping):
        problems.add(wrong_type("`measures`", below, "measures", "a mapping of names"))
        return Readings()
    check_names(below, "measures", problems)
    made: dict[str, Measure] = {}
    for name, item in below.items.items():
        if not isinstance(item, Mapping):
            problems.add(wrong_type(f"`{name}`", item, f"measures.{name}", "a mapping"))
            continue
        measure = read(Measure, item, problems, f"measures.{name}")
        if measure is not None:
            made[name] = measure
    wrong = set(below.items) - set(made)
    for name, measure in made.items():
        item = below.items[name]
        assert isinstance(item, Mapping)
        before = len(problems.found)
        _Held(name, measure, item, arms, problems).all(whole)
        if measure.at is not None:
            _at(name, measure.at, made, list(below.items), place_of(item, ("at",)), problems)
        if errors_of(problems.found[before:]):
            wrong.add(name)
    return Readings(made, frozenset(wrong))


class _Held:
    """Holds one measure against the arms of its entry."""

    def __init__(
        self, name: str, measure: Measure, item: Mapping, arms: MappingType[str, CheckedArm], problems: Problems
    ) -> None:
        self.path, self.measure, self.item, self.problems = f"measures.{name}", measure, item, problems
        self.arms = arms

    def all(self, whole: bool) -> None:
        """It must be there in at least one arm, and be such that it can be read."""
        measure = self.measure
        robust = measure.effective_robustness
        lacks = [measure_of(arm, measure) for arm in self.arms.values()]
        first = lacks[0] if lacks else None
        if first is not None and all(lacks):
            key: tuple[str, ...] = ("metric",) if measure.metric is not None else ()
            if robust is not None:
                key = ("effective_robustness", "out" if metric_of(next(iter(self.arms.values())), robust.in_) is None else "in")
            at = ".".join((self.path, *(key or ("metric",))))
            self.problems.add(
                Problem("unknown-metric", first.why, self._place(*key), at, got=measure.metric or "", hint=first.hint)
            )
            return
        if robust is not None:
            self._accuracies(robust)
            fitted_line(robust, self.item, self.path, self.arms, whole, self.problems)
        readable = [arm for arm, lack in zip(self.arms.values(), lacks, strict=True) if lack is None]
        if whole and readable:
            self._epochs(readable)
            self._phase(readable)

    def _accuracies(self, robust: EffectiveRobustness) -> None:
        """Two accuracies, and not one with itself."""
        for key, text in (("in", robust.in_), ("out", robust.out)):
            metric = metric_ref(text)[2]
            if metric in METRICS and metric not in _ACCURACIES:
                self._wrong(f"`{text}` is no accuracy", ("effective_robustness", key), "an accuracy, split/accuracy", text)
        if robust.in_ == robust.out:
            told = "both accuracies are one and the same"
            self._wrong(told, ("effective_robustness", "out"), "the accuracy on the shifted data", robust.out)

    def _epochs(self, arms: list[CheckedArm]) -> None:
        """Epochs of which no arm has one are never read."""
        epochs, metric = self.measure.epochs, self.measure.metric
        if epochs is None or metric is None:
            return
        lengths = [epochs_of(arm, metric) for arm in arms]
        most = max((n for n in lengths if n is not None), default=0)
        if None not in lengths and most < epochs[0]:
            told = f"`epochs` begins at {epochs[0]}, and `{metric}` has {most} epoch{'s' * (most != 1)}"
            expected = f"epochs from 1 to {most}" if most > 1 else "no `epochs`"
            self._wrong(told, ("epochs",), expected, f"{list(epochs)}")

    def _phase(self, arms: list[CheckedArm]) -> None:
        """A phase that no arm's last fit has is never read."""
        phase = self.measure.phase
        counts = [_phases(arm) for arm in arms]
        most = max((n for n in counts if n is not None), default=0)
        if phase is not None and None not in counts and phase >= most:
            phases = "phase 0 only" if most == 1 else f"the phases 0 to {most - 1}"
            told = f"there is no phase {phase}: the last fit of {_each(arms)} has {phases}"
            self._wrong(told, ("phase",), f"at most {most - 1}", str(phase))

    def _wrong(self, text: str, loc: tuple[str, ...], expected: str, got: str) -> None:
        self.problems.add(Problem("bad-value", text, self._place(*loc), ".".join((self.path, *loc)), expected, got))

    def _place(self, *loc: str) -> Place:
        return place_of(self.item, loc)


def _phases(arm: CheckedArm) -> int | None:
    """How many phases the arm's last fit has; None where that is not plain from the page."""
    fits = [stage for stage in arm.chain if stage.kind == "fit"]
    if not fits:
        return None
    by = fits[-1].thaw.by if fits[-1].thaw is not None else "none"
    if isinstance(by, Phases):
        return len(by.phases)
    return 1 if isinstance(by, str) else None


def _each(arms: list[CheckedArm]) -> str:
    """The arms in a sentence: the one there is, or all."""
    names = list(dict.fromkeys(arm.base for arm in arms))
    return f"`{names[0]}`" if len(names) == 1 else "each arm"


def _at(name: str, at: str, made: MappingType[str, Measure], known: list[str], place: Place, problems: Problems) -> None:
    """The measure that chooses the epoch must read for itself, and choose one."""
    other, path = made.get(at), f"measures.{name}.at"
    if other is None:
        if at not in known:  # one that can't be read is told where it stands
            hint = did_you_mean(at, [m for m in known if m != name])
            problems.add(Problem("unknown-measure", f"there is no measure `{at}`", place, path, got=at, hint=hint))
    elif other.at is not None:
        problems.add(Problem("bad-value", f"`{at}` reads at another measure's epoch itself", place, path))
    elif other.metric is None or other.read in ("auc", "epochs_to"):
        problems.add(Problem("bad-value", f"`{at}` chooses no epoch", place, path))
