"""A project, and short ways to ask its database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interpreter.project import Project
from interpreter.results.read import query
from tests.plans import make_project

Ask = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path.resolve() / "project")


@pytest.fixture
def ask(project: Project) -> Ask:
    return lambda sql, *params: list(query(project, sql, params).rows)
