"""Charts of schedules: the phases drawn are those of the database, seeds that differ are told apart, and it is bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interpreter.errors import ReportError
from interpreter.project import Project
from interpreter.report.charts.palette import look_of
from interpreter.report.content import Figure
from interpreter.report.figures import DataSets
from interpreter.report.read import Reader
from interpreter.report.scheduledata import ARMS, DECADES, POINTS, schedule_figure
from interpreter.report.schedulerows import TALL, THIN, strips, wrapped
from interpreter.results.ingest import ingest
from interpreter.spec.views import Chart
from interpreter.verdicts.judge import judge
from tests.plans import make_plan, make_project
from tests.report.scheduling import Phase, losses, write_all, write_phased

EPOCHS = 12
HAND = [Phase(["head"], 3), Phase(["conv2"], 4, "max_epochs", 1e-4), Phase(["conv1"], 5, "patience", 1e-5)]
WHOLE = [Phase([], EPOCHS)]


class Drawn:
    """A figure with its data, as the page has it."""

    def __init__(self, figure: Figure, rows: dict[str, list[dict[str, Any]]]) -> None:
        self.figure, self._rows = figure, rows

    def rows(self, prefix: str) -> list[dict[str, Any]]:
        """The rows of the data set whose name begins so; [] where there is none."""
        return next((rows for name, rows in self._rows.items() if name.startswith(prefix)), [])


def drawn(root: Path, arms: dict[str, Any], *, seeds: int = 1, chart: Chart | None = None, cosine: bool = False) -> Drawn:
    """The chart of `arms`: name -> its phases, or a function from the seed to them."""
    project = make_project(root)
    settings = {
        arm: {"point": i} | ({"thaw.max_epochs": 9} if went != WHOLE else {}) for i, (arm, went) in enumerate(arms.items())
    }
    plan = make_plan({arm: ["lba"] for arm in arms}, seeds=seeds, epochs=EPOCHS, set_=settings)
    write_all(project, plan, lambda arm, seed: arms[arm](seed) if callable(arms[arm]) else arms[arm], cosine=cosine)
    ingest(project, [plan])
    return figure_of(project, plan, chart or Chart(kind="schedule_trace"))


def figure_of(project: Project, plan: Any, chart: Chart) -> Drawn:
    (judgement,) = judge(project, plan)
    names = [arm.name for arm in judgement.entry.arms]
    data = DataSets()
    look = look_of(names, names[:1])
    figure = schedule_figure("schedule", chart, judgement, plan, Reader(project, judgement.entry), look, data)
    return Drawn(figure, data.rows)


def test_a_strip_an_arm_with_what_was_thawed_and_why_each_ended(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": WHOLE, "by hand": HAND})
    spans = [(r["arm"], r["a"], r["b"]) for r in made.rows("phases")]
    assert spans == [("naive", 0.5, 12.5), ("by hand", 0.5, 3.5), ("by hand", 3.5, 7.5), ("by hand", 7.5, 12.5)]
    assert [r["name"] for r in made.rows("names")] == ["all", "head", "+ conv2", "+ conv1"]
    assert [r["word"] for r in made.rows("names")] == ["", "full length", "patience", ""]
    assert [(r["x"], r["end"]) for r in made.rows("ends")] == [(3.5, "full length"), (7.5, "patience")]
    shades = [r["shade"] for r in made.rows("phases")]
    assert shades[0] == shades[1] < shades[2] < shades[3]
    tops = {r["arm"]: (r["top"], r["bottom"]) for r in made.rows("phases")}
    assert tops["naive"][1] - tops["naive"][0] == TALL
    assert tops["by hand"][0] > tops["naive"][1]
    told = made.rows("phases")[2]
    assert (told["span"], told["trained"], told["ended"]) == ("4 to 7 (4)", "200 parameters in 2 tensors", "patience")
    assert "conv2 in epochs 4 to 7 (patience)" in made.figure.alt


def test_rates_are_the_recorded_ones_each_line_once(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": WHOLE, "by hand": HAND}, seeds=3)
    lines: dict[int, list[tuple[int, float]]] = {}
    for row in made.rows("rates"):
        lines.setdefault(row["line"], []).append((row["x"], row["rate"]))
    assert sorted((points[0], len(points)) for points in lines.values()) == [
        ((1, 1e-3), 12), ((1, 1e-3), 12), ((4, 1e-4), 9), ((8, 1e-5), 5),
    ]  # fmt: skip
    assert {row["of"] for row in made.rows("rates")} == {"0, 1 and 2"}
    scale = made.figure.panels[-1]["layer"][0]["encoding"]["y"]["scale"]
    assert scale["type"] == "log"
    assert scale["domain"][0] < 1e-5 < 1e-3 < scale["domain"][1]


def test_all_parts_share_the_epochs_and_the_room_beside_them(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": WHOLE, "by hand": HAND}, seeds=2)
    found = [encoding(panel) for panel in made.figure.panels]
    assert len(found) == 3
    assert {tuple(part["x"]["scale"]["domain"]) for part in found} == {(0.5, 12.5)}
    assert len({part["y"]["axis"]["minExtent"] for part in found}) == 1
    assert made.figure.drawing is not None
    assert len(made.figure.drawing["vconcat"]) == 3


def encoding(panel: Any) -> dict[str, Any]:
    return panel["layer"][0]["encoding"]  # type: ignore[no-any-return]


def test_seeds_that_went_alike_share_a_strip(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": WHOLE, "by hand": HAND}, seeds=3)
    assert len(made.rows("phases")) == 4
    assert {r["of"] for r in made.rows("phases")} == {"0, 1 and 2"}


def apart(seed: int) -> list[Phase]:
    """Seed 0 spends 2 epochs in phase 0, seed 1 4, seed 2 9 and all that is left: it never comes further than phase 1."""
    first = (2, 4, 9)[seed % 3]
    return [Phase(["head"], first), Phase(["conv2"], 3, "patience"), *([Phase(["conv1"], 9 - first)] if first < 9 else [])]


def test_seeds_that_differ_have_a_strip_each(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": WHOLE, "thaw": apart}, seeds=3)
    mine = [r for r in made.rows("phases") if r["arm"] == "thaw"]
    assert [(r["of"], r["a"], r["b"]) for r in mine if r["number"] == 0] == [("0", 0.5, 2.5), ("1", 0.5, 4.5), ("2", 0.5, 9.5)]
    assert {r["bottom"] - r["top"] for r in mine} == {THIN}
    names = [r for r in made.rows("names") if r["arm"] == "thaw"]
    assert [(r["name"], r["a"], r["b"]) for r in names] == [
        ("head", 0.5, 4.5), ("+ conv2", 4.5, 7.5), ("+ conv1 (2 of 3 seeds)", 7.5, 12.5),
    ]  # fmt: skip
    assert names[0]["word"] == "patience"
    assert names[1]["word"] == "full length 2/3"  # the third seed's fit ended in it
    assert "Seeds that differ have a strip each" in made.figure.caption


def rows_of(arm: str, seeds: int) -> list[dict[str, Any]]:
    """Phases as the database gives them, of seeds that differ."""
    found = []
    for seed in range(seeds):
        began = 1
        for k, (epochs, reason) in enumerate(((3 + seed % 4, "patience"), (5, "planned epochs"))):
            found.append({
                "arm": arm, "seed": seed, "stage": "lba", "phase": k, "began": began, "ended": began + epochs - 1,
                "epochs": epochs, "groups": [f"g{k}"], "trainable": [f"g{k}"], "tensors": 1, "parameters": 10, "restored": None,
                "ended_by": reason, "monitor": "val/loss", "best": 0.5, "best_epoch": 2, "shift": 0, "several": False,
            })  # fmt: skip
            began += epochs
    return found


def test_of_very_many_seeds_medians_are_drawn(tmp_path: Path) -> None:
    arms = {f"a{i}": rows_of(f"a{i}", 8) for i in range(8)}
    made = strips(arms, {arm: arm for arm in arms}, (1, 12))
    assert made.medians
    assert not made.apart
    assert [(r["a"], r["b"]) for r in made.spans if r["arm"] == "a0"] == [(0.5, 4.5), (4.5, 9.5)]
    assert [(r["low"], r["high"]) for r in made.spread if r["arm"] == "a0"] == [(3.5, 6.5)]
    few = strips({"a0": arms["a0"]}, {"a0": "a0"}, (1, 12))
    assert few.apart
    assert len(few.spans) == 16


def test_more_arms_than_fit_are_cut_and_it_says_so(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": WHOLE} | {f"thaw{i:02d}": HAND for i in range(ARMS + 5)})
    assert len({r["arm"] for r in made.rows("phases")}) == ARMS
    assert f"{ARMS} of {ARMS + 6} arms are drawn" in made.figure.caption


def test_where_arms_and_epochs_choose(tmp_path: Path) -> None:
    chart = Chart(kind="schedule_trace", arms=["thaw"], where={"seed": [1, 2]}, epochs=(3, 8))
    made = drawn(tmp_path, {"naive": WHOLE, "thaw": apart}, seeds=3, chart=chart)
    assert {(r["arm"], r["of"]) for r in made.rows("phases")} == {("thaw", "1"), ("thaw", "2")}
    assert [(r["a"], r["b"]) for r in made.rows("phases") if r["of"] == "1"] == [(2.5, 4.5), (4.5, 7.5), (7.5, 8.5)]
    assert {r["x"] for r in made.rows("rates")} == set(range(3, 9))
    assert {r["x"] for r in made.rows("means")} == set(range(3, 9))
    with pytest.raises(ReportError, match="names the arm `thwa`"):
        drawn(tmp_path / "b", {"thaw": HAND}, chart=Chart(kind="schedule_trace", arms=["thwa"]))


def test_the_stages_of_a_chain_follow_each_other(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    plan = make_plan(
        {"chain": ["easy", "lba"]}, seeds=1, epochs={"easy": 5, "lba": EPOCHS}, set_={"chain": {"thaw.max_epochs": 9}}
    )
    ((_, easy), (_, lba)) = plan.entries[0].arms[0].trials[0].stages
    short = [Phase([], 5)]
    write_phased(project, plan.stages[easy], short, losses("easy", 0, short))
    write_phased(project, plan.stages[lba], HAND, losses("lba", 0, HAND))
    ingest(project, [plan])
    made = figure_of(project, plan, Chart(kind="schedule_trace", x="stage_epoch"))
    assert [(r["a"], r["b"]) for r in made.rows("phases")] == [(0.5, 5.5), (5.5, 8.5), (8.5, 12.5), (12.5, 17.5)]
    assert [r["name"] for r in made.rows("names")] == ["easy: all", "lba: head", "lba: + conv2", "lba: + conv1"]
    assert max(r["x"] for r in made.rows("rates")) == 17


def test_fits_without_phases_have_one_each(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": WHOLE, "wide": WHOLE}, seeds=2, cosine=True)
    assert [(r["arm"], r["a"], r["b"]) for r in made.rows("phases")] == [("naive", 0.5, 12.5), ("wide", 0.5, 12.5)]
    assert not made.rows("ends")
    assert "No fit has more than one phase." in made.figure.caption


def test_before_anything_was_run_it_says_so(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": []})
    assert made.figure.notice == "No data yet: no fit that was asked for has an epoch."


def test_an_arm_that_was_not_run_is_told(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": WHOLE, "thaw": []})
    assert "No data yet: thaw." in made.figure.caption


def test_rates_are_bounded_in_points_and_decades(tmp_path: Path) -> None:
    phases = [Phase(["head"], 6, rate=1.0), Phase(["conv"], 6, rate=1e-9)]
    made = drawn(tmp_path, {"naive": phases})
    (low, high) = made.figure.panels[-1]["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert high / low == pytest.approx(10**DECADES * 1.6**2)
    assert "Rates below 6e-07 are beyond the axis." in made.figure.caption
    assert len(made.rows("rates")) <= POINTS


def test_labels_are_parted_where_they_can_be() -> None:
    assert wrapped("thaw · by layerwise · max_epochs 100 · patience off") == (
        "thaw · by layerwise",
        "max_epochs 100 · patience off",
    )
    assert wrapped("one-long-name-that-can-not-be-parted") == ("one-long-name-that-can-not-be-parted",)
