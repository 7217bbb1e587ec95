"""What most verbs begin with: the project, the page, checked and planned; and how problems are shown."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interpreter import catalog
from interpreter.check.page import check_page
from interpreter.check.types import CheckedArm, CheckedPage
from interpreter.errors import Problem, Severity, UsageError
from interpreter.plan.build import build_plan
from interpreter.plan.lock import read_lock
from interpreter.plan.points import select
from interpreter.plan.types import Plan
from interpreter.project import Project, find_project
from interpreter.run.seeds import grown
from interpreter.source.caret import render_all
from interpreter.spec.library import Library
from interpreter.spec.names import did_you_mean
from interpreter.spec.page import PageText

# Texts of every page read so far, for showing problems wherever they surface.
_texts: dict[str, str] = {}
_SUFFIXES = (".yaml", ".yml")  # of a page's file


@dataclass(frozen=True, slots=True)
class Session:
    """A page as a verb needs it."""

    project: Project
    library: Library
    checked: CheckedPage
    plan: Plan  # what was asked for: all entries and arms, or those named
    whole: Plan  # the whole page: what is stored and drawn
    entries: tuple[str, ...] = ()  # what was asked for, () for all
    arms: tuple[str, ...] = ()


def here() -> Project:
    """The project of the working directory."""
    return _opened(Path.cwd())


def _opened(start: Path) -> Project:
    """The project that `start` belongs to, with its plug-ins."""
    project = find_project(start)
    catalog.use(project.plugins)
    return project


def library_of(project: Project) -> Library:
    """A library whose texts serve `show_problems`."""
    library = Library(project)
    library.texts = _texts
    return library


def page_path(project: Project, name: str) -> Path:
    """The file of a page named by path, by file name or by date. Raises: UsageError when there is none, or several."""
    given = Path(name)
    # os.path's: pathlib's raises for a name that is too long for a file.
    if given.suffix in _SUFFIXES and os.path.isfile(given):
        return given
    # Names are compared, not looked for by a pattern: what was typed may have any letters in it.
    pages = {path.stem: path for path in sorted(project.specs.glob("*.yaml")) if path.is_file()}
    exact = pages.get(name.removesuffix(".yaml"))
    found = [exact] if exact else [path for stem, path in pages.items() if stem.startswith(f"{name}-")]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"`{name}` is several pages: {', '.join(p.stem for p in found)}", hint="name one of them")
    hint = did_you_mean(given.stem, pages) if pages else "pages are files specs/DATE.yaml"
    raise UsageError(f"there is no page `{name}`", hint=hint)


def read(project: Project, library: Library, name: str) -> PageText:
    """The page called `name`. Raises: PageError, UsageError."""
    return library.page(page_path(project, name))


def project_of(name: str) -> Project:
    """The project of the page called `name`: that of its file where it is a path, else that of the working directory."""
    path = Path(name)
    return _opened(path) if path.suffix in _SUFFIXES and os.path.isfile(path) else here()


def chosen_pages(names: Sequence[str]) -> tuple[Project, Library, list[Path]]:
    """The project of the pages called `names`, a library of it, and their files; without names all pages of this folder's.

    Raises: UsageError.
    """
    project = project_of(names[0]) if names else here()
    library = library_of(project)
    return project, library, [page_path(project, name) for name in names] or library.files()


def open_session(args: argparse.Namespace) -> Session:
    """The page that a verb was given, checked at its profile and planned. Raises: PageError, UsageError."""
    project = project_of(args.page)
    library = library_of(project)
    seeds = getattr(args, "seeds", None)
    if seeds is not None and seeds < 1:
        raise UsageError(f"--seeds takes a number from 1 up, got {seeds}")
    checked = check_page(library, read(project, library, args.page), args.profile, seeds)
    entries = tuple(getattr(args, "entry", ()))
    _known("entry", entries, [entry.entry.name for entry in checked.entries])
    chosen = [entry for entry in checked.entries if not entries or entry.entry.name in entries]
    arms = _arms(tuple(getattr(args, "arm", ())), [arm for entry in chosen for arm in entry.arms.values()])
    return _planned(project, library, checked, entries, arms)


def planned_anew(session: Session) -> Session:
    """The same, with the seeds that were asked for since. Raises: PageError, RecordError."""
    return _planned(session.project, session.library, session.checked, session.entries, session.arms)


def _planned(
    project: Project, library: Library, checked: CheckedPage, entries: tuple[str, ...], arms: tuple[str, ...]
) -> Session:
    locked, seeds = read_lock(project.data_lock), grown(project, checked)
    whole = build_plan(checked, locked, grown=seeds)
    plan = build_plan(checked, locked, entries=entries, arms=arms, grown=seeds) if entries or arms else whole
    return Session(project, library, checked, plan, whole, entries, arms)


def _arms(texts: tuple[str, ...], known: list[CheckedArm]) -> tuple[str, ...]:
    """Full names of the arms that `texts` stand for: an arm, a sweep, or points of it, `thaw[patience=3]`. Raises: UsageError."""
    found: dict[str, None] = {}
    for text in texts:
        chosen = select(known, text)
        if not chosen:
            _known("arm", (text,), list(dict.fromkeys(arm.name if "[" in text else arm.base for arm in known)))
        found |= dict.fromkeys(arm.name for arm in chosen)
    return tuple(found)


def _known(what: str, names: tuple[str, ...], known: list[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"the page has no {what} `{name}`", hint=did_you_mean(name, known))


def show_problems(problems: list[Problem] | tuple[Problem, ...]) -> None:
    """Problems to standard error, in file order, with their lines."""
    if problems:
        print(render_all(problems, _texts), file=sys.stderr)
        counts = Counter(problem.severity for problem in problems)
        parts = [f"{n} {severity.value}{'s' * (n != 1)}" for severity in Severity if (n := counts[severity])]
        print(f"\n{' and '.join(filter(None, (', '.join(parts[:-1]), parts[-1])))}", file=sys.stderr)
