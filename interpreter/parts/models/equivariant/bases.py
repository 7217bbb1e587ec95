"""Kernels that commute with rotations, sampled at voxels: a basis for each pair of irreducible representations of SO(3).

A kernel from order l1 to order l2 is a sum over J of a radial profile times spherical harmonics of order J, coupled by
Clebsch-Gordan coefficients (Weiler et al. 2018). Profiles are Gaussian rings, at each whole radius; a ring carries no higher J
than so few voxels can tell apart. All numbers are those of escnn's `R3Conv`, in double precision.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from interpreter.parts.models.so3 import couple, harmonics

Floats = NDArray[np.float64]

_CENTER_SIGMA_VOXELS, _INNER_SIGMA_VOXELS, _OUTER_SIGMA_VOXELS = 0.005, 0.6, 0.4  # widths of rings
_FLAT = 1e-2  # a basis function whose squares add up to less than this, at all voxels, is none


@cache
def kernel_basis(inputs: int, outputs: int, side: int) -> Floats:
    """All basis kernels from order `inputs` to order `outputs`, read-only; n is 0 where there is none.

    Each is scaled so that an output's variance is that of the inputs, for a weight of 1.

    Shape: (n, 2 outputs + 1, 2 inputs + 1, side, side, side).
    """
    points = _voxels(side)
    radius = np.linalg.norm(points, axis=1)
    reach = side // 2
    kernels = []
    for order in range(abs(inputs - outputs), inputs + outputs + 1):
        angular = np.einsum("oij,pj->oip", couple(outputs, inputs, order), harmonics(order, points))
        for ring in range(reach + 1):
            if order > min(2 * ring, reach - ring + 2):
                continue
            kernel = angular * np.exp(-0.5 * ((radius - ring) / _sigma_voxels(ring, reach)) ** 2)
            size = math.sqrt(np.square(kernel).sum() / (2 * outputs + 1))
            if size > 0 and np.square(kernel / size).sum() > _FLAT:
                kernels.append(kernel / size)
    found = np.array(kernels).reshape(-1, 2 * outputs + 1, 2 * inputs + 1, side, side, side)
    found.setflags(write=False)
    return found


def _sigma_voxels(ring: int, reach: int) -> float:
    if ring == 0:
        return _CENTER_SIGMA_VOXELS
    return _OUTER_SIGMA_VOXELS if ring == reach else _INNER_SIGMA_VOXELS


def _voxels(side: int) -> Floats:
    """Positions (x, y, z) of a kernel's voxels, the last axis of the kernel being x, and those of y and z pointing backwards."""
    at = np.arange(side) - (side - 1) / 2
    first, middle, last = np.meshgrid(at, at, at, indexing="ij")
    return np.stack([last, -middle, -first], axis=-1).reshape(-1, 3)
