"""Facts of models are asked once: of a real process, of broken ones, and then of the cache."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from interpreter.errors import UsageError
from interpreter.project import Project
from interpreter.run.facts import Facts, Refusal, Request, cached, facts_of

CNN = Request({"type": "cnn2d", "channels": [16, 32]}, {}, (1, 8, 8), 5, 1)
MLP = Request({"type": "mlp", "hidden": [4]}, {}, (1, 8, 8), 2, 1)
UNKNOWN = Request({"type": "timm", "name": "resnt18"}, {}, (3, 64, 64), 2, 1)


def file_of(project: Project, request: Request) -> Path:
    return project.cache / "models" / f"{request.key}.json"


@pytest.fixture(scope="module")
def answered() -> bytes:
    """The cache file of CNN, as a real process's answer leaves it."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        (facts,) = facts_of(project, [CNN])
        assert isinstance(facts, Facts)
        return file_of(project, CNN).read_bytes()


@pytest.fixture
def no_python(monkeypatch, tmp_path):
    """Starting Python is impossible."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-python"))


@pytest.fixture
def fake_python(monkeypatch, tmp_path):
    """Puts a shell script where Python is; it counts how often it is started in the file `starts`."""

    def make(script: str) -> Path:
        path, starts = tmp_path / "python", tmp_path / "starts"
        path.write_text(f"#!/bin/sh\necho start >> {starts}\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))
        return starts

    return make


def test_what_was_asked_once_needs_no_process_again(project, monkeypatch):
    assert cached(project, CNN) is None
    first = facts_of(project, [CNN, UNKNOWN, MLP, CNN])
    cnn, unknown, mlp, again = first
    assert isinstance(cnn, Facts) and isinstance(mlp, Facts)
    assert cnn == again
    assert (cnn.encoder, cnn.head, cnn.total, cnn.features, cnn.buffers) == (4848, 165, 5013, 32, 400)
    assert cnn.parameters[0] == ("encoder.conv1.0.weight", (16, 1, 3, 3), True)
    assert cnn.groups["head"] == ("head.0.weight", "head.0.bias")
    assert (mlp.encoder, mlp.head) == (64 * 4 + 4, 4 * 2 + 2)
    assert isinstance(unknown, Refusal) and "resnt18" in unknown.error and "resnet18" in unknown.hint
    assert sorted(path.name for path in (project.cache / "models").iterdir()) == sorted(
        [file_of(project, CNN).name, file_of(project, MLP).name]
    )
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert facts_of(project, [MLP, CNN]) == [mlp, cnn]
    assert cached(project, CNN) == cnn
    with pytest.raises(UsageError, match="/no/such/python can't be started"):
        facts_of(project, [CNN, UNKNOWN])  # a refusal is asked again: it may have come of the machine


@pytest.mark.usefixtures("no_python")
def test_nothing_asked_starts_nothing(project):
    assert facts_of(project, []) == []


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"type": "cnn2d", "channels": [16, 33]}},
        {"head": {"hidden": [3]}},
        {"shape": (3, 8, 8)},
        {"outputs": 6},
        {"version": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_a_request_is_in_its_name(change):
    assert replace(CNN, **change).key != CNN.key
    assert replace(CNN, **change).key == replace(CNN, **change).key


def test_another_version_of_torch_is_asked_again(monkeypatch, tmp_path):
    from interpreter.run import facts

    before = CNN.key
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise AssertionError('imported')\n")
    (tmp_path / "torch" / "version.py").write_text("__version__ = '99.0'\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    facts._versions.cache_clear()
    try:
        assert facts._versions()["torch"] == "99.0"
        assert CNN.key != before
    finally:
        facts._versions.cache_clear()


def test_versions_are_those_that_are_installed():
    from importlib.metadata import version

    from interpreter.run.facts import _versions

    # torch leaves the kind of its build ("+cpu") out of the one or the other.
    assert {name: said.partition("+")[0] for name, said in _versions().items()} == {
        name: version(name).partition("+")[0] for name in ("torch", "timm")
    }


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"[]\n",
        lambda data: b"\xff\xfe\x00",
        lambda data: data.replace(b'"total": 5013', b'"total": 5014'),
        lambda data: data.replace(b'"groups": {', b'"groups": [], "gruops": {'),
    ],
    ids=["torn", "empty", "list", "binary", "count", "shape"],
)
@pytest.mark.usefixtures("no_python")
def test_a_damaged_cache_knows_nothing(project, answered, damage):
    path = file_of(project, CNN)
    path.parent.mkdir(parents=True)
    path.write_bytes(answered)
    assert isinstance(cached(project, CNN), Facts)
    assert damage(answered) != answered
    path.write_bytes(damage(answered))
    assert cached(project, CNN) is None
    with pytest.raises(UsageError, match="can't be started"):
        facts_of(project, [CNN])


def test_a_damaged_cache_is_made_again(project, answered):
    path = file_of(project, CNN)
    path.parent.mkdir(parents=True)
    path.write_bytes(answered[:100])
    (facts,) = facts_of(project, [CNN])
    assert path.read_bytes() == answered
    assert facts == cached(project, CNN)


def test_a_cache_that_can_not_be_written_costs_nothing_but_time(project, answered, fake_python):
    project.cache.write_text("a file, where the folder should be")
    fake_python(f"""cat > /dev/null; echo '{{"said": "ready"}}'; echo '{answered.decode().strip()}'""")
    (facts,) = facts_of(project, [CNN])
    assert isinstance(facts, Facts) and facts.total == 5013
    assert cached(project, CNN) is None


def test_a_process_that_can_not_begin_is_told_in_words(project, fake_python):
    fake_python("""echo "Traceback" >&2; echo "ModuleNotFoundError: No module named 'torch'" >&2; exit 1""")
    with pytest.raises(UsageError, match="models can't be looked at: ModuleNotFoundError: No module named 'torch'") as caught:
        facts_of(project, [CNN])
    assert "-m interpreter.stages.facts" in caught.value.hint


def test_a_model_that_ends_the_process_is_refused_and_the_others_are_not(project, answered, fake_python):
    # Whoever is asked first is answered; the second ends the process.
    say = f"""echo '{{"said": "ready"}}'; echo '{answered.decode().strip()}'"""
    starts = fake_python(f"cat > /dev/null; {say}; printf '{{\"parameters\": [['; kill -9 $$")
    other = replace(CNN, outputs=6)
    last = replace(CNN, outputs=7)
    first, killed, after = facts_of(project, [CNN, other, last])
    assert isinstance(first, Facts) and isinstance(after, Facts)
    assert killed == Refusal("building it failed: its process was ended by SIGKILL (out of memory?)")
    assert starts.read_text().count("start") == 2
    assert cached(project, other) is None


def test_a_model_that_never_ends_is_refused(project, answered, fake_python):
    say = f"""echo '{{"said": "ready"}}'; [ $(wc -l < "$0.starts") -gt 1 ] || echo '{answered.decode().strip()}'"""
    starts = fake_python(f'cat > /dev/null; echo x >> "$0.starts"; {say}; exec sleep 60')
    first, hung = facts_of(project, [CNN, replace(CNN, outputs=6)], timeout_s=1.0)
    assert isinstance(first, Facts)
    assert hung == Refusal("building it failed: it took more than 1 s")
    assert starts.read_text().count("start") == 2  # late after another one, it was given the whole time once more


PLUGIN = """
from interpreter.catalog import Line
LINES = (Line("model", "plain_linear", "facts_plugin.config:PlainLinear", "facts_plugin.build:build", "one layer"),)
"""
PLUGIN_CONFIG = """
from typing import Literal
from interpreter.spec.components.contract import Model

