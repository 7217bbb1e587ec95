"""Arms that train nothing: groups of another arm's trials taken together, and results that were made elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interpreter.check.stages import called
from interpreter.check.types import CheckedArm, CheckedStage, Combined, Imported
from interpreter.errors import Place, Problem, Severity
from interpreter.source.nodes import Mapping, Scalar, place_of
from interpreter.spec.base import Config
from interpreter.spec.combined import Combine, groups_of
from interpreter.spec.components.contract import Dataset
from interpreter.spec.imported import Import, ImportFacts, look
from interpreter.spec.names import did_you_mean, own_arm_ref

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
    """The arm that `import` makes: one trial for each seed that the files tell apart."""
    assert isinstance(form, Import)
    path = f"arms.{name}"
    root = arms.stages.trees.library.project.root
    files: dict[int, tuple[str, ImportFacts]] = {}
    wrong = False
    for seed, file in form.files.items():
        facts = look(root / file, form)
        step = "import" if seed is None else ("import", str(seed))
        where = place_of(node, (step,) if isinstance(step, str) else step)
        absent = not (root / file).exists()
        for problem in facts.problems:
            severity = Severity.WARNING if absent else Severity.ERROR
            hint = "it plans as blocked" if absent else ""
            arms.problems.add(
                Problem("bad-import", f"`{file}` {problem}", where, f"{path}.import", got=file, hint=hint, severity=severity)
            )
            wrong = wrong or not absent
        for each in [seed] if seed is not None else facts.seeds or (0,):
            files[each] = (file, facts)
    data, data_name = _measured_on(form, node, path, arms)
    if wrong:
        return []
    read = Imported(form, files)
    stage = CheckedStage("import", "import", place, data, data_name, part=form.split, imported=read, written=node)
    seeds = tuple(sorted(files))
    return [CheckedArm(name, arms.entry_id, (stage,), form.baseline, {"import": seeds}, (), place, name)]


def _measured_on(form: Import, node: Mapping, path: str, arms: Arms) -> tuple[Dataset | None, str]:
    below = node.get("data")
    if form.data is None or not isinstance(below, Scalar):
        return None, ""
    data = arms.stages.component("datasets", below, arms.root, f"{path}.data")
    return (data if isinstance(data, Dataset) else None), called(below)
