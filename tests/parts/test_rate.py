"""The learning rate in closed form: the published recipes' numbers, and what holds of every rule."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.optim import lr_scheduler

from interpreter.errors import StageFailed
from interpreter.parts.build import rate_at, rate_rule
from interpreter.parts.optim import rate
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.thawing import PhaseOf, planned_epochs


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


def test_square_root_scaling():
    scaled = schedule(lr={"base": 0.001, "per": 256, "scale": "sqrt"}, batch_size=1024)
    assert rate_at(scaled, 0, 10) == 0.002
    assert rate_at({**scaled, "batch_size": 64}, 0, 10) == 0.0005


rules = st.one_of(
    st.just({"type": "constant"}),
    st.builds(lambda floor, every: {"type": "cosine", "floor": floor, "every": every},
              st.sampled_from([None, 0.0, 1e-3, 1.0]), st.sampled_from(["step", "epoch"])),
    st.builds(lambda power, floor: {"type": "polynomial", "power": power, "floor": floor},
              st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from([0.0, 0.1])),
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


def parsed(**settings):
    return Schedule.model_validate(schedule(**settings))


def of_torch(make, steps, lr=1e-2):
    """The rates, and momenta, that one of torch's own schedulers sets in `steps` steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    scheduler = make(optimizer)
    rates, momenta = [], []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        scheduler.step()
    return rates, momenta


def same(found, expected):
    assert list(found) == pytest.approx(list(expected), rel=1e-12, abs=0)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_polynomial_is_that_of_torch(power):
    ours = rate.rule(parsed(epochs=10, type="polynomial", power=power), 7)
    theirs, _ = of_torch(lambda o: lr_scheduler.PolynomialLR(o, total_iters=70, power=power), 70)
    same([ours(t) for t in range(70)], theirs)
    assert ours(0) == 1e-2
    assert ours(70) == 0


def test_polynomial_falls_from_the_end_of_the_warmup_to_its_floor():
    ours = rate.rule(parsed(epochs=10, lr=1.0, type="polynomial", warmup=2, floor=0.2), 10)
    assert [ours(t) for t in (0, 19, 20, 60, 100)] == pytest.approx([0, 1, 1, 0.6, 0.2])


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_one_cycle_is_that_of_torch(shape):
    rule = {"type": "one_cycle", "shape": shape, "momentum": [0.85, 0.95]}
    settings = parsed(epochs=10, **rule)
    settings = settings.model_copy(update={"optimizer": settings.optimizer.model_copy(update={"momentum": 0.9})})
    ours = rate.rule(settings, 10)
    anneal = {"cosine": "cos", "linear": "linear"}[shape]
    # torch's defaults are ours: 30 % of the steps rise, from 1/25 of the peak, and fall to 1/10,000 of that.
    theirs, momenta = of_torch(
        lambda o: lr_scheduler.OneCycleLR(o, max_lr=1e-2, epochs=10, steps_per_epoch=10, anneal_strategy=anneal), 99
    )
    same([ours(t) for t in range(99)], theirs)
    same([ours.momentum(t) for t in range(99)], momenta)
    assert (ours(0), ours(29), ours(99), ours.peaks_at) == (pytest.approx(4e-4), 1e-2, pytest.approx(4e-8), 29)
    assert (ours.momentum(29), ours.momentum(99)) == (0.85, 0.95)


def test_one_cycle_may_be_all_rise_or_all_fall():
    rise = rate.rule(parsed(epochs=2, lr=1.0, type="one_cycle", warmup="100%", shape="linear", start=0.5), 3)
    assert [rise(t) for t in range(7)] == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0])
    fall = rate.rule(parsed(epochs=2, lr=1.0, type="one_cycle", warmup=0, shape="linear", floor=0.5), 3)
    assert [fall(t) for t in range(7)] == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.5])


@pytest.mark.parametrize(("up", "down", "times"), [(2, None, 1.0), (1, 3, 1.0), (2, 1, 0.5), (3, 2, 0.7)])
def test_cyclic_is_that_of_torch(up, down, times):
    ours = rate.rule(parsed(epochs=12, type="cyclic", low=0.1, up=up, down=down, times=times), 5)

    def make(optimizer):
        sizes = {"step_size_up": 5 * up, "step_size_down": 5 * (down or up)}
        height = {"scale_fn": lambda cycle: times ** (cycle - 1), "scale_mode": "cycle"}
        return lr_scheduler.CyclicLR(optimizer, base_lr=1e-3, max_lr=1e-2, **sizes, **height, cycle_momentum=False)

    theirs, _ = of_torch(make, 60)
    same([ours(t) for t in range(60)], theirs)
    assert (ours(0), ours(5 * up), ours.peaks_at) == (pytest.approx(1e-3), 1e-2, 5 * up)


