"""Optimizers: every type builds and steps, with its parameters in the groups exactly once."""

import copy
import inspect
from typing import get_args

import pytest
import timm
import torch
from pydantic import ValidationError
from timm.optim import param_groups_layer_decay
from torch import nn

from interpreter.errors import StageFailed
from interpreter.parts.build import build_model, build_optimizer
from interpreter.parts.contract import Model
from interpreter.parts.optim.depth import depths
from interpreter.parts.optim.optimizers import CLASSES
from interpreter.spec.components.optimizers import Optimizer
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.thawing import PhaseOf

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


def timm_model(name, image=32):
    settings = {"type": "timm", "name": name}
    return build_model(settings, {"hidden": None, "dropout": 0.0}, (3, image, image), 10, 0)


def phase(index, parameters, new, **said):
    return PhaseOf(index=index, groups=(), parameters=tuple(parameters), new=tuple(new), **said)


def names_of(net, optimizer):
    """Group -> names of its parameters."""
    names = {id(p): name for name, p in net.named_parameters()}
    return {group["name"]: [names[id(p)] for p in group["params"]] for group in optimizer.param_groups}


def each_once(net, optimizer, parameters=None):
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    expected = {id(p) for name, p in net.named_parameters() if parameters is None or name in parameters}
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == expected
    groups = [group["name"] for group in optimizer.param_groups]
    assert len(set(groups)) == len(groups)


def test_rates_of_named_groups():
    net = model()
    said = schedule(type="sgd", lr=0.5) | {"lr_times": {"head": 10, "conv*": 0.25}}
    optimizer = build_optimizer(said, net)
    each_once(net, optimizer)
    assert [(g["name"], g["times"], g["lr"], g["phase"]) for g in optimizer.param_groups] == [
        ("conv*", 0.25, 0.125, 0), ("head", 10.0, 5.0, 0),
    ]  # fmt: skip
    only = build_optimizer(schedule(type="sgd", lr=0.5) | {"lr_times": {"conv2": 0.0}}, net)
    assert {g["name"]: g["times"] for g in only.param_groups} == {"rest": 1.0, "conv2": 0.0}
    assert all(name.startswith("encoder.conv2") for name in names_of(net, only)["conv2"])


@pytest.mark.parametrize(
    ("lr_times", "words"),
    [
        ({"tail": 10}, "`lr_times` names `tail`, and no group of the model is called so"),
        ({"head": 10, "conv3*": 2}, "names `conv3\\*`, and no group"),
        ({"head": 10, "*": 0.1}, "names the group `head` twice, as `head` and as `\\*`"),
        ({"conv*": 10, "*1": 0.1}, "names the group `conv1` twice, as `conv\\*` and as `\\*1`"),
    ],
)
def test_names_that_match_nothing_or_twice_are_mistakes(lr_times, words):
    with pytest.raises(StageFailed, match=words) as caught:
        build_optimizer(schedule(type="sgd", lr=0.5) | {"lr_times": lr_times}, model())
    assert caught.value.hint == "the model's groups: conv1, conv2, head"


def test_decay_by_layers_of_cnn2d():
    net = model()
    optimizer = build_optimizer(schedule(type="adamw", lr=0.5, decay_exclude="norm_and_bias") | {"layer_decay": 0.5}, net)
    each_once(net, optimizer)
    assert [(g["name"], g["times"], g["lr"], g["weight_decay"]) for g in optimizer.param_groups] == [
        ("depth-2/decay", 0.25, 0.125, 0.01), ("depth-1/decay", 0.5, 0.25, 0.01), ("depth-0/decay", 1.0, 0.5, 0.01),
        ("depth-2/no_decay", 0.25, 0.125, 0.0), ("depth-1/no_decay", 0.5, 0.25, 0.0), ("depth-0/no_decay", 1.0, 0.5, 0.0),
    ]  # fmt: skip
    assert all(name.startswith("head") for name in names_of(net, optimizer)["depth-0/decay"])
    assert names_of(net, optimizer)["depth-2/no_decay"] == ["encoder.conv1.0.bias"] or net.encoder.conv1[0].bias is None


