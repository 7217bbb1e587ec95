"""A small project with a report to make: two arms of three seeds, measures, claims, notes."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.report.write import write_reports
from interpreter.results.ingest import ingest
from interpreter.spec.claims import Claim
from interpreter.spec.entry import Update
from interpreter.spec.measures import Measure
from interpreter.verdicts.judge import judge
from tests.plans import make_claim, make_plan, make_project, write_records

EPOCHS, SEEDS = 12, 3
MEASURES = {"accuracy": Measure(metric="val/accuracy", read="best"), "loss": Measure(metric="val/loss", read="last")}
NOTES = "The *first* try, see [before](2024-05-21/first-try#top). <script>alert(1)</script> ![plot](https://example.org/x.png)"
_CACHE: list[Path] = []
DISTINCT = {"curriculum": {"head.dropout": 0.5}}


def claims() -> tuple[Claim, ...]:
    return (
        make_claim("curriculum > naive", "accuracy", 0.01, "helps", why="it has seen more"),
        make_claim("curriculum ~ naive", "loss", 0.01, "same-loss"),
    )


def plan_of(**fields: Any) -> Plan:
    given: dict[str, Any] = {
        "measures": MEASURES, "claims": claims(), "notes": NOTES, "evaluate": ["final"], "seeds": SEEDS,
        "epochs": EPOCHS, "set_": DISTINCT, "question": "Does a curriculum help?", "notebook": "cnn",
        "updates": (Update("2024-07-05", "Again, with *more* seeds.", "2024-07-05/again"),),
        "conclusion": "It is {{ verdict.helps }}, at {{ measure.curriculum.accuracy }}.",
        "assumed": ("stages.lba.schedule.batch_size",), **fields,
    }  # fmt: skip
    return make_plan(given.pop("arms", {"naive": ["lba"], "curriculum": ["easy", "lba"]}), **given)


def history(arm: str, seed: int, stage: str) -> dict[str, list[float]]:
    """Metrics by epoch, the same on every call. A fixed part differs by arm, a small one by seed."""
    noise = np.random.default_rng([seed, len(arm), len(stage)]).normal(0, 0.004, (2, EPOCHS))
    if stage == "final":
        return {"final/accuracy": [0.9 + noise[0, 0]], "final/loss": [0.3 + noise[1, 0]]}
    rise = 1 - np.exp(-np.arange(1, EPOCHS + 1) / 3)
    top = 0.95 if arm == "curriculum" else 0.90
    return {"val/accuracy": list(top * rise + noise[0]), "val/loss": list(2.3 - 2 * rise + noise[1])}


def made(
    root: Path, plan: Plan, *, records: bool = True, rules: Mapping[str, Mapping[str, float]] | None = None
) -> tuple[Project, tuple[Path, ...]]:
    """A project with records of `plan`, and its reports, freshly written."""
    project = make_project(root)
    if records:
        write_records(project, plan, history, baseline={"val/accuracy": 0.1, "val/loss": 2.303}, rules=rules)
    ingest(project, [plan])
    # The bundle of JavaScript takes seconds to make: once is enough for all projects of a test run.
    for kept in _CACHE:
        shutil.copytree(kept, project.cache / "report", dirs_exist_ok=True)
    reports = write_reports(project, plan, judge(project, plan))
    if not _CACHE and (project.cache / "report").is_dir():
        _CACHE.append(project.cache / "report")
    return project, reports


def with_entry(plan: Plan, **changes: Any) -> Plan:
    """`plan` with fields of its only entry changed."""
    (entry,) = plan.entries
    changed = dataclasses.replace(entry, entry=dataclasses.replace(entry.entry, **changes))
    return dataclasses.replace(plan, entries=(changed,))
