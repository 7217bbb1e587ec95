"""From a page's bytes to its tree: parsed by ruamel.yaml's events, with everything refused that a page may not hold.

Refused, each with a place and a hint: anchors, aliases, tags, merge keys, directives, several documents, duplicate or
non-text keys, tabs as indentation, text that is not UTF-8, more than 256 kB, more than 50 levels.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from interpreter.errors import Place, Problem, Problems
from interpreter.source.cache import keep, recall
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence, lines_of
from interpreter.source.scalars import BadScalar, resolve

MAX_BYTES = 256 * 1024
MAX_DEPTH = 50
_NO_LETTER = re.compile("[\0\ud800-\udfff]")  # which no file's name and, of the halves of a letter, no file can hold
_WORD = re.compile(r"[\w.-]+")
_NO_KEY = "\0"  # stands for a key that is none: that was told, and what it leads to is left out


def load(path: Path, shown: str, problems: Problems, cache: Path | None = None) -> tuple[Mapping | None, str]:
    """The tree and the text of the page at `path`, called `shown` in messages; (None, text) when there is no tree.

    With a `cache` folder, trees of texts that were parsed before are taken from it.
    """
    top = Place(shown, 1, 1)
    try:
        data = path.read_bytes()
    except OSError as error:
        problems.add(Problem("unreadable-file", f"{shown} can't be read: {error.strerror}", top))
        return None, ""
    if len(data) > MAX_BYTES:
        problems.add(
            Problem(
                "page-too-large",
                f"a page is at most {MAX_BYTES // 1024} kB",
                top,
                got=f"{len(data) // 1024} kB",
                hint="split it into entries on several pages",
            )
        )
        return None, ""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        rows = lines_of(data[: error.start].decode("utf-8-sig"))
        line, column = len(rows), len(rows[-1]) + 1
        problems.add(
            Problem(
                "not-utf8",
                "a page is UTF-8 text, and this byte is not",
                Place(shown, line, column),
                got=f"byte 0x{data[error.start]:02x}",
                hint="save the file as UTF-8",
            )
        )
        return None, ""
    tree = recall(cache, text, shown) if cache is not None else None
    if tree is None:
        before = len(problems.found)
        tree = parse(text, shown, problems)
        if cache is not None and tree is not None and len(problems.found) == before:
            keep(cache, text, tree)
    return tree, text


def parse(text: str, shown: str, problems: Problems) -> Mapping | None:
    """The tree of `text`, or None when it has no mapping at the top; what is wrong goes to `problems`."""
    builder = _Builder(shown, problems, text)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            if not builder.take(event):
                return None
    except MarkedYAMLError as error:
        problems.add(_syntax(error, shown, text))
        return None
    except (YAMLError, ValueError) as error:
        above = text[: getattr(error, "position", 0)]  # of a letter that YAML may not hold
        lines = lines_of(above)
        place = Place(shown, len(lines), len(lines[-1]) + 1)
        problems.add(Problem("syntax", str(error).splitlines()[0], place, hint="remove it" if above else ""))
        return None
    if not isinstance(builder.root, Mapping):
        problems.add(
            Problem(
                "not-a-page",
                "a page is a mapping of keys to values",
                Place(shown, 1, 1),
                hint="begin with `expt: 1` and `date: YYYY-MM-DD`",
            )
        )
        return None
    return builder.root


def _syntax(error: MarkedYAMLError, shown: str, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = Place(shown, mark.line + 1, mark.column + 1) if mark else Place(shown, 1, 1)
    what = (error.problem or "not YAML").strip()
    lines = lines_of(text)
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    margin = line[: len(line) - len(line.lstrip())]
    if "\t" in margin:
        return Problem("tab", "indentation is spaces; this line has a tab", place, hint="replace the tab by spaces")
    if "\\t" in what:
        text = "a space stands between words, behind a colon or a dash; here is a tab"
        return Problem("tab", text, place, hint="replace the tab by a space")
    if "%" in line[:1]:
        return Problem("directive", "a page has no % directives", place, hint="remove the line")
    hint, begin = "", error.context_mark
    if begin is not None and ("could not find expected ':'" in what or "unexpected end of stream" in what):
        place = Place(shown, begin.line + 1, begin.column + 1)  # where it began, not where its end was missed
    if "unexpected end of stream" in what:
        what = "this quote is never closed"
    elif "expected <block end>" in what and place.column > len(margin) + 1:
        what, hint = "the value before this has ended", "quotes or brackets go around the whole value"
    elif "expected <block end>" in what:
        what = "this line is indented unlike the lines it belongs to"
        hint = "keys of one mapping begin at the same column"
    elif "mapping values are not allowed" in what:
        key = line[: place.column - 1].strip()
        if _WORD.fullmatch(key):  # the first colon of its line: what is above goes on here, as a text of several lines does
            place = Place(shown, place.line, len(margin) + 1, len(key))
            what = "this line goes on from the value above it, as it is indented further than its key"
            hint = "keys of one mapping begin at the same column; a text with a colon and a space in it needs quotes"
        else:
            hint = "a value with a colon and a space in it needs quotes"
    elif "could not find expected ':'" in what:
        hint = "a key is followed by a colon and a space"
    elif "expected ',' or" in what:
        hint = "a comma or a closing bracket is missing"
    return Problem("syntax", what, place, hint=hint)


class _Builder:
    """Builds the tree from events with a stack of its own, so that depth never meets Python's recursion limit."""

    def __init__(self, shown: str, problems: Problems, text: str) -> None:
        self.shown, self.problems, self.text = shown, problems, text
        self.root: Node | None = None
        self.stack: list[_Open] = []
        self.documents = 0

    def take(self, event: Any) -> bool:
        """Take one event in; False when nothing further can be made of the text."""
        if isinstance(event, DocumentStartEvent):
            return self._document(event)
        if isinstance(event, AliasEvent):
            self._refuse("alias", "a page has no aliases", event, f"*{event.anchor}", "write it out, or use `extends`")
            self._add(Scalar(self._place(event), None, ""))
            return True
        if isinstance(event, (ScalarEvent, MappingStartEvent, SequenceStartEvent)):
            self._no_properties(event)
        if isinstance(event, ScalarEvent):
            self._add(self._scalar(event))
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            if len(self.stack) >= MAX_DEPTH:
                self._refuse("too-deep", f"a page has at most {MAX_DEPTH} levels", event, "", "flatten it")
                return False
            self.stack.append(_Open(self._place(event), isinstance(event, MappingStartEvent)))
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self._add(self.stack.pop().close())
        return True

    def _document(self, event: Any) -> bool:
        self.documents += 1
        if event.version or event.tags:
            line = next(n for n, row in enumerate(lines_of(self.text), 1) if row.lstrip("\ufeff").startswith("%"))
            text, hint = "a page has no % directives", "remove the line; pages are YAML 1.2"
            self.problems.add(Problem("directive", text, Place(self.shown, line, 1), hint=hint))
        if self.documents > 1:
            self._refuse("several-documents", "a page is one document", event, "---", "make a file for each")
            return False
        return True

    def _no_properties(self, event: Any) -> None:
        if event.anchor:
            self._refuse("anchor", "a page has no anchors", event, f"&{event.anchor}", "name it once and use `extends`")
        tag = getattr(event, "tag", None)
        if tag is not None and str(tag) not in ("", "!"):
            got = str(tag).replace("tag:yaml.org,2002:", "!!")
            self._refuse("tag", "a page has no tags", event, got, "remove the tag: types follow from the key")

    def _scalar(self, event: Any) -> Scalar:
        place, text = self._place(event), event.value
        if strange := _NO_LETTER.search(text):
            what, hint = f"this text has {strange[0]!a} in it, which is no letter", "write the letter itself, or leave it out"
            self.problems.add(Problem("syntax", what, place, hint=hint))
            text = _NO_LETTER.sub("?", text)
        is_plain = event.style in (None, "")
        if not is_plain:
            return Scalar(place, text, text)
        if event.start_mark.index == event.end_mark.index and self.stack and self.stack[-1].key is not None:
            place = self.stack[-1].key.place  # the parser says where the next word is, which may be lines below
        try:
            return Scalar(place, resolve(text), text)
        except BadScalar as error:
            self.problems.add(Problem("bad-number", str(error), place, got=text[:40], hint=error.hint))
            return Scalar(place, 0, text)

    def _add(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if not top.is_mapping:
            top.values.append(node)
        elif top.key is None:
            top.key = self._key(node, top)
        else:
            top.put(node)

    def _key(self, node: Node, top: _Open) -> Scalar:
        if not isinstance(node, Scalar):
            self.problems.add(Problem("bad-key", "a key is one word, not a list or mapping", node.place))
            return Scalar(node.place, None, _NO_KEY)
        if node.text == "<<":
            self.problems.add(Problem("merge-key", "a page has no merge keys", node.place, got="<<", hint="use `extends: name`"))
        elif node.text in top.items:
            first = top.keys[node.text]
            self.problems.add(
                Problem(
                    "duplicate-key",
                    f"`{node.text}` is written twice here",
                    node.place,
                    got=node.text,
                    hint=f"the first is on line {first.line}; keep one",
                )
            )
        return node

    def _refuse(self, code: str, message: str, event: Any, got: str, hint: str) -> None:
        self.problems.add(Problem(code, message, self._place(event), got=got, hint=hint))

    def _place(self, event: Any) -> Place:
        start, end = event.start_mark, event.end_mark
        length = end.column - start.column if end.line == start.line else 1
        return Place(self.shown, start.line + 1, start.column + 1, max(1, length))


class _Open:
    """A mapping or sequence whose end has not come yet."""

    def __init__(self, place: Place, is_mapping: bool) -> None:
        self.place, self.is_mapping = place, is_mapping
        self.values: list[Node] = []
        self.items: dict[str, Node] = {}
        self.keys: dict[str, Place] = {}
        self.key: Scalar | None = None

    def put(self, node: Node) -> None:
        assert self.key is not None
        # A duplicate was told already; the first stands, so that later messages speak of one thing.
        if self.key.text not in self.items and self.key.text != _NO_KEY:
            self.items[self.key.text] = node
            self.keys[self.key.text] = self.key.place
        self.key = None

    def close(self) -> Node:
        return Mapping(self.place, self.items, self.keys) if self.is_mapping else Sequence(self.place, tuple(self.values))
