"""The equivariant network: it commutes with rotations; its numbers are escnn's; what is saved is what it is."""

import copy
import hashlib
import inspect
import math
import pickle
import subprocess
import sys
import textwrap

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from interpreter.parts.build import build_model
from interpreter.parts.models.equivariance import equivariance_error, invariance_error, turns
from interpreter.parts.models.equivariant.conv import SteerableConv3d
from interpreter.spec.components.volume_models import EquivariantResnet
from tests.parts.escnn_twin import Twin, take_weights
from tests.parts.fields import noise, shaken
from tests.parts.networks import (
    config_of,
    encoder_of,
    fits_one_batch,
    looks_the_same_without_numbers,
    names_and_shapes,
    passed,
    total,
)

FULL = {"type": "equivariant_resnet", "channels": [2, 4, 7, 14, 28], "middle": [2, 5, 5, 10]}
SMALL = {"type": "equivariant_resnet", "channels": [1, 2, 3], "samples": 72}
VARIANTS = [
    {},
    {"fields": "quotient", "samples": 24},
    {"max_frequency": 1, "samples": 24},
    {"max_frequency": 3, "samples": 168, "channels": [1, 1, 1]},
    {"gate": "fourier", "pointwise": "gelu", "stem_pointwise": "elu"},
    {"pool_by": "average", "blur_sigma_voxels": 0.9},
    {"repeats": 2, "global_pool": "avg"},
    {"pool": [1, 2]},
]


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def encoder(changes=None, shape=(3, 9, 9, 9), seed=0):
    return shaken(build_model({**SMALL, **(changes or {})}, {}, shape, 1, seed).encoder)


# --- the network


def test_the_published_network_is_as_large_as_counted():
    assert total(FULL, (7, 33, 33, 33), 1, {"hidden": 512}) == 147_448 + 980 * 512 + 512 + 513
    model = encoder_of(FULL, (7, 33, 33, 33))
    weights = {
        name: sum(layer.weight.numel() for layer in child.modules() if isinstance(layer, SteerableConv3d))
        for name, child in model.named_children()
    }
    assert weights == {"stem": 140, "block1": 2_888, "block2": 12_950, "block3": 26_250, "block4": 105_000, "pool": 0}
    assert sum(weights.values()) == 147_228
    assert sum(p.numel() for p in model.parameters()) == 147_228 + 220
    assert config_of(FULL).features() is None
    assert config_of({**FULL, "global_pool": "avg"}).features() == 980
    looks_the_same_without_numbers(FULL, (7, 33, 33, 33), 1)
    looks_the_same_without_numbers({**SMALL, "gate": "fourier", "fields": "quotient"}, (1, 9, 9, 9), 6, views=2)


def test_the_published_network_commutes_with_a_turn(double):
    model = shaken(encoder_of(FULL, (7, 33, 33, 33))).eval()
    x = noise(1, 7, 33, 33, 33)
    with torch.no_grad():
        features, sides = passed(model, x)
        assert features.shape == (1, 980)
        for turn in (turns()[9], turns()[22]):
            error = (model(turn.volume(x)) - model.turned(features, turn)).norm() / features.norm()
            assert error < 1e-12
    walked = config_of(FULL).walk(33)
    assert {name: (side,) * 3 for name, side in walked.items()} == sides
    assert list(walked.values()) == [31, 15, 7, 3, 1]


@pytest.mark.parametrize(
    ("changes", "side"), [*((changes, 9) for changes in VARIANTS), *((changes, 10) for changes in VARIANTS[:2])], ids=str
)
def test_the_network_commutes_with_turns(changes, side, double):
    model = encoder(changes, (3, side, side, side))
    x = noise(2, 3, side, side, side)
    assert equivariance_error(model, x) < 1e-12
    assert invariance_error(model, x) > 1e-3
    # What does not change in a field at any rotation: the sum over voxels of its invariant channel, and its norm there.
    with torch.no_grad():
        field = model.field
        maps = [model.eval()(volume).view(2, -1, field.size, *model.sides) for volume in (x, turns()[11].volume(x))]
        for one, other in (maps, [each.sum((3, 4, 5)).square().sum(2) for each in maps]):
            one, other = (each[:, :, 0].sum((2, 3, 4)) if each.ndim == 6 else each for each in (one, other))
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_in_single_precision_only_rounding_and_jumps_are_left():
    x = noise(2, 3, 9, 9, 9)
    assert equivariance_error(encoder({"pointwise": "elu"}), x) < 1e-5
    # hardshrink jumps at 2: a sample that rounding takes across moves by 2, one of thousands
    assert equivariance_error(encoder(), x) < 1e-2


