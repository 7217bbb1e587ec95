"""Zones by density, held against counting; the 20 directions; what a rotated structure has."""

import numpy as np
import pytest

from interpreter.parts.datasets.structures import ATOM
from interpreter.parts.datasets.zones import Density, directions, joined, lattice, zones_of
from interpreter.spec.components.volumes import Zones
from tests.parts.molecules import globule

QUARTER = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
BALL_NM3 = 4 / 3 * np.pi * 1.5**3
CLOSE = Zones(neighbor_distance_A=17.0)


def atoms(xyz_A, occupancy=1.0):
    out = np.zeros(len(xyz_A), ATOM)
    out["xyz_A"], out["occupancy"], out["element"] = xyz_A, occupancy, "C"
    return out


def density(xyz_A, occupancy=1.0, radius_A=15.0, voxel_A=2.0):
    return Density(np.asarray(xyz_A, float), np.full(len(xyz_A), occupancy), radius_A, voxel_A)


def test_directions_are_the_corners_of_a_dodecahedron():
    found = directions()
    assert found.shape == (20, 3)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    cosines = np.sort(found @ found.T, axis=1)
    # Seen from a corner: three neighbours at 41.81 degrees, six at 70.53, and the same the other way.
    expected = np.sqrt(5) / 3
    assert np.allclose(cosines, [-1, *[-expected] * 3, *[-1 / 3] * 6, *[1 / 3] * 6, *[expected] * 3, 1])


def test_density_is_atoms_in_a_ball_over_its_volume():
    one = density([[3.0, 4.0, 5.0]], occupancy=0.5)
    inside = one.per_nm3[one.per_nm3 > 0]
    assert np.allclose(inside, 0.5 / (len(inside) * 0.008))
    assert len(inside) * 0.008 == pytest.approx(BALL_NM3, rel=0.02)
    assert one.at(np.array([[3.0, 4.0, 5.0], [3.0, 4.0, 19.9], [3.0, 4.0, 23.0], [500.0, 0.0, 0.0]])) == pytest.approx(
        [0.5 / (len(inside) * 0.008)] * 2 + [0, 0], abs=0.02
    )


def test_density_agrees_with_counting():
    xyz_A = globule(1, radius_A=26.0)
    points = np.random.default_rng(0).uniform(-30, 30, (200, 3))
    counted = (np.linalg.norm(points[:, None] - xyz_A[None], axis=2) <= 15).sum(axis=1) / BALL_NM3
    assert counted.max() > 40
    coarse, fine = (np.abs(density(xyz_A, voxel_A=v).at(points) - counted) for v in (2.0, 1.0))
    assert coarse.max() < 1.5
    assert fine.max() < 1.0
    assert fine.mean() < 0.17 < coarse.mean() < 0.25  # in part interpolation, which counting does not have


def test_density_is_linear_between_voxel_centres():
    field = density(globule(2, radius_A=20.0))
    a, b = np.array([4.0, -2.0, 6.0]) + field._middle_A, np.array([6.0, -2.0, 6.0]) + field._middle_A
    ends = field.at(np.stack([a, b]))
    assert ends[0] != ends[1]
    assert field.at(a * 0.75 + b * 0.25) == pytest.approx(0.75 * ends[0] + 0.25 * ends[1])
    middle = (field._half + np.array([2, -1, 3])).tolist()
    assert ends[0] == pytest.approx(field.per_nm3[tuple(middle)])


def test_a_quarter_turn_turns_the_density_with_it():
    xyz_A = globule(3)
    plain, turned = density(xyz_A), density(xyz_A @ QUARTER.T)
    assert np.array_equal(np.rot90(plain.per_nm3, 1, axes=(0, 1)), turned.per_nm3)
    points = lattice(xyz_A, 10.0)
    assert plain.at(points).max() > 40
    assert np.allclose(turned.at(points @ QUARTER.T), plain.at(points), atol=1e-9)


