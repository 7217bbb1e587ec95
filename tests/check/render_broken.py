"""Renders the problems of a broken page as the user sees them; shared by the golden test and by its renewal."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from interpreter.check.page import check_page
from interpreter.errors import PageError
from interpreter.project import Project
from interpreter.source.caret import render_all
from interpreter.spec.library import Library

BROKEN = Path(__file__).parent / "broken"


def rendered(page: Path) -> str:
    """The problems of `page`, checked as specs/2026-01-01.yaml of an empty project."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder).resolve())
        project.specs.mkdir()
        path = project.specs / "2026-01-01.yaml"
        shutil.copy(page, path)
        library = Library(project)
        try:
            checked = check_page(library, library.page(path))
        except PageError as error:
            return render_all(error.problems, library.texts) + "\n"
        return render_all(checked.problems, library.texts) + "\nno error\n"


if __name__ == "__main__":
    for path in sorted(BROKEN.glob("*.yaml")):
        path.with_suffix(".txt").write_text(rendered(path), "utf-8")
