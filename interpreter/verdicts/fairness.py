"""Whether the arms of a claim differ in more than what is claimed: every difference of their resolved settings, told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from interpreter.plan.differences import NUMERICS, differences, matched, rank, stage_differences, start_of, upstream, word
from interpreter.plan.types import ArmPlan, Plan, Stage
from interpreter.spec.claims import Waiver
from interpreter.spec.measures import Reference
from interpreter.verdicts.readings import Metric, measured
from interpreter.verdicts.types import Confound


def arm_confounds(plan: Plan, a: ArmPlan, b: ArmPlan, declared: frozenset[str] = frozenset()) -> tuple[Confound, ...]:
    """Every difference in settings between two arms, in words ("left -> right"), most telling first.

    `declared`: settings that a sweep varies, as `varied` has them. They are what it asks about, and are not told.
    """
    found = list(_chain_differences(plan, a, b))
    settings: list[tuple[str, Confound]] = []
    for name, left, right in matched(plan, a, b):
        for path, topic, confound in _stage_differences(name, left, right):
            if not _covered(name, path, declared):
                settings.append((topic, confound))
    if len(settings) == 1 and not found and settings[0][1].rule == "setting":
        topic, only = settings[0]
        # One difference alone is what the arms were made to compare: it can't be confounded with another.
        settings = [(topic, replace(only, rule="declared", text=f"{only.text} (the only difference)"))]
    ranked = sorted(settings + found, key=lambda item: rank(item[0]))
    return tuple(dict.fromkeys(confound for _, confound in ranked))


def varied(plan: Plan, points: Sequence[ArmPlan]) -> frozenset[str]:
    """The settings in which points of one sweep differ, as "stage path"; of a changed `type`, all that belongs to it."""
    found = set()
    for other in points[1:]:
        for name, left, right in matched(plan, points[0], other):
            found |= {f"{name} {path.removesuffix('.type')}" for path, _, _ in differences(left.settings, right.settings)}
    return frozenset(found)


def _covered(name: str, path: str, declared: frozenset[str]) -> bool:
    """Whether a difference in `path` of the stage `name` is in or around a setting that is declared."""
    for stage in name.split(" -> "):
        for known in declared:
            of, _, about = known.partition(" ")
            if of == stage and (f"{path}.".startswith(f"{about}.") or f"{about}.".startswith(f"{path}.")):
                return True
    return False


def same_data(plan: Plan, arm: ArmPlan, a: Metric, b: Metric) -> bool:
    """Whether two metrics of an arm are measured on the same examples, in the same way."""
    on_a, on_b = (measured(_read_stage(plan, arm, metric), metric.split, plan) for metric in (a, b))
    return on_a == on_b


def measurement_confounds(plan: Plan, a: ArmPlan, ma: Metric, b: ArmPlan, mb: Metric) -> tuple[Confound, ...]:
    """What makes the numbers of two arms unlike: another split, other examples or transforms, another metric."""
    left, right = _read_stage(plan, a, ma), _read_stage(plan, b, mb)
    found = []
    on_left, on_right = measured(left, ma.split, plan), measured(right, mb.split, plan)
    if on_left != on_right:
        what = "; ".join(f"{p}: {word(x)} -> {word(y)}" for p, x, y in differences(on_left, on_right))
        found.append(Confound("measured-split", "unfair", f"{a.name} and {b.name} are not measured on the same data: {what}"))
    if ma.name != mb.name:
        found.append(Confound("metric", "unfair", f"{a.name} is measured by {ma.name}, {b.name} by {mb.name}"))
    elif ma.name == "loss" and left.settings["objective"] != right.settings["objective"]:
        what = "; ".join(
            f"{p}: {word(x)} -> {word(y)}" for p, x, y in differences(left.settings["objective"], right.settings["objective"])
        )
        found.append(Confound("metric", "unfair", f"`loss` is another quantity in {a.name} than in {b.name}: {what}"))
    return tuple(found)


def reference_confounds(
    plan: Plan, arm: ArmPlan, metric: Metric, name: str, reference: Reference, profile: str
) -> tuple[Confound, ...]:
    """Where a reference was measured on another split, other data or at another scale than the arm compared with it."""
    stage = _read_stage(plan, arm, metric)
    found = []
    if profile:
        found.append(Confound("reference", "unfair", f"{name} is not of the profile {profile}, {arm.name} is"))
    split = str(stage.settings["part"]) if stage.kind == "evaluate" else metric.split
    if reference.split is not None and reference.split not in {split, metric.split}:
        found.append(Confound("reference", "unfair", f"{name} is of {reference.split}, {arm.name} is measured on {metric.split}"))
    called = arm.data_names.get(metric.stage, "")
    names = {called, stage.settings["data"].get("type"), stage.settings["data"].get("source")}
    if reference.data is not None and reference.data not in names:
        text = f"{name} is of the data `{reference.data}`, {arm.name} is measured on `{called or stage.settings['data']['type']}`"
        found.append(Confound("reference", "unfair", text))
    return tuple(found)


def numerics_confounds(pairs: Mapping[int, tuple[Mapping[str, Any], Mapping[str, Any]]]) -> tuple[Confound, ...]:
    """Numerics in which the two sides of a pair differ. `pairs`: seed -> numerics of the left and of the right side."""
    seeds: dict[tuple[str, str, str], list[int]] = {}
    for seed, (left, right) in sorted(pairs.items()):
        for name in NUMERICS:
            x, y = left.get(name), right.get(name)
            if x is not None and y is not None and x != y:
                seeds.setdefault((name, word(x), word(y)), []).append(seed)
    return tuple(
        Confound("numerics", "warning", f"{name} differs within {_seeds(which)}: {x} -> {y}")
        for (name, x, y), which in seeds.items()
    )


def waived(confounds: tuple[Confound, ...], waivers: tuple[Waiver, ...]) -> tuple[Confound, ...]:
    """`confounds` with the author's reason on those whose rule is allowed."""
    why = {w.rule: w.why for w in waivers}
    return tuple(replace(c, waived=why[c.rule]) if c.rule in why else c for c in confounds)


