"""One layout for every page: keys in the language's order, two spaces a level, a blank line between sections; every comment kept.

A page is laid out by moving whole lines of its text about, never by writing its tree anew. A writer of YAML - ruamel.yaml's too -
decides again on every line: it undoes columns that were aligned by hand, wraps long lists where nobody would, and hangs each
comment on the word before it, so that a comment above a key would stay behind when the key moves. Here whatever is not moved
stays as it was typed. The rules:

- A mapping's keys are put into the order given for it. Keys with no place in that order come last, as written; a mapping without
  an order (names: arms, models) is left as it is.
- Comments directly above a key go where it goes, and so does one behind it. Comments that are indented deeper than the next key
  belong to the end of what stands before them. The comments that a page begins with stay at its beginning.
- `{...}` and `[...]` stay as they are broken into lines and aligned; around their commas and inside their brackets spaces are put
  right, and keys are put into order where no comment is among them.
- Texts (`|`, `>`, quoted) are moved as a whole and keep every character.

The result is checked: it must mean what the text before meant, with the same comments, or `LayoutError` is raised.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from interpreter.errors import Problems
from interpreter.source.load import parse
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence
from interpreter.source.spans import Edit, Span, apply, comments, keeps_blank_lines, last_scalar, scalars, spans

STEP = 2  # spaces a level
Path = tuple[str | int, ...]
Order = Callable[[Path], tuple[str, ...]]

_DASH = re.compile(r" *- *")
_AFTER_KEY = re.compile(r"[ \t]*:[ \t]*(#.*)?")


class LayoutError(ValueError):
    """A text that can't be laid out without changing what it means; a bug of ours, found before anything was written."""


