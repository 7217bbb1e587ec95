"""The overlap of spheres and voxels in closed form, compiled.

A voxel is what eight corners leave by inclusion and exclusion, so that all that is needed is the part of a ball beyond a corner.
Let the ball have radius 1 and its centre at 0, let all below be fractions of its volume, and k(a) = a (3 - a^2) / 2 and
w = sqrt(1 - a^2 - b^2). By the divergence theorem a volume is a third of its part of the sphere less each flat face times its
distance; the part of the sphere is found by Gauss and Bonnet's theorem from the arcs and angles around it. It leaves

    cap       x > a                  C(a) = (1 - k(a)) / 2
    wedge     x > a, y > b           W(a, b) = (C(a) + C(b)) / 2 - 1/4
                                               + (k(a) atan(b/w) + k(b) atan(a/w) - atan(ab/w) + abw) / (2 pi)
    corner    x > a, y > b, z > c    V(a, b, c) = (W(a, b) + W(b, c) + W(a, c)) / 2 - (C(a) + C(b) + C(c)) / 4
                                                  + 1/8 - 3 abc / (4 pi)

where the edge, or the corner, is inside the ball. Where it is outside, what it cuts off is empty or a difference of what fewer
planes cut off, depending on the signs: `_wedge` and `_corner`.

All that is compiled is in this one file: numba's cache looks at the file of the function that is called, so a change to one that
it calls from elsewhere would go unseen.
"""

from __future__ import annotations

import math

import numpy as np

from interpreter.parts.compiled import compiled


@compiled
def _cap(a):
    """The part of the ball beyond one plane."""
    if a >= 1.0:
        return 0.0
    if a <= -1.0:
        return 1.0
    return 0.25 * (1.0 - a) * (1.0 - a) * (2.0 + a)


@compiled
def _wedge(a, b, cap_a, cap_b):
    """The part of the ball beyond two planes."""
    rest = 1.0 - a * a - b * b
    if rest > 0.0:
        w = math.sqrt(rest)
        angles = (0.5 - cap_a) * math.atan(b / w) + (0.5 - cap_b) * math.atan(a / w)
        return 0.5 * (cap_a + cap_b) - 0.25 + (2.0 * angles - math.atan(a * b / w) + a * b * w) / (2.0 * math.pi)
    if a >= 0.0:
        return 0.0 if b >= 0.0 else cap_a
    return cap_b if b >= 0.0 else cap_a + cap_b - 1.0


@compiled
def _corner(a, b, c, cap_a, cap_b, cap_c, wedge_ab, wedge_bc, wedge_ac):
    """The part of the ball beyond three planes."""
    if a * a + b * b + c * c < 1.0:
        corner = 0.125 - 0.75 / math.pi * a * b * c
        return 0.5 * (wedge_ab + wedge_bc + wedge_ac) - 0.25 * (cap_a + cap_b + cap_c) + corner
    if a >= 0.0:
        if b >= 0.0:
            return 0.0 if c >= 0.0 else wedge_ab
        return wedge_ac if c >= 0.0 else wedge_ab + wedge_ac - cap_a
    if b >= 0.0:
        return wedge_bc if c >= 0.0 else wedge_ab + wedge_bc - cap_b
    if c >= 0.0:
        return wedge_bc + wedge_ac - cap_c
    return wedge_ab + wedge_bc + wedge_ac - cap_a - cap_b - cap_c + 1.0


@compiled
def _add(image, one, other, i, j, k, value):
    """`value` added to a voxel of one channel, and of another unless that is -1; what rounding leaves below 0 is nothing."""
    side = image.shape[1]
    if value > 0.0 and 0 <= i < side and 0 <= j < side and 0 <= k < side:
        if one >= 0:
            image[one, i, j, k] += np.float32(value)
        if other >= 0:
            image[other, i, j, k] += np.float32(value)


@compiled
def _add_small(image, one, other, x, y, z, radius, weight):
    """A sphere no wider than a voxel, so that at most one plane of each axis cuts it: two, four or eight voxels.

    Units: voxels, from the grid's corner.
    """
    i, j, k = math.floor(x + 0.5), math.floor(y + 0.5), math.floor(z + 0.5)
    a, b, c = (i - x) / radius, (j - y) / radius, (k - z) / radius
    cap_a, cap_b, cap_c = _cap(a), _cap(b), _cap(c)
    ab, bc, ac = _wedge(a, b, cap_a, cap_b), _wedge(b, c, cap_b, cap_c), _wedge(a, c, cap_a, cap_c)
    abc = _corner(a, b, c, cap_a, cap_b, cap_c, ab, bc, ac)
    _add(image, one, other, i, j, k, weight * abc)
    _add(image, one, other, i, j, k - 1, weight * (ab - abc))
    _add(image, one, other, i, j - 1, k, weight * (ac - abc))
    _add(image, one, other, i - 1, j, k, weight * (bc - abc))
    _add(image, one, other, i, j - 1, k - 1, weight * (cap_a - ab - ac + abc))
    _add(image, one, other, i - 1, j, k - 1, weight * (cap_b - ab - bc + abc))
    _add(image, one, other, i - 1, j - 1, k, weight * (cap_c - ac - bc + abc))
    _add(image, one, other, i - 1, j - 1, k - 1, weight * (1.0 - cap_a - cap_b - cap_c + ab + bc + ac - abc))


