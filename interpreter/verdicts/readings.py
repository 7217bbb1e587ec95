"""Where a metric of an arm is measured: on which stage, and on which examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from interpreter.catalog import typed
from interpreter.plan.types import ArmPlan, Plan, Stage
from interpreter.spec.components.contract import Dataset
from interpreter.spec.metrics import METRICS
from interpreter.spec.names import metric_ref


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one arm: the stage that records it, the split as its records call it, and its name."""

    stage: str
    split: str
    name: str

    @property
    def better(self) -> str:
        """ "higher" or "lower"; lower for a metric the table of metrics does not have."""
        return METRICS[self.name].better if self.name in METRICS else "lower"

    def __str__(self) -> str:
        return f"{self.split}/{self.name}"


def metric_of(arm: ArmPlan, text: str) -> Metric | None:
    """The metric `[stage.]split/name` of an arm, or None where the arm has no such stage.

    An evaluate stage is its own split on the page; a split without a stage is of the arm's main stage.
    """
    stage, split, name = metric_ref(text)
    if not stage:
        stage = split if split in arm.evaluations else arm.main_stage
    return Metric(stage, split, name) if stage in arm.chain else None


def recorded_split(stage: Stage, metric: Metric) -> str:
    """What the record of `stage` calls the split of a metric; an evaluation or combination has one only, by its own name."""
    return str(stage.settings["name"]) if stage.kind in ("evaluate", "combine") else metric.split


def last_fit(plan: Plan, arm: ArmPlan) -> str | None:
    """The name of an arm's last fit, whose phases and resources are meant; None where it has none, or no trial."""
    if not arm.trials:
        return None
    fits = [name for name, key in arm.trials[0].stages if plan.stages[key].kind == "fit"]
    return fits[-1] if fits else None


def measured(stage: Stage, split: str, plan: Plan | None = None) -> dict[str, Any]:
    """What decides the examples and transforms on which `stage` measures `split`, the data's fingerprint included.

    Two measurements are of the same thing when this is equal. A combination measures on what its members do, which `plan`
    has. Of results made elsewhere what the page says of them counts, or else the file they came in.
    """
    settings = stage.settings
    if stage.kind == "import":
        if said := settings.get("measured"):
            prints = {said["data"]["source"]: said["fingerprint"]} if said["fingerprint"] else {}
            return {**_measured(said["data"], said["part"]), **({"fingerprint": prints} if prints else {})}
        return {"import": settings["import"]["sha256"], "split": split}
    if stage.kind == "combine":
        members = [needed.key for needed in stage.inputs if needed.role == "member"]
        known = [plan.stages[key] for key in members if key in plan.stages] if plan else []
        return measured(known[0], split, plan) if known else {"members": members, "split": split}
    data = settings["data"]
    part = settings["part"] if stage.kind == "evaluate" else split
    prints = {s.name: s.fingerprint for s in stage.sources if s.name == data.get("source")}
    return {**_measured(data, part), **({"fingerprint": prints} if prints else {})}


def _measured(settings: Mapping[str, Any], part: str) -> dict[str, Any]:
    try:
        config = typed("dataset", settings)
    except (KeyError, ValidationError):
        return {**settings, "split": part}  # of a version that this one can't read: equal only when all of it is
    assert isinstance(config, Dataset)
    return config.measured(part)


def weights_chosen_on(plan: Plan, key: str) -> dict[str, Any] | None:
    """The data that chose the weights that a stage measures, as `measured` has it; None where nothing was chosen.

    For an evaluation, and for a combination of evaluations or of what fits kept at their best.
    """
    stage = plan.stages[key]
    if stage.kind not in ("evaluate", "combine"):
        return None
    for needed in stage.inputs:
        source = plan.stages.get(needed.key)
        if source is None:
            continue
        if needed.role == "member" and source.kind != "fit":
            return weights_chosen_on(plan, source.key)
        rule = {"best": ("keep", "best"), "picked": ("pick", "best")}.get(needed.checkpoint)
        if rule is not None:
            return measured(source, str(source.settings[rule[0]][rule[1]]).partition("/")[0], plan)
    return None
