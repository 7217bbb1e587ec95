"""Measures: one number per trial and measure, read off the recorded history of a metric."""

from __future__ import annotations

from collections.abc import Sequence

from interpreter.plan.types import ArmPlan, EntryPlan, Plan
from interpreter.spec.measures import Measure
from interpreter.verdicts.curves import Curve, Found, at_epoch, read_blocks
from interpreter.verdicts.history import History
from interpreter.verdicts.readings import Metric, measured, metric_of, weights_chosen_on
from interpreter.verdicts.types import MeasureValue


def read_measures(reader: Reader) -> tuple[MeasureValue, ...]:
    """Every measure of an entry for every trial of every arm that has its metric, in the order of page, arm and seed."""
    entry = reader.entry
    return tuple(value for name in entry.entry.measures for arm in entry.arms for value in reader.of(arm, name))


class Reader:
    """Reads the measures of one entry, each curve once."""

    def __init__(self, plan: Plan, entry: EntryPlan, history: History) -> None:
        self.plan, self.entry, self.history = plan, entry, history
        self._found: dict[tuple[str, str], tuple[MeasureValue, ...]] = {}

    def metric(self, arm: ArmPlan, measure: str) -> Metric | None:
        """The metric that a measure reads on an arm; None where the arm has none, or the measure is not of this entry."""
        definition = self.entry.entry.measures.get(measure)
        return metric_of(arm, definition.metric) if definition else None

    def of(self, arm: ArmPlan, name: str) -> tuple[MeasureValue, ...]:
        """The measure `name` of each trial of `arm`, empty where the arm has no such metric."""
        if (arm.name, name) not in self._found:
            self._found[arm.name, name] = self._of(arm, name)
        return self._found[arm.name, name]

    def _of(self, arm: ArmPlan, name: str) -> tuple[MeasureValue, ...]:
        metric = self.metric(arm, name)
        if metric is None or not arm.trials:
            return ()
        measure = self.entry.entry.measures[name]
        found, selected, note = self._read(arm, measure, metric)
        values = []
        for trial, reading in zip(arm.trials, found, strict=True):
            fact = self.history.fact(trial.key_of(metric.stage))
            notes = (*((fact.words(metric.stage),) if not fact.complete else ()), *reading.notes, *((note,) if note else ()))
            if fact.complete and reading.value is None and not reading.notes:
                notes = (*notes, f"{metric.stage} recorded no {metric}")
            chosen = selected and reading.value is not None
            told = "; ".join(notes)
            values.append(MeasureValue(arm.name, trial.seed, name, reading.value, reading.epoch, chosen, fact.complete, told))
        return tuple(values)

    def _read(self, arm: ArmPlan, measure: Measure, metric: Metric) -> tuple[list[Found], bool, str]:
        """One reading per trial, whether they were selected on the data they report, and a note on that."""
        first = self.plan.stages[arm.trials[0].key_of(metric.stage)]
        keys = [trial.key_of(metric.stage) for trial in arm.trials]
        split = metric.split if first.kind == "fit" else str(first.settings["name"])
        recorded = self.history.curves(split, metric.name, keys)
        curves = [recorded.get(key) for key in keys]
        if measure.at is not None:
            return self._read_at(arm, measure, metric, curves)
        if first.kind == "fit":
            selected = first.epochs > 1 and measure.read != "last"
            return read_blocks(curves, measure, metric.better), selected, ""
        found = read_blocks(curves, Measure(metric=measure.metric, read="last"), metric.better)
        same = weights_chosen_on(self.plan, first.key) == measured(first, metric.split)
        return found, same, "its weights were chosen on the data it reports" if same else ""

    def _read_at(
        self, arm: ArmPlan, measure: Measure, metric: Metric, curves: Sequence[Curve | None]
    ) -> tuple[list[Found], bool, str]:
        """The metric at the epoch that the measure `at` chose in the same trial; that of its window's middle."""
        assert measure.at is not None
        other = self.metric(arm, measure.at)
        if other is None or other.stage != metric.stage:
            why = f"`{measure.at}` is read on another stage, whose epochs are not those of {metric.stage}"
            return [Found(None, None, (why,)) for _ in curves], False, ""
        chosen = self.of(arm, measure.at)
        found = [at_epoch(curve, choice.epoch, measure) for curve, choice in zip(curves, chosen, strict=True)]
        # Chosen and reported on one split of one stage: the same data, whatever the metric.
        return found, other.split == metric.split and any(c.selected for c in chosen), ""
