"""`expt check` over several pages: what is told once, what is counted, and files that are no pages."""

import json
import re

import pytest

from interpreter.cli.main import main
from interpreter.cli.session import show_problems
from interpreter.errors import Problem, Severity
from tests.check.pages import PAGE

BUILT_ON = PAGE.replace("date: 2026-01-01", "date: {date}").replace(
    "      tune: {fit: classification, data: few, model: net, schedule: short}", "      tune: 2026-01-01/first#tune"
)


@pytest.fixture
def pages(project, write, monkeypatch):
    """A page, and two that take a stage from it; a function that checks all of them and gives what was told of each."""

    def check(first: str, *more: str) -> list[dict[str, str]]:
        write("2026-01-01", first)
        for date in ("2026-01-02", "2026-01-03"):
            write(date, BUILT_ON.replace("{date}", date))
        monkeypatch.chdir(project.root)
        main(["check", "--format", "json", *more])

    return check


def told(capsys) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_mistake_is_told_once_however_many_pages_build_on_it(pages, capsys):
    pages(PAGE.replace("data: few, model: net", "data: few, model: net, tihng: 1"))
    found = [p for p in told(capsys) if p["code"] == "unknown-key"]
    assert [(p["file"], p["got"]) for p in found] == [("specs/2026-01-01.yaml", "tihng")]


def test_a_page_that_ends_otherwise_is_told(pages, project, capsys):
    (project.specs / "2026-02-01.yml").write_text(PAGE)
    pages(PAGE)
    (found,) = [p for p in told(capsys) if p["code"] == "unread-page"]
    assert (found["severity"], found["file"], found["line"]) == ("warning", "specs/2026-02-01.yml", 1)
    pages(PAGE, "2026-01-01")
    assert not [p for p in told(capsys) if p["code"] == "unread-page"]  # who names a page asks for that one


@pytest.mark.parametrize(
    ("errors", "warnings", "notes", "said"),
    [
        (0, 0, 1, "1 note"),
        (0, 2, 1, "2 warnings and 1 note"),
        (1, 0, 0, "1 error"),
        (2, 1, 3, "2 errors, 1 warning and 3 notes"),
    ],
)
def test_problems_are_counted_by_what_they_are(errors, warnings, notes, said, capsys):
    kinds = [Severity.ERROR] * errors + [Severity.WARNING] * warnings + [Severity.NOTE] * notes
    show_problems([Problem("bad-value", "wrong", severity=kind) for kind in kinds])
    assert capsys.readouterr().err.splitlines()[-1] == said


def test_who_gives_an_arm_a_wrong_key_hears_of_that_alone(project, write, monkeypatch, capsys):
    write("2026-01-01", PAGE.replace("slow: {chain:", "slow: {chian:"))
    monkeypatch.chdir(project.root)
    assert main(["check"]) == 2
    assert re.findall(r"error\[([a-z-]+)\]", capsys.readouterr().err) == ["unknown-key"]
