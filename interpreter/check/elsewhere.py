"""Arms that train nothing: groups of another arm's trials taken together, and results that were made elsewhere."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping as MappingType
from typing import TYPE_CHECKING

from interpreter.check.stages import called as called_as
from interpreter.check.sweeps import MAX_POINTS
from interpreter.check.types import CheckedArm, CheckedStage, Combined, Imported
from interpreter.errors import Place, Problem, Severity
from interpreter.source.nodes import Mapping, Scalar, place_of
from interpreter.spec.base import Config
from interpreter.spec.combined import Combine, groups_of
from interpreter.spec.components.contract import Dataset
from interpreter.spec.imported import Import, ImportFacts, folder_of, look, point_labels, unseen
from interpreter.spec.names import did_you_mean, own_arm_ref
from interpreter.spec.points import POINT, called

if TYPE_CHECKING:
    from interpreter.check.arms import Arms


MAX_TOGETHER = 1_000_000  # members of all groups of an arm


def combined_arm(form: Config, name: str, node: Mapping, place: Place, arms: Arms) -> list[CheckedArm]:
    """The arm that `combine` makes: each stage of the other one that predicts, with groups of its seeds as replicates."""
    assert isinstance(form, Combine)
    path, where = f"arms.{name}", node.items["combine"].place
    ref = own_arm_ref(form.combine)
    found = arms.selected(ref, where) if ref is not None else None
    if found is None:
        return []
    if len(found) > 1:
        text = f"`{form.combine}` has {len(found)} points: say which"
        arms.problems.add(Problem("several-points", text, where, path, hint=f"such as {found[0].name}"))
        return []
    of = found[0]
    fits = [stage for stage in of.chain if stage.kind == "fit"]
    if not fits or any(stage.kind in ("combine", "import", "probe") for stage in of.chain):
        text = f"`{form.combine}` has no predictions of fits to combine"
        hint = "name an arm that ends in a fit or in evaluations"
        arms.problems.add(Problem("nothing-to-combine", text, where, path, hint=hint))
        return []
    last = fits[-1]
    seeds = next((of.seeds[level] for level in of.levels if len(of.seeds[level]) > 1), of.seeds[last.name])
    if form.groups == "sliding" and len(seeds) * form.members > MAX_TOGETHER:
        text = f"{len(seeds):,} groups of {form.members:,} members are {len(seeds) * form.members:,} predictions to take together"
        arms.problems.add(Problem("sweep-too-large", text, where, path, f"at most {MAX_TOGETHER:,}", hint="`groups: disjoint`"))
        return []
    groups = tuple(groups_of(seeds, form))
    if not groups:
        text = f"{form.members} members, and `{form.combine}` has {len(seeds)} seed{'s' * (len(seeds) != 1)}"
        arms.problems.add(Problem("too-few-members", text, node.keys.get("members", place), f"{path}.members"))
        return []
    evaluations = [stage for stage in of.chain[of.chain.index(last) + 1 :] if stage.kind == "evaluate"]
    known = [stage.name for stage in evaluations]
    for index, asked in enumerate(form.only or ()):
        if asked not in known:
            at = place_of(node, ("only", index))
            text, hint = f"`{form.combine}` has no evaluate stage `{asked}`", did_you_mean(asked, known)
            arms.problems.add(Problem("unknown-stage", text, at, f"{path}.only", got=asked, hint=hint))
    members = [last] if form.only is None else []
    members += [stage for stage in evaluations if form.only is None or stage.name in form.only]
    chain = tuple(
        CheckedStage(
            stage.name,
            "combine",
            place,
            stage.data,
            stage.data_name,
            part="val" if stage is last else stage.part,
            objective=last.objective,
            model=last.model,
            combined=Combined(form, of.name, stage.name, groups),
            unbuilt=stage.unbuilt,
            written=node,
        )
        for stage in members
    )
    if not chain:
        return []
    labels = tuple(range(len(groups)))
    seeds_of = {stage.name: labels for stage in chain}
    return [CheckedArm(name, arms.entry_id, chain, form.baseline, seeds_of, (), place, name)]


def imported_arm(form: Config, name: str, node: Mapping, place: Place, arms: Arms) -> list[CheckedArm]:
    """The arm that `import` makes, or its points: one trial for each seed that the files tell apart, a point for each model."""
    assert isinstance(form, Import)
    files = _files(form, name, node, arms)
    parts = form.parts()
    on = {stage: _measured_on(part, node, stage if form.splits else "", f"arms.{name}", arms) for stage, part in parts.items()}
    if files is None:
        return []
    labels = _labels(form, files, name, node, arms)
    if labels is None:
        return []
    found = []
    for model, label in labels.items():
        chain = tuple(
            CheckedStage(stage, "import", place, *on[stage], part=part.split, imported=Imported(part, files, model), written=node)
            for stage, part in parts.items()
        )
        factors = {POINT: label} if model else {}
        full = f"{name}[{called(factors)}]" if factors else name
        seeds = dict.fromkeys(parts, tuple(sorted(files)))
        found.append(CheckedArm(full, arms.entry_id, chain, form.baseline, seeds, (), place, name, factors))
    return found


def _files(form: Import, name: str, node: Mapping, arms: Arms) -> dict[int, tuple[str, ImportFacts]] | None:
    """For each seed the file and what is in it; None where something is wrong with one that is here."""
    root = folder_of(arms.stages.trees.library.project, form.from_ or "")
    files: dict[int, tuple[str, ImportFacts]] = {}
    wrong = False
    for seed, file in form.files.items():
        here = root is not None and os.path.exists(root / file)  # pathlib's raises for a name too long for a file
        facts = look(root / file, form) if root is not None else unseen(file, form)
        step = "import" if seed is None else ("import", str(seed))
        where = place_of(node, (step,) if isinstance(step, str) else step)
        said = f"`{file}` of the source `{form.from_}`" if form.from_ else f"`{file}`"
        for problem in facts.problems:
            severity = Severity.ERROR if here else Severity.WARNING
            hint = "" if here else "it plans as blocked"
            if form.from_ and root is None:
                hint = f"it plans as blocked; name its folder in expt.toml: [data] {form.from_} = ..."
            arms.problems.add(
                Problem("bad-import", f"{said} {problem}", where, f"arms.{name}.import", got=file, hint=hint, severity=severity)
            )
            wrong = wrong or here
        for each in [seed] if seed is not None else facts.seeds or (0,):
            files[each] = (file, facts)
    return None if wrong else files


def _labels(
    form: Import, files: MappingType[int, tuple[str, ImportFacts]], name: str, node: Mapping, arms: Arms
) -> dict[str, str] | None:
    """The name of each model, and what its point is called; "" for the only one. None with what is wrong."""
    models = form.asked or next(iter(files.values()))[1].models
    if form.each is None or not models:
        return {"": ""}  # of a file that is not here, nobody knows its models
    where, path = place_of(node, ("each",)), f"arms.{name}.each"
    if len(models) > MAX_POINTS:
        text = f"`{form.each_name}` tells {len(models):,} models apart"
        arms.problems.add(Problem("sweep-too-large", text, where, path, f"at most {MAX_POINTS:,}"))
        return None
    labels = point_labels(models)
    alike = Counter(labels.values())
    for model, label in labels.items():
        if not label or alike[label] > 1:
            text = f"`{model}` can't be told from other points by a label: it would be `{label}`"
            arms.problems.add(Problem("bad-import", text, where, path, got=model, hint="rename it in the file"))
            return None
    return labels


def _measured_on(form: Import, node: Mapping, split: str, path: str, arms: Arms) -> tuple[Dataset | None, str]:
    of, dotted = node, f"{path}.data"
    if split:
        below = node.get("splits")
        inner = below.get(split) if isinstance(below, Mapping) else None
        of, dotted = (inner if isinstance(inner, Mapping) else node), f"{path}.splits.{split}.data"
    below = of.get("data")
    if form.data is None or not isinstance(below, Scalar):
        return None, ""
    data = arms.stages.component("datasets", below, arms.root, dotted)
    return (data if isinstance(data, Dataset) else None), called_as(below)
