"""Networks for volumes: counts and sizes as published, what settings foretell, gradients, one batch learned by heart."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from interpreter.parts.optim.depth import depths
from tests.parts.networks import (
    build,
    encoder_of,
    fits_one_batch,
    looks_the_same_without_numbers,
    names_and_shapes,
    passed,
    shake,
    total,
)

PLAIN = {"type": "cnn3d", "channels": [32, 64, 128, 256], "pool": [1, 2, 1, 2]}
ATOM3D = {"type": "atom3d_cnn"}
RESNET = {"type": "resnet3d", "widths": [64, 128, 256, 512]}
BOTTLENECK = {**RESNET, "block": "bottleneck", "factor": 4}
CUBE = (2, 11, 11, 11)
SMALL = {  # one of each architecture, and their kin
    "plain": {"type": "cnn3d", "channels": [8, 12], "pool": [1, 2]},
    "plain without norm": {"type": "cnn3d", "channels": [8, 12], "pool": [1, 2], "batch_norm": False, "padding": "same"},
    "atom3d": {"type": "atom3d_cnn", "width": 8, "layers": 2, "dropout": 0.0},
    "atom3d with norm": {"type": "atom3d_cnn", "width": 8, "layers": 2, "dropout": 0.0, "batch_norm": True},
    "basic": {"type": "resnet3d", "widths": [8, 12, 16]},
    "bottleneck": {"type": "resnet3d", "widths": [8, 12, 16], "block": "bottleneck", "factor": 2, "repeats": 2},
    "pool first": {"type": "resnet3d", "widths": [8, 12, 12], "downsample": "pool", "global_pool": "max"},
}


# Counts by hand: what a layer of each kind has.


def conv(inputs: int, outputs: int, side: int, bias: bool) -> int:
    return inputs * outputs * side**3 + bias * outputs


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def norm(channels: int) -> int:
    return 2 * channels


def plain_by_hand(inputs: int, batch_norm: bool) -> int:
    widths = [inputs, 32, 64, 128, 256]
    convolutions = sum(conv(a, b, 3, True) for a, b in pairwise(widths))
    return convolutions + batch_norm * sum(map(norm, widths[1:]))


def resnet_by_hand(inputs: int, widths: list[int], factor: int | None, hidden: int) -> int:
    count = conv(inputs, widths[0], 3, False) + norm(widths[0])
    for a, b in pairwise(widths):
        count += conv(a, b, 1, False) + norm(b)  # the shortcut
        if factor is None:
            count += conv(a, b, 3, False) + norm(b) + conv(b, b, 3, False) + norm(b)
        else:
            middle = a // factor
            count += conv(a, middle, 1, False) + conv(middle, middle, 3, False) + 2 * norm(middle)
            count += conv(middle, b, 1, False) + norm(b)
    return count + linear(widths[-1], hidden) + linear(hidden, 1)


def test_the_plain_network_of_the_pretext_task_has_the_printed_number_of_parameters():
    by_hand = plain_by_hand(6, True) + linear(2 * 2048, 512) + linear(512, 6)
    assert total(PLAIN, (6, 21, 21, 21), 6, {"hidden": 512, "dropout": 0.25}, views=2) == by_hand == 3_268_582
    bare = plain_by_hand(1, False) + linear(2 * 2048, 1024) + linear(1024, 6)
    assert total({**PLAIN, "batch_norm": False}, (1, 21, 21, 21), 6, {"hidden": 1024}, views=2) == bare == 5_364_038


def test_the_first_try_flattens_as_many_features_as_it_said():
    first = {**PLAIN, "batch_norm": False, "dropout": 0.1}
    assert build(first, (8, 24, 24, 24)).features == 6912
    by_hand = plain_by_hand(8, False) + linear(2 * 6912, 512) + linear(512, 6)
    assert total(first, (8, 24, 24, 24), 6, {"hidden": 512, "dropout": 0.25}, views=2) == by_hand


def test_the_network_of_atom3d_has_the_printed_number_of_parameters():
    head = {"hidden": 512, "dropout": 0.25}
    small = plain_by_hand(5, False) + linear(2048, 512) + linear(512, 1)
    assert total(ATOM3D, (5, 21, 21, 21), 1, head) == small == 2_215_617
    large = plain_by_hand(5, False) + linear(256 * 7**3, 512) + linear(512, 1)
    assert total(ATOM3D, (5, 41, 41, 41), 1, head) == large == 46_124_737  # printed as 46.12 M


@pytest.mark.parametrize("channels", [6, 7])
@pytest.mark.parametrize(
    ("voxels", "padding", "global_pool", "features"),
    [
        (20, "none", "flatten", 256 * 2**3),
        (26, "none", "flatten", 256 * 3**3),
        (20, "same_after_first", "flatten", 256 * 4**3),
        (26, "same_after_first", "flatten", 256 * 6**3),
        (26, "none", "avg", 256),
        (26, "none", "max", 256),
    ],
)
def test_the_scan_of_plain_networks_for_affinities(channels, voxels, padding, global_pool, features):
    scanned = {**PLAIN, "padding": padding, "global_pool": global_pool}
    by_hand = plain_by_hand(channels, True) + linear(features, 512) + linear(512, 1)
    assert total(scanned, (channels, voxels, voxels, voxels), 1, {"hidden": 512, "dropout": 0.5}) == by_hand


@pytest.mark.parametrize(
    ("settings", "widths", "factor", "hidden", "count"),
    [
        (RESNET, [64, 128, 256, 512], None, 128, 14_190_017),
        ({**RESNET, "widths": [32, 64, 128, 256]}, [32, 64, 128, 256], None, 128, 3_568_481),
        ({**RESNET, "cap": 256}, [64, 128, 256, 256], None, 128, 7_012_289),
        ({**BOTTLENECK, "factor": 2}, [64, 128, 256, 512], 2, 128, 964_161),
        (BOTTLENECK, [64, 128, 256, 512], 4, 128, 463_745),
        (BOTTLENECK, [64, 128, 256, 512], 4, 256, 529_537),
    ],
)
def test_residual_networks_compared_on_affinities(settings, widths, factor, hidden, count):
    """The first count is printed in the notebook; the others follow from the same description."""
    by_hand = resnet_by_hand(7, widths, factor, hidden)
    assert total(settings, (7, 21, 21, 21), 1, {"hidden": hidden, "dropout": 0.5}) == by_hand == count


@pytest.mark.parametrize(
    ("settings", "voxels", "sides"),
    [
        ({**PLAIN, "channels": [2, 2, 2, 2]}, 21, [19, 8, 6, 2]),
        ({**PLAIN, "channels": [2, 2, 2, 2]}, 24, [22, 10, 8, 3]),
        ({**ATOM3D, "width": 2}, 41, [39, 18, 16, 7]),
        ({**ATOM3D, "width": 2}, 21, [19, 8, 6, 2]),
        ({**RESNET, "widths": [4, 4, 4, 4]}, 27, [25, 13, 7, 4]),
        ({**BOTTLENECK, "widths": [4, 4, 4, 4]}, 21, [19, 10, 5, 3]),
        ({**RESNET, "widths": [4, 4, 4, 4], "downsample": "pool"}, 27, [25, 12, 6, 3]),
    ],
)
def test_maps_have_the_published_sides(settings, voxels, sides):
    shape = (1, voxels, voxels, voxels)
    _, seen = passed(build(settings, shape).encoder, torch.zeros(1, *shape))
    assert [*seen.values()] == [(side,) * 3 for side in sides]


# What the networks compute.


def normalized(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Batch normalization in evaluation, written out."""
    mean, var, weight, bias = (
        t.reshape(1, -1, 1, 1, 1) for t in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return (x - mean) / torch.sqrt(var + layer.eps) * weight + bias


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    assert expected.std() > 1e-3, "a constant would show nothing"
    return torch.allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_plain_network_normalizes_before_its_nonlinearity_and_pools_after():
    encoder = shake(encoder_of({**SMALL["plain"], "activation": "gelu", "dropout": 0.5}, (2, 9, 9, 9)))
    x = torch.randn(3, 2, 9, 9, 9)
    y = x
    for name, pool in (("conv1", 1), ("conv2", 2)):
        layer = encoder.get_submodule(name)
        y = F.gelu(normalized(layer.bn, F.conv3d(y, layer.conv.weight, layer.conv.bias)))
        y = F.max_pool3d(y, pool)
    assert close(encoder(x), y.flatten(1))
    assert [name for name, _ in encoder.conv2.named_children()] == ["conv", "bn", "activation", "pool", "dropout"]


def test_the_network_of_atom3d_pools_every_second_time_and_normalizes_after_that():
    encoder = shake(encoder_of({**SMALL["atom3d with norm"], "dropout": 0.1}, (2, 9, 9, 9)))
    x = torch.randn(3, 2, 9, 9, 9)
    y = normalized(encoder.conv1.bn, F.relu(F.conv3d(x, encoder.conv1.conv.weight, encoder.conv1.conv.bias)))
    y = F.max_pool3d(F.relu(F.conv3d(y, encoder.conv2.conv.weight, encoder.conv2.conv.bias)), 2)
    assert close(encoder(x), normalized(encoder.conv2.bn, y).flatten(1))
    assert [name for name, _ in encoder.conv2.named_children()] == ["conv", "activation", "pool", "bn", "dropout"]


def test_the_network_of_atom3d_without_norm_is_a_plain_one():
    plain = {"type": "cnn3d", "channels": [32, 64, 128, 256], "pool": [1, 2, 1, 2], "batch_norm": False, "dropout": 0.1}
    one, other = encoder_of(ATOM3D, (5, 21, 21, 21)), encoder_of(plain, (5, 21, 21, 21))
    assert repr(one) == repr(other)
    other.load_state_dict(one.state_dict())
    x = torch.randn(1, 5, 21, 21, 21)
    assert torch.equal(one.eval()(x), other.eval()(x))


@pytest.mark.parametrize("how", ["stride", "pool"])
@pytest.mark.parametrize("factor", [None, 2])
def test_a_residual_network_is_post_activation_with_projected_shortcuts(how, factor):
    kind = {"block": "basic"} if factor is None else {"block": "bottleneck", "factor": factor}
    chosen = {"type": "resnet3d", "widths": [4, 8, 8], "repeats": 2, "downsample": how, "activation": "silu", **kind}
    encoder = shake(encoder_of(chosen, (2, 12, 12, 12)))
    x = torch.randn(3, 2, 12, 12, 12)
    y = F.silu(normalized(encoder.stem.bn, F.conv3d(x, encoder.stem.conv.weight)))
    for stage in (encoder.stage1, encoder.stage2):
        y = F.max_pool3d(y, 2) if how == "pool" else y
        for block, first in ((stage.block1, True), (stage.block2, False)):
            stride = 2 if first and how == "stride" else 1
            strides = (stride, 1) if factor is None else (1, stride, 1)
            branch = y
            for number, step in enumerate(strides, start=1):
                weight = block.get_submodule(f"conv{number}").weight
                branch = F.conv3d(branch, weight, stride=step, padding=weight.shape[-1] // 2)
                branch = normalized(block.get_submodule(f"bn{number}"), branch)
                branch = F.silu(branch) if number < len(strides) else branch
            if first:
                y = normalized(block.downsample[1], F.conv3d(y, block.downsample[0].weight, stride=stride))
            y = F.silu(y + branch)
    assert close(encoder(x), y.mean((2, 3, 4)))


def test_a_bottleneck_is_narrow_by_what_comes_in():
    encoder = encoder_of({**BOTTLENECK, "repeats": 2}, (7, 21, 21, 21))
    assert [stage.block1.conv2.in_channels for stage in (encoder.stage1, encoder.stage2, encoder.stage3)] == [16, 32, 64]
    assert [stage.block2.conv2.in_channels for stage in (encoder.stage1, encoder.stage2, encoder.stage3)] == [32, 64, 128]
    assert encoder.stage1.block1.conv2.stride == (2, 2, 2)
    assert encoder.stage1.block1.conv1.stride == (1, 1, 1)


def test_a_capped_stage_keeps_its_shortcut():
    encoder = encoder_of({**RESNET, "cap": 256, "repeats": 2}, (7, 21, 21, 21))
    shortcut = encoder.stage3.block1.downsample[0]
    assert (shortcut.in_channels, shortcut.out_channels) == (256, 256)
    assert (shortcut.kernel_size, shortcut.stride, shortcut.bias) == ((1, 1, 1), (2, 2, 2), None)
    assert isinstance(encoder.stage3.block2.downsample, nn.Identity)
    assert not any(name.endswith("conv.bias") for name, _ in encoder.named_parameters())


def test_dropout_zeroes_numbers_one_by_one():
    encoder = encoder_of({"type": "cnn3d", "channels": [4], "pool": 1, "activation": "tanh", "dropout": 0.25}, (1, 9, 9, 9))
    maps = encoder.train()(torch.randn(8, 1, 9, 9, 9)).unflatten(1, (4, -1))
    shares = (maps == 0).float().mean(2)  # of each channel of each example, 343 numbers
    assert shares.mean() == pytest.approx(0.25, abs=0.02)
    assert 0.1 < shares.min() <= shares.max() < 0.4


def test_layers_lie_as_deep_as_rates_by_depth_count():
    def layers(chosen: dict[str, Any]) -> dict[str, int]:
        return {".".join(name.split(".")[1:3]): depth for name, depth in depths(build(chosen, CUBE)).items()}

    plain = layers(SMALL["plain"])
    assert (plain["conv1.conv"], plain["conv1.bn"], plain["conv2.bn"], plain["0.weight"]) == (2, 2, 1, 0)
    repeated = layers(SMALL["bottleneck"])
    assert [repeated[name] for name in ("stage2.block2", "stage2.block1", "stage1.block2", "stage1.block1")] == [1, 2, 3, 4]
    assert repeated["stem.conv"] == repeated["stem.bn"] == 5


# What training needs.


@pytest.mark.parametrize("name", SMALL)
def test_one_batch_is_learned_by_heart(name):
    model = build(SMALL[name], CUBE, 4, {"hidden": 16})
    before, after = fits_one_batch(model, CUBE, classes=4, steps=100)
    assert before == pytest.approx(math.log(4), abs=0.7)
    assert after < 0.01


def test_one_batch_of_pairs_is_learned_by_heart():
    model = build(SMALL["plain"], CUBE, 6, {"hidden": 16}, views=2)
    before, after = fits_one_batch(model, CUBE, classes=6, steps=100)
    assert before == pytest.approx(math.log(6), abs=0.7)
    assert after < 0.01


@pytest.mark.parametrize("name", SMALL)
def test_views_go_through_one_encoder_and_side_by_side_into_the_head(name):
    pair, single = (build(SMALL[name], CUBE, 6, {"hidden": 8}, views=views) for views in (2, 1))
    assert names_and_shapes(pair.encoder) == names_and_shapes(single.encoder)
    assert pair.head[0].in_features == 2 * single.head[0].in_features == 2 * pair.features
    x = torch.randn(3, 2, *CUBE)
    shake(pair)
    outputs = pair(x)
    assert outputs.shape == (3, 6)
    beside = torch.cat([pair.encoder(x[:, 0]), pair.encoder(x[:, 1])], dim=1)
    assert torch.allclose(outputs, pair.head(beside), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(outputs, pair(x.flip(1)), atol=1e-3)
    twice = x[:, :1].expand_as(x)
    assert torch.equal(pair(twice), pair(twice.flip(1)))


@pytest.mark.parametrize("name", SMALL)
def test_nothing_comes_after_the_output_layer(name):
    model = build(SMALL[name], CUBE, 1, {"hidden": 8, "dropout": 0.25}).eval()
    x = torch.randn(4, *CUBE)
    as_built = model(x)
    with torch.no_grad():
        model.head[-1].weight.neg_()
        model.head[-1].bias.neg_()
    assert torch.equal(model(x), -as_built)  # which no nonlinearity of ours would let through
    assert as_built.std() > 0


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("name", SMALL)
def test_a_plan_counts_them_without_numbers(name, views):
    looks_the_same_without_numbers(SMALL[name], CUBE, 6, views)
