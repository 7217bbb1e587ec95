"""The JSON Schema of pages: it takes every page that is right, and refuses what is wrong by its shape."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import jsonschema
import pytest

from interpreter import catalog
from interpreter.cli.schema import built_in, offers
from interpreter.errors import Problems
from interpreter.source.load import load, parse
from interpreter.source.nodes import plain
from interpreter.spec.base import Config
from interpreter.spec.components.contract import Model
from interpreter.spec.components.models import Cnn2d, Mlp
from interpreter.spec.schema import Offered, notebook_schema, page_schema
from tests.check.pages import PAGE
from tests.conftest import ROOT

BROKEN = ROOT / "tests" / "check" / "broken"
# Wrong by shape: an unknown or missing key, a value of another kind or out of range, an unknown type.
BY_SHAPE = (
    "bad-seeds checkpoint-rule float-epochs future-version merge-key missing-batch missing-lr no-version number-as-text",
    "reference-no-source set-unknown-root unknown-entry-key unknown-model-type unknown-optimizer unknown-optimizer-key",
    "unknown-top-key",
)
START = "expt: 1\ndate: 2026-01-01\n"
ENTRY = "entries: {e: {stages: {t: {evaluate: d}}, arms: {a: [t]}}}\n"


@pytest.fixture(scope="module")
def page():
    made = page_schema(offers(built_in()))
    jsonschema.Draft7Validator.check_schema(made)
    return jsonschema.Draft7Validator(made)


def tree(text):
    problems = Problems()
    found = parse(text, "page.yaml", problems)
    assert found is not None and not problems.found, problems.found
    return plain(found)


def wrong(validator, text):
    """Where `text` does not fit, as dotted paths."""
    return sorted({".".join(str(step) for step in error.absolute_path) for error in validator.iter_errors(tree(text))})


@pytest.mark.parametrize("path", sorted((ROOT / "specs").glob("*.yaml")), ids=lambda p: p.stem)
def test_pages_of_the_notebook_fit(page, path):
    assert wrong(page, path.read_text("utf-8")) == []


def test_the_page_that_other_tests_change_fits_and_so_does_the_readmes(page):
    assert wrong(page, PAGE) == []
    assert wrong(page, (ROOT / "README.md").read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]) == []


@pytest.mark.parametrize("name", " ".join(BY_SHAPE).split())
def test_what_is_wrong_by_shape_does_not_fit(page, name):
    found, _ = load(BROKEN / f"{name}.yaml", name, Problems())
    assert not page.is_valid(plain(found))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("models: {m: {extends: n, kernel: 5}}\n", []),
        ("models: {m: {extends: n, kernal: 5}}\n", ["models.m"]),
        ("models: {m: {type: cnn2d, channels: [8], kernel: off, activation: off}}\n", []),
        ("models: {m: {type: cnn2d, channels: [8], kernel: none}}\n", ["models.m"]),
        ("models: {m: {type: cnn2d, channels: []}}\n", ["models.m"]),
        ("models: {m: {type: ensemble, of: {type: wide_resnet18, width: 2}, members: 4}}\n", []),
        ("models: {m: {type: ensemble, of: {type: wide_resnet18}, members: 4}}\n", ["models.m"]),
        ("models: {m: 2024-06-28#models.cnn}\n", []),
        ("models: {m: 2024-06-28#datasets.cnn}\n", ["models.m"]),
        ("models: {M: {type: mlp, hidden: [8]}}\n", ["models"]),
        ("schedules: {s: {extends: t, optimizer: {lr: 0.1}}}\n", []),
        ("schedules: {s: {extends: t, optimizer: {rate: 0.1}}}\n", ["schedules.s"]),
        ("schedules: {s: {epochs: 2, batch_size: 3, optimizer: {lr: 0.1}}}\n", ["schedules.s"]),
        ("schedules: {s: {epochs: 2, batch_size: 3, optimizer: {type: sgd, lr: 1}, precision: 16}}\n", []),
        ("schedules: {s: {epochs: 2, batch_size: 3, optimizer: {type: sgd, lr: 1}, precision: 8}}\n", ["schedules.s"]),
    ],
)
def test_components(page, text, at):
    assert wrong(page, START + text + ENTRY) == at


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("about: 2026-01-05", []),
        ("about: yesterday", ["entries.e.about"]),
        ("seeds: {from: 5, n: 5}", []),
        ("seeds: {from: 5}", ["entries.e.seeds"]),
        ("seeds: {t: 3, u: {from: 1, n: 2}}", []),
        ("references: {r: {acc: 0.9, rmse: 2, source: a paper}}", []),
        ("references: {r: {acc: high, source: a paper}}", ["entries.e.references.r.acc"]),
        ("expect: {c: {claim: a < b, margin: 0}}", []),
        ("expect: {c: {claim: a < b, over_last: 3}}", ["entries.e.expect.c"]),
        ("expect: {c: {shape: plateaus, arm: a, on: val/loss, over_last: 3}}", []),
        ("expect: {c: {shape: flat, arm: a, on: val/loss}}", ["entries.e.expect.c.shape"]),
        ("profiles: {p: {datasets.d: {per_class: 5}, seeds: 2, stages.t: off}}", []),
        ("profiles: {p: {datasets.d: {per_klass: 5}}}", ["entries.e.profiles.p.datasets.d"]),
        ("profiles: {p: {arms.a: off}}", ["entries.e.profiles.p"]),
        ("charts: {c: {sql: SELECT 1, x: a, y: b}, d: {kind: curves}}", []),
        ("charts: {c: {sql: SELECT 1, kind: curves}}", ["entries.e.charts.c"]),
        ("tables: {t: {rows: arm, columns: [acc]}, u: {sql: SELECT 1}}", []),
    ],
)
def test_entries(page, text, at):
    assert wrong(page, START + ENTRY.replace("}}\n", f", {text}}}}}\n")) == at


@pytest.mark.parametrize(
    ("arm", "right"),
    [
        ("[t]", True),
        ("{chain: [t], baseline: true, vary: {stages.t.part: [test, val]}}", True),
        ("{chain: [t], vary: {stages.t.part: {one: test, two: val}}}", True),
        ("{chain: [t], vary: {stages.t.part: test}}", False),
        ("{chain: [t], set: {schedules.s.epochs: 3}}", True),
        ("{chain: [t], set: {schedule.s.epochs: 3}}", False),
        ("{combine: b, members: 4}", True),
        ("{combine: b, members: 1}", False),
        ("{import: old.csv, split: val}", True),
        ("{import: old.csv, chain: [t]}", False),
        ("{set: {seeds: 3}}", False),
    ],
)
def test_arms(page, arm, right):
    assert (wrong(page, START + ENTRY.replace("a: [t]", f"a: {arm}")) == []) == right


def test_every_key_is_told(page):
    silent = []

    def look(name, schema):
        for key, below in schema.get("properties", {}).items():
            if key != "type" and not below.get("description"):
                silent.append(f"{name}.{key}")

    for name, schema in page.schema["definitions"].items():
        look(name, schema)
    look("page", page.schema)
    assert silent == []


def test_what_is_not_built_says_so():
    announced = {
        **offers(built_in()),
        "model": {"mine": Offered(Mlp, "a model of mine", False), "cnn2d": Offered(Cnn2d, "one", True)},
    }
    definitions = page_schema(announced)["definitions"]
    assert definitions["model.mine"]["x-built"] is False
    assert definitions["model.mine"]["description"].endswith("(not built yet)")
    assert "x-built" not in definitions["model.cnn2d"]
    assert definitions["Fit"]["properties"]["thaw"]["description"].startswith("Which parameters train when.")
    assert "x-built" not in definitions["Thaw"]


def test_types_of_plug_ins_are_in_it():
    mine = {**offers(built_in()), "model": {"mine": Offered(Mlp, "a model of mine", True)}}
    validator = jsonschema.Draft7Validator(page_schema(mine))
    assert wrong(validator, f"{START}models: {{m: {{type: mine, hidden: [3]}}}}\n{ENTRY}") == []
    assert wrong(validator, f"{START}models: {{m: {{type: mlp, hidden: [3]}}}}\n{ENTRY}") == ["models.m"]


class Augment(Config):
    """Of a plug-in, and called like one that is built in."""

    noise: tuple[float, ...] = ()
    """How much noise."""
    rule: bytes | None = None
    """Of a type that JSON knows nothing of."""


class Noisy(Model):
    type: Literal["noisy"] = "noisy"
    augment: Augment = Augment()
    """What is done to examples."""


def test_a_plug_in_may_have_names_and_types_of_its_own():
    mine = {**offers(built_in()), "model": {"noisy": Offered(Noisy, "a model of mine", True)}}
    validator = jsonschema.Draft7Validator(page_schema(mine))
    start = f"{START}datasets: {{d: {{type: image_folder, source: x, size: 8, augment: {{flip: 0.5}}}}}}\n{ENTRY}"
    assert wrong(validator, f"{start}models: {{m: {{type: noisy, augment: {{noise: [1, 2.5, 3], rule: [x]}}}}}}\n") == []
    assert wrong(validator, f"{start}models: {{m: {{type: noisy, augment: {{flip: 0.5}}}}}}\n") == ["models.m"]


def test_the_verb_knows_the_plug_ins_of_the_project(project):
    example = ROOT / "examples" / "expt-spirals"
    (project.root / "expt.toml").write_text('plugins = ["expt_spirals"]\n', "utf-8")
    command = [sys.executable, "-m", "interpreter.cli.main", "schema"]
    environment = {**os.environ, "PYTHONPATH": str(example / "src")}
    done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=True)
    validator = jsonschema.Draft7Validator(json.loads(done.stdout))
    (path,) = (example / "specs").glob("*.yaml")
    text = path.read_text("utf-8")
    assert wrong(validator, text) == []
    assert wrong(validator, text.replace("turns:", "turn:")) == ["datasets.two"]


def test_a_notebooks_own_file():
    validator = jsonschema.Draft7Validator(notebook_schema())
    for path in sorted((ROOT / "specs" / "notebooks").glob("*.yaml")):
        assert wrong(validator, path.read_text("utf-8")) == []
    assert wrong(validator, "expt: 1\ntitle: A notebook\norder: [2024-06-28/first]\n") == []
    assert wrong(validator, "expt: 1\naim: none\n") == [""]


def test_the_verb_writes_it_within_three_seconds(project):
    started = time.monotonic()
    command = [sys.executable, "-m", "interpreter.cli.main", "schema", "--output", "made/schema.json"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "made/schema.json\n", "")
    assert time.monotonic() - started < 3
    made = json.loads((Path(project.root) / "made" / "schema.json").read_text("utf-8"))
    models = {name.partition(".")[2] for name in made["definitions"] if name.startswith("model.")}
    assert {line.type for line in catalog.LINES if line.kind == "model"} <= models
