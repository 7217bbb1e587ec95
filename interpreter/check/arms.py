"""Arms of an entry: chains of stages after `set`, seeds by stage, and where each fit's weights come from."""

from __future__ import annotations

from interpreter.check.stages import Stages
from interpreter.check.types import CheckedArm, CheckedStage
from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence, kind_of
from interpreter.spec.names import did_you_mean

_ARM_KEYS = ("chain", "baseline", "set")
_NOT_BUILT = ("vary", "zip", "points", "one_at_a_time", "combine", "import", "rerun")
MAX_SEEDS = 10_000


class Arms:
    """Reads the arms of one entry from its root tree."""

    def __init__(self, stages: Stages, entry_id: str, root: Mapping, problems: Problems) -> None:
        self.stages, self.entry_id, self.root, self.problems = stages, entry_id, root, problems

    def all(self, node: Node | None, place: Place) -> dict[str, CheckedArm]:
        """Every arm that can be read, by name."""
        if not isinstance(node, Mapping) or not node.items:
            self.problems.add(
                Problem(
                    "missing-key",
                    "`arms` is missing: an entry compares arms",
                    node.place if node else place,
                    "arms",
                    "a mapping of names",
                )
            )
            return {}
        found = {}
        for name, below in node.items.items():
            arm = self._arm(name, below, node.keys[name])
            if arm is not None:
                found[name] = arm
        baselines = [arm for arm in found.values() if arm.baseline]
        for arm in baselines[1:]:
            self.problems.add(
                Problem("two-baselines", f"`{baselines[0].name}` is the baseline already", arm.place, f"arms.{arm.name}.baseline")
            )
        return found

    def _arm(self, name: str, node: Node, place: Place) -> CheckedArm | None:
        path = f"arms.{name}"
        baseline, root, chain = False, self.root, node
        if isinstance(node, Mapping):
            self._keys(node, path)
            said = node.get("baseline")
            if said is not None and not (isinstance(said, Scalar) and isinstance(said.value, bool)):
                self.problems.add(
                    Problem("wrong-type", "`baseline` is true or false", said.place, f"{path}.baseline", got=kind_of(said))
                )
            baseline = isinstance(said, Scalar) and said.value is True
            changes = node.get("set")
            if changes is not None:
                root = self.stages.trees.change(root, changes, f"{path}.set")
            inner = node.get("chain")
            if inner is None:
                if not any(key in node.items for key in _NOT_BUILT):
                    self.problems.add(
                        Problem("missing-key", f"arm `{name}` has no `chain`", place, path, expected="chain: [stage, ...]")
                    )
                return None
            chain = inner
        if not isinstance(chain, Sequence) or not chain.items:
            self.problems.add(
                Problem(
                    "wrong-type", f"arm `{name}` must be a chain of stages", chain.place, path, "[stage, ...]", kind_of(chain)
                )
            )
            return None
        stages = self._chain(chain, root, path)
        if stages is None:
            return None
        self._weights(stages, chain, path)
        seeds, levels = self._seeds(root.get("seeds"), stages)
        return CheckedArm(name, self.entry_id, tuple(stages), baseline, seeds, levels, place)

    def _keys(self, node: Mapping, path: str) -> None:
        for key in node.items:
            if key in _NOT_BUILT:
                self.problems.add(Problem("not-built-yet", f"`{key}` is not built yet", node.keys[key], f"{path}.{key}"))
            elif key not in _ARM_KEYS:
                self.problems.add(
                    Problem(
                        "unknown-key",
                        f"an arm has no key `{key}`",
                        node.keys[key],
                        f"{path}.{key}",
                        got=key,
                        hint=did_you_mean(key, _ARM_KEYS),
                    )
                )

    def _chain(self, chain: Sequence, root: Mapping, path: str) -> list[CheckedStage] | None:
        known = root.items["stages"]
        assert isinstance(known, Mapping)
        stages: list[CheckedStage] = []
        whole = True
        for item in chain.items:
            if not isinstance(item, Scalar) or item.text not in known.items:
                got = item.text if isinstance(item, Scalar) else kind_of(item)
                self.problems.add(
                    Problem(
                        "unknown-stage",
                        f"there is no stage `{got}`",
                        item.place,
                        path,
                        got=got,
                        hint=did_you_mean(got, known.items),
                    )
                )
                whole = False
                continue
            if item.text in [stage.name for stage in stages]:
                self.problems.add(
                    Problem(
                        "repeated-stage",
                        f"stage `{item.text}` is twice in this chain",
                        item.place,
                        path,
                        hint="give the second use a name of its own",
                    )
                )
                whole = False
                continue
            stage = self.stages.stage(item.text, known.items[item.text], root)
            if stage is None:
                whole = False
            else:
                stages.append(stage)
        return stages if whole else None

    def _weights(self, stages: list[CheckedStage], chain: Sequence, path: str) -> None:
        """Evaluations need a fit before them; a start within the chain must name a stage that comes earlier."""
        fits: list[str] = []
        fitted: CheckedStage | None = None
        for stage, item in zip(stages, chain.items, strict=True):
            if stage.kind == "evaluate" and not fits:
                self.problems.add(
                    Problem(
                        "nothing-to-evaluate",
                        f"`{stage.name}` evaluates the fit before it, and there is none",
                        item.place,
                        path,
                        hint="put a fit before it",
                    )
                )
            origin = stage.origin
            if (
                stage.kind == "fit"
                and origin.kind == "result"
                and not origin.entry
                and not origin.arm
                and origin.stage not in fits
            ):
                self.problems.add(
                    Problem(
                        "unknown-stage",
                        f"`{stage.name}` starts from `{origin.stage}`, which is no fit before it in this chain",
                        item.place,
                        path,
                        hint=did_you_mean(origin.stage, fits) if fits else "name the arm: arm.stage@best",
                    )
                )
            if stage.kind == "evaluate" and fitted is not None:
                self._same_classes(stage, fitted, item, path)
                self._kept(stage, fitted, item, path)
            if stage.kind == "fit":
                fits.append(stage.name)
                fitted = stage
            elif stage.name in ("train", "val", "test"):
                self.problems.add(
                    Problem(
                        "bad-name",
                        f"an evaluate stage can't be called `{stage.name}`: its name is its split's",
                        stage.place,
                        f"stages.{stage.name}",
                        hint=f"for instance `final` or `{stage.name}-set`",
                    )
                )

    def _kept(self, stage: CheckedStage, fitted: CheckedStage, item: Node, path: str) -> None:
        """A numbered checkpoint must be one that the fit keeps."""
        if not stage.checkpoint.startswith("epoch-") or fitted.schedule is None:
            return
        epoch, every = int(stage.checkpoint.removeprefix("epoch-")), fitted.keep.every
        if not 1 <= epoch <= fitted.schedule.epochs or every is None or epoch % every:
            self.problems.add(
                Problem(
                    "unkept-checkpoint",
                    f"`{fitted.name}` keeps no checkpoint of epoch {epoch}",
                    item.place,
                    path,
                    hint=f"keep: {{every: {epoch}}} on `{fitted.name}` keeps it"
                    if epoch <= fitted.schedule.epochs
                    else "it has fewer epochs",
                )
            )

    def _same_classes(self, stage: CheckedStage, fitted: CheckedStage, item: Node, path: str) -> None:
        """Weights that learned other classes, or the same in another order, would be measured against wrong labels."""
        learned, asked = (s.data.facts().target_space.partition(":")[2] for s in (fitted, stage))
        known = fitted.data.facts().outputs is not None and stage.data.facts().outputs is not None
        if known and learned != asked:
            self.problems.add(
                Problem(
                    "class-misfit",
                    f"`{fitted.name}` learns the classes {learned}, and `{stage.name}` has {asked}",
                    item.place,
                    path,
                    hint="evaluate on the same `classes`, in the same order",
                )
            )

    def _seeds(self, node: Node | None, stages: list[CheckedStage]) -> tuple[dict[str, tuple[int, ...]], tuple[str, ...]]:
        names = [stage.name for stage in stages]
        if node is None:
            return dict.fromkeys(names, (0,)), ()
        if isinstance(node, Mapping) and not set(node.items) <= {"from", "n"}:
            return self._seeds_by_stage(node, names)
        seeds = self._range(node, "seeds")
        return dict.fromkeys(names, seeds), ()

    def _seeds_by_stage(self, node: Mapping, names: list[str]) -> tuple[dict[str, tuple[int, ...]], tuple[str, ...]]:
        known = self.root.items["stages"]
        assert isinstance(known, Mapping)
        given: dict[str, tuple[int, ...]] = {}
        for name, below in node.items.items():
            if name not in known.items:
                self.problems.add(
                    Problem(
                        "unknown-stage",
                        f"there is no stage `{name}`",
                        node.keys[name],
                        "seeds",
                        got=name,
                        hint=did_you_mean(name, known.items),
                    )
                )
            given[name] = self._range(below, f"seeds.{name}")
        levels = tuple(name for name in names if name in given)
        current = given[levels[0]] if levels else (0,)
        out = {}
        for name in names:  # a stage that is not named goes along with the one before it
            current = given.get(name, current)
            out[name] = current
        return out, levels

    def _range(self, node: Node, path: str) -> tuple[int, ...]:
        if isinstance(node, Scalar) and type(node.value) is int and 1 <= node.value <= MAX_SEEDS:
            return tuple(range(node.value))
        if isinstance(node, Mapping) and set(node.items) == {"from", "n"}:
            first, n = (_count(node.items[key]) for key in ("from", "n"))
            if first is not None and n is not None and 1 <= n <= MAX_SEEDS:
                return tuple(range(first, first + n))
        if isinstance(node, Mapping) and {"min", "max"} <= set(node.items):
            self.problems.add(Problem("not-built-yet", "adaptive seeds are not built yet", node.place, path))
        else:
            self.problems.add(
                Problem(
                    "bad-seeds",
                    "seeds are a number of seeds, or where they begin and how many",
                    node.place,
                    path,
                    f"1 to {MAX_SEEDS}, or {{from: 5, n: 5}}",
                    kind_of(node),
                )
            )
        return (0,)


def _count(node: Node) -> int | None:
    """A whole number from 0 up, or None."""
    return node.value if isinstance(node, Scalar) and type(node.value) is int and node.value >= 0 else None
