"""The prompt of `expt sql`. Each question opens the database, reads and closes it, so a prompt left open blocks nobody."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from interpreter.errors import ExptError, UsageError
from interpreter.project import Project
from interpreter.results.formats import as_table
from interpreter.results.read import named, query, query_names

HELP = """\
SQL over as many lines as it takes, ended by ;
.tables          tables and views, with what they hold
.schema NAME     columns of one, with what they mean
.queries         named queries; .query NAME prints one
.help            this
.quit            leave (or Ctrl-D)
"""
_TABLES = """SELECT table_name AS name, 'table' AS kind, comment AS holds FROM duckdb_tables() WHERE NOT internal
UNION ALL SELECT view_name, 'view', comment FROM duckdb_views() WHERE NOT internal ORDER BY kind DESC, name"""
_COLUMNS = """SELECT column_name AS "column", data_type AS type, comment AS meaning FROM duckdb_columns()
WHERE table_name = ? AND NOT internal ORDER BY column_index"""


def prompt(project: Project) -> None:
    """Ask and answer until .quit or the end of the input."""
    with _history(project.cache / "sql_history"):
        print(".help tells what there is; .quit leaves")
        for text in statements(sys.stdin, ask=True):
            try:
                answer = reply(project, text)
            except ExptError as error:
                print(f"{error}{f'{chr(10)}hint: {error.hint}' if error.hint else ''}", file=sys.stderr)
                continue
            except KeyboardInterrupt:
                print("stopped", file=sys.stderr)
                continue
            if answer is None:
                return
            print(answer, end="")


def reply(project: Project, text: str) -> str | None:
    """The answer to one statement or dot command, or None for .quit. Raises: as `query`."""
    if not text.startswith("."):
        return as_table(query(project, text), 0 if sys.stdout.isatty() else None)
    command, _, argument = text.partition(" ")
    argument = argument.strip().rstrip(";")
    if command in (".quit", ".exit"):
        return None
    if command == ".help":
        return HELP
    if command == ".tables":
        return as_table(query(project, _TABLES), 0 if sys.stdout.isatty() else None)
    if command == ".queries":
        return "".join(f"{name}\n" for name in query_names())
    if command == ".query" and argument in query_names():
        return named(argument)
    if command == ".schema" and argument:
        columns = query(project, _COLUMNS, (argument,))
        if columns.rows:
            return as_table(columns, 0 if sys.stdout.isatty() else None)
        raise UsageError(f"there is no table or view `{argument}`", hint=".tables lists them")
    raise UsageError(f"no command `{text}`", hint=".help lists them")


def statements(lines: TextIO, *, ask: bool) -> Iterator[str]:
    """Statements ended by ; at the end of a line, and dot commands of one line. `ask` reads with a prompt."""
    held: list[str] = []
    while True:
        try:
            line = input("...> " if held else "sql> ") if ask else next(lines).rstrip("\n")
        except (EOFError, StopIteration):
            if held:
                yield "\n".join(held)
            return
        except KeyboardInterrupt:  # drops what was begun
            held = []
            print()
            continue
        if not held and line.strip().startswith("."):
            yield line.strip()
            continue
        if held or line.strip():
            held.append(line)
        if line.rstrip().endswith(";"):
            yield "\n".join(held)
            held = []


@contextlib.contextmanager
def _history(path: Path) -> Iterator[None]:
    try:
        import readline
    except ImportError:  # a Python built without it: a prompt without a memory
        yield
        return
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.set_history_length(1000)
            readline.write_history_file(path)
