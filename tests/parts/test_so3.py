"""Wigner matrices and Clebsch-Gordan coefficients, and escnn imported on top of them."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from interpreter.errors import StageFailed
from interpreter.parts.models import so3

AXES = [1, 2, 0]  # of order 1: m = -1, 0, 1 are the axes y, z, x


def random_rotations(count):
    return Rotation.random(count, np.random.default_rng(5)).as_matrix()


def test_order_one_is_the_rotation_itself():
    special = [np.eye(3), np.diag([1.0, -1.0, -1.0]), np.diag([-1.0, 1.0, -1.0]), np.diag([-1.0, -1.0, 1.0])]
    special.append(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]))
    for rotation in [*random_rotations(20), *special]:
        found = so3.wigner(1, *so3.euler(rotation))
        np.testing.assert_allclose(found, rotation[np.ix_(AXES, AXES)], atol=1e-14)


@pytest.mark.parametrize("order", range(6))
def test_wigner_matrices_are_a_representation(order):
    a, b = random_rotations(2)
    first, second, both = (so3.wigner(order, *so3.euler(rotation)) for rotation in (a, b, a @ b))
    np.testing.assert_allclose(first @ second, both, atol=1e-13)
    np.testing.assert_allclose(first @ first.T, np.eye(2 * order + 1), atol=1e-13)
    angle = Rotation.from_matrix(a).magnitude()
    assert np.trace(first) == pytest.approx(np.sin((order + 0.5) * angle) / np.sin(0.5 * angle), abs=1e-12)


@pytest.mark.parametrize("orders", [(0, 0, 0), (1, 1, 0), (1, 1, 1), (1, 1, 2), (2, 1, 2), (2, 3, 4), (3, 3, 5)])
def test_couplings_commute_with_rotations(orders):
    rotation = random_rotations(1)[0]
    a, b, c = (so3.wigner(order, *so3.euler(rotation)) for order in orders)
    coupling = so3.couple(*orders)
    turned = np.einsum("ijk,ia,jb->abk", coupling, a, b)
    np.testing.assert_allclose(turned, np.einsum("abl,kl->abk", coupling, c), atol=1e-13)
    assert np.square(coupling).sum() == pytest.approx(2 * orders[2] + 1)


def test_harmonics_turn_with_their_directions():
    points = np.random.default_rng(6).normal(size=(10, 3))
    points[0] = 0
    rotation = random_rotations(1)[0]
    for order in range(5):
        values = so3.harmonics(order, points)
        expected = values @ so3.wigner(order, *so3.euler(rotation)).T
        np.testing.assert_allclose(so3.harmonics(order, points @ rotation.T), expected, atol=1e-13)
        np.testing.assert_allclose(np.linalg.norm(values, axis=1), [order == 0] + [1] * 9, atol=1e-13)
    np.testing.assert_allclose(so3.harmonics(1, points[1:]), points[1:, AXES] / np.linalg.norm(points[1:], axis=1)[:, None])


def test_clebsch_gordan_as_py3nj_gives_them():
    half = np.sqrt(0.5)
    assert so3.clebsch_gordan(2, 2, 0, 2, -2, 0) == pytest.approx(np.sqrt(1 / 3))  # <1 1 1 -1 | 0 0>
    assert so3.clebsch_gordan(2, 2, 2, 2, 0, 2) == pytest.approx(half)  # <1 1 1 0 | 1 1>
    assert so3.clebsch_gordan(2, 2, 2, 0, 2, 2) == pytest.approx(-half)
    m1, m2, m3 = np.arange(-1, 2)[:, None, None], np.arange(-2, 3)[:, None], np.arange(-3, 4)
    assert so3.clebsch_gordan([[[2]]], [[[4]]], [[[6]]], 2 * m1, 2 * m2, 2 * m3).shape == (3, 5, 7)
    with pytest.raises(ValueError, match="2j is \\[1\\]"):
        so3.clebsch_gordan(1, 1, 0, 1, -1, 0)
    with pytest.raises(ValueError, match="2j is \\[0, 2\\]"):
        so3.clebsch_gordan([0, 2], 2, 2, 0, 0, 0)


def test_escnn_agrees_and_no_stand_in_is_left():
    escnn = so3.escnn()
    assert not any(name.partition(".")[0] in ("py3nj", "lie_learn") for name in sys.modules)
    group = escnn.group.so3_group(3)
    for rotation in random_rotations(3):
        element = group.element(rotation, "MAT")
        np.testing.assert_allclose(group.standard_representation()(element), rotation, atol=1e-12)
        for order in range(4):
            np.testing.assert_allclose(group.irrep(order)(element), so3.wigner(order, *so3.euler(rotation)), atol=1e-12)
    ours = so3.couple(2, 1, 3)
    np.testing.assert_allclose(np.squeeze(group._clebsh_gordan_coeff((2,), (1,), (3,))), ours, atol=1e-13)


def test_the_network_needs_no_escnn_and_its_absence_is_said(monkeypatch):
    code = (
        "import sys; sys.modules['escnn'] = None\n"
        "from interpreter.parts.build import build_model\n"
        "build_model({'type': 'equivariant_resnet', 'channels': [1, 2]}, {}, (1, 6, 6, 6), 1, 0)\n"
        "print('built')"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.stdout == "built\n", done.stderr
    monkeypatch.setattr(so3, "find_spec", lambda name: None)
    with pytest.raises(StageFailed, match="escnn, which is not installed") as error:
        so3.escnn.__wrapped__()
    assert error.value.hint == "pip install --no-deps escnn==1.0.11"
