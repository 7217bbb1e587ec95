"""Voxels: against the field's own program, the reference's table, closed forms, and what symmetry and mass demand."""

import itertools
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from interpreter.parts import rotations
from interpreter.parts.voxels import overlap
from interpreter.parts.voxels.atoms import Atoms
from interpreter.parts.voxels.image import STD_FLOOR, computed, normalized, voxelize
from interpreter.spec.components.volumes import VoxelImage, VoxelNormalize

STILL = np.eye(3)
CHANNELS = ["C", "N", "O", "P", "S|SE", "*"]
ELEMENTS = ["C", "N", "O", "P", "S", "SE", "FE", "ZN"]


def drawn(xyz_A, image, elements=None, polymer=None, occupancy=None, turn=STILL, origin_A=(0.0, 0.0, 0.0)):
    """One image of one structure: carbons of a polymer unless something else is said."""
    n = len(xyz_A)
    part = (
        np.asarray(xyz_A, np.float32),
        np.array(["C"] * n if elements is None else elements),
        np.ones(n, bool) if polymer is None else polymer,
        np.ones(n) if occupancy is None else occupancy,
    )
    return voxelize(Atoms.of([part], image), np.array([0]), np.array([turn]), np.array([origin_A]), image)[0]


def cloud(rng, n, image, beyond_A=0.0):
    """Atoms all over a grid, and around it."""
    xyz_A = rng.uniform(-0.5, 0.5, (n, 3)) * (image.side_A() + 2 * beyond_A)
    return xyz_A.astype(np.float32), rng.choice(ELEMENTS, n), rng.uniform(0.05, 1, n).astype(np.float32)


def theirs(xyz_A, elements, occupancy, image):
    """The same image by macromol_voxelize."""
    reason = "macromol_voxelize, what voxels are held against, is not installed: it comes with the extra `dev`"
    program = pytest.importorskip("macromol_voxelize", reason=reason)
    polars = pytest.importorskip("polars", reason=reason)
    x, y, z = xyz_A.astype(np.float64).T
    atoms = polars.DataFrame({"x": x, "y": y, "z": z, "element": list(elements), "occupancy": occupancy.astype(np.float64)})
    atoms = program.set_atom_radius_A(atoms, image.radius_A or image.resolution_A / 2)
    atoms = program.set_atom_channels_by_element(atoms, [name.split("|") for name in image.channels])
    grid = program.Grid(length_voxels=image.voxels, resolution_A=image.resolution_A)
    return program.image_from_atoms(atoms, program.ImageParams(len(image.channels), grid))[0]


def test_random_atoms_radii_and_grids_agree_with_the_oracle():
    rng = np.random.default_rng(0)
    for _ in range(250):
        resolution_A = rng.choice([0.5, 0.75, 1.0, 2.0])
        radius_A = resolution_A * rng.uniform(0.1, 3)
        image = VoxelImage(voxels=int(rng.integers(1, 10)), resolution_A=resolution_A, channels=CHANNELS, radius_A=radius_A)
        atoms = cloud(rng, 24, image, beyond_A=1.5 * radius_A)
        xyz_A, elements, occupancy = atoms
        ours = drawn(xyz_A, image, elements, occupancy=occupancy)
        assert ours.any()
        assert np.abs(ours - theirs(*atoms, image)).max() < 1e-6


@pytest.mark.parametrize("radius", [0.1, 0.25, 0.5, 0.505, 0.75, 1.0, 1.5, 2.0, 2.25, 3.0])
def test_atoms_on_faces_edges_corners_and_borders_agree_with_the_oracle(radius):
    """Centres on a lattice of quarter voxels: planes go through centres, touch spheres, and cut none of them."""
    image = VoxelImage(voxels=3, resolution_A=1.0, channels=["C"], radius_A=radius)
    lattice = np.arange(-2.75, 2.76, 0.25)
    rng = np.random.default_rng(1)
    xyz_A = rng.choice(lattice, (150, 3)).astype(np.float32)
    for center in xyz_A:
        center = center[None]
        assert np.abs(drawn(center, image) - theirs(center, ["C"], np.ones(1), image)).max() < 1e-6
    many = theirs(xyz_A, ["C"] * 150, np.ones(150), image)
    assert np.abs(drawn(xyz_A, image) - many).max() < 1e-6 * max(1, many.max())


