"""Whether the arms of a claim differ in more than what is claimed: every difference of their resolved settings, told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from interpreter.plan.types import ArmPlan, Plan, Stage
from interpreter.spec.claims import Waiver
from interpreter.spec.measures import Reference
from interpreter.verdicts.readings import Metric, ancestors, measured
from interpreter.verdicts.types import Confound

# Where a difference stands in the list: data and split, metric, model, objective, schedule, numerics, the rest.
_ORDER = ("data", "metric", "model", "head", "objective", "schedule", "numerics", "chain", "keep", "start")
_DERIVED = ("streams", "start")  # follow from the data and from the chain, which are compared themselves
_NUMERICS = ("threads", "device", "precision", "tf32", "torch")


def arm_confounds(plan: Plan, a: ArmPlan, b: ArmPlan) -> tuple[Confound, ...]:
    """Every difference in settings between two arms, in words ("left -> right"), most telling first."""
    found = list(_chain_differences(plan, a, b))
    settings: list[tuple[str, Confound]] = []
    for name, left, right in _matched(plan, a, b):
        settings += _stage_differences(name, left, right)
    if len(settings) == 1 and not found and settings[0][1].rule == "setting":
        topic, only = settings[0]
        # One difference alone is what the arms were made to compare: it can't be confounded with another.
        settings = [(topic, replace(only, rule="declared", text=f"{only.text} (the only difference)"))]
    ranked = sorted(settings + found, key=lambda item: _rank(item[0]))
    return tuple(dict.fromkeys(confound for _, confound in ranked))


def measurement_confounds(plan: Plan, a: ArmPlan, ma: Metric, b: ArmPlan, mb: Metric) -> tuple[Confound, ...]:
    """What makes the numbers of two arms unlike: another split, other examples or transforms, another metric."""
    left, right = _read_stage(plan, a, ma), _read_stage(plan, b, mb)
    found = []
    on_left, on_right = measured(left, ma.split), measured(right, mb.split)
    if on_left != on_right:
        what = "; ".join(f"{p}: {_word(x)} -> {_word(y)}" for p, x, y in _differences(on_left, on_right))
        found.append(Confound("measured-split", "unfair", f"{a.name} and {b.name} are not measured on the same data: {what}"))
    if ma.name != mb.name:
        found.append(Confound("metric", "unfair", f"{a.name} is measured by {ma.name}, {b.name} by {mb.name}"))
    elif ma.name == "loss" and left.settings["objective"] != right.settings["objective"]:
        what = "; ".join(
            f"{p}: {_word(x)} -> {_word(y)}" for p, x, y in _differences(left.settings["objective"], right.settings["objective"])
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
        for name in _NUMERICS:
            x, y = left.get(name), right.get(name)
            if x is not None and y is not None and x != y:
                seeds.setdefault((name, _word(x), _word(y)), []).append(seed)
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
    left, right = _upstream(plan, a), _upstream(plan, b)
    for mine, other, arm, rival in ((left, right, a, b), (right, left, b, a)):
        extra = {name: stage for name, stage in mine.items() if name not in other and name != arm.main_stage}
        for name in extra:
            yield "chain", Confound("declared", "note", f"{name} is a stage of {arm.name} only")
        fits = [f"{s.epochs} epochs of {name} on {s.settings['data']['type']}" for name, s in extra.items() if s.kind == "fit"]
        if fits:
            text = f"{arm.name} has trained longer than {rival.name}: {' and '.join(fits)} come before"
            yield "chain", Confound("more-examples", "note", text)
    for name, stage_a, stage_b in _matched(plan, a, b):
        x, y = _start(stage_a, left), _start(stage_b, right)
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


def _stage_differences(name: str, left: Stage, right: Stage) -> Iterator[tuple[str, Confound]]:
    for path, x, y in _differences(left.settings, right.settings):
        topic = path.split(".")[0]
        # An evaluation repeats the parts of the fit whose weights it measures, and the fit is compared itself.
        if topic in _DERIVED or (left.kind == "evaluate" and topic in {"objective", "model", "head", "name"}):
            continue
        text = f"{name} {path}: {_word(x)} -> {_word(y)}"
        if path == "schedule.epochs":
            yield topic, Confound("unequal-epochs", "warning", text)
        elif path == "keep.best":
            yield topic, Confound("checkpoint-rule", "warning", text)
        elif path == "schedule.batch_size" and _peak(left) == _peak(right):
            yield topic, Confound("unscaled-rate", "warning", f"{text}, and the learning rate is {_peak(left):g} in both")
        else:
            yield topic, Confound("setting", "note", text)


def _peak(stage: Stage) -> float:
    """The peak learning rate of a fit: as written, or scaled with the batch size."""
    schedule = stage.settings["schedule"]
    rate = schedule["optimizer"]["lr"]
    return float(rate["base"] * schedule["batch_size"] / rate["per"] if isinstance(rate, Mapping) else rate)


def _matched(plan: Plan, a: ArmPlan, b: ArmPlan) -> list[tuple[str, Stage, Stage]]:
    """Stages that play the same part in both arms and are not one and the same: by name, and the main stage of each."""
    left, right = _upstream(plan, a), _upstream(plan, b)
    found = [(name, left[name], right[name]) for name in left if name in right and left[name].kind == right[name].kind]
    if a.main_stage != b.main_stage and a.main_stage in left and b.main_stage in right:
        found.append((f"{a.main_stage} -> {b.main_stage}", left[a.main_stage], right[b.main_stage]))
    return [(name, x, y) for name, x, y in found if x.key != y.key]


def _upstream(plan: Plan, arm: ArmPlan) -> dict[str, Stage]:
    """The stages of an arm's first trial, by the name its chain gives them, and what they start from besides."""
    found = {name: plan.stages[key] for name, key in arm.trials[0].stages} if arm.trials else {}
    keys = {stage.key for stage in found.values()}
    for stage in list(found.values()):
        for earlier in ancestors(plan, stage.key):
            if earlier.key not in keys:
                found.setdefault(earlier.name, earlier)
    return found


