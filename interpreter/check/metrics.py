"""Which metrics an arm has: `[stage.]split/name`, resolved to the stage that logs it."""

from __future__ import annotations

from interpreter.check.stages import metric_problem
from interpreter.check.types import CheckedArm
from interpreter.spec.names import did_you_mean, metric_ref


def metric_of(arm: CheckedArm, text: str) -> str:
    """Why arm `arm` has no metric called `text`, or "" when it has.

    `final/accuracy` is that of the evaluate stage `final`; `easy.val/accuracy` that of the fit `easy`; `val/accuracy`
    that of the arm's last fit.
    """
    stage_name, split, metric = metric_ref(text)
    if not split or not metric:
        return f"a metric is written split/name, such as val/loss; got `{text}`"
    dot = bool(stage_name)
    by_name = {stage.name: stage for stage in arm.chain}
    if not dot and split in by_name and by_name[split].kind == "evaluate":
        return _evaluated(arm, split, metric)
    if not dot:
        if not arm.main_stage:
            return f"arm `{arm.name}` has no fit"
        stage_name = arm.main_stage
    if stage_name not in by_name:
        return f"arm `{arm.name}` has no stage `{stage_name}`; {did_you_mean(stage_name, by_name)}"
    stage = by_name[stage_name]
    if stage.kind == "evaluate":
        return f"`{stage_name}` is an evaluation: write {stage_name}/{metric}"
    evaluations = [s.name for s in arm.chain if s.kind == "evaluate"]
    why = metric_problem(stage, split, metric)
    return f"{why}; evaluations: {', '.join(evaluations)}" if why and evaluations and not dot else why


def _evaluated(arm: CheckedArm, name: str, metric: str) -> str:
    """An evaluation measures what the objective of the last fit before it measures."""
    objective = None
    for stage in arm.chain:
        if stage.kind == "fit":
            objective = stage.objective
        elif stage.name == name and objective is not None:
            if metric in objective.metrics:
                return ""
            return f"`{name}` has no metric `{metric}`; {did_you_mean(metric, objective.metrics)}"
    return f"`{name}` has no fit before it"
