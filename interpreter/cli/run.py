"""`expt run`: train what is not trained yet, then judge and draw."""

from __future__ import annotations

import argparse
import sys
import threading
from importlib import import_module

from interpreter.cli.session import Session, open_session, planned_anew, show_problems
from interpreter.errors import StageFailed, UsageError
from interpreter.plan.types import Stage
from interpreter.report.inputs import folder_of, unchanged
from interpreter.run.forecast import blocked_stages, labels
from interpreter.run.register import register, register_run
from interpreter.run.seeds import Wanted, ask_for
from interpreter.run.sources import verify
from interpreter.run.status import status_of

STOPPED = 130  # as shells say it of a program ended by Ctrl-C


def run(args: argparse.Namespace) -> int:
    """Run the page; 3 when a stage failed, 130 when stopped."""
    if args.jobs is not None and args.jobs < 1:
        raise UsageError(f"--jobs takes a number from 1 up, got {args.jobs}")
    session = open_session(args)
    project = session.project
    register(project, session.checked)
    register_run(project, session.plan)
    if not args.quiet:
        show_problems(session.checked.problems)
    todo, blocked = _missing(session)
    if not args.quiet:
        reused = len(session.plan.stages) - len(todo) - len(blocked)
        held = f", {len(blocked)} blocked" if blocked else ""
        print(f"{session.plan.page}: {len(session.plan.stages)} stages, {reused} reused, {len(todo)} to run{held}")
    for why in dict.fromkeys(blocked.values()):  # as failures are: quiet or not, it says why it ends with 3
        print(f"blocked: {why}", file=sys.stderr)
    code, ran = _train(session, todo, args), bool(todo)
    while code == 0 and (wanted := _wanted(session)):
        ask_for(project, session.checked.profile, wanted)
        session = planned_anew(session)
        todo, blocked = _missing(session)
        if not args.quiet:
            print(_said(wanted))
        code, ran = _train(session, todo, args), True
    if code == STOPPED:
        return code  # who stops a run wants the prompt back; `expt report` draws what there is
    if not ran and unchanged(project, session.whole) and project.database.is_file():
        if not args.quiet:
            print("nothing has changed; reports:")
            _name_reports(session)
    else:
        # By name: a run that finds everything done and drawn never imports what judges and draws.
        import_module("interpreter.cli.publish").publish(project, session.whole, quiet=args.quiet)
    return code or (StageFailed.exit_code if blocked else 0)


def _missing(session: Session) -> tuple[dict[str, Stage], dict[str, str]]:
    """The stages that are to be run, and those that can't be, with the reason."""
    project, stages = session.project, session.plan.stages
    statuses = {key: status_of(project, key) for key in stages}
    blocked = blocked_stages(project, session.plan, statuses)
    return {key: stage for key, stage in stages.items() if statuses[key].state != "done" and key not in blocked}, blocked


def _train(session: Session, todo: dict[str, Stage], args: argparse.Namespace) -> int:
    if not todo:
        return 0
    verify(session.project, todo.values())
    return _execute(session, todo, args)


def _wanted(session: Session) -> tuple[Wanted, ...]:
    """The seeds that claims are in need of; judging for it only where there may be more."""
    arms = (arm for entry in session.plan.entries for arm in entry.arms)
    if not any(arm.room for arm in arms):
        return ()
    found: tuple[Wanted, ...] = import_module("interpreter.cli.publish").more(session.project, session.whole, session.plan)
    return found


def _said(wanted: tuple[Wanted, ...]) -> str:
    """What is added, to what, and why."""
    arms = ", ".join(f"{each.arm} ({each.seeds})" for each in wanted)
    claims = list(dict.fromkeys(claim for each in wanted for claim in each.claims))
    return f"one more seed for {arms}: {', '.join(claims)} {'is' if len(claims) == 1 else 'are'} not decided"


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
