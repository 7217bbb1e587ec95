"""Charts of schedules: the phases drawn are those of the database, seeds that differ are told apart, and it is bounded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from interpreter.errors import ReportError
from interpreter.project import Project
from interpreter.report.charts.palette import look_of
from interpreter.report.charts.schedule import TEXTS
from interpreter.report.content import Figure
from interpreter.report.figures import DataSets
from interpreter.report.read import Reader
from interpreter.report.render import drawing, svg
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
        return next((rows for name, rows in self._rows.items() if re.fullmatch(rf"{prefix}\d+", name)), [])

    def texts(self, arm: str = "") -> list[str]:
        """The longest text of each strip, of one arm or of all."""
        return [row["texts"][0] for row in self.rows("names") if arm in ("", row["arm"])]

    def stretches(self, arm: str) -> list[list[tuple[float, float]]]:
        """The corners of each unbroken line of the rates of an arm: (x, rate)."""
        lines: dict[int, list[tuple[float, float]]] = {}
        for row in self.rows("rates"):
            if row["arm"] == arm:
                lines.setdefault(row["line"], []).append((row["x"], row["rate"]))
        return sorted(lines.values())

    def svg(self) -> str:
        """The figure's file."""
        assert self.figure.drawing is not None
        return svg(drawing(self.figure.drawing, self._rows)).decode()


def drawn(
    root: Path, arms: dict[str, Any], *, seeds: int = 1, chart: Chart | None = None, cosine: bool = False, epochs: int = EPOCHS,
    thaw: dict[str, Any] | None = None,
) -> Drawn:  # fmt: skip
    """The chart of `arms`: name -> its phases, or a function from the seed to them. `thaw`: what the page says of phases."""
    project = make_project(root)
    said = {f"thaw.{key}": value for key, value in (thaw or {"max_epochs": 9}).items()}
    settings = {arm: {"point": i} | (said if went != WHOLE else {}) for i, (arm, went) in enumerate(arms.items())}
    plan = make_plan({arm: ["lba"] for arm in arms}, seeds=seeds, epochs=epochs, set_=settings)
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
    assert made.texts() == ["all", "head", "+ conv2", "+ conv1"]
    assert [r["words"][0] for r in made.rows("names")] == ["", "full length", "patience", ""]
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
    assert made.stretches("naive") == [[(0.5, 1e-3), (12.5, 1e-3)]]
    assert made.stretches("by hand") == [
        [(0.5, 1e-3), (12.5, 1e-3)], [(3.5, 1e-4), (12.5, 1e-4)], [(7.5, 1e-5), (12.5, 1e-5)],
    ]  # fmt: skip
    assert {row["of"] for row in made.rows("rates")} == {"0, 1 and 2"}
    layer = made.figure.panels[-1]["layer"][0]
    assert layer["mark"]["interpolate"] == "step-after"
    scale = layer["encoding"]["y"]["scale"]
    assert scale["type"] == "log"
    assert scale["domain"][0] < 1e-5 < 1e-3 < scale["domain"][1]


def test_a_rate_of_one_epoch_is_as_wide_as_the_epoch(tmp_path: Path) -> None:
    went = [Phase(["head"], 11), Phase(["conv2"], 1, rate=0.02)]
    made = drawn(tmp_path, {"thaw": went})
    assert made.stretches("thaw") == [[(0.5, 1e-3), (12.5, 1e-3)], [(11.5, 0.02), (12.5, 0.02)]]
    strip = made.rows("phases")[1]
    assert (strip["a"], strip["b"]) == (11.5, 12.5)
    assert "conv2 in epoch 12." in made.figure.alt


