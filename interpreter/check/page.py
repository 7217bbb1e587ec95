"""Check a page: every entry read, every reference followed, everything that is wrong told at once."""

from __future__ import annotations

from interpreter.check.arms import Arms
from interpreter.check.claims import foreign_arms
from interpreter.check.entries import read_entry
from interpreter.check.stages import Stages
from interpreter.check.trees import Trees
from interpreter.check.types import CheckedArm, CheckedEntry, CheckedPage
from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Scalar
from interpreter.spec.library import Library
from interpreter.spec.names import arm_ref, did_you_mean
from interpreter.spec.page import KINDS, PageText


def check_page(library: Library, page: PageText, profile: str = "", seeds: int | None = None) -> CheckedPage:
    """`page` with every name resolved, at `profile`, with `seeds` seeds instead of those written.

    Raises: PageError with all problems when one is an error.
    """
    return Checker(library, profile, seeds).page(page)


class Checker:
    """Checks one page; the arms of other entries that it refers to are read once each."""

    def __init__(self, library: Library, profile: str, seeds: int | None) -> None:
        self.library, self.profile, self.seeds = library, profile, seeds
        self.problems = Problems()
        self.trees = Trees(library, self.problems)
        self._arms: dict[str, dict[str, CheckedArm]] = {}
        self._reading: list[str] = []

    def page(self, page: PageText) -> CheckedPage:
        """The whole page. Raises: PageError."""
        for problem in [*page.problems.found, *self.library.duplicates(page)]:
            self.problems.add(problem)
        self._components(page)
        entries = [self._entry(page, name, node) for name, node in page.entries.items()]
        self.problems.raise_if_fatal()
        return CheckedPage(page, self.profile, tuple(entries), tuple(sorted(self.problems.found, key=Problem.order)))

    def _components(self, page: PageText) -> None:
        """Every component that the page defines, used or not."""
        place = page.tree.place
        root = Mapping(place, {p: Mapping(place, dict(page.components[p]), {}) for p in KINDS}, {})
        stages = Stages(self.trees, page, self.problems)
        for plural in KINDS:
            for name, node in page.components[plural].items():
                stages.component(plural, node, root, f"{plural}.{name}")

    def _entry(self, page: PageText, name: str, node: Mapping) -> CheckedEntry:
        before = len(self.problems.found)
        entry_id = f"{page.date}/{name}"
        entries = page.tree.items["entries"]
        assert isinstance(entries, Mapping)
        arms = self.arms(page, name, node)
        foreign: dict[str, CheckedArm] = {}
        for text, place in foreign_arms(node.get("expect")):
            self._foreign(text, place, page, foreign)
        for arm in arms.values():
            for stage in arm.chain:
                origin = stage.origin
                if origin.kind == "result" and origin.entry:
                    self._foreign(f"{origin.entry}/{origin.arm}", stage.place, page, foreign, stage=origin.stage)
                elif origin.kind == "result" and origin.arm:
                    self._has_stage(arms.get(origin.arm), origin.arm, origin.stage, stage.place, arms)
        entry = read_entry(name, node, entries.keys[name], arms, foreign, self.problems)
        return CheckedEntry(entry_id, entry, arms, foreign, tuple(self.problems.found[before:]))

    def arms(self, page: PageText, name: str, node: Mapping) -> dict[str, CheckedArm]:
        """The arms of entry `name`, read once."""
        entry_id = f"{page.date}/{name}"
        if entry_id in self._arms:
            return self._arms[entry_id]
        self._reading.append(entry_id)
        root = self.trees.root(page, node, self.profile, required=True)
        if self.seeds is not None:
            place = node.keys.get("seeds", node.place)
            root = root.put("seeds", Scalar(place, self.seeds, str(self.seeds)), place)
        stages = Stages(self.trees, page, self.problems)
        self._unused(root, stages, node)
        found = Arms(stages, entry_id, root, self.problems).all(node.get("arms"), node.place)
        self._reading.pop()
        self._arms[entry_id] = found
        return found

    def _unused(self, root: Mapping, stages: Stages, node: Mapping) -> None:
        """Stages that no arm names are read too, so that what is wrong in them is told."""
        known = root.items["stages"]
        assert isinstance(known, Mapping)
        if not known.items:
            self.problems.add(
                Problem(
                    "missing-key", "`stages` is missing: arms are chains of stages", node.place, "stages", "a mapping of names"
                )
            )
        for name, below in known.items.items():
            stages.stage(name, below, root)

    def _foreign(self, text: str, place: Place, page: PageText, found: dict[str, CheckedArm], stage: str = "") -> None:
        """Put the arm that `text` (DATE/entry/arm) names into `found`."""
        ref = arm_ref(text)
        if ref is None:
            self.problems.add(
                Problem("bad-reference", "this names no arm of another entry", place, got=text, expected="DATE/entry/arm")
            )
            return
        if ref.date > page.date:
            self.problems.add(
                Problem(
                    "later-reference",
                    f"a page refers to its own date or an earlier one; {ref.date} is after {page.date}",
                    place,
                    got=text,
                )
            )
            return
        entry = self.library.entry(ref.date, ref.entry)
        if entry is None:
            names = [n for p in self.library.dated(ref.date) for n in p.entries]
            self.problems.add(
                Problem(
                    "unknown-entry",
                    f"there is no entry `{ref.date}/{ref.entry}`",
                    place,
                    got=text,
                    hint=did_you_mean(ref.entry, names) if names else f"no page is dated {ref.date}",
                )
            )
            return
        entry_id = f"{ref.date}/{ref.entry}"
        if entry_id in self._reading:
            self.problems.add(Problem("cycle", f"`{text}` leads back to itself", place, got=text))
            return
        arms = self.arms(entry[0], ref.entry, entry[1])
        if self._has_stage(arms.get(ref.arm), text, stage, place, arms):
            found[text] = arms[ref.arm]

    def _has_stage(self, arm: CheckedArm | None, text: str, stage: str, place: Place, arms: dict[str, CheckedArm]) -> bool:
        if arm is None:
            self.problems.add(
                Problem(
                    "unknown-arm", f"there is no arm `{text}`", place, got=text, hint=did_you_mean(text.rpartition("/")[2], arms)
                )
            )
            return False
        fits = [s.name for s in arm.chain if s.kind == "fit"]
        if stage and stage not in fits:
            self.problems.add(
                Problem("unknown-stage", f"arm `{text}` has no fit `{stage}`", place, got=stage, hint=did_you_mean(stage, fits))
            )
            return False
        return True
