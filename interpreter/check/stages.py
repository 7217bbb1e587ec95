"""One stage of an arm: its parts resolved and typed, and its keys checked against its kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar, cast

from interpreter import catalog
from interpreter.check.fitting import evaluated_metrics, fits_together
from interpreter.check.origins import Origins
from interpreter.check.trees import MAX_INSIDE, STAGE_PARTS, UNREAD, Trees
from interpreter.check.types import CheckedStage, Scores
from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, content, place_of
from interpreter.spec.base import OFF, Component, Config, unbuilt
from interpreter.spec.components.contract import Dataset, Model, Objective
from interpreter.spec.components.models import Head
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.grammar import STAGE_FORMS, WrittenEvaluate, WrittenFit, WrittenProbe, WrittenScore, keys
from interpreter.spec.names import did_you_mean, misspelt
from interpreter.spec.page import KINDS, PageText
from interpreter.spec.stages import At, Keep, Pick
from interpreter.spec.typed import read, wrong_type

T = TypeVar("T", bound=Config)
MERGE = "<<"  # a key that YAML merges another mapping by, and a page has not
_RUNS = ("fit", "evaluate", "score", "probe")  # kinds of stages that this release can run


class Stages:
    """Reads stages of one page's trees. What is equal is read once: a sweep of a thousand points has few different parts, and
    a page at its profiles little more."""

    def __init__(self, trees: Trees, page: PageText, problems: Problems) -> None:
        self.trees, self.page, self.problems = trees, page, problems
        self.origins = Origins(page, problems)
        self.unbuilt: dict[str, Place] = {}  # what can't be run yet, in words -> where it is first asked for
        self._announced: dict[int, tuple[Config, list[tuple[str, ...]]]] = {}
        self._typed = trees.library.typed
        self._stages: dict[tuple[str | int, ...], tuple[CheckedStage | None, tuple[Node, ...]]] = {}

    def component(self, plural: str, node: Node, root: Mapping, path: str) -> Component | None:
        """The typed config of a component written as a name or a mapping, or None with what is wrong."""
        found = self._component(plural, node, root, path)
        return found[0] if found is not None else None

    def _component(
        self, plural: str, node: Node, root: Mapping, path: str, trail: tuple[Place, ...] = ()
    ) -> tuple[Component, Mapping] | None:
        """The same, with the mapping it was read from: what it names and extends written out. `trail`: what it is inside of."""
        if node.place in trail:
            text = f"this {KINDS[plural]} is inside itself"
            self.problems.add(Problem("cycle", text, node.place, path.partition(".")[0], hint="name another one"))
            return None
        if len(trail) >= MAX_INSIDE:
            text = f"more than {MAX_INSIDE} {plural} are inside one another"
            self.problems.add(Problem("too-deep", text, node.place, path.partition(".")[0]))
            return None
        mapping = self.trees.component(plural, node, root, self.page)
        if mapping is None:
            return None
        kind = KINDS[plural]
        if kind == "schedule":
            schedule = self._read(catalog.load(catalog.SCHEDULE), mapping, path)
            return (cast("Component", schedule), mapping) if schedule is not None else None
        named = mapping.get("type")
        if not isinstance(named, Scalar):
            expected = f"type: one of {', '.join(catalog.types(kind))}"
            wrong, hint = misspelt(mapping.items, ("type", "extends"))
            place, text = mapping.keys.get(wrong, mapping.place), f"this {kind} has no `type`"
            self.problems.add(Problem("missing-key", text, place, path, expected, wrong, hint))
            return None
        if catalog.find(kind, named.text) is None:
            self.problems.add(
                Problem(
                    f"unknown-{kind}",
                    f"there is no {kind} type `{named.text}`",
                    named.place,
                    f"{path}.type",
                    got=named.text,
                    hint=did_you_mean(named.text, catalog.types(kind)),
                )
            )
            return None
        cls = catalog.config_class(kind, named.text)
        inner: dict[str, Any] = {}
        whole = mapping
        for key, below in cls.nested.items():
            if key in mapping.items:
                found = self._component(below, mapping.items[key], root, f"{path}.{key}", (*trail, node.place))
                if found is None:
                    return None
                inner[key] = found[0]
                whole = whole.put(key, found[1], mapping.keys[key])
        made = self._read(cls, mapping, path, inner)
        return (made, whole) if made is not None else None

    def _read(self, cls: type[T], mapping: Mapping, path: str, extra: dict[str, Any] | None = None) -> T | None:
        known = (cls, content(mapping), tuple((key, id(value)) for key, value in (extra or {}).items()))
        if known not in self._typed:
            made = read(cls, mapping, self.problems, path, extra)
            if made is None:
                return None
            self._typed[known] = (made, extra)  # `extra` is kept, so that its ids stay its own
        return cast("T", self._typed[known][0])

    def stage(self, name: str, node: Node, root: Mapping) -> CheckedStage | None:
        """The stage called `name`, or None with what is wrong with it. One that a change of `root` left alone is read once."""
        parts = (node, *(root.items[plural] for plural in KINDS))
        known: tuple[str | int, ...] = (name, *(id(part) for part in parts))
        if known not in self._stages:
            self._stages[known] = (self._stage(name, node, root), parts)  # kept, so that their ids stay their own
        return self._stages[known][0]

    def _stage(self, name: str, node: Node, root: Mapping) -> CheckedStage | None:
        path = f"stages.{name}"
        if isinstance(node, Scalar) and node.text == UNREAD:
            return None
        if not isinstance(node, Mapping):
            self.problems.add(wrong_type(f"stage `{name}`", node, path, "a mapping"))
            return None
        kinds = [key for key in STAGE_FORMS if key in node.items]
        if len(kinds) != 1:
            text = f"stage `{name}` must say what it does"
            expected, got = f"one of {', '.join(STAGE_FORMS)}", ", ".join(kinds) or "none of them"
            wrong, hint = ("", "") if kinds else misspelt(node.items, STAGE_FORMS)
            place = node.keys.get(wrong, node.place)
            if kinds or MERGE not in node.items:  # what a merge key would have brought may be what it does
                self.problems.add(Problem("stage-kind", text, place, path, expected, wrong or got, hint))
            return None
        kind = kinds[0]
        form = self._read(STAGE_FORMS[kind], node, path)
        found = {
            key: self._component(STAGE_PARTS[key], node.items[key], root, f"{path}.{key}")
            for key in keys(STAGE_FORMS[kind])
            if key in STAGE_PARTS and key in node.items and not _off(node.items[key])
        }
        parts = {key: part for key, part in found.items() if part is not None}
        data = found.get("data")
        scores = self._scores(data[0], data[1], path) if data is not None else ()
        if form is None or len(parts) < len(found) or scores is None:
            return None
        made = {"fit": self._fit, "evaluate": self._evaluate, "probe": self._probe, "score": self._score}[kind]
        stage = made(name, node, form, {key: config for key, (config, _) in parts.items()}, path)
        written = Mapping(node.place, {**node.items, **{key: whole for key, (_, whole) in parts.items()}}, node.keys)
        if stage is None:
            return None
        stage = replace(stage, written=written, scores=scores)
        if stage.trains:
            fits_together(stage, node, path, self.problems)
        return stage

    def _fit(self, name: str, node: Mapping, form: Config, parts: dict[str, Component], path: str) -> CheckedStage | None:
        assert isinstance(form, WrittenFit)
        data, objective, model = parts["data"], parts["fit"], parts["model"]
        schedule = cast("Schedule", parts["schedule"])
        assert isinstance(data, Dataset) and isinstance(objective, Objective) and isinstance(model, Model)
        origin = self.origins.read(node.get("start"), form.start, path)
        if origin is None:
            return None
        return CheckedStage(
            name,
            "fit",
            node.place,
            data,
            called(node.items["data"]),
            objective=objective,
            model=model,
            model_name=called(node.items["model"]),
            model_place=node.items["model"].place,
            head=form.head or Head(),
            schedule=schedule,
            keep=_keep(form.keep, data),
            origin=origin,
            thaw=form.thaw,
            average=form.average,
            unbuilt=self._unbuilt("fit", {**parts, "thaw": form.thaw, "average": form.average}, node),
        )

    def _evaluate(self, name: str, node: Mapping, form: Config, parts: dict[str, Component], path: str) -> CheckedStage | None:
        assert isinstance(form, WrittenEvaluate)
        data = parts["evaluate"]
        assert isinstance(data, Dataset)
        splits = data.facts().splits
        part = form.part or ("test" if "test" in splits else "val")
        if not self._has(part, data, node, path):
            return None
        evaluated_metrics(form.metrics, node, path, self.problems)
        return CheckedStage(
            name,
            "evaluate",
            node.place,
            data,
            called(node.items["evaluate"]),
            part=part,
            checkpoint=form.checkpoint or "",
            unbuilt=self._unbuilt("evaluate", parts, node),
        )

    def _probe(self, name: str, node: Mapping, form: Config, parts: dict[str, Component], path: str) -> CheckedStage | None:
        assert isinstance(form, WrittenProbe)
        data, objective = parts["data"], parts["probe"]
        assert isinstance(data, Dataset) and isinstance(objective, Objective)
        at = form.at
        return CheckedStage(
            name,
            "probe",
            node.place,
            data,
            called(node.items["data"]),
            objective=objective,
            head=form.head or Head(),
            schedule=cast("Schedule", parts["schedule"]),
            # What a range of epochs comes to depends on the fit's length: the chain writes it out.
            at=(at,) if isinstance(at, str) else () if isinstance(at, At) else tuple(at),
            at_range=at if isinstance(at, At) else None,
            pick=form.pick or Pick(),
            views=form.views,
            unbuilt=self._unbuilt("probe", parts, node),
        )

    def _score(self, name: str, node: Mapping, form: Config, parts: dict[str, Component], path: str) -> CheckedStage | None:
        assert isinstance(form, WrittenScore)
        data = parts["score"]
        assert isinstance(data, Dataset)
        if not self._has(form.part, data, node, path):
            return None
        return CheckedStage(
            name,
            "score",
            node.place,
            data,
            called(node.items["score"]),
            part=form.part,
            checkpoint=form.checkpoint or "",
            replicates=form.replicates,
            unbuilt=self._unbuilt("score", parts, node),
        )

    def _unbuilt(self, kind: str, parts: dict[str, Any], node: Mapping) -> tuple[str, ...]:
        """What of a stage can't be run yet, in words; where each was first asked for is remembered."""
        found = [] if kind in _RUNS else [(f"`{kind}` stages", kind)]
        if kind == "score" and getattr(parts[kind], "subset", None) is not None:
            found.append(("`subset` of what a `score` stage scores", kind))
        for key, part in parts.items():
            if part is None:
                continue
            what = f"`{key}`"
            if key in STAGE_PARTS:
                kind_of_part = KINDS[STAGE_PARTS[key]]
                type_ = getattr(part, "type", "")
                what = f"the {kind_of_part} type `{type_}`" if type_ else f"the {kind_of_part}"
                if type_ and not catalog.built(kind_of_part, type_):
                    found.append((what, key))
                    continue
            found += [(f"`{'.'.join(path)}` of {what}" if path else what, key) for path in self._paths(part)]
        for what, key in found:
            self.unbuilt.setdefault(what, node.items[key].place if key in node.items else node.place)
        return tuple(dict.fromkeys(what for what, _ in found))

    def _paths(self, part: Config) -> list[tuple[str, ...]]:
        """What of a part is not built, worked out once: equal parts are one object."""
        if id(part) not in self._announced:
            self._announced[id(part)] = (part, unbuilt(part))  # kept, so that its id stays its own
        return self._announced[id(part)][1]

    def _has(self, part: str, data: Dataset, node: Mapping, path: str) -> bool:
        splits = data.facts().splits
        if part in splits:
            return True
        place = node.items["part"].place if "part" in node.items else node.place
        text = f"this dataset has no split `{part}`"
        self.problems.add(Problem("unknown-split", text, place, f"{path}.part", ", ".join(splits), part))
        return False

    def _scores(self, data: Component, written: Mapping, path: str) -> tuple[Scores, ...] | None:
        """The score stages that a subset of `data`, read from `written`, is chosen by; None with what is wrong."""
        subset = getattr(data, "subset", None)
        if subset is None:
            return ()
        place = place_of(written, ("subset", "scored_by", "result"))
        ref = self.origins.result(subset.scored_by.result, place, f"{path}.data.subset.scored_by.result")
        if ref is None:
            return None
        entry = f"{ref.date}/{ref.entry}" if ref.entry else ""
        arm = f"{ref.arm}[{ref.point}]" if ref.point else ref.arm
        return (Scores(entry, arm, ref.stage, subset.scored_by.seed, place),)


def _keep(said: Keep | None, data: Dataset) -> Keep:
    """What a fit keeps: without a validation split, and unless the page says otherwise, the best by its training loss."""
    keep = said or Keep()
    if "best" not in keep.model_fields_set and "val" not in data.facts().splits:
        return keep.model_copy(update={"best": "train/loss"})
    return keep


def _off(node: Node) -> bool:
    """Whether a part is left out: that it is missing is told by the form."""
    return isinstance(node, Scalar) and node.value == OFF


def called(node: Node) -> str:
    """What the page calls a component: its name, or its type where it is written out."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Mapping):
        for key in ("extends", "type"):
            below = node.get(key)
            if isinstance(below, Scalar):
                return below.text
    return ""
