"""`expt migrate`: shown first, written when asked for, and right afterwards."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "spec" / "migrations"


@pytest.fixture
def expt(project):
    def run(*arguments):
        command = [sys.executable, "-m", "interpreter.cli.main", *arguments]
        return subprocess.run(command, cwd=project.root, capture_output=True, text=True)

    return run


def test_a_draft_is_shown_then_lifted_then_right(project, expt, write):
    draft, lifted = (FOLDER / "v0-draft.yaml").read_text(), (FOLDER / "v1.yaml").read_text()
    path = write("2023-01-30", draft)
    shown = expt("migrate")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "--- specs/2023-01-30.yaml (version 0)\n+++ specs/2023-01-30.yaml (version 1)\n" in shown.stdout
    assert "\n-version: 0          # the draft had no name of its own\n+expt: 1          # the draft" in shown.stdout
    assert "nothing was written" in shown.stdout
    assert path.read_text() == draft
    written = expt("migrate", "2023-01-30", "--write")
    assert (written.returncode, written.stderr) == (0, "")
    assert "lifted from version 0 to 1" in written.stdout
    assert path.read_text() == lifted
    checked = expt("check")
    assert (checked.returncode, checked.stdout) == (0, "1 page, 1 entry: fine\n")
    assert "error[" not in checked.stderr  # three seeds are few, and it says so
    assert expt("migrate", "2023-01-30").stdout == "specs/2023-01-30.yaml: in version 1 already\n"
    assert expt("migrate", "--write").stdout == "1 page: in version 1 already\n"
    assert path.read_text() == lifted


def test_what_cant_be_lifted_is_told_and_nothing_is_written(project, expt, write):
    text = (
        (FOLDER / "v0-draft.yaml").read_text().replace("text: pretrained > scratch on accuracy by 0.02", "text: it gets better")
    )
    path = write("2023-01-30", text)
    done = expt("migrate", "--write")
    assert done.returncode == 2
    assert "specs/2023-01-30.yaml:59:15: error[hypotheses]: this text can't be read as a comparison" in done.stderr
    assert "A > B on MEASURE by 0.01" in done.stderr
    assert path.read_text() == text
