"""Prints, as JSON, how many images of proteins a second are made on one core, beside the field's own macromol_voxelize.

Both draw the same atoms of the same poses, and what they draw is compared. Where the proteins are not on this machine, clouds of
atoms as dense as proteins stand in for them. A batch of ours and the same images of theirs take turns; medians count. Theirs gets
atoms that are rotated, with radius and channels looked up, outside of what is timed; ours does all of that within. Filtering of
atoms is timed on both sides, since both do it for each image.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import gemmi  # noqa: E402
import macromol_voxelize as theirs  # noqa: E402
import numpy as np  # noqa: E402
import polars  # noqa: E402

from interpreter.parts import rotations  # noqa: E402
from interpreter.parts.voxels.atoms import Atoms  # noqa: E402
from interpreter.parts.voxels.image import voxelize  # noqa: E402
from interpreter.spec.components.volumes import VoxelImage  # noqa: E402

PROTEINS = ROOT / ".." / "shared" / "data" / "proteins" / "pdb"
CHANNELS = ["C", "N", "O", "P", "S|SE", "*"]
SIDES = [(24, 1.0), (33, 0.75)]
STRUCTURES, BATCH, ROUNDS = 64, 16, 25


def main() -> None:
    parts, origin = real() if PROTEINS.is_dir() else made_up()
    rows = []
    for voxels, resolution_A in SIDES:
        image = VoxelImage(voxels=voxels, resolution_A=resolution_A, channels=CHANNELS)
        ours_s, theirs_s = measure(parts, image)
        rows.append(
            {
                "what": f"images of {voxels}^3 voxels at {resolution_A:g} A, 6 channels, of {origin}",
                "ours": BATCH / ours_s,
                "unit": "images/s",
                "goal": "10 times theirs",
                "beside": "macromol_voxelize 0.10.0",
                "theirs": BATCH / theirs_s,
            }
        )
    print(json.dumps(rows))


def measure(parts: list[tuple], image: VoxelImage) -> tuple[float, float]:
    """Seconds that a batch takes: ours, theirs."""
    atoms = Atoms.of(parts, image)
    random = np.random.default_rng(0)
    params = theirs.ImageParams(len(CHANNELS), theirs.Grid(length_voxels=image.voxels, resolution_A=image.resolution_A))
    taken: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(ROUNDS + 1):
        structures = random.integers(len(parts), size=BATCH)
        turns = rotations.haar(random.uniform(size=(BATCH, 3)))
        origins = np.array([parts[s][0][random.integers(len(parts[s][0]))] for s in structures])
        frames = [frame(parts[s], turn, origin, image) for s, turn, origin in zip(structures, turns, origins, strict=True)]
        ours, ours_s = timed(lambda: voxelize(atoms, structures, turns, origins, image))  # noqa: B023
        other, theirs_s = timed(lambda: [theirs.image_from_atoms(one, params)[0] for one in frames])  # noqa: B023
        assert np.abs(ours - np.stack(other)).max() < 1e-6
        if number:  # the first round compiles
            taken["ours"].append(ours_s)
            taken["theirs"].append(theirs_s)
    return median(taken["ours"]), median(taken["theirs"])


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def frame(part: tuple, turn: np.ndarray, origin: np.ndarray, image: VoxelImage) -> polars.DataFrame:
    """The atoms as theirs takes them: in place, with radius and channels."""
    xyz_A, elements, _, occupancy = part
    x, y, z = turn @ (xyz_A.astype(np.float64) - origin).T
    table = polars.DataFrame({"x": x, "y": y, "z": z, "element": list(elements), "occupancy": occupancy.astype(np.float64)})
    table = theirs.set_atom_radius_A(table, image.resolution_A / 2)
    return theirs.set_atom_channels_by_element(table, [name.split("|") for name in CHANNELS]).rechunk()


def real() -> tuple[list[tuple], str]:
    """Proteins of PDB files, without ligands."""
    parts = []
    for path in sorted(PROTEINS.glob("*.pdb.gz"))[:STRUCTURES]:
        model = gemmi.read_pdb_string(gzip.decompress(path.read_bytes()))[0]
        atoms = [a for chain in model for residue in chain if residue.het_flag == "A" for a in residue]
        xyz_A = np.array([a.pos.tolist() for a in atoms], np.float32)
        elements = np.array([a.element.name.upper() for a in atoms])
        parts.append((xyz_A, elements, np.ones(len(atoms), bool), np.array([a.occ for a in atoms], np.float32)))
    return parts, "real proteins"


def made_up() -> tuple[list[tuple], str]:
    """Balls of 1500 atoms, 50 in a cubic nanometre."""
    random, parts = np.random.default_rng(1), []
    for _ in range(STRUCTURES):
        directions = rotations.unit_vectors(random.uniform(size=(1500, 2)))
        radius_A = (1500 / 0.05 * 3 / (4 * np.pi)) ** (1 / 3)
        xyz_A = (directions * radius_A * random.uniform(size=(1500, 1)) ** (1 / 3)).astype(np.float32)
        elements = random.choice(["C", "N", "O", "S"], size=1500, p=[0.63, 0.17, 0.19, 0.01])
        parts.append((xyz_A, elements, np.ones(1500, bool), np.ones(1500, np.float32)))
    return parts, "clouds of atoms"


if __name__ == "__main__":
    main()
