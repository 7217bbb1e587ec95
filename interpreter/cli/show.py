"""`expt show`: a page as it is understood."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from interpreter.check.types import CheckedArm, CheckedEntry, CheckedStage
from interpreter.check.written import Leaf, Values, part, values
from interpreter.cli.origin import Origins
from interpreter.cli.phases import Known, phases
from interpreter.cli.session import Session, library_of, open_session, project_of, read
from interpreter.errors import Place, UsageError
from interpreter.plan.points import factors, levels
from interpreter.plan.types import ArmPlan, EntryPlan, Plan, Stage
from interpreter.run.facts import cached
from interpreter.spec.base import Config
from interpreter.spec.claims import Claim

_COLUMN = 56  # where origins begin, behind values that are short
_SHOWN = 12  # points of a sweep that are all shown; of a larger one the first, and the factors
# The parts of each kind of stage, as settings call them.
_PARTS = {
    "fit": ("objective", "data", "model", "head", "schedule", "keep", "thaw", "average"),
    "probe": ("objective", "data", "head", "schedule", "pick"),
    "evaluate": ("data", "part"),
    "score": ("data", "part", "replicates"),
}


def run(args: argparse.Namespace) -> int:
    """Print the page's text, or with --resolved every setting of every arm. Raises: PageError, UsageError."""
    if not args.resolved:
        for flag in ("origin", "arm", "entry", "profile"):
            if getattr(args, flag):
                raise UsageError(f"--{flag} goes with --resolved", hint="without it, the page's text is printed as it is")
        project = project_of(args.page)
        print(read(project, library_of(project), args.page).text, end="")
        return 0
    session = open_session(args)
    origins = Origins(session.library, session.checked.page.file) if args.origin else None
    writer = YAML()
    writer.width = 120
    writer.dump(_laid_out(resolved(session, whole=bool(args.entry or args.arm)), origins), sys.stdout)
    return 0


def _laid_out(value: Any, origins: Origins | None) -> Any:
    """`value` as it is printed: lists on one line, nothing as `off`, as pages say it; with `origins`, each leaf with its own."""
    if isinstance(value, Leaf):
        value = value.value
    if isinstance(value, Mapping) and value:
        out = CommentedMap()
        for name, item in value.items():
            out[name] = _laid_out(item, origins)
            if origins is not None and isinstance(item, Leaf):
                out.yaml_add_eol_comment(origins.words(item.place), name, column=_COLUMN)
        return out
    if isinstance(value, (list, tuple)):
        row = CommentedSeq([_in_line(item) for item in value])
        row.fa.set_flow_style()
        return row
    return "off" if value is None else value


def _in_line(value: Any) -> Any:
    """An item of a list, which stands on one line with all that is in it."""
    laid: Any = _laid_out(value, None)
    if isinstance(laid, CommentedMap):
        laid.fa.set_flow_style()
    return laid


