"""The points are what they were, whoever makes them; the model is repeatable."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from expt_spirals import LINES, config, data, model
from pydantic import ValidationError

from interpreter.parts.contract import Draw

NOWHERE = Path("unused")


def test_lines_lead_to_what_they_name():
    assert [(line.kind, line.type) for line in LINES] == [("dataset", "spirals"), ("model", "fourier_mlp")]


def test_points_are_on_the_spirals_and_never_change():
    exact = config.Spirals(noise=0.0, turns=2.0)
    points, classes = data.points_of(exact, "val")
    radius = np.hypot(points[:, 0], points[:, 1])
    angle = np.arctan2(points[:, 1], points[:, 0])
    off = (angle - 2 * np.pi * 2.0 * radius - np.pi * classes + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(off).max() < 1e-4
    assert np.bincount(classes).tolist() == [200, 200]
    # When this changes, `component_version` has to be raised. Rounded: the last bits of sines differ between machines.
    noisy = data.points_of(config.Spirals(), "train")[0]
    rounded = np.round(noisy.astype(np.float64), 3) + 0.0
    assert hashlib.sha256(rounded.tobytes()).hexdigest()[:16] == "d2f676d239c6e9f2"


def test_more_points_begin_with_the_fewer():
    few = data.points_of(config.Spirals(train=10), "train")[0]
    assert np.array_equal(few, data.points_of(config.Spirals(train=50), "train")[0][:10])


def test_jitter_depends_on_the_example_and_the_draw_alone():
    split = data.build(config.Spirals(jitter=0.1), None, NOWHERE).splits["train"]
    draw = Draw(stream=7, epoch=3)
    together = split.batch(np.array([4, 9]), draw)[0]
    assert torch.equal(split.batch(np.array([9]), draw)[0][0], together[1])
    still = split.batch(np.array([4, 9]), None)[0]
    assert 0 < (together - still).abs().max() <= 0.1
    assert not torch.equal(split.batch(np.array([4, 9]), Draw(7, 4))[0], together)


def test_the_model_is_repeatable_and_its_projection_is_not_trained():
    settings = config.FourierMlp(frequencies=8, hidden=[5])
    torch.manual_seed(1)
    encoder, features = model.build(settings, (2, 1, 1))
    torch.manual_seed(1)
    again, _ = model.build(settings, (2, 1, 1))
    x = torch.rand(3, 2, 1, 1)
    assert features == 5
    assert encoder(x).shape == (3, 5)
    assert torch.equal(encoder(x), again(x))
    assert "fourier.projection" in encoder.state_dict()
    assert "fourier.projection" not in dict(encoder.named_parameters())


def test_settings_are_strict():
    with pytest.raises(ValidationError, match="greater than 0"):
        config.Spirals(turns=0)
    with pytest.raises(ValidationError, match="valid integer"):
        config.FourierMlp(hidden=["8"])