def test_the_table_of_the_reference():
    image = VoxelImage(voxels=3, resolution_A=1.0, channels=["C"])
    (middle,) = drawn([[0, 0, 0]], image)
    assert middle[1, 1, 1] == 1 and middle.sum() == 1
    (shifted,) = drawn([[0.25, 0, 0]], image)
    assert shifted[1, 1, 1] == 0.84375 and shifted[2, 1, 1] == 0.15625 and np.count_nonzero(shifted) == 2
    (corner,) = drawn([[0.5, 0.5, 0.5]], image)
    assert np.allclose(corner[1:, 1:, 1:], 0.125, rtol=0, atol=1e-8) and np.count_nonzero(corner) == 8
    (edge,) = drawn([[0.5, 0, -0.5]], image)
    assert np.allclose(edge[1:, 1, :2], 0.25, rtol=0, atol=1e-8) and np.count_nonzero(edge) == 4


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("radius", [0.2, 0.5, 0.9, 1.7])
def test_a_shift_along_an_axis_is_the_closed_form_of_a_cap(radius, axis):
    """All that is beyond a plane, whatever the voxels there."""
    image = VoxelImage(voxels=8, resolution_A=1.0, channels=["C"], radius_A=radius)
    for shift in np.linspace(-radius, radius, 9):
        center = np.full(3, 0.3)
        center[axis] = shift
        (found,) = drawn([center], image)
        height = radius + np.float32(shift)
        beyond = np.moveaxis(found, axis, 0)[4:].sum(dtype=np.float64)
        assert abs(beyond - height**2 * (3 * radius - height) / (4 * radius**3)) < 2e-7


@pytest.mark.parametrize("radius", [1e-4, 0.3, 0.49999999, 0.5, 0.50000001, 0.7, 1.0, 2.6, 3.9])
def test_an_atom_within_the_grid_sums_to_its_occupancy(radius):
    image = VoxelImage(voxels=9, resolution_A=1.0, channels=["C"], radius_A=radius)
    rng = np.random.default_rng(2)
    for _ in range(100):
        xyz_A = rng.uniform(-1, 1, (1, 3)) * (4.5 - radius)
        weight = rng.uniform(0.1, 1)
        found = drawn(xyz_A, image, occupancy=[weight])
        assert abs(found.sum(dtype=np.float64) - weight) < 1e-6
        assert found.min() >= 0


def test_spheres_that_all_but_touch_planes_keep_their_mass():
    """Where a cut is tangent within rounding, each case of the closed form meets another."""
    rng = np.random.default_rng(3)
    for radius in (0.5, 1.0, 1.5, 0.25):
        image = VoxelImage(voxels=8, resolution_A=1.0, channels=["C"], radius_A=radius)
        for step in (0.0, 1e-16, 1e-12, 1e-8, 1e-7, 1e-6, 1e-4):
            for _ in range(20):
                origin = rng.choice([-0.5, -0.25, 0.0, 0.25, 0.5], 3) + rng.choice([-step, 0, step], 3)
                (found,) = drawn([[0, 0, 0]], image, origin_A=origin)
                assert abs(found.sum(dtype=np.float64) - 1) < 1e-6 and found.max() <= 1 + 1e-7


def test_clipped_atoms_keep_the_weight_they_have_inside():
    image = VoxelImage(voxels=3, resolution_A=1.0, channels=["C"])
    for outside in ([2.01, 0, 0], [0, -2.0, 0], [1e30, 0, 0], [0, 0, -np.inf], [np.nan, 0, 0], [0, 0, np.nan], [2, 2, 2]):
        assert not drawn([outside], image).any()
    half = drawn([[1.5, 0, 0]], image)
    assert half[0, 2, 1, 1] == 0.5 and np.count_nonzero(half) == 1
    assert abs(drawn([[1.5, 1.5, -1.5]], image)[0, 2, 2, 0] - 0.125) < 1e-8
    swallowed = drawn([[0.2, 0.1, 0]], image.model_copy(update={"radius_A": 100.0}))
    assert np.allclose(swallowed, 3 / (4 * np.pi * 100**3), rtol=1e-4)


