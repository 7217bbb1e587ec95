"""Rotations: what they are, where they take vectors, and whether they are as even as their names say."""

import numpy as np
import pytest
from scipy import stats

from interpreter.parts import rotations
from interpreter.parts.random import derive, uniform

MANY = 20_000
EDGES = [0.0, 2.0**-53, 0.25, 0.5, 1 - 2.0**-53]


def numbers(n, columns, name="rotations"):
    return uniform(derive("test", name), 0, np.arange(n), columns)


def corners(columns):
    return np.stack(np.meshgrid(*[EDGES] * columns, indexing="ij"), -1).reshape(-1, columns)


def angles(turns):
    """The angle of each rotation, of its sine and its cosine."""
    skew = turns - np.swapaxes(turns, -1, -2)
    sine = np.sqrt((skew**2).sum((-1, -2)) / 8)
    return np.arctan2(sine, (np.trace(turns, axis1=-2, axis2=-1) - 1) / 2)


def assert_rotations(turns):
    assert np.abs(turns @ np.swapaxes(turns, -1, -2) - np.eye(3)).max() < 1e-14
    assert np.abs(np.linalg.det(turns) - 1).max() < 1e-14


@pytest.mark.parametrize(("made", "columns"), [(rotations.haar, 3), (rotations.uniform_angle, 3), (rotations.fibonacci_400, 1)])
def test_all_are_rotations_and_leading_dimensions_stay(made, columns):
    u = np.concatenate([numbers(1000, columns), corners(columns)])
    turns = made(u)
    assert turns.shape == (len(u), 3, 3) and turns.dtype == np.float64
    assert_rotations(turns)
    assert np.array_equal(made(u[:24].reshape(2, 3, 4, columns)), turns[:24].reshape(2, 3, 4, 3, 3))
    assert np.array_equal(made(u[7]), turns[7])
    with pytest.raises(ValueError, match=f"{columns} uniform numbers make one"):
        made(np.zeros((5, columns + 1)))


def test_haar_is_even_over_all_rotations():
    """Of an even rotation every entry has mean 0 and mean square 1/3, and the angle has the density (1 - cos) / pi."""
    turns = rotations.haar(numbers(MANY, 3))
    five_sigma = 5 / np.sqrt(MANY)
    assert np.abs(turns.mean(0)).max() < five_sigma * np.sqrt(1 / 3)
    assert np.abs((turns**2).mean(0) - 1 / 3).max() < five_sigma * np.sqrt(1 / 5 - 1 / 9)
    assert abs(np.trace(turns, axis1=1, axis2=2).mean()) < five_sigma  # a trace has variance 1
    assert stats.kstest(angles(turns), lambda angle: (angle - np.sin(angle)) / np.pi).pvalue > 0.01
    # Evenness survives any further turn; an uneven axis would show here.
    onward = rotations.about([1.0, 0.0, 0.0], 1.0) @ turns
    assert stats.kstest(angles(onward), lambda angle: (angle - np.sin(angle)) / np.pi).pvalue > 0.01


def test_a_uniform_angle_is_not_even():
    turns = rotations.uniform_angle(numbers(MANY, 3))
    found = angles(turns)
    assert stats.kstest(found, lambda angle: (angle - np.sin(angle)) / np.pi).pvalue < 1e-12
    assert stats.kstest(found, stats.uniform(0, np.pi).cdf).pvalue > 0.01
    assert abs(np.trace(turns, axis1=1, axis2=2).mean() - 1) < 5 * np.sqrt(2 / MANY)  # of 1 + 2 cos, and cos has mean 0


