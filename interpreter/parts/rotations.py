"""Rotations of space, made from uniform numbers in [0, 1): nothing here is random by itself.

A rotation is a matrix (3, 3) that is applied from the left, `R @ x`. Leading dimensions are kept: one row of numbers a rotation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

DIRECTIONS = ROLLS = 20


def haar(u: ArrayLike) -> Array:
    """Rotations spread evenly over all of SO(3), of three uniform numbers each.

    Shape: (..., 3) -> (..., 3, 3).
    Source: Shoemake, Uniform random rotations, Graphics Gems III, 1992.
    """
    u1, u2, u3 = _columns(u, 3)
    from_first, from_second = np.sqrt(1 - u1), np.sqrt(u1)
    angle2, angle3 = 2 * np.pi * u2, 2 * np.pi * u3
    x, y = from_first * np.sin(angle2), from_first * np.cos(angle2)
    z, w = from_second * np.sin(angle3), from_second * np.cos(angle3)
    return _matrix(
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )


def uniform_angle(u: ArrayLike) -> Array:
    """Rotations about an even axis by an angle that is uniform in [0, 2 pi): not even over SO(3), small turns are too frequent.

    Shape: (..., 3) -> (..., 3, 3): two numbers for the axis, one for the angle.
    """
    u = np.asarray(u, dtype=np.float64)
    _columns(u, 3)
    return about(unit_vectors(u[..., :2]), 2 * np.pi * u[..., 2])


def fibonacci_400(u: ArrayLike) -> Array:
    """One of 400 rotations: the z axis goes to one of 20 directions of a Fibonacci sphere, after one of 20 even rolls about it.

    Shape: (..., 1) -> (..., 3, 3).
    Source: the rule of the 3DCNN of Townshend et al., ATOM3D: Tasks on Molecules in Three Dimensions, 2021.
    """
    (u1,) = _columns(u, 1)
    which = np.minimum((u1 * (DIRECTIONS * ROLLS)).astype(np.int64), DIRECTIONS * ROLLS - 1)
    return _all_400()[which]


def unit_vectors(u: ArrayLike) -> Array:
    """Directions spread evenly over the sphere, of two uniform numbers each.

    Shape: (..., 2) -> (..., 3).
    """
    u1, u2 = _columns(u, 2)
    z = 1 - 2 * u1
    radius = 2 * np.sqrt(u1 * (1 - u1))  # sqrt(1 - z^2) without the cancellation near the poles
    return np.stack([radius * np.cos(2 * np.pi * u2), radius * np.sin(2 * np.pi * u2), z], axis=-1)


def about(axis: ArrayLike, angle_rad: ArrayLike) -> Array:
    """Rotations by an angle about an axis of length 1, counter-clockwise when the axis points at the viewer.

    Shape: (..., 3) and (...) -> (..., 3, 3).
    """
    axis, angle = np.asarray(axis, dtype=np.float64), np.asarray(angle_rad, dtype=np.float64)[..., None, None]
    outer = axis[..., :, None] * axis[..., None, :]
    return np.cos(angle) * (np.eye(3) - outer) + np.sin(angle) * _cross_matrix(axis) + outer


def minimal(from_: ArrayLike, to: ArrayLike) -> Array:
    """The smallest rotation that takes one unit vector to the other; of opposite ones, half a turn about any axis between them.

    Shape: (..., 3) and (..., 3) -> (..., 3, 3).
    """
    start, end = np.broadcast_arrays(np.asarray(from_, dtype=np.float64), np.asarray(to, dtype=np.float64))
    obtuse = (start * end).sum(-1) < 0
    # 1 / (1 + cos) below grows without bound towards half a turn. So an obtuse turn is half a turn about its axis, which leads
    # to the opposite of `start`, and then the acute rest about the same axis.
    half = np.where(obtuse[..., None, None], _half_turn(_axis(start, end)), np.eye(3))
    start = np.where(obtuse[..., None], -start, start)
    cross = _cross_matrix(np.cross(start, end))
    rest = np.eye(3) + cross + cross @ cross / (1 + (start * end).sum(-1))[..., None, None]
    return rest @ half


def _all_400() -> Array:
    """All rotations of `fibonacci_400`, those of one direction side by side."""
    step = np.arange(DIRECTIONS)
    z = 1 - (2 * step + 1) / DIRECTIONS
    around = step * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - z * z)
    directions = np.stack([radius * np.cos(around), radius * np.sin(around), z], axis=-1)
    up = np.array([0.0, 0.0, 1.0])
    rolls = about(np.tile(up, (ROLLS, 1)), 2 * np.pi * np.arange(ROLLS) / ROLLS)
    return (minimal(up, directions)[:, None] @ rolls[None]).reshape(-1, 3, 3)


def _axis(start: Array, end: Array) -> Array:
    """A unit vector at a right angle to `start`, and to `end` where they don't lie on one line."""
    cross = np.cross(start, end)
    length = np.linalg.norm(cross, axis=-1, keepdims=True)
    # The basis vector that `start` leans to least gives a perpendicular that is never short.
    other = np.cross(start, np.eye(3)[np.abs(start).argmin(-1)])
    axis = np.where(length > 1e-12, cross, other)
    axis = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    # Of a short cross product, rounding leaves a part along `start`.
    axis = axis - start * (axis * start).sum(-1, keepdims=True)
    unit: Array = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    return unit


def _half_turn(axis: Array) -> Array:
    return 2 * axis[..., :, None] * axis[..., None, :] - np.eye(3)


def _cross_matrix(v: Array) -> Array:
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    zero = np.zeros_like(x)
    return _matrix((zero, -z, y), (z, zero, -x), (-y, x, zero))


def _matrix(*rows: tuple[Array, Array, Array]) -> Array:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _columns(u: ArrayLike, n: int) -> list[Array]:
    u = np.asarray(u, dtype=np.float64)
    if u.shape[-1:] != (n,):
        raise ValueError(f"{n} uniform numbers make one of these, not a last dimension of {u.shape}")
    return [u[..., i] for i in range(n)]
