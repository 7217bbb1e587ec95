"""Wide residual networks for images: equal to the published ones in counts, sizes, names, initialization and numbers."""

from __future__ import annotations

import math

import pytest
import timm
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from interpreter.parts.models import wrn28_10
from interpreter.parts.models.groups import groups
from interpreter.spec.base import identity
from tests.parts.networks import (
    build,
    config_of,
    encoder_of,
    fits_one_batch,
    looks_the_same_without_numbers,
    names_and_shapes,
    passed,
    shake,
    total,
)

RGB = (3, 32, 32)
RESNET = {"type": "wide_resnet18", "width": 1}
WRN = {"type": "wrn28_10"}


def published(stem: str, max_pool: str) -> nn.Module:
    """torchvision's ResNet-18 for ten classes, its first layers as papers on small images change them."""
    network = torchvision.models.resnet18(num_classes=10)
    if stem == "cifar":
        network.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    if max_pool == "remove":
        network.maxpool = nn.Identity()
    return network


# ResNet-18 and the same, wider.


@pytest.mark.parametrize("max_pool", ["keep", "remove"])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_width_1_is_torchvisions_resnet18(stem, max_pool):
    """Its weights load by their own names, and give the same numbers in training and in evaluation."""
    theirs = published(stem, max_pool)
    ours = build({**RESNET, "stem": stem, "max_pool": max_pool}, RGB, 10)
    mapped = {f"head.0.{name[3:]}" if name.startswith("fc.") else f"encoder.{name}": w for name, w in theirs.state_dict().items()}
    ours.load_state_dict(mapped, strict=True)
    x = torch.randn(4, *RGB)
    assert torch.equal(ours.train()(x), theirs.train()(x))
    theirs_shaken, ours_shaken = shake(theirs), shake(ours)
    found = ours_shaken(x)
    assert torch.equal(found, theirs_shaken(x))
    assert found.std() > 0.01


def test_names_are_also_those_of_timm():
    theirs = timm.create_model("resnet18", num_classes=0)
    ours = encoder_of({**RESNET, "stem": "imagenet"}, RGB)
    assert names_and_shapes(ours) == names_and_shapes(theirs)  # and in the same order


def resnet18_by_hand(k: int, classes: int, kernel: int = 3) -> int:
    widths = [64 * k, 128 * k, 256 * k, 512 * k]
    count = 3 * widths[0] * kernel**2 + 2 * widths[0]
    before = widths[0]
    for w in widths:
        count += before * w * 9 + 3 * (w * w * 9) + 4 * (2 * w)  # four convolutions of 3, four normalizations
        count += (before * w + 2 * w) * (before != w)  # a shortcut
        before = w
    return count + before * classes + classes


@pytest.mark.parametrize(("width", "count"), [(1, 11_173_962), (2, 44_662_922), (3, None), (16, None)])
def test_numbers_of_parameters(width, count):
    by_hand = resnet18_by_hand(width, 10)
    assert total({**RESNET, "width": width}, RGB, 10) == by_hand
    assert count in (None, by_hand)


def test_a_smaller_base_is_narrower_everywhere_and_the_usual_one_is_in_no_key():
    assert total({**RESNET, "base": 8, "width": 8}, RGB, 10) == total(RESNET, RGB, 10)
    assert total({**RESNET, "base": 8}, RGB, 10) < 11_173_962 / 60
    assert identity(config_of({**RESNET, "base": 64})) == identity(config_of(RESNET))
    assert identity(config_of({**RESNET, "base": 8})) != identity(config_of(RESNET))
    usual, small = config_of(RESNET), config_of({**RESNET, "base": 8})
    assert usual.weights_misfit(small) == "`base` is 8 there, and 64 here"
    assert small.weights_misfit(usual) == "`base` is 64 there, and 8 here"


def test_twice_the_width_has_four_times_the_parameters():
    assert resnet18_by_hand(2, 10) / resnet18_by_hand(1, 10) == pytest.approx(4, rel=1e-3)
    assert total({**RESNET, "stem": "imagenet"}, (3, 224, 224), 1000) == resnet18_by_hand(1, 1000, 7) == 11_689_512


