"""Problems as text: one line of what is wrong, the line of the file with a caret under it, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from interpreter.errors import Place, Problem
from interpreter.source.nodes import lines_of

_MAX_WIDTH = 150
_MAX_WORDS = 500  # letters of a message that quotes a page; what is in the middle of a longer one goes


def render(problem: Problem, texts: Mapping[str, str]) -> str:
    """`problem` as a person reads it; `texts` holds the text of each file by its shown name."""
    where = f"{problem.place}: " if problem.place else ""
    lines = [f"{where}{problem.severity.value}[{problem.code}]: {_shortened(problem.message)}"]
    if problem.place is not None and problem.place.file in texts:
        lines += _excerpt(problem.place, texts[problem.place.file])
    if problem.expected:
        lines.append(f"    expected: {_shortened(problem.expected)}")
    if problem.got:
        lines.append(f"    got:      {_shortened(problem.got)}")
    if problem.hint:
        lines.append(f"    hint:     {_shortened(problem.hint)}")
    return "\n".join(lines)


def render_all(problems: Iterable[Problem], texts: Mapping[str, str]) -> str:
    """All of `problems`, in file order, a blank line between."""
    return "\n\n".join(render(problem, texts) for problem in sorted(problems, key=Problem.order))


def as_json(problem: Problem) -> dict[str, Any]:
    """The same fields as plain data, for `--format json`."""
    place = problem.place
    return {
        "severity": problem.severity.value,
        "code": problem.code,
        "message": problem.message,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "length": place.length if place else None,
        "path": problem.path,
        "expected": problem.expected,
        "got": problem.got,
        "hint": problem.hint,
    }


def _shortened(text: str) -> str:
    if len(text) <= _MAX_WORDS:
        return text
    return f"{text[: _MAX_WORDS * 2 // 3]} ... {text[-_MAX_WORDS // 3 :]}"


def _excerpt(place: Place, text: str) -> list[str]:
    rows = lines_of(text)
    if not 1 <= place.line <= len(rows):
        return []
    row = rows[place.line - 1].replace("\t", " ")
    start = 0
    if len(row) > _MAX_WIDTH:  # a long line is shown around the place
        start = max(0, min(place.column - 1 - _MAX_WIDTH // 3, len(row) - _MAX_WIDTH))
    shown = row[start : start + _MAX_WIDTH]
    column = place.column - 1 - start
    length = max(1, min(place.length, len(shown) - column))
    number = str(place.line)
    pad = " " * len(number)
    return [f"  {number} | {shown}", f"  {pad} | {' ' * column}{'^' * length}"]
