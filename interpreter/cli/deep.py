"""`--deep`: every model of a page, built on the meta device to see that it can be, and how many parameters it has."""

from __future__ import annotations

import json
from collections.abc import Mapping

from interpreter.check.types import CheckedPage
from interpreter.cli.phases import arms_of, misfits
from interpreter.cli.uses import Use, uses_of
from interpreter.errors import Problem, Problems
from interpreter.project import Project
from interpreter.run.facts import Facts, Refusal, cached, facts_of

_SHOWN = 2  # stages named before "and N more"


def examine(project: Project, pages: list[CheckedPage], form: str) -> tuple[list[Problem], list[str]]:
    """A Problem for each model that can't be built or has not got what is named; lines about the rest: tables, or JSON objects.

    Raises: UsageError when torch can't be asked at all.
    """
    by_page = [(page, uses_of(page)) for page in pages]
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
