"""`expt check`: everything that is wrong with pages."""

from __future__ import annotations

import argparse
import json

from interpreter.check.page import check_page
from interpreter.check.types import CheckedPage
from interpreter.cli.session import chosen_pages, show_problems
from interpreter.errors import PageError, Problem, UsageError
from interpreter.run.register import register
from interpreter.source.caret import as_json


def run(args: argparse.Namespace) -> int:
    """Check the pages named, or all; 2 when one is wrong. With `--deep`, their models are built too."""
    project, library, paths = chosen_pages(args.pages)
    problems: list[Problem] = []
    wrong, entries = 0, 0
    fine: list[CheckedPage] = []
    for path in paths:
        try:
            checked = check_page(library, library.page(path), args.profile)
        except PageError as error:
            problems += error.problems
            wrong += 1
            continue
        problems += checked.problems
        entries += len(checked.entries)
        fine.append(checked)
    register(project, *fine)
    models: list[str] = []
    if args.deep:
        from interpreter.cli.deep import examine  # asks another process: only when wanted

        try:
            found, models = examine(project, fine, args.format)
        except UsageError:
            show_problems(problems)  # what was found is told, though torch can't be asked
            raise
    else:
        from interpreter.cli.phases import arms_of, misfits
        from interpreter.run.facts import cached

        found = misfits([arm for page in fine for arm in arms_of(page)], lambda request: cached(project, request))
    problems += found
    wrong += len(found)
    if args.format == "json":
        for problem in sorted(problems, key=Problem.order):
            print(json.dumps(as_json(problem), ensure_ascii=False))
    else:
        show_problems(problems)
    for line in models:
        print(line)
    if args.format != "json" and not wrong:
        print(f"{len(paths)} page{'s' * (len(paths) != 1)}, {entries} entr{'ies' if entries != 1 else 'y'}: fine")
    return PageError.exit_code if wrong else 0
