"""`expt rebuild`: results.duckdb anew, from the record and the pages."""

from __future__ import annotations

import argparse
import sys

from interpreter.check.page import check_page
from interpreter.cli.session import here, library_of
from interpreter.errors import PageError, RecordError
from interpreter.plan.build import build_plan
from interpreter.plan.lock import read_lock
from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.results.rebuild import compare_with_rebuilt, rebuild
from interpreter.results.store import put_judgements
from interpreter.run.ledger import Ledger
from interpreter.run.seeds import grown
from interpreter.verdicts.judge import judge


def run(args: argparse.Namespace) -> int:
    """Rebuild, or with --check say how the present database differs from what would be built."""
    project = here()
    plans = plans_that_ran(project)
    if args.check:
        differences = compare_with_rebuilt(project, plans)
        for line in differences:
            print(line)
        print("results.duckdb is what the record says" if not differences else f"{len(differences)} differences")
        return RecordError.exit_code if differences else 0
    rebuild(project, plans)
    for plan in plans:
        put_judgements(project, judge(project, plan))
    print(
        f"{project.database.name}: {len(plans)} page{'s' * (len(plans) != 1)}, {sum(len(plan.stages) for plan in plans)} stages"
    )
    return 0


def plans_that_ran(project: Project) -> list[Plan]:
    """The plan of every page and profile that was ever run, from the page as it is now, or as it was where it is gone."""
    seen: dict[tuple[str, str], str] = {}
    for line in Ledger(project).lines():
        if line.get("kind") == "page":
            seen[str(line["file"]), str(line["profile"])] = str(line["text_hash"])
    library, locked = library_of(project), read_lock(project.data_lock)
    plans = []
    for (file, profile), text_hash in seen.items():
        path = project.root / file
        if not path.is_file():
            path = project.page_texts / f"{text_hash}.yaml"
        try:
            checked = check_page(library, library.page(path, file), profile, others=False)
            plans.append(build_plan(checked, locked, grown=grown(project, checked)))
        except PageError as error:
            print(f"left out: {file}{f' at profile {profile}' if profile else ''}: {error.problems[0].message}", file=sys.stderr)
    return plans