def test_a_rate_that_moves_steps_from_epoch_to_epoch(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": WHOLE}, cosine=True)
    (corners,) = made.stretches("naive")
    assert [x for x, _ in corners] == [*(epoch - 0.5 for epoch in range(1, 13)), 12.5]
    assert corners[-1][1] == corners[-2][1] == pytest.approx(1e-5)
    assert [rate for _, rate in corners[:-1]] == sorted({rate for _, rate in corners}, reverse=True)


FROZEN_AGAIN = [
    Phase(["head"], 3, rate=0.1, only=["head"]), Phase(["conv1", "conv2"], 3, rate=0.01, only=["conv1", "conv2"]),
    Phase(["conv3", "head"], 6, rate=1e-3, only=["conv3", "head"]),
]  # fmt: skip
BY_HAND = {"by": {"phases": [["head"], ["conv1"]]}, "max_epochs": 3, "cumulative": False}


def test_what_is_frozen_has_no_rate(tmp_path: Path) -> None:
    went = [*FROZEN_AGAIN[:2], Phase(["conv3"], 6, rate=1e-3, only=["conv3", "head"])]
    made = drawn(tmp_path, {"gap": went}, thaw=BY_HAND)
    assert made.stretches("gap") == [
        [(0.5, 0.1), (3.5, 0.1)], [(3.5, 0.01), (6.5, 0.01)], [(6.5, 1e-3), (12.5, 1e-3)], [(6.5, 0.1), (12.5, 0.1)],
    ]  # fmt: skip


def test_a_phase_that_froze_something_again_says_what_trains(tmp_path: Path) -> None:
    everything = ["conv1", "conv2", "conv3", "head"]
    arms = {
        "narrows": [Phase(everything, 6, only=everything), Phase([], 6, only=["head"])],
        "wanders": FROZEN_AGAIN,
        "grows": [Phase(["head"], 6, only=["head"]), Phase(["conv3"], 6, only=["conv3", "head"])],
    }
    made = drawn(tmp_path, arms, thaw=BY_HAND)
    assert made.texts("narrows") == ["conv1, conv2, conv3, head", "head only"]
    assert made.texts("wanders") == ["head", "conv1, conv2 only", "conv3, head only"]
    assert made.texts("grows") == ["head", "+ conv3"]
    told = {row["arm"]: row for row in made.rows("phases")}["narrows"]
    assert (told["thawed"], told["trained"]) == ("nothing more", "100 parameters in 1 tensor (head)")
    assert "head only in epochs 7 to 12" in made.figure.alt
    assert "Where one says only, the rest is frozen again." in made.figure.caption


def test_phases_of_tensors_that_freeze_the_others_have_nothing_in_common(tmp_path: Path) -> None:
    # Both are of the head, which trains in both phases as far as the names of blocks go.
    went = [Phase(["head.0.bias"], 6, only=["head"]), Phase(["head.0.weight"], 6, only=["head"])]
    said = {"by": {"tensors": 1}, "max_epochs": 6}
    apart = drawn(tmp_path / "a", {"thaw": went}, thaw=said | {"cumulative": False})
    assert apart.texts() == ["head.0.bias", "head.0.weight only"]
    joined = drawn(tmp_path / "b", {"thaw": went}, thaw=said)
    assert joined.texts() == ["head.0.bias", "+ head.0.weight"]


def written(row: dict[str, Any], width: float) -> tuple[str, str]:
    """What a strip of so many pixels says, and with which reason, as the chart chooses it."""
    choices = zip(row["texts"], row["words"], row["rooms"], strict=True)
    return next(((text, word) for text, word, room in choices if width > room), ("", ""))


def test_a_strip_says_as_much_as_there_is_room_for(tmp_path: Path) -> None:
    names = [f"encoder.conv{n}.{part}" for n in (3, 2) for part in ("1.bias", "1.weight", "0.weight")]
    went = [Phase(["head.0.bias"], 1), Phase(names[:3], 2), Phase(names, 9)]
    made = drawn(tmp_path, {"thaw": went}, thaw={"by": {"tensors": 3}, "max_epochs": 1})
    _, three, six = made.rows("names")
    assert [written(three, width) for width in (400, 360, 250, 153, 130, 80, 77, 30, 20, 15)] == [
        ("+ conv3.1.bias, conv3.1.weight, conv3.0.weight", "full length"),
        ("+ conv3.1.bias, conv3.1.weight, 1 more", "full length"),
        ("+3 tensors", "full length"), ("+3 tensors", "full length"),
        ("+3 tensors", ""), ("+3 tensors", ""), ("+3 tensors", ""), ("+3", ""), ("1", ""), ("", ""),
    ]  # fmt: skip
    assert written(six, 700) == ("+ conv3.1.bias, conv3.1.weight, conv3.0.weight, conv2.1.bias, 2 more", "")
    assert all(len(row["texts"]) <= TEXTS for row in made.rows("names"))
    chosen = made.figure.panels[1]["layer"][1]["mark"]["text"]["expr"]
    assert all(f"datum.rooms[{i}] ? datum.texts[{i}]" in chosen for i in range(TEXTS))


def test_no_strip_of_a_file_is_blank(tmp_path: Path) -> None:
    names = [f"encoder.conv{n}.{part}" for n in (3, 2, 1) for part in ("1.bias", "1.weight", "0.weight")]
    went = [Phase([name], 1) for name in (*names, "head.0.weight", "head.0.bias", "cls")]
    text = drawn(tmp_path, {"thaw": went}, thaw={"by": {"tensors": 1}, "max_epochs": 1}).svg()
    assert text.count(">+1<") == 11  # at 53 pixels each, there is room for one of the names
    assert ">+ cls<" in text
    many = [Phase([f"conv{n}.weight"], 1) for n in range(35)]
    made = drawn(tmp_path / "b", {"thaw": many}, epochs=35, thaw={"by": {"tensors": 1}, "max_epochs": 1})
    text = made.svg()
    assert all(f">{n}</text>" in text for n in range(10))  # at 18 pixels each
    assert "A number alone is that of the phase, from 0." in made.figure.caption


def test_a_rate_of_zero_stands_at_the_foot_of_its_axis(tmp_path: Path) -> None:
    went = [Phase(["head"], 3, rate=0.1), Phase(["conv2"], 9, rate=0.0)]
    made = drawn(tmp_path, {"naive": WHOLE, "thaw": went})
    assert made.stretches("thaw") == [[(0.5, 0.1), (12.5, 0.1)], [(3.5, 0.0), (12.5, 0.0)]]
    assert "A rate of 0 is drawn at the foot of its axis: conv2 of thaw in epochs 4 to 12." in made.figure.caption
    layer = made.figure.panels[-1]["layer"][0]
    foot = layer["encoding"]["y"]["axis"]["values"][0]
    low, _ = layer["encoding"]["y"]["scale"]["domain"]
    assert low < foot < 1e-3 / 1.6
    assert layer["transform"][0]["calculate"] == f"datum.rate > 0 ? datum.rate : {foot:.6g}"
    assert layer["transform"][0]["as"] == "rate"
    assert ">0</text>" in made.svg()


def test_arms_whose_rates_are_zero_alike_are_told_together(tmp_path: Path) -> None:
    went = [Phase(["head"], 3), Phase(["conv2"], 9, rate=0.0)]
    made = drawn(tmp_path, {"one": went, "other": went, "third": [Phase(["head"], 12, rate=0.0)]})
    assert "axis: conv2 of one and other in epochs 4 to 12 and head of third in epochs 1 to 12." in made.figure.caption


def test_rates_that_are_all_zero_are_told(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"still": [Phase(["head"], EPOCHS, rate=0.0)]})
    assert made.stretches("still") == [[(0.5, 0.0), (12.5, 0.0)]]
    assert len(made.figure.panels[-1]["layer"][0]["encoding"]["y"]["axis"]["values"]) == 1
    assert "head of still in epochs 1 to 12" in made.figure.caption