@compiled
def _planes(x, radius, side, planes, caps):
    """The first of the voxels along an axis that a sphere reaches, and how many; their planes, and what lies beyond each."""
    low = max(math.floor(x - radius), 0)
    high = min(math.ceil(x + radius), side)
    for n in range(high - low + 1):
        planes[n] = (low + n - x) / radius
        caps[n] = _cap(planes[n])
    return low, high - low


@compiled
def _wedges(a, b, caps_a, caps_b, n_a, n_b, wedges):
    for i in range(n_a + 1):
        for j in range(n_b + 1):
            wedges[i, j] = _wedge(a[i], b[j], caps_a[i], caps_b[j])


@compiled
def _add_any(image, one, other, x, y, z, radius, weight, planes, caps, wedges, corners):
    """A sphere of any radius: all corners of the voxels that it reaches, a layer of them at a time.

    Units: voxels, from the grid's corner.
    """
    side = image.shape[1]
    i0, n_i = _planes(x, radius, side, planes[0], caps[0])
    j0, n_j = _planes(y, radius, side, planes[1], caps[1])
    k0, n_k = _planes(z, radius, side, planes[2], caps[2])
    _wedges(planes[0], planes[1], caps[0], caps[1], n_i, n_j, wedges[0])
    _wedges(planes[1], planes[2], caps[1], caps[2], n_j, n_k, wedges[1])
    _wedges(planes[0], planes[2], caps[0], caps[2], n_i, n_k, wedges[2])
    for i in range(n_i + 1):
        layer, before = corners[i % 2], corners[1 - i % 2]
        for j in range(n_j + 1):
            for k in range(n_k + 1):
                layer[j, k] = _corner(
                    planes[0, i],
                    planes[1, j],
                    planes[2, k],
                    caps[0, i],
                    caps[1, j],
                    caps[2, k],
                    wedges[0, i, j],
                    wedges[1, j, k],
                    wedges[2, i, k],
                )
                if i and j and k:
                    nearer = before[j - 1, k - 1] - before[j, k - 1] - before[j - 1, k] + before[j, k]
                    farther = layer[j - 1, k - 1] - layer[j, k - 1] - layer[j - 1, k] + layer[j, k]
                    _add(image, one, other, i0 + i - 1, j0 + j - 1, k0 + k - 1, weight * (nearer - farther))


@compiled
def _set(image, one, other, x, y, z):
    """1 in the voxel of a point. On the face between two it is the even one, as round(x - 0.5) has it."""
    side = image.shape[1]
    i, j, k = round(x - 0.5), round(y - 0.5), round(z - 0.5)
    if 0 <= i < side and 0 <= j < side and 0 <= k < side:
        if one >= 0:
            image[one, i, j, k] = 1.0
        if other >= 0:
            image[other, i, j, k] = 1.0


@compiled
def draw(xyz_A, channel, mask, occupancy, first, structures, rotations, origins_A, resolution_A, radius_A, binary, images):
    """False when an atom has a channel that the images have not; otherwise all atoms of `structures` are drawn into them.

    What the images held before is overwritten.
    """
    channels, side = images.shape[1], images.shape[2]
    radius = 0.5 if binary else radius_A / resolution_A
    size = min(int(2.0 * radius) + 3, side + 1)  # planes along an axis that a sphere can touch, within the grid
    planes, caps = np.empty((3, size)), np.empty((3, size))
    wedges, corners = np.empty((3, size, size)), np.empty((2, size, size))
    middle = 0.5 * side
    reach = middle + radius
    for image in range(len(structures)):
        images[image] = 0.0
        turn = rotations[image] / resolution_A
        ox, oy, oz = origins_A[image, 0], origins_A[image, 1], origins_A[image, 2]
        for atom in range(first[structures[image]], first[structures[image] + 1]):
            dx, dy, dz = xyz_A[atom, 0] - ox, xyz_A[atom, 1] - oy, xyz_A[atom, 2] - oz
            x = turn[0, 0] * dx + turn[0, 1] * dy + turn[0, 2] * dz
            if not abs(x) < reach:  # written so that a position that is no number is left out as well
                continue
            y = turn[1, 0] * dx + turn[1, 1] * dy + turn[1, 2] * dz
            if not abs(y) < reach:
                continue
            z = turn[2, 0] * dx + turn[2, 1] * dy + turn[2, 2] * dz
            if not abs(z) < reach:
                continue
            x, y, z = x + middle, y + middle, z + middle
            one, other, weight = channel[atom], mask[atom], occupancy[atom]
            if max(one, other) >= channels:
                return False
            if max(one, other) < 0:
                continue
            if binary:
                _set(images[image], one, other, x, y, z)
            elif radius <= 0.5:
                _add_small(images[image], one, other, x, y, z, radius, weight)
            else:
                _add_any(images[image], one, other, x, y, z, radius, weight, planes, caps, wedges, corners)
    return True
