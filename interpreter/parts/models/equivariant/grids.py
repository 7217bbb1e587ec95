"""Points that repel each other (Thomson's problem), over the sphere and over rotations, with a cube's symmetry or without.

The result is a function of its arguments alone: starts are fixed, the arithmetic is in double precision, and of several minima
another one is taken only where it is lower by more than rounding.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from interpreter.parts.models.so3 import euler
from interpreter.parts.random import derive, uniform

Floats = NDArray[np.float64]

CUBE = 24  # rotations that take a cube to itself
_STEPS = 300  # of a descent: the last ones move points by less than a nonlinearity can tell
_STARTS = 64  # points there are starts for: few points are quick, and have minima that are worth choosing from
_LOWER = 1e-6  # relative


@cache
def rotations(count: int, cubic: bool) -> Floats:
    """So many rotations, spread evenly over SO(3), as ZYZ Euler angles in radians. Read-only.

    `cubic`: with each rotation g also h g for every rotation h of a cube; `count` is then a multiple of 24.

    Shape: (count, 3).
    """
    images = np.stack([_left(quaternion) for quaternion in _symmetries(cubic).as_quat()])
    found = _repelled(count // len(images), images, antipodes=True)
    angles = euler(Rotation.from_quat(found).as_matrix())
    angles.setflags(write=False)
    return angles


@cache
def directions(count: int, cubic: bool) -> Floats:
    """So many unit vectors, spread evenly over the sphere; `cubic` as for rotations. Read-only.

    Shape: (count, 3).
    """
    images = _symmetries(cubic).as_matrix()
    found = _repelled(count // len(images), images, antipodes=False)
    found.setflags(write=False)
    return found


def _symmetries(cubic: bool) -> Rotation:
    """The rotations of a cube, or none, the identity first."""
    if not cubic:
        return Rotation.identity(1)
    cube = Rotation.create_group("O")
    return cube[np.argsort(cube.magnitude(), kind="stable")]


def _repelled(count: int, images: Floats, antipodes: bool) -> Floats:
    """Unit vectors, and their images, at a minimum of the sum of their inverse distances.

    `antipodes`: opposite vectors are the same point, as quaternions are.

    Shape: images (G, k, k) -> (count * G, k).
    """
    group, width, _ = images.shape

    def all_of(free: Floats) -> Floats:
        return np.einsum("gij,nj->gni", images, free).reshape(-1, width)

    def energy(flat: Floats) -> tuple[float, Floats]:
        free = flat.reshape(count, width)
        length = np.linalg.norm(free, axis=1, keepdims=True)
        unit = free / length
        everyone = all_of(unit)
        cosine = unit @ everyone.T
        near = np.abs(cosine) if antipodes else cosine
        squared = 2 - 2 * near
        itself = np.arange(count)
        squared[itself, itself] = np.inf  # the identity comes first among images: column i is the point itself
        inverse = 1 / np.sqrt(np.maximum(squared, 1e-12))
        pull = inverse**3 * (np.sign(cosine) if antipodes else 1)
        # Each pair counts twice, once from either end; the symmetry makes both halves of the gradient alike.
        slope = 2 * pull @ everyone
        slope -= unit * (slope * unit).sum(axis=1, keepdims=True)
        return float(inverse.sum()), (slope / length).ravel()

    best, lowest = np.zeros((count, width)), np.inf
    stream = derive(0, "points that repel each other", count, group)
    for attempt in range(max(1, _STARTS // count)):
        u = uniform(stream, attempt, np.arange(count * width), 2)
        start = np.sqrt(-2 * np.log1p(-u[:, 0])) * np.cos(2 * np.pi * u[:, 1])  # normal: no direction is preferred
        found = minimize(energy, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "ftol": 1e-13, "gtol": 1e-9})
        if found.fun < lowest * (1 - _LOWER) or not np.isfinite(lowest):
            best, lowest = found.x.reshape(count, width), found.fun
    return all_of(best / np.linalg.norm(best, axis=1, keepdims=True))


def _left(quaternion: Floats) -> Floats:
    """The matrix that multiplies a quaternion (x, y, z, w) by this one from the left."""
    x, y, z, w = quaternion
    return np.array([[w, -z, y, x], [z, w, -x, y], [-y, x, w, z], [-x, -y, -z, w]])
