"""A note is an entry without arms: prose, the same in every profile, with a report and nothing to run."""

import pytest

from interpreter.check.page import check_page
from interpreter.cli.main import main
from interpreter.errors import PageError
from interpreter.plan.build import build_plan
from interpreter.spec.library import Library
from tests.check.pages import PAGE

NOTE = """\
expt: 1
date: 2026-01-01
entries:
  reading:
    notebook: networks
    title: What others did
    question: Is there a network like it?
    notes: |
      There is, see [the next day](2026-01-02/first).
    updates: [{date: 2026-01-02, text: Tried., entry: 2026-01-02/first}]
    conclusion: Try it.
"""
NEXT = PAGE.replace("date: 2026-01-01", "date: 2026-01-02")


def checked(project, path, profile=""):
    library = Library(project)
    return check_page(library, library.page(path), profile)


@pytest.mark.parametrize("profile", ["", "quick", "no-such"])
def test_a_note_is_fine_and_plans_nothing_in_any_profile(project, write, profile):
    write("2026-01-02", NEXT)
    found = checked(project, write("2026-01-01", NOTE), profile)
    assert not found.problems
    plan = build_plan(found, {})
    (entry,) = plan.entries
    assert (entry.id, entry.arms, dict(plan.stages)) == ("2026-01-01/reading", (), {})
    assert (entry.entry.title, entry.entry.updates[0].entry) == ("What others did", "2026-01-02/first")


def test_a_note_stands_beside_what_is_run(project, write):
    entries = NOTE.split("entries:\n")[1].split("    updates")[0].replace("2026-01-02/first", "2026-01-01/first")
    found = checked(project, write("2026-01-01", PAGE + entries), "quick")
    assert [(entry.id, len(entry.arms)) for entry in found.entries] == [("2026-01-01/first", 3), ("2026-01-01/reading", 0)]
    assert not [problem for problem in found.problems if "reading" in problem.message]


@pytest.mark.parametrize(
    "more", ["seeds: 3", "measures: {a: {metric: val/loss}}", "stages: {}", "arms: {}", "profiles: {quick: {}}", "tables: {}"]
)
def test_what_is_said_of_arms_needs_arms(project, write, more):
    write("2026-01-02", NEXT)
    with pytest.raises(PageError) as wrong:
        checked(project, write("2026-01-01", NOTE + f"    {more}\n"))
    (problem,) = [p for p in wrong.value.problems if p.path == "arms"]
    assert problem.code == "missing-key" and "an entry without arms is a note" in problem.hint


def test_a_note_has_notes(project, write):
    with pytest.raises(PageError) as wrong:
        checked(project, write("2026-01-01", "expt: 1\ndate: 2026-01-01\nentries: {a: {title: Nothing}}\n"))
    assert "missing-key" in {p.code for p in wrong.value.problems}


def test_nobody_goes_on_from_a_note(project, write):
    write("2026-01-01", NOTE.replace("    updates: [{date: 2026-01-02, text: Tried., entry: 2026-01-02/first}]\n", ""))
    later = NEXT.replace("chain: [tune, final], baseline", 'chain: ["2026-01-01/reading/cnn.fit@last", tune], baseline')
    for profile in ("", "quick"):
        with pytest.raises(PageError) as wrong:
            checked(project, write("2026-01-02", later), profile)
        assert {"unknown-arm"} <= {p.code for p in wrong.value.problems}
        assert "unknown-profile" not in {p.code for p in wrong.value.problems}


def test_a_note_is_planned_run_and_has_a_report(project, write, monkeypatch, capsys):
    write("2026-01-02", NEXT)
    write("2026-01-01", NOTE)
    (project.root / "expt.toml").write_text("")
    monkeypatch.chdir(project.root)
    assert main(["plan", "2026-01-01"]) == 0
    assert capsys.readouterr().out.splitlines() == ["2026-01-01: 0 stages", "2026-01-01/reading: a note, nothing to run"]
    assert main(["run", "2026-01-01", "--quiet"]) == 0
    html = (project.root / "reports/2026-01-01/reading.html").read_text("utf-8")
    assert "There is, see" in html and "Try it." in html and "Tried." in html
    assert html.count("<main>") == html.count("</main>") == 1
    assert not [part for part in ("Provenance", "<h2>Measures", "<h2>Tables", "<script") if part in html]
    text = (project.root / "reports/2026-01-01/reading.md").read_text("utf-8")
    assert "Provenance" not in text and "[the next day](../2026-01-02/first.md)" in text
    assert main(["run", "2026-01-01"]) == 0
    assert "nothing has changed" in capsys.readouterr().out