VALUES = [1.0, 0.9, 0.9, 0.95, 0.89, float("nan"), 0.89, 0.8, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86, 0.87, 0.7, 0.7, 0.7, 0.7, 0.7]


@pytest.mark.parametrize("monitor", ["val/loss", "val/accuracy"])
@pytest.mark.parametrize(
    ("patience", "min_delta", "cooldown"), [(1, 0.0, 0), (2, 0.0, 0), (2, 0.05, 0), (1, 0.02, 2), (3, 0.0, 1)]
)
def test_plateau_is_that_of_torch(monitor, patience, min_delta, cooldown):
    said = {"monitor": monitor, "times": 0.3, "patience": patience, "min_delta": min_delta, "cooldown": cooldown, "floor": 0.05}
    ours = rate.Plateau(parsed(type="plateau", **said))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-2)
    # torch drops when more than `patience` epochs in a row were no better, we when it is as many.
    theirs = lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="min" if monitor == "val/loss" else "max", factor=0.3, patience=patience - 1, threshold=min_delta,
        threshold_mode="abs", cooldown=cooldown, min_lr=0.05 * 1e-2, eps=0.0,
    )  # fmt: skip
    sign = 1 if monitor == "val/loss" else -1
    for number, value in enumerate(VALUES):
        if number == 9:  # taken up again in the middle
            state, ours = ours.state(), rate.Plateau(parsed(type="plateau", **said))
            ours.load(state)
        ours.observe(sign * value)
        theirs.step(sign * value)
        assert 1e-2 * ours.factor == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12), number
    assert ours.factor < 1


def test_plateau_multiplies_a_warmup_and_a_peak():
    ours = rate.rule(parsed(epochs=10, lr=1.0, type="plateau", times=0.1, patience=2, warmup=2), 10)
    assert [ours(t) for t in (0, 19, 20, 99)] == [0, 1, 1, 1]


def test_epochs_may_differ_in_length():
    counts = [3, 1, 4, 2]  # 10 steps
    step = rate.rule(parsed(epochs=4, lr=1.0, type="step", at=[1, 3], times=0.1), counts)
    assert [step(t) for t in range(10)] == pytest.approx([1] * 3 + [0.1] * 5 + [0.01] * 2)
    warm = rate.rule(parsed(epochs=4, lr=1.0, warmup=2, type="constant"), counts)
    assert [warm(t) for t in range(5)] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    cosine = rate.rule(parsed(epochs=4, lr=1.0, type="cosine", every="epoch"), counts)
    assert [cosine(t) for t in range(10)] == pytest.approx(
        [(1 + math.cos(math.pi * s / 10)) / 2 for s in [0] * 3 + [3] + [4] * 4 + [8] * 2]
    )
    cyclic = rate.rule(parsed(epochs=4, lr=1.0, type="cyclic", low=0.0, up=1, down=1), counts)
    assert [cyclic(t) for t in range(10)] == pytest.approx([0, 1 / 3, 2 / 3, 1, 0, 1 / 4, 2 / 4, 3 / 4, 1, 0.5])


@pytest.mark.parametrize("said", [
    {"type": "cosine", "warmup": "30%", "every": "epoch_end"}, {"type": "step", "at": [2, 5], "times": 0.3, "warmup": 1},
    {"type": "one_cycle"}, {"type": "cyclic", "low": 0.2, "up": 2, "down": 1}, {"type": "polynomial", "warmup": {"steps": 5}},
])  # fmt: skip
def test_equal_epochs_are_as_one_number(said):
    settings = parsed(epochs=7, **said)
    one, many = rate.rule(settings, 11), rate.rule(settings, [11] * 7)
    assert [one(t) for t in range(80)] == [many(t) for t in range(80)]


def phase(**said):
    return PhaseOf(index=1, groups=("conv2",), parameters=(), new=(), **said)


def test_a_phase_without_a_rate_goes_by_the_stage():
    settings = parsed(epochs=10, type="cosine", warmup=2)
    stage, found = rate.rule(settings, 10), rate.phase_rule(settings, phase(), 10, 40)
    assert [found(t) for t in range(40, 100)] == [stage(t) for t in range(40, 100)]


def test_a_phase_with_a_rate_follows_the_stage_in_proportion():
    settings = parsed(epochs=10, lr=1e-2, type="cosine", warmup=5)
    stage, found = rate.rule(settings, 10), rate.phase_rule(settings, phase(lr=3e-4), 10, 40)
    same([found(t) for t in range(40, 100)], [0.03 * stage(t) for t in range(40, 100)])
    assert (found(50), found.peak, found.peaks_at) == (3e-4, 3e-4, 49)


