"""What an editor offers, tells and underlines in a page, asked of the language server that editors use.

The server is installed once, with the versions of package-lock.json, into node_modules beside this file.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from interpreter import catalog
from tests.conftest import ROOT
from tests.language_server.client import Editor

HERE = Path(__file__).parent
SERVER = HERE / "node_modules" / ".bin" / "yaml-language-server"
PINNED = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]["yaml-language-server"]
HEAD = "# yaml-language-server: $schema=../docs/schema/expt-1.json\nexpt: 1\ndate: 2026-01-01\n"
REST = "entries: {e: {stages: {t: {evaluate: d}}, arms: {a: [t]}}}\n"


def install():
    """Install the pinned server where it is not there yet; skips the tests that need it where that can't be done."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("the language server needs node and npm, and they are not here")
    package = SERVER.parents[1] / "yaml-language-server" / "package.json"
    if package.is_file() and json.loads(package.read_text("utf-8"))["version"] == PINNED:
        return
    try:
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=HERE, capture_output=True, text=True, timeout=120
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"yaml-language-server {PINNED} can't be installed: npm didn't end within two minutes")
    if done.returncode:
        pytest.skip(f"yaml-language-server {PINNED} can't be installed: {done.stderr.strip().partition(chr(10))[0]}")


@pytest.fixture(scope="module")
def editor():
    install()
    made = Editor([str(SERVER), "--stdio"], ROOT)
    yield made
    made.close()


@pytest.fixture(scope="module")
def at(editor):
    """Opens a page whose cursor is at `^`; its URI, line and character."""
    count = iter(range(100))

    def opened(text):
        before, _, after = (HEAD + text).partition("^")
        uri = editor.open(ROOT / "specs" / f"2026-01-01-edited-{next(count)}.yaml", before + after)
        return uri, before.count("\n"), len(before) - before.rfind("\n") - 1

    return opened


def test_types_of_models_are_offered_with_what_they_are(editor, at):
    for text in ("models:\n  cnn:\n    type: ^\n", "models:\n  cnn: {type: ^}\n"):
        offered = editor.completion(*at(text))
        assert list(offered) == [line.type for line in catalog.LINES if line.kind == "model"]
        assert offered["cnn2d"]["documentation"] == "a plain convolutional network for images"
        assert offered["cnn3d"]["documentation"] == "a plain convolutional network for volumes"


def test_keys_of_the_type_are_offered_and_of_no_other(editor, at):
    keys = {"channels", "kernel", "pool", "batch_norm", "activation", "global_pool", "dropout"}
    for text in ("models:\n  cnn:\n    type: cnn2d\n    ^\n", "models:\n  cnn: {type: cnn2d, k^}\n"):
        offered = editor.completion(*at(text))
        assert keys <= offered.keys()
        assert not {"hidden", "name", "padding"} & offered.keys()  # of mlp, timm, cnn3d
        assert offered["dropout"]["documentation"] == "Probability of zeroing a whole channel after each convolution."
    assert not keys & editor.completion(*at("models:\n  cnn:\n    ^\n")).keys()


def test_a_type_that_begins_as_another_does_is_its_own(editor, at):
    offered = editor.completion(*at("schedules:\n  s:\n    epochs: 1\n    optimizer:\n      type: adam\n      ^\n"))
    assert {"lr", "betas", "amsgrad"} <= offered.keys()
    assert "AdamW" not in offered


def test_stages_and_claims_are_offered_by_what_they_are(editor, at):
    stage = "entries:\n  e:\n    stages:\n      t:\n        "
    assert list(editor.completion(*at(f"{stage}^\n"))) == ["fit", "evaluate", "probe", "score"]
    offered = editor.completion(*at(f"{stage}fit: ^\n"))
    assert {"classification", "regression"} <= offered.keys()
    offered = editor.completion(*at(f"{stage}fit: classification\n        ^\n"))
    assert {"data", "model", "schedule", "head", "start"} <= offered.keys()
    assert not {"evaluate", "pick", "replicates"} & offered.keys()
    offered = editor.completion(*at("entries:\n  e:\n    expect:\n      c:\n        claim: a < b\n        ^\n"))
    assert {"margin", "within", "on", "why"} <= offered.keys()


def test_hovering_says_what_a_key_means(editor, at):
    text = "schedules:\n  s: {epochs: 1, bat^ch_size: 3, optimizer: {type: adam, lr: 1e-3}}\n"
    assert "Examples of an optimizer step, over all devices together" in editor.hover(*at(text))
    text = "entries:\n  e:\n    stages:\n      t: {fit: classification, tha^w: {patience: 3}}\n"
    assert "Which parameters train when" in editor.hover(*at(text))
    text = "entries:\n  e:\n    stages:\n      t: {fit: {type: classification, grou^ps: 4}}\n"
    assert "Equal parts that the features of one network are cut into" in editor.hover(*at(text))


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("models: {m: {type: cnn2d, channels: [3], kernal: 3}}\n", 41, "Property kernal is not allowed."),
        ("models: {m: {type: cnn2d}}\n", 9, 'Missing property "channels".'),
        ("models: {m: {type: cnn2d, channels: [3], dropout: 1.5}}\n", 50, "Value is above the exclusive maximum of 1."),
        ("schedules: {s: {extends: t, epoch: 3}}\n", 28, "Property epoch is not allowed."),
    ],
)
def test_what_is_wrong_is_underlined(editor, at, text, column, message):
    uri, _, _ = at(f"{text}{REST}^")
    found = editor.problems(uri)
    assert [(p["message"], p["range"]["start"]) for p in found] == [(message, {"line": 3, "character": column})]


@pytest.mark.parametrize("page", sorted((ROOT / "specs").glob("*.yaml")), ids=lambda p: p.stem)
def test_pages_have_nothing_underlined(editor, page):
    text = page.read_text("utf-8")
    if "$schema=" not in text.splitlines()[0]:
        text = HEAD.splitlines()[0] + "\n" + text
    assert editor.problems(editor.open(page, text)) == []
