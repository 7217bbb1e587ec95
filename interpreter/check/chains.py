"""Chains of stages: names looked up, results of earlier sweeps written out, and each stage held against those before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from interpreter.check.fitting import start_misfit
from interpreter.check.sweeps import MAX_POINTS, too_many
from interpreter.check.types import CheckedArm, CheckedStage
from interpreter.errors import Place, Problem
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence, kind_of, place_of
from interpreter.spec.names import ArmRef, did_you_mean, own_arm_ref, result_ref, wrong_checkpoint

if TYPE_CHECKING:
    from interpreter.check.arms import Arms

Chain = tuple[CheckedStage, ...]
CHECKPOINT_FACTOR = "checkpoint"


class Chains:
    """Reads the chain of one arm (at one point of its sweep) from its tree."""

    def __init__(self, arms: Arms, root: Mapping, path: str) -> None:
        self.arms, self.root, self.path = arms, root, path
        self.problems = arms.problems

    def read(self, chain: Sequence) -> Iterator[tuple[dict[str, str], Chain]]:
        """Each chain that the text stands for, with the factors it has from what it begins with: one, unless it begins with a
        sweep. Nothing where it can't be read."""
        begin: list[tuple[dict[str, str], Chain]] = [({}, ())]
        items = list(chain.items)
        first = items[0] if items else None
        known = self.root.items["stages"]
        assert isinstance(known, Mapping)
        ref = result_ref(first.text) if isinstance(first, Scalar) and first.text not in known.items else None
        if ref is not None and ref.arm:
            assert isinstance(first, Scalar)
            begin = self._prefixes(first) or []
            items = items[1:]
        own = self._own(items, known)
        for factors, prefix in begin if own is not None else ():
            assert own is not None
            whole = self._joined(prefix, own, chain)
            if whole is not None:
                yield factors, whole

    def _own(self, items: list[Node], known: Mapping) -> list[tuple[CheckedStage, Place]] | None:
        """The stages that are named one by one, each with the place of its name in the chain."""
        stages: list[tuple[CheckedStage, Place]] = []
        whole = True
        for item in items:
            if not isinstance(item, Scalar) or item.text not in known.items:
                got = item.text if isinstance(item, Scalar) else kind_of(item)
                later = isinstance(item, Scalar) and (ref := result_ref(item.text)) is not None and ref.arm
                wrong, hint = wrong_checkpoint(got)
                code = "bad-reference" if wrong else "unknown-stage"
                text = f"there is no checkpoint `{wrong}`" if wrong else f"there is no stage `{got}`"
                if later:
                    text, hint = "a chain may only begin with an earlier result", "put it first"
                hint = hint or did_you_mean(got, known.items)
                self.problems.add(Problem(code, text, item.place, self.path, got=wrong or got, hint=hint))
                whole = False
                continue
            stage = self.arms.stages.stage(item.text, known.items[item.text], self.root)
            if stage is None:
                whole = False
            else:
                stages.append((stage, item.place))
        return stages if whole else None

    def _prefixes(self, item: Scalar) -> list[tuple[dict[str, str], Chain]] | None:
        """What `arm[point].stage@checkpoint` at the start of a chain stands for: for each point, the chain up to there."""
        ref = self.arms.stages.origins.result(item.text, item.place, self.path)
        found = self.arms.selected(ArmRef(ref.date, ref.entry, ref.arm, ref.point), item.place) if ref is not None else None
        if ref is None or found is None:
            return None
        if len(found) > 1 and not ref.point:
            text = f"`{ref.arm}` has {len(found)} points: say which"
            self.problems.add(
                Problem("several-points", text, item.place, self.path, got=item.text, hint=f"{ref.arm}[*] is all of them")
            )
            return None
        out = []
        for arm in found:
            names = [stage.name for stage in arm.chain]
            if self._fit_of(arm, ref.stage, item.place) is None:
                return None
            chain = tuple(_from(stage, arm, self.arms.entry_id) for stage in arm.chain[: names.index(ref.stage) + 1])
            # What is known of the earlier arm goes on, but only what really varies within the selection.
            factors = dict(arm.factors) if len(found) > 1 else {}
            kept = _count(chain[-1]) if ref.checkpoint == "*" else 1
            if too_many(len(found) * kept, f"{len(found):,} x {kept:,}", item, self.path, self.problems):
                return None
            rules = _kept(chain[-1]) if ref.checkpoint == "*" else [ref.checkpoint]
            for rule in rules:
                more = {CHECKPOINT_FACTOR: rule} if ref.checkpoint == "*" else {}
                out.append(({**factors, **more}, (*chain[:-1], replace(chain[-1], onward=rule))))
        return out

    def _joined(self, prefix: Chain, own: list[tuple[CheckedStage, Place]], chain: Sequence) -> Chain | None:
        """The whole chain, each stage checked against those before it; None with what is wrong."""
        before = len(self.problems.found)
        place = chain.items[0].place if chain.items else chain.place
        stages: list[CheckedStage] = []
        for stage, where in [*((s, place) for s in prefix), *own]:
            if stage.name in [other.name for other in stages]:
                self.problems.add(
                    Problem(
                        "repeated-stage",
                        f"stage `{stage.name}` is twice in this chain",
                        where,
                        self.path,
                        hint="give the second use a name of its own",
                    )
                )
                continue
            stages.append(self._held(stage, stages, where))
        errors = [p for p in self.problems.found[before:] if p.severity.value == "error"]
        return None if errors else tuple(stages)

    def _held(self, stage: CheckedStage, before: list[CheckedStage], place: Place) -> CheckedStage:
        """`stage` after those `before` it, with what follows from them; what is wrong is told."""
        fits = [s for s in before if s.kind == "fit"]
        fitted = fits[-1] if fits else None
        if stage.kind == "fit":
            return self._scored(self._started(stage, fits, place))
        if fitted is None:
            text = f"`{stage.name}` {_DOES[stage.kind]} the fit before it, and there is none"
            self.problems.add(Problem("nothing-to-evaluate", text, place, self.path, hint="put a fit before it"))
            return stage
        if stage.name in ("train", "val"):
            article = "an" if stage.kind == "evaluate" else "a"
            text = f"{article} {stage.kind} stage can't be called `{stage.name}`: its name is its split's"
            hint = f"for instance `final` or `{stage.name}-set`"
            self.problems.add(Problem("bad-name", text, stage.place, f"stages.{stage.name}", hint=hint))
        if stage.kind == "probe":
            assert fitted.schedule is not None
            at = _written(stage, place, "at")
            if stage.at_range is not None and stage.at_range.count(fitted.schedule.epochs) > MAX_POINTS:
                text = f"a probe looks at {MAX_POINTS:,} checkpoints at most"
                self.problems.add(Problem("sweep-too-large", text, at, f"stages.{stage.name}.at", hint="a larger `every`"))
                return stage
            rules = stage.at_range.rules(fitted.schedule.epochs) if stage.at_range is not None else stage.at
            if not rules:
                text = f"these are no epochs of `{fitted.name}`, which has {fitted.schedule.epochs}"
                self.problems.add(Problem("unkept-checkpoint", text, at, f"stages.{stage.name}.at"))
            told = len(self.problems.found)
            for index, rule in enumerate(rules):
                self._kept(rule, fitted, at if stage.at_range is not None else _written(stage, at, "at", index))
                if len(self.problems.found) > told:
                    break  # one checkpoint that isn't kept tells what is wrong with a range of them
            stage = replace(stage, at=tuple(rules), model=fitted.model, model_name=fitted.model_name, model_place=stage.place)
            return self._scored(stage)
        probed = [s for s in before[before.index(fitted) :] if s.kind == "probe"]
        rule = stage.checkpoint or ("picked" if probed else fitted.onward)
        measured = probed[-1] if rule == "picked" else fitted
        if stage.kind == "score" and measured.objective is not None and measured.objective.task == "regression":
            text = f"`{stage.name}` scores by the probability of the true class, and `{measured.name}` predicts numbers"
            self.problems.add(Problem("objective-misfit", text, place, self.path, hint="score after a fit over classes"))
        self._same_classes(stage, measured, place)
        self._kept(rule, fitted, _written(stage, place, "checkpoint"))
        return replace(stage, checkpoint=rule)

    def _started(self, stage: CheckedStage, fits: list[CheckedStage], place: Place) -> CheckedStage:
        """`stage` with its start resolved: a fit before it, which keeps what is asked for and whose weights fit."""
        origin, where = stage.origin, stage.origin.place or place
        known = {fit.name: fit for fit in fits}
        source = fits[-1] if fits and origin.kind == "previous" else None
        if source is not None:
            origin = replace(origin, checkpoint=source.onward)
        elif origin.kind == "result" and not origin.arm:
            source = known.get(origin.stage)
            if source is None:
                text = f"`{stage.name}` starts from `{origin.stage}`, which is no fit before it in this chain"
                hint = did_you_mean(origin.stage, known) if known else "name the arm: arm.stage@best"
                self.problems.add(Problem("unknown-stage", text, where, self.path, hint=hint))
        elif origin.kind == "result":
            arm = self._one(origin.entry, origin.arm, where)
            source = self._fit_of(arm, origin.stage, where) if arm is not None else None
            origin = replace(origin, arm=arm.name) if arm is not None else origin
        stage = replace(stage, origin=origin)
        if source is None:
            return stage
        self._kept(origin.checkpoint, source, where)
        code, why = start_misfit(stage, source)
        if code:
            hint = "`start: {from: ..., new_channels: zero}` gives new channels weights of zero" if "channel" in code else ""
            self.problems.add(Problem(code, why, where, self.path, hint=hint or "`start: random` begins anew"))
        return stage

    def _scored(self, stage: CheckedStage) -> CheckedStage:
        """`stage` with the scores that its data is chosen by resolved to one arm each."""
        found = []
        for scores in stage.scores:
            if not scores.arm:
                text, hint = "scores come from another arm", f"name it: arm.{scores.stage}"
                self.problems.add(Problem("bad-reference", text, scores.place, self.path, got=scores.stage, hint=hint))
                continue
            arm = self._one(scores.entry, scores.arm, scores.place)
            if arm is None:
                continue
            names = [s.name for s in arm.chain if s.kind == "score"]
            if scores.stage not in names:
                text, hint = f"arm `{arm.name}` has no score stage `{scores.stage}`", did_you_mean(scores.stage, names)
                self.problems.add(Problem("unknown-stage", text, scores.place, self.path, got=scores.stage, hint=hint))
            found.append(replace(scores, arm=arm.name))
        return replace(stage, scores=tuple(found))

    def _one(self, entry: str, arm: str, place: Place) -> CheckedArm | None:
        """The one arm called `arm`, `name` or `name[point]`, of `entry` ("": this one); None with what is wrong."""
        ref = own_arm_ref(f"{entry}/{arm}" if entry else arm)
        assert ref is not None
        found = self.arms.selected(ref, place)
        if found is not None and len(found) > 1:
            text = f"`{arm}` has {len(found)} points: say which"
            self.problems.add(Problem("several-points", text, place, self.path, got=arm, hint=f"such as {found[0].name}"))
            return None
        return found[0] if found else None

    def _fit_of(self, arm: CheckedArm, name: str, place: Place) -> CheckedStage | None:
        fits = {stage.name: stage for stage in arm.chain if stage.kind == "fit"}
        if name not in fits:
            text, hint = f"arm `{arm.name}` has no fit `{name}`", did_you_mean(name, fits)
            self.problems.add(Problem("unknown-stage", text, place, self.path, got=name, hint=hint))
            return None
        return fits[name]

    def _kept(self, rule: str, fitted: CheckedStage, place: Place) -> None:
        """A numbered checkpoint must be one that the fit keeps."""
        if not rule.startswith("epoch-") or fitted.schedule is None:
            return
        epoch, every = int(rule.removeprefix("epoch-")), fitted.keep.every
        if not 1 <= epoch <= fitted.schedule.epochs or every is None or epoch % every:
            text = f"`{fitted.name}` keeps no checkpoint of epoch {epoch}"
            within = 1 <= epoch <= fitted.schedule.epochs
            hint = (
                f"keep: {{every: {epoch}}} on `{fitted.name}` keeps it" if within else f"it has {fitted.schedule.epochs} epochs"
            )
            self.problems.add(Problem("unkept-checkpoint", text, place, self.path, hint=hint))

    def _same_classes(self, stage: CheckedStage, fitted: CheckedStage, place: Place) -> None:
        """Weights that learned other classes, or the same in another order, would be measured against wrong labels."""
        assert fitted.data is not None and stage.data is not None
        mine, theirs = stage.data.facts(), fitted.data.facts()
        learned, asked = (facts.target_space.partition(":")[2] for facts in (theirs, mine))
        if theirs.outputs is not None and mine.outputs is not None and learned != asked:
            text = f"`{fitted.name}` learns the classes {learned}, and `{stage.name}` has {asked}"
            hint = "evaluate on the same `classes`, in the same order"
            self.problems.add(Problem("class-misfit", text, place, self.path, hint=hint))


