"""`expt diff`: the settings in which two arms, of any pages, differ, and where each is written."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from interpreter.check.page import check_page
from interpreter.check.types import CheckedArm, CheckedPage, CheckedStage
from interpreter.check.written import setting
from interpreter.cli.origin import Origins
from interpreter.cli.session import here, library_of
from interpreter.errors import Place, UsageError
from interpreter.plan.build import build_plan
from interpreter.plan.differences import NUMERICS, matched, phrase, plain, rank, span, stage_differences, start_of, upstream, word
from interpreter.plan.lock import read_lock
from interpreter.plan.points import select
from interpreter.plan.types import ArmPlan, Plan, Stage
from interpreter.project import Project
from interpreter.run.environment import first_numerics
from interpreter.run.record import Record
from interpreter.source import nodes
from interpreter.spec.library import Library
from interpreter.spec.names import DATE, did_you_mean

_NAMED = 4  # arms named in a message


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two arms: as checked, as planned, and every arm that was read on the way to it."""

    checked: CheckedArm
    planned: ArmPlan
    page: CheckedPage
    plan: Plan

    @property
    def id(self) -> str:
        """Its full name: DATE/entry/arm[point]."""
        return f"{self.checked.entry_id}/{self.checked.name}"


def run(args: argparse.Namespace) -> int:
    """Print every difference, one a line, in the order in which they tell."""
    project = here()
    library = library_of(project)
    pages: dict[str, CheckedPage] = {}
    a, b = (_side(text, args.profile, project, library, pages) for text in (args.a, args.b))
    lines = differences_between(a, b, project, Origins(library))
    print(f"{a.id} -> {b.id}" + (f" at profile {args.profile}" if args.profile else ""))
    for line in lines or ["nothing differs"]:
        print(f"  {line}")
    return 0


def differences_between(a: Side, b: Side, project: Project, origins: Origins) -> list[str]:
    """Every difference in words, `dropout of the head of lba: 0.2 -> 0.5`, with where both values are written."""
    plan = replace(a.plan, stages={**a.plan.stages, **b.plan.stages})
    found = [*_settings(plan, a, b, origins), *_begins(plan, a, b), *_numerics(a, b, project)]
    told = [text for _, text in sorted(found, key=lambda item: rank(item[0]))]
    return list(dict.fromkeys([*told, *_stages(plan, a, b, origins), *_seeds(a, b, origins)]))


Told = Iterator[tuple[str, str]]  # (what it is about, in words)


def _settings(plan: Plan, a: Side, b: Side, origins: Origins) -> Told:
    for name, left, right in matched(plan, a.planned, b.planned):
        if left.kind != right.kind:
            continue  # what they do is told, and no setting of one is a setting of the other
        for path, x, y in stage_differences(left, right):
            values, places = [], []
            for side, stage, value, other in ((a, left, x, y), (b, right, y, x)):
                place, written = _written(side, stage, path, value)
                values.append(word(written if other is None else value))
                places.append(origins.words(place))
            where = places[0] if places[0] == places[1] else " / ".join(places)
            yield path.split(".")[0], f"{phrase(path, _both(name))}: {values[0]} -> {values[1]}  ({where})"
        again = [str(stage.identity.get("rerun", "off")) for stage in (left, right)]
        if again[0] != again[1]:
            yield "start", f"{phrase('rerun', _both(name))}: {again[0]} -> {again[1]}"


def _both(name: str) -> str:
    """Two stages that play one part, "lba -> tune", as what a setting belongs to."""
    return name.replace(" -> ", " and ")


def _written(side: Side, stage: Stage, path: str, value: Any) -> tuple[Place | None, Any]:
    """Where `value` of a setting is written, and what is written there; (None, `value`) where a default holds."""
    for checked in _definitions(side, stage):
        found, node = setting(checked, path)
        if plain(found) == plain(value):
            return (node.place, nodes.plain(node)) if node is not None else (None, value)
    return None, value


def _definitions(side: Side, stage: Stage) -> Iterator[CheckedStage]:
    """What `stage` may have been planned from: the arm's own stages by its name and kind, then those of arms it begins with."""
    for arm in (side.checked, *side.page.reached.values()):
        for checked in arm.chain:
            if checked.name == stage.name and checked.kind == stage.kind:
                yield checked


def _begins(plan: Plan, a: Side, b: Side) -> Told:
    """Which weights stages start from and read."""
    left, right = upstream(plan, a.planned), upstream(plan, b.planned)
    for name, mine, other in matched(plan, a.planned, b.planned):
        if mine.kind != other.kind:
            continue
        x, y = start_of(mine, left), start_of(other, right)
        if x != y:
            yield "start", f"start of {_both(name)}: {x} -> {y}"
        rules = [", ".join(i.checkpoint for i in stage.inputs if i.role == "weights") for stage in (mine, other)]
        if rules[0] != rules[1]:
            yield "keep", f"checkpoint that {_both(name)} reads: {rules[0]} -> {rules[1]}"


