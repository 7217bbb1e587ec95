"""The models that the fits of a page have: what is to be asked of each, and what asking them by stage comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from interpreter import catalog
from interpreter.check.types import CheckedArm, CheckedPage, CheckedStage
from interpreter.errors import Place
from interpreter.plan.types import Plan
from interpreter.run.facts import Facts, Request
from interpreter.spec.base import unbuilt
from interpreter.spec.components.contract import settings
from interpreter.spec.components.models import Head

ASSUMED_OUTPUTS = 2  # where the number of classes is not known before the data is read


@dataclass(slots=True)
class Use:
    """A model as one or more fits of a page have it: what is asked of it, and who has it."""

    name: str  # as the page calls it
    request: Request | None  # None when it can't be looked at
    skipped: str = ""  # why not
    assumed: str = ""  # why the number of outputs is not known yet, and a guess is counted with
    users: dict[str, None] = field(default_factory=dict)  # "arm.stage", in file order
    places: dict[str, tuple[Place, str]] = field(default_factory=dict)  # where it is said: place, and path

    def as_json(self, known: Mapping[str, Facts]) -> dict[str, Any]:
        """The same as plain data, with what is `known` (by the key of the request)."""
        request = self.request
        facts = known.get(request.key) if request else None
        return {
            "model": self.name,
            "shape": list(request.shape) if request else None,
            "outputs": request.outputs if request else None,
            "outputs_assumed": bool(self.assumed),
            "used_by": list(self.users),
            "skipped": self.skipped,
            "parameters": numbers(facts) if facts else None,
        }


def uses_of(page: CheckedPage, arms: Iterable[CheckedArm] | None = None) -> list[Use]:
    """Every distinct model (settings, head, shape of an example, outputs) of the fits of `page`, or of `arms` of it."""
    found: dict[tuple[str, str], Use] = {}
    chosen = [arm for entry in page.entries for arm in entry.arms.values()] if arms is None else arms
    for arm in chosen:
        for stage in arm.chain:
            use = _use(stage)
            if use is None:
                continue
            what = use.request.key if use.request else use.skipped
            use = found.setdefault((use.name, what), use)
            use.users[f"{arm.name}.{stage.name}"] = None
            place = stage.model_place or stage.place
            use.places.setdefault(str(place), (place, f"stages.{stage.name}.model"))
    return list(found.values())


def _use(stage: CheckedStage) -> Use | None:
    """The model of one stage; None for a stage that has no model of its own."""
    model = stage.model
    if model is None or stage.data is None:
        return None
    head, data = stage.head or Head(), stage.data.facts()
    name = stage.model_name or model.type
    if not catalog.built("model", model.type):
        return Use(name, None, f"the model type `{model.type}` is not built yet")
    if paths := [".".join(path) for path in (*unbuilt(model), *(("head", *path) for path in unbuilt(head)))]:
        return Use(name, None, f"{', '.join(f'`{path}`' for path in paths)} of it is not built yet")
    if data.shape is None:
        return Use(name, None, f"the shape of an example of `{stage.data_name}` is known once it is read")
    assumed = "the number of classes is known once the data is read" if data.outputs is None else ""
    if stage.objective is not None and not catalog.built("objective", stage.objective.type):
        assumed = f"the objective type `{stage.objective.type}`, which decides the number of outputs, is not built yet"
    outputs = data.outputs or ASSUMED_OUTPUTS
    made_of, views, groups = settings(head), 1, 1
    if stage.objective is not None:
        views, groups = stage.objective.views, stage.objective.head_groups()
        if own := stage.objective.own_head():
            (made_of, outputs), assumed = own, ""
    asked = Request(settings(model), made_of, data.shape, outputs, model.component_version, views, groups)
    return Use(name, asked, assumed=assumed)


def request_of(stage: CheckedStage) -> tuple[Request | None, str]:
    """What is asked to look at the model of a stage; None with why not, where it can't be or there is none."""
    use = _use(stage)
    return (None, "it has no model") if use is None else (use.request, use.skipped)


def requests_by_stage(plan: Plan, checked: CheckedPage) -> dict[str, Request]:
    """The request for the model of each planned fit, by the key of the stage."""
    arms = {(entry.id, arm.name): arm for entry in checked.entries for arm in entry.arms.values()}
    found: dict[str, Request] = {}
    for entry in plan.entries:
        for planned in entry.arms:
            arm = arms.get((entry.id, planned.name))
            asked = {stage.name: use.request for stage in arm.chain if (use := _use(stage)) is not None} if arm else {}
            for trial in planned.trials:
                for name, key in trial.stages:
                    if (request := asked.get(name)) is not None:
                        found[key] = request
    return found


def numbers(facts: Facts) -> dict[str, int]:
    """Counts of parameters, the length of the feature vector, and bytes of buffers."""
    return {
        "encoder": facts.encoder,
        "head": facts.head,
        "total": facts.total,
        "features": facts.features,
        "buffer_bytes": facts.buffers,
    }
