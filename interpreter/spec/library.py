"""The pages of a project, read when first asked for: by file, and by the id of an entry."""

from __future__ import annotations

from pathlib import Path

from interpreter.errors import PageError, Problem, Problems
from interpreter.project import Project
from interpreter.source.nodes import Mapping
from interpreter.spec.page import PageText, read_page


class Library:
    """Every page that a check looks at, each read once; `texts` serves the rendering of problems."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.texts: dict[str, str] = {}
        self._pages: dict[Path, PageText | Problems] = {}

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
            page = read_page(path, shown or self.shown(path))
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
        pages = []
        for path in sorted(self.project.specs.glob(f"{date}*.yaml")):
            if path.stem == date or path.stem.startswith(f"{date}-"):
                try:
                    pages.append(self.page(path))
                except PageError:
                    continue  # told when that page itself is checked
        return pages

    def entry(self, date: str, name: str) -> tuple[PageText, Mapping] | None:
        """The page and tree of entry `date/name`, or None."""
        for page in self.dated(date):
            if name in page.entries:
                return page, page.entries[name]
        return None

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