@pytest.mark.parametrize(
    ("stem", "max_pool", "side", "sides"),
    [
        ("cifar", "keep", 32, [32, 32, 16, 8, 4, 2]),
        ("cifar", "remove", 32, [32, 32, 32, 16, 8, 4]),
        ("imagenet", "keep", 64, [32, 32, 16, 8, 4, 2]),
        ("imagenet", "remove", 64, [32, 32, 32, 16, 8, 4]),
        ("cifar", "keep", 9, [9, 9, 5, 3, 2, 1]),
    ],
)
def test_sides_of_maps(stem, max_pool, side, sides):
    encoder = encoder_of({**RESNET, "stem": stem, "max_pool": max_pool}, RGB)
    features, seen = passed(encoder, torch.zeros(1, 3, side, side))
    assert seen == dict(zip(["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"], [(s, s) for s in sides], strict=True))
    assert features.shape == (1, 512)


@pytest.mark.parametrize("chosen", [{**RESNET, "width": 2}, WRN], ids=["wide_resnet18", "wrn28_10"])
def test_weights_begin_as_published(chosen):
    """Convolutions from N(0, 2 / (k^2 outputs)), normalizations at 1 and 0, also the last one of each block."""
    for layer in encoder_of(chosen, RGB).modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is None
            expected = math.sqrt(2 / (layer.kernel_size[0] ** 2 * layer.out_channels))
            deviations = 5 / math.sqrt(layer.weight.numel())  # five standard errors, generously
            assert layer.weight.std().item() == pytest.approx(expected, rel=deviations)
            assert abs(layer.weight.mean().item()) < expected * deviations
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.unique().tolist() == [1.0]
            assert layer.bias.unique().tolist() == [0.0]


def test_weights_are_normal_and_not_uniform():
    """A uniform distribution of the same variance has no number beyond 1.73 standard deviations."""
    for chosen in (RESNET, WRN):
        weight = encoder_of(chosen, RGB).layer3[0].conv2.weight
        assert (weight.abs() > 2 * weight.std()).float().mean().item() == pytest.approx(0.0455, abs=0.003)


# WRN-28-10.


def wrn_by_hand(classes: int) -> int:
    count, before, convolutions = 3 * 16 * 9, 16, 1
    for w in (160, 320, 640):
        count += 2 * before + before * w * 9 + 2 * w + w * w * 9 + before * w  # the first block and its shortcut
        count += 3 * (2 * w + w * w * 9 + 2 * w + w * w * 9)
        before, convolutions = w, convolutions + 3 + 3 * 2
    assert convolutions == 28
    return count + 2 * before + before * classes + classes


def test_wrn_28_10_has_36_479_194_parameters():
    assert total(WRN, RGB, 10) == wrn_by_hand(10) == 36_479_194
    assert sum(isinstance(layer, nn.Conv2d) for layer in encoder_of(WRN, RGB).modules()) == 28


