"""The one tree that an arm is read from: components, stages and seeds of a page, changed by a profile and by `set`.

Paths of changes have one root: `stages.lba.head.dropout`, `models.cnn.channels`, `schedules.tune.epochs`, `seeds`.
A path that goes on through a name (`stages.lba.schedule.epochs`) changes a copy for that stage.
"""

from __future__ import annotations

from interpreter import catalog
from interpreter.check.changes import change
from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence, kind_of, merge
from interpreter.spec.library import Library
from interpreter.spec.names import component_ref, did_you_mean, result_ref, stage_ref
from interpreter.spec.page import KINDS, PageText

MAX_INSIDE = 50  # names that lead from one to the next, and components inside one another
UNREAD = "\0"  # the text of a stage that is defined elsewhere and can't be read: that was told, and chains may name it
# Which key of a stage names a component of which kind.
STAGE_PARTS = {
    "fit": "objectives",
    "probe": "objectives",
    "evaluate": "datasets",
    "score": "datasets",
    "data": "datasets",
    "model": "models",
    "schedule": "schedules",
}


class Trees:
    """Builds roots and resolves components in them, over all pages of a library."""

    def __init__(self, library: Library, problems: Problems) -> None:
        self.library, self.problems = library, problems

    def root(self, page: PageText, entry: Mapping, profile: str, *, required: bool, trail: tuple[str, ...] = ()) -> Mapping:
        """Components, stages and seeds as the entry sees them, imported stages written out, the profile applied."""
        place = entry.place
        items: dict[str, Node] = {}
        for plural in KINDS:
            items[plural] = Mapping(
                place, dict(page.components[plural]), {n: _key_place(page, plural, n) for n in page.components[plural]}
            )
        stages = entry.get("stages")
        items["stages"] = self._stages(stages, page, profile, trail) if isinstance(stages, Mapping) else Mapping(place, {}, {})
        seeds = entry.get("seeds")
        if seeds is not None:
            items["seeds"] = seeds
        root = Mapping(place, items, dict.fromkeys(items, place))
        if profile:
            root = self._with_profile(root, page, entry, profile, required)
        return root

    def _with_profile(self, root: Mapping, page: PageText, entry: Mapping, profile: str, required: bool) -> Mapping:
        profiles = entry.get("profiles")
        known = list(profiles.items) if isinstance(profiles, Mapping) else []
        changes = profiles.get(profile) if isinstance(profiles, Mapping) else None
        if changes is None:
            if required:
                self.problems.add(
                    Problem(
                        "unknown-profile",
                        f"this entry has no profile `{profile}`",
                        entry.place,
                        "profiles",
                        got=profile,
                        hint=did_you_mean(profile, known),
                    )
                )
            return root
        return change(self, root, changes, f"profiles.{profile}", page)

    def type_at(self, steps: list[str], root: Mapping, page: PageText) -> Node | None:
        """The `type` of what stands at a path, names and `extends` followed; None where it has none."""
        at: Node | None = root
        for depth, step in enumerate(steps, 1):
            at = at.get(step) if isinstance(at, Mapping) else None
            plural = kind_at(steps[:depth])
            if at is not None and plural is not None:
                at = Trees(self.library, Problems()).component(plural, at, root, page)
        return at.get("type") if isinstance(at, Mapping) else None

    def _stages(self, stages: Mapping, page: PageText, profile: str, trail: tuple[str, ...]) -> Mapping:
        out = Mapping(stages.place, {}, {})
        for name, node in stages.items.items():
            if isinstance(node, Scalar):
                node = self._imported_stage(node, page, profile, trail) or Scalar(node.place, None, UNREAD)
            out = out.put(name, node, stages.keys[name])
        return out

    def _imported_stage(self, node: Scalar, page: PageText, profile: str, trail: tuple[str, ...]) -> Mapping | None:
        """The stage that `DATE/entry#stage` names, written out with the names of its own page."""
        ref = stage_ref(node.text)
        if ref is None:
            self.problems.add(
                Problem(
                    "bad-reference",
                    "a stage is a mapping, or the definition of one elsewhere",
                    node.place,
                    got=node.text,
                    expected="DATE/entry#stage",
                )
            )
            return None
        if node.text in trail:
            self.problems.add(
                Problem("cycle", f"this definition leads back to itself: {' -> '.join([*trail, node.text])}", node.place)
            )
            return None
        if ref.date > page.date:
            self.problems.add(_later(node, ref.date, page.date))
            return None
        found = self.library.entry(ref.date, ref.entry)
        if found is None:
            self.problems.add(self._no_entry(node, ref.date, ref.entry))
            return None
        other_page, other = found
        root = self.root(other_page, other, profile, required=False, trail=(*trail, node.text))
        stages = root.items["stages"]
        assert isinstance(stages, Mapping)
        stage = stages.get(ref.name)
        if isinstance(stage, Scalar) and stage.text == UNREAD:
            return None
        if not isinstance(stage, Mapping):
            self.problems.add(
                Problem(
                    "unknown-stage",
                    f"entry {ref.date}/{ref.entry} has no stage `{ref.name}`",
                    node.place,
                    got=node.text,
                    hint=did_you_mean(ref.name, stages.items),
                )
            )
            return None
        for key, plural in STAGE_PARTS.items():
            part = stage.get(key)
            if part is not None:
                whole = self.component(plural, part, root, other_page)
                if whole is not None:
                    whole = self._written_out(plural, whole, root, other_page)
                    whole = _absolute(whole, ("subset", "scored_by", "result"), f"{ref.date}/{ref.entry}")
                    stage = stage.put(key, whole, stage.keys[key])
        return _absolute(stage, ("start", "from"), f"{ref.date}/{ref.entry}")

    def _no_entry(self, node: Scalar, date: str, name: str) -> Problem:
        return Problem(
            "unknown-entry",
            f"there is no entry `{date}/{name}`",
            node.place,
            got=node.text,
            hint=self.library.near(date, name),
        )

    def component(self, plural: str, node: Node, root: Mapping, page: PageText, trail: tuple[str, ...] = ()) -> Mapping | None:
        """The full mapping of a component: a name looked up, `extends` followed, merged in order; None with a Problem."""
        if isinstance(node, Scalar):
            if not isinstance(node.value, str):
                self.problems.add(
                    Problem("wrong-type", f"{_article(KINDS[plural])} is named or written out", node.place, got=kind_of(node))
                )
                return None
            return self._named(plural, node, root, page, trail)
        if isinstance(node, Sequence):
            self.problems.add(
                Problem("wrong-type", f"{_article(KINDS[plural])} is a name or a mapping", node.place, got="a list")
            )
            return None
        base = node.get("extends")
        if base is None:
            return node
        if not isinstance(base, Scalar):
            self.problems.add(Problem("wrong-type", "`extends` is a name", base.place, got=kind_of(base)))
            return None
        below = self._named(plural, base, root, page, trail)
        merged = None if below is None else merge(below, node.without("extends"))
        assert merged is None or isinstance(merged, Mapping)
        return merged

    def _written_out(self, plural: str, node: Mapping, root: Mapping, page: PageText, trail: tuple[Place, ...] = ()) -> Mapping:
        """`node` of another page with the components that it names inside, which mean what they mean there, written out."""
        named = node.get("type")
        kind = KINDS[plural]
        if plural == "schedules" or not isinstance(named, Scalar) or catalog.find(kind, named.text) is None:
            return node  # a schedule names nothing, and a type that isn't there is told where it is read
        if node.place in trail or len(trail) >= MAX_INSIDE:
            return node  # inside itself: told likewise
        for key, below in catalog.config_class(kind, named.text).nested.items():
            part = node.get(key)
            whole = self.component(below, part, root, page) if part is not None else None
            if whole is not None:
                node = node.put(key, self._written_out(below, whole, root, page, (*trail, node.place)), node.keys[key])
        return node

    def _named(self, plural: str, node: Scalar, root: Mapping, page: PageText, trail: tuple[str, ...]) -> Mapping | None:
        name = node.text
        if name in trail:
            self.problems.add(
                Problem("cycle", f"`extends` leads back to itself: {' -> '.join([*trail, name])}", node.place, plural)
            )
            return None
        if len(trail) >= MAX_INSIDE:
            text = f"`extends` goes on through more than {MAX_INSIDE} names"
            self.problems.add(Problem("too-deep", text, node.place, plural, hint="write it out"))
            return None
        known = root.items.get(plural)
        assert isinstance(known, Mapping)
        if name in known.items:
            return self.component(plural, known.items[name], root, page, (*trail, name))
        ref = component_ref(name)
        if ref is not None:
            return self._elsewhere(plural, node, page, trail)
        kind = KINDS[plural]
        if kind != "schedule" and catalog.find(kind, name) is not None:
            return Mapping(node.place, {"type": node}, {"type": node.place})
        self.problems.add(
            Problem(
                f"unknown-{kind}",
                f"there is no {kind} `{name}`",
                node.place,
                got=name,
                expected=f"a name under `{plural}`" + (", or a type" if kind != "schedule" else ""),
                hint=did_you_mean(name, [*known.items, *(catalog.types(kind) if kind != "schedule" else ())]),
            )
        )
        return None

    def _elsewhere(self, plural: str, node: Scalar, page: PageText, trail: tuple[str, ...]) -> Mapping | None:
        ref = component_ref(node.text)
        assert ref is not None
        if ref.kind != plural:
            self.problems.add(Problem("bad-reference", f"a definition of `{plural}` is wanted here", node.place, got=node.text))
            return None
        if ref.date > page.date:
            self.problems.add(_later(node, ref.date, page.date))
            return None
        for other in self.library.dated(ref.date):
            if ref.name in other.components[plural]:
                root = Mapping(
                    node.place,
                    {
                        p: Mapping(node.place, dict(other.components[p]), dict.fromkeys(other.components[p], node.place))
                        for p in KINDS
                    },
                    dict.fromkeys(KINDS, node.place),
                )
                found = self.component(plural, other.components[plural][ref.name], root, other, (*trail, node.text))
                return None if found is None else self._written_out(plural, found, root, other)
        names = [n for other in self.library.dated(ref.date) for n in other.components[plural]]
        self.problems.add(
            Problem(
                f"unknown-{KINDS[plural]}",
                f"no page of {ref.date} defines `{plural}.{ref.name}`",
                node.place,
                got=node.text,
                hint=self.library.near(ref.date, ref.name, names),
            )
        )
        return None


