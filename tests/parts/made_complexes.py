"""Small sources of complexes for tests: items of a few atoms, written in ATOM3D's format, and broken afterwards."""

import lmdb
import numpy as np

from interpreter.parts.build import build_data
from interpreter.parts.datasets.lmdb_items import ATOM_COLUMNS, atom_table, serialized, write_items

IMAGE = {"voxels": 12, "resolution_A": 1.0, "channels": ["C", "N", "O", "*"]}
SPLITS = ("train", "val", "test")


def table(atoms):
    """A table of atoms (x, y, z, element), or with resname and occupancy as well."""
    full = [(*atom, "ALA", 1.0)[: max(6, len(atom))] if len(atom) < 6 else atom for atom in atoms]
    rows = dict.fromkeys(ATOM_COLUMNS, [" "] * len(atoms))
    for place, name in enumerate(("x", "y", "z", "element", "resname", "occupancy")):
        rows[name] = [atom[place] for atom in full]
    return atom_table(rows)


PROTEIN = [(3.0, 0.0, 0.0, "N"), (0.0, 3.0, 0.0, "C"), (3.5, 1.0, 0.0, "H"), (0.0, 0.0, 4.0, "O", "HOH", 1.0)]
LIGAND = [(0.0, 0.0, 0.0, "C"), (1.5, 0.0, 0.0, "O"), (1.9, 0.9, 0.0, "H")]


def item(name="a", protein=None, ligand=None, label=6.0, **more):
    parts = {"pocket": PROTEIN if protein is None else protein, "ligand": LIGAND if ligand is None else ligand}
    tables = {f"atoms_{part}": table(atoms) for part, atoms in parts.items()}
    return {**tables, "id": name, "seq": [], "smiles": "CO", "scores": {"neglog_aff": label}, **more}


def write(folder, **items_of):
    """A source with some items in each split; those of the splits that are not given are sound."""
    for split in SPLITS:
        items = items_of.get(split, [item(f"{split}{i}", label=5.0 + i) for i in range(3)])
        write_items(folder / split, [(each.get("id", "no id"), serialized(each)) for each in items])
    return folder


def overwrite(folder, key, value):
    with lmdb.open(str(folder), map_size=1 << 24) as env, env.begin(write=True) as transaction:
        assert transaction.delete(key) if value is None else transaction.put(key, value)


def build(source, cache=None, **settings):
    settings = {"type": "atom3d_lba", "source": "lba", "split": "identity30", "atoms": "pocket", "image": IMAGE, **settings}
    return build_data(settings, source, cache or source.parent / "cache")


def images(data, split="train", draw=None):
    part = data.splits[split]
    return part.batch(np.arange(len(part)), draw)[0]


def told(data):
    out = {}
    for code, text in data.findings:
        out.setdefault(code, []).append(text)
    return out


def rmse(outputs, targets):
    return float(np.sqrt(np.square(np.asarray(outputs, np.float64) - np.asarray(targets, np.float64)).mean()))
