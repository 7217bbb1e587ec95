"""The start-up budget: light verbs import nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.check.pages import PAGE

HEAVY = {
    "torch",
    "torchvision",
    "lightning",
    "escnn",
    "timm",
    "duckdb",
    "altair",
    "numpy",
    "scipy",
    "pandas",
    "sklearn",
    "pyarrow",
    "rich",
}

PROBE = """
import json, sys
from interpreter.cli.main import main
code = main(sys.argv[1:])
print("\\nIMPORTED " + json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def imported(folder: Path, *arguments: str) -> tuple[int, set[str]]:
    """The exit code of `expt ARGUMENTS` run in `folder`, and the packages it imported."""
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    code, names = json.loads(done.stdout.rpartition("IMPORTED ")[2])
    return code, set(names)


@pytest.mark.parametrize("verb", ["check", "plan", "show", "show --resolved", "status", "data"])
def test_light_verbs_import_nothing_heavy(tmp_path, verb):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "2026-01-01.yaml").write_text(PAGE)
    words = verb.split()
    page = [] if words[0] == "data" else ["2026-01-01"]
    code, names = imported(tmp_path, words[0], *page, *words[1:])
    assert code == 0
    assert "pydantic" in names or words[0] in ("data", "status")
    assert names & HEAVY == set()
