"""Every profile of an entry is read when its page is checked, applied or not."""

import pytest

from interpreter.check import arms
from interpreter.check.page import check_page
from interpreter.errors import PageError
from interpreter.spec.library import Library
from tests.check.pages import PAGE


def told(project, path, **options) -> list[tuple[str, int]]:
    library = Library(project)
    with pytest.raises(PageError) as wrong:
        check_page(library, library.page(path), **options)
    return [(p.code, p.place.line) for p in wrong.value.problems if p.severity == "error"]


def line_of(text: str, what: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if what in line)


BROKEN = PAGE.replace("seeds: 1}", "seeds: 0}")


@pytest.mark.parametrize("profile", ["", "other"])
def test_a_profile_that_is_not_applied_is_read_all_the_same(project, write, profile):
    text = BROKEN + "      other: {}\n"
    assert told(project, write("2026-01-01", text), profile=profile) == [("bad-seeds", line_of(text, "quick:"))]


def test_what_the_full_scale_has_too_is_told_once(project, write):
    text = PAGE.replace("lr: 1e-4", "lr: -1").replace("hidden: [16]", "hidden: [-16]")
    path = write("2026-01-01", text)
    assert [code for code, _ in told(project, path)] == ["bad-value", "bad-value"]


def test_a_record_is_read_as_it_ran_whatever_its_other_profiles_say(project, write):
    library = Library(project)
    page = library.page(write("2026-01-01", BROKEN))
    assert check_page(library, page, others=False).entries


def test_few_seeds_and_weak_designs_of_a_profile_are_not_told(project, write):
    library = Library(project)
    page = library.page(write("2026-01-01", PAGE))
    alone = check_page(library, page, others=False)
    assert check_page(library, page).problems == alone.problems
    assert {p.code for p in check_page(library, page, "quick").problems} - {p.code for p in alone.problems}


def test_of_a_sweep_with_too_many_broken_points_the_first_tell(project, write, monkeypatch):
    monkeypatch.setattr(arms, "MAX_BROKEN", 3)
    values = ", ".join(map(str, range(2, 12)))
    text = PAGE.replace(
        "    seeds: 3\n", f"      s: {{chain: [tune], vary: {{stages.tune.head.dropout: [{values}]}}}}\n    seeds: 3\n"
    )
    text = text.replace("    profiles:\n      quick: {schedules.short.epochs: 1, seeds: 1}\n", "")
    assert len(told(project, write("2026-01-01", text))) == 3