def cube_rotations():
    for order in itertools.permutations(range(3)):
        for signs in itertools.product([1, -1], repeat=3):
            turn = np.eye(3)[list(order)] * signs
            if np.linalg.det(turn) > 0:
                yield turn


def turned(image, turn):
    """An image whose voxel at R v is the one at v."""
    side = image.shape[-1]
    index = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    to = np.rint((index - (side - 1) / 2) @ turn.T + (side - 1) / 2).astype(int)
    found = np.empty_like(image)
    found[:, *to.T] = image[:, *index.T]
    return found


@pytest.mark.parametrize(("voxels", "radius_A", "fill"), [(6, None, "overlap"), (7, 1.3, "overlap"), (7, None, "binary")])
def test_the_24_turns_of_a_cube_turn_the_image(voxels, radius_A, fill):
    image = VoxelImage(voxels=voxels, resolution_A=0.75, channels=CHANNELS, radius_A=radius_A, fill=fill)
    xyz_A, elements, occupancy = cloud(np.random.default_rng(4), 60, image, beyond_A=1.0)
    plain = drawn(xyz_A, image, elements, occupancy=occupancy)
    turns = list(cube_rotations())
    assert len(turns) == 24
    for turn in turns:
        found = drawn(xyz_A, image, elements, occupancy=occupancy, turn=turn)
        assert np.abs(found - turned(plain, turn)).max() < 1e-6


def test_rotation_and_origin_are_those_of_the_contract():
    """The atom at x is drawn at R @ (x - origin), and voxel v has its centre at (v - (L - 1) / 2) * resolution."""
    rng = np.random.default_rng(5)
    image = VoxelImage(voxels=8, resolution_A=0.75, channels=CHANNELS)
    xyz_A, elements, occupancy = cloud(rng, 80, image, beyond_A=2.0)
    xyz_A += 40
    turn = rotations.haar(rng.uniform(size=3))
    origin_A = np.array([40.3, 39.6, 40.1])
    placed = ((xyz_A - origin_A) @ turn.T).astype(np.float32)
    found = drawn(xyz_A, image, elements, occupancy=occupancy, turn=turn, origin_A=origin_A)
    assert np.abs(found - drawn(placed, image, elements, occupancy=occupancy)).max() < 3e-6  # positions rounded to float32
    (one,) = drawn(np.array([[2.0, 3.0, 1.0]]) * 0.75 - 3.5 * 0.75, VoxelImage(voxels=8, resolution_A=0.75, channels=["C"]))
    assert one[2, 3, 1] == 1


def test_shifts():
    rng = np.random.default_rng(6)
    image = VoxelImage(voxels=10, resolution_A=0.5, channels=CHANNELS, radius_A=0.6)
    xyz_A, elements, occupancy = cloud(rng, 50, image)
    xyz_A = (xyz_A * 1024).round() / 1024  # so that shifting is exact
    plain = drawn(xyz_A, image, elements, occupancy=occupancy)
    for shift in (np.array([64.5, -3.25, 17.0]), np.array([-1000.125, 500.0, 0.5])):
        turn = rotations.haar(rng.uniform(size=3))
        alone = drawn(xyz_A, image, elements, occupancy=occupancy, turn=turn)
        along = drawn(xyz_A + shift, image, elements, occupancy=occupancy, turn=turn, origin_A=shift)
        assert np.array_equal(along, alone)
    by_voxels = drawn(xyz_A + np.array([0.5, -1.0, 1.5]), image, elements, occupancy=occupancy)
    assert np.abs(by_voxels[:, 1:, :-2, 3:] - plain[:, :-1, 2:, :-3]).max() < 1e-6


