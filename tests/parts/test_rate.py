"""The learning rate in closed form: the published recipes' numbers, and what holds of every rule."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from interpreter.parts.build import rate_at, rate_rule
from interpreter.spec.components.schedules import Schedule


def schedule(epochs=100, lr=1e-2, batch_size=256, **lr_schedule):
    return {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": {"type": "sgd", "lr": lr},
        "lr_schedule": lr_schedule or {"type": "constant"},
    }


def test_cifar_recipe():
    """Warm-up over 30 % of 19,500 steps from 1e-8, cosine back to 1e-8."""
    rate = rate_rule(schedule(type="cosine", warmup="30%", **{"from": 1e-8}), 195)
    assert rate(0) == 1e-8
    assert rate(2925) == pytest.approx(5.0e-3, rel=1e-3)
    assert rate(5849) == rate(5850) == 1e-2
    assert rate(12675) == pytest.approx(5.0e-3, rel=1e-5)
    assert rate(19499) == pytest.approx(1.013e-8, rel=1e-3)
    spelled_out = schedule(type="cosine", warmup={"steps": 5850}, floor=1e-6, **{"from": 1e-8})
    assert [rate(t) for t in range(0, 19500, 7)] == pytest.approx([rate_at(spelled_out, t, 195) for t in range(0, 19500, 7)])


@pytest.mark.parametrize(("epoch", "expected"), [(500, 0.00801), (700, 0.00331), (900, 0.000407), (1000, 1.6e-5)])
def test_supcon_recipe(epoch, expected):
    """Epochs counted from 1, a rate for a whole epoch, ending at a thousandth of 0.016."""
    whole = schedule(epochs=1000, lr=0.016, type="cosine", floor=1e-3, every="epoch_end")
    assert rate_at(whole, (epoch - 1) * 90, 90) == rate_at(whole, epoch * 90 - 1, 90) == pytest.approx(expected, rel=2e-3)
    by_step = schedule(epochs=1000, lr=0.016, type="cosine", floor=1e-3)
    assert rate_at(by_step, epoch * 90, 90) == pytest.approx(expected, rel=2e-3)


def test_cosine_by_epoch_starts_at_the_peak():
    rate = rate_rule(schedule(epochs=4, lr=1.0, type="cosine", every="epoch"), 10)
    assert [rate(10 * e) for e in range(4)] == pytest.approx([(1 + math.cos(math.pi * e / 4)) / 2 for e in range(4)])
    assert all(rate(10 * (t // 10)) == rate(t) for t in range(40))


def test_step_recipe():
    """Drops to a fifth when 60, 75 and 90 epochs are done."""
    rate = rate_rule(schedule(epochs=100, lr=0.25, type="step", at=[60, 75, 90], times=0.2), 3)
    for epoch, expected in [(0, 0.25), (59, 0.25), (60, 0.05), (74, 0.05), (75, 0.01), (89, 0.01), (90, 0.002), (99, 0.002)]:
        assert rate(3 * epoch) == rate(3 * epoch + 2) == pytest.approx(expected), epoch


def test_linear_scaling():
    scaled = schedule(lr={"base": 0.5, "per": 1024}, batch_size=32)
    assert rate_at(scaled, 0, 10) == 0.015625
    assert rate_at({**scaled, "batch_size": 64}, 0, 10) == 0.03125


rules = st.one_of(
    st.just({"type": "constant"}),
    st.builds(lambda floor, every: {"type": "cosine", "floor": floor, "every": every},
              st.sampled_from([None, 0.0, 1e-3, 1.0]), st.sampled_from(["step", "epoch"])),
    st.builds(lambda at: {"type": "step", "at": sorted(at), "times": 0.2}, st.sets(st.integers(1, 3), min_size=1)),
)  # fmt: skip
warmups = st.one_of(
    st.integers(0, 3), st.sampled_from(["0%", "30%", "33.3%", "100%"]), st.integers(0, 9).map(lambda n: {"steps": n})
)


@settings(max_examples=200, deadline=None)
@given(rule=rules, warmup=warmups, start=st.sampled_from([0.0, 1e-8, 1e-3]), per_epoch=st.integers(3, 11))
def test_rises_to_the_peak_then_never_rises(rule, warmup, start, per_epoch):
    none = warmup in (0, "0%", {"steps": 0})
    plain = schedule(epochs=4, lr=1e-2, **rule, warmup=warmup, **({} if none else {"from": start}))
    rates = [rate_at(plain, t, per_epoch) for t in range(4 * per_epoch)]
    top = rates.index(max(rates))
    assert rates[top] == 1e-2
    assert all(a <= b for a, b in pairwise(rates[: top + 1]))
    assert all(a >= b for a, b in pairwise(rates[top:]))
    assert all(0 <= rate <= 1e-2 for rate in rates)
    if not none and top > 0:
        assert rates[0] == start


@pytest.mark.parametrize("warmup", [0, "0%", {"steps": 0}, {"steps": 1}, "0.9%"])
def test_a_warmup_of_no_or_one_step_is_none(warmup):
    rate = rate_rule(schedule(epochs=10, type="cosine", warmup=warmup), 10)  # 0.9 % of 100 steps is one
    assert [rate(t) for t in range(100)] == [rate_at(schedule(epochs=10, type="cosine"), t, 10) for t in range(100)]


def test_a_percentage_has_one_spelling():
    texts = ["30%", "30.0 %", " 30%"]
    assert {Schedule.model_validate(schedule(type="cosine", warmup=t)).lr_schedule.warmup for t in texts} == {"30%"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"type": "cosine", "warmup": "30"}, r"a share of the fit \(30%\)"),
        ({"type": "cosine", "warmup": "130%"}, r"a share of the fit \(30%\)"),
        ({"type": "cosine", "warmup": 0.3}, "written with a %"),
        ({"type": "cosine", "warmup": 101}, "longer than the fit of 100"),
        ({"type": "cosine", "from": 1e-8}, "there is no `warmup`"),
        ({"type": "cosine", "warmup": 5, "from": 0.1}, "above the peak of 0.01"),
        ({"type": "cosine", "floor": 2.0}, "less than or equal to 1"),
        ({"type": "step", "at": [60, 50], "times": 0.2}, "ascending"),
        ({"type": "step", "at": [60, 100], "times": 0.2}, "would never happen"),
        ({"type": "step", "at": [60], "times": 2.0}, "less than 1"),
        ({"type": "cosign"}, "'constant', 'step', 'cosine'"),
        ({"type": "cosine", "from_": 1e-8, "warmup": 5}, "Extra inputs"),
    ],
)
def test_mistakes_are_named(wrong, words):
    with pytest.raises(ValidationError, match=words):
        Schedule.model_validate(schedule(**wrong))


def test_precision_may_be_written_as_a_number():
    assert Schedule.model_validate({**schedule(), "precision": 32}).precision == "32"
    assert Schedule.model_validate({**schedule(), "precision": 16}).precision == "16"
    with pytest.raises(ValidationError, match="'32', 'bf16' or '16'"):
        Schedule.model_validate({**schedule(), "precision": 64})