@pytest.mark.parametrize(
    ("said", "length"),
    [({}, 6), ({"max_epochs": 3}, 3), ({"until_epoch": 6}, 2), ({"max_epochs": 1, "until_epoch": 9}, 1), ({"until_epoch": 2}, 1)],
)
def test_a_phase_with_a_rule_begins_it_anew_and_stays_where_it_ended(said, length):
    settings = parsed(epochs=10, lr=1e-2, type="cosine", warmup=5)
    own = Schedule.model_validate(schedule(type="polynomial", floor=0.1, warmup={"steps": 4})).lr_schedule
    asked = phase(lr=1.0, lr_schedule=own, **said)
    assert planned_epochs(10, asked, 4) == length
    found, alone = (
        rate.phase_rule(settings, asked, 10, 40),
        rate.rule(parsed(epochs=length, lr=1.0, **own.model_dump(exclude={"from_"})), 10),
    )
    assert [found(t) for t in range(40, 100)] == [alone(t - 40) for t in range(40, 100)]
    assert (found(40), found(43), found.peaks_at, found(40 + 10 * length)) == (0, 1.0, 43, pytest.approx(0.1))


def test_a_phase_with_a_rule_but_no_rate_has_the_stages_peak_and_epochs_of_its_own():
    settings = parsed(epochs=6, lr=1e-2, type="constant")
    own = parsed(epochs=6, type="step", at=[1], times=0.5).lr_schedule
    found = rate.phase_rule(settings, phase(lr_schedule=own, max_epochs=2), [1, 2, 3, 4, 5, 6], 3)  # begins with the third epoch
    assert [found(t) for t in range(3, 21)] == [1e-2] * 3 + [5e-3] * 15


def test_a_phase_may_have_a_plateau_of_its_own():
    settings = parsed(epochs=6, lr=1e-2, type="cosine")
    own = parsed(type="plateau", times=0.5, patience=1, monitor="val/accuracy").lr_schedule
    watcher = rate.Plateau(rate.of_phase(settings, phase(lr_schedule=own), 2))
    for value in (0.5, 0.4):
        watcher.observe(value)
    assert (watcher.monitor, watcher.factor) == ("val/accuracy", 0.5)


@pytest.mark.parametrize(
    ("said", "takes"),
    [
        ({"type": "constant", "warmup": {"steps": 30}}, 30),
        ({"type": "one_cycle"}, 30),
        ({"type": "cyclic", "low": 0.1, "up": 3}, 31),
    ],
)
def test_a_fit_that_ends_on_the_way_up_never_peaked(said, takes):
    ours = rate.rule(parsed(epochs=10, **said), 10)
    assert rate.never_peaked(ours, takes) is None
    assert rate.never_peaked(ours, takes - 1) == ours(takes - 2) < 1e-2
    assert rate.never_peaked(ours, 5, began=5) is None
    assert max(ours(t) for t in range(100)) == 1e-2


def test_a_warmup_longer_than_the_fit_never_peaks():
    ours = rate.rule(parsed(epochs=2, lr=1.0, type="cosine", warmup={"steps": 101}), 10)
    assert rate.never_peaked(ours, 20) == 0.19


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"type": "cyclic", "low": 0.1, "up": 2, "warmup": 3}, "leave `warmup` out"),
        ({"type": "cyclic", "low": 0.1, "up": 100}, "never reach the peak"),
        ({"type": "plateau", "times": 0.1, "patience": 100}, "never drop"),
        ({"type": "one_cycle", "warmup": 101}, "longer than the fit of 100"),
        ({"type": "one_cycle", "warmup": 5, "from": 1e-8}, "leave `from` out"),
    ],
)
def test_mistakes_of_the_longer_rules_are_named(wrong, words):
    with pytest.raises(ValidationError, match=words):
        Schedule.model_validate(schedule(**wrong))


def test_a_momentum_that_moves_needs_one():
    said = schedule(type="one_cycle", momentum=[0.85, 0.95])
    assert Schedule.model_validate({**said, "optimizer": {"type": "adamw", "lr": 0.1}}).lr_schedule.momentum == [0.85, 0.95]
    with pytest.raises(ValidationError, match="needs an optimizer that has one, or betas, and adagrad has not"):
        Schedule.model_validate({**said, "optimizer": {"type": "adagrad", "lr": 0.1}})


def test_an_unknown_metric_is_named():
    with pytest.raises(StageFailed, match="not known for val/beauty"):
        rate.Plateau(parsed(type="plateau", times=0.1, patience=2, monitor="val/beauty"))