def test_channels_stars_and_masks():
    elements = ["C", "n", "SE", "S", "FE", "H", "C"]
    polymer = np.array([1, 1, 1, 1, 0, 1, 0], bool)
    xyz_A = np.arange(7)[:, None] * [1.0, 0, 0] - [3.0, 0, 0]
    image = VoxelImage(voxels=7, resolution_A=1.0, channels=["C", "polymer", "N", "S|SE", "*", "ligand"])
    found = drawn(xyz_A, image, elements, polymer)[:, :, 3, 3]
    assert found.tolist() == [
        [1, 0, 0, 0, 0, 0, 1],
        [1, 1, 1, 1, 0, 1, 0],
        [0, 1, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1, 0, 1],
    ]
    few = VoxelImage(voxels=7, resolution_A=1.0, channels=["ligand", "N"])
    atoms = Atoms.of([(xyz_A, elements, polymer, np.ones(7))], few)
    assert atoms.channel.tolist() == [-1, 1, -1, -1, -1, -1, -1]
    assert atoms.mask.tolist() == [-1, -1, -1, -1, 0, -1, 0]
    assert drawn(xyz_A, few, elements, polymer)[:, :, 3, 3].tolist() == [[0, 0, 0, 0, 1, 0, 1], [0, 1, 0, 0, 0, 0, 0]]


def test_occupancy_scales_and_alternatives_add_up():
    image = VoxelImage(voxels=3, resolution_A=1.0, channels=["C", "polymer"])
    found = drawn([[0, 0, 0], [0.25, 0, 0], [0, 0, 1]], image, occupancy=[0.5, 0.25, 0])
    assert found[0, 1, 1, 1] == 0.5 + 0.25 * 0.84375 and found[0, 2, 1, 1] == 0.25 * 0.15625
    assert np.array_equal(found[0], found[1]) and found[0, :, :, 2].sum() == 0


def test_binary_is_the_published_rule():
    """index = round((x + side * resolution / 2) / resolution - 0.5), set and never summed (Townshend et al. 2021)."""
    rng = np.random.default_rng(7)
    for voxels, resolution_A in ((41, 1.0), (8, 0.5)):
        image = VoxelImage(voxels=voxels, resolution_A=resolution_A, channels=["C", "*"], fill="binary")
        xyz_A = (rng.uniform(-0.6, 0.6, (3000, 3)) * voxels * resolution_A).astype(np.float32)
        xyz_A[::3] = (xyz_A[::3] * 2).round() / 2  # on faces, where rounding goes to the even one
        elements = rng.choice(["C", "N"], 3000)
        expected = np.zeros(image.shape(), np.float32)
        index = np.round((xyz_A.astype(np.float64) + voxels * resolution_A / 2) / resolution_A - 0.5).astype(int)
        within = ((index >= 0) & (index < voxels)).all(1)
        assert 0.3 < within.mean() < 0.8
        expected[(elements[within] != "C").astype(int), *index[within].T] = 1
        found = drawn(xyz_A, image, elements, occupancy=rng.uniform(0.1, 1, 3000))
        assert np.array_equal(found, expected)


def test_a_batch_is_its_images_and_nothing_else():
    rng = np.random.default_rng(8)
    image = VoxelImage(voxels=9, resolution_A=0.75, channels=[*CHANNELS, "polymer"])
    parts = []
    for n in (40, 0, 1, 300):
        xyz_A, elements, occupancy = cloud(rng, n, image, beyond_A=1.0)
        parts.append((xyz_A, elements, rng.random(n) < 0.8, occupancy))
    atoms = Atoms.of(parts, image)
    assert len(atoms) == 4 and atoms.first.tolist() == [0, 40, 40, 41, 341]
    structures = np.array([3, 0, 1, 3, 2, 0])
    turns, origins = rotations.haar(rng.uniform(size=(6, 3))), rng.uniform(-1, 1, (6, 3))
    batch = voxelize(atoms, structures, turns, origins, image)
    assert batch.shape == (6, 7, 9, 9, 9) and batch.dtype == np.float32
    assert not batch[2].any() and batch[0].any()
    again = pickle.loads(pickle.dumps(atoms))
    for i in (5, 0, 3):
        alone = voxelize(again, structures[[i]], turns[[i]], origins[[i]], image)
        assert np.array_equal(alone[0], batch[i])
    assert voxelize(atoms, structures[:0], turns[:0], origins[:0], image).shape == (0, 7, 9, 9, 9)
    assert len(Atoms.of([], image)) == 0