def lay_out(text: str, order: Order, spaced: frozenset[Path] = frozenset({()})) -> str:
    """`text`, a page that `load.parse` reads without a problem, laid out.

    `order` gives the keys of the mapping at a path in their order, or () to leave them as written. Between members of the
    mappings at `spaced` that take more than a line, a blank line is put. Raises: LayoutError.
    """
    before = _with_final_newline(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    flowing = _Flow(before, order).run()
    after = _Block(flowing, order, spaced).run()
    if meaning(after, order) != meaning(text, order) or comments(after) != comments(before):
        raise LayoutError("laying it out would change what the page says")
    return after


def meaning(text: str, order: Order) -> Any:
    """What `text` says, comparable: values with their types, and the order of keys wherever the language gives them none."""
    problems = Problems()
    tree = parse(text.removeprefix("\ufeff"), "", problems)
    return None if tree is None or problems.fatal else _meaning(tree, (), order)


def _meaning(node: Node, path: Path, order: Order) -> Any:
    if isinstance(node, Scalar):
        return type(node.value).__name__, node.value
    if isinstance(node, Sequence):
        return [_meaning(item, (*path, index), order) for index, item in enumerate(node.items)]
    assert isinstance(node, Mapping)
    items = [(key, _meaning(item, (*path, key), order)) for key, item in node.items.items()]
    return dict(items) if order(path) else tuple(items)


def sort_keys(keys: list[str], order: tuple[str, ...]) -> list[int]:
    """The indices of `keys` in the order they are laid out."""
    places = {key: place for place, key in enumerate(order)}
    return sorted(range(len(keys)), key=lambda index: (places.get(keys[index], len(order)), index))


def _with_final_newline(text: str) -> str:
    if text.endswith("\n"):
        return text
    ending = last_scalar(spans(text))
    if ending is not None and ending.style in ("|", ">") and ending.end == len(text):
        # Without a line's end the text has none either; with one it would, unless its head says that it is cut off.
        head, newline, body = text[ending.start :].partition("\n")
        mark, hash_, comment = head.partition("#")
        if newline and "-" not in mark:
            mark = mark[0] + "-" + mark[1:].replace("+", "")
            text = text[: ending.start] + mark + hash_ + comment + newline + body
    return text + "\n"


class _Flow:
    """Puts `{...}` and `[...]` right, each within the characters that it takes."""

    def __init__(self, text: str, order: Order) -> None:
        self.text, self.order = text, order

    def run(self) -> str:
        edits: list[Edit] = []
        self._visit(spans(self.text), (), edits)
        return apply(self.text, edits)

    def _visit(self, node: Span, path: Path, edits: list[Edit]) -> None:
        if node.style == "flow":
            edits.append(Edit(node.start, node.end, self._written(node, path)))
            return
        for index, (key, value) in enumerate(node.members):
            self._visit(value, (*path, index if key is None else key.text), edits)

    def _written(self, node: Span, path: Path) -> str:
        """The text of a value, put right."""
        text = self.text
        if node.style != "flow" or text[node.start] not in "{[" or not node.members:
            return text[node.start : node.end]
        bounds = [((key or value).start, value.end) for key, value in node.members]
        between = [text[a[1] : b[0]] for a, b in pairwise(bounds)]
        first, last = text[node.start : bounds[0][0]], text[bounds[-1][1] : node.end]
        members = [self._member(index, member, path) for index, member in enumerate(node.members)]
        if not any("#" in piece for piece in (first, *between, last)):
            if node.kind == "mapping" and all(piece.count("?") == 0 for piece in (first, *between)):
                indices = sort_keys(node.names, self.order(path))
                if indices != list(range(len(members))):
                    members = [members[index] for index in indices]
                    between = [", " if "\n" not in piece else piece for piece in between]
            first, last = first[0] + _tight(first[1:]), _tight(last[:-1]) + last[-1]
            between = [_comma(piece) for piece in between]
        rest = [part for pair in zip(between, members[1:], strict=True) for part in pair]
        return "".join([first, members[0], *rest, last])

    def _member(self, index: int, member: tuple[Span | None, Span], path: Path) -> str:
        key, value = member
        written = self._written(value, (*path, index if key is None else key.text))
        if key is None:
            return written
        colon = self.text[key.end : value.start]
        return self.text[key.start : key.end] + (": " if colon == ":" and value.start < value.end else colon) + written


def _tight(piece: str) -> str:
    return piece if "\n" in piece else ""


def _comma(piece: str) -> str:
    """What stands between two members: no space before the comma, at least one behind it."""
    before, comma, behind = piece.partition(",")
    if not comma or "\n" in before:
        return piece
    return "," + (behind or " ")


class _Block:
    """Puts the lines of block mappings and lists right: their order, their indentation, and blank lines between them."""

    def __init__(self, text: str, order: Order, spaced: frozenset[Path]) -> None:
        self.text, self.order, self.spaced = text, order, spaced
        self.lines = text.split("\n")[:-1]
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.root = spans(text)
        self.open: dict[int, bool] = {}  # see `_open`, by the id of a span
        # Lines after the first of a text that must keep what looks like stray blanks, by the indentation of its own.
        self.kept: dict[int, int] = {}
        for leaf in scalars(self.root):
            if leaf.style:
                first, last = self._line(leaf.start), self._last_line(leaf)
                rows = range(first + 1, last + 1)
                indent = next((_indent(self.lines[row]) for row in rows if self.lines[row].strip()), 0)
                self.kept.update(dict.fromkeys(rows, indent if leaf.style in ("|", ">") else 0))

    def run(self) -> str:
        if not (self.root.is_block and self.root.kind == "mapping" and self._regular(self.root)):
            return "\n".join(self._raw(0, len(self.lines) - 1, 0)) + "\n"
        first, last = self._first_line(self.root), self._last_line(self.root)
        head = _gap(self.lines[:first], 0, first=True)
        body = self._mapping(self.root, (), 0, [], self.lines[last + 1 :])
        return "\n".join([*head, *body]) + "\n"

    # --- members of mappings and lists ---

    def _mapping(self, node: Span, path: Path, column: int, lead: list[str], footer: list[str]) -> list[str]:
        """The lines of a mapping at `column`; `lead` is what stands above its first key, `footer` below its last value."""
        leads, tails, footer = self._share(node, lead, footer)
        sections = []
        for (key, value), tail in zip(node.members, tails, strict=True):
            assert key is not None
            sections.append(self._value(key, value, (*path, key.text), column, tail))
        indices = sort_keys(node.names, self.order(path))
        spaced = path in self.spaced
        out: list[str] = []
        for place, index in enumerate(indices):
            before = indices[place - 1] if place else index
            big = spaced and (len(sections[before]) > 1 or len(sections[index]) > 1)
            out += self._between(leads[index], column, node.members[before][1] if place else None, big)
            out += sections[index]
        return out + self._end(node, node.members[indices[-1]][1], footer, column)

    def _sequence(self, node: Span, path: Path, column: int, lead: list[str], footer: list[str]) -> list[str]:
        """The lines of a list whose dashes are at `column`."""
        leads, tails, footer = self._share(node, lead, footer)
        out: list[str] = []
        for index, (_, value) in enumerate(node.members):
            before = node.members[index - 1][1] if index else None
            lines, above = self._item(value, (*path, index), column, tails[index])
            out += self._between(leads[index], column, before, False)
            out += [*above, *lines]
        return out + self._end(node, node.members[-1][1], footer, column)

    def _item(self, value: Span, path: Path, column: int, tail: list[str]) -> tuple[list[str], list[str]]:
        """The lines of one member of a list, and the comments that came to stand above its first key by reordering."""
        row = self._line(value.start)
        if self._nested(value) and value.kind == "mapping":
            lines = self._mapping(value, path, column + STEP, [], tail)
            start = next(index for index, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#"))
            above = [" " * column + line.strip() for line in lines[:start] if line.strip()]
            lines = lines[start:]
            return [" " * column + "- " + lines[0][column + STEP :], *lines[1:]], above
        dash = _DASH.match(self.lines[row])
        assert dash is not None
        lines = self._raw(row, self._last_line(value), column - _indent(self.lines[row]))
        return [(" " * column + "- " + self.lines[row][dash.end() :]).rstrip(), *lines[1:]], []

    def _value(self, key: Span, value: Span, path: Path, column: int, tail: list[str]) -> list[str]:
        """The lines of one member of a mapping, from its key on."""
        row = self._line(key.start)
        delta = column - self._column(key.start)
        head = " " * column + self.text[key.start : self.starts[row + 1]].rstrip()  # without the dash that may stand before it
        if not self._nested(value):
            return [head, *self._raw(row + 1, self._last_line(value), delta)]
        lead = self.lines[row + 1 : self._first_line(value)]
        lay = self._mapping if value.kind == "mapping" else self._sequence
        return [head, *lay(value, path, column + STEP, lead, tail)]

    def _share(self, node: Span, lead: list[str], footer: list[str]) -> tuple[list[list[str]], list[list[str]], list[str]]:
        """Comments and blank lines around the members of `node`: above each, at the end of each, and at the end of all."""
        column = self._own_column(node)
        leads, tails = [lead], []
        for index, (_, value) in enumerate(node.members):
            last = index + 1 == len(node.members)
            gap = footer if last else self.lines[self._last_line(value) + 1 : self._member_line(node, index + 1)]
            cut = _deeper(gap, column) if self._nested(value) else 0
            tails.append(gap[:cut])
            if last:
                footer = gap[cut:]
            else:
                leads.append(gap[cut:])
        return leads, tails, footer

    def _between(self, gap: list[str], column: int, before: Span | None, spaced: bool, ends: bool = False) -> list[str]:
        """The lines of `gap` as they are laid out after the value `before` (None: as the first)."""
        lines = _gap(gap, column, first=before is None, last=ends)
        if before is None:
            return lines
        if self._open(before):  # a blank line more or less would be one of the text
            return lines[1:] if lines[:1] == [""] else lines
        return ["", *lines] if spaced and lines[:1] != [""] else lines

    def _end(self, node: Span, last: Span, footer: list[str], column: int) -> list[str]:
        """The lines of `footer` after `last`, the member of `node` that is laid out last."""
        lines = self._between(footer, column, last, False, ends=True)
        self.open[id(node)] = not lines and self._open(last)
        return lines

    def _open(self, node: Span) -> bool:
        """True when `node`, as it is laid out, ends in a text to which blank lines below it would belong."""
        if id(node) in self.open:
            return self.open[id(node)]
        ending = last_scalar(node)
        return ending is not None and keeps_blank_lines(ending, self.text)

    # --- where things stand ---

    def _nested(self, value: Span) -> bool:
        return value.is_block and bool(value.members) and self._regular(value)

    def _regular(self, node: Span) -> bool:
        """True when each member of `node` begins a line of its own, as people write them."""
        for index, (key, value) in enumerate(node.members):
            start = (key or value).start
            row = self._line(start)
            before = self.lines[row][: start - self.starts[row]]
            if key is None:
                if not (_DASH.fullmatch(before) and before.count("-") == 1) or (value.is_block and value.kind == "sequence"):
                    return False
            elif before.strip(" ") and not (index == 0 and _DASH.fullmatch(before)):
                return False
            elif value.is_block:
                stop = self.text.find("\n", key.end)
                if not _AFTER_KEY.fullmatch(self.text, key.end, stop) or self._first_line(value) <= row:
                    return False
        return True

    def _line(self, offset: int) -> int:
        return bisect_right(self.starts, offset) - 1

    def _column(self, offset: int) -> int:
        return offset - self.starts[self._line(offset)]

    def _last_line(self, node: Span) -> int:
        return self._line(node.end)

    def _first_line(self, node: Span) -> int:
        return self._member_line(node, 0)

    def _member_line(self, node: Span, index: int) -> int:
        key, value = node.members[index]
        return self._line((key or value).start)

    def _own_column(self, node: Span) -> int:
        key, value = node.members[0]
        row = self._line((key or value).start)
        return self._column(key.start) if key is not None else _indent(self.lines[row])

    def _raw(self, first: int, last: int, delta: int) -> list[str]:
        """The lines from `first` to `last` as they are, moved by `delta` columns, without stray blanks at their ends."""
        return [self._moved(row, delta) for row in range(first, last + 1)]

    def _moved(self, row: int, delta: int) -> str:
        line = self.lines[row]
        if row not in self.kept:
            line = line.rstrip()
        elif not line.strip() and len(line) <= self.kept[row]:
            return ""
        if not line:
            return ""
        return " " * delta + line if delta >= 0 else line[min(-delta, _indent(line)) :]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _deeper(gap: list[str], column: int) -> int:
    """How many lines of `gap` belong to what stands before it: up to the last comment deeper than `column`, while all are."""
    cut = 0
    for index, line in enumerate(gap):
        if line.strip():
            if _indent(line) <= column:
                break
            cut = index + 1
    return cut


def _gap(gap: list[str], column: int, *, first: bool, last: bool = False) -> list[str]:
    """Comments at `column`, blank lines at most one in a row; none before what is `first`, none after what is `last`."""
    out: list[str] = []
    for line in gap:
        if line.strip():
            out.append(" " * column + line.strip())
        elif (out or not first) and out[-1:] != [""]:
            out.append("")
    if last and out[-1:] == [""]:
        out.pop()
    return out
