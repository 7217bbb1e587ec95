"""Structures to test with: PDB text, globules as dense as a protein, and the real ones beside the project."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from tests.conftest import ROOT

PROTEINS = ROOT / ".." / "shared" / "data" / "proteins"
needs_proteins = pytest.mark.skipif(
    not PROTEINS.is_dir(), reason="needs the 220 protein structures in shared/data/proteins beside the project"
)
IMAGE = {"voxels": 21, "resolution_A": 0.75, "channels": ["C", "N", "O", "P", "S|SE", "*"]}
CLOSE = {"neighbor_distance_A": 17.0, "min_density_per_nm3": 30.0}  # so that small globules have many zones


def line(name, x=0.0, y=0.0, z=0.0, *, element=None, res="ALA", n=1, alt=" ", occ=1.0, hetatm=False, chain="A"):
    """One atom as PDB text. `name` in its four columns; `element`: columns 77-78, of the name where not given."""
    element = name.strip()[0] if element is None else element
    record = "HETATM" if hetatm else "ATOM  "
    at = "".join(f"{v:8.3f}" if isinstance(v, (int, float)) else f"{v:>8}" for v in (x, y, z))
    return f"{record}{1:5d} {name:4}{alt}{res:>3} {chain}{n:4d}    {at}{occ:6.2f}{0:6.2f}          {element:>2}\n"


def globule(seed=0, radius_A=26.0, per_nm3=45.0, offset_A=(0.0, 0.0, 0.0)):
    """A ball of atoms, (n, 3), as dense as a protein is inside."""
    spacing = (1000 / per_nm3) ** (1 / 3)
    steps = np.arange(-radius_A, radius_A + spacing, spacing)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    grid += np.random.default_rng(seed).uniform(-0.7, 0.7, grid.shape)
    # Longer than wide, for its principal axes to be its own.
    inside = grid[((grid / np.array([1.3, 1.0, 0.85])) ** 2).sum(axis=1) < radius_A**2]
    return np.round(inside + offset_A, 3)


def pdb_text(xyz_A, elements="CCNO"):
    names = [elements[i % len(elements)] for i in range(len(xyz_A))]
    return "".join(
        line(f" {e}  ", *row, n=i // 8 % 9999 + 1) for i, (e, row) in enumerate(zip(names, xyz_A.tolist(), strict=True))
    )


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def folder_of_globules(folder, count=6, **settings):
    """A folder of `count` globules, g0 to g<count-1>."""
    for n in range(count):
        write(folder / f"g{n}.pdb.gz", pdb_text(globule(n, **settings)))
    return folder
