"""What a step of a migration looks at, and the edits that steps are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from interpreter.errors import Place, Problem, Problems
from interpreter.source.spans import Edit, Span


@dataclass(frozen=True, slots=True)
class Draft:
    """A page of an older version: its text, where everything in it stands, and what can't be lifted."""

    text: str
    root: Span
    shown: str
    problems: Problems

    def refuse(self, code: str, message: str, span: Span, hint: str) -> None:
        """Tell that what stands at `span` can't be lifted."""
        row = self.text.count("\n", 0, span.start) + 1
        column = span.start - (self.text.rfind("\n", 0, span.start) + 1) + 1
        first = self.text[span.start : span.end].split("\n")[0]
        self.problems.add(Problem(code, message, Place(self.shown, row, column, max(1, len(first))), got=first[:60], hint=hint))

    def written(self, span: Span) -> str:
        """The characters of `span`."""
        return self.text[span.start : span.end]

    def column(self, offset: int) -> int:
        """How far from the beginning of its line the character at `offset` stands."""
        return offset - (self.text.rfind("\n", 0, offset) + 1)

    def end_of_line(self, offset: int) -> int:
        """Where the line of `offset` ends."""
        return self.text.index("\n", offset)

    def rename(self, mapping: Span, old: str, new: str) -> list[Edit]:
        """The key `old` of `mapping` becomes `new`."""
        for key, _ in mapping.members:
            if key is not None and key.text == old:
                if new in mapping.names:
                    self.refuse("both-spellings", f"`{old}` became `{new}`, and both are here", key, "keep one")
                    return []
                return [Edit(key.start, key.end, new)]
        return []

    def without(self, mapping: Span, names: set[str]) -> list[Edit]:
        """The keys `names` of `mapping` go, with their values; comments around them stay."""
        if mapping.is_block:
            return [self._line_less(key, value) for key, value in mapping.members if key is not None and key.text in names]
        goes = [key is not None and key.text in names for key, _ in mapping.members]
        edits, index = [], 0
        while index < len(goes):
            if not goes[index]:
                index += 1
                continue
            last = index
            while last + 1 < len(goes) and goes[last + 1]:
                last += 1
            start, end = self._start(mapping, index), mapping.members[last][1].end
            if last + 1 < len(goes):
                end = self._start(mapping, last + 1)
            elif index:
                start = mapping.members[index - 1][1].end
            if "#" in self.text[start:end]:
                key = mapping.members[index][0]
                assert key is not None
                self.refuse(
                    "comment-between", f"`{key.text}` moves, and a comment in its place would be lost", key, "move the comment"
                )
            edits.append(Edit(start, end, ""))
            index = last + 1
        return edits

    def region(self, key: Span, value: Span) -> tuple[int, int]:
        """The lines of a member of a block mapping, with the comments directly above it: from where, to where."""
        start = key.start - self.column(key.start)
        while start:
            above = self.text.rfind("\n", 0, start - 1) + 1
            if not self.text[above:start].lstrip().startswith("#"):
                break
            start = above
        return start, self.end_of_line(value.end) + 1

    @staticmethod
    def _start(mapping: Span, index: int) -> int:
        key, value = mapping.members[index]
        return (key or value).start

    def _line_less(self, key: Span, value: Span) -> Edit:
        stop = self.end_of_line(value.end)
        behind = self.text[value.end : stop]
        if "#" in behind:
            return Edit(key.start, value.end + behind.index("#"), "")
        return Edit(key.start - self.column(key.start), stop + 1, "")


@dataclass(frozen=True, slots=True)
class Step:
    """One difference between two versions: its name, and the edits that it takes."""

    name: str
    look: Callable[[Draft], list[Edit]]


def named(node: Span | None) -> Iterator[tuple[Span, Span]]:
    """Name and mapping of each member of `node` that is a mapping; nothing where `node` is something else."""
    if node is not None and node.kind == "mapping":
        for key, value in node.members:
            if key is not None and value.kind == "mapping":
                yield key, value


def parts(entry: Span, *keys: str) -> Iterator[Span]:
    """The named mappings of an entry under each of `keys`: its stages, arms, ..."""
    for key in keys:
        for _, value in named(entry.get(key)):
            yield value