class PlainLinear(Model):
    type: Literal["plain_linear"] = "plain_linear"
    width: int
"""
PLUGIN_BUILD = """
import math
from torch import nn

def build(config, shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), config.width)), config.width
"""


def test_a_model_of_a_plug_in_is_counted_and_its_source_is_in_the_name(project, monkeypatch, tmp_path):
    from interpreter import catalog
    from interpreter.run import facts

    folder = tmp_path / "lib" / "facts_plugin"
    folder.mkdir(parents=True)
    for name, text in (("__init__", PLUGIN), ("config", PLUGIN_CONFIG), ("build", PLUGIN_BUILD)):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder.parent), os.environ.get("PYTHONPATH", "")]))
    mine = replace(project, plugins=("facts_plugin",))
    request = Request({"type": "plain_linear", "width": 7}, {}, (1, 8, 8), 3, 1)
    catalog.use(mine.plugins)
    try:
        (found,) = facts_of(mine, [request])
        assert isinstance(found, Facts)
        assert (found.encoder, found.head, list(found.groups)) == (64 * 7 + 7, 7 * 3 + 3, ["1", "head"])
        before = request.key
        (folder / "build.py").write_text(PLUGIN_BUILD + "# another\n")
        facts._source.cache_clear()
        assert request.key != before
        assert cached(mine, request) is None
        assert "facts_plugin.build" not in sys.modules  # builders are for the other process
    finally:
        catalog.use(())


def test_the_cache_is_plain_json(answered):
    held = json.loads(answered)
    assert held["total"] == sum(count for _, _, count, _ in held["parameters"]) == 5013
    assert list(held["groups"]) == ["conv1", "conv2", "head"]
