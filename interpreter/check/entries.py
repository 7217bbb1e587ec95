"""An entry as a whole: its texts, measures, references, claims, charts and tables, over the arms that were read."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Mapping as MappingType

from interpreter.check.claims import Claims
from interpreter.check.design import design_notes
from interpreter.check.measures import read_measures
from interpreter.check.references import read_references
from interpreter.check.sides import Scope, Select
from interpreter.check.types import CheckedArm, CheckedStage
from interpreter.check.views import read_charts, read_tables
from interpreter.check.waivers import waivers
from interpreter.errors import Place, Problem, Problems, Severity
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence, lines_of, place_of
from interpreter.spec.entry import Entry, Outcome, Update
from interpreter.spec.grammar import WrittenOutcome, WrittenUpdate
from interpreter.spec.library import Library
from interpreter.spec.measures import Reference
from interpreter.spec.names import DATE, NAME, did_you_mean, is_day, nearest
from interpreter.spec.page import PageText
from interpreter.spec.typed import read, wrong_type

_PLACEHOLDER = re.compile(r"\{\{\s*((?P<kind>\w+)\.(?P<rest>[^}]*?)|.*?)\s*\}\}", re.S)
_LINK = re.compile(rf"\]\((?P<date>{DATE.pattern})/(?P<entry>[a-z][a-z0-9_-]*)\)")
STATES = ("supported", "equivalent", "contradicted", "undecided", "anecdotal", "unfair", "incomplete")


class Entries:
    """Reads the entries of one page, less their arms. `whole`: at full scale, not in a profile or with other seeds."""

    def __init__(self, library: Library, page: PageText, problems: Problems, *, whole: bool = True) -> None:
        self.library, self.page, self.problems, self.whole = library, page, problems, whole
        rows = lines_of(page.text)
        ends = itertools.accumulate(len(row) + 1 for row in rows) if "\r" not in page.text else ()
        self._starts = [0, *ends]  # where each line begins; only the first, where lines have other ends than usual

    def read(
        self, name: str, node: Mapping, place: Place, arms: MappingType[str, CheckedArm], names: list[str], select: Select
    ) -> Entry:
        """Entry `name`, typed; what is wrong goes to `problems`."""
        readings = read_measures(node.get("measures"), arms, self.whole, self.problems)
        references = self._references(node, arms, names)
        scope = Scope(arms, tuple(names), readings.of, references, select, readings.wrong, self.whole)
        claims = Claims(scope, self.problems).all(node.get("expect"))
        charts = read_charts(node, scope, claims, self.problems)
        notebook = self._text(node, "notebook")
        if notebook and not NAME.fullmatch(notebook):
            text, expected = f"`{notebook}` can't be a name", "a small letter, then letters, digits, _ or -"
            self.problems.add(Problem("bad-name", text, node.items["notebook"].place, "notebook", expected, notebook))
            notebook = ""
        entry = Entry(
            name=name,
            title=self._text(node, "title") or name,
            place=place,
            notebook=notebook,
            about=self._day(node, "about"),
            question=self._text(node, "question"),
            notes=self._text(node, "notes"),
            assumed=self._assumed(node.get("assumed")),
            measures=readings.of,
            references=references,
            claims=claims,
            waivers=waivers(node.get("allow"), self.problems),
            charts=charts,
            tables=read_tables(node, scope, self.problems),
            updates=self._updates(node.get("updates")),
            conclusion=self._text(node, "conclusion"),
            concludes=self._concludes(node.get("concludes"), _keys(node.get("expect"))),
            outcome=self._outcome(node),
            in_notebook=self.library.notebook(notebook, self.problems) if notebook else None,
        )
        self._placeholders(node, entry, arms)
        self._links(node)
        design_notes(node, entry, arms, self.problems)
        return entry

    def _text(self, node: Mapping, key: str) -> str:
        below = node.get(key)
        if below is None or (isinstance(below, Scalar) and below.value is None):
            return ""
        if not isinstance(below, Scalar):
            self.problems.add(wrong_type(f"`{key}`", below, key, "text"))
            return ""
        return below.text

    def _day(self, node: Mapping, key: str) -> str:
        text = self._text(node, key)
        if text and not is_day(text):
            self.problems.add(Problem("bad-date", f"`{key}` must be a day", node.items[key].place, key, "YYYY-MM-DD", text))
        return text

    def _references(self, node: Mapping, arms: MappingType[str, CheckedArm], names: list[str]) -> dict[str, Reference]:
        below = node.get("references")
        found = [stage for arm in arms.values() for stage in arm.chain] if below is not None else []
        data = {*self.page.components["datasets"], *(word for stage in found for word in _data_words(stage))}
        measures, stages = _keys(node.get("measures")), {stage.name for stage in found}
        return read_references(below, names, measures, stages, data, self.problems)

    def _concludes(self, node: Node | None, claims: list[str]) -> dict[str, str]:
        if node is None:
            return {}
        if not isinstance(node, Mapping):
            self.problems.add(wrong_type("`concludes`", node, "concludes", "a mapping of claims to states"))
            return {}
        found = {}
        for name, state in node.items.items():
            if name not in claims:
                text, hint = f"there is no claim `{name}`", did_you_mean(name, claims)
                self.problems.add(Problem("unknown-claim", text, node.keys[name], "concludes", got=name, hint=hint))
            word = state.text if isinstance(state, Scalar) else ""
            if word not in STATES:
                text, hint = f"`{word}` is no state of a claim", nearest(word, STATES)
                self.problems.add(Problem("bad-value", text, state.place, f"concludes.{name}", ", ".join(STATES), word, hint))
            found[name] = word
        return found

    def _assumed(self, node: Node | None) -> tuple[str, ...]:
        if node is None:
            return ()
        if not isinstance(node, Sequence):
            self.problems.add(wrong_type("`assumed`", node, "assumed", "a list of paths: [stages.tune.head.hidden, ...]"))
            return ()
        found = []
        for item in node.items:
            if isinstance(item, Scalar) and isinstance(item.value, str):
                found.append(item.text)
            else:
                self.problems.add(wrong_type("a path", item, "assumed", "text: stages.tune.head.hidden"))
        return tuple(found)

    def _updates(self, node: Node | None) -> tuple[Update, ...]:
        if node is None:
            return ()
        if not isinstance(node, Sequence):
            self.problems.add(wrong_type("`updates`", node, "updates", "a list: [{date: ..., text: ...}]"))
            return ()
        found = []
        for index, item in enumerate(node.items):
            path = f"updates.{index}"
            if not isinstance(item, Mapping):
                self.problems.add(wrong_type("an update", item, path, "a mapping: {date: YYYY-MM-DD, text: ...}"))
                continue
            said = read(WrittenUpdate, item, self.problems, path)
            if said is None:
                continue
            if said.date < self.page.date:
                text = f"an update comes after the page, which is of {self.page.date}"
                self.problems.add(Problem("bad-date", text, item.items["date"].place, f"{path}.date", got=said.date))
            if said.entry is not None:
                self._entry(said.entry, item.items["entry"].place, f"{path}.entry", until=said.date)
            found.append(Update(said.date, said.text, said.entry or ""))
        return tuple(found)

    def _outcome(self, node: Mapping) -> Outcome | None:
        below = node.get("outcome")
        if below is None:
            return None
        if not isinstance(below, Mapping):
            self.problems.add(wrong_type("`outcome`", below, "outcome", "a mapping: {status: failed, cause: ...}"))
            return None
        said = read(WrittenOutcome, below, self.problems, "outcome")
        if said is None:
            return None
        stages = node.get("stages")
        if said.stage is not None and isinstance(stages, Mapping) and said.stage not in stages.items:
            text, hint = f"there is no stage `{said.stage}`", did_you_mean(said.stage, stages.items)
            place = below.items["stage"].place
            self.problems.add(Problem("unknown-stage", text, place, "outcome.stage", got=said.stage, hint=hint))
        see = [said.see] if isinstance(said.see, str) else said.see or []
        for index, text in enumerate(see):
            self._entry(text, place_of(below, ("see",) if isinstance(said.see, str) else ("see", index)), "outcome.see")
        return Outcome(said.status, said.stage or "", said.error or "", said.cause or "", tuple(see))

    def _entry(self, text: str, place: Place, path: str, until: str = "") -> None:
        """Tell `text` when it is no id of an entry, or of one dated after `until`."""
        date, _, name = text.partition("/")
        if not DATE.fullmatch(date) or not name:
            self.problems.add(Problem("bad-reference", "this names no entry", place, path, "DATE/name", text))
            return
        if until and date > until:
            message = f"an update of {until} can't tell of an entry of {date}"
            self.problems.add(Problem("later-reference", message, place, path, got=text))
            return
        if self.library.entry(date, name) is None:
            hint = self.library.near(date, name)
            self.problems.add(Problem("unknown-entry", f"there is no entry `{text}`", place, path, got=text, hint=hint))

    def _placeholders(self, node: Mapping, entry: Entry, arms: MappingType[str, CheckedArm]) -> None:
        """What a conclusion is filled in with must be there."""
        below = node.get("conclusion")
        for found in _PLACEHOLDER.finditer(entry.conclusion) if below is not None else ():
            assert below is not None
            if found["kind"] is None:
                text, place = f"`{found[0]}` can't be filled in", self._within(below.place, found[0])
                expected = "{{ verdict.CLAIM }} or {{ measure.ARM.MEASURE }}"
                self.problems.add(Problem("bad-value", text, place, "conclusion", expected))
                continue
            kind, rest = found["kind"], found["rest"].strip()
            arm, _, measure = rest.rpartition(".")
            code, known = "", _keys(node.get("expect"))
            if kind == "verdict":
                code = "" if rest in known else "unknown-claim"
            elif kind == "measure":
                code, known = ("", []) if arm in {*arms, *_keys(node.get("arms"))} else ("unknown-arm", list(arms))
                rest = arm if code else rest
                if not code and measure not in (measures := _keys(node.get("measures"))):
                    code, known, rest = "unknown-measure", measures, measure
            else:
                code, known, rest = "bad-value", ["verdict", "measure"], kind
            if code:
                text, hint = f"`{found[0]}` can't be filled in", did_you_mean(rest, known)
                place = self._within(below.place, found[0])
                self.problems.add(Problem(code, text, place, "conclusion", got=rest, hint=hint))

    def _links(self, node: Mapping) -> None:
        """Links to entries that aren't there: worth knowing, no error, since prose may be ahead of its pages."""
        for key in ("notes", "conclusion"):
            below = node.get(key)
            for found in _LINK.finditer(below.text) if isinstance(below, Scalar) else ():
                assert below is not None
                if self.library.entry(found["date"], found["entry"]) is None:
                    text = f"this links to {found['date']}/{found['entry']}, and there is no such entry"
                    place = self._within(below.place, found[0])
                    self.problems.add(Problem("dead-link", text, place, key, severity=Severity.NOTE))

    def _within(self, place: Place, text: str) -> Place:
        """Where `text` stands in a text of several lines that begins at `place`."""
        starts = self._starts
        at = self.page.text.find(text, starts[place.line - 1]) if place.line <= len(starts) else -1
        if at >= 0:
            line = bisect.bisect_right(starts, at)
            return Place(place.file, line, at - starts[line - 1] + 1, len(text))
        return place


def _data_words(stage: CheckedStage) -> tuple[str, str, str]:
    """The words by which a reference may be of the data of `stage`."""
    return stage.data_name, getattr(stage.data, "type", ""), str(getattr(stage.data, "source", ""))


def _keys(node: Node | None) -> list[str]:
    """The names that a mapping defines, those of what can't be read included: that is told where it stands."""
    return list(node.items) if isinstance(node, Mapping) else []
