"""The command line is a contract: its verbs and flags are held here, and every help has an example."""

import argparse
import subprocess
import sys

import pytest

from interpreter.cli.main import parser
from interpreter.errors import UsageError
from interpreter.project import load_project

FLAGS = {
    "check": ["pages", "--profile", "--format", "--deep"],
    "new": ["date", "--title", "--slug"],
    "fmt": ["pages", "--check"],
    "migrate": ["pages", "--write"],
    "schema": ["--output"],
    "diff": ["a", "b", "--profile"],
    "plan": ["page", "--profile", "--entry", "--arm", "--seeds", "--format", "--deep"],
    "run": ["page", "--profile", "--entry", "--arm", "--seeds", "--jobs", "--quiet"],
    "report": ["page", "--profile", "--entry", "--force"],
    "show": ["page", "--profile", "--entry", "--arm", "--resolved", "--origin"],
    "status": ["page", "--profile"],
    "sql": ["query", "--format", "--output", "-o"],
    "data": ["action", "sources", "--hash", "--to", "--checksum"],
    "rebuild": ["--check"],
}


def verbs() -> dict[str, argparse.ArgumentParser]:
    (actions,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(actions.choices)


def test_the_flags_are_what_they_were():
    found = {
        name: [
            word for action in made._actions for word in (action.option_strings or [action.dest]) if word not in ("-h", "--help")
        ]
        for name, made in verbs().items()
    }
    assert found == FLAGS


@pytest.mark.parametrize("verb", FLAGS)
def test_every_help_has_an_example(verb):
    assert f"example:\n  expt {verb}" in verbs()[verb].format_help()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "nothing"], 2, "there is no page `nothing`"),
        (["run", "2026-01-01", "--arm", "naiv"], 2, "did you mean `naive`?"),
        (["run", "2026-01-01", "--entry", "second"], 2, "the page has no entry `second`"),
        (["run", "2026-01-01", "--profile", "quik"], 2, "did you mean `quick`?"),
        (["run", "2026-01-01", "--jobs", "0"], 2, "--jobs takes a number from 1 up"),
        (["plan", "2026-01-01", "--seeds", "0"], 2, "--seeds takes a number from 1 up"),
        (["sql", "SELECT 1"], 4, "expt run"),
        (["sql", "SELECT 1", "--format", "parquet"], 2, "--output"),
        (["data", "lock", "photos"], 2, "expt.toml"),
    ],
)
def test_a_wrong_command_is_answered_in_words(project, write, arguments, code, words):
    from tests.check.pages import PAGE

    write("2026-01-01", PAGE)
    done = subprocess.run(
        [sys.executable, "-m", "interpreter.cli.main", *arguments], cwd=project.root, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_project(tmp_path):
    done = subprocess.run([sys.executable, "-m", "interpreter.cli.main", "check"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no project here" in done.stderr


def test_an_expt_toml_that_is_wrong(project):
    (project.root / "expt.toml").write_text("[run]\nthreds = 2\n")
    done = subprocess.run(
        [sys.executable, "-m", "interpreter.cli.main", "check"], cwd=project.root, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "[run] has no key `threds`" in done.stderr


def test_workers_may_begin_anew(project):
    path = project.root / "expt.toml"
    assert load_project(project.root).execution.restart_workers is False
    path.write_text("[run]\nloader_workers = 2\nrestart_workers = true\n")
    assert load_project(project.root).execution.restart_workers is True
    path.write_text("[run]\nrestart_workers = 1\n")
    with pytest.raises(UsageError, match="restart_workers must be true or false, got 1"):
        load_project(project.root)
