"""The example plug-in as its users have it: installed into an environment, or named in expt.toml; checked, planned and run."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_import_budget import HEAVY, imported

EXAMPLE = ROOT / "examples" / "expt-spirals"
PAGE = "2026-11-20"
SEEDS = ("--seeds", "2")


@dataclass(frozen=True)
class Notebook:
    """A project with the example's page, and the Python that runs it."""

    folder: Path
    python: str
    path: str = ""

    def expt(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), self.path]))}
        command = [self.python, "-P", "-m", "interpreter.cli.main", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=environment)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def plan(self) -> list[dict[str, object]]:
        lines = self.expt("plan", PAGE, *SEEDS, "--format", "json").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def rows(self, query: str) -> list[dict[str, object]]:
        return json.loads(self.expt("sql", query, "--format", "json").stdout)


def notebook(folder: Path, toml: str, python: str = sys.executable, path: str = "") -> Notebook:
    """A new project at `folder` with the example's page alone."""
    shutil.copytree(EXAMPLE / "specs", folder / "specs")
    (folder / "expt.toml").write_text(toml)
    return Notebook(folder, python, path)


def copied(folder: Path) -> Path:
    """The example without what running or building it leaves behind; a build writes into the folder it is given."""
    left = shutil.ignore_patterns("build", "*.egg-info", "__pycache__", "runs", "reports", ".expt", "*.duckdb")
    return shutil.copytree(EXAMPLE, folder, ignore=left)


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """An environment of its own with the example installed by pip, seeing all that is installed here: no network."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    assert own.is_relative_to(folder)
    (own / "present.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", copied(folder / "source")]
    done = subprocess.run([python, *install], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (own / "expt_spirals" / "config.py").is_file()
    return python


@pytest.fixture(scope="module")
def installed(environment, tmp_path_factory) -> Notebook:
    """Run with the example installed: its entry point alone tells that it is there."""
    made = notebook(tmp_path_factory.mktemp("installed") / "project", "", str(environment))
    assert made.expt("check").stdout == "1 page, 1 entry: fine\n"
    assert {row["what"] for row in made.plan()} == {"run"}
    made.expt("run", PAGE, *SEEDS)
    return made


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> Notebook:
    """Run with the example's folder merely on PYTHONPATH, and named in expt.toml."""
    folder = tmp_path_factory.mktemp("listed") / "project"
    made = notebook(folder, 'plugins = ["expt_spirals"]\n', path=str(EXAMPLE / "src"))
    assert made.expt("check").stdout == "1 page, 1 entry: fine\n"
    made.expt("run", PAGE, *SEEDS)
    return made


READINGS = "SELECT arm, seed, value FROM readings WHERE measure = 'test' ORDER BY arm, seed"


@pytest.mark.parametrize(("way", "name"), [("installed", "expt-spirals"), ("listed", "expt_spirals")])
def test_a_page_of_the_plugin_is_run(way, name, request):
    made: Notebook = request.getfixturevalue(way)
    read = {(row["arm"], row["seed"]): row["value"] for row in made.rows(READINGS)}
    assert set(read) == {(arm, seed) for arm in ("fourier", "plain") for seed in (0, 1)}
    assert all(read["fourier", seed] > 0.95 for seed in (0, 1))  # chance is 0.5
    assert all(0.5 < read["plain", seed] < 0.75 for seed in (0, 1))
    # What it was run with: in the record of every stage, since all read the plug-in's dataset, and in the database.
    attempts = sorted(made.folder.glob("runs/*/attempts/0001.json"))
    assert len(attempts) == 8
    for path in attempts:
        about = json.loads(path.read_text())["environment"]
        assert about["plugins"] == {name: "0.1.0"}
        assert re.fullmatch("[0-9a-f]{16}", about["plugin_sources"][name])
    everything = [json.loads(str(row["everything"])) for row in made.rows("SELECT everything FROM environments")]
    assert [row["plugins"] for row in everything] == [{name: "0.1.0"}]
    report = (made.folder / "reports" / PAGE / "spirals.md").read_text()
    assert report.startswith("> Data: spirals (generated: two spirals of 3 turns, noise 0.02).")
    assert {row["what"] for row in made.plan()} == {"reuse"}


