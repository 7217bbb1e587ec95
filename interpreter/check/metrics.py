"""Which metrics an arm has: `[stage.]split/name`, resolved to the stage that logs it."""

from __future__ import annotations

from collections.abc import Sequence

from interpreter.check.fitting import metric_problem
from interpreter.check.types import CheckedArm, CheckedStage, Lack
from interpreter.spec.measures import Measure
from interpreter.spec.names import did_you_mean, metric_ref

_READ_AS_SPLIT = ("evaluate", "combine")  # stages whose name stands for their split on the page


def metric_of(arm: CheckedArm, text: str) -> Lack | None:
    """Why arm `arm` has no metric called `text`, or None when it has.

    `final/accuracy` is that of the evaluate stage `final`; `easy.val/accuracy` that of the fit `easy`; `val/accuracy`
    that of the arm's last fit or probe.
    """
    stage_name, split, metric = metric_ref(text)
    if not split or not metric:
        return Lack(f"a metric is written split/name, such as val/loss; got `{text}`")
    dot = bool(stage_name)
    by_name = {stage.name: stage for stage in arm.chain}
    evaluations = _evaluations(arm)
    if not dot and split in evaluations:
        return _evaluated(arm, by_name[split], metric)
    if not dot:
        if not arm.main_stage:
            return Lack(f"arm `{arm.name}` has no fit")
        stage_name = arm.main_stage
    if stage_name not in by_name:
        return Lack(f"arm `{arm.name}` has no stage `{stage_name}`", did_you_mean(stage_name, by_name))
    stage = by_name[stage_name]
    if stage.kind == "evaluate":
        return Lack(f"`{stage_name}` is an evaluation: write {stage_name}/{metric}")
    if stage.kind == "score":
        return Lack(f"`{stage_name}` scores examples: it has no metrics")
    return _logged(stage, split, metric, () if dot else evaluations)


def epochs_of(arm: CheckedArm, text: str) -> int | None:
    """How many epochs the curve of the metric called `text` has at most; None where that is not plain from the page."""
    stage_name, split, _ = metric_ref(text)
    called = stage_name or (split if split in _evaluations(arm) else arm.main_stage)
    stage = next((stage for stage in arm.chain if stage.name == called), None)
    if stage is None:
        return None
    if stage.kind in _READ_AS_SPLIT:
        return 1
    return stage.schedule.epochs if stage.kind == "fit" and stage.schedule is not None else None


def _evaluations(arm: CheckedArm) -> list[str]:
    """Stages that a split without a stage is looked for among, before it is one of the last fit or probe."""
    return [stage.name for stage in arm.chain if stage.kind in _READ_AS_SPLIT and stage.name != arm.main_stage]


def measure_of(arm: CheckedArm, measure: Measure) -> Lack | None:
    """Why `measure` can't be read on `arm`, or None when it can."""
    if measure.metric is not None:
        return metric_of(arm, measure.metric)
    if measure.effective_robustness is not None:
        asked = measure.effective_robustness
        return metric_of(arm, asked.in_) or metric_of(arm, asked.out)
    what = "phases" if measure.phase is not None else "resources"
    return None if any(stage.trains for stage in arm.chain) else Lack(f"arm `{arm.name}` has no fit, hence no {what}")


def _logged(stage: CheckedStage, split: str, metric: str, evaluations: Sequence[str]) -> Lack | None:
    if stage.imported is not None:
        known = {name for _, facts in stage.imported.files.values() for name in facts.metrics or ()}
        told = all(facts.metrics is not None for _, facts in stage.imported.files.values())
        if not told or f"{split}/{metric}" in known:
            return None
        hint = did_you_mean(f"{split}/{metric}", known)
        return Lack(f"the imported file has no `{split}/{metric}`", hint)
    if stage.kind == "combine":
        assert stage.objective is not None
        if split != stage.part:
            return Lack(f"what is combined was measured on `{stage.part}`", did_you_mean(split, [stage.part]))
        known = set(stage.objective.metrics)
        return None if metric in known else Lack(f"`{split}` has no metric `{metric}`", did_you_mean(metric, known))
    return metric_problem(stage, split, metric, evaluations)


def _evaluated(arm: CheckedArm, asked: CheckedStage, metric: str) -> Lack | None:
    """An evaluation measures what the objective of the last fit or probe before it measures."""
    objective = asked.objective
    for stage in arm.chain:
        if stage is asked:
            break
        objective = stage.objective if stage.trains else objective
    if objective is None:
        return Lack(f"`{asked.name}` has no fit before it")
    if metric in objective.logged():
        return None
    return Lack(f"`{asked.name}` has no metric `{metric}`", did_you_mean(metric, objective.logged()))
