"""`expt fmt`: pages laid out in place, or only named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

UNTIDY = """\
# A page.
date: 2024-06-28
# the language
expt: 1
entries:
    one:
        arms: {a: [x]}
        stages: {x: {evaluate: d}}
""".replace("]}\n", "]}   \n").replace("\n", "\r\n")
TIDY = """\
# A page.
# the language
expt: 1
date: 2024-06-28

entries:
  one:
    stages: {x: {evaluate: d}}
    arms: {a: [x]}
"""


@pytest.fixture
def expt(project):
    def run(*arguments):
        command = [sys.executable, "-m", "interpreter.cli.main", *arguments]
        return subprocess.run(command, cwd=project.root, capture_output=True, text=True)

    return run


def test_a_page_is_laid_out_in_place(project, expt):
    path = project.specs / "2024-06-28.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + UNTIDY.encode())
    path.chmod(0o640)
    done = expt("fmt")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "specs/2024-06-28.yaml\n1 page: 1 laid out, 0 as they were\n"
    assert path.read_bytes() == TIDY.encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert [file.name for file in project.specs.iterdir()] == [path.name]
    before = path.stat().st_mtime_ns
    assert expt("fmt", "2024-06-28").stdout == "1 page: laid out already\n"
    assert path.stat().st_mtime_ns == before


def test_check_names_and_writes_nothing(project, expt, write):
    write("2024-06-27", TIDY.replace("28", "27"))
    path = project.specs / "2024-06-28.yaml"
    path.write_bytes(UNTIDY.encode())
    done = expt("fmt", "--check")
    assert done.returncode == 2
    assert done.stdout == "specs/2024-06-28.yaml\n"
    assert "1 of 2 pages would change" in done.stderr
    assert path.read_bytes() == UNTIDY.encode()


def test_a_page_that_cant_be_read_is_told_and_the_others_are_laid_out(project, expt, write):
    bad = write("2024-06-27", "expt: 1\na: &x 1\nexpt: 2\n")
    (project.specs / "2024-06-28.yaml").write_bytes(UNTIDY.encode())
    done = expt("fmt")
    assert done.returncode == 2
    assert "specs/2024-06-27.yaml:2:4: error[anchor]" in done.stderr
    assert "specs/2024-06-27.yaml:3:1: error[duplicate-key]" in done.stderr
    assert bad.read_text() == "expt: 1\na: &x 1\nexpt: 2\n"
    assert (project.specs / "2024-06-28.yaml").read_text() == TIDY


def test_a_link_stays_a_link(project, expt, tmp_path):
    target = tmp_path / "elsewhere.yaml"
    target.write_bytes(UNTIDY.encode())
    path = project.specs / "2024-06-28.yaml"
    path.symlink_to(target)
    assert expt("fmt").returncode == 0
    assert path.is_symlink()
    assert target.read_text() == TIDY


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cant_be_written(project, expt, write):
    write("2024-06-28", UNTIDY)
    project.specs.chmod(0o500)
    done = expt("fmt")
    project.specs.chmod(0o700)
    assert done.returncode == 2
    assert "can't be written" in done.stderr


def test_pages_of_this_project_change_in_their_order_only(project, expt):
    """Real pages: laid out, each line is still there, and they are laid out only once."""
    for page in (ROOT / "specs").glob("*.yaml"):
        (project.specs / page.name).write_bytes(page.read_bytes())
    assert expt("fmt").returncode == 0
    assert "laid out already" in expt("fmt", "--check").stdout
    for page in (ROOT / "specs").glob("*.yaml"):
        old, new = page.read_text(), (project.specs / page.name).read_text()
        assert sorted(old.replace(" ", "").replace("\n", "")) == sorted(new.replace(" ", "").replace("\n", ""))