def test_a_turn_that_keeps_the_directions_keeps_the_zones():
    xyz_A = globule(3)  # to which x, y, z turned into y, z, x is a third of a turn about the diagonal
    plain, turned = zones_of(atoms(xyz_A), CLOSE), zones_of(atoms(xyz_A[:, [1, 2, 0]]), CLOSE)
    assert len(plain.number) == 29
    to = {tuple(row): n for n, row in enumerate(np.round(directions(), 6).tolist())}
    where = [to[tuple(row)] for row in np.round(directions()[:, [1, 2, 0]], 6).tolist()]
    expected = np.concatenate([plain.center_A[:, [1, 2, 0]], np.zeros_like(plain.allowed)], axis=1)
    expected[:, 3:][:, where] = plain.allowed
    found = np.concatenate([turned.center_A, turned.allowed], axis=1)
    rows = [each[np.lexsort(np.round(each[:, :3], 3).T)] for each in (expected, found)]
    assert np.allclose(rows[0], rows[1], atol=1e-6)


def test_the_lattice_lies_along_the_principal_axes_and_overhangs_by_half_a_step():
    rod = np.array([[t, 0.0, 0.0] for t in np.linspace(-24, 24, 50)])
    rng = np.random.default_rng(1)
    rod += rng.normal(0, 0.3, rod.shape)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    points = lattice(rod @ turn.T, 10.0)
    assert len(points) == 5
    steps = (points - (rod @ turn.T).mean(axis=0)) @ turn
    assert np.allclose(np.sort(steps[:, 0]), [-20, -10, 0, 10, 20], atol=0.3)
    assert len(lattice(rod * 1.05 @ turn.T, 10.0)) == 7  # an end at 25 is half a step from a point at 30
    assert np.array_equal(lattice(np.array([[1.0, 2.0, 3.0]]), 10.0), [[1.0, 2.0, 3.0]])


def test_zones_are_dense_and_have_a_dense_neighbour():
    xyz_A = globule(4)
    found = zones_of(atoms(xyz_A), CLOSE)
    field, points = density(xyz_A), lattice(xyz_A.astype(np.float32).astype(float), 10.0)
    dense = np.flatnonzero(field.at(points) > 35)
    around = field.at(points[:, None] + 17.0 * directions()) > 35
    assert found.number.tolist() == [n for n in dense.tolist() if around[n].any()]
    assert np.allclose(found.center_A, points[found.number], atol=1e-4)
    assert np.array_equal(found.allowed, around[found.number])
    assert found.allowed.any(axis=1).all()
    assert (found.points, found.sparse) == (len(points), len(points) - len(dense))
    assert found.lonely == len(dense) - len(found.number)
    far = zones_of(atoms(xyz_A), Zones(neighbor_distance_A=60.0))
    assert (len(far.number), far.lonely) == (0, len(dense))


def test_a_hundred_thousand_angstrom_or_a_clash_leave_a_structure_out():
    xyz_A = globule(5)
    assert zones_of(atoms(xyz_A, occupancy=2.0), CLOSE).why.endswith("atoms per nm3")
    assert zones_of(atoms(xyz_A), Zones(max_density_per_nm3=40.0)).why
    assert not zones_of(atoms(xyz_A), CLOSE).why
    torn = np.concatenate([xyz_A, [[1e5, 1e5, 1e5]]])
    found = zones_of(atoms(torn), CLOSE)
    assert "angstrom apart" in found.why
    assert len(found.number) == 0
    assert zones_of(atoms(xyz_A[:1]), CLOSE).why == ""


def test_zones_are_named_after_their_structure_and_their_place_in_its_lattice():
    each = [zones_of(atoms(globule(n)), CLOSE) for n in (0, 1)]
    empty = zones_of(atoms(globule(2)[:1]), CLOSE)
    table = joined(["a", "none", "b"], [each[0], empty, each[1]])
    assert len(table) == len(set(table.ids)) == len(each[0].number) + len(each[1].number)
    assert table.ids[0] == f"a/zone-{each[0].number[0]}"
    assert table.structure.tolist() == [0] * len(each[0].number) + [2] * len(each[1].number)
    assert np.array_equal(table.center_A, np.concatenate([each[0].center_A, each[1].center_A]))
    part = table.of(np.array([3, 0]))
    assert part.ids == (table.ids[3], table.ids[0])
    assert np.array_equal(part.allowed, table.allowed[[3, 0]])