def expected_top(name):
    """What the encoder's last parameters are multiplied by: 1 where timm counts them to the head, a normalization there."""
    return 1.0 if name in ("convnext_atto", "mobilenetv3_small_050") else 0.75


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "mobilenetv3_small_050"])
def test_decay_by_layers_of_timm_is_timms_own(name):
    net = timm_model(name)
    own = build_optimizer(schedule(type="sgd", lr=1.0) | {"layer_decay": 0.75}, net)
    each_once(net, own)
    names = {id(p): name.removeprefix("encoder.") for name, p in net.encoder.named_parameters()}
    found = {names[id(p)]: g["times"] for g in own.param_groups for p in g["params"] if id(p) in names}
    options = {"img_size": 32} if name.startswith("vit") else {}
    reference = timm.create_model(name, num_classes=10, **options)
    theirs = {id(p): name for name, p in reference.named_parameters()}
    scales = {theirs[id(p)]: g["lr_scale"] for g in param_groups_layer_decay(reference, layer_decay=0.75) for p in g["params"]}
    expected = {name: scale for name, scale in scales.items() if name in found}
    assert found == pytest.approx(expected)
    assert len(set(found.values())) > 5
    assert max(found.values()) == expected_top(name)
    assert [g["times"] for g in own.param_groups if g["name"] == "depth-0"] == [1.0]


def test_depths_of_a_transformer_are_those_of_published_recipes():
    depth = depths(timm_model("vit_tiny_patch16_224"))  # 12 blocks
    assert (depth["head.0.weight"] if "head.0.weight" in depth else depth["head.weight"]) == 0
    assert (depth["encoder.norm.weight"], depth["encoder.blocks.11.mlp.fc1.weight"]) == (1, 1)
    assert depth["encoder.blocks.0.attn.qkv.weight"] == 12
    assert {depth[f"encoder.{name}"] for name in ("pos_embed", "cls_token", "patch_embed.proj.weight")} == {13}


