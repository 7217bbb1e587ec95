"""A page is named by its path, its file's name or its date; whatever else is typed names none, in words."""

import pytest

from interpreter.cli.main import main
from interpreter.cli.session import page_path
from interpreter.errors import UsageError
from tests.check.pages import PAGE

NO_PAGES = [
    "/nowhere", "/nowhere/2026-01-01.yaml", ".", "", "/", "**x", "*", "2026-01-0?", "[2]026-01-01", "2026-01-0[1]", "x" * 5000,
    "x" * 5000 + ".yaml", "a\0b", "../specs/2026-01-02",
]  # fmt: skip


@pytest.mark.parametrize("name", NO_PAGES, ids=lambda name: ascii(name[:24]))
def test_what_names_no_page_says_so(project, write, name):
    write("2026-01-01", PAGE)
    with pytest.raises(UsageError, match="there is no page"):
        page_path(project, name)


@pytest.mark.parametrize("verb", ["check", "plan", "run", "show", "report", "status", "fmt", "migrate"])
@pytest.mark.parametrize("name", ["/nowhere", "/nowhere/2026-01-01.yaml", "*"])
def test_every_verb_says_so(project, write, monkeypatch, capsys, verb, name):
    write("2026-01-01", PAGE)
    monkeypatch.chdir(project.root)
    assert main([verb, name]) == 2
    assert f"there is no page `{name}`" in capsys.readouterr().err


def test_a_mistyped_path_has_the_nearest_page_as_its_hint(project, write):
    write("2026-01-01", PAGE)
    with pytest.raises(UsageError) as wrong:
        page_path(project, str(project.specs / "2026-01-11.yaml"))
    assert wrong.value.hint == "did you mean `2026-01-01`?"


def test_a_page_is_found_by_path_name_and_date(project, write):
    first, second = write("2026-01-01", PAGE), write("2026-01-02-second", PAGE)
    for name in (str(first), "2026-01-01", "2026-01-01.yaml"):
        assert page_path(project, name) == first
    for name in ("2026-01-02", "2026-01-02-second", "2026-01-02-second.yaml"):
        assert page_path(project, name) == second
    third = write("2026-01-02-third", PAGE)
    with pytest.raises(UsageError, match="`2026-01-02` is several pages: 2026-01-02-second, 2026-01-02-third"):
        page_path(project, "2026-01-02")
    plain = write("2026-01-02", PAGE)
    assert [page_path(project, name) for name in ("2026-01-02", "2026-01-02-third")] == [plain, third]


def test_a_name_with_the_letters_of_a_pattern_is_taken_as_it_is(project, write):
    write("2026-01-01", PAGE)
    odd = write("2026-01-0[1]", PAGE)
    assert page_path(project, "2026-01-0[1]") == odd