def _stages(plan: Plan, a: Side, b: Side, origins: Origins) -> Iterator[str]:
    """Stages that one arm has and the other has not, or that are something else there."""
    left, right = upstream(plan, a.planned), upstream(plan, b.planned)
    main = a.planned.main_stage, b.planned.main_stage
    paired = dict([main, main[::-1]]) if main[0] in left and main[1] in right else {}
    for side, mine, other in ((a, left, right), (b, right, left)):
        for name, stage in mine.items():
            rival = other.get(name) or other.get(paired.get(name, ""))
            if rival is None:
                checked = next(_definitions(side, stage), None)
                where = f"  ({origins.words(checked.place)})" if checked is not None else ""
                yield f"{name}: a stage of {side.id} only{where}"
            elif rival.kind != stage.kind and side is a:
                yield f"what {_both(f'{name} -> {rival.name}' if name not in other else name)} does: {stage.kind} -> {rival.kind}"


def _numerics(a: Side, b: Side, project: Project) -> Told:
    """Numerics that were recorded of both, where trials of one seed were computed in different ways."""
    seeds: dict[tuple[str, str, str, str], list[int]] = {}
    trials = {trial.seed: dict(trial.stages) for trial in b.planned.trials}
    for trial in a.planned.trials:
        for name, key in trial.stages:
            other = trials.get(trial.seed, {}).get(name, key)
            if other == key:
                continue
            x, y = (first_numerics(Record.of(project, each)) or {} for each in (key, other))
            for what in NUMERICS:
                if x.get(what) is not None and y.get(what) is not None and x[what] != y[what]:
                    seeds.setdefault((what, name, word(x[what]), word(y[what])), []).append(trial.seed)
    for (what, name, before, after), which in seeds.items():
        plural = "s" * (len(which) > 1)
        yield "numerics", f"{what} of {name}, as recorded: {before} -> {after}  (seed{plural} {', '.join(map(str, which))})"


def _seeds(a: Side, b: Side, origins: Origins) -> Iterator[str]:
    x, y = (_seeds_of(side.checked) for side in (a, b))
    if x != y:
        where = " / ".join(origins.words(_seeds_place(side.checked)) for side in (a, b))
        yield f"seeds: {x} -> {y}  ({where})"


def _seeds_place(arm: CheckedArm) -> Place | None:
    """Where an arm's seeds are written; those of groups and of files follow from the arm."""
    return arm.place if arm.chain[0].kind in ("combine", "import") else arm.seeds_place


def _seeds_of(arm: CheckedArm) -> str:
    """The seeds of an arm: `0-4`, or those of each level, `backbone 0, head 0-4`."""
    if arm.levels:
        return ", ".join(f"{level} {span(arm.seeds[level])}" for level in arm.levels)
    return span(next(iter(arm.seeds.values())))


def _side(text: str, profile: str, project: Project, library: Library, pages: dict[str, CheckedPage]) -> Side:
    """The one arm that `text` names. Raises: UsageError when there is none, or several; PageError when its page is wrong."""
    date, entry, arm = (*text.split("/", 2), "", "")[:3]
    if not DATE.fullmatch(date) or not entry or not arm:
        raise UsageError(f"`{text}` is no arm", hint="an arm is DATE/entry/arm, as 2024-06-28/first/naive")
    known = {name: page for page in library.dated(date) for name in page.entries}
    if not known:
        dates = sorted({path.stem[:10] for path in library.files()})
        raise UsageError(f"no page is dated {date}", hint=did_you_mean(date, dates))
    name = _one(entry, list(known), f"{date}/{entry}", "entry")
    page = known[name]
    if page.file not in pages:
        pages[page.file] = check_page(library, page, profile)
    checked = pages[page.file]
    arms = next(each for each in checked.entries if each.entry.name == name).arms
    chosen = select(list(arms.values()), arm)
    if len(chosen) > 1:
        shown = ", ".join(each.name for each in chosen[:_NAMED]) + (", ..." if len(chosen) > _NAMED else "")
        raise UsageError(f"`{text}` is {len(chosen)} arms: say which", hint=shown)
    full = chosen[0].name if chosen else _one(arm, list(arms), text, "arm")
    plan = build_plan(checked, read_lock(project.data_lock), entries=(name,), arms=(full,))
    planned = next(each for each in plan.entries[0].arms if each.name == full)
    return Side(arms[full], planned, checked, plan)


def _one(text: str, known: list[str], full: str, what: str) -> str:
    """The one of `known` that is `text`, or begins with it. Raises: UsageError."""
    found = [text] if text in known else [name for name in known if name.startswith(text)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"`{full}` is short for {len(found)} names: say which", hint=", ".join(found[:_NAMED]))
    raise UsageError(f"there is no {what} `{full}`", hint=did_you_mean(text, known))
