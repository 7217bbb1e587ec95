"""Arms that are the same record are told where a claim compares them, whatever entry they are of."""

import pytest

from interpreter.check.alike import alike
from interpreter.check.page import check_page
from interpreter.spec.library import Library
from tests.check.pages import PAGE

LATER = PAGE.replace("date: 2026-01-01", "date: 2026-01-02")


@pytest.fixture
def entry(project, write):
    """A function that checks a later page beside an earlier one, and gives its entry."""

    def checked(text: str):
        write("2026-01-01", PAGE)
        library = Library(project)
        (found,) = check_page(library, library.page(write("2026-01-02", text))).entries
        return found

    return checked


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("naive ~ 2026-01-01/first/naive", ["same-record"]),
        ("naive ~ 2026-01-01/first/pretrained", []),
        ("naive.acc ~ 2026-01-01/first/naive.test", []),
        ("slow ~ pretrained", []),
    ],
)
def test_an_arm_of_another_entry_may_be_the_same_record(entry, claim, said):
    found = entry(
        LATER.replace("{claim: slow ~ pretrained, on: acc, within: 0.05}", f"{{claim: {claim}, on: acc, within: 0.05}}")
    )
    assert [p.code for p in found.problems if p.code == "same-record"] == said


@pytest.mark.parametrize("change", ["", "seeds: 4", "seeds: {from: 1, n: 3}", "hidden: [17]", "epochs: 3", "classes: [0, 1]"])
def test_equal_settings_at_equal_seeds_are_the_same(entry, change):
    key = change.partition(":")[0]
    old = {"seeds": "seeds: 3", "hidden": "hidden: [16]", "epochs": "epochs: 2", "classes": "classes: [0, 1, 2, 3, 4]"}.get(
        key, ""
    )
    text = LATER.replace(old, change, 1) if old else LATER
    found = entry(text.replace("claim: slow ~ pretrained", "claim: slow ~ 2026-01-01/first/pretrained"))
    (other,) = found.foreign.values()
    assert alike(found.arms["pretrained"], other) == (not change)


def test_who_reproduces_means_the_same_settings(entry):
    claim = "{reproduces: 2026-01-01/first/naive, arm: naive, on: acc, within: 0.05}"
    found = entry(LATER.replace("{claim: slow ~ pretrained, on: acc, within: 0.05}", claim))
    assert not [p for p in found.problems if p.code == "same-record"]
