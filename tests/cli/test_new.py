"""`expt new`: a page that is right from the first minute, and nothing overwritten."""

import datetime
import subprocess
import sys

import pytest


@pytest.fixture
def expt(project):
    def run(*arguments):
        command = [sys.executable, "-m", "interpreter.cli.main", *arguments]
        return subprocess.run(command, cwd=project.root, capture_output=True, text=True)

    return run


def test_the_page_is_right_and_laid_out(project, expt):
    made = expt("new", "2024-06-28")
    assert made.returncode == 0, made.stderr
    lines = made.stdout.splitlines()
    assert lines[0] == "specs/2024-06-28.yaml"
    assert lines[-1] == "next: expt check 2024-06-28"
    checked = expt("check", "2024-06-28")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "1 page, 1 entry: fine\n", "")
    assert expt("fmt", "--check").returncode == 0
    text = (project.specs / "2024-06-28.yaml").read_text()
    assert "source: embedded" in text
    planned = expt("plan", "2024-06-28", "--profile", "quick")
    assert "2 arms, 4 trials" in planned.stdout


def test_a_page_that_is_there_stays(project, expt, write):
    path = write("2024-06-28", "expt: 1\n")
    made = expt("new", "2024-06-28")
    assert made.returncode == 2
    assert "specs/2024-06-28.yaml is there already" in made.stderr
    assert "--slug" in made.stderr
    assert path.read_text() == "expt: 1\n"


def test_pages_of_one_day_have_entries_of_their_own(project, expt):
    for slug in ("a", "b"):
        assert expt("new", "2024-06-28", "--slug", slug, "--title", 'Is it: "so"? # yes').returncode == 0
    expt("new", "2024-06-28")
    assert 'title: "Is it: \\"so\\"? # yes"' in (project.specs / "2024-06-28-a.yaml").read_text()
    assert expt("check").stdout == "3 pages, 3 entries: fine\n"
    assert "  b:\n" in (project.specs / "2024-06-28-b.yaml").read_text()


def test_a_title_names_the_entry_and_a_number_tells_twins_apart(project, expt):
    for slug in ((), ("--slug", "few-labels")):
        assert expt("new", "2024-06-28", "--title", "Few labels", *slug).returncode == 0
    assert "\n  few-labels:\n    title: Few labels\n" in (project.specs / "2024-06-28.yaml").read_text()
    assert "\n  few-labels-2:\n" in (project.specs / "2024-06-28-few-labels.yaml").read_text()
    assert expt("check").returncode == 0


def test_today(project, expt):
    before = datetime.date.today().isoformat()
    assert expt("new", "today").returncode == 0
    (path,) = project.specs.glob("*.yaml")
    assert path.stem in (before, datetime.date.today().isoformat())


def test_the_schema_is_named_where_there_is_one(project, expt):
    assert "expt schema --output docs/schema/expt-1.json" in expt("new", "2024-06-28").stdout
    assert (project.specs / "2024-06-28.yaml").read_text().startswith("expt: 1\n")
    (project.root / "docs" / "schema").mkdir(parents=True)
    (project.root / "docs" / "schema" / "expt-1.json").write_text("{}")
    assert "schema" not in expt("new", "2024-06-29").stdout
    first = (project.specs / "2024-06-29.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../docs/schema/expt-1.json"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["2024-02-30"], "`2024-02-30` is no day"),
        (["20240628"], "`20240628` is no day"),
        (["yesterday"], "YYYY-MM-DD"),
        (["2024-06-28", "--slug", "../x"], "can't be in a file's name"),
        (["2024-06-28", "--title", "two\nlines"], "one line"),
        (["2024-06-28", "--title", " "], "one line"),
    ],
)
def test_what_is_refused(project, expt, arguments, words):
    made = expt("new", *arguments)
    assert made.returncode == 2
    assert words in made.stderr
    assert list(project.specs.iterdir()) == []
