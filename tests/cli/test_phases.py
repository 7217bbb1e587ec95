"""Phases before anything is trained: printed by `show`, refused by `check`, with the names of models really looked at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.cli.test_deep import expt
from tests.test_import_budget import HEAVY, imported

PAGE = """\
expt: 1
date: 2026-01-01
datasets: {digits: {type: digits}}
models:
  net: {type: cnn2d, channels: [16, 32]}
  deep: {type: timm, name: resnet18, stem: cifar, max_pool: remove}
schedules: {short: {epochs: 6, batch_size: 64, optimizer: {type: adam, lr: 1e-3}}}
entries:
  first:
    question: Does it thaw?
    stages:
      tune: {fit: classification, data: digits, model: net, schedule: short}
      slow:
        fit: classification
        data: digits
        model: net
        schedule: short
        thaw:
          by: {phases: [[head], {groups: [conv2], lr: 1e-4, weight_decay: 0, patience: 2}, all]}
          max_epochs: 2
    arms:
      naive: {chain: [tune], baseline: true}
      by-hand: {chain: [slow]}
      by-layer: {chain: [tune], set: {stages.tune.thaw: {by: {layers: 1}, max_epochs: 2}}}
      deep: {chain: [tune], set: {stages.tune.model: deep, stages.tune.thaw: {by: {layers: 1}, patience: 3}}}
    seeds: 1
"""
CONV1, CONV2, HEAD = 144 + 32, 4608 + 64, 330


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose models have been looked at."""
    folder = tmp_path_factory.mktemp("looked")
    (folder / "specs").mkdir()
    (folder / "specs" / "2026-01-01.yaml").write_text(PAGE)
    expt(folder, "plan", "2026-01-01", "--deep")
    return folder


@pytest.fixture
def copy(looked: Path, tmp_path: Path) -> Path:
    """A copy of it, whose page may be changed."""
    return Path(shutil.copytree(looked, tmp_path / "copy"))


def change(folder: Path, old: str, new: str) -> None:
    page = folder / "specs" / "2026-01-01.yaml"
    text = page.read_text()
    assert old in text
    page.write_text(text.replace(old, new))


def stages(folder: Path, arm: str) -> dict:
    said = expt(folder, "show", "2026-01-01", "--resolved", "--arm", arm).stdout
    return YAML(typ="safe").load(said)["entries"]["2026-01-01/first"]["arms"][arm]["stages"]


def test_show_prints_the_phases_with_names_and_counts(looked: Path) -> None:
    phases = stages(looked, "by-hand")["slow"]["phases"]
    assert list(phases) == [0, 1, 2]
    assert phases[0] == {
        "thaws": ["head"], "parameters": HEAD, "names": ["head.0.weight", "head.0.bias"], "peak_lr": 1e-3,
        "trains": f"{HEAD} parameters in 2 tensors", "ends": {"max_epochs": 2},
    }  # fmt: skip
    assert (phases[1]["thaws"], phases[1]["peak_lr"], phases[1]["weight_decay"]) == (["conv2"], 1e-4, 0)
    assert phases[1]["trains"] == f"{HEAD + CONV2} parameters in 5 tensors"
    assert phases[1]["ends"] == {"max_epochs": 2, "patience": 2}
    assert (phases[2]["thaws"], phases[2]["parameters"], phases[2]["ends"]) == (["conv1"], CONV1, "with the fit")
    assert phases[2]["trains"] == f"{HEAD + CONV2 + CONV1} parameters in 8 tensors"


def test_show_prints_layers_from_the_head_downward(looked: Path) -> None:
    phases = stages(looked, "by-layer")["tune"]["phases"]
    assert [phase["thaws"] for phase in phases.values()] == [["head"], ["conv2"], ["conv1"]]
    assert phases[1]["names"] == ["encoder.conv2.0.weight", "encoder.conv2.1.weight", "encoder.conv2.1.bias"]


def test_a_fit_without_a_thaw_has_no_phases_to_show(looked: Path) -> None:
    assert "phases" not in stages(looked, "naive")["tune"]