def kind_at(steps: list[str]) -> str | None:
    """The kind of component that stands at a path, or None: `stages.tune.model` is of "models"."""
    if len(steps) == 2 and steps[0] in KINDS:
        return steps[0]
    return STAGE_PARTS.get(steps[2]) if len(steps) == 3 and steps[0] == "stages" else None


def _absolute(node: Mapping, path: tuple[str, ...], entry: str) -> Mapping:
    """`node` with the result that is named at `path` named from everywhere: an arm of `entry`, where it names just an arm."""
    below = node.get(path[0])
    if len(path) > 1:
        return node.put(path[0], _absolute(below, path[1:], entry), node.keys[path[0]]) if isinstance(below, Mapping) else node
    ref = result_ref(below.text) if isinstance(below, Scalar) else None
    if ref is None or ref.entry or not ref.arm:
        return node
    assert isinstance(below, Scalar)
    text = f"{entry}/{below.text}"
    return node.put(path[0], Scalar(below.place, text, text), node.keys[path[0]])


def _later(node: Scalar, date: str, own: str) -> Problem:
    return Problem(
        "later-reference", f"a page refers to its own date or an earlier one; {date} is after {own}", node.place, got=node.text
    )


def _key_place(page: PageText, plural: str, name: str) -> Place:
    node = page.tree.items[plural]
    assert isinstance(node, Mapping)
    return node.keys[name]


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
