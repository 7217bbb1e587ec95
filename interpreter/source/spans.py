"""Where each part of a page's text begins and ends: for programs that change the text of a page and keep the rest of it.

`load` reads what a page means; this reads where it stands. Offsets count characters of the text, ends are exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)


@dataclass(slots=True)
class Span:
    """One scalar, mapping or list in the text.

    `style` is a scalar's (`"`, `'`, `|`, `>`, or "" when it is plain) or "flow" or "block" of a collection. `members` are a
    mapping's (key, value) or a list's (None, value). A value that isn't written is empty and stands where its key ends.
    """

    kind: Literal["scalar", "mapping", "sequence"]
    style: str
    start: int
    end: int
    text: str = ""  # of a scalar, as the parser reads it
    members: list[tuple[Span | None, Span]] = field(default_factory=list)

    @property
    def is_block(self) -> bool:
        """True for a mapping or list that is told by its indentation."""
        return self.style == "block"

    def get(self, key: str) -> Span | None:
        """The value at `key` of a mapping, or None."""
        return next((value for name, value in self.members if name is not None and name.text == key), None)

    @property
    def names(self) -> list[str]:
        """The keys of a mapping, in the order written."""
        return [name.text for name, _ in self.members if name is not None]


def spans(text: str) -> Span:
    """The spans of `text`, which `load.parse` has read without a problem and whose lines end in newlines."""
    stack: list[Span] = []
    waiting: list[Span | None] = []  # for each open collection, the key whose value comes next
    root: Span | None = None
    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            kind: Literal["mapping", "sequence"] = "mapping" if isinstance(event, MappingStartEvent) else "sequence"
            start = event.start_mark.index
            stack.append(Span(kind, "flow" if event.flow_style else "block", start, start))
            waiting.append(None)
            continue
        if isinstance(event, ScalarEvent):
            done = _scalar(event, text)
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            done = stack.pop()
            waiting.pop()
            written = done.style == "flow" and text[done.start] in "{["
            done.end = event.end_mark.index if written else max([done.start, *(value.end for _, value in done.members)])
        else:
            continue
        if not stack:
            root = done
        elif stack[-1].kind == "sequence":
            stack[-1].members.append((None, done))
        elif waiting[-1] is None:
            waiting[-1] = done
        else:
            key = waiting[-1]
            if done.start == done.end:
                done.start = done.end = _after_colon(text, key.end)
            stack[-1].members.append((key, done))
            waiting[-1] = None
    assert root is not None, "a page that was parsed has a tree"
    return root


def scalars(node: Span) -> Iterator[Span]:
    """Every scalar of `node`, keys included, in the order of the text."""
    if node.kind == "scalar":
        yield node
    for key, value in node.members:
        if key is not None:
            yield key
        yield from scalars(value)


def last_scalar(node: Span) -> Span | None:
    """The scalar that `node` ends with, or None where it ends with a bracket or is empty."""
    while node.members and node.is_block:
        node = node.members[-1][1]
    return node if node.kind == "scalar" else None


def keeps_blank_lines(leaf: Span, text: str) -> bool:
    """True for a block scalar to which the blank lines below it belong: `|+`, `>+`."""
    return leaf.style in ("|", ">") and "+" in text[leaf.start : leaf.end].partition("\n")[0].partition("#")[0]


def comments(text: str) -> list[str]:
    """Every comment of `text`, from its `#` to the end of its line, sorted."""
    outside, at = [], 0
    for leaf in scalars(spans(text)):
        outside.append(text[at : leaf.start])
        at = max(at, leaf.end)
    outside.append(text[at:])
    # A scalar leaves a mark, so that nothing on both sides of it runs together.
    rows = "\0".join(outside).split("\n")
    return sorted(row[row.index("#") :].rstrip("\0 \t") for row in rows if "#" in row)


@dataclass(frozen=True, slots=True)
class Edit:
    """The characters from `start` to `end` become `text`."""

    start: int
    end: int
    text: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """`text` with all of `edits`, none of which overlap."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        assert edit.start >= at, "edits overlap"
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def _scalar(event: Any, text: str) -> Span:
    start, end, style = event.start_mark.index, event.end_mark.index, event.style or ""
    if style in ("|", ">"):
        end = _end_of_block(text, start, end)
    return Span("scalar", style, start, end, event.value)


def _end_of_block(text: str, start: int, end: int) -> int:
    """Where a block scalar's last line that counts ends: blank lines after it are its own only where `+` keeps them."""
    header, _, body = text[start:end].partition("\n")
    rows = body.split("\n")
    if rows and rows[-1] == "":
        rows.pop()
    if "+" not in header.partition("#")[0]:  # as `keeps_blank_lines`
        indent = next((len(row) - len(row.lstrip(" ")) for row in rows if row.strip()), 0)
        # A row of more blanks than the indentation is text.
        while rows and not rows[-1].strip() and len(rows[-1]) <= indent:
            rows.pop()
    return start + len("\n".join([header, *rows]))


def _after_colon(text: str, at: int) -> int:
    colon = text.find(":", at)
    return colon + 1 if colon >= 0 and not text[at:colon].strip() else at
