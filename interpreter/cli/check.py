"""`expt check`: everything that is wrong with pages."""

from __future__ import annotations

import argparse
import json

from interpreter.check.page import check_page
from interpreter.check.types import CheckedPage
from interpreter.cli.session import chosen_pages, show_problems
from interpreter.errors import PageError, Place, Problem, Problems, Severity, UsageError, errors_of
from interpreter.project import Project
from interpreter.run.register import register
from interpreter.source.caret import as_json
from interpreter.spec.library import Library


def run(args: argparse.Namespace) -> int:
    """Check the pages named, or all; 2 when one is wrong. With `--deep`, their models are built too."""
    project, library, paths = chosen_pages(args.pages)
    told = Problems()  # what is wrong on a page is met again on those that build on it: it is told once
    wrong, entries = 0, 0
    fine: list[CheckedPage] = []
    for problem in _unread(project, library) if not args.pages else ():
        told.add(problem)
    for path in paths:
        try:
            checked = check_page(library, library.page(path), args.profile)
        except PageError as error:
            found = error.problems
            wrong += 1
        else:
            found = list(checked.problems)
            entries += len(checked.entries)
            fine.append(checked)
        for problem in found:
            told.add(problem)
    register(project, *fine)
    models: list[str] = []
    if args.deep:
        from interpreter.cli.deep import examine  # asks another process: only when wanted

        try:
            found, models = examine(project, fine, args.format)
        except UsageError:
            show_problems(told.found)  # what was found is told, though torch can't be asked
            raise
    else:
        from interpreter.cli.phases import arms_of, misfits
        from interpreter.run.facts import cached

        found = misfits([arm for page in fine for arm in arms_of(page)], lambda request: cached(project, request))
    for problem in found:
        told.add(problem)
    wrong += len(errors_of(found))
    if args.format == "json":
        for problem in sorted(told.found, key=Problem.order):
            print(json.dumps(as_json(problem), ensure_ascii=False))
    else:
        show_problems(told.found)
    for line in models:
        print(line)
    if args.format != "json" and not wrong:
        print(f"{len(paths)} page{'s' * (len(paths) != 1)}, {entries} entr{'ies' if entries != 1 else 'y'}: fine")
    return PageError.exit_code if wrong else 0


def _unread(project: Project, library: Library) -> list[Problem]:
    """A warning for each file that has the name of a page but for its ending, and is not read with the others."""
    text, hint = "this file is not read: pages end in .yaml", "rename it"
    return [
        Problem("unread-page", text, Place(library.shown(path), 1, 1), hint=hint, severity=Severity.WARNING)
        for path in sorted(project.specs.glob("*.yml"))
    ]