def test_a_fit_of_one_epoch_shows_points_and_one_tick(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": [Phase([], 1)], "slow": [Phase([], 1, rate=1e-4)]}, seeds=2, epochs=1)
    assert [(r["arm"], r["x"], r["at"]) for r in made.rows("lone")] == [("naive", 1, 0.875), ("slow", 1, 1.125)]
    assert [(r["arm"], r["seed"]) for r in made.rows("lone-seeds")] == [("naive", 0), ("naive", 1), ("slow", 0), ("slow", 1)]
    marks = [layer["mark"]["type"] for layer in made.figure.panels[0]["layer"]]
    assert marks == ["area", "line", "line", "rule", "point", "point"]
    assert made.stretches("slow") == [[(0.5, 1e-4), (1.5, 1e-4)]]
    assert {tuple(encoding(panel)["x"]["axis"]["values"]) for panel in made.figure.panels} == {(1,)}


def test_few_epochs_have_a_tick_each(tmp_path: Path) -> None:
    two = drawn(tmp_path / "a", {"naive": [Phase([], 2)]}, epochs=2)
    assert {tuple(encoding(panel)["x"]["axis"]["values"]) for panel in two.figure.panels} == {(1, 2)}
    assert not two.rows("lone")
    part = drawn(tmp_path / "b", {"naive": WHOLE, "by hand": HAND}, chart=Chart(kind="schedule_trace", epochs=(4, 4)))
    assert {tuple(encoding(panel)["x"]["axis"]["values"]) for panel in part.figure.panels} == {(4,)}
    assert part.stretches("naive") == [[(3.5, 1e-3), (4.5, 1e-3)]]
    assert [r["x"] for r in part.rows("lone")] == [4, 4]
    assert part.rows("names")[1]["words"][0] == ""  # it ends later than what is drawn


def test_an_axis_of_one_value_has_it_in_the_middle(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"naive": [Phase([], 1)]}, epochs=1)
    (row,) = made.rows("means")
    assert encoding(made.figure.panels[0])["y"]["scale"]["domain"] == pytest.approx([0.9 * row["mean"], 1.1 * row["mean"]])


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


def test_a_mark_at_the_last_epoch_does_not_narrow_the_strips(tmp_path: Path) -> None:
    made = drawn(tmp_path, {"by hand": HAND}, chart=Chart(kind="schedule_trace", epochs=(2, 7)))
    assert [row["x"] for row in made.rows("ends")] == [3.5, 7.5]
    marks = next(layer["mark"] for layer in made.figure.panels[1]["layer"] if layer["mark"]["type"] == "point")
    assert marks["xOffset"]["expr"] == "datum.x < 7.5 ? 0 : -4"


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
    assert [(r["texts"][0], r["a"], r["b"]) for r in names] == [
        ("head", 0.5, 4.5), ("+ conv2", 4.5, 7.5), ("+ conv1 (2 of 3 seeds)", 7.5, 12.5),
    ]  # fmt: skip
    assert names[0]["words"][0] == "patience"
    assert names[1]["words"][0] == "full length 2/3"  # the third seed's fit ended in it
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
                "unit": "group", "kept": True,
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
    assert made.stretches("thaw")[0] == [(2.5, 1e-3), (8.5, 1e-3)]
    assert min(r["x"] for r in made.rows("rates")) == 2.5
    assert max(r["x"] for r in made.rows("rates")) == 8.5
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
    assert made.texts() == ["easy: all", "lba: head", "lba: + conv2", "lba: + conv1"]
    assert max(r["x"] for r in made.rows("rates")) == 17.5


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
