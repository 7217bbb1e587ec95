"""`--deep`: the models of a page built by a real process, from the command line as a user has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interpreter.cli.deep import human
from tests.test_import_budget import HEAVY, imported

PAGE = """\
expt: 1
date: 2026-01-01
datasets:
  digits: {type: digits}
  photos: {type: image_folder, source: photos, roots: {train: train, val: val}, size: 32}
models:
  net: {type: cnn2d, channels: [16, 32]}
  deep: {type: timm, name: resnet18, stem: cifar, max_pool: remove}
schedules: {short: {epochs: 2, batch_size: 32, optimizer: {type: adam, lr: 1e-3}}}
entries:
  first:
    question: Does it count?
    stages:
      tune: {fit: classification, data: digits, model: net, schedule: short}
      look: {fit: classification, data: photos, model: deep, schedule: short}
    arms:
      naive: {chain: [tune], baseline: true}
      wide: {chain: [tune], set: {stages.tune.head.hidden: 64}}
      photographs: [look]
    seeds: 2
"""
# A release in which the type `mlp` is announced: its line in the catalog has no builder.
ANNOUNCED = """
from dataclasses import replace
from interpreter import catalog
line = catalog._BY_NAME["model", "mlp"]
catalog._BY_NAME["model", "mlp"] = replace(line, builder="")
"""
BROKEN = PAGE.replace("name: resnet18", "name: resnt18")
ENCODER = (144 + 32) + (4608 + 64)  # two convolutions without bias, and their norms


def expt(
    folder: Path, *arguments: str, code: int = 0, python: str = sys.executable, before: str = ""
) -> subprocess.CompletedProcess[str]:
    """`expt ARGUMENTS` in `folder`, which must end with `code`; its models are looked at by `python`. `before` is run first."""
    program = f"{before}\nimport sys; sys.executable = {python!r}; from interpreter.cli.main import main\n"
    program += f"sys.exit(main({list(arguments)!r}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def table(text: str) -> dict[tuple[str, ...], list[str]]:
    """Rows of the table of models by (model, total), as lists of cells; spaces of at least two part the cells."""
    lines = [line.strip() for line in text.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("model "))
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[start + 1 :]]
    return {(row[0], row[6]): row for row in rows if len(row) == 8}


@pytest.fixture(scope="module")
def counted(tmp_path_factory) -> Path:
    """A project whose page was checked deep, once. Tests copy it, or leave it as it was."""
    folder = tmp_path_factory.mktemp("counted")
    (folder / "specs").mkdir()
    (folder / "specs" / "2026-01-01.yaml").write_text(PAGE)
    done = expt(folder, "check", "--deep")
    (folder / "said").write_text(done.stdout)
    return folder


def test_every_distinct_model_is_counted(counted):
    said = (counted / "said").read_text()
    assert "specs/2026-01-01.yaml: models and their numbers of parameters" in said
    assert table(said) == {
        ("net", "5.18 k"): ["net", "1 x 8 x 8", "10", "32", "4.85 k", "330", "5.18 k", "naive.tune"],
        ("net", "7.61 k"): ["net", "1 x 8 x 8", "10", "32", "4.85 k", "2.76 k", "7.61 k", "wide.tune"],
        ("deep", "11.2 M"): ["deep", "3 x 32 x 32", "2?", "512", "11.2 M", "1.03 k", "11.2 M", "photographs.look"],
    }
    assert "?: the number of classes is known once the data is read; counted with 2" in said
    assert said.endswith("1 page, 1 entry: fine\n")


def test_a_second_time_starts_no_process(counted):
    again = expt(counted, "check", "--deep", python="/no/such/python")
    assert again.stdout == (counted / "said").read_text()


def test_without_a_process_and_without_a_cache_it_says_so(counted, tmp_path):
    folder = shutil.copytree(counted, tmp_path / "copy", ignore=shutil.ignore_patterns(".expt"))
    done = expt(folder, "check", "--deep", code=2, python="/no/such/python")
    assert "expt: models can't be looked at: /no/such/python can't be started" in done.stderr


def test_check_as_json_has_the_numbers(counted):
    lines = [json.loads(line) for line in expt(counted, "check", "--deep", "--format", "json").stdout.splitlines()]
    models = [line for line in lines if "model" in line]
    assert [(m["model"], m["outputs"], m["outputs_assumed"], m["used_by"]) for m in models] == [
        ("net", 10, False, ["naive.tune"]),
        ("net", 10, False, ["wide.tune"]),
        ("deep", 2, True, ["photographs.look"]),
    ]
    head = 32 * 64 + 64 + 64 * 10 + 10
    assert models[1]["parameters"] == {
        "encoder": ENCODER,
        "head": head,
        "total": ENCODER + head,
        "features": 32,
        "buffer_bytes": 400,
    }


def test_a_model_that_can_not_be_built_is_an_error_at_its_place(project, write):
    write("2026-01-01", BROKEN)
    line = next(number for number, text in enumerate(BROKEN.splitlines(), start=1) if "model: deep," in text)
    column = BROKEN.splitlines()[line - 1].index("deep,") + 1

    planned = expt(project.root, "plan", "2026-01-01", "--deep", code=2)
    assert f"specs/2026-01-01.yaml:{line}:{column}: error[model-cannot-be-built]" in planned.stderr
    assert "the model `deep` can't be built: timm" in planned.stderr and "has no model `resnt18`" in planned.stderr
    assert "did you mean resnet18" in planned.stderr
    assert "2026-01-01/first: 3 arms, 6 trials" in planned.stdout
    assert set(table(planned.stdout)) == {("net", "5.18 k"), ("net", "7.61 k")}  # the others are counted all the same
    assert "not counted yet" not in planned.stdout

    said = [json.loads(text) for text in expt(project.root, "check", "--deep", "--format", "json", code=2).stdout.splitlines()]
    (problem,) = [item for item in said if item.get("code") == "model-cannot-be-built"]
    assert (problem["line"], problem["column"], problem["path"]) == (line, column, "stages.look.model")
    assert [item["parameters"] is None for item in said if "model" in item] == [False, False, True]

    expt(project.root, "check")  # what only torch knows is not asked without --deep


def test_a_page_that_is_wrong_is_not_built(project, write):
    write("2026-01-01", PAGE.replace("model: net", "model: nett"))
    done = expt(project.root, "check", "--deep", code=2, python="/no/such/python")
    assert "nett" in done.stderr and "can't be looked at" not in done.stderr


def test_plan_shows_what_is_cached_and_how_to_get_the_rest(counted, tmp_path):
    planned = expt(counted, "plan", "2026-01-01", python="/no/such/python").stdout
    assert len(table(planned)) == 3
    assert "not counted" not in planned

    folder = shutil.copytree(counted, tmp_path / "copy", ignore=shutil.ignore_patterns(".expt"))
    bare = expt(folder, "plan", "2026-01-01", python="/no/such/python").stdout
    assert bare.endswith("parameters not counted yet: `expt plan 2026-01-01 --deep` counts them, once, in some seconds\n")
    assert "models and their numbers" not in bare

    deep = expt(folder, "plan", "2026-01-01", "--deep", "--arm", "wide").stdout
    assert set(table(deep)) == {("net", "7.61 k")}
    assert os.listdir(folder / ".expt" / "models") != []


def test_plan_as_json_has_the_numbers_of_each_fit(counted):
    stages = [json.loads(line) for line in expt(counted, "plan", "2026-01-01", "--format", "json").stdout.splitlines()]
    totals = {stage["arms"]: stage["parameters"]["total"] for stage in stages}
    assert totals["naive"] == ENCODER + 330
    assert totals["wide"] == ENCODER + 32 * 64 + 64 + 64 * 10 + 10


def test_what_is_announced_is_left_out_and_said(project, write):
    write("2026-01-01", PAGE.replace("{type: timm, name: resnet18, stem: cifar, max_pool: remove}", "{type: mlp, hidden: [4]}"))
    done = expt(project.root, "check", "--deep", before=ANNOUNCED)
    assert set(table(done.stdout)) == {("net", "5.18 k"), ("net", "7.61 k")}
    assert "deep: the model type `mlp` is not built yet" in done.stdout


def test_the_cached_way_imports_nothing_heavy(counted):
    code, names = imported(counted, "check", "--deep")
    assert code == 0
    assert names & HEAVY == set()


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0"), (999, "999"), (1000, "1.00 k"), (9994, "9.99 k"), (9995, "10.0 k"), (99_949, "99.9 k"), (99_950, "100 k"),
     (999_499, "999 k"), (999_500, "1.00 M"), (11_689_512, "11.7 M"), (999_500_000, "1.00 B")],
)  # fmt: skip
def test_counts_have_three_digits(count, words):
    assert human(count) == words