def test_the_measure_sees_what_does_not_commute(double):
    x = noise(2, 3, 9, 9, 9)
    assert equivariance_error(encoder({"grid": "thomson"}), x) > 1e-2
    assert equivariance_error(encoder({"pool_grid": "corner"}), x) > 1e-2
    assert equivariance_error(encoder({"pool_grid": "corner"}, (3, 10, 10, 10)), noise(2, 3, 10, 10, 10)) < 1e-12
    plain = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()).train()
    assert equivariance_error(plain, x) == invariance_error(plain, x) > 1e-2
    assert plain.training
    assert equivariance_error(nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten()), x) < 1e-12
    assert equivariance_error(plain, noise(2, 3, 5, 6, 7)) > 1e-3  # half turns alone
    head = build_model(SMALL, {"hidden": 16}, (3, 9, 9, 9), 1, 0)
    assert invariance_error(head, x) > 1e-3  # the features turn, so what a plain head makes of them does


TWINS = [
    {"channels": [1, 2, 3], "samples": 72},
    {"channels": [2, 2, 3], "samples": 24, "fields": "quotient", "gate": "fourier", "pointwise": "elu"},
    {"channels": [1, 2], "max_frequency": 1, "samples": 24, "pool_by": "average", "pointwise": "gelu", "repeats": 2},
]


@pytest.mark.parametrize("changes", TWINS, ids=str)
def test_numbers_are_escnns(changes):
    """Evaluation, gradients and running statistics equal those of the network written with escnn's layers."""
    config = {"type": "equivariant_resnet", "pool_grid": "corner", **changes}
    ours = shaken(encoder_of(config, (3, 10, 10, 10)))
    theirs = Twin(config_of(config), 3)
    take_weights(theirs, ours)
    x = noise(3, 3, 10, 10, 10)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-4, atol=1e-5)
    slope = noise(*ours.train()(x).shape, seed=1)
    ours.load_state_dict(copy.deepcopy(ours.state_dict()))
    take_weights(theirs, ours)  # the statistics moved
    outs = [network.train()(x) for network in (ours, theirs)]
    torch.testing.assert_close(*outs, rtol=1e-3, atol=1e-4)
    for network, out in zip((ours, theirs), outs, strict=True):
        network.zero_grad()
        (out * slope).sum().backward()
    copied = Twin(config_of(config), 3)
    with torch.no_grad():  # our gradients, put where escnn has its weights
        gradients = copy.deepcopy(ours)
        for name, parameter in ours.named_parameters():
            gradients.get_parameter(name).copy_(parameter.grad)
        take_weights(copied, gradients)
    for (name, parameter), (_, mine) in zip(theirs.named_parameters(), copied.named_parameters(), strict=True):
        scale = float(parameter.grad.abs().max())
        torch.testing.assert_close(
            mine.detach(), parameter.grad, rtol=1e-3, atol=1e-4 * scale, msg=lambda text, name=name: name + text
        )
    take_weights(copied, ours)
    for name, buffer in theirs.named_buffers():
        if "running" in name:
            torch.testing.assert_close(copied.get_buffer(name), buffer, rtol=1e-4, atol=1e-5)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.data())
def test_sides_and_sizes_are_as_predicted(data):
    kind = data.draw(st.sampled_from(["regular", "quotient"]))
    frequency = data.draw(st.integers(0, 2))
    blocks = data.draw(st.integers(1, 3))
    some = st.integers(1, 3)
    chosen = {
        "type": "equivariant_resnet",
        "channels": data.draw(st.lists(some, min_size=blocks + 1, max_size=blocks + 1)),
        "middle": data.draw(st.none() | st.lists(some, min_size=blocks, max_size=blocks)),
        "fields": kind,
        "max_frequency": frequency,
        "samples": 72,
        "gate": data.draw(st.sampled_from(["gated", "fourier"])),
        "pool": data.draw(st.lists(st.integers(1, 2), min_size=blocks, max_size=blocks)),
        "pool_by": data.draw(st.sampled_from(["extreme", "average"])),
        "pool_grid": data.draw(st.sampled_from(["centered", "corner"])),
        "repeats": data.draw(st.integers(1, 2)),
        "global_pool": data.draw(st.sampled_from(["flatten", "avg"])),
    }
    sides = tuple(data.draw(st.tuples(*[st.integers(3, 12)] * 3)))
    config = config_of(chosen)
    model = encoder_of(chosen, (2, *sides))
    walks = [config.walk(side) for side in sides]
    if config.misfit((2, *sides)):
        assert any(isinstance(walked, str) for walked in walks)
        return
    features, found = passed(model, noise(2, 2, *sides))
    assert found == {name: tuple(walked[name] for walked in walks) for name in walks[0]}
    last = config.channels[-1] * config.field_size()
    assert features.shape[1] == (last if config.global_pool == "avg" else last * math.prod(found[f"block{blocks}"]))
    assert config.features() in (None, features.shape[1])


