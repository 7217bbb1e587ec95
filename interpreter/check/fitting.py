"""What types alone can't tell: whether the parts of a stage suit each other, and the stages of a chain."""

from __future__ import annotations

from collections.abc import Iterable

from interpreter.check.thaws import needs_monitor, thaw_problems
from interpreter.check.types import CheckedStage, Lack
from interpreter.errors import Problem, Problems, Severity
from interpreter.source.nodes import Mapping, Scalar, Sequence, place_of
from interpreter.spec.components.schedules import Plateau
from interpreter.spec.metrics import METRICS
from interpreter.spec.names import did_you_mean


def fits_together(stage: CheckedStage, node: Mapping, path: str, problems: Problems) -> None:
    """Tell where a fit or probe does not fit together: objective and data, model and examples, metrics and who logs them."""
    assert stage.objective is not None and stage.data is not None
    facts = stage.data.facts()
    if why := stage.objective.misfit(stage.data):
        place = node.items[stage.kind].place
        problems.add(Problem("objective-misfit", f"the objective {why}", place, f"{path}.{stage.kind}"))
    place = node.items["data"].place
    told = any(problem.code == "doubtful-data" and problem.place == place for problem in problems.found)
    for doubt in () if told else stage.data.doubts():  # of a sweep's points, the first tells for all
        problems.add(Problem("doubtful-data", doubt.text, place, f"{path}.data", hint=doubt.hint, severity=Severity.NOTE))
    if "train" not in facts.splits:
        text = "this dataset has no training split"
        problems.add(Problem("unknown-split", text, node.items["data"].place, f"{path}.data"))
    if stage.model is not None:
        why = (stage.model.misfit(facts.shape) if facts.shape is not None else "") or stage.objective.model_misfit(stage.model)
        if why:
            problems.add(Problem("model-misfit", f"the model {why}", node.items["model"].place, f"{path}.model"))
    if stage.objective.batchwise and stage.schedule is not None and stage.schedule.accumulate > 1:
        text = f"a batch is worked through in {stage.schedule.accumulate} parts, and `{stage.objective.type}` compares examples"
        text += " only within a part: the loss is that of a smaller batch"
        where, hint = place_of(node, ("schedule", "accumulate")), "leave `accumulate` out, or say the smaller batch size"
        problems.add(
            Problem("contrast-in-parts", text, where, f"{path}.schedule.accumulate", hint=hint, severity=Severity.WARNING)
        )
    stopping = stage.schedule.early_stopping if stage.schedule is not None else None
    if stopping is not None and (problem := metric_problem(stage, *stopping.monitor.split("/", 1))):
        _unmeasured(
            stage,
            node,
            f"early stopping can't watch `{stopping.monitor}`",
            problem,
            "schedule.early_stopping.monitor",
            path,
            problems,
        )
    if stage.average is not None and stage.average.swa is not None and stage.schedule is not None:
        _averages(stage, node, path, problems)
    if stage.kind == "fit":
        _chosen(stage, node, stage.keep.best, "the best checkpoint can't be chosen by", "keep.best", path, problems)
    elif stage.pick is not None:
        _chosen(stage, node, stage.pick.best, "the probe can't be picked by", "pick.best", path, problems)
    if stage.thaw is not None:
        if needs_monitor(stage.thaw):
            _chosen(stage, node, stage.thaw.monitor, "phases can't be watched by", "thaw.monitor", path, problems)
        thaw_problems(stage, node, path, problems)
    if stage.schedule is not None and isinstance(stage.schedule.lr_schedule, Plateau):
        watched, key = stage.schedule.lr_schedule.monitor, "schedule.lr_schedule.monitor"
        _chosen(stage, node, watched, "a plateau can't watch", key, path, problems)
    asked = node.get("metrics")
    for item in asked.items if isinstance(asked, Sequence) else ():
        if isinstance(item, Scalar) and item.text not in stage.objective.logged():
            text, hint = f"this objective has no metric `{item.text}`", did_you_mean(item.text, stage.objective.logged())
            problems.add(Problem("unknown-metric", text, item.place, f"{path}.metrics", got=item.text, hint=hint))


