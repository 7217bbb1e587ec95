"""Everything that can go wrong, as one tree, and `Problem`, the unit of bad news about a file.

    ExptError                   exit 70   a bug of ours, unless a subclass says otherwise
    +-- PageError               exit 2    the file is wrong; carries every Problem found
    +-- UsageError              exit 2    the command line or expt.toml is wrong
    +-- StageFailed             exit 3    a stage ended without its result
    |   +-- Fenced              exit 3    another attempt has taken this stage over; write nothing more
    |   +-- DataMissing         exit 3    a data source is absent, changed or unreadable
    +-- RecordError             exit 4    a record can't be read or trusted
    |   +-- DatabaseBusy        exit 4    another process holds results.duckdb
    +-- ReportError             exit 5    a report asks for what isn't there

A user's mistake is always one of these, with a place and a hint where there is one; a traceback is shown only for what
is not in this tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How bad a Problem is: an error stops, a warning changes what may be concluded, a note is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a text something stands: file, 1-based line and column, and how many characters to underline."""

    file: str
    line: int
    column: int
    length: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file, in words for its author.

    `code` is the stable name (`unknown-model`), `path` the dotted path of the node (`stages.lba.model`).
    """

    code: str
    message: str
    place: Place | None = None
    path: str = ""
    expected: str = ""
    got: str = ""
    hint: str = ""
    severity: Severity = Severity.ERROR

    def order(self) -> tuple[str, int, int, str]:
        """The key that sorts problems in file order."""
        if self.place is None:
            return ("", 0, 0, self.code)
        return (self.place.file, self.place.line, self.place.column, self.code)


class ExptError(Exception):
    """The root: whatever this program raises on purpose."""

    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class PageError(ExptError):
    """The page is wrong: `problems` holds everything found, in file order."""

    exit_code = 2

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=Problem.order)
        count = len(errors_of(self.problems))
        super().__init__(f"{count} error{'s' * (count != 1)}")


class UsageError(ExptError):
    """The command line, expt.toml or an environment variable is wrong."""

    exit_code = 2


class StageFailed(ExptError):
    """A stage ended without its result."""

    exit_code = 3


class Fenced(StageFailed):
    """Another attempt has taken the stage over: this one must stop and write nothing more."""


class DataMissing(StageFailed):
    """A data source is absent, unreadable or not what data.lock says."""


class RecordError(ExptError):
    """A record under runs/, or results.duckdb, can't be read or trusted."""

    exit_code = 4


class DatabaseBusy(RecordError):
    """Another process holds results.duckdb open; the record has everything, and the next ingest catches up."""


class ReportError(ExptError):
    """A report asks for what isn't there."""

    exit_code = 5


# Problems of the text itself: whatever else is said of the same word follows from them.
_NO_VALUE = frozenset({"bad-number", "alias", "duplicate-key", "syntax"})


def errors_of(problems: Iterable[Problem]) -> list[Problem]:
    """Those of `problems` that stop a page, without its warnings and notes."""
    return [problem for problem in problems if problem.severity is Severity.ERROR]


@dataclass(slots=True)
class Problems:
    """Collects problems while a page is read, so that all of them are told at once."""

    found: list[Problem] = field(default_factory=list)
    _told: dict[Place, dict[tuple[str, str], None]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def add(self, problem: Problem) -> None:
        """Keep `problem`, once: the same words at the same place are one problem, however many paths lead there.

        A word that is no value at all (an alias, a number out of range) is told as that, and not again as a wrong value.
        """
        if problem.place is not None:
            told = self._told.setdefault(problem.place, {})
            if (problem.code, problem.message) in told or any(code in _NO_VALUE for code, _ in told):
                return
            told[problem.code, problem.message] = None
        self.found.append(problem)

    @property
    def fatal(self) -> bool:
        """True when at least one is an error."""
        return bool(errors_of(self.found))

    def raise_if_fatal(self) -> None:
        """Raise PageError with all of them when one is an error."""
        if self.fatal:
            raise PageError(self.found)
