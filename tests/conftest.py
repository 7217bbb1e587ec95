"""Shared by all tests: a project to write pages in, and where the real data is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from interpreter.project import Project, load_project

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    (tmp_path / "specs").mkdir()
    return load_project(tmp_path.resolve())


@pytest.fixture
def write(project: Project) -> Callable[[str, str], Path]:
    """Writes a page of the project: write("2026-01-01", text)."""

    def write_page(name: str, text: str) -> Path:
        path = project.specs / f"{name}.yaml"
        path.write_text(text, "utf-8")
        return path

    return write_page
