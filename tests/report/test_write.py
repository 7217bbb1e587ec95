"""When reports are made again, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from interpreter.errors import ReportError
from interpreter.report.inputs import folder_of, unchanged
from interpreter.report.write import write_reports
from interpreter.spec.views import Chart, Table
from interpreter.verdicts.judge import judge
from tests.report.making import made, plan_of, with_entry


def times(folder: Path) -> dict[str, int]:
    return {p.relative_to(folder).as_posix(): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_made_again_only_when_something_changed(tmp_path: Path) -> None:
    plan = plan_of()
    project, _ = made(tmp_path, plan)
    folder = folder_of(project, plan)
    before = times(folder)
    assert unchanged(project, plan)
    write_reports(project, plan, judge(project, plan))
    assert times(folder) == before

    other = with_entry(plan, notes="Something else.")
    assert not unchanged(project, other)
    write_reports(project, other, judge(project, other))
    after = times(folder)
    assert all(after[name] > before[name] for name in before)
    assert "Something else." in (folder / "first.html").read_text()

    (folder / "first.md").unlink()
    assert not unchanged(project, other)
    write_reports(project, other, judge(project, other))
    assert (folder / "first.md").is_file()

    project.ledger.write_text('{"t": "x", "kind": "claim", "entry": "2024-06-28/first", "claim": "helps", "hash": "h"}\n')
    assert not unchanged(project, other)


def test_what_is_no_longer_asked_for_is_removed(tmp_path: Path) -> None:
    plan = plan_of(charts={"losses": Chart(y="val/loss")})
    project, _ = made(tmp_path, plan)
    folder = folder_of(project, plan)
    assert (folder / "figures" / "first-losses.svg").is_file()
    other = with_entry(plan, charts={})
    write_reports(project, other, judge(project, other))
    assert not (folder / "figures" / "first-losses.svg").exists()
    assert (folder / "figures" / "first-curves.svg").is_file()


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"charts": {"c": Chart(y="val/nonsense")}}, "`val/nonsense`, which isn't recorded", "val/accuracy and val/loss"),
        ({"charts": {"c": Chart(y="later.val/loss")}}, "no arm has that stage", "easy"),
        ({"charts": {"c": Chart(kind="measures", y="nonsense")}}, "the measure `nonsense`", "accuracy and loss"),
        ({"charts": {"c": Chart(arms=["nobody"])}}, "the arm `nobody`", "naive and curriculum"),
        ({"tables": {"t": Table(columns=["nonsense"])}}, "column `nonsense` of table `t`", "final/accuracy"),
        ({"tables": {"t": Table(columns=["accuracy"], format="{median}")}}, "can't be set in the format", "{mean}"),
        ({"conclusion": "{{ verdict.help }}"}, "`verdict.help`, which isn't there", "did you mean `verdict.helps`?"),
        ({"conclusion": "{{ measure.nobody.loss }}"}, "isn't there", "measure.naive.loss"),
        ({"concludes": {"nonsense": "supported"}}, "`nonsense`, which isn't a claim", "helps and same-loss"),
    ],
)
def test_asks_for_what_is_not_there(
    shared: tuple[object, object], fields: dict[str, object], message: str, hint: str
) -> None:  # fmt: skip
    project, plan = shared
    other = with_entry(plan, **fields)  # type: ignore[arg-type]
    with pytest.raises(ReportError) as caught:
        write_reports(project, other, judge(project, other))  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 5


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, object]:
    plan = plan_of()
    return made(tmp_path_factory.mktemp("shared"), plan)[0], plan


def test_conclusions_that_no_longer_hold_are_flagged(shared: tuple[object, object]) -> None:
    project, plan = shared
    other = with_entry(plan, concludes={"helps": "supported", "same-loss": "supported"})  # type: ignore[arg-type]
    (judgement,) = judge(project, other)  # type: ignore[arg-type]
    states = {v.claim.name: v.state for v in judgement.verdicts}
    (path,) = write_reports(project, other, [judgement])  # type: ignore[arg-type]
    html = path.read_text()
    wrong = [name for name, state in states.items() if state != "supported"]
    assert html.count('class="disagreement"') == len(wrong)
    assert all(f"{name}: the author concluded “supported”" in html for name in wrong)


def test_several_entries_are_listed(tmp_path: Path) -> None:
    first, second = plan_of(), plan_of(name="second", title="A second try")
    project, (path,) = made(tmp_path, first)
    assert not (path.parent / "index.html").exists()
    made(tmp_path, second)
    html = (path.parent / "index.html").read_text()
    assert 'href="first.html">A first try</a>' in html
    assert 'href="second.html">A second try</a>' in html
    assert project.reports == path.parent.parent


def test_asking_is_light() -> None:
    heavy = "altair duckdb numpy scipy pyarrow torch vl_convert markdown_it"
    code = f"import sys, interpreter.report.inputs; print([m for m in '{heavy}'.split() if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
