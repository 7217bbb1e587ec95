"""Optimizers: every type builds and steps, with its parameters in the groups exactly once."""

import inspect
from typing import get_args

import pytest
import torch
from pydantic import ValidationError

from interpreter.parts.build import build_model, build_optimizer
from interpreter.parts.optim.optimizers import CLASSES
from interpreter.spec.components.optimizers import Optimizer
from interpreter.spec.components.schedules import Schedule

CONFIGS = {cls.model_fields["type"].default: cls for cls in get_args(get_args(Optimizer)[0])}


def schedule(**optimizer):
    return {"epochs": 1, "batch_size": 8, "optimizer": optimizer}


def model():
    settings = {"type": "cnn2d", "channels": [4, 8]}
    return build_model(settings, {"hidden": 6, "dropout": 0.0}, (1, 8, 8), 3, 0)


def test_the_types_are_those_of_torch_that_need_no_closure():
    assert set(CONFIGS) == set(CLASSES)
    others = {"LBFGS", "SparseAdam", "Muon", "Optimizer"}  # a closure, sparse gradients, matrices only
    of_torch = {name for name, cls in vars(torch.optim).items() if inspect.isclass(cls) and name not in others}
    assert {cls.__name__ for cls in CLASSES.values()} == of_torch


@pytest.mark.parametrize("name", list(CLASSES))
def test_every_optimizer_builds_with_its_defaults_and_learns(name):
    net = model()
    optimizer = build_optimizer(schedule(type=name, lr=1.0 if name == "adadelta" else 0.01), net)
    assert type(optimizer) is CLASSES[name]
    assert optimizer.param_groups[0]["name"] == "all"
    x, y = torch.randn(30, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", list(CLASSES))
def test_defaults_are_those_of_torch(name):
    built = build_optimizer(schedule(type=name, lr=0.01), model()).defaults
    reference = CLASSES[name]([torch.zeros(2, 2)], lr=0.01).defaults
    assert built == reference


@pytest.mark.parametrize("exclude", ["none", "norm_and_bias"])
def test_each_parameter_is_in_one_group_once(exclude):
    net = model()
    net.tied = net.head  # the same parameters under a second name
    for parameter in net.encoder.parameters():
        parameter.requires_grad = False  # to be thawed later: groups are fixed for the life of a fit
    optimizer = build_optimizer(schedule(type="sgd", lr=0.1, weight_decay=0.01, decay_exclude=exclude), net)
    grouped = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(grouped) == len({id(p) for p in grouped}) == len(list(net.parameters()))
    assert {id(p) for p in grouped} == {id(p) for p in net.parameters()}
    if exclude == "norm_and_bias":
        decay, spared = optimizer.param_groups
        assert (decay["name"], decay["weight_decay"], spared["name"], spared["weight_decay"]) == ("decay", 0.01, "no_decay", 0.0)
        assert all(p.ndim > 1 for p in decay["params"])
        assert all(p.ndim == 1 for p in spared["params"])


def test_what_has_no_gradient_is_neither_stepped_nor_decayed():
    net = model()
    optimizer = build_optimizer(schedule(type="sgd", lr=0.1, momentum=0.9, weight_decay=0.5), net)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    net.head(torch.randn(4, net.features)).sum().backward()
    optimizer.step()
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("encoder"), name


def test_options_reach_torch():
    optimizer = build_optimizer(schedule(type="sgd", lr={"base": 0.5, "per": 1024}, momentum=0.9, nesterov=True), model())
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"]) == (0.5 * 8 / 1024, 0.9, True)
    assert build_optimizer(schedule(type="adam", lr=1e-3, betas=[0.5, 0.9]), model()).param_groups[0]["betas"] == (0.5, 0.9)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"type": "sgd"}, "Field required"),
        ({"type": "adam", "lr": 0.0}, "greater than 0"),
        ({"type": "adam", "lr": "1e-3"}, "valid number"),
        ({"type": "adam", "lr": 1e-3, "momentum": 0.9}, "Extra inputs"),
        ({"type": "sgd", "lr": 0.1, "nesterov": True}, "needs a `momentum`"),
        ({"type": "rprop", "lr": 0.1, "weight_decay": 0.1}, "less than or equal to 0"),
        ({"type": "lbfgs", "lr": 0.1}, "'sgd', 'adam'"),
    ],
)
def test_mistakes_are_named(wrong, words):
    with pytest.raises(ValidationError, match=words):
        Schedule.model_validate(schedule(**wrong))
