"""`expt plan`: for each stage reuse, run, running elsewhere or blocked, and why."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from typing import Any

from interpreter.check.types import CheckedArm
from interpreter.cli import deep
from interpreter.cli.phases import misfits
from interpreter.cli.session import Session, open_session, show_problems
from interpreter.cli.uses import numbers, requests_by_stage, uses_of
from interpreter.errors import PageError, Problem, errors_of
from interpreter.plan.differences import span
from interpreter.plan.points import base_of
from interpreter.plan.types import Plan
from interpreter.run.facts import Facts
from interpreter.run.forecast import Forecast, forecast
from interpreter.run.register import register

_WIDE = 160  # columns of the table where there is no terminal
_ARMS, _WHY = 1, 5  # columns that give way where the table is too wide; `--format json` has all of it
_REASONS = 3  # reasons for one fate of one stage that are told one by one


def run(args: argparse.Namespace) -> int:
    """Print what a run would do, and how many parameters its models have where that is known; 2 when one does not fit."""
    session = open_session(args)
    register(session.project, session.checked)
    forecasts = forecast(session.project, session.plan)
    uses = uses_of(session.checked, _arms(session))
    refused: list[Problem] = []
    if args.deep:
        facts, refused = deep.look(session.project, uses)
    else:
        facts = deep.known(session.project, uses)
    refused += misfits(_arms(session), lambda request: facts.get(request.key))
    if args.format == "json":
        requests = requests_by_stage(session.plan, session.checked)
        known = {key: facts.get(request.key) for key, request in requests.items()}
        for item in forecasts:
            print(json.dumps(_as_json(item, known)))
        show_problems(refused)
        return PageError.exit_code if errors_of(refused) else 0
    show_problems([*session.checked.problems, *refused])
    print_plan(session.plan, forecasts, shutil.get_terminal_size((_WIDE, 0)).columns)
    for entry in session.plan.entries:
        trials = sum(len(arm.trials) for arm in entry.arms)
        most = max((arm.seeds + arm.room for arm in entry.arms if arm.room), default=0)
        more = f"; more seeds, up to {most}, while claims are not decided" if most else ""
        print(f"{entry.id}: {f'{len(entry.arms)} arms, {trials} trials{more}' if entry.arms else 'a note, nothing to run'}")
    for line in deep.table(uses, facts):
        print(line)
    if not errors_of(refused) and any(use.request is not None and use.request.key not in facts for use in uses):
        print(f"parameters not counted yet: `expt plan {args.page} --deep` counts them, once, in some seconds")
    return PageError.exit_code if errors_of(refused) else 0


def _arms(session: Session) -> list[CheckedArm]:
    """The arms that were asked for."""
    planned = {(entry.id, arm.name) for entry in session.plan.entries for arm in entry.arms}
    return [arm for entry in session.checked.entries for arm in entry.arms.values() if (entry.id, arm.name) in planned]


def _as_json(item: Forecast, known: Mapping[str, Facts | None]) -> dict[str, Any]:
    facts = known.get(item.stage.key)
    return item.as_json() | {"parameters": numbers(facts) if facts else None}


def print_plan(plan: Plan, forecasts: list[Forecast], width: int) -> None:
    """The plan as a table of at most `width` columns: what happens to the stages of a sweep for one reason is one line."""
    print(f"{plan.page}{f' at profile {plan.profile}' if plan.profile else ''}: {len(forecasts)} stages")
    if not forecasts:
        return
    rows = [("stage", "arms", "seeds", "epochs", "what", "why", "key"), *table(plan, forecasts)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    spare = width - sum(widths) - 2 * len(widths)
    for column, least in ((_WHY, 24), (_ARMS, 24), (_WHY, 8), (_ARMS, 8)):
        if spare < 0:
            taken = min(-spare, max(0, widths[column] - least))
            widths[column] -= taken
            spare += taken
    for row in rows:
        cells = (_cut(cell, w).ljust(w) for cell, w in zip(row, widths, strict=True))
        print(_cut(("  " + "  ".join(cells)).rstrip(), width))
    counts: dict[str, int] = {}
    for item in forecasts:
        counts[item.fate] = counts.get(item.fate, 0) + 1
    print(", ".join(f"{count} {fate}" for fate, count in counts.items()))


def table(plan: Plan, forecasts: list[Forecast]) -> list[tuple[str, ...]]:
    """The rows of the table: stage, arms, seeds, epochs, what, why, key.

    Points of a sweep are one arm with a count. Stages of one name, of the same arms, with the same fate and reason are one
    row; so are those with one fate and more than three reasons.
    """
    arms = _users(plan)
    served = _served(plan, arms)
    whose = {key: tuple(arms[key]) if key in arms else (f"for {served[key]}",) for key in plan.stages}
    by_fate: dict[tuple[str, tuple[str, ...], str], dict[str, list[Forecast]]] = {}
    for item in forecasts:
        reasons = by_fate.setdefault((item.stage.name, whose[item.stage.key], item.fate), {})
        reasons.setdefault(item.why, []).append(item)
    rows: list[tuple[str, ...]] = []
    for (name, bases, fate), reasons in by_fate.items():
        groups = list(reasons.items())
        if len(groups) > _REASONS:
            first = f"{groups[0][0]} (and {len(groups) - 1} other reasons)"
            groups = [(first, [item for _, items in groups for item in items])]
        for why, items in groups:
            points = {base: {p for item in items for p in arms.get(item.stage.key, {}).get(base, ())} for base in bases}
            rows.append((name, ", ".join(map(_called, bases, points.values())), *_numbers(items), fate, why, _keys(items)))
    return rows


def _called(arm: str, points: set[str]) -> str:
    """An arm as the page names it, a sweep with how many of its points: `thaw (8 points)`."""
    return f"{arm} ({len(points)} point{'s' * (len(points) > 1)})" if points else arm


def _numbers(items: list[Forecast]) -> tuple[str, str]:
    """The seeds and the epochs of stages: `0-4`, `400`; `-` where there are none."""
    seeds = sorted({seed for item in items for seed in item.seeds})
    epochs = sorted({item.stage.epochs for item in items} - {0})
    told = [str(epochs[0]), str(epochs[-1])][: len(epochs)] if epochs else ["-"]
    return span(seeds) or "-", "-".join(told)


def _keys(items: list[Forecast]) -> str:
    return items[0].stage.key[:8] + (f" (+{len(items) - 1})" if len(items) > 1 else "")


def _users(plan: Plan) -> dict[str, dict[str, set[str]]]:
    """Key of a stage -> the arms that walk through it, in the page's order, each with those of its points that do.

    Arms are called as the page names them; where several entries have one of that name, with the entry's.
    """
    own = [{base_of(arm) for arm in entry.arms} for entry in plan.entries]
    found: dict[str, dict[str, set[str]]] = {}
    for entry in plan.entries:
        for arm in entry.arms:
            base = base_of(arm)
            shared = "/" not in base and sum(base in names for names in own) > 1
            called = f"{entry.entry.name}/{base}" if shared else base
            for trial in arm.trials:
                for _, key in trial.stages:
                    points = found.setdefault(key, {}).setdefault(called, set())
                    if arm.factors:
                        points.add(arm.name)
    return found


def _served(plan: Plan, arms: Mapping[str, object]) -> dict[str, str]:
    """Key of a stage that no arm walks through -> the name of the stage of an arm that needs it, directly or not."""
    served: dict[str, str] = {}
    for key in reversed(list(plan.stages)):  # inputs come before what reads them, so that this meets the readers first
        stage = plan.stages[key]
        for source in stage.inputs:
            if source.key not in arms:
                served.setdefault(source.key, stage.name if key in arms else served.get(key, stage.name))
    return served


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 3)] + "..."
