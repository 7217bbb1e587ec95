"""The second half of a run: records into the database, measures and verdicts, reports."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from interpreter.errors import ExptError
from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.report.render import bundle
from interpreter.report.write import write_reports
from interpreter.results.ingest import ingest
from interpreter.results.store import put_judgements
from interpreter.run.seeds import Wanted
from interpreter.verdicts.growth import more_seeds
from interpreter.verdicts.judge import judge
from interpreter.verdicts.types import Judgement

_SYMBOL = {"supported": "+", "contradicted": "x", "equivalent": "=", "undecided": "?", "anecdotal": "1"}


def get_ready(project: Project) -> None:
    """Do beforehand what every report needs, while the workers are still importing what they need on another core."""
    with contextlib.suppress(ExptError, OSError):  # told when the report is written, if it is still so
        bundle(project)


def publish(project: Project, plan: Plan, *, quiet: bool = False, force: bool = False) -> tuple[Path, ...]:
    """Ingest, judge, store and draw; returns the reports' paths. A database that is held says so, and nothing is lost."""
    judgements = _judged(project, plan)
    if judgements is None:
        return ()
    put_judgements(project, judgements)
    paths = write_reports(project, plan, judgements, force=force)
    if not quiet:
        for judgement in judgements:
            _print_verdicts(judgement)
        print("report:" if len(paths) == 1 else "reports:")
        for path in paths:
            print(f"  {path}")
    return paths


def more(project: Project, plan: Plan, within: Plan) -> tuple[Wanted, ...]:
    """The seeds that claims of `plan` are in need of, of the arms that `within` has; () when the database is held."""
    return more_seeds(within, _judged(project, plan) or ())


def _judged(project: Project, plan: Plan) -> tuple[Judgement, ...] | None:
    """Verdicts on what is recorded by now; None, and said so, when the database is held."""
    taken = ingest(project, [plan])
    if not taken.behind:
        return judge(project, plan)
    print(f"results.duckdb is behind: {taken.message}", file=sys.stderr)
    print("nothing is lost: the record has everything, and the next `expt run` or `expt report` takes it in", file=sys.stderr)
    return None


def _print_verdicts(judgement: Judgement) -> None:
    print(judgement.entry.id)
    for verdict in judgement.verdicts:
        mark = _SYMBOL.get(verdict.state, "-")
        print(f"  [{mark}] {verdict.claim.name}: {verdict.state}. {verdict.explanation}".rstrip())