class Stacked(nn.Module):
    """A network with a stem, a stack of blocks, a stack of stacks and a parameter of its own, which says nothing of layers."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(4))
        self.stem = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.blocks = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(2)))
        self.stages = nn.ModuleList(
            [nn.Sequential(nn.Sequential(nn.Linear(4, 4)), nn.Sequential(nn.Linear(4, 4))), nn.Sequential(nn.Linear(4, 4))]
        )


def test_a_stack_of_blocks_counts_as_its_blocks():
    net = Model(Stacked(), nn.Linear(4, 3), 4, 2)
    depth = depths(net)
    layers = [
        "token",
        "stem.0.weight",
        "blocks.0.0.bias",
        "blocks.1.0.bias",
        "stages.0.0.0.bias",
        "stages.0.1.0.bias",
        "stages.1.0.bias",
    ]
    assert [depth[f"encoder.{name}"] for name in layers] == [7, 6, 5, 4, 3, 2, 1]
    assert depth["encoder.stem.1.bias"] == 6
    assert (depth["head.weight"], depth["head.bias"]) == (0, 0)


def thaw():
    """Two phases of the small model, the head first; the first convolution never trains."""
    net = model()
    names = [name for name, _ in net.named_parameters()]
    head = [name for name in names if name.startswith("head")]
    conv2 = [name for name in names if "conv2" in name]
    return net, head, conv2


def test_phases_times_and_decay_together():
    net, head, conv2 = thaw()
    phases = [phase(0, head, head), phase(1, head + conv2, conv2, lr=0.1, weight_decay=0.5)]
    said = schedule(type="adamw", lr=0.5, decay_exclude="norm_and_bias") | {"lr_times": {"head": 10}, "layer_decay": 0.5}
    optimizer = build_optimizer(said, net, phases)
    each_once(net, optimizer, head + conv2)
    found = [(g["name"], g["phase"], g["times"], g["lr"], g["weight_decay"]) for g in optimizer.param_groups]
    assert found == [
        ("phase-0/head/depth-0/decay", 0, 10.0, 5.0, 0.01),
        ("phase-0/head/depth-0/no_decay", 0, 10.0, 5.0, 0.0),
        ("phase-1/rest/depth-1/decay", 1, 0.5, 0.05, 0.5),
        ("phase-1/rest/depth-1/no_decay", 1, 0.5, 0.05, 0.0),
    ]


def test_a_parameter_belongs_to_the_first_phase_that_trains_it():
    net, head, conv2 = thaw()
    phases = [phase(0, head, head), phase(1, conv2, conv2, lr=0.1), phase(2, head + conv2, ())]
    optimizer = build_optimizer(schedule(type="sgd", lr=0.5), net, phases)
    assert names_of(net, optimizer) == {"phase-0": head, "phase-1": conv2}


def test_phases_that_say_nothing_of_their_own_share_a_group():
    """A group costs an optimizer time at each step, and what is frozen in one costs none."""
    net, head, conv2 = thaw()
    one = build_optimizer(schedule(type="sgd", lr=0.5), net, [phase(0, head, head), phase(1, head + conv2, conv2)])
    assert [(g["name"], g["phase"], len(g["params"])) for g in one.param_groups] == [("all", 0, len(head + conv2))]
    phases = [phase(0, head, head, lr=0.1), phase(1, head + conv2, conv2), phase(2, head + conv2, ())]
    two = build_optimizer(schedule(type="sgd", lr=0.5), net, phases)
    assert names_of(net, two) == {"phase-0": head, "phase-1": conv2}


def test_one_phase_of_everything_is_as_none():
    net = model()
    names = [name for name, _ in net.named_parameters()]
    for said in (schedule(type="sgd", lr=0.5), schedule(type="adamw", lr=0.5, decay_exclude="norm_and_bias")):
        one, none = build_optimizer(said, net, [phase(0, names, names)]), build_optimizer(said, net)
        assert one.param_groups == none.param_groups
        assert [g["name"] for g in none.param_groups] in (["all"], ["decay", "no_decay"])


def test_a_phase_may_decay_where_the_stage_does_not():
    net, head, conv2 = thaw()
    phases = [phase(0, head, head), phase(1, head + conv2, conv2, weight_decay=0.5)]
    optimizer = build_optimizer(schedule(type="sgd", lr=0.5, decay_exclude="norm_and_bias"), net, phases)
    assert {g["name"]: g["weight_decay"] for g in optimizer.param_groups} == {
        "phase-0/decay": 0, "phase-0/no_decay": 0, "phase-1/decay": 0.5, "phase-1/no_decay": 0,
    }  # fmt: skip
    with pytest.raises(StageFailed, match="rprop has none"):
        build_optimizer(schedule(type="rprop", lr=0.5), net, phases)


def test_a_shared_parameter_is_in_one_group_by_any_of_its_names():
    net, head, conv2 = thaw()
    net.encoder.tied = net.head  # a second name, and named_parameters tells the first it meets
    assert not any(name.startswith("head") for name, _ in net.named_parameters())
    tied = [name for name, _ in net.named_parameters() if "tied" in name]
    phases = [phase(0, head, head), phase(1, conv2 + tied, conv2, lr=0.1)]
    optimizer = build_optimizer(schedule(type="sgd", lr=0.5), net, phases)
    assert names_of(net, optimizer) == {"phase-0": tied, "phase-1": conv2}


@pytest.mark.parametrize("name", list(CLASSES))
def test_state_goes_on_exactly_with_groups_of_every_kind(name):
    net, head, conv2 = thaw()
    phases = [phase(0, head, head), phase(1, head + conv2, conv2, lr=0.02)]
    said = schedule(type=name, lr=0.01) | {"layer_decay": 0.5}
    again = copy.deepcopy(net)
    first, second = build_optimizer(said, net, phases), build_optimizer(said, again, phases)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert [{k: v for k, v in g.items() if k != "params"} for g in second.param_groups] == [
        {k: v for k, v in g.items() if k != "params"} for g in first.param_groups
    ]
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        for each, optimizer in ((net, first), (again, second)):
            optimizer.zero_grad()
            each(x).square().sum().backward()
            optimizer.step()
        second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
