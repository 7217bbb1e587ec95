"""`expt run`: train what is not trained yet, then judge and draw."""

from __future__ import annotations

import argparse
import sys
import threading
from importlib import import_module

from interpreter.cli.session import Session, open_session, show_problems
from interpreter.errors import StageFailed, UsageError
from interpreter.plan.types import Stage
from interpreter.report.inputs import folder_of, unchanged
from interpreter.run.forecast import blocked_stages, labels
from interpreter.run.register import register, register_run
from interpreter.run.sources import verify
from interpreter.run.status import status_of

STOPPED = 130  # as shells say it of a program ended by Ctrl-C


def run(args: argparse.Namespace) -> int:
    """Run the page; 3 when a stage failed, 130 when stopped."""
    if args.jobs is not None and args.jobs < 1:
        raise UsageError(f"--jobs takes a number from 1 up, got {args.jobs}")
    session = open_session(args)
    project, plan = session.project, session.plan
    register(project, session.checked)
    register_run(project, plan)
    if not args.quiet:
        show_problems(session.checked.problems)
    statuses = {key: status_of(project, key) for key in plan.stages}
    blocked = blocked_stages(project, plan, statuses)
    todo = {key: stage for key, stage in plan.stages.items() if statuses[key].state != "done" and key not in blocked}
    reused = sum(status.state == "done" for status in statuses.values())
    if not args.quiet:
        held = f", {len(blocked)} blocked" if blocked else ""
        print(f"{plan.page}: {len(plan.stages)} stages, {reused} reused, {len(todo)} to run{held}")
    for why in dict.fromkeys(blocked.values()):  # as failures are: quiet or not, it says why it ends with 3
        print(f"blocked: {why}", file=sys.stderr)
    code = 0
    if todo:
        verify(project, todo.values())
        code = _execute(session, todo, args)
        if code == STOPPED:
            return code  # who stops a run wants the prompt back; `expt report` draws what there is
    elif unchanged(project, session.whole) and project.database.is_file():
        if not args.quiet:
            print("nothing has changed; reports:")
            _name_reports(session)
        return StageFailed.exit_code if blocked else 0
    # By name: a run that finds everything done and drawn never imports what judges and draws.
    import_module("interpreter.cli.publish").publish(project, session.whole, quiet=args.quiet)
    return code or (StageFailed.exit_code if blocked else 0)


def _execute(session: Session, todo: dict[str, Stage], args: argparse.Namespace) -> int:
    live = import_module("interpreter.results.live").LiveIngest(session.project, session.whole)
    display = import_module("interpreter.run.progress").Display(labels=labels(session.plan))
    run_plan = import_module("interpreter.run.execute").run_plan
    threading.Thread(target=_get_ready, args=(session,), name="get-ready", daemon=True).start()
    with live, display:
        outcome = run_plan(session.project, todo, jobs=args.jobs or 0, quiet=args.quiet, on_progress=display)
    for key, error in outcome.failed.items():
        print(f"failed: {todo[key].name} ({key[:12]}): {error.splitlines()[0]}", file=sys.stderr)
        print(f"        the whole error is in runs/{key}/attempts/", file=sys.stderr)
    for key, why in outcome.blocked.items():
        print(f"blocked: {todo[key].name} ({key[:12]}): {why}", file=sys.stderr)
    if outcome.stopped:
        print(f"stopped; {outcome.hint}", file=sys.stderr)
        return STOPPED
    return int(outcome.exit_code)


def _get_ready(session: Session) -> None:
    import_module("interpreter.cli.publish").get_ready(session.project)


def _name_reports(session: Session) -> None:
    for entry in session.plan.entries:
        print(f"  {folder_of(session.project, session.whole) / entry.entry.name}.html")
