"""In which settings two arms differ: stages matched, their settings walked, and each difference put into words.

Verdicts ask it whether a comparison is fair, `expt diff` shows it, and the forecast tells by it what is new about a stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from interpreter.plan.types import ArmPlan, Plan, Stage

NUMERICS = ("threads", "device", "precision", "tf32", "torch")  # what a record says of how its numbers were computed
# Where a difference stands in a list: data and split, metric, model, objective, schedule, numerics, the rest.
_ORDER = ("data", "part", "metric", "model", "head", "objective", "schedule", "numerics", "chain", "keep", "start")
_DERIVED = frozenset({"streams", "start"})  # follow from the data and from the chain, which are compared themselves
# What a stage repeats of the fit whose weights it measures: the fit is compared itself.
_MEASURED = frozenset({"objective", "model", "head", "name"})
_REPEATED = {"evaluate": _MEASURED, "score": _MEASURED, "probe": frozenset({"model"})}
_SAID = {
    "keep.best": "metric of the best checkpoint",
    "keep.every": "epochs between kept checkpoints",
    "part": "split",
    "rerun": "run again for",
}


def ancestors(plan: Plan, key: str) -> Iterator[Stage]:
    """The stages that `key` was made from, itself included, each once, nearest first."""
    seen, queue = {key}, [key]
    while queue:
        stage = plan.stages[queue.pop(0)]
        yield stage
        for needed in stage.inputs:
            if needed.key not in seen:
                seen.add(needed.key)
                queue.append(needed.key)


def upstream(plan: Plan, arm: ArmPlan) -> dict[str, Stage]:
    """The stages of an arm's first trial, by the name its chain gives them, and what they start from besides."""
    found = {name: plan.stages[key] for name, key in arm.trials[0].stages} if arm.trials else {}
    keys = {stage.key for stage in found.values()}
    for stage in list(found.values()):
        for earlier in ancestors(plan, stage.key):
            if earlier.key not in keys:
                found.setdefault(earlier.name, earlier)
    return found


def matched(plan: Plan, a: ArmPlan, b: ArmPlan) -> list[tuple[str, Stage, Stage]]:
    """Stages that play the same part in both arms and are not one and the same: by name, and the main stage of each.

    Main stages that are called differently are named "lba -> tune".
    """
    left, right = upstream(plan, a), upstream(plan, b)
    found = [(name, left[name], right[name]) for name in left if name in right and left[name].kind == right[name].kind]
    if a.main_stage != b.main_stage and a.main_stage in left and b.main_stage in right:
        found.append((f"{a.main_stage} -> {b.main_stage}", left[a.main_stage], right[b.main_stage]))
    return [(name, x, y) for name, x, y in found if x.key != y.key]


def stage_differences(left: Stage, right: Stage) -> Iterator[tuple[str, Any, Any]]:
    """(dotted path, left value, right value) of every setting in which two stages differ, less what is compared elsewhere."""
    passed = _DERIVED | _REPEATED.get(left.kind, frozenset())
    for path, x, y in differences(left.settings, right.settings):
        if path.split(".")[0] not in passed:
            yield path, x, y


def differences(left: Mapping[str, Any], right: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted path, left value, right value) of every leaf that differs; of a changed `type`, with what both types have."""
    names = dict.fromkeys((*left, *right))
    if left.get("type") != right.get("type"):
        yield f"{above}type", left.get("type"), right.get("type")
        names = dict.fromkeys(name for name in left if name in right and name != "type")
    for name in names:
        x, y, path = left.get(name), right.get(name), f"{above}{called(name)}"
        if isinstance(x, Mapping) and isinstance(y, Mapping):
            yield from differences(x, y, f"{path}.")
        elif plain(x) != plain(y):
            yield path, x, y


def called(name: str) -> str:
    """A setting as pages call it: what Python has a word for is kept with an underscore, `from_`."""
    return name.removesuffix("_")


def plain(value: Any) -> Any:
    """`value` with its lists as lists, so that a list is equal to the tuple of the same."""
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def start_of(stage: Stage, before: Mapping[str, Stage]) -> str:
    """What a stage's weights are at its start, in words; `before`: the stages it may come from, by name."""
    start = stage.settings.get("start", {})
    if start.get("kind") == "file":
        return f"the file {start['file']}"
    names = {earlier.key: name for name, earlier in before.items()}
    for needed in stage.inputs:
        if needed.role == "start":
            return f"{names.get(needed.key, 'another fit')}@{needed.checkpoint}"
    return "random weights" if stage.kind == "fit" else "the fit before"


def word(value: Any) -> str:
    """A setting's value for a reader."""
    if value is None or value is False:
        return "off"
    if value is True:
        return "on"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{called(k)}: {word(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(word, value)) + "]"
    return str(value)


def phrase(path: str, stage: str) -> str:
    """A setting in words: "dropout of the head of lba" for `head.dropout`, "model of lba" for `model.type`."""
    if path in _SAID:
        return f"{_SAID[path]} of {stage}"
    steps = path.split(".")
    if steps[0] == "schedule" and len(steps) > 1:
        steps = steps[1:]  # a stage has one schedule: what is in it is said of the stage
    if steps[-1] == "type" and len(steps) > 1:
        steps = steps[:-1]
    last, *above = reversed([step for step in steps[:-1] if step != "by"] + steps[-1:])
    return " of ".join([last, *(f"the {step}" for step in above), stage])


def span(seeds: Sequence[int]) -> str:
    """Seeds in brief: `0-4` where they follow one another, else `0,2,5`."""
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))


def rank(topic: str) -> int:
    """Where a difference in `topic`, the first word of its path, stands in a list."""
    return _ORDER.index(topic) if topic in _ORDER else len(_ORDER)
