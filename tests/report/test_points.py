"""Which arms a text on a page stands for, and what they are called."""

from __future__ import annotations

import pytest

from interpreter.plan.points import levels, same_value, select, short_labels
from interpreter.plan.types import ArmPlan

FACTORS = {"by": ("layerwise", "manual"), "max_epochs": ("1", "100")}


def arm(name: str, base: str = "", **factors: str) -> ArmPlan:
    return ArmPlan(name, ("lba",), False, "lba", (), (), base=base, factors=factors)


THAW = [arm(f"thaw[by={b},max_epochs={m}]", "thaw", by=b, max_epochs=m) for b in FACTORS["by"] for m in FACTORS["max_epochs"]]
NOISY = [arm(f"noisy[{label}]", "noisy") for label in ("1-4-20", "1-2-0")]
OTHER = [arm(f"2024-06-28/first/thaw[by={b}]", "2024-06-28/first/thaw", by=b) for b in FACTORS["by"]]
ARMS = [arm("naive"), *THAW, *NOISY, *OTHER]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("naive", ["naive"]),
        ("thaw", [a.name for a in THAW]),
        ("thaw[*]", [a.name for a in THAW]),
        ("thaw[max_epochs=1]", ["thaw[by=layerwise,max_epochs=1]", "thaw[by=manual,max_epochs=1]"]),
        ("thaw[max_epochs=100,by=manual]", ["thaw[by=manual,max_epochs=100]"]),
        ("thaw[max_epochs=1e2,by=manual]", ["thaw[by=manual,max_epochs=100]"]),
        ("noisy[1-4-20]", ["noisy[1-4-20]"]),
        ("2024-06-28/first/thaw[by=manual]", ["2024-06-28/first/thaw[by=manual]"]),
        ("2024-06-28/first/thaw", [a.name for a in OTHER]),
        ("thaw[by=other]", []),
        ("thaw[lr=1]", []),
        ("noisy[1-4]", []),
        ("nobody", []),
        ("not an arm", []),
        ("[*]", [a.name for a in ARMS]),
    ],
)
def test_select(text: str, chosen: list[str]) -> None:
    assert [a.name for a in select(ARMS, text)] == chosen


def test_labels_say_what_varies() -> None:
    labels = short_labels(ARMS)
    assert labels["naive"] == "naive"
    assert labels["thaw[by=manual,max_epochs=100]"] == "thaw · by manual · max_epochs 100"
    assert labels["noisy[1-4-20]"] == "1-4-20"
    assert len(set(labels.values())) == len(ARMS)
    one = [arm("thaw[by=manual,max_epochs=1]", "thaw", by="manual", max_epochs="1"), THAW[3]]
    assert list(short_labels(one).values()) == ["thaw · max_epochs 1", "thaw · max_epochs 100"]
    assert short_labels(THAW, ["by"])["thaw[by=manual,max_epochs=1]"] == "thaw · max_epochs 1"


def test_equal_labels_are_told_by_their_names() -> None:
    twice = [arm("noisy[off]", "noisy"), arm("calm[off]", "calm")]
    assert list(short_labels(twice).values()) == ["noisy[off]", "calm[off]"]


def test_values_compare_as_written() -> None:
    assert same_value("100", 100)
    assert same_value("1e-3", 0.001)
    assert same_value("off", "off")
    assert same_value("off", None)
    assert same_value("true", True)
    assert not same_value("1", True)
    assert not same_value(None, "off")
    assert not same_value("3", "off")


def test_levels_are_in_order_of_size() -> None:
    arms = [arm(f"a[n={n}]", "a", n=n) for n in ("100", "3", "1e1")]
    assert levels(arms, "n") == ["3", "1e1", "100"]
    assert levels([*arms, arm("a[n=off]", "a", n="off")], "n") == ["100", "3", "1e1", "off"]
    assert levels(THAW, "by") == ["layerwise", "manual"]