def test_how_a_plugin_is_found_changes_neither_keys_nor_numbers(installed, listed):
    assert [row["key"] for row in installed.plan()] == [row["key"] for row in listed.plan()]
    assert installed.rows(READINGS) == listed.rows(READINGS)


def test_without_the_plugin_its_types_are_unknown(tmp_path):
    said = notebook(tmp_path / "project", "").expt("check", code=2).stderr
    assert "error[unknown-dataset]: there is no dataset type `spirals`" in said
    assert "error[unknown-model]: there is no model type `fourier_mlp`" in said
    assert re.search(r"hint: +known: .*digits, image_folder", said)


def test_a_plugin_that_is_listed_and_not_here_ends_each_verb_that_needs_it(tmp_path):
    made = notebook(tmp_path / "project", 'plugins = ["expt_spirals"]\n')
    for verb in (["check"], ["plan", PAGE], ["run", PAGE]):
        assert made.expt(*verb, code=2).stderr.startswith("expt: plug-in `expt_spirals` is not here: there is no module of that")
    assert made.expt("data").returncode == 0


def test_a_builder_that_can_not_be_imported_fails_its_stage_in_words(tmp_path):
    source = copied(tmp_path / "source") / "src"
    (source / "expt_spirals" / "data.py").write_text("import no_such_dependency\n")
    made = notebook(tmp_path / "project", 'plugins = ["expt_spirals"]\n', path=str(source))
    done = made.expt("run", PAGE, "--seeds", "1", "--arm", "plain", code=3)
    expected = (
        "plug-in `expt_spirals`: its builder expt_spirals.data:build can't be imported: ModuleNotFoundError: No module named"
    )
    assert expected in done.stdout + done.stderr


def test_checking_a_page_of_the_plugin_imports_nothing_heavy(tmp_path, monkeypatch):
    made = notebook(tmp_path / "project", 'plugins = ["expt_spirals"]\n')
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(EXAMPLE / "src")]))
    code, names = imported(made.folder, "check")
    assert code == 0
    assert "expt_spirals" in names
    assert names & HEAVY == set()


def test_the_example_s_own_tests_pass_where_it_is_installed(environment, tmp_path):
    source = copied(tmp_path / "source")
    shutil.rmtree(source / "src")  # the installed one is tested
    command = [environment, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_the_example_keeps_to_what_plugins_may_import():
    table = (ROOT / "docs" / "plugins.md").read_text("utf-8").partition("## What may be imported")[2].partition("\n## ")[0]
    allowed = {}
    for module, names in re.findall(r"^\| `(interpreter[\w.]*)` \| ([^|]*) \|", table, re.M):
        allowed[module] = set(re.findall(r"`(\w+)`", names))
    assert len(allowed) == 6
    used = set()
    for path in EXAMPLE.glob("src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert not any(name.name.startswith("interpreter") for name in node.names), path.name
            elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("interpreter"):
                used |= {(node.module, name.name) for name in node.names}
    assert ("interpreter.catalog", "Line") in used
    assert {(module, name) for module, name in used if name not in allowed.get(module, ())} == set()


def test_what_plugins_may_import_is_there():
    from importlib import import_module

    table = (ROOT / "docs" / "plugins.md").read_text("utf-8").partition("## What may be imported")[2].partition("\n## ")[0]
    for module, names in re.findall(r"^\| `(interpreter[\w.]*)` \| ([^|]*) \|", table, re.M):
        for name in re.findall(r"`(\w+)`", names):
            assert hasattr(import_module(module), name), f"{module}.{name}"


def test_the_tests_of_examples_are_not_collected_here():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    assert settings["testpaths"] == ["tests"]
