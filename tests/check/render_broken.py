"""Renders the problems of a page as the user sees them; shared by the golden tests and by their renewal.

A case is a page NAME.yaml, or a folder NAME with a whole project whose page specs/2026-01-01.yaml is checked; NAME.txt beside it
is what is said. A first line `# profile: NAME` checks the page at that profile. Cases under broken/ have errors, those under
noted/ only warnings and notes.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from interpreter.check.page import check_page
from interpreter.errors import PageError
from interpreter.plan.build import build_plan
from interpreter.project import Project
from interpreter.source.caret import render_all
from interpreter.spec.library import Library

BROKEN = Path(__file__).parent / "broken"
NOTED = Path(__file__).parent / "noted"
PAGE = "2026-01-01.yaml"
_PROFILE = b"# profile: "


def cases(folder: Path) -> list[Path]:
    """The cases of a folder: pages, and folders of several."""
    return sorted(path for path in folder.iterdir() if path.suffix == ".yaml" or path.is_dir())


def golden(case: Path) -> Path:
    """Where the words of a case are."""
    return case.with_name(f"{case.stem}.txt")


def rendered(case: Path) -> str:
    """The problems of a case, checked and planned as specs/2026-01-01.yaml of a project that has nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder).resolve())
        if case.is_dir():
            shutil.copytree(case, project.root, dirs_exist_ok=True)
        else:
            project.specs.mkdir()
            shutil.copy(case, project.specs / PAGE)
        path = project.specs / PAGE
        first = path.read_bytes().partition(b"\n")[0]
        profile = first.removeprefix(_PROFILE).decode() if first.startswith(_PROFILE) else ""
        library = Library(project)
        try:
            checked = check_page(library, library.page(path), profile)
            build_plan(checked, {})
        except PageError as error:
            return render_all(error.problems, library.texts) + "\n"
        return (render_all(checked.problems, library.texts) + "\n\nno error\n").lstrip("\n")


if __name__ == "__main__":
    for each in [*cases(BROKEN), *cases(NOTED)]:
        golden(each).write_text(rendered(each), "utf-8")
