"""One stage of an arm: its parts resolved and typed, and its keys checked against its kind."""

from __future__ import annotations

from typing import TypeVar, cast

from interpreter import catalog
from interpreter.check.trees import STAGE_PARTS, Trees
from interpreter.check.types import CheckedStage, Origin
from interpreter.errors import Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, kind_of, locate
from interpreter.spec.base import Component, Config
from interpreter.spec.components.contract import Dataset, Model, Objective
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.names import CHECKPOINT, did_you_mean, result_ref
from interpreter.spec.page import KINDS, PageText
from interpreter.spec.stages import EVALUATE_KEYS, FIT_KEYS, NOT_BUILT_KEYS, NOT_BUILT_KINDS, Keep, Start
from interpreter.spec.typed import read

T = TypeVar("T", bound=Config)


class Stages:
    """Reads stages of one page's trees."""

    def __init__(self, trees: Trees, page: PageText, problems: Problems) -> None:
        self.trees, self.page, self.problems = trees, page, problems

    def component(self, plural: str, node: Node, root: Mapping, path: str) -> Component | None:
        """The typed config of a component written as a name or a mapping, or None with what is wrong."""
        mapping = self.trees.component(plural, node, root, self.page)
        if mapping is None:
            return None
        kind = KINDS[plural]
        if kind == "schedule":
            return cast("Component | None", read(catalog.load(catalog.SCHEDULE), mapping, self.problems, path))
        named = mapping.get("type")
        known = catalog.types(kind)
        if not isinstance(named, Scalar):
            self.problems.add(
                Problem(
                    "missing-key", f"this {kind} has no `type`", mapping.place, path, expected=f"type: one of {', '.join(known)}"
                )
            )
            return None
        if named.text in catalog.NOT_BUILT.get(kind, ()):
            self.problems.add(
                Problem(
                    "not-built-yet",
                    f"the {kind} type `{named.text}` is not built yet",
                    named.place,
                    f"{path}.type",
                    got=named.text,
                )
            )
            return None
        if named.text not in known:
            self.problems.add(
                Problem(
                    f"unknown-{kind}",
                    f"there is no {kind} type `{named.text}`",
                    named.place,
                    f"{path}.type",
                    got=named.text,
                    hint=did_you_mean(named.text, known),
                )
            )
            return None
        return read(catalog.config_class(kind, named.text), mapping, self.problems, path)

    def stage(self, name: str, node: Node, root: Mapping) -> CheckedStage | None:
        """The stage called `name`, or None with what is wrong with it."""
        path = f"stages.{name}"
        if not isinstance(node, Mapping):
            self.problems.add(
                Problem("wrong-type", f"stage `{name}` must be a mapping", node.place, path, "a mapping", kind_of(node))
            )
            return None
        kinds = [key for key in ("fit", "evaluate", *NOT_BUILT_KINDS) if key in node.items]
        if len(kinds) != 1:
            self.problems.add(
                Problem(
                    "stage-kind",
                    f"stage `{name}` must say what it does",
                    node.place,
                    path,
                    "one of fit, evaluate",
                    ", ".join(kinds) or "neither",
                )
            )
            return None
        kind = kinds[0]
        if kind in NOT_BUILT_KINDS:
            self.problems.add(Problem("not-built-yet", f"`{kind}` stages are not built yet", node.keys[kind], path))
            return None
        known = FIT_KEYS if kind == "fit" else EVALUATE_KEYS
        for key in node.items:
            if key in NOT_BUILT_KEYS:
                self.problems.add(Problem("not-built-yet", f"`{key}` is not built yet", node.keys[key], f"{path}.{key}"))
            elif key not in known:
                self.problems.add(
                    Problem(
                        "unknown-key",
                        f"a {kind} stage has no key `{key}`",
                        node.keys[key],
                        f"{path}.{key}",
                        got=key,
                        hint=did_you_mean(key, known),
                    )
                )
        return self._fit(name, node, root, path) if kind == "fit" else self._evaluate(name, node, root, path)

    def _fit(self, name: str, node: Mapping, root: Mapping, path: str) -> CheckedStage | None:
        parts: dict[str, Component | None] = {}
        for key in ("fit", "data", "model", "schedule"):
            below = node.get(key)
            if below is None:
                self.problems.add(
                    Problem("missing-key", f"stage `{name}` has no `{key}`", node.place, path, expected=f"a key `{key}`")
                )
                parts[key] = None
            else:
                parts[key] = self.component(STAGE_PARTS[key], below, root, f"{path}.{key}")
        head = self._part(catalog.load(catalog.HEAD), node, "head", path)
        keep = self._part(Keep, node, "keep", path)
        origin = self._origin(node, path)
        data, objective, model = parts["data"], parts["fit"], parts["model"]
        schedule = cast("Schedule | None", parts["schedule"])
        if None in (data, objective, model, schedule, head, keep, origin):
            return None
        assert isinstance(data, Dataset) and isinstance(objective, Objective) and isinstance(model, Model)
        assert keep is not None and origin is not None
        stage = CheckedStage(
            name,
            "fit",
            node.place,
            data,
            _called(node.items["data"]),
            objective=objective,
            model=model,
            head=head,
            schedule=schedule,
            keep=keep,
            origin=origin,
        )
        self._fits_together(stage, node, path)
        return stage

    def _part(self, cls: type[T], node: Mapping, key: str, path: str) -> T | None:
        below = node.get(key)
        if below is None:
            return cls()
        if isinstance(below, Mapping):
            return read(cls, below, self.problems, f"{path}.{key}")
        self.problems.add(
            Problem("wrong-type", f"`{key}` must be a mapping", below.place, f"{path}.{key}", "a mapping", kind_of(below))
        )
        return None

    def _origin(self, node: Mapping, path: str) -> Origin | None:
        start = node.get("start")
        if start is None:
            return Origin("previous")
        if isinstance(start, Scalar) and start.value == "random":
            return Origin("random")
        if not isinstance(start, Mapping):
            self.problems.add(
                Problem(
                    "wrong-type",
                    "`start` must say where the weights come from",
                    start.place,
                    f"{path}.start",
                    "random, {from: stage@best} or {file: name, sha256: ...}",
                    kind_of(start),
                )
            )
            return None
        said = read(Start, start, self.problems, f"{path}.start")
        if said is None:
            return None
        if said.file is not None:
            return Origin("file", said.take, file=said.file, sha256=said.sha256 or "")
        assert said.source is not None
        ref, place = result_ref(said.source), start.items["from"].place
        if ref is None:
            self.problems.add(
                Problem(
                    "bad-reference",
                    "this names no checkpoint",
                    place,
                    f"{path}.start.from",
                    "stage@best, arm.stage@last or DATE/entry/arm.stage@best",
                    said.source,
                )
            )
            return None
        if ref.point:
            self.problems.add(
                Problem("not-built-yet", "points of sweeps are not built yet", place, f"{path}.start.from", got=said.source)
            )
            return None
        if ref.date > self.page.date:
            self.problems.add(
                Problem("later-reference", f"{ref.date} is after this page's date", place, f"{path}.start.from", got=said.source)
            )
            return None
        entry = f"{ref.date}/{ref.entry}" if ref.entry else ""
        return Origin("result", said.take, entry, ref.arm, ref.stage, ref.checkpoint)

    def _evaluate(self, name: str, node: Mapping, root: Mapping, path: str) -> CheckedStage | None:
        data = self.component("datasets", node.items["evaluate"], root, f"{path}.evaluate")
        if not isinstance(data, Dataset):
            return None
        splits = data.facts().splits
        part = node.get("part")
        chosen = part.text if isinstance(part, Scalar) else ("test" if "test" in splits else "val")
        if chosen not in splits:
            self.problems.add(
                Problem(
                    "unknown-split",
                    f"this dataset has no split `{chosen}`",
                    part.place if part else node.place,
                    f"{path}.part",
                    ", ".join(splits),
                    chosen,
                )
            )
            return None
        checkpoint = node.get("checkpoint")
        rule = checkpoint.text if isinstance(checkpoint, Scalar) else "best"
        if checkpoint is not None and not CHECKPOINT.fullmatch(rule):
            self.problems.add(
                Problem(
                    "bad-value",
                    f"`checkpoint` can't be {rule!r}",
                    checkpoint.place,
                    f"{path}.checkpoint",
                    "best, last or epoch-N",
                    rule,
                )
            )
            return None
        return CheckedStage(name, "evaluate", node.place, data, _called(node.items["evaluate"]), part=chosen, checkpoint=rule)

    def _fits_together(self, stage: CheckedStage, node: Mapping, path: str) -> None:
        """What types alone can't tell: the objective suits the data, the model takes its examples, `keep` can be measured."""
        assert stage.objective is not None and stage.model is not None
        facts = stage.data.facts()
        if facts.task != stage.objective.task:
            self.problems.add(
                Problem(
                    "objective-misfit",
                    f"the objective wants a {stage.objective.task} target, and this dataset's is {facts.task}",
                    node.items["fit"].place,
                    f"{path}.fit",
                )
            )
        if "train" not in facts.splits:
            self.problems.add(
                Problem("unknown-split", "this dataset has no training split", node.items["data"].place, f"{path}.data")
            )
        if facts.shape is not None and (why := stage.model.misfit(facts.shape)):
            self.problems.add(Problem("model-misfit", f"the model {why}", node.items["model"].place, f"{path}.model"))
        stopping = stage.schedule.early_stopping if stage.schedule is not None else None
        if stopping is not None and (problem := metric_problem(stage, *stopping.monitor.split("/", 1))):
            self.problems.add(
                Problem(
                    "unknown-metric",
                    f"early stopping can't watch `{stopping.monitor}`: {problem}",
                    locate(node, ("schedule", "early_stopping", "monitor"))[1],
                    f"{path}.schedule.early_stopping.monitor",
                )
            )
        problem = metric_problem(stage, *stage.keep.best.split("/", 1)) if "/" in stage.keep.best else "write split/name"
        if problem:
            keep = node.get("keep")
            place = keep.items["best"].place if isinstance(keep, Mapping) and "best" in keep.items else node.place
            self.problems.add(
                Problem(
                    "unknown-metric",
                    f"the best checkpoint can't be chosen by `{stage.keep.best}`: {problem}",
                    place,
                    f"{path}.keep.best",
                )
            )
        asked = node.get("metrics")
        for item in asked.items if asked is not None and not isinstance(asked, (Scalar, Mapping)) else ():
            if isinstance(item, Scalar) and item.text not in stage.objective.metrics:
                self.problems.add(
                    Problem(
                        "unknown-metric",
                        f"this objective has no metric `{item.text}`",
                        item.place,
                        f"{path}.metrics",
                        got=item.text,
                        hint=did_you_mean(item.text, stage.objective.metrics),
                    )
                )


def metric_problem(stage: CheckedStage, split: str, metric: str) -> str:
    """Why a fit logs no metric `split/metric`, with a hint; "" when it does."""
    assert stage.objective is not None
    splits = stage.data.facts().splits
    if split not in ("train", "val") or split not in splits:
        known = [s for s in ("train", "val") if s in splits]
        return f"a fit measures {' and '.join(f'`{s}`' for s in known)}; {did_you_mean(split, known)}"
    if metric not in stage.objective.metrics:
        return f"`{split}` has no metric `{metric}`; {did_you_mean(metric, stage.objective.metrics)}"
    return ""


def _called(node: Node) -> str:
    """What the page calls a component: its name, or its type where it is written out."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Mapping):
        for key in ("extends", "type"):
            below = node.get(key)
            if isinstance(below, Scalar):
                return below.text
    return ""
