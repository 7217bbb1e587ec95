"""What must hold for every text whatsoever: it is checked, and planned, or it is refused with problems that have a place."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from interpreter.check.page import check_page
from interpreter.cli.fmt import laid_out
from interpreter.errors import PageError, Problem, Severity
from interpreter.plan.build import build_plan
from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.source.caret import as_json, render_all
from interpreter.source.nodes import lines_of
from interpreter.spec.library import Library

SECONDS = 2.0  # of processor time that one text may take
WIDTH = 800  # characters of a line of what is shown
SPECS = Path(__file__).resolve().parents[2] / "specs"
Read = tuple[Plan | None, list[Problem]]


class Broken(AssertionError):
    """A property does not hold; the message says which."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one text."""

    codes: tuple[str, ...]  # of its errors; () where it checks
    seconds: float  # of processor time
    stages: int  # of its plan


def examine(project: Project, name: str, data: bytes, *, twice: bool = False, profile: str = "") -> Outcome:
    """Check and plan the page `name` of `project` with the content `data`; `twice` also as laid out and as cached.

    Raises: Broken where something that must hold does not, and whatever the program raises that it may not raise.
    """
    path = project.specs / f"{name}.yaml"
    path.write_bytes(data)
    began = time.process_time()
    plan, problems = read(project, path, profile)
    seconds = time.process_time() - began
    if seconds > SECONDS:
        raise Broken(f"it took {seconds:.1f} s")
    codes = tuple(sorted({p.code for p in problems if p.severity is Severity.ERROR}))
    if plan is None:
        if not codes:
            raise Broken("refused without an error")
        return Outcome(codes, seconds, 0)
    if twice:
        _same(read(project, path, profile), plan, problems, "read from the cache of trees")
        path.write_text(laid_out(path, path.name, {}), "utf-8", newline="")
        _same(read(project, path, profile), plan, None, "laid out by `expt fmt`")
    return Outcome(codes, seconds, len(plan.stages))


def restore(project: Project, name: str) -> None:
    """Put back the page that a case stood in for; one that there was none of goes."""
    real = SPECS / f"{name}.yaml"
    if real.exists():
        shutil.copy(real, project.specs)
    else:
        (project.specs / f"{name}.yaml").unlink(missing_ok=True)


def read(project: Project, path: Path, profile: str) -> Read:
    """The page's plan, if any, and every problem told, each of which is held against the text it speaks of."""
    library = Library(project)
    plan = None
    try:
        checked = check_page(library, library.page(path), profile)
        plan = build_plan(checked, {})
        problems = list(checked.problems)
    except PageError as error:
        problems = error.problems
    for problem in problems:
        held(problem, library.texts)
        as_json(problem)
    if longest := [line for line in render_all(problems, library.texts).split("\n") if len(line) > WIDTH]:
        raise Broken(f"a message takes {len(longest[0])} characters")
    return plan, problems


def held(problem: Problem, texts: dict[str, str]) -> None:
    """`problem` has a message and stands within a text that can be shown."""
    place = problem.place
    if not problem.message.strip() or not problem.code:
        raise Broken(f"[{problem.code}] says nothing")
    if place is None:
        raise Broken(f"[{problem.code}] {problem.message}: has no place")
    if place.file not in texts:
        raise Broken(f"[{problem.code}] {problem.message}: stands in {place.file}, which was not read")
    lines = lines_of(texts[place.file])
    if not 1 <= place.line <= len(lines):
        raise Broken(f"[{problem.code}] {problem.message}: is on line {place.line} of {len(lines)}")
    if not 1 <= place.column <= len(lines[place.line - 1]) + 1 or place.length < 1:
        length = len(lines[place.line - 1])
        raise Broken(f"[{problem.code}] {problem.message}: is at {place}, and the line has {length} characters")


def _same(again: Read, plan: Plan, problems: list[Problem] | None, how: str) -> None:
    """The same page gives the same plan, and where `problems` are given the same of them."""
    other, told = again
    if other is None:
        raise Broken(f"{how}, it is refused: {', '.join(p.code + ': ' + p.message for p in told[:3])}")
    if _trials(other) != _trials(plan):
        raise Broken(f"{how}, it plans other stages")
    if problems is not None and told != problems:
        raise Broken(f"{how}, other problems are told")


def _trials(plan: Plan) -> object:
    return {
        (entry.id, arm.name, trial.seed, trial.stages) for entry in plan.entries for arm in entry.arms for trial in arm.trials
    }
