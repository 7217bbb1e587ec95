"""Measures: one number per trial and measure, read off what was recorded of a metric, of phases or of resources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from interpreter.plan.types import ArmPlan, EntryPlan, Plan, Stage
from interpreter.spec.measures import EffectiveRobustness, Measure
from interpreter.spec.robustness import FittedLine
from interpreter.verdicts.curves import Curve, Found, at_epoch, length, read_blocks, summary
from interpreter.verdicts.effective_robustness import effective_robustness, line_note
from interpreter.verdicts.history import History
from interpreter.verdicts.readings import Metric, last_fit, measured, metric_of, recorded_split, weights_chosen_on
from interpreter.verdicts.robustness_lines import Judging, Model, keys_of, line_for, meant_by
from interpreter.verdicts.types import MeasureValue

_CHOOSING = frozenset({None, "best", "stable_min", "stable_max"})
"""Ways to read that choose an epoch by the very numbers they report. Without one: the best epoch."""
_EPOCHS = frozenset({"fit", "probe", "import"})
"""Kinds of stages with a value an epoch; the others have one in all."""


def read_measures(reader: Reader) -> tuple[MeasureValue, ...]:
    """Every measure of an entry for every trial of every arm that has it, in the order of page, arm and seed."""
    entry = reader.entry
    return tuple(value for name in entry.entry.measures for arm in entry.arms for value in reader.of(arm, name))


class Reader:
    """Reads the measures of one entry, each once."""

    def __init__(self, plan: Plan, entry: EntryPlan, history: History) -> None:
        self.plan, self.entry, self.history = plan, entry, history
        self._found: dict[tuple[str, str], tuple[MeasureValue, ...]] = {}
        self._models: dict[tuple[str, str, str], tuple[Model, ...]] = {}

    def metrics(self, arm: ArmPlan, measure: str) -> tuple[Metric, ...]:
        """The metrics that a measure is read off on an arm: one; of effective robustness (in, out); of phases and resources none.

        Empty, too, where the arm lacks one, or the measure is not of this entry.
        """
        definition = self.entry.entry.measures.get(measure)
        if definition is None:
            return ()
        robust = definition.effective_robustness
        texts = (definition.metric,) if robust is None else (robust.in_, robust.out)
        found = [metric_of(arm, text) for text in texts if text is not None]
        return tuple(metric for metric in found if metric is not None) if all(found) else ()

    def metric(self, arm: ArmPlan, measure: str) -> Metric | None:
        """The metric that a measure is in units of: its only one, or the accuracy on shifted data; None as `metrics` has it."""
        found = self.metrics(arm, measure)
        return found[-1] if found else None

    def stage(self, arm: ArmPlan, measure: str) -> str | None:
        """The stage of an arm that a measure is read on; None where the arm lacks it, or the measure is not of this entry.

        That of the metric; for effective robustness the evaluation on shifted data; for phases and resources the last fit.
        """
        definition = self.entry.entry.measures.get(measure)
        if definition is None:
            return None
        if definition.phase is not None or definition.resource is not None:
            return last_fit(self.plan, arm)
        metric = self.metric(arm, measure)
        return metric.stage if metric else None

    def of(self, arm: ArmPlan, name: str) -> tuple[MeasureValue, ...]:
        """The measure `name` of each trial of `arm`, empty where the arm has nothing to read it off."""
        if (arm.name, name) not in self._found:
            stage = self.stage(arm, name)
            self._found[arm.name, name] = self._of(arm, name, stage) if stage is not None and arm.trials else ()
        return self._found[arm.name, name]

    def points(self, arm: ArmPlan, name: str) -> tuple[tuple[tuple[Metric, int | None], ...], ...]:
        """For each trial of `arm` the metrics that a measure is read off, each with its epoch; None where it has no single one.

        Of effective robustness (in, out). Empty for a trial where nothing of the kind is read.
        """
        measure, metrics = self.entry.entry.measures[name], self.metrics(arm, name)
        if measure.effective_robustness is None:
            return tuple(tuple((metric, value.epoch) for metric in metrics) for value in self.of(arm, name))
        if not metrics or not arm.trials:
            return ()
        read = [self._read(arm, Measure(metric=str(metric)), metric)[0] for metric in metrics]
        return tuple(
            tuple((metric, found.epoch) for metric, found in zip(metrics, trial, strict=True))
            for trial in zip(*read, strict=True)
        )

    def _of(self, arm: ArmPlan, name: str, stage: str) -> tuple[MeasureValue, ...]:
        measure = self.entry.entry.measures[name]
        keys = [trial.key_of(stage) for trial in arm.trials]
        metric = self.metric(arm, name)
        if measure.effective_robustness is not None:
            return self._robustness(arm, name, measure.effective_robustness)
        if metric is not None:
            what = f"no {metric}"
            found, selected, note = self._read(arm, measure, metric)
        elif measure.resource is not None:
            what, selected, note = f"no {measure.resource}", False, ""
            recorded = self.history.resources(measure.resource, keys)
            found = [summary(recorded.get(key), measure.read or "", measure.epochs) for key in keys]
        else:
            assert measure.phase is not None
            what, selected, note = "no epoch", False, ""
            phases = self.history.phases(keys)
            found = [length(phases.get(key), measure.phase, measure.epochs) for key in keys]
        values = []
        for trial, reading in zip(arm.trials, found, strict=True):
            fact = self.history.fact(trial.key_of(stage))
            notes = (*((fact.words(stage),) if not fact.complete else ()), *reading.notes, *((note,) if note else ()))
            if fact.complete and reading.value is None and not reading.notes:
                notes = (*notes, f"{stage} recorded {what}")
            chosen = selected and reading.value is not None
            told = "; ".join(notes)
            number = _above(reading.value, measure.over)
            values.append(MeasureValue(arm.name, trial.seed, name, number, reading.epoch, chosen, fact.complete, told))
        return tuple(values)

    def _read(self, arm: ArmPlan, measure: Measure, metric: Metric) -> tuple[list[Found], bool, str]:
        """One reading per trial, whether they were selected on the data they report, and a note on that."""
        first = self.plan.stages[arm.trials[0].key_of(metric.stage)]
        keys = [trial.key_of(metric.stage) for trial in arm.trials]
        recorded = self.history.curves(recorded_split(first, metric), metric.name, keys)
        curves = [recorded.get(key) for key in keys]
        if measure.at is not None:
            return self._read_at(arm, measure, metric, curves)
        if first.kind in _EPOCHS:
            # Of results made elsewhere no plan says how many epochs there are; what was recorded does.
            several = first.epochs > 1 or (first.kind == "import" and any(len(c[0]) > 1 for c in curves if c is not None))
            selected = (several and measure.read in _CHOOSING) or _picked_on(first, metric)
            return read_blocks(curves, measure, metric.better), selected, ""
        # One epoch: whatever would be read off a curve is its value, or when it was reached.
        how = measure.read if measure.read == "epochs_to" else "last"
        found = read_blocks(curves, Measure(metric=measure.metric, read=how, value=measure.value), metric.better)
        same = weights_chosen_on(self.plan, first.key) == measured(first, metric.split, self.plan)
        return found, same, "its weights were chosen on the data it reports" if same else ""

    def _read_at(
        self, arm: ArmPlan, measure: Measure, metric: Metric, curves: Sequence[Curve | None]
    ) -> tuple[list[Found], bool, str]:
        """The metric at the epoch that the measure `at` chose in the same trial; that of its window's middle."""
        assert measure.at is not None
        if self.stage(arm, measure.at) != metric.stage:
            why = f"`{measure.at}` is read on another stage, whose epochs are not those of {metric.stage}"
            return [Found(None, None, (why,)) for _ in curves], False, ""
        chosen = self.of(arm, measure.at)
        found = []
        for curve, choice in zip(curves, chosen, strict=True):
            reading = at_epoch(curve, choice.epoch, measure)
            if choice.epoch is None and choice.complete:
                why = choice.note if choice.value is None else "it is read at no single one"
                reading = replace(reading, notes=(f"`{measure.at}` has no epoch: {why}",))
            found.append(reading)
        # Chosen and reported on one split of one stage: the same data, whatever the metric.
        other = self.metric(arm, measure.at)
        return found, other is not None and other.split == metric.split and any(c.selected for c in chosen), ""

    def _robustness(self, arm: ArmPlan, name: str, robust: EffectiveRobustness) -> tuple[MeasureValue, ...]:
        """Effective robustness of each trial, from its two accuracies as they are read by themselves."""
        over = self.entry.entry.measures[name].over
        metrics = self.metrics(arm, name)
        (original, chosen_in, _), (shifted, chosen_out, _) = (self._read(arm, Measure(metric=str(m)), m) for m in metrics)
        judging = self.line(arm, robust)
        values = []
        for trial, acc_in, acc_out in zip(arm.trials, original, shifted, strict=True):
            stages = dict.fromkeys(metric.stage for metric in metrics)
            facts = {stage: self.history.fact(trial.key_of(stage)) for stage in stages}
            notes = [fact.words(stage) for stage, fact in facts.items() if not fact.complete]
            if not notes:
                read = zip(metrics, (acc_in, acc_out), strict=True)
                notes = [f"{m.stage} recorded no {m}" for m, found in read if found.value is None and not found.notes]
                notes += self._unlike(trial.key_of(metrics[0].stage), trial.key_of(metrics[1].stage))
            notes += [*acc_in.notes, *acc_out.notes, *((judging.note,) if judging.note else ())]
            value = None
            if acc_in.value is not None and acc_out.value is not None and judging.line is not None:
                pair = np.array([acc_in.value]), np.array([acc_out.value])
                value = float(effective_robustness(*pair, judging.line)[0])
            complete = all(fact.complete for fact in facts.values())
            chosen = (chosen_in or chosen_out) and value is not None
            told = "; ".join(dict.fromkeys(notes))
            values.append(MeasureValue(arm.name, trial.seed, name, _above(value, over), acc_out.epoch, chosen, complete, told))
        return tuple(values)

    def line(self, arm: ArmPlan, robust: EffectiveRobustness) -> Judging:
        """The line that `arm`, which has both accuracies, is judged by; a fitted one without the arm itself."""
        if not isinstance(robust.line, FittedLine):
            return replace(line_for(robust.line, (), frozenset()), note=line_note(robust.line, robust.version))
        models = [
            model for other in meant_by(robust.line, self.entry.arms) for model in self.models(other, robust.in_, robust.out)
        ]
        own = {model.keys for model in self.models(arm, robust.in_, robust.out)}
        return line_for(robust.line, models, frozenset(own))

    def models(self, arm: ArmPlan, in_: str, out: str) -> tuple[Model, ...]:
        """The trials of `arm` as models with two accuracies; () where it lacks one of the metrics."""
        if (arm.name, in_, out) not in self._models:
            self._models[arm.name, in_, out] = self._trials(arm, in_, out)
        return self._models[arm.name, in_, out]

    def _trials(self, arm: ArmPlan, in_: str, out: str) -> tuple[Model, ...]:
        original, shifted = metric_of(arm, in_), metric_of(arm, out)
        if original is None or shifted is None or not arm.trials:
            return ()
        metrics = (original, shifted)
        (acc_in, _, _), (acc_out, _, _) = (self._read(arm, Measure(metric=str(metric)), metric) for metric in metrics)
        made = []
        for place, keys in enumerate(keys_of(arm, metrics)):
            complete = all(self.history.fact(key).complete for key in keys)
            found = (acc_in[place].value, acc_out[place].value) if complete else (None, None)
            made.append(Model(arm, place, metrics, keys, *found))
        return tuple(made)

    def _unlike(self, key_in: str, key_out: str) -> list[str]:
        """A note where the two accuracies are of unlike weights, else nothing. What was imported together is of one model."""
        if {self.plan.stages[key].kind for key in (key_in, key_out)} == {"import"}:
            return []
        weights = [
            {(i.key, i.checkpoint) for i in stage.inputs} if stage.kind in ("evaluate", "combine") else stage.key
            for stage in (self.plan.stages[key_in], self.plan.stages[key_out])
        ]
        return [] if weights[0] == weights[1] or key_in == key_out else ["the two accuracies are not of the same weights"]


def _picked_on(stage: Stage, metric: Metric) -> bool:
    """Whether what is read of a probe is the history of one checkpoint of several, which was picked on the same examples."""
    several = stage.kind == "probe" and sum(each.role == "weights" for each in stage.inputs) > 1
    return several and str(stage.settings["pick"]["best"]).partition("/")[0] == metric.split


def _above(value: float | None, over: float | None) -> float | None:
    """1 where `value` is above `over`, else 0; the value itself where there is no `over`."""
    return value if value is None or over is None else float(value > over)
