"""Where a metric of an arm is measured: on which stage, and on which examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from interpreter.catalog import config_class
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


def measured(stage: Stage, split: str) -> dict[str, Any]:
    """What decides the examples and transforms on which `stage` measures `split`, the data's fingerprint included.

    Two measurements are of the same thing when this is equal.
    """
    settings = stage.settings["data"]
    part = stage.settings["part"] if stage.kind == "evaluate" else split
    prints = {s.name: s.fingerprint for s in stage.sources if s.name == settings.get("source")}
    return {**_measured(settings, part), **({"fingerprint": prints} if prints else {})}


def _measured(settings: Mapping[str, Any], part: str) -> dict[str, Any]:
    try:
        config = config_class("dataset", settings["type"]).model_validate_json(json.dumps(settings))
    except (KeyError, ValidationError):
        return {**settings, "split": part}  # of a version that this one can't read: equal only when all of it is
    assert isinstance(config, Dataset)
    return config.measured(part)


def ancestors(plan: Plan, key: str) -> Iterator[Stage]:
    """The stages that `key` was made from, itself included, each once, nearest first."""
    seen, queue = {key}, [key]
    while queue:
        stage = plan.stages[queue.pop(0)]
        yield stage
        for needed in stage.inputs:
            if needed.key not in seen:
                seen.add(needed.key)
                queue.append(needed.key)


def weights_chosen_on(plan: Plan, key: str) -> dict[str, Any] | None:
    """The data that chose the weights an evaluation measures, as `measured` has it; None where nothing was chosen."""
    stage = plan.stages[key]
    for needed in stage.inputs:
        if stage.kind == "evaluate" and needed.checkpoint == "best" and needed.key in plan.stages:
            fit = plan.stages[needed.key]
            return measured(fit, str(fit.settings["keep"]["best"]).partition("/")[0])
    return None
