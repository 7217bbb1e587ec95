"""Which metrics an arm has: `[stage.]split/name`, resolved to the stage that logs it."""

from __future__ import annotations

from interpreter.check.fitting import metric_problem
from interpreter.check.types import CheckedArm, CheckedStage
from interpreter.spec.measures import Measure
from interpreter.spec.names import did_you_mean, metric_ref

_READ_AS_SPLIT = ("evaluate", "combine")  # stages whose name stands for their split on the page


def metric_of(arm: CheckedArm, text: str) -> str:
    """Why arm `arm` has no metric called `text`, or "" when it has.

    `final/accuracy` is that of the evaluate stage `final`; `easy.val/accuracy` that of the fit `easy`; `val/accuracy`
    that of the arm's last fit or probe.
    """
    stage_name, split, metric = metric_ref(text)
    if not split or not metric:
        return f"a metric is written split/name, such as val/loss; got `{text}`"
    dot = bool(stage_name)
    by_name = {stage.name: stage for stage in arm.chain}
    if not dot and split in by_name and by_name[split].kind in _READ_AS_SPLIT and split != arm.main_stage:
        return _evaluated(arm, by_name[split], metric)
    if not dot:
        if not arm.main_stage:
            return f"arm `{arm.name}` has no fit"
        stage_name = arm.main_stage
    if stage_name not in by_name:
        return f"arm `{arm.name}` has no stage `{stage_name}`; {did_you_mean(stage_name, by_name)}"
    stage = by_name[stage_name]
    if stage.kind == "evaluate":
        return f"`{stage_name}` is an evaluation: write {stage_name}/{metric}"
    if stage.kind == "score":
        return f"`{stage_name}` scores examples: it has no metrics"
    evaluations = [s.name for s in arm.chain if s.kind in _READ_AS_SPLIT and s.name != arm.main_stage]
    why = _logged(stage, split, metric)
    return f"{why}; evaluations: {', '.join(evaluations)}" if why and evaluations and not dot else why


def measure_of(arm: CheckedArm, measure: Measure) -> str:
    """Why `measure` can't be read on `arm`, or "" when it can."""
    if measure.metric is not None:
        return metric_of(arm, measure.metric)
    if measure.effective_robustness is not None:
        asked = measure.effective_robustness
        return metric_of(arm, asked.in_) or metric_of(arm, asked.out)
    what = "phases" if measure.phase is not None else "resources"
    return "" if any(stage.trains for stage in arm.chain) else f"arm `{arm.name}` has no fit, hence no {what}"


def _logged(stage: CheckedStage, split: str, metric: str) -> str:
    if stage.imported is not None:
        known = {name for _, facts in stage.imported.files.values() for name in facts.metrics or ()}
        told = all(facts.metrics is not None for _, facts in stage.imported.files.values())
        missing = told and f"{split}/{metric}" not in known
        return f"the imported file has no `{split}/{metric}`; {did_you_mean(f'{split}/{metric}', known)}" if missing else ""
    if stage.kind == "combine":
        assert stage.objective is not None
        if split != stage.part:
            return f"what is combined was measured on `{stage.part}`; {did_you_mean(split, [stage.part])}"
        known = set(stage.objective.metrics)
        return "" if metric in known else f"`{split}` has no metric `{metric}`; {did_you_mean(metric, known)}"
    return metric_problem(stage, split, metric)


def _evaluated(arm: CheckedArm, asked: CheckedStage, metric: str) -> str:
    """An evaluation measures what the objective of the last fit or probe before it measures."""
    objective = asked.objective
    for stage in arm.chain:
        if stage is asked:
            break
        objective = stage.objective if stage.trains else objective
    if objective is None:
        return f"`{asked.name}` has no fit before it"
    if metric in objective.logged():
        return ""
    return f"`{asked.name}` has no metric `{metric}`; {did_you_mean(metric, objective.logged())}"
