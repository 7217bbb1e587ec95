"""`--deep`: every model of a page, built on the meta device to see that it can be, and how many parameters it has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from interpreter import catalog
from interpreter.check.types import CheckedArm, CheckedPage, CheckedStage
from interpreter.errors import Place, Problem, Problems
from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.run.facts import Facts, Refusal, Request, cached, facts_of
from interpreter.spec.base import unbuilt
from interpreter.spec.components.contract import settings
from interpreter.spec.components.models import Head

ASSUMED_OUTPUTS = 2  # where the number of classes is not known before the data is read
_SHOWN = 2  # stages named before "and N more"


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


def examine(project: Project, pages: list[CheckedPage], form: str) -> tuple[list[Problem], list[str]]:
    """A Problem for each model that can't be built or has not got what is named; lines about the rest: tables, or JSON objects.

    Raises: UsageError when torch can't be asked at all.
    """
    by_page = [(page, uses_of(page)) for page in pages]
    from interpreter.cli.phases import arms_of, misfits  # it reads this module

    facts, problems = look(project, [use for _, uses in by_page for use in uses])
    problems += misfits([arm for page in pages for arm in arms_of(page)], lambda request: facts.get(request.key))
    lines: list[str] = []
    for page, uses in by_page:
        if form == "json":
            lines += [json.dumps({"page": page.page.file} | use.as_json(facts), ensure_ascii=False) for use in uses]
        elif rows := table(uses, facts):
            lines += [f"{page.page.file}: {rows[0]}", *rows[1:]]
    return problems, lines


def look(project: Project, uses: list[Use]) -> tuple[dict[str, Facts], list[Problem]]:
    """Facts of `uses` by the key of their request, asked of torch where not cached; a Problem for each place of a refused one.

    Raises: UsageError when torch can't be asked at all.
    """
    requests = [use.request for use in uses if use.request is not None]
    facts: dict[str, Facts] = {}
    refused: dict[str, Refusal] = {}
    for request, answer in zip(requests, facts_of(project, requests), strict=True):
        if isinstance(answer, Facts):
            facts[request.key] = answer
        else:
            refused[request.key] = answer
    problems = Problems()
    for use in uses:
        refusal = refused.get(use.request.key) if use.request else None
        for place, path in use.places.values() if refusal else ():
            assert refusal is not None
            words = f"the model `{use.name}` can't be built: {refusal.error}"
            problems.add(Problem("model-cannot-be-built", words, place, path, hint=refusal.hint))
    return facts, problems.found


def known(project: Project, uses: list[Use]) -> dict[str, Facts]:
    """Facts of `uses` that are cached; no process is started."""
    found = {use.request.key: cached(project, use.request) for use in uses if use.request is not None}
    return {key: facts for key, facts in found.items() if facts is not None}


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


def table(uses: list[Use], facts: Mapping[str, Facts]) -> list[str]:
    """The models as a table below one line, and what is assumed or left out; [] when there is nothing to show."""
    rows = [("model", "example", "outputs", "features", "encoder", "head", "total", "used by")]
    notes: dict[str, None] = {}
    for use in uses:
        if use.request is None:
            notes[f"{use.name}: {use.skipped}"] = None
        elif (found := facts.get(use.request.key)) is not None:
            outputs = f"{use.request.outputs}{'?' if use.assumed else ''}"
            counts = (human(found.encoder), human(found.head), human(found.total))
            shape = " x ".join(map(str, use.request.shape))
            rows.append((use.name, shape, outputs, str(found.features), *counts, _users(list(use.users))))
            if use.assumed:
                notes[f"?: {use.assumed}; counted with {use.request.outputs}"] = None
    lines = []
    if len(rows) > 1:
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            cells = [cell.rjust(w) if 2 <= i <= 6 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
            lines.append("  " + "  ".join(cells).rstrip())
    lines += [f"  {note}" for note in notes]
    return ["models and their numbers of parameters", *lines] if lines else []


def _users(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def human(count: int) -> str:
    """A number of parameters with three digits: 330, 5.12 k, 11.2 M, 1.01 B."""
    for size, unit in ((10**9, " B"), (10**6, " M"), (10**3, " k")):
        # What would round up to 1000 of the smaller unit is told in the larger one.
        if count >= size * 0.9995:
            value = count / size
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{digits}f}{unit}"
    return str(count)
