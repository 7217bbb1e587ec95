"""What stands around an entry's results: outcome, date, notebook, updates, what isn't built yet, claims in words."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.report.gather import gather
from interpreter.report.inputs import inputs_hash, unchanged
from interpreter.report.phrases import claim_text, difference_text
from interpreter.report.surroundings import unbuilt
from interpreter.report.terms import measure_title
from interpreter.report.write import write_reports
from interpreter.results.ingest import ingest
from interpreter.spec.claims import Claim, Side
from interpreter.spec.entry import Notebook, Outcome, Update
from interpreter.spec.measures import EffectiveRobustness, Measure
from interpreter.verdicts.types import Judgement, Verdict
from tests.plans import make_plan, make_project, write_records
from tests.report.making import with_entry
from tests.report.sweeping import history

NOTEBOOK = Notebook("cnn", "Networks on voxels", "Why *voxels*?", "They [work](2024-06-28/first).", ("2024-06-28/second",))


def plan_of(name: str = "first", **fields: Any) -> Plan:
    return make_plan({"naive": ["lba"]}, seeds=1, epochs=12, name=name, **{"title": f"The {name} try", **fields})


def written(project: Project, plan: Plan) -> Path:
    (path,) = write_reports(project, plan, [Judgement(entry, (), ()) for entry in plan.entries])
    return path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    plan = plan_of()
    write_records(made, plan, history)
    ingest(made, [plan])
    return made


def test_the_outcome_comes_first(project: Project) -> None:
    outcome = Outcome(
        "failed", "lba", "CUDA out of memory <8 GB>", "The *batch* was too large.", ("2024-06-28/first", "2024-07-01/gone")
    )
    path = written(project, plan_of(outcome=outcome, about="2023-03-01", question="Why?"))
    html, text = path.read_text(), path.with_suffix(".md").read_text()
    places = [
        html.index(words)
        for words in ("About the work of", "Why?", "Failed at stage", "&lt;8 GB&gt;", "<em>batch</em>", "</header>")
    ]
    assert places == sorted(places)
    assert 'The first try</a> <span class="soft">· <code>2024-06-28/first</code> · 1 of 1 stage done' in html
    assert '2024-07-01/gone <span class="soft">· no report yet' in html
    assert "> **Failed at stage `lba`.**" in text
    assert "`CUDA out of memory <8 GB>`" in text
    assert "About the work of 2023-03-01" in text


def test_updates_say_how_the_other_entry_stands(project: Project) -> None:
    path = written(project, plan_of(updates=(Update("2024-07-05", "Again.", "2024-06-28/first"),)))
    assert '<a href="../2024-06-28/first.html">The first try</a>' in path.read_text()
    assert "1 of 1 stage done" in path.read_text()
    assert (
        "[The first try](../2024-06-28/first.md) (`2024-06-28/first`, 1 of 1 stage done)" in path.with_suffix(".md").read_text()
    )


def test_a_notebook_has_a_page(project: Project) -> None:
    first = plan_of(in_notebook=NOTEBOOK, notebook="cnn", conclusion="It **works**.", question="Does it?")
    path = written(project, first)
    page = project.reports / "notebooks" / "cnn.html"
    html = page.read_text()
    assert "2024-06-28/second" in html
    assert "no report yet" in html
    assert "<strong>works</strong>" in html
    assert "<em>voxels</em>" in html
    assert '<a href="../2024-06-28/first.html">work</a>' in html
    assert 'aria-current="page">The first try' in path.read_text()
    assert '<a href="../notebooks/cnn.html">Networks on voxels</a>' in path.read_text()

    second = plan_of("second", in_notebook=NOTEBOOK, notebook="cnn")
    ingest(project, [second])
    assert unchanged(project, first)
    other = written(project, second)
    assert '<a href="../2024-06-28/first.html">The first try</a>' in other.read_text()
    html, text = page.read_text(), page.with_suffix(".md").read_text()
    assert html.index("The second try") < html.index("The first try")  # as the notebook orders them
    assert text.index("[The second try](../2024-06-28/second.md)") < text.index("[The first try](../2024-06-28/first.md)")
    assert "It **works**." in text
    assert not unchanged(project, first)  # a new neighbour: its list of entries is out of date
    assert '<a href="../2024-06-28/second.html">The second try</a>' in written(project, first).read_text()
    assert unchanged(project, first)
    assert unchanged(project, second)


def test_a_profile_has_its_own_page_of_the_notebook(project: Project) -> None:
    plan = plan_of(profile="laptop", in_notebook=NOTEBOOK, notebook="cnn")
    ingest(project, [plan])
    written(project, plan)
    assert "profile laptop: not full scale" in (project.reports / "notebooks-laptop" / "cnn.html").read_text()
    assert not (project.reports / "notebooks").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": Outcome("abandoned")},
        {"about": "2023-03-01"},
        {"in_notebook": NOTEBOOK},
        {"in_notebook": dataclasses.replace(NOTEBOOK, aim="Else.")},
        {"updates": (Update("2024-07-05", "Again."),)},
    ],
)
def test_what_is_shown_is_in_the_hash(project: Project, fields: dict[str, Any]) -> None:
    plan = plan_of()
    other = with_entry(plan, **fields)
    assert inputs_hash(project, plan.entries[0], plan) != inputs_hash(project, other.entries[0], other)


def test_why_nothing_runs(project: Project) -> None:
    plan = make_plan({"naive": ["lba"], "curriculum": ["easy", "lba"]}, seeds=2)
    first = next(iter(plan.entries[0].arms[1].trials))
    assert unbuilt(plan.entries[0], plan) == ""

    def without(keys: set[str]) -> Plan:
        stages = {
            k: dataclasses.replace(s, unbuilt=("the model type `cnn3d`",)) if k in keys else s for k, s in plan.stages.items()
        }
        return dataclasses.replace(plan, stages=stages)

    assert unbuilt(plan.entries[0], without(set(plan.stages))) == "Planned, not run: the model type `cnn3d` is not built yet."
    part = without({first.key_of("easy")})
    assert unbuilt(part.entries[0], part) == (
        "Planned, and not run as a whole: the model type `cnn3d` is not built yet. Waiting for it: curriculum."
    )
    ingest(project, [plan])
    none = without(set(plan.stages))
    html = written(project, none).read_text().split("</header>")[0]
    assert "Planned, not run: the model type <code>cnn3d</code> is not built yet." in html
    assert inputs_hash(project, plan.entries[0], plan) != inputs_hash(project, none.entries[0], none)


def claim(kind: Any, left: Side, relation: Any, right: Side, margin: float = 0.0, **fields: Any) -> Claim:
    return Claim("c", kind, left, relation, right, margin, "as written", "h", **fields)


LOSS = Side("noisy", "loss")


@pytest.mark.parametrize(
    ("made", "words", "axis"),
    [
        (claim("trend", LOSS, ">", Side(number=0.0), factor="noise"), "loss of noisy rises along noise",
         "slope of loss along noise"),
        (claim("trend", LOSS, "~", Side(number=0.0), 0.05, factor="noise"), "loss of noisy stays flat along noise, within 0.05",
         "slope of loss along noise"),
        (claim("shape", Side("naive"), ">", Side(number=0.0), 0.05, shape="rises_after_min", metric="val/rmse"),
         "val/rmse of naive rises after its minimum, by 0.05", "rise after the minimum of validation RMSE"),
        (claim("reproduces", LOSS, "~", Side("2024-06-28/first/naive", "loss"), 0.02),
         "noisy reproduces 2024-06-28/first/naive on loss, within 0.02", "now − before"),
        (claim("finishes", Side("noisy"), ">", Side()), "every trial of noisy reaches its planned end", ""),
        (claim("order", Side("noisy", "loss", quantifier="best", chosen_by="acc"), "<", Side("naive", "loss")),
         "as written on loss, the best by acc", "difference in loss"),
    ],
)  # fmt: skip
def test_claims_in_words(made: Claim, words: str, axis: str) -> None:
    assert claim_text(verdict_of(made)) == words
    assert axis in difference_text(made)


def verdict_of(made: Claim, effect: float | None = None) -> Verdict:
    return Verdict(made, "supported", effect, None, None, 0.95, 3, (), None, None, "", 1, False, "")


def test_claims_without_numbers_are_listed_and_not_drawn(project: Project) -> None:
    made = [claim("finishes", Side("naive"), ">", Side()),
            dataclasses.replace(claim("trend", LOSS, ">", Side(number=0.0), factor="n"), name="t")]  # fmt: skip
    plan = plan_of(claims=tuple(made))
    content = gather(project, plan, Judgement(plan.entries[0], (), (verdict_of(made[0]), verdict_of(made[1], 0.3))))
    (figure,) = [f for f in content.figures if f.kind == "forest"]
    assert len(figure.panels) == 1
    assert "Not a matter of numbers: c." in figure.caption
    alone = gather(project, plan, Judgement(plan.entries[0], (), (verdict_of(made[0]),)))
    (figure,) = [f for f in alone.figures if f.kind == "forest"]
    assert "no claim here is a matter of numbers" in figure.notice


@pytest.mark.parametrize(
    ("measure", "title"),
    [
        (Measure(metric="val/rmse", read="stable_min"), "validation RMSE, lowest stable mean"),
        (Measure(metric="val/rmse", at="best"), "validation RMSE, at the epoch of best"),
        (Measure(metric="val/rmse", read="epochs_to", value=1.5), "epochs until validation RMSE reaches 1.5"),
        (Measure(metric="val/accuracy", read="best", over=0.25), "1 where above 0.25, else 0: validation accuracy, best epoch"),
        (Measure(resource="it_per_s", read="median"), "optimizer steps a second, median over epochs"),
        (Measure(phase=1, read="length"), "length of phase 1 (epochs)"),
        (Measure(effective_robustness=EffectiveRobustness(**{"in": "original/accuracy", "out": "shifted/accuracy"})),
         "effective robustness: shifted accuracy above the line over original accuracy (andreassen)"),
    ],
)  # fmt: skip
def test_titles_of_measures(measure: Measure, title: str) -> None:
    assert measure_title(measure) == title


def test_measures_of_no_metric_are_shown(project: Project) -> None:
    measures = {"speed": Measure(resource="it_per_s", read="median"), "length": Measure(phase=0, read="length")}
    plan = plan_of(measures=measures)
    content = gather(project, plan, Judgement(plan.entries[0], (), ()))
    assert content.tables[0].columns == ("arm", "n", "speed", "length")
    assert content.tables[0].footer == ()