def norm2d(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Batch normalization in evaluation, written out."""
    mean, var, weight, bias = (t.reshape(1, -1, 1, 1) for t in (layer.running_mean, layer.running_var, layer.weight, layer.bias))
    return (x - mean) / torch.sqrt(var + layer.eps) * weight + bias


@pytest.fixture
def narrow(monkeypatch):
    """The network with a few channels."""
    monkeypatch.setattr(wrn28_10, "WIDTHS", (6, 8, 12))
    monkeypatch.setattr(wrn28_10, "STEM", 4)


@pytest.mark.parametrize("side", [8, 11])
def test_wrn_blocks_are_preactivated_with_raw_shortcuts_and_zeros_at_the_bottom_right(narrow, side):
    encoder = shake(encoder_of(WRN, RGB))
    x = torch.randn(3, 3, side, side)
    y = F.conv2d(x, encoder.conv1.weight, padding=1)
    for number, stage in enumerate((encoder.layer1, encoder.layer2, encoder.layer3)):
        for position, block in enumerate(stage):
            stride = 2 if number and not position else 1
            z = F.relu(norm2d(block.bn1, y))
            if stride == 2:
                padded = torch.zeros(*z.shape[:2], z.shape[2] + 2, z.shape[3] + 2)
                padded[:, :, : z.shape[2], : z.shape[3]] = z
                z = F.conv2d(padded, block.conv1.weight, stride=2)
            else:
                z = F.conv2d(z, block.conv1.weight, padding=1)
            z = F.conv2d(F.relu(norm2d(block.bn2, z)), block.conv2.weight, padding=1)
            y = z + (F.conv2d(y, block.downsample.weight, stride=stride) if not position else y)
    expected = F.relu(norm2d(encoder.bn, y)).mean((2, 3))
    assert expected.std() > 0.1
    assert torch.allclose(encoder(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("side", "sides"), [(32, [32, 16, 8]), (28, [28, 14, 7]), (9, [9, 5, 3])])
def test_sides_of_wrn_maps(narrow, side, sides):
    _, seen = passed(encoder_of(WRN, RGB), torch.zeros(1, 3, side, side))
    assert seen == {
        "conv1": (side, side),
        **{f"layer{n}": (s, s) for n, s in enumerate(sides, start=1)},
        "bn": (sides[-1], sides[-1]),
    }


def test_dropout_is_between_the_convolutions_of_a_block(narrow):
    with_dropout, without = (encoder_of({**WRN, "dropout": p}, RGB) for p in (0.5, 0.0))
    assert names_and_shapes(with_dropout) == names_and_shapes(without)
    with_dropout.load_state_dict(without.state_dict(), strict=True)
    assert config_of({**WRN, "dropout": 0.5}).weights_misfit(config_of(WRN)) == ""
    x = torch.randn(4, *RGB)
    assert torch.equal(shake(with_dropout)(x), shake(without)(x))
    block = with_dropout.train().layer1[1]
    seen = []
    block.conv2.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with_dropout(x)
    kept = (seen[0] != 0).float().mean().item()
    seen.clear()
    block.dropout.eval()
    with_dropout(x)
    assert kept == pytest.approx(0.5 * (seen[0] != 0).float().mean().item(), abs=0.05)
    assert sum(isinstance(layer, nn.Dropout) for layer in with_dropout.modules()) == 12


# What settings foretell, and what training needs.


@settings(max_examples=15, deadline=None)
@given(
    pair=st.tuples(*[st.fixed_dictionaries({
        "type": st.just("wide_resnet18"),
        "width": st.integers(1, 2),
        "base": st.sampled_from([4, 64]),
        "stem": st.sampled_from(["cifar", "imagenet"]),
        "max_pool": st.sampled_from(["keep", "remove"]),
    })] * 2),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)),
)  # fmt: skip
def test_any_image_fits_and_weights_fit_where_settings_say_so(pair, shape):
    one, other = pair
    with torch.device("meta"):
        here, there = (build(chosen, shape, 5) for chosen in pair)
        assert here(torch.zeros(2, *shape)).shape == (2, 5)
    assert config_of(one).misfit(shape) == ""
    assert config_of(one).features() == here.features == 8 * one["base"] * one["width"]
    fits = config_of(one).weights_misfit(config_of(other)) == ""
    assert fits == (names_and_shapes(here.encoder) == names_and_shapes(there.encoder))


def test_volumes_are_no_images():
    assert "takes 2-D images" in config_of(WRN).misfit((1, 8, 8, 8))
    assert "takes 2-D images" in config_of(RESNET).misfit((1, 8, 8, 8))


def test_one_batch_is_learned_by_heart_by_a_resnet18():
    before, after = fits_one_batch(build(RESNET, (1, 8, 8), 4), (1, 8, 8), classes=4, steps=15, rate=1e-3)
    assert before > 1
    assert after < 0.01


def test_one_batch_is_learned_by_heart_by_a_wrn(narrow):
    model = build(WRN, (1, 8, 8), 4)
    assert model.features == 12
    before, after = fits_one_batch(model, (1, 8, 8), classes=4, steps=100, rate=1e-2)
    assert before > 1
    assert after < 0.01


def test_parts_have_names_to_thaw_by_and_layers_are_easy_to_reach():
    resnet, wrn = build({**RESNET, "width": 2}, RGB, 10), build(WRN, RGB, 10)
    assert [*groups(resnet)] == ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "head"]
    assert [*groups(wrn)] == ["conv1", "layer1", "layer2", "layer3", "bn", "head"]
    assert wrn.features == config_of(WRN).features() == 640
    first, second = resnet.encoder.layer2
    assert first.conv1.weight.shape == (256, 128, 3, 3)
    assert first.downsample[0].weight.shape == (256, 128, 1, 1)
    assert [first.bn1.num_features, first.bn2.num_features, first.downsample[1].num_features] == [256, 256, 256]
    assert second.conv2.weight.shape == (256, 256, 3, 3)
    assert isinstance(second.downsample, nn.Identity)
    first = wrn.encoder.layer1[0]
    assert first.downsample.weight.shape == (160, 16, 1, 1)


@pytest.mark.parametrize("chosen", [RESNET, {**RESNET, "stem": "imagenet", "max_pool": "remove"}, WRN])
def test_a_plan_counts_them_without_numbers(chosen):
    looks_the_same_without_numbers(chosen, (3, 8, 8), 10)