def resolved(session: Session, *, whole: bool = False) -> dict[str, Any]:
    """Everything that is understood of the page, as plain data with `Leaf`s; of each arm the first trial's keys stand for all.

    Of a sweep of more than 12 points the first is shown, and what the factors of all are; with `whole`, every point.
    """
    plan = session.plan
    entries = {entry.id: entry for entry in session.checked.entries}
    seen = _Seen(plan, lambda request: cached(session.project, request))
    shown = {entry.id: _entry(entries[entry.id], entry, seen, whole) for entry in plan.entries}
    return {"page": plan.page, "profile": plan.profile or "full scale", "entries": shown}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known besides the page: its plan, and its models where they have been looked at."""

    plan: Plan
    known: Known


def _entry(checked: CheckedEntry, planned: EntryPlan, seen: _Seen, whole: bool) -> dict[str, Any]:
    entry = checked.entry
    bases: dict[str, list[ArmPlan]] = {}
    for arm in planned.arms:
        if arm.name in checked.arms:  # arms of other entries, which claims speak of, are shown with their own page
            bases.setdefault(arm.base, []).append(arm)
    arms: dict[str, Any] = {}
    for base, points in bases.items():
        few = whole or len(points) <= _SHOWN
        for arm in points if few else points[:1]:
            arms[arm.name] = _arm(checked.arms[arm.name], arm, seen)
        if not few:
            varied = {name: levels(points, name) for name in factors(points)}
            arms[f"{base}[*]"] = {"points": len(points), "shown": f"the first; all with --arm {base}", "factors": varied}
    out: dict[str, Any] = {"title": entry.title}
    out |= {key: text for key in ("notebook", "about", "question") if (text := getattr(entry, key))}
    out["arms"] = arms
    if entry.assumed:
        out["assumed"] = entry.assumed
    parts = {"measures": entry.measures, "references": entry.references, "charts": entry.charts, "tables": entry.tables}
    said = {what: {name: _said(item) for name, item in named.items()} for what, named in parts.items()}
    out |= {"measures": said["measures"], "references": said["references"]}
    out["claims"] = {claim.name: _claim(claim) for claim in entry.claims}
    out["allow"] = {waiver.rule: waiver.why for waiver in entry.waivers}
    out |= {"charts": said["charts"], "tables": said["tables"]}
    if entry.outcome is not None:
        outcome = entry.outcome
        told = {"status": outcome.status, "stage": outcome.stage, "error": outcome.error, "cause": outcome.cause}
        out["outcome"] = {key: text for key, text in {**told, "see": outcome.see}.items() if text}
    return {key: value for key, value in out.items() if value not in ({}, ())}


def _said(config: Config) -> dict[str, Any]:
    return {key: value for key, value in config.model_dump(by_alias=True, exclude_none=True).items() if value != ""}


def _claim(claim: Claim) -> dict[str, Any]:
    """A claim as it is judged: its text, and the arms that it speaks of where it does not name them."""
    out: dict[str, Any] = {"kind": claim.kind, "claim": claim.text, "margin": claim.margin, "over": claim.over}
    if claim.kind == "finishes":
        del out["margin"]
    if claim.factor:
        out |= {"along": claim.factor, "levels": dict(claim.levels)}
    if claim.shape:
        out |= {"shape": claim.shape, "metric": claim.metric}
        out |= {"over_last": claim.over_last} if claim.over_last is not None else {}
    for name, side in (("left", claim.left), ("right", claim.right)):
        if len(side.arms) > 1:
            out[name] = f"{len(side.arms)} points" if len(side.arms) > _SHOWN else list(side.arms)
        if side.chosen_by:
            out[f"{name}_chosen_by"] = side.chosen_by
    return out | ({"why": claim.why} if claim.why else {})


def _arm(checked: CheckedArm, arm: ArmPlan, seen: _Seen) -> dict[str, Any]:
    out: dict[str, Any] = {"baseline": arm.baseline}
    if arm.factors:
        out["factors"] = dict(arm.factors)
    seeds = [trial.seed for trial in arm.trials]
    if checked.levels:
        out["seeds"] = {level: Leaf(list(checked.seeds[level]), checked.seeds_place) for level in checked.levels}
    else:  # groups of other trials, or what a file has, are written nowhere
        out["seeds"] = seeds if checked.chain[0].kind in ("combine", "import") else Leaf(seeds, checked.seeds_place)
    keys = arm.trials[0].stages
    out["stages"] = {name: _stage(stage, key, seen) for stage, (name, key) in zip(checked.chain, keys, strict=True)}
    return out


def _stage(stage: CheckedStage, key: str, seen: _Seen) -> dict[str, Any]:
    """One stage with every setting that decides it: what it reads, then its parts, as its page writes them."""
    plan = seen.plan
    planned = plan.stages[key]
    out: dict[str, Any] = {"kind": stage.kind, "key": key, "inputs": _inputs(planned, plan)}
    if stage.rerun:
        out["rerun"] = stage.rerun
    if stage.imported is not None:
        files = {seed: path for seed, (path, _) in stage.imported.files.items()}
        return out | {"files": files, **_without(values(stage.imported.settings, stage.written), "import", "baseline", "data")}
    if stage.combined is not None:
        return out | {"part": stage.part, **_without(values(stage.combined.settings, stage.written), "baseline", "only")}
    if stage.kind == "fit":
        out["start"] = _start(stage, planned.settings["start"])
    if stage.kind == "probe":
        out["at"] = Leaf(list(stage.at), _place(stage, "at"))
        out |= {"views": Leaf(stage.views, _place(stage, "views"))} if stage.views is not None else {}
    for name in _PARTS[stage.kind]:
        value, node = part(stage, name)
        if value is not None:
            out[name] = values(value, node)
        if name == "thaw" and (found := phases(stage, seen.known, plan.page)) is not None:
            out["phases"] = found
    if stage.unbuilt:
        out["not_built_yet"] = list(stage.unbuilt)
    return out


def _inputs(planned: Stage, plan: Plan) -> list[str]:
    """The results that a stage reads: `easy@best (encoder)`; those of several trials once, with how many."""
    counts: dict[str, int] = {}
    for source in planned.inputs:
        rule = f"@{source.checkpoint}" if source.checkpoint else ""
        text = plan.stages[source.key].name + rule + (f" ({source.take})" if source.take else "")
        counts[text] = counts.get(text, 0) + 1
    return [f"{count} x {text}" if count > 1 else text for text, count in counts.items()]


def _start(stage: CheckedStage, planned: Mapping[str, Any]) -> Leaf | dict[str, Any]:
    """Where a fit's weights come from: `random`, or what is taken of its input or of a file."""
    place = _place(stage, "start")
    if planned["kind"] == "random":
        return Leaf("random", place)
    return {name: Leaf(value, place) for name, value in planned.items() if name != "kind"}


def _place(stage: CheckedStage, key: str) -> Place | None:
    node = stage.written.get(key) if stage.written is not None else None
    return node.place if node is not None else None


def _without(settings: Values | Leaf, *names: str) -> dict[str, Any]:
    assert isinstance(settings, Mapping)
    return {name: value for name, value in settings.items() if name not in names}