def test_atoms_can_stay_in_a_file(tmp_path):
    image = VoxelImage(voxels=5, resolution_A=1.0, channels=["C"])
    atoms = Atoms.of([(np.zeros((1, 3)), ["C"], [True], [1.0])], image)
    np.save(tmp_path / "xyz.npy", atoms.xyz_A)
    mapped = Atoms(np.load(tmp_path / "xyz.npy", mmap_mode="r"), atoms.channel, atoms.mask, atoms.occupancy, atoms.first)
    assert voxelize(mapped, np.array([0]), STILL[None], np.zeros((1, 3)), image)[0, 0, 2, 2, 2] == 1


def test_what_does_not_fit_is_refused():
    image = VoxelImage(voxels=3, resolution_A=1.0, channels=["C", "N"])
    atoms = Atoms.of([(np.zeros((1, 3)), ["N"], [True], [1.0])], image)
    one, origin = np.array([0]), np.zeros((1, 3))
    with pytest.raises(ValueError, match="this image of 1 has not"):
        voxelize(atoms, one, STILL[None], origin, VoxelImage(voxels=3, resolution_A=1.0, channels=["C"]))
    for wrong in ([1], [-1]):
        with pytest.raises(ValueError, match="are asked for, of 1"):
            voxelize(atoms, np.array(wrong), STILL[None], origin, image)
    with pytest.raises(ValueError, match="don't fit"):
        voxelize(atoms, one, STILL, origin, image)
    with pytest.raises(ValueError, match="don't fit"):
        voxelize(atoms, one, STILL[None], np.zeros((2, 3)), image)
    with pytest.raises(ValueError, match="structure 1 has columns of different lengths"):
        Atoms.of([(np.zeros((1, 3)), ["N"], [True], [1.0]), (np.zeros((2, 3)), ["N"], [True], [1.0])], image)


def test_normalization():
    rng = np.random.default_rng(9)
    batches = [rng.normal([[1], [5], [0]], [[2], [0.5], [0]], (n, 3, 64)).reshape(n, 3, 4, 4, 4).astype("f4") for n in (7, 1, 12)]
    constants = computed(batches)
    whole = np.concatenate(batches).astype(np.float64)
    assert np.allclose(constants.mean, whole.mean((0, 2, 3, 4)), rtol=1e-12, atol=0)
    assert np.allclose(constants.std[:2], whole.std((0, 2, 3, 4))[:2], rtol=1e-10)
    assert constants.std[2] == STD_FLOOR  # the channel is empty
    assert VoxelNormalize.model_validate(constants.model_dump()) == constants
    x = np.concatenate(batches)
    assert normalized(x, constants) is x
    assert np.abs(x.mean((0, 2, 3, 4), dtype=np.float64)).max() < 1e-6
    assert np.allclose(x.std((0, 2, 3, 4), dtype=np.float64), [1, 1, 0], atol=1e-6)
    views = np.stack([batches[0], batches[0]], axis=1)
    assert np.allclose(computed([views]).std, computed([batches[0]]).std, rtol=1e-12)
    assert np.array_equal(normalized(views, constants)[:, 1], x[:7])
    alike = normalized(np.ones((2, 3, 4, 4, 4), np.float32), VoxelNormalize(mean=0.5, std=0.25))
    assert (alike == 2).all()
    assert normalized(x, None) is x
    with pytest.raises(ValueError, match="nothing to take a mean of"):
        computed([])


@pytest.mark.parametrize("writable", [True, False])
def test_compiled_code_is_kept_where_it_can_be(tmp_path, writable):
    """Neither beside the module nor in the user's folder can anything be written where a file has the folder's name."""
    (tmp_path / "overlap.py").write_text(Path(overlap.__file__).read_text("utf-8"), "utf-8")
    blocked = tmp_path / "blocked"
    blocked.touch()
    if not writable:
        (tmp_path / "__pycache__").touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment |= {"XDG_CACHE_HOME": str(blocked), "HOME": str(blocked)}
    done = subprocess.run(
        [sys.executable, "-c", "import overlap; print(overlap._cap(0.0))"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0.5"]
    assert bool(list(tmp_path.glob("__pycache__/*.nbi"))) == writable