def _chain_differences(plan: Plan, a: ArmPlan, b: ArmPlan) -> Iterator[tuple[str, Confound]]:
    """Differences that the arms' own definition makes: stages that one has and the other has not, and what they cost."""
    left, right = upstream(plan, a), upstream(plan, b)
    for mine, other, arm, rival in ((left, right, a, b), (right, left, b, a)):
        extra = {name: stage for name, stage in mine.items() if name not in other and name != arm.main_stage}
        for name in extra:
            yield "chain", Confound("declared", "note", f"{name} is a stage of {arm.name} only")
        fits = [f"{s.epochs} epochs of {name} on {s.settings['data']['type']}" for name, s in extra.items() if s.kind == "fit"]
        if fits:
            text = f"{arm.name} has trained longer than {rival.name}: {' and '.join(fits)} come before"
            yield "chain", Confound("more-examples", "note", text)
    for name, stage_a, stage_b in matched(plan, a, b):
        x, y = start_of(stage_a, left), start_of(stage_b, right)
        if x != y:
            yield "chain", Confound("declared", "note", f"{name} starts from {x} -> {y}")
        from_a, from_b = (s.settings.get("start", {}).get("kind") == "file" for s in (stage_a, stage_b))
        if from_a != from_b:
            arm, rival = (a, b) if from_a else (b, a)
            text = f"{arm.name} starts from weights made elsewhere, {rival.name} does not"
            yield "chain", Confound("more-examples", "note", text)
        rules_a, rules_b = ({i.role: i.checkpoint for i in s.inputs} for s in (stage_a, stage_b))
        for role in rules_a.keys() & rules_b.keys():
            if rules_a[role] != rules_b[role]:
                text = f"{name} takes the {rules_a[role]} checkpoint -> the {rules_b[role]} one"
                yield "keep", Confound("checkpoint-rule", "warning", text)


def _stage_differences(name: str, left: Stage, right: Stage) -> Iterator[tuple[str, str, Confound]]:
    """(dotted path, what it is about, in words) of every setting in which two stages differ."""
    for path, x, y in stage_differences(left, right):
        topic = path.split(".")[0]
        text = f"{name} {path}: {word(x)} -> {word(y)}"
        if path == "schedule.epochs":
            yield path, topic, Confound("unequal-epochs", "warning", text)
        elif path == "keep.best":
            yield path, topic, Confound("checkpoint-rule", "warning", text)
        elif path == "schedule.batch_size" and _peak(left) == _peak(right):
            same = f"{text}, and the learning rate is {_peak(left):g} in both"
            yield path, topic, Confound("unscaled-rate", "warning", same)
        else:
            yield path, topic, Confound("setting", "note", text)


def _peak(stage: Stage) -> float:
    """The peak learning rate of a fit: as written, or scaled with the batch size."""
    schedule = stage.settings["schedule"]
    rate = schedule["optimizer"]["lr"]
    return float(rate["base"] * schedule["batch_size"] / rate["per"] if isinstance(rate, Mapping) else rate)


def _read_stage(plan: Plan, arm: ArmPlan, metric: Metric) -> Stage:
    return plan.stages[arm.trials[0].key_of(metric.stage)]


def _seeds(seeds: list[int]) -> str:
    return f"the pair of seed {seeds[0]}" if len(seeds) == 1 else f"the pairs of seeds {', '.join(map(str, seeds))}"