_DOES = {"evaluate": "evaluates", "probe": "probes", "score": "scores by"}


def _written(stage: CheckedStage, place: Place, *loc: str | int) -> Place:
    """Where what `loc` leads to is written in `stage`; `place` where it isn't."""
    node = stage.written.get(str(loc[0])) if stage.written is not None else None
    return place_of(node, loc[1:]) if node is not None else place


def _count(fit: CheckedStage) -> int:
    """How many checkpoints a fit keeps."""
    return 2 + (fit.schedule.epochs // fit.keep.every if fit.keep.every and fit.schedule is not None else 0)


def _kept(fit: CheckedStage) -> list[str]:
    """Every checkpoint that a fit keeps."""
    every = fit.keep.every
    epochs = fit.schedule.epochs if fit.schedule is not None else 0
    return [*(f"epoch-{n}" for n in range(every, epochs + 1, every)), "best", "last"] if every else ["best", "last"]


def _from(stage: CheckedStage, arm: CheckedArm, entry_id: str) -> CheckedStage:
    """A stage of an earlier arm as part of this one: the arms it refers to are those of its own entry."""
    if arm.entry_id == entry_id:
        return stage
    origin = stage.origin
    if origin.kind == "result" and origin.arm and not origin.entry:
        stage = replace(stage, origin=replace(origin, entry=arm.entry_id))
    scores = tuple(s if s.entry else replace(s, entry=arm.entry_id) for s in stage.scores)
    return replace(stage, scores=scores) if scores != stage.scores else stage
