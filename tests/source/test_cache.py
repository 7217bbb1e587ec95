"""Trees that were kept are the trees that parsing gives, and nothing that is damaged is trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from interpreter.errors import Problems
from interpreter.source import cache
from interpreter.source.load import load, parse
from tests.conftest import ROOT

PAGES = sorted((ROOT / "specs").glob("*.yaml"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_kept_tree_is_the_tree(page: Path, tmp_path: Path):
    fresh, text = load(page, "first.yaml", Problems(), tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 1
    assert fresh == parse(text, "first.yaml", Problems())
    again, _ = load(page, "second.yaml", Problems(), tmp_path)
    assert again == parse(text, "second.yaml", Problems())  # places speak of the file that was asked for


def test_scalars_come_back_as_they_were(tmp_path: Path):
    text = "a: 1\nb: 1.0\nc: '1'\nd: true\ne: off\nf: ~\ng: 1e-3\nh: 0x10\ni: -0.0\nj: [1_000, ''] \nk: {l: \"ü\\n\"}\n"
    tree = parse(text, "x", Problems())
    assert tree is not None
    cache.keep(tmp_path, text, tree)
    assert cache.recall(tmp_path, text, "x") == tree


def test_a_damaged_file_counts_as_none(tmp_path: Path):
    text = "a: {b: [1, 2]}\n"
    tree = parse(text, "x", Problems())
    assert tree is not None
    cache.keep(tmp_path, text, tree)
    (file,) = tmp_path.glob("*.json")
    whole = file.read_text()
    for broken in ("", "[]", "{}", whole[:-2], whole.replace('"m"', '"l"', 1), "[" * 100_000):
        file.write_text(broken)
        assert cache.recall(tmp_path, text, "x") is None


def test_a_page_with_problems_is_parsed_each_time(tmp_path: Path):
    page = tmp_path / "p.yaml"
    page.write_text("a: 1\na: 2\n")
    for _ in range(2):
        problems = Problems()
        load(page, "p.yaml", problems, tmp_path / "cache")
        assert [p.code for p in problems.found] == ["duplicate-key"]
    assert not (tmp_path / "cache").exists()


def test_the_folder_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cache, "MAX_FILES", 8)
    for n in range(40):
        text = f"a: {n}\n"
        tree = parse(text, "x", Problems())
        assert tree is not None
        cache.keep(tmp_path, text, tree)
    assert 4 <= len(list(tmp_path.glob("*.json"))) <= 8


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("")
    tree = parse("a: 1\n", "x", Problems())
    assert tree is not None
    cache.keep(tmp_path / "file", "a: 1\n", tree)
    assert cache.recall(tmp_path / "file", "a: 1\n", "x") is None
