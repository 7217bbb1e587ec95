"""`expt show`: a page as it is understood."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from interpreter.cli.session import library_of, open_session, project_of, read
from interpreter.plan.types import Plan


def run(args: argparse.Namespace) -> int:
    """Print the page's text, or with --resolved every setting of every arm."""
    if not args.resolved:
        project = project_of(args.page)
        print(read(project, library_of(project), args.page).text, end="")
        return 0
    writer = YAML()
    writer.width = 120
    writer.dump(_laid_out(resolved(open_session(args).plan)), sys.stdout)
    return 0


def _laid_out(value: Any) -> Any:
    """`value` as it is printed: lists on one line, nothing as `off`, as pages say it."""
    if isinstance(value, dict):
        return {name: _laid_out(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        row = CommentedSeq([_laid_out(item) for item in value])
        row.fa.set_flow_style()
        return row
    return "off" if value is None else value


def resolved(plan: Plan) -> dict[str, Any]:
    """Each arm's stages with all settings, as plain data; of each arm the first trial's keys stand for all."""
    out: dict[str, Any] = {"page": plan.page, "profile": plan.profile or "full scale", "entries": {}}
    for entry in plan.entries:
        arms: dict[str, Any] = {}
        for arm in entry.arms:
            stages: dict[str, Any] = {}
            for name, key in arm.trials[0].stages:
                stage = plan.stages[key]
                inputs = [f"{plan.stages[i.key].name}@{i.checkpoint} ({i.take})" for i in stage.inputs]
                stages[name] = {"kind": stage.kind, "key": key, "inputs": inputs, **stage.settings}
            arms[arm.name] = {"baseline": arm.baseline, "seeds": [trial.seed for trial in arm.trials], "stages": stages}
        measures = {name: measure.model_dump(exclude_none=True) for name, measure in entry.entry.measures.items()}
        claims = {claim.name: f"{claim.left} {claim.relation} {claim.right} by {claim.margin:g}" for claim in entry.entry.claims}
        out["entries"][entry.id] = {"arms": arms, "measures": measures, "claims": claims}
    return out