def _averages(stage: CheckedStage, node: Mapping, path: str, problems: Problems) -> None:
    """The mean over the last epochs needs these epochs."""
    assert stage.average is not None and stage.average.swa is not None and stage.schedule is not None
    place, last, epochs = place_of(node, ("average", "swa")), stage.average.swa, stage.schedule.epochs
    if last > epochs:
        text = f"the last {last} epochs are averaged, and `{stage.name}` has {epochs}"
        problems.add(Problem("bad-value", text, place, f"{path}.average.swa", f"at most {epochs}", str(last)))
    elif stage.schedule.early_stopping is not None:
        text = f"`{stage.name}` may stop before its last {last} epochs, and would then have no average"
        hint = "`average: {ema: ...}` has one from the first step on"
        problems.add(Problem("early-average", text, place, f"{path}.average.swa", hint=hint, severity=Severity.WARNING))


def evaluated_metrics(asked: list[str] | None, node: Mapping, path: str, problems: Problems) -> None:
    """Tell each of the metrics of an evaluation that nothing measures."""
    below = node.get("metrics")
    for name, item in zip(asked or (), below.items if isinstance(below, Sequence) else (), strict=False):
        if name not in METRICS:
            text, hint = f"there is no metric `{name}`", did_you_mean(name, METRICS)
            problems.add(Problem("unknown-metric", text, item.place, f"{path}.metrics", got=name, hint=hint))


def _chosen(stage: CheckedStage, node: Mapping, metric: str, what: str, key: str, path: str, problems: Problems) -> None:
    problem = metric_problem(stage, *metric.split("/", 1)) if "/" in metric else Lack("write split/name")
    if problem:
        _unmeasured(stage, node, f"{what} `{metric}`", problem, key, path, problems)


def _unmeasured(stage: CheckedStage, node: Mapping, what: str, lack: Lack, key: str, path: str, problems: Problems) -> None:
    of = stage.written if stage.written is not None and key.startswith("schedule.") else node  # a schedule is named, as a rule
    place = place_of(of, tuple(key.split(".")))
    problems.add(Problem("unknown-metric", f"{what}: {lack.why}", place, f"{path}.{key}", hint=lack.hint))


def metric_problem(stage: CheckedStage, split: str, metric: str, more: Iterable[str] = ()) -> Lack | None:
    """Why a fit or probe logs no metric `split/metric`, None when it does. `more`: what else could stand for the split."""
    assert stage.objective is not None and stage.data is not None
    splits = [split for split in stage.data.facts().splits if split != "test"]
    if split not in splits:
        measured = " and ".join(f"`{s}`" for s in splits)
        why = f"a {stage.kind} measures {measured}" if splits else f"the dataset of `{stage.name}` has nothing that is measured"
        return Lack(why, did_you_mean(split, [*splits, *more]) if splits or more else "")
    if metric not in stage.objective.logged():
        return Lack(f"`{split}` has no metric `{metric}`", did_you_mean(metric, stage.objective.logged()))
    return None


def start_misfit(stage: CheckedStage, before: CheckedStage) -> tuple[str, str]:
    """Why the weights of `before` can't be the start of `stage`, as (code, words); ("", "") when they can."""
    if stage.model is None or before.model is None or stage.data is None or before.data is None:
        return "", ""
    if why := stage.model.weights_misfit(before.model):
        return "start-misfit", f"`{stage.name}` starts from `{before.name}`, whose encoder is another: {why}"
    new, old = stage.data.facts().shape, before.data.facts().shape
    if new is None or old is None:
        return "", ""
    if new[0] != old[0] and not (stage.origin.new_channels == "zero" and new[0] > old[0]):
        return "channel-misfit", f"`{stage.name}` has examples of {new[0]} channels, and `{before.name}` learned on {old[0]}"
    if stage.model.flattens and new[1:] != old[1:]:
        sizes = " and ".join(" x ".join(map(str, shape)) for shape in (new, old))
        return (
            "start-misfit",
            f"`{stage.name}` and `{before.name}` have examples of {sizes}, and this model takes every pixel by itself",
        )
    return "", ""
