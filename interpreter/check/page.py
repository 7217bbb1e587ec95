"""Check a page: every entry read, every reference followed, everything that is wrong told at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from interpreter.check.arms import Arms
from interpreter.check.assumed import check_assumed
from interpreter.check.entries import Entries
from interpreter.check.seeds import is_adaptive
from interpreter.check.stages import Stages
from interpreter.check.trees import Trees
from interpreter.check.types import CheckedArm, CheckedEntry, CheckedPage
from interpreter.errors import Place, Problem, Problems, Severity
from interpreter.source.nodes import Mapping, Node, Scalar, walk
from interpreter.spec.library import Library
from interpreter.spec.names import ArmRef, did_you_mean
from interpreter.spec.page import KINDS, PageText, is_note


def check_page(
    library: Library, page: PageText, profile: str = "", seeds: int | None = None, *, others: bool = True
) -> CheckedPage:
    """`page` with every name resolved, at `profile`, with `seeds` seeds instead of those written.

    With `others`, what is wrong with its other profiles is told too.
    Raises: PageError with all problems when one is an error.
    """
    with _uncollected():
        return Checker(library, profile, seeds).page(page, others)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without looks for garbage in between: what a check makes is kept until it ends, and they take a third of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Checker:
    """Checks one page; the arms of other entries that it refers to are read once each."""

    def __init__(self, library: Library, profile: str, seeds: int | None) -> None:
        self.library, self.profile, self.seeds = library, profile, seeds
        self.problems = Problems()
        self.trees = Trees(library, self.problems)
        self._arms: dict[str, Arms] = {}
        self._stages: dict[str, Stages] = {}

    def page(self, page: PageText, others: bool) -> CheckedPage:
        """The whole page. Raises: PageError."""
        for problem in [*page.problems.found, *self.library.duplicates(page)]:
            self.problems.add(problem)
        self._components(page)
        entries = [self._entry(page, name, node) for name, node in page.entries.items()]
        if others:
            self._profiles(page)
        self.problems.raise_if_fatal()
        reached = {f"{arm.entry_id}/{arm.name}": arm for arms in self._arms.values() for arm in arms.found()}
        return CheckedPage(page, self.profile, tuple(entries), tuple(sorted(self.problems.found, key=Problem.order)), reached)

    def _components(self, page: PageText) -> None:
        """Every component that the page defines, used or not."""
        place = page.tree.place
        root = Mapping(place, {p: Mapping(place, dict(page.components[p]), {}) for p in KINDS}, {})
        stages = self._stages_of(page)
        for plural in KINDS:
            for name, node in page.components[plural].items():
                stages.component(plural, node, root, f"{plural}.{name}")

    def _stages_of(self, page: PageText) -> Stages:
        if page.file not in self._stages:
            self._stages[page.file] = Stages(self.trees, page, self.problems)
        return self._stages[page.file]

    def _entry(self, page: PageText, name: str, node: Mapping) -> CheckedEntry:
        before = len(self.problems.found)
        entries = page.tree.items["entries"]
        assert isinstance(entries, Mapping)
        arms = self._arms_of(page, name, node)
        own: dict[str, CheckedArm] = {}
        if not is_note(node):
            own = arms.all()
            self._unused_stages(arms, own)
        foreign: dict[str, CheckedArm] = {}

        def select(ref: ArmRef, place: Place) -> list[tuple[str, CheckedArm]] | None:
            """The arms that a claim names, under the names it knows them by."""
            if ref.date > page.date:
                self.problems.add(_later(ref, page.date, place))
                return None
            found = arms.selected(ref, place)
            if found is None:
                return None
            if ref.entry and found and found[0].entry_id != arms.entry_id:
                named = [(f"{arm.entry_id}/{arm.name}", arm) for arm in found]
                foreign.update(named)
                return named
            return [(arm.name, arm) for arm in found]

        whole = not self.profile and self.seeds is None
        reader = Entries(self.library, page, self.problems, whole=whole)
        entry = reader.read(name, node, entries.keys[name], own, arms.names(), select)
        # What a notebook does not tell is of the full scale: a profile may have put another dataset in its place.
        root = self.trees.root(page, node, "", required=False) if self.profile else arms.root
        check_assumed(node, root, self.trees, page, self.problems)
        for what, arm in {w: a for a in own.values() for s in a.chain for w in s.unbuilt}.items():
            place = arms.stages.unbuilt.get(what, arm.place)
            where = place if place.file == page.file else arm.place
            text = f"{what}: not built yet, so that what needs it is planned and not run"
            self.problems.add(Problem("not-built-yet", text, where, f"arms.{arm.base}", severity=Severity.NOTE))
        return CheckedEntry(arms.entry_id, entry, own, foreign, tuple(self.problems.found[before:]))

    def _arms_of(self, page: PageText, name: str, node: Mapping) -> Arms:
        """What reads the arms of entry `name`, made once."""
        entry_id = f"{page.date}/{name}"
        if entry_id not in self._arms:
            root = self.trees.root(page, node, self.profile, required=not is_note(node))
            if self.seeds is not None and not is_adaptive(root.get("seeds")):
                place = node.keys.get("seeds", node.place)
                root = root.put("seeds", Scalar(place, self.seeds, str(self.seeds)), place)
            self._arms[entry_id] = Arms(
                self._stages_of(page),
                entry_id,
                root,
                node.get("arms"),
                node.place,
                lambda ref, place: self._elsewhere(ref, place, page),
                self.seeds,
            )
        return self._arms[entry_id]

    def _profiles(self, page: PageText) -> None:
        """Read each entry at its profiles that are not applied now, and tell what is wrong only there.

        Warnings and notes are left out: a smaller version is small on purpose.
        """
        told = {(problem.code, problem.place) for problem in self.problems.found}
        at: dict[str, Checker] = {}
        for entry, node in page.entries.items():
            profiles = node.get("profiles")
            for name, changes in profiles.items.items() if isinstance(profiles, Mapping) and not is_note(node) else ():
                if name == self.profile:
                    continue
                assert isinstance(profiles, Mapping)
                small = at.setdefault(name, Checker(self.library, name, None))
                before = len(small.problems.found)
                small._entry(page, entry, node)
                for problem in small.problems.found[before:]:
                    if problem.severity is Severity.ERROR and (problem.code, problem.place) not in told:
                        self.problems.add(_of_profile(problem, name, changes, profiles.keys[name]))

    def _unused_stages(self, arms: Arms, own: dict[str, CheckedArm]) -> None:
        """Stages that no arm names are read too, so that what is wrong in them is told."""
        known = arms.root.items["stages"]
        assert isinstance(known, Mapping)
        arms_written = arms.node.items.values() if isinstance(arms.node, Mapping) else ()
        needs_none = arms_written and all(isinstance(each, Mapping) and "import" in each.items for each in arms_written)
        if not known.items and not needs_none:
            text = "`stages` is missing: arms are chains of stages"
            self.problems.add(Problem("missing-key", text, known.place, "stages", "a mapping of names"))
        used = {stage.name for arm in own.values() for stage in arm.chain}
        for name, below in known.items.items():
            if name not in used:
                arms.stages.stage(name, below, arms.root)

    def _elsewhere(self, ref: ArmRef, place: Place, page: PageText) -> list[CheckedArm] | None:
        """The arms of another entry that `ref`, written on `page`, names; None with what is wrong."""
        if ref.date > page.date:
            self.problems.add(_later(ref, page.date, place))
            return None
        found = self.library.entry(ref.date, ref.entry)
        if found is None:
            text, hint = f"there is no entry `{ref.date}/{ref.entry}`", self.library.near(ref.date, ref.entry)
            self.problems.add(Problem("unknown-entry", text, place, got=str(ref), hint=hint))
            return None
        profiles = found[1].get("profiles")
        known = list(profiles.items) if isinstance(profiles, Mapping) else []
        if self.profile and self.profile not in known and not is_note(found[1]):
            text = f"`{ref.date}/{ref.entry}` has no profile `{self.profile}`, and a profile carries through references"
            hint = did_you_mean(self.profile, known) if known else f"give that entry one, be it empty: {{{self.profile}: {{}}}}"
            self.problems.add(Problem("unknown-profile", text, place, got=str(ref), hint=hint))
            return None
        return self._arms_of(found[0], ref.entry, found[1]).selected(ArmRef("", "", ref.arm, ref.point), place)


def _of_profile(problem: Problem, name: str, changes: Node, place: Place) -> Problem:
    """A problem of the profile `name`, which `changes` make and which begins at `place`, told where these are written."""
    below = list(walk(changes))
    written = {node.place for _, node in below}.union(*(node.keys.values() for _, node in below if isinstance(node, Mapping)))
    if problem.place is None or problem.place in written:
        return problem
    where = f"line {problem.place.line}" if problem.place.file == place.file else str(problem.place)
    message = f"with the profile `{name}`, {where}: {problem.message}"
    return replace(problem, message=message, place=place, path=f"profiles.{name}")


def _later(ref: ArmRef, own: str, place: Place) -> Problem:
    text = f"a page refers to its own date or an earlier one; {ref.date} is after {own}"
    return Problem("later-reference", text, place, got=str(ref))