def test_the_400_rotations_are_20_directions_by_20_rolls():
    u = (np.arange(400) + 0.5)[:, None] / 400
    turns = rotations.fibonacci_400(u)
    differences = np.abs(turns[:, None] - turns[None]).max((-1, -2)) + np.eye(400)
    assert differences.min() > 0.01
    directions = turns[:, :, 2].reshape(20, 20, 3)
    assert np.abs(directions - directions[:, :1]).max() < 1e-14
    assert np.allclose(directions[:, 0, 2], 0.95 - 0.1 * np.arange(20), atol=1e-14)  # even in z, as areas of a sphere are
    between = np.arccos(np.clip(directions[:, 0] @ directions[:, 0].T, -1, 1)) + 9 * np.eye(20)
    assert np.rad2deg(between.min(1)).min() > 35  # nobody's neighbour is near: 20 even caps have a radius of 26 degrees
    one = turns.reshape(20, 20, 3, 3)[7]
    rolls = angles(np.swapaxes(one[0], -1, -2) @ one)
    assert np.allclose(np.rad2deg(rolls), [min(18 * k, 360 - 18 * k) for k in range(20)], atol=1e-5)
    counts = np.unique(rotations.fibonacci_400(numbers(MANY, 1)).round(9).reshape(MANY, 9), axis=0, return_counts=True)[1]
    assert len(counts) == 400 and stats.chisquare(counts).pvalue > 0.001


def test_unit_vectors_are_even_and_of_length_1():
    vectors = rotations.unit_vectors(np.concatenate([corners(2), numbers(MANY, 2)]))
    assert np.abs(np.linalg.norm(vectors, axis=-1) - 1).max() < 1e-15
    even = vectors[len(corners(2)) :]
    assert np.abs(even.mean(0)).max() < 5 / np.sqrt(3 * MANY)
    assert np.abs(even.T @ even / MANY - np.eye(3) / 3).max() < 5 * np.sqrt(4 / 45 / MANY)
    for column in even.T:
        assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > 0.01


def test_about_turns_counter_clockwise_and_keeps_its_axis():
    x, y, z = np.eye(3)
    assert np.allclose(rotations.about(z, np.pi / 2) @ x, y, atol=1e-15)
    assert np.allclose(rotations.about(x, np.pi / 2) @ y, z, atol=1e-15)
    assert np.allclose(rotations.about(y, np.pi / 2) @ z, x, atol=1e-15)
    axes, turned = rotations.unit_vectors(numbers(200, 2)), np.linspace(-np.pi, 3 * np.pi, 200)
    turns = rotations.about(axes, turned)
    assert_rotations(turns)
    assert np.allclose((turns @ axes[..., None])[..., 0], axes, atol=1e-14)
    assert np.allclose(np.trace(turns, axis1=1, axis2=2), 1 + 2 * np.cos(turned), atol=1e-14)
    assert np.allclose(rotations.about(axes, turned) @ rotations.about(axes, -turned), np.eye(3), atol=1e-14)


def test_minimal_takes_one_vector_to_the_other_by_the_smallest_angle():
    start, end = rotations.unit_vectors(numbers(2000, 2)), rotations.unit_vectors(numbers(2000, 2, "ends"))
    turns = rotations.minimal(start, end)
    assert_rotations(turns)
    assert np.abs((turns @ start[..., None])[..., 0] - end).max() < 1e-14
    assert np.abs(np.trace(turns, axis1=1, axis2=2) - 1 - 2 * (start * end).sum(-1)).max() < 1e-13
    assert np.array_equal(rotations.minimal(start[3], end[:5]), rotations.minimal(np.tile(start[3], (5, 1)), end[:5]))
    assert np.abs(rotations.minimal(start, start) - np.eye(3)).max() < 1e-15


@pytest.mark.parametrize("short_of", [0.0, 1e-17, 1e-13, 1e-12, 1e-11, 1e-9, 1e-8, 1e-6, 1e-3])
def test_minimal_of_opposite_vectors_is_half_a_turn(short_of):
    """The formula without a special case divides by what is lost to rounding here."""
    start = np.concatenate([np.eye(3), -np.eye(3), rotations.unit_vectors(numbers(300, 2))])
    aside = rotations.unit_vectors(numbers(len(start), 2, "aside"))
    end = -start + short_of * aside
    end /= np.linalg.norm(end, axis=-1, keepdims=True)
    turns = rotations.minimal(start, end)
    assert_rotations(turns)
    assert np.abs((turns @ start[..., None])[..., 0] - end).max() < 1e-14
    assert (np.pi - angles(turns)).max() < 1.01 * short_of + 1e-7
