"""Arms of an entry: chains of stages after `set`, one for each point of a sweep, with the seeds of each stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from interpreter.check.chains import Chains
from interpreter.check.changes import apply, change
from interpreter.check.elsewhere import combined_arm, imported_arm
from interpreter.check.seeds import Seeds
from interpreter.check.stages import Stages
from interpreter.check.sweeps import Point, points, too_many, unused
from interpreter.check.trees import MAX_INSIDE
from interpreter.check.types import CheckedArm, CheckedStage
from interpreter.errors import Place, Problem, Problems, Severity
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence, place_of
from interpreter.spec.grammar import ARM_FORMS, WrittenArm
from interpreter.spec.names import ArmRef, did_you_mean, misspelt, own_arm_ref
from interpreter.spec.points import called, picks, unknown
from interpreter.spec.typed import read, wrong_type

MAX_TRIALS = 100_000  # of an entry: what is told before anything is written out
MAX_BROKEN = 100  # points of a sweep that can't be read: these tell what is wrong with it
Elsewhere = Callable[[ArmRef, Place], "list[CheckedArm] | None"]


class Arms:
    """Reads the arms of one entry from its root tree, each when it is first asked for."""

    def __init__(
        self,
        stages: Stages,
        entry_id: str,
        root: Mapping,
        node: Node | None,
        place: Place,
        elsewhere: Elsewhere,
        seeds: int | None = None,
    ) -> None:
        self.stages, self.entry_id, self.root = stages, entry_id, root
        self.problems: Problems = stages.problems
        self.node, self.place, self.elsewhere = node, place, elsewhere
        self.seeds = Seeds(root, self.problems, seeds)
        self._found: dict[str, list[CheckedArm]] = {}
        self._partly: set[str] = set()  # sweeps of which some points can't be read
        self._reading: list[str] = []

    def all(self) -> dict[str, CheckedArm]:
        """Every arm that can be read, by full name."""
        if not isinstance(self.node, Mapping) or not self.node.items:
            place = self.node.place if self.node else self.place
            text, hint = (
                "`arms` is missing: an entry compares arms",
                "an entry without arms is a note: it has `notes`, and nothing to be run or measured",
            )
            self.problems.add(Problem("missing-key", text, place, "arms", "a mapping of names", hint=hint))
            return {}
        found = {arm.name: arm for name in self.node.items for arm in self.named(name, self.node.keys[name])}
        trials = sum(max(map(len, arm.whole.seeds.values()), default=0) for arm in found.values())
        if trials > MAX_TRIALS:
            text, expected = f"this entry has {trials:,} trials", f"at most {MAX_TRIALS:,}"
            where = self.root.keys.get("seeds", self.place)
            self.problems.add(Problem("too-many-trials", text, where, "seeds", expected, hint="fewer seeds, or fewer points"))
        baselines = list(dict.fromkeys(arm.base for arm in found.values() if arm.baseline))
        for name in baselines[1:]:
            text = f"`{baselines[0]}` is the baseline already"
            self.problems.add(Problem("two-baselines", text, self.node.keys[name], f"arms.{name}.baseline"))
        return found

    def found(self) -> list[CheckedArm]:
        """Every arm that was read so far."""
        return [arm for arms in self._found.values() for arm in arms]

    def names(self) -> list[str]:
        """What the page calls its arms."""
        return list(self.node.items) if isinstance(self.node, Mapping) else []

    def named(self, name: str, place: Place) -> list[CheckedArm]:
        """The arm called `name`, as one arm or its points; [] where it can't be read."""
        if name in self._found:
            return self._found[name]
        if name in self._reading:
            trail = " -> ".join([*self._reading[self._reading.index(name) :], name])
            self.problems.add(Problem("cycle", f"these arms lead back to themselves: {trail}", place, f"arms.{name}"))
            return []
        if len(self._reading) >= MAX_INSIDE:
            text = f"more than {MAX_INSIDE} arms go on from one another"
            self.problems.add(
                Problem("too-deep", text, place, f"arms.{name}", hint="define arms before those that go on from them")
            )
            return []
        assert isinstance(self.node, Mapping)
        self._reading.append(name)
        found = self._arm(name, self.node.items[name], self.node.keys[name])
        self._reading.pop()
        self._found[name] = found
        return found

    def _arm(self, name: str, node: Node, place: Place) -> list[CheckedArm]:
        path = f"arms.{name}"
        if isinstance(node, Sequence):
            node = Mapping(node.place, {"chain": node}, {"chain": node.place})
        if not isinstance(node, Mapping):
            self.problems.add(wrong_type(f"arm `{name}`", node, path, "a chain of stages: [stage, ...]"))
            return []
        kind = next((key for key in ("combine", "import") if key in node.items), "chain")
        wrong, hint = misspelt(node.items, ARM_FORMS) if kind not in node.items else ("", "")
        if wrong:
            problem = Problem("unknown-key", f"there is no key `{wrong}` here", node.keys[wrong], path, got=wrong, hint=hint)
            self.problems.add(problem)
            return []
        form = read(ARM_FORMS[kind], node, self.problems, path)
        if kind == "combine":
            return combined_arm(form, name, node, place, self) if form is not None else []
        if kind == "import":
            return imported_arm(form, name, node, place, self) if form is not None else []
        return self._sweep(name, node, place, path, form)

    def _sweep(self, name: str, node: Mapping, place: Place, path: str, form: object) -> list[CheckedArm]:
        root, changes, chain = self.root, node.get("set"), node.get("chain")
        if isinstance(changes, Mapping):
            root = change(self.stages.trees, root, changes, f"{path}.set", self.stages.page)
        swept = points(node, path, self.problems)
        if isinstance(changes, Mapping):
            unused(changes, swept or [], f"{path}.set", self.problems)
        if not isinstance(form, WrittenArm) or not isinstance(chain, Sequence) or swept is None:
            words = isinstance(chain, Sequence) and all(
                isinstance(item, Scalar) and item.text == item.value for item in chain.items
            )
            if isinstance(chain, Sequence) and words:  # its stages are read all the same, so that what is wrong in them is told
                list(Chains(self, root, path).read(chain))
            return []
        arms: list[CheckedArm] = []
        broken = 0
        for point in swept:
            before = len(self.problems.found)
            changed = self._changed(root, point, path)
            # Levels may differ between points too: `seeds` is a setting like others.
            chains = list(Chains(self, changed, path).read(chain))
            if len(swept) > 1 and too_many(
                len(chains) * len(swept), f"{len(chains):,} x {len(swept):,}", node, path, self.problems
            ):
                return []
            for inherited, chained in chains:
                factors = {**inherited, **point.factors}
                if len(factors) < len(inherited) + len(point.factors):
                    twice = ", ".join(f"`{f}`" for f in inherited if f in point.factors)
                    text = f"{twice} varies already in what this chain begins with"
                    self.problems.add(Problem("factor-twice", text, place, path))
                full = f"{name}[{called(factors)}]" if factors else name
                again = f"{self.entry_id}/{name}" if form.rerun else ""
                stages = tuple(replace(stage, rerun=again) for stage in chained) if again else chained
                arms.append(self._made(full, name, factors, stages, form.baseline, place, changed))
            broken += not chains or any(p.severity is Severity.ERROR for p in self.problems.found[before:])
            if len(swept) > 1 and (not chains or broken == MAX_BROKEN):
                self._partly.add(name)
            if broken == MAX_BROKEN:
                break  # of a thousand, the others would say it again
        return arms

    def _made(
        self,
        full: str,
        base: str,
        factors: dict[str, str],
        stages: tuple[CheckedStage, ...],
        baseline: bool,
        place: Place,
        root: Mapping,
    ) -> CheckedArm:
        node = root.get("seeds")
        read = self.seeds.of(node, [stage.name for stage in stages])
        where = node.place if node is not None else None
        arm = CheckedArm(full, self.entry_id, stages, baseline, read.of, read.levels, place, base, factors, where, read.growth)
        self._seeds_elsewhere(arm)
        return arm

    def _changed(self, root: Mapping, point: Point, path: str) -> Mapping:
        if not point.changes:
            return root
        values = {dotted: value for dotted, value, _ in point.changes}
        keys = {dotted: place for dotted, _, place in point.changes}
        return apply(self.stages.trees, root, Mapping(root.place, values, keys), path, self.stages.page)

    def _seeds_elsewhere(self, arm: CheckedArm) -> None:
        """Tell each start, and each choice of examples by scores, that needs another arm at seeds which that one has not."""
        most = arm.whole.seeds  # of seeds that are added later, too: then there is no page at hand to tell it on
        for stage in arm.chain:
            origin, seeds = stage.origin, most[stage.name]
            needs = [(origin.entry, origin.arm, seeds, origin.place)] if origin.kind == "result" and origin.arm else []
            for scores in stage.scores:
                if scores.seed is None or stage.written is None:
                    needs.append((scores.entry, scores.arm, seeds, scores.place))
                else:
                    said = place_of(stage.written, ("data", "subset", "scored_by", "seed"))
                    needs.append((scores.entry, scores.arm, (scores.seed,), said))
            for entry, name, needed, place in needs:
                where = place if place is not None and place.file == self.stages.page.file else arm.place
                ref = own_arm_ref(f"{entry}/{name}" if entry else name)
                for other in (self.selected(ref, where) or ()) if ref is not None else ():
                    self._seeds_of(other, needed, stage.name, arm, where)

    def _seeds_of(self, other: CheckedArm, needed: tuple[int, ...], stage: str, arm: CheckedArm, place: Place) -> None:
        for there in dict.fromkeys(other.whole.seeds.values()):  # one that it has not got yet is trained for this
            lacking = sorted(set(needed) - set(there)) if len(there) > 1 else []
            if lacking:
                got = str(lacking[0]) if len(lacking) == 1 else f"{lacking[0]} to {lacking[-1]}"
                text = f"`{stage}` needs arm `{other.name}` of {other.entry_id} at seed{'s' * (len(lacking) > 1)} {got}"
                text += f", and it has {'none of them' if len(lacking) > 1 else 'none'}"
                hint = f"take seeds that `{other.name}` has, or plan more of it"
                if arm.seeds_place is not None and len(needed) > 1:
                    hint = f"`seeds` asks for {'them' if len(lacking) > 1 else 'it'} (line {arm.seeds_place.line}): {hint}"
                expected = f"seeds {there[0]} to {there[-1]}"
                self.problems.add(Problem("missing-seed", text, place, f"arms.{arm.base}", expected, got, hint))

    def selected(self, ref: ArmRef, place: Place) -> list[CheckedArm] | None:
        """The arms that `ref` names, of this entry or another; None with what is wrong."""
        if ref.entry and f"{ref.date}/{ref.entry}" != self.entry_id:
            return self.elsewhere(ref, place)
        if ref.arm not in self.names():
            text, hint = f"there is no arm `{ref.arm}`", did_you_mean(ref.arm, self.names())
            self.problems.add(Problem("unknown-arm", text, place, got=ref.arm, hint=hint))
            return None
        found = self.named(ref.arm, place)
        if ref.arm in self._partly:
            return None  # what is wrong with its points is told there, and nothing can be said of all of them
        return select(found, ref.point, ref.arm, place, self.problems)


def select(arms: list[CheckedArm], point: str, name: str, place: Place, problems: Problems) -> list[CheckedArm] | None:
    """Those of one arm's points that `point` selects; None with what is wrong."""
    if not arms:
        return None  # what is wrong with it is told where it stands
    chosen = [arm for arm in arms if picks(point, arm.point, arm.factors)]
    if chosen:
        return chosen
    known: dict[str, set[str]] = {}
    for arm in arms:
        for factor, label in arm.factors.items():
            known.setdefault(factor, set()).add(label)
    wrong = unknown(point, known, {arm.point for arm in arms if arm.point})
    got, there = wrong if wrong is not None else (point, [])
    text = f"`{name}` has no point `{point}`" if known else f"`{name}` is no sweep: it has no points"
    problems.add(Problem("unknown-point", text, place, got=got, hint=did_you_mean(got, there) if there else ""))
    return None
