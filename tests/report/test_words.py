"""Numbers and Markdown as readers see them."""

from __future__ import annotations

import math

import pytest

from interpreter.report.charts.palette import SHAPES, look_of
from interpreter.report.markdown import html, twin
from interpreter.report.terms import metric_title
from interpreter.report.words import interval, number, plus_minus
from interpreter.spec.names import metric_ref


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(1.23456, None, "1.235"), (-0.031, None, "−0.031"), (0.0, None, "0"), (-0.0001, 2, "0.00"), (123456.7, None, "123457"),
     (1.5e-7, None, "1.50e−07"), (None, None, "–"), (math.nan, None, "not a number"), (-math.inf, None, "−∞")],
)  # fmt: skip
def test_number(value: float | None, places: int | None, text: str) -> None:
    assert number(value, places) == text


def test_digits_follow_the_interval() -> None:
    assert plus_minus(1.67234, 0.0123) == "1.672 ± 0.012"
    assert plus_minus(1.67234, None) == "1.672"
    assert plus_minus(12.3, 4.56) == "12.3 ± 4.6"
    assert interval(-0.0512, -0.0101) == "−0.051 to −0.010"
    assert interval(None, 1.0) == ""


def test_markdown() -> None:
    assert html("# A\n[x](2024-05-21/first-try)") == '<h3>A</h3>\n<p><a href="../2024-05-21/first-try.html">x</a></p>\n'
    assert "<a " not in html("[x](javascript:alert(1))")
    assert "<img" not in html("![x](https://example.org/a.png)")
    assert html("<b onclick=x>") == "<p>&lt;b onclick=x&gt;</p>\n"
    assert twin("# A\n<b>x</b> 1 < 2\n```\n<b>\n```") == "### A\n&lt;b>x&lt;/b> 1 < 2\n```\n<b>\n```"


def test_terms() -> None:
    assert metric_ref("easy.val/rmse") == ("easy", "val", "rmse")
    assert metric_title("val/loss", "classification") == "validation cross-entropy (nats)"
    assert metric_title("easy.train/rmse") == "training RMSE, stage easy"


def test_many_arms_are_told_by_form_too() -> None:
    few, many = look_of(["a", "b"], ["a"]), look_of([f"arm{i}" for i in range(9)], ["arm0"])
    assert len(set(few.dashes)) == 1
    assert len(set(zip(many.light, many.dashes, strict=True))) == 9
    assert len(set(many.shapes)) == len(SHAPES)
    assert few.light[0] == many.light[0] != few.light[1]
