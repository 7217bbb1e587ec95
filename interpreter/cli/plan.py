"""`expt plan`: for each stage reuse, run, running elsewhere or blocked, and why."""

from __future__ import annotations

import argparse
import json

from interpreter.cli.session import open_session, show_problems
from interpreter.run.forecast import Forecast, forecast
from interpreter.run.register import register

_WIDE = 80  # characters of a reason in the table; `--format json` has all of it


def run(args: argparse.Namespace) -> int:
    """Print what a run would do."""
    session = open_session(args)
    register(session.project, session.checked)
    forecasts = forecast(session.project, session.plan)
    if args.format == "json":
        for item in forecasts:
            print(json.dumps(item.as_json()))
        return 0
    show_problems(session.checked.problems)
    print_plan(session.plan.page, session.plan.profile, forecasts)
    for entry in session.plan.entries:
        trials = sum(len(arm.trials) for arm in entry.arms)
        print(f"{entry.id}: {len(entry.arms)} arms, {trials} trials")
    return 0


def print_plan(page: str, profile: str, forecasts: list[Forecast]) -> None:
    """The plan as a table: stages with the same fate and reason are one line."""
    print(f"{page}{f' at profile {profile}' if profile else ''}: {len(forecasts)} stages")
    groups: dict[tuple[str, str, str, str], list[Forecast]] = {}
    for item in forecasts:
        groups.setdefault((item.stage.name, item.used_by, item.fate, item.why), []).append(item)
    rows = [("stage", "arms", "seeds", "epochs", "what", "why", "key")]
    for (name, used_by, fate, why), items in groups.items():
        seeds = sorted({seed for item in items for seed in item.seeds})
        keys = items[0].stage.key[:8] + (f" (+{len(items) - 1})" if len(items) > 1 else "")
        short = why if len(why) <= _WIDE else why[: _WIDE - 3] + "..."
        rows.append((name, used_by, _span(seeds), str(items[0].stage.epochs or "-"), fate, short, keys))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    counts: dict[str, int] = {}
    for item in forecasts:
        counts[item.fate] = counts.get(item.fate, 0) + 1
    print(", ".join(f"{count} {fate}" for fate, count in counts.items()))


def _span(seeds: list[int]) -> str:
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))