def _read_stage(plan: Plan, arm: ArmPlan, metric: Metric) -> Stage:
    return plan.stages[arm.trials[0].key_of(metric.stage)]


def _start(stage: Stage, upstream: Mapping[str, Stage]) -> str:
    """What a stage's weights are at its start, in words."""
    start = stage.settings.get("start", {})
    if start.get("kind") == "file":
        return f"the file {start['file']}"
    names = {earlier.key: name for name, earlier in upstream.items()}
    for needed in stage.inputs:
        if needed.role == "start":
            return f"{names.get(needed.key, 'another fit')}@{needed.checkpoint}"
    return "random weights" if stage.kind == "fit" else "the fit before"


def _differences(left: Mapping[str, Any], right: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted path, left value, right value) of every leaf that differs; a changed `type` is told alone."""
    if left.get("type") != right.get("type"):
        yield f"{above}type", left.get("type"), right.get("type")
        return
    for name in dict.fromkeys((*left, *right)):
        x, y = left.get(name), right.get(name)
        if isinstance(x, Mapping) and isinstance(y, Mapping):
            yield from _differences(x, y, f"{above}{name}.")
        elif _plain(x) != _plain(y):
            yield f"{above}{name}", x, y


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _word(value: Any) -> str:
    """A setting's value for a reader."""
    if value is None or value is False:
        return "off"
    if value is True:
        return "on"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_word(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_word, value)) + "]"
    return str(value)


def _seeds(seeds: list[int]) -> str:
    return f"the pair of seed {seeds[0]}" if len(seeds) == 1 else f"the pairs of seeds {', '.join(map(str, seeds))}"


def _rank(topic: str) -> int:
    return _ORDER.index(topic) if topic in _ORDER else len(_ORDER)
