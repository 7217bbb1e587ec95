"""The layers of the equivariant network: each commutes with rotations, and has the numbers of escnn's."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import nn

from interpreter.parts.models.equivariance import Turn, turns
from interpreter.parts.models.equivariant import grids
from interpreter.parts.models.equivariant.bases import kernel_basis
from interpreter.parts.models.equivariant.conv import SteerableConv3d
from interpreter.parts.models.equivariant.extreme import extreme, given_back, picked
from interpreter.parts.models.equivariant.fields import SCALAR, Field, fourier
from interpreter.parts.models.equivariant.nonlinear import FUNCTIONS, FourierPointwise, Gate
from interpreter.parts.models.equivariant.norm import FieldNorm
from interpreter.parts.models.equivariant.pool import FieldPool, blur
from interpreter.parts.optim.averages import _BatchNorm
from interpreter.spec.components.volume_models import EquivariantResnet
from tests.parts.escnn_twin import GROUP, SPACE, conv_order, enn, field_type, scalars
from tests.parts.fields import noise, shaken

REGULAR, SPHERE = Field("regular", 2), Field("quotient", 2)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def turned(x, fields, turn):
    """Maps of fields, turned with their volume."""
    parts, at = [], 0
    for field, count in fields:
        matrix = torch.tensor(field.turned(turn.rotation), dtype=x.dtype)
        part = x[:, at : at + field.size * count].unflatten(1, (count, field.size))
        parts.append(torch.einsum("ij,bfjxyz->bfixyz", matrix, part).flatten(1, 2))
        at += field.size * count
    return turn.volume(torch.cat(parts, dim=1))


def commutes(layer, x, fields, outputs):
    """The largest error relative to the largest number, over all turns."""
    with torch.no_grad():
        out = layer(x)
        return max(
            float((layer(turned(x, fields, turn)) - turned(out, outputs, turn)).abs().max() / out.abs().max()) for turn in turns()
        )


# --- rotations


def test_there_are_24_turns_and_they_are_a_group():
    found = turns()
    assert len(found) == len({(turn.axes, turn.flipped) for turn in found}) == 24
    assert found[0] == Turn((0, 1, 2), (False, False, False))
    matrices = np.array([turn.rotation for turn in found])
    assert np.allclose(np.linalg.det(matrices), 1)
    products = np.einsum("aij,bjk->abik", matrices, matrices).reshape(-1, 3, 3)
    assert all((np.abs(matrices - product).max((1, 2)) < 1e-12).sum() == 1 for product in products)
    x = noise(2, 3, 4, 5)
    volumes = [a.volume(b.volume(x)) for a in found[:7] for b in found[5:9]]
    composed = [
        found[int(np.abs(matrices - a.rotation @ b.rotation).sum((1, 2)).argmin())] for a in found[:7] for b in found[5:9]
    ]
    assert all(torch.equal(volume, turn.volume(x)) for volume, turn in zip(volumes, composed, strict=True))


@pytest.mark.parametrize("cubic", [True, False])
def test_points_spread_out(cubic):
    points, angles = grids.directions(48, cubic), grids.rotations(96, cubic)
    assert points.shape == (48, 3)
    assert np.linalg.norm(points, axis=1) == pytest.approx(1)
    gaps = np.linalg.norm(points[:, None] - points, axis=2) + 9 * np.eye(48)
    assert gaps.min() > 0.35  # the best there are: 0.49
    quaternions = Rotation.from_euler("ZYZ", angles).as_quat()
    overlap = np.abs(quaternions @ quaternions.T) - np.eye(96)
    energy = (1 / np.sqrt(2 - 2 * overlap[np.triu_indices(96, 1)])).sum()
    assert energy < 4765  # a run of escnn's search ends at 4760.3 with a cube's symmetry; points at random are above 5000
    if cubic:
        cube = Rotation.create_group("O")
        for turn in cube[:6]:
            nearest = np.abs((turn * Rotation.from_quat(quaternions)).as_quat() @ quaternions.T).max(1)
            assert nearest == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "frequency"), [("regular", 1), ("regular", 2), ("regular", 3), ("quotient", 2), ("quotient", 5)]
)
def test_the_least_samples_tell_all_coefficients_apart(kind, frequency):
    least = EquivariantResnet(channels=[1, 1], fields=kind, max_frequency=frequency, samples=960).least_samples()
    field = Field(kind, frequency)
    to, back = fourier(field, "thomson_cube", least)
    assert np.abs(back @ to - np.eye(field.size)).max() < 1e-5
    if least > 24:
        assert np.linalg.matrix_rank(fourier(field, "thomson_cube", least - 24)[0], tol=1e-6) < field.size


# --- layers


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_kernels_are_escnns(kernel):
    for inputs in range(3):
        for outputs in range(3):
            if kernel == 1 and inputs != outputs:
                assert len(kernel_basis(inputs, outputs, 1)) == 0
                continue
            types = (enn.FieldType(SPACE, [GROUP.irrep(order)]) for order in (inputs, outputs))
            theirs = enn.R3Conv(*types, kernel, bias=False, initialize=False)
            (block,) = theirs.basisexpansion.children()
            ours = kernel_basis(inputs, outputs, kernel)
            np.testing.assert_allclose(ours.reshape(block.sampled_basis.shape), block.sampled_basis.numpy(), atol=1e-6)


def test_basis_functions_are_as_many_as_counted():
    counts = [[len(kernel_basis(a, b, 3)) for b in range(3)] for a in range(3)]
    assert counts == [[2, 1, 1], [1, 4, 2], [1, 2, 4]]
    sizes = {(a, b): SteerableConv3d(a, 1, [(b, 1)]).weight.numel() for a in (SCALAR, REGULAR) for b in (SCALAR, REGULAR)}
    assert sizes == {(SCALAR, SCALAR): 2, (SCALAR, REGULAR): 10, (REGULAR, SCALAR): 10, (REGULAR, REGULAR): 214}
    assert SteerableConv3d(REGULAR, 1, [(REGULAR, 1)], kernel=1).weight.numel() == 35


LAYERS = {
    "conv": (
        lambda: SteerableConv3d(REGULAR, 2, [(SCALAR, 1), (REGULAR, 2)], padding=1),
        [(REGULAR, 2)],
        [(SCALAR, 1), (REGULAR, 2)],
    ),
    "conv of scalars": (lambda: SteerableConv3d(SCALAR, 3, [(REGULAR, 2)]), [(SCALAR, 3)], [(REGULAR, 2)]),
    "conv on the sphere": (lambda: SteerableConv3d(SPHERE, 2, [(SPHERE, 3)], kernel=1), [(SPHERE, 2)], [(SPHERE, 3)]),
    "norm": (lambda: FieldNorm([(SCALAR, 1), (REGULAR, 2)]), [(SCALAR, 1), (REGULAR, 2)], [(SCALAR, 1), (REGULAR, 2)]),
    "gate": (lambda: Gate(REGULAR, 2), [(SCALAR, 2), (REGULAR, 2)], [(REGULAR, 2)]),
    **{
        name: (lambda name=name: FourierPointwise(REGULAR, "thomson_cube", 96, name), [(REGULAR, 2)], [(REGULAR, 2)])
        for name in FUNCTIONS
    },
    "elu on the sphere": (lambda: FourierPointwise(SPHERE, "thomson_cube", 24, "elu"), [(SPHERE, 2)], [(SPHERE, 2)]),
    "extreme": (lambda: FieldPool(REGULAR, "thomson_cube", 72, "extreme", 0.6, True), [(REGULAR, 2)], [(REGULAR, 2)]),
    "average": (lambda: FieldPool(REGULAR, "thomson_cube", 72, "average", 0.6, True), [(REGULAR, 2)], [(REGULAR, 2)]),
    "extreme on the sphere": (lambda: FieldPool(SPHERE, "thomson_cube", 24, "extreme", 1.1, True), [(SPHERE, 2)], [(SPHERE, 2)]),
}


@pytest.mark.parametrize("side", [5, 6])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_commutes_with_turns(name, side, double):
    make, fields, outputs = LAYERS[name]
    torch.manual_seed(0)
    layer = shaken(make())
    x = 2 * noise(2, sum(field.size * n for field, n in fields), side, side, side)
    assert commutes(layer.eval(), x, fields, outputs) < 1e-12
    assert commutes(layer.train(), x, fields, outputs) < 1e-12
    assert torch.autograd.gradcheck(layer.eval(), x[:1, :, :3, :3, :3].clone().requires_grad_(), fast_mode=True)


def test_the_first_voxel_on_is_off_the_middle_where_a_side_is_odd(double):
    layer = FieldPool(REGULAR, "thomson_cube", 72, "extreme", 0.6, False)
    fields = [(REGULAR, 1)]
    assert commutes(layer, noise(1, 35, 6, 6, 6), fields, fields) < 1e-12
    assert commutes(layer, noise(1, 35, 7, 7, 7), fields, fields) > 0.1


def test_a_gate_commutes_with_any_rotation_and_samples_nearly(double):
    rotation = Rotation.random(None, np.random.default_rng(1)).as_matrix()
    matrix = torch.tensor(REGULAR.turned(rotation))
    x = noise(400, 35, 1, 1, 1)

    def error(function, gates):
        plain = function(torch.cat([gates, x], 1))
        there = function(torch.cat([gates, torch.einsum("ij,bj...->bi...", matrix, x)], 1))
        back = torch.einsum("ij,bj...->bi...", matrix, plain)
        return float((there - back).norm() / back.norm())

    with torch.no_grad():
        assert error(Gate(REGULAR, 1), noise(400, 1, 1, 1, 1)) < 1e-14
        nothing = x[:, :0]
        errors = [error(FourierPointwise(REGULAR, "thomson_cube", n, "elu"), nothing) for n in (72, 240, 960)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02


def test_extremes_keep_their_sign_and_their_gradient(double, monkeypatch):
    x = noise(3, 4, 5, 6, 7)
    x[0] = x[0].round()  # many are alike, and many opposite
    for numbers in (x, x.float()):
        expected = extreme(numbers)
        windows = numbers.unfold(2, 2, 1).unfold(3, 2, 1).unfold(4, 2, 1).flatten(5)
        largest = windows.abs().max(-1).values
        assert torch.equal(expected.abs(), largest)
        assert torch.equal(expected > 0, (windows == largest[..., None]).any(-1) & (largest > 0))
        for tell in (False, True):
            assert torch.equal(picked(numbers, tell)[0], expected)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)  # shares of its own for each
    assert torch.equal(picked(numbers, True)[0], expected)
    apart = noise(2, 3, 4, 4, seed=4).requires_grad_()
    slope = noise(2, 2, 3, 3)
    (wanted,) = torch.autograd.grad(extreme(apart), apart, slope)
    torch.testing.assert_close(given_back(slope, picked(apart, True)[1], (3, 4, 4)), wanted)


def test_blurs_are_even_and_add_up_to_one():
    corner, even, odd = blur(30, 15, 0.6, False), blur(29, 15, 0.6, True), blur(30, 15, 0.6, True)
    for matrix in (corner, even, odd):
        assert matrix.sum(1) == pytest.approx(1)
    assert (corner[3] > 0).nonzero()[0].tolist() == [4, 5, 6, 7, 8]  # round(4 sigma) either way
    assert (odd[3] > 0).nonzero()[0].tolist() == [4, 5, 6, 7, 8, 9]
    assert np.allclose(even, even[::-1, ::-1])
    assert np.allclose(odd, odd[::-1, ::-1])
    assert not np.allclose(corner, corner[::-1, ::-1])
    assert np.allclose(even[1:-1, 1:-1], corner[1:-1, 1:-2])


def test_first_weights_are_spread_as_escnns():
    torch.manual_seed(0)
    config = EquivariantResnet(channels=[4, 5])
    ours = SteerableConv3d(REGULAR, 4, [(SCALAR, 5), (REGULAR, 5)], padding=1)
    theirs = enn.R3Conv(field_type(config, 4), scalars(5) + field_type(config, 5), 3, bias=False, initialize=False)
    wanted = enn.init._generalized_he_init_variances(theirs.basisexpansion)  # which are deviations
    normal = ours.weight.detach()[conv_order(ours, theirs)] / wanted
    assert float(normal.std()) == pytest.approx(1, abs=0.03)
    for size in wanted.unique():
        assert float(normal[wanted == size].std()) == pytest.approx(1, abs=0.15)
    out = ours(noise(4, 140, 9, 9, 9)).detach()
    assert 0.3 < float(out.std()) < 3


def test_normalization_is_one_of_torchs():
    """So that averaged weights, frozen parts and whatever else treats batch normalizations treats it."""
    norm = FieldNorm([(SCALAR, 1), (REGULAR, 2)])
    assert isinstance(norm, _BatchNorm)
    norm.reset_running_stats()
    norm.momentum = None
    batches = [noise(3, 71, 2, 2, 2, seed=seed) + seed for seed in (1, 2)]
    for batch in batches:
        norm(batch)
    gates = torch.stack([batch[:, 0].mean() for batch in batches]).mean()
    assert float(norm.running_mean[0]) == pytest.approx(float(gates), rel=1e-5)
    spread = torch.stack([batch[:, 1:36].transpose(0, 1).flatten(1).var(1).mean() for batch in batches]).mean()
    assert float(norm.running_var[1]) == pytest.approx(float(spread), rel=1e-5)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        norm(noise(1, 71, 1, 1, 1))


def test_of_a_single_voxel_the_middle_of_a_kernel_is_enough(double):
    conv = SteerableConv3d(REGULAR, 2, [(REGULAR, 3)], padding=1)
    x = noise(4, 70, 1, 1, 1)
    whole = nn.functional.conv3d(x, conv.assembled(), padding=1)
    torch.testing.assert_close(conv(x), whole)
    (wanted,) = torch.autograd.grad(whole.square().sum(), conv.weight)
    (found,) = torch.autograd.grad(conv(x).square().sum(), conv.weight)
    torch.testing.assert_close(found, wanted)
    # Most weights belong to harmonics that vanish there: at 33 voxels, 59% of the last block's never matter.
    assert int((found != 0).sum()) == 2 * 3 * (2 + 9 * 2 + 25 * 2)
