"""Models: seeds, independence of encoder and head, shapes, and words for what does not fit."""

import random

import numpy as np
import pytest
import timm
import torch
from pydantic import ValidationError

from interpreter.errors import DataMissing, StageFailed
from interpreter.parts.build import build_model
from interpreter.spec.components.models import Cnn2d, Timm

HEAD = {"hidden": None, "dropout": 0.0}
MODELS = [
    ({"type": "mlp", "hidden": [32, 16], "batch_norm": True, "dropout": 0.1}, (1, 8, 8), 16),
    ({"type": "mlp", "hidden": []}, (1, 8, 8), 64),
    ({"type": "cnn2d", "channels": [4, 8], "dropout": 0.1}, (3, 16, 16), 8),
    ({"type": "cnn2d", "channels": [4, 8], "pool": [1, 2], "global_pool": "flatten", "batch_norm": False}, (3, 16, 16), 512),
    ({"type": "cnn2d", "channels": [4], "kernel": 5, "global_pool": "max", "activation": "gelu"}, (1, 8, 8), 4),
    ({"type": "timm", "name": "resnet10t"}, (1, 32, 32), 512),
    ({"type": "timm", "name": "mobilenetv3_small_050", "drop_path": 0.1}, (3, 32, 32), 1024),
    ({"type": "timm", "name": "vit_tiny_patch16_224"}, (3, 32, 32), 192),
]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize(("settings", "shape", "features"), MODELS)
def test_every_model(settings, shape, features):
    """Shapes; weights that follow from the seed and the model alone; global generators left alone."""
    torch.manual_seed(1)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    model = build_model(settings, HEAD, shape, 10, 5)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert np.array_equal(before[2], np.random.get_state()[1])

    torch.manual_seed(2)
    other_head = build_model(settings, {"hidden": 8, "dropout": 0.5}, shape, 3, 5)
    assert same(model, build_model(settings, HEAD, shape, 10, 5))
    assert same(model.encoder, other_head.encoder)
    other_seed = build_model(settings, HEAD, shape, 10, 6)
    assert not same(model.head, other_seed.head)
    assert settings.get("hidden") == [] or not same(model.encoder, other_seed.encoder)

    x = torch.randn(4, *shape)
    assert model.training
    model.eval()
    assert model.features == features
    assert model.encoder(x).shape == (4, features)
    assert torch.equal(model(x), model.head(model.encoder(x)))
    assert model(x).shape == (4, 10)


def test_the_head_is_the_same_on_encoders_of_equal_width():
    a = build_model({"type": "mlp", "hidden": [16]}, HEAD, (1, 8, 8), 10, 5)
    b = build_model({"type": "mlp", "hidden": [32, 16]}, HEAD, (1, 8, 8), 10, 5)
    assert same(a.head, b.head)


def test_head_layers():
    model = build_model({"type": "mlp", "hidden": [16]}, {"hidden": [8, 4], "dropout": 0.25}, (1, 8, 8), 3, 0)
    kinds = [type(layer).__name__ for layer in model.head]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    plain = build_model({"type": "mlp", "hidden": [16]}, {"hidden": None, "dropout": 0.25}, (1, 8, 8), 3, 0)
    assert [type(layer).__name__ for layer in plain.head] == ["Dropout", "Linear"]


def test_layers_have_names_to_thaw_by():
    cnn = build_model({"type": "cnn2d", "channels": [4, 8]}, HEAD, (3, 16, 16), 10, 0)
    assert {name.split(".")[1] for name, _ in cnn.named_parameters() if name.startswith("encoder")} == {"conv1", "conv2"}


def test_cifar_resnet18_has_the_published_number_of_parameters():
    settings = {"type": "timm", "name": "resnet18", "stem": "cifar", "max_pool": "keep", "zero_init_last": False}
    model = build_model(settings, HEAD, (3, 32, 32), 10, 0)
    assert sum(p.numel() for p in model.parameters()) == 11_173_962
    assert model.encoder.conv1.kernel_size == (3, 3)
    assert model.encoder.conv1.stride == (1, 1)
    assert isinstance(model.encoder.maxpool, torch.nn.MaxPool2d)
    assert model.encoder.layer4[1].bn2.weight.detach().unique().tolist() == [1.0]
    assert float(model.encoder.conv1.weight.detach().std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)
    sizes = []
    model.encoder.layer4.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
    model.eval()(torch.zeros(1, 3, 32, 32))
    assert sizes == [2]
    removed = build_model({**settings, "max_pool": "remove"}, HEAD, (3, 32, 32), 10, 0)
    assert isinstance(removed.encoder.maxpool, torch.nn.Identity)


