"""Facts of models, counted by a real process on the meta device: as by hand, as published, as in models built for real."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import nn

from interpreter import catalog
from interpreter.parts.build import build_model
from interpreter.parts.contract import Model as BuiltModel
from interpreter.parts.models.groups import groups
from interpreter.spec.components.contract import Model
from interpreter.stages.facts import answer


def request(
    model: dict[str, Any], shape: tuple[int, ...], outputs: int = 10, head: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"model": model, "head": head or {}, "shape": list(shape), "outputs": outputs}


def timm(name: str, **settings: Any) -> dict[str, Any]:
    return {"type": "timm", "name": name, **settings}


RGB, DIGIT = (3, 224, 224), (1, 8, 8)
CNN = {"type": "cnn2d", "channels": [16, 32]}
REQUESTS = {
    "cnn": request(CNN, DIGIT, 5),
    "mlp": request({"type": "mlp", "hidden": [32, 24], "batch_norm": True}, DIGIT, 7, {"hidden": [12], "dropout": 0.5}),
    "linear": request({"type": "mlp", "hidden": []}, DIGIT),
    "resnet18": request(timm("resnet18"), RGB, 1000),
    "cifar-stem": request(timm("resnet18", stem="cifar", max_pool="remove"), (3, 32, 32)),
    "vit": request(timm("vit_tiny_patch16_224", drop_path=0.1), RGB, 1000),
    "convnext": request(timm("convnext_atto"), (3, 64, 64)),
    "pretrained": request(timm("resnet34", pretrained=True), (3, 64, 64)),
    "unknown": request(timm("resnt18"), RGB),
    "patches": request(timm("vit_tiny_patch16_224"), (3, 50, 50)),
    "pools": request({"type": "cnn2d", "channels": [4, 4, 4, 4]}, DIGIT),
    "setting": request({"type": "cnn2d", "channels": [4], "kernel": 2}, DIGIT),
    "type": request({"type": "cnn9d"}, DIGIT),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """Answers to all of REQUESTS, from one process."""
    asked = json.dumps({"plugins": [], "requests": list(REQUESTS.values())})
    done = subprocess.run([sys.executable, "-m", "interpreter.stages.facts"], input=asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ready, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert ready == {"said": "ready"}
    return dict(zip(REQUESTS, lines, strict=True))


def test_a_cnn_is_counted_as_by_hand(answers):
    # conv1: 1*16*3*3 weights and 16 + 16 of its norm; conv2: 16*32*3*3 and 32 + 32; the head: 32*5 weights and 5 biases.
    first, second, head = 144 + 32, 4608 + 64, 165
    found = answers["cnn"]
    assert (found["encoder"], found["head"], found["total"]) == (first + second, head, first + second + head)
    assert found["features"] == 32
    assert found["parameters"][0] == ["encoder.conv1.0.weight", [16, 1, 3, 3], 144, True]
    # Means and variances in float32, and the number of batches as int64, of each norm.
    assert sum(size for _, _, size in found["buffers"]) == (2 * 16 * 4 + 8) + (2 * 32 * 4 + 8)


def test_an_mlp_is_counted_as_by_hand(answers):
    first, second = (64 * 32 + 32) + 2 * 32, (32 * 24 + 24) + 2 * 24
    head = (24 * 12 + 12) + (12 * 7 + 7)
    assert (answers["mlp"]["encoder"], answers["mlp"]["head"]) == (first + second, head)
    assert (answers["linear"]["encoder"], answers["linear"]["head"], answers["linear"]["features"]) == (0, 650, 64)


@pytest.mark.parametrize(
    ("name", "total", "features"),
    [
        ("resnet18", 11_689_512, 512),  # torchvision's documentation of ResNet18_Weights
        ("vit", 5_717_416, 192),  # "5.72 M", the model card of vit_tiny_patch16_224
        ("cifar-stem", 11_689_512 - 3 * 64 * 7 * 7 + 3 * 64 * 3 * 3 - 512 * 990 - 990, 512),
        ("pretrained", 21_797_672 - 512 * 990 - 990, 512),  # weights that are not on this machine change no shape
    ],
)
def test_models_of_timm_have_their_published_sizes(answers, name, total, features):
    assert (answers[name]["total"], answers[name]["features"]) == (total, features)


@pytest.mark.parametrize("name", ["cnn", "mlp", "resnet18", "cifar-stem", "vit", "convnext"])
def test_facts_are_those_of_the_model_that_is_trained(answers, name):
    asked = REQUESTS[name]
    model = build_model(asked["model"], asked["head"], tuple(asked["shape"]), asked["outputs"], seed=0)
    real = [[name, list(p.shape), p.numel(), p.requires_grad] for name, p in model.named_parameters()]
    assert answers[name]["parameters"] == real
    assert answers[name]["features"] == model.features


@pytest.mark.parametrize(
    ("name", "error", "hint"),
    [
        ("unknown", "has no model `resnt18`", "did you mean resnet18"),
        ("patches", "patches of 16 x 16", ""),
        ("pools", "before the pooling of conv4 they are 1 x 1", ""),
        ("setting", "`kernel` must be odd", ""),
        ("type", "no model of type `cnn9d`", "cnn2d"),
    ],
)
def test_what_can_not_be_built_is_told_in_a_line(answers, name, error, hint):
    said = answers[name]
    assert set(said) == {"error", "hint"}
    assert error in said["error"] and "\n" not in said["error"]
    assert hint in said["hint"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cnn", ["conv1", "conv2", "head"]),
        ("mlp", ["layer1", "layer2", "head"]),
        ("linear", ["head"]),
        ("resnet18", ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "head"]),
        ("vit", ["cls_token", "pos_embed", "patch_embed", "blocks", "norm", "head"]),
        ("convnext", ["stem", "stages", "encoder.head", "head"]),  # ConvNeXt's own head holds its last norm
    ],
)
def test_every_parameter_is_in_exactly_one_group(answers, name, expected):
    found = answers[name]["groups"]
    assert list(found) == expected
    grouped = [parameter for names in found.values() for parameter in names]
    assert sorted(grouped) == sorted(parameter for parameter, *_ in answers[name]["parameters"])
    counts = {parameter: count for parameter, _, count, _ in answers[name]["parameters"]}
    assert sum(counts[parameter] for parameter in found["head"]) == answers[name]["head"]


def test_a_shared_parameter_is_in_the_group_of_its_first_user():
    encoder = nn.Sequential()
    encoder.add_module("one", nn.Linear(4, 4))
    encoder.add_module("two", nn.Linear(4, 4))
    encoder.two.weight = encoder.one.weight
    found = groups(BuiltModel(encoder, nn.Sequential(nn.Linear(4, 2)), 4, 2))
    assert found == {
        "one": ("encoder.one.weight", "encoder.one.bias"),
        "two": ("encoder.two.bias",),
        "head": ("head.0.weight", "head.0.bias"),
    }


class Odd(Model):
    """A model of a plug-in, with a trick of its own."""

    input_dims: ClassVar[int | None] = None
    type: Literal["odd"] = "odd"
    trick: str = "none"


def build_odd(config: Odd, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    if config.trick == "computes":  # asks a tensor for its numbers, which the meta device does not have
        width = int(torch.linspace(1, 5, 3).tolist()[1])
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), width)), width
    if config.trick == "raises":
        raise ZeroDivisionError("a thing\nof several lines")
    if config.trick == "lies":
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 6)), 7
    return nn.Sequential(nn.Flatten(), nn.Linear(3, 6)), 6


@pytest.fixture
def odd(monkeypatch):
    """The catalog with one model more."""
    line = catalog.Line("model", "odd", f"{__name__}:Odd", f"{__name__}:build_odd", "an odd one")
    monkeypatch.setattr(catalog, "find", lambda kind, type_: line)
    monkeypatch.setattr(catalog, "config_class", lambda kind, type_: Odd)
    monkeypatch.setattr(catalog, "builder", lambda kind, type_: build_odd)


def test_a_builder_that_computes_is_built_for_real(odd):
    found = answer(request({"type": "odd", "trick": "computes"}, DIGIT, 2))
    assert (found["features"], found["encoder"], found["head"]) == (3, 64 * 3 + 3, 3 * 2 + 2)


@pytest.mark.parametrize(
    ("trick", "error"),
    [
        ("raises", "ZeroDivisionError: a thing"),
        ("none", "it does not take examples of 1 x 8 x 8: RuntimeError"),
        ("lies", "it does not take examples of 1 x 8 x 8"),  # a head for 7 features does not take 6
    ],
)
def test_a_broken_builder_is_told_in_a_line(odd, trick, error):
    said = answer(request({"type": "odd", "trick": trick}, DIGIT))
    assert said["error"].startswith(error) and "\n" not in said["error"]
