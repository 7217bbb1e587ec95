"""Trivial rules in the report: a row of each below every table, and lines in the charts where they fit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from interpreter.report.curvedata import _rules
from interpreter.spec.measures import Measure
from interpreter.spec.views import Chart
from tests.report.making import made, plan_of

MEASURES = {
    "accuracy": Measure(metric="val/accuracy", read="best"),
    "loss": Measure(metric="val/loss", read="last"),
    "quick": Measure(metric="val/loss", read="epochs_to", value=0.5),
}
RULES = {
    "ligand_size": {"val/loss": 1.04, "val/accuracy": 0.625},
    "atoms": {"val/loss": 1.10, "val/pearson": float("nan")},
    "absurd": {"val/loss": 400.0},
}
NEAR = {"ligand_size": {"val/loss": 0.33}, "atoms": {"val/loss": 0.332}, "mass": {"val/loss": 0.375}}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = plan_of(
        measures=MEASURES, charts={"losses": Chart(kind="curves", y="val/loss"), "ends": Chart(kind="measures", y="loss")}
    )
    _, (path,) = made(tmp_path_factory.mktemp("rules"), plan, rules=RULES)
    return path


def spec(report: Path, name: str) -> dict[str, Any]:
    """The chart `name` of the page, as Vega-Lite."""
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', report.read_text(), re.S)
    assert found is not None
    charts = json.loads(found.group(1))["charts"]
    (chart,) = [chart for key, chart in charts.items() if name in key]
    return chart["spec"]  # type: ignore[no-any-return]


def drawn(spec: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What is written on lines of trivial rules: text -> (its value, the side of the line that it is on)."""
    out = {}
    for layer in spec["layer"]:
        if layer["mark"].get("type") == "text":
            for row in layer.get("data", {}).get("values", []):
                if row.get("text", "").startswith("trivial"):
                    out[row["text"]] = (row.get("trivial", row.get("at")), layer["mark"]["baseline"])
    return out


def test_each_rule_has_a_row_below_the_table(report: Path) -> None:
    footer = report.read_text().split("<tfoot>")[1].split("</tfoot>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in footer.split("<tr>")[1:]]
    rows = [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in rows]
    assert rows == [
        ["trivial: ignores input", "", "0.1", "2.303", ""],
        ["trivial: absurd", "", "", "400", ""],
        ["trivial: atoms", "", "", "1.1", ""],
        ["trivial: ligand size", "", "0.625", "1.04", ""],
    ]


def test_the_markdown_twin_has_them_too(report: Path) -> None:
    assert re.search(r"\| \*?trivial: ligand size\*? \| +\| 0\.625 \| 1\.04 \|", report.with_suffix(".md").read_text())


def test_lines_are_drawn_where_they_fit_and_told_where_they_do_not(report: Path) -> None:
    lines = drawn(spec(report, "losses"))
    assert {text: value for text, (value, _) in lines.items()} == {
        "trivial: ignores input": 2.303, "trivial: atoms": 1.1, "trivial: ligand size": 1.04
    }  # fmt: skip
    # Two lines this close leave no room between them for words: the lower one's stand below it.
    assert lines["trivial: ligand size"][1] == "top"
    assert lines["trivial: atoms"][1] == lines["trivial: ignores input"][1] == "bottom"
    text = report.read_text()
    assert "Dotted: what trivial rules reach." in text
    assert "Trivial rules beyond the axis: validation loss 400 (trivial: absurd)." in text


def test_a_rule_is_drawn_while_it_lengthens_the_axis_by_six_tenths() -> None:
    near, far = _rules({"in": 1.5, "below": 0.41, "above": 2.61, "too low": 0.39, "just": 2.59}, [1.0, 2.0])
    assert [rule for rule, _ in near] == ["in", "below", "just"]
    assert [rule for rule, _ in far] == ["above", "too low"]


def test_the_picture_is_drawn(report: Path) -> None:
    svg = (report.parent / "figures" / "first-losses.svg").read_text()
    for text in ("trivial: ligand size", "trivial: atoms", "trivial: ignores input"):
        assert len(re.findall(f"<text[^>]*>{text}</text>", svg)) == 1
    assert "absurd" not in svg


def test_names_of_lines_that_are_close_stand_one_above_the_other(tmp_path: Path) -> None:
    _, (path,) = made(tmp_path, plan_of(charts={"ends": Chart(kind="measures", y="loss")}), rules=NEAR)
    (rows,) = [
        layer["data"]["values"] for layer in spec(path, "ends")["layer"]
        if layer["mark"]["type"] == "text" and "values" in layer.get("data", {})
    ]  # fmt: skip
    assert [(row["text"], row["at"], row["align"], row["level"]) for row in rows] == [
        ("trivial: ligand size", 0.33, "left", 0),
        ("trivial: atoms", 0.332, "left", 1),
        ("trivial: mass", 0.375, "right", 0),
    ]
    assert "Beyond the axis: trivial: ignores input 2.303 (loss)." in path.read_text()