def test_what_does_not_fit_is_said():
    with pytest.raises(StageFailed, match="before the pooling of conv4 they are 1 x 1"):
        build_model({"type": "cnn2d", "channels": [4, 4, 4, 4]}, HEAD, (1, 8, 8), 10, 0)
    assert "takes 2-D images" in Cnn2d(channels=[4]).misfit((1, 8, 8, 8))
    assert Cnn2d(channels=[4, 4, 4]).misfit((1, 8, 8)) == ""
    with pytest.raises(StageFailed, match="no model `resnet180`") as error:
        build_model({"type": "timm", "name": "resnet180"}, HEAD, (3, 32, 32), 10, 0)
    assert "resnet18" in error.value.hint
    with pytest.raises(StageFailed, match="has no `conv1`"):
        build_model({"type": "timm", "name": "vgg11", "stem": "cifar", "max_pool": "keep"}, HEAD, (3, 32, 32), 10, 0)
    with pytest.raises(StageFailed, match="does not take an option"):
        build_model({"type": "timm", "name": "vgg11", "zero_init_last": True}, HEAD, (3, 32, 32), 10, 0)
    with pytest.raises(StageFailed, match="30 x 30 is no multiple"):
        build_model({"type": "timm", "name": "vit_tiny_patch16_224"}, HEAD, (3, 30, 30), 10, 0)
    with pytest.raises(StageFailed, match="no model of type `resnet`") as error:
        build_model({"type": "resnet"}, HEAD, (3, 32, 32), 10, 0)
    assert error.value.hint.startswith("known: mlp, cnn2d, timm, ")
    with pytest.raises(StageFailed, match="settings of a Mlp are not valid: hidden"):
        build_model({"type": "mlp"}, HEAD, (1, 8, 8), 10, 0)


def test_published_weights_are_read_from_this_machine_and_never_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    name = "ghostnet_050"
    published = timm.get_pretrained_cfg("vgg11")
    with pytest.raises(StageFailed, match="publishes no weights"):
        build_model({"type": "timm", "name": name, "pretrained": True}, HEAD, (3, 32, 32), 10, 0)
    monkeypatch.setattr("interpreter.parts.models.timm.try_to_load_from_cache", lambda repository, file: None)
    with pytest.raises(DataMissing, match="a stage fetches nothing") as error:
        build_model({"type": "timm", "name": "vgg11", "pretrained": True}, HEAD, (3, 32, 32), 10, 0)
    assert "fetch them once" in error.value.hint
    source = timm.create_model("resnet10t")
    file = tmp_path / "resnet10t.pth"
    torch.save(source.state_dict(), file)
    monkeypatch.setattr("interpreter.parts.models.timm.try_to_load_from_cache", lambda repository, name: str(file))
    model = build_model({"type": "timm", "name": "resnet10t", "pretrained": True}, HEAD, (3, 64, 64), 10, 0)
    assert torch.equal(model.encoder.layer1[0].conv1.weight, source.layer1[0].conv1.weight)
    assert published is not None


@pytest.mark.parametrize(
    ("cls", "wrong", "words"),
    [
        (Timm, {"name": "resnet18", "stem": "cifar"}, "say whether the max-pooling stays"),
        (Timm, {"name": "resnet18", "stem": "cifar", "max_pool": "keep", "pretrained": True}, "no published weights fit"),
        (Timm, {"name": "hf-hub:x/y"}, "pattern"),
        (Cnn2d, {"channels": [4], "kernel": 4}, "odd"),
        (Cnn2d, {"channels": [4, 4], "pool": [2]}, "1 numbers for 2 convolutions"),
        (Cnn2d, {"channels": [0]}, "greater than or equal to 1"),
    ],
)
def test_mistakes_are_named(cls, wrong, words):
    with pytest.raises(ValidationError, match=words):
        cls.model_validate(wrong)