def test_phases_of_a_published_network(looked: Path) -> None:
    phases = stages(looked, "deep")["tune"]["phases"]
    assert phases[0]["thaws"] == ["head"]
    assert phases[1]["thaws"] == ["layer4.1.conv2"]
    assert phases[1]["names"][0] == "encoder.layer4.1.conv2.weight"
    assert phases[1]["parameters"] == 512 * 512 * 9 + 2 * 512
    total = sum(phase["parameters"] for phase in phases.values())
    assert phases[max(phases)]["trains"].startswith(f"{total} parameters in ")


def test_many_names_are_elided(copy: Path) -> None:
    change(copy, "by: {layers: 1}, patience: 3", "by: {phases: [[head], all]}, patience: 3")
    names = stages(copy, "deep")["tune"]["phases"][1]["names"]
    assert len(names) == 7
    assert names[-1] == "and 54 more"


def test_where_the_model_was_not_looked_at_it_says_how(copy: Path) -> None:
    shutil.rmtree(copy / ".expt")
    assert stages(copy, "by-hand")["slow"]["phases"] == "known once the model was looked at: expt plan 2026-01-01 --deep"
    change(copy, "groups: [conv2]", "groups: [conv7]")
    assert expt(copy, "check").stdout.endswith("fine\n")
    assert "error[thaw-misfit]" in expt(copy, "check", "--deep", code=2).stderr


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        (
            "groups: [conv2]",
            "groups: [conv7]",
            "conv7",
            "phase 1 of the thaw: no group of the model that trains is called `conv7`",
        ),
        ("groups: [conv2]", 'groups: [conv2, "conv*"]', '"conv*"', "names `conv2` twice"),
        ("          max_epochs: 2\n", "", "by:", "would never end"),
    ],
)
def test_check_refuses_what_the_model_has_not_got(copy: Path, old: str, new: str, at: str, words: str) -> None:
    change(copy, old, new)
    said = expt(copy, "check", code=2).stderr
    text = (copy / "specs" / "2026-01-01.yaml").read_text().splitlines()
    line = next(i for i, row in enumerate(text, 1) if at in row and i > 12)
    column = f":{text[line - 1].index(at) + 1}:" if at != "by:" else ":"
    assert f"specs/2026-01-01.yaml:{line}{column}" in said
    assert "error[thaw-misfit]" in said
    assert words in said
    if "group" in words:
        assert "conv1, conv2, head" in said
    expt(copy, "plan", "2026-01-01", code=2)


@pytest.mark.parametrize(("times", "words"), [("conv9: 2", "no group"), ('conv1: 2, "conv*": 3', "twice")])
def test_check_refuses_rates_of_groups_that_are_not_there(copy: Path, times: str, words: str) -> None:
    change(copy, "lr: 1e-3}}}", f"lr: 1e-3}}, lr_times: {{{times}}}}}}}")
    lines = expt(copy, "check", "--format", "json", code=2).stdout.splitlines()
    found = [item for item in map(json.loads, lines) if item["code"] == "rates-misfit"]
    assert found
    assert all(words in item["message"] for item in found)
    assert {item["line"] for item in found} == {7}


@pytest.mark.parametrize("arguments", [("show", "2026-01-01", "--resolved"), ("check",)])
def test_show_and_check_stay_light(looked: Path, arguments: tuple[str, ...]) -> None:
    code, packages = imported(looked, *arguments)
    assert code == 0
    assert not packages & HEAVY


def test_phases_that_can_not_begin_are_told_before_anything_is_trained(copy: Path) -> None:
    change(copy, "by: {layers: 1}, patience: 3", "by: {layers: 1}, max_epochs: 100")
    done = expt(copy, "check")
    assert "warning[no-effect]: phase 1 and those after it can't begin: after 100 epochs at the earliest" in done.stderr
    assert "phase 1 and those after it can't begin" in expt(copy, "plan", "2026-01-01").stderr
