"""The pages of a project, read when first asked for: by file, and by the id of an entry."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

from interpreter.errors import PageError, Problem, Problems
from interpreter.project import Project
from interpreter.source.load import load
from interpreter.source.nodes import Mapping, Sequence
from interpreter.spec.entry import Notebook
from interpreter.spec.grammar import WrittenNotebook
from interpreter.spec.names import DATE, did_you_mean
from interpreter.spec.page import PageText, read_page
from interpreter.spec.typed import read


class Library:
    """Every page that a check looks at, each read once; `texts` serves the rendering of problems."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.texts: dict[str, str] = {}
        self.typed: dict[Hashable, Any] = {}  # what was read from equal text as one class is one object
        self._pages: dict[Path, PageText | Problems] = {}
        self._days: dict[str, list[PageText]] = {}
        self._notebooks: dict[str, tuple[Notebook | None, Problems]] = {}

    def shown(self, path: Path) -> str:
        """How messages call a file: from the project's root where it is below it."""
        path = path.resolve()
        return str(path.relative_to(self.project.root)) if path.is_relative_to(self.project.root) else str(path)

    def page(self, path: Path, shown: str = "") -> PageText:
        """The page at `path`; `shown` names the file it once was, for a text kept in the record.

        Raises: PageError when there is no page in the file at all.
        """
        path = path.resolve()
        if path not in self._pages:
            page = read_page(path, shown or self.shown(path), self.project.cache / "trees")
            if isinstance(page, PageText):
                self.texts[page.file] = page.text
            else:
                self._remember_text(path)
            self._pages[path] = page
        page = self._pages[path]
        if isinstance(page, Problems):
            raise PageError(page.found)
        return page

    def dated(self, date: str) -> list[PageText]:
        """The pages of a day that can be read, in order of their files' names."""
        if date not in self._days:
            self._days[date] = pages = []
            for path in self._of_day(date):
                try:
                    pages.append(self.page(path))
                except PageError:
                    continue  # told when that page itself is checked
        return self._days[date]

    def _of_day(self, date: str) -> list[Path]:
        files = sorted(self.project.specs.glob(f"{date}*.yaml"))
        return [path for path in files if path.stem == date or path.stem.startswith(f"{date}-")]

    def entry(self, date: str, name: str) -> tuple[PageText, Mapping] | None:
        """The page and tree of entry `date/name`, or None."""
        for page in self.dated(date):
            if name in page.entries:
                return page, page.entries[name]
        return None

    def near(self, date: str, name: str, known: Iterable[str] | None = None) -> str:
        """A hint where a day has nothing called `name`: what is `known` of it (its entries), or why nothing is."""
        pages = self.dated(date)
        names = [entry for page in pages for entry in page.entries] if known is None else list(known)
        if names:
            return did_you_mean(name, names)
        files = [self.shown(path) for path in self._of_day(date)]
        if files and not pages:
            return f"{files[0]} can't be read: `expt check` tells why"
        return "none is defined on that day" if files else f"no page is dated {date}"

    def notebook(self, name: str, problems: Problems) -> Notebook | None:
        """The notebook's own file, None where it has none; what is wrong in it goes to `problems`."""
        if name not in self._notebooks:
            self._notebooks[name] = self._read_notebook(name)
        made, wrong = self._notebooks[name]
        for problem in wrong.found:
            problems.add(problem)
        return made

    def _read_notebook(self, name: str) -> tuple[Notebook | None, Problems]:
        problems, path = Problems(), self.project.specs / "notebooks" / f"{name}.yaml"
        if not os.path.isfile(path):  # which, unlike pathlib's, takes a name too long for a file as that of none
            return None, problems
        shown = self.shown(path)
        tree, self.texts[shown] = load(path, shown, problems)
        said = read(WrittenNotebook, tree, problems, "") if tree is not None else None
        if tree is None or said is None:
            return None, problems
        order = tree.get("order")
        for text, item in zip(said.order, order.items if isinstance(order, Sequence) else (), strict=False):
            date, _, entry = text.partition("/")
            if not DATE.fullmatch(date) or self.entry(date, entry) is None:
                names = [f"{date}/{n}" for page in self.dated(date) for n in page.entries] if DATE.fullmatch(date) else []
                hint = did_you_mean(text, names) if names else "an entry is DATE/name"
                problems.add(Problem("unknown-entry", f"there is no entry `{text}`", item.place, "order", got=text, hint=hint))
        return Notebook(name, said.title, said.aim or "", said.discussion or "", tuple(said.order)), problems

    def files(self) -> list[Path]:
        """Every page of the project, oldest first."""
        return sorted(path for path in self.project.specs.glob("*.yaml"))

    def duplicates(self, page: PageText) -> list[Problem]:
        """A Problem for each entry of `page` whose id stands on another page of the same day."""
        found = []
        for other in self.dated(page.date) if page.date else []:
            if other.file == page.file:
                continue
            for name in set(page.entries) & set(other.entries):
                place = page.tree.items["entries"]
                assert isinstance(place, Mapping)
                found.append(
                    Problem(
                        "duplicate-entry",
                        f"entry `{page.date}/{name}` is also in {other.file}",
                        place.keys[name],
                        f"entries.{name}",
                        hint="ids of entries are unique over all files; rename one",
                    )
                )
        return found

    def _remember_text(self, path: Path) -> None:
        try:
            self.texts[self.shown(path)] = path.read_text("utf-8", errors="replace")
        except OSError:
            self.texts[self.shown(path)] = ""
