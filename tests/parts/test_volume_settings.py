"""Settings of networks for volumes, any of them: sizes, features and fitting weights are as the light config foretells."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpreter.errors import StageFailed
from interpreter.parts.models.groups import groups
from tests.parts.networks import build, config_of, encoder_of, names_and_shapes, passed

WIDTH = st.integers(1, 5)
FLAG = st.booleans()
ACTIVATION = st.sampled_from(["relu", "gelu", "silu", "elu", "leaky_relu", "tanh"])
GLOBAL_POOL = st.sampled_from(["flatten", "avg", "max"])
DROPOUT = st.sampled_from([0.0, 0.3])
SHAPE = st.tuples(st.integers(1, 3), *[st.integers(2, 13)] * 3)


@st.composite
def plain_settings(draw: st.DrawFn) -> dict[str, Any]:
    channels = draw(st.lists(WIDTH, min_size=1, max_size=3))
    kernel = draw(st.integers(1, 5))
    padding = draw(st.sampled_from(["none", "same", "same_after_first"])) if kernel % 2 else "none"
    one_each = st.lists(st.integers(1, 3), min_size=len(channels), max_size=len(channels))
    return {
        "type": "cnn3d",
        "channels": channels,
        "kernel": kernel,
        "padding": padding,
        "pool": draw(st.integers(1, 3) | one_each),
        "batch_norm": draw(FLAG),
        "bias": draw(FLAG),
        "activation": draw(ACTIVATION),
        "global_pool": draw(GLOBAL_POOL),
        "dropout": draw(DROPOUT),
    }


@st.composite
def atom3d_settings(draw: st.DrawFn) -> dict[str, Any]:
    layers, width, batch_norm = draw(st.integers(1, 4)), draw(WIDTH), draw(FLAG)
    return {"type": "atom3d_cnn", "layers": layers, "width": width, "batch_norm": batch_norm, "dropout": draw(DROPOUT)}


@st.composite
def resnet_settings(draw: st.DrawFn) -> dict[str, Any]:
    factor = draw(st.none() | st.integers(2, 3))
    unit = factor or 1
    return {
        "type": "resnet3d",
        "widths": [unit * width for width in draw(st.lists(WIDTH, min_size=2, max_size=4))],
        "cap": draw(st.none() | WIDTH.map(lambda width: unit * width)),
        "repeats": draw(st.integers(1, 2)),
        "block": "basic" if factor is None else "bottleneck",
        "factor": factor,
        "downsample": draw(st.sampled_from(["stride", "pool"])),
        "activation": draw(ACTIVATION),
        "global_pool": draw(GLOBAL_POOL),
        "dropout": draw(DROPOUT),
    }


KINDS = {"cnn3d": plain_settings(), "atom3d_cnn": atom3d_settings(), "resnet3d": resnet_settings()}
ANY = st.one_of(*KINDS.values())
AMPLE = (150, 150, 150)  # large enough for any of these


@settings(max_examples=150, deadline=None)
@given(ANY, SHAPE)
def test_sides_and_features_are_as_foretold(chosen, shape):
    """Also of examples that are no cubes; and what is refused would indeed fail."""
    config = config_of(chosen)
    x = torch.randn(2, *shape)
    if config.misfit(shape):
        with pytest.raises(StageFailed, match="does not fit the data: it is too deep"):
            build(chosen, shape)
        with pytest.raises(RuntimeError, match=r"Kernel size can't be greater|Output size is too small|too small"):
            passed(encoder_of(chosen, (shape[0], *AMPLE)), x)
        return
    model = build(chosen, shape)
    features, seen = passed(model.encoder, x)
    assert features.shape == (2, model.features)
    assert config.features() == (None if chosen.get("global_pool", "flatten") == "flatten" else model.features)
    walks = [config.walk(side) for side in shape[1:]]
    assert seen == {name: tuple(walk[name] for walk in walks) for name in walks[0]}
    assert config.last_sides(shape) == [*seen.values()][-1]
    assert [*groups(model)] == [*seen, "head"]  # what pages thaw by


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([*KINDS.values()]).flatmap(lambda kind: st.tuples(kind, kind)), FLAG)
def test_weights_fit_where_the_settings_that_decide_them_are_equal(pair, related):
    one, other = pair
    if related:  # two that differ in nothing but settings that hold no weights
        weightless = config_of(one).weightless
        other = {name: (other if name in weightless else one)[name] for name in one}
        if isinstance(other.get("pool"), list):
            other["pool"] = (other["pool"] * 3)[: len(other["channels"])]
        if one.get("kernel", 1) % 2 == 0:
            other["padding"] = "none"
    misfit = config_of(one).weights_misfit(config_of(other))
    with torch.device("meta"):
        here, there = (names_and_shapes(encoder_of(each, (2, *AMPLE))) for each in (one, other))
    assert not related or misfit == ""
    assert misfit or here == there