def test_weights_do_not_depend_on_what_promises_not_to_matter():
    other = {
        "grid": "thomson", "samples": 100, "pointwise": "relu", "stem_pointwise": "elu", "pool": 1, "pool_by": "average",
        "blur_sigma_voxels": 1.0, "pool_grid": "corner", "global_pool": "avg",
    }  # fmt: skip
    assert set(other) == EquivariantResnet.weightless
    assert names_and_shapes(encoder()) == names_and_shapes(encoder(other))
    for name, value in {"gate": "fourier", "fields": "quotient", "max_frequency": 1, "repeats": 2, "middle": [2, 2]}.items():
        assert names_and_shapes(encoder()) != names_and_shapes(encoder({name: value})), name
        assert config_of(SMALL).weights_misfit(config_of({**SMALL, name: value}))


# --- training, saving


def test_it_fits_one_batch():
    model = build_model({**SMALL, "max_frequency": 1, "samples": 24, "channels": [2, 4]}, {}, (2, 7, 7, 7), 3, 0)
    before, after = fits_one_batch(model, (2, 7, 7, 7), 3, 60, rate=1e-2)
    assert before > 0.8
    assert after < 0.02


def test_what_is_saved_is_the_same_in_both_modes(tmp_path):
    trained = encoder()
    trained.train()(noise(4, 3, 9, 9, 9))
    x = noise(2, 3, 9, 9, 9, seed=1)
    with torch.no_grad():
        kept = trained.eval()(x)
        train_keys, eval_keys = (list(trained.train(mode).state_dict()) for mode in (True, False))
    assert train_keys == eval_keys
    assert not [key for key in eval_keys if "basis" in key or "filter" in key or "samples" in key or "kept" in key]
    assert sum(tensor.numel() for tensor in trained.state_dict().values()) < 5_000
    for saved_in in (True, False):
        torch.save(trained.train(saved_in).state_dict(), tmp_path / "weights.pt")
        for loaded_in in (True, False):
            other = encoder(seed=1).train(loaded_in)
            with torch.no_grad():
                assert not torch.equal(other.eval()(x), kept)  # a kernel of other weights is at hand
                other.train(loaded_in).load_state_dict(torch.load(tmp_path / "weights.pt"))
                assert torch.equal(other.eval()(x), kept)


def test_a_kept_kernel_is_never_that_of_other_weights():
    model, x = encoder().eval(), noise(1, 3, 9, 9, 9)
    with torch.no_grad():
        first = model(x)
        assert torch.equal(model(x), first)
        conv = model.stem.conv
        conv.weight.data = 2 * conv.weight.data  # as averaged weights are swapped in: no version counter moves
        second = model(x)
        assert not torch.equal(second, first)
        conv.weight.data.mul_(0.5)
        assert torch.equal(model(x), first)
        assert torch.equal(model.double()(x.double()).float(), encoder().eval().double()(x.double()).float())
    torch.testing.assert_close(model.float()(x), first)  # with gradients the kernel is assembled anew
    assert model(x).requires_grad


def test_copies_and_pickles_carry_no_kernels():
    model, x = encoder().eval(), noise(1, 3, 9, 9, 9)
    with torch.no_grad():
        expected = model(x)
        assert model.stem.conv._kept is not None
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert other.stem.conv._kept is None
            assert torch.equal(other(x), expected)


def test_equal_seeds_make_equal_weights_in_other_processes():
    def hashed(seed):
        model = build_model(SMALL, {}, (3, 9, 9, 9), 1, seed)
        return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values())).hexdigest()

    code = "\n".join([
        "import hashlib, torch; from interpreter.parts.build import build_model",
        f"SMALL = {SMALL!r}; torch.manual_seed(3)",
        textwrap.dedent(inspect.getsource(hashed)),
        "print(hashed(5), hashed(6))",
    ])  # fmt: skip
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == [hashed(5), hashed(6)], done.stderr
    assert hashed(5) != hashed(6)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"middle": [2]}, "`middle` has 1 numbers for 2 blocks"),
        ({"pool": [2, 2, 1]}, "`pool` has 3 numbers for 2 blocks"),
        ({"samples": 48}, "`samples` 48 can't tell apart the 35 numbers of a field: take 72"),
        ({"samples": 96, "max_frequency": 3}, "96 can't tell apart the 84 numbers of a field: take 168"),
        ({"samples": 100}, "multiples of the cube's 24"),
        ({"samples": 34, "grid": "thomson"}, "34 can't tell apart"),
    ],
)
def test_mistakes_are_named(wrong, words):
    with pytest.raises(ValidationError, match=words):
        EquivariantResnet(**{"channels": [1, 2, 3], **wrong})


def test_it_trains_in_mixed_precision():
    x, model = noise(4, 3, 9, 9, 9), encoder({"pointwise": "elu"}).train()
    full = model(x).detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model(x)
    assert mixed.dtype == torch.float32
    assert 0 < float((mixed.detach() - full).norm() / full.norm()) < 0.05
    mixed.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.dtype == torch.float32 for p in model.parameters())
