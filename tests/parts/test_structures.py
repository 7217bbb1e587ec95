"""Atoms of PDB and mmCIF files: what is kept of them, what is left out and told, and the index beside them."""

import csv
import gzip
import os
import pickle
import time

import gemmi
import numpy as np
import pytest

from interpreter.errors import DataMissing
from interpreter.parts.datasets import embedded_structures
from interpreter.parts.datasets.structures import StructureAtoms, Unreadable, atoms_of, listed, read
from interpreter.spec.components.volumes import NeighborLocation, VoxelImage
from tests.parts.molecules import IMAGE, PROTEINS, globule, line, needs_proteins, pdb_text, write


def atoms(tmp_path, text, name="x.pdb"):
    write(tmp_path / name, text)
    return atoms_of(tmp_path / name)


def structures(folder, cache):
    return read(listed(folder, "mine"), folder, cache)


def test_water_and_hydrogens_are_dropped_and_polymer_is_told(tmp_path):
    text = (
        line(" CA ", 1, 2, 3) + line(" HA ", 1, 2, 4) + line(" D  ", 0, 0, 1, element="D")
        + line("SE  ", 4, 5, 6, element="SE", res="MSE", n=2, hetatm=True) + line(" P  ", 7, 8, 9, res="DA", n=3)
        + line("FE  ", 1, 1, 1, element="FE", res="HEM", n=4, hetatm=True, occ=0.5)
        + line(" O  ", 2, 2, 2, res="HOH", n=5, hetatm=True) + line(" O  ", 2, 2, 3, res="DOD", n=6, hetatm=True)
    )  # fmt: skip
    found = atoms(tmp_path, text)
    assert found["element"].tolist() == ["C", "SE", "P", "FE"]
    assert found["polymer"].tolist() == [True, True, True, False]
    assert found["occupancy"].tolist() == [1, 1, 1, 0.5]
    assert found["xyz_A"].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 1, 1]]


def test_the_place_with_the_highest_occupancy_is_kept_of_each_atom(tmp_path):
    text = (
        line(" N  ", 0) + line(" CB ", 1, alt="A", occ=0.3) + line(" CB ", 2, alt="B", occ=0.7)
        + line(" CG ", 3, alt="A", occ=0.5) + line(" CG ", 4, alt="B", occ=0.5)
    )  # fmt: skip
    found = atoms(tmp_path, text)
    assert found["xyz_A"][:, 0].tolist() == [0, 2, 3]
    assert found["occupancy"].tolist() == pytest.approx([1, 0.7, 0.5])
    # Two residues at one place: one of them, whole.
    serine = line(" CB ", 1, res="SER", alt="A", occ=0.4) + line(" OG ", 2, res="SER", alt="A", occ=0.4)
    threonine = line(" CB ", 3, res="THR", alt="B", occ=0.6) + line(" CG2", 4, res="THR", alt="B", occ=0.6)
    assert atoms(tmp_path, line(" N  ", 9, n=2) + serine + threonine)["xyz_A"][:, 0].tolist() == [9, 3, 4]


def test_elements_come_of_their_columns_or_the_name_and_strange_ones_are_unknown(tmp_path):
    text = (
        line(" CA ", element="") + line("CA  ", element="", res=" CA", n=2, hetatm=True)
        + line(" CB ", element="12", n=3) + line(" CG ", element="QQ", n=4) + line(" OXT", element=" O", n=5)
    )  # fmt: skip
    assert atoms(tmp_path, text)["element"].tolist() == ["C", "CA", "C", "X", "O"]


def test_only_the_first_model_is_read(tmp_path):
    one = "MODEL        1\n" + line(" CA ", 1) + "ENDMDL\nMODEL        2\n" + line(" CA ", 2) + line(" CB ", 3) + "ENDMDL\n"
    assert atoms(tmp_path, one)["xyz_A"][:, 0].tolist() == [1]


def test_pdb_and_mmcif_plain_and_packed_give_the_same_atoms(tmp_path):
    text = pdb_text(globule(3, radius_A=10.0))
    plain = atoms(tmp_path, text)
    assert len(plain) > 150
    structure = gemmi.read_pdb_string(text)
    structure.setup_entities()
    cif = structure.make_mmcif_document().as_string()
    for name, content in (("a.PDB.GZ", None), ("b.ent", text), ("c.cif", cif), ("d.mmcif.gz", cif)):
        if content is None:
            (tmp_path / name).write_bytes(gzip.compress(text.encode()))
            found = atoms_of(tmp_path / name)
        else:
            found = atoms(tmp_path, content, name)
        assert np.array_equal(found, plain), name


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pdb", b"", "no atoms"),
        ("a.pdb", b"REMARK nothing\n", "no atoms"),
        ("a.pdb", line(" O  ", res="HOH").encode(), "no atoms but water"),
        ("a.pdb", line(" CA ", "nan", 1.0, 2.0).encode(), "not numbers"),
        ("a.pdb", b"ATOM      1  N   ALA A   1      11.1\n", "too short"),
        ("a.pdb.gz", b"\x1f\x8b\x08\x00torn", "can't be unpacked"),
        ("a.pdb.gz", gzip.compress(line(" CA ").encode() * 500, mtime=0)[:60], "can't be unpacked"),
        ("a.pdb.gz", line(" CA ").encode(), "can't be unpacked"),
        ("a.cif", b"data_x\nloop_\n_a", "can't be read"),
        ("a.cif", b"data_x\n_cell.length_a 1\n", "no atoms"),
        ("a.cif", b"", "can't be read"),
    ],
)
def test_files_that_are_no_structure_say_why(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Unreadable, match=words):
        atoms_of(tmp_path / name)


def test_what_is_left_out_is_counted_and_named(tmp_path):
    folder = tmp_path / "in"
    good = pdb_text(globule(0, radius_A=8.0))
    write(folder / "good.pdb", good + line(" X1 ", element="QQ", n=9999))
    write(folder / "deep" / "er" / "also.cif", gemmi.read_pdb_string(good).make_mmcif_document().as_string())
    write(folder / "empty.pdb", "")
    write(folder / "nan.pdb.gz", line(" CA ", "nan"))
    write(folder / "notes.txt", "no structure")
    found = structures(folder, tmp_path / "cache")
    assert found.names == ("also", "good")
    assert set(found.left_out) == {"empty", "nan"}
    said = dict(found.findings)
    assert said["unreadable-structure"].startswith("2 structures left out: empty (no atoms), nan (coordinates")
    assert said["unknown-element"] == "1 structure with 1 atoms of no known element, which only the channel `*` holds: good"
    assert len(found.atoms(1)) == len(found.atoms(0)) + 1
    assert found.elements()["X"] == 1


def test_folders_without_a_structure_are_missing_data(tmp_path):
    with pytest.raises(DataMissing, match="has no structures"):
        listed(tmp_path, "mine")
    write(tmp_path / "a.pdb", "")
    with pytest.raises(DataMissing, match="none of 1 structures can be used: a no atoms"):
        structures(tmp_path, tmp_path / "cache")


def test_structures_of_one_name_are_told_apart_by_their_folders(tmp_path):
    text = pdb_text(globule(0, radius_A=8.0))
    for name in ("a/one.pdb", "b/one.pdb", "b/two.cif.pdb"):
        write(tmp_path / name, text)
    assert listed(tmp_path, "mine").names == ("a/one", "b/one", "two.cif")


def test_an_index_gives_splits_and_clusters(tmp_path):
    text = pdb_text(globule(0, radius_A=8.0))
    for name in "abcd":
        write(tmp_path / f"{name}.pdb", text)
    rows = "\ufeffid,seq_cluster,split\na,k,train\nb,k,val\nc,,\nz,q,test\n"
    write(tmp_path / "index.csv", rows)
    found = listed(tmp_path, "mine")
    assert (found.names, found.splits, found.clusters) == (("a", "b"), ("train", "val"), ("k", "k"))
    assert dict(found.findings) == {
        "structure-not-in-index": "2 structures left out, having no split in index.csv: c, d",
        "structure-without-file": "1 structure in index.csv and not in the folder: z",
    }
    write(tmp_path / "index.csv", "id,seq_cluster\na,k\n")  # without splits, those it does not name stay
    found = listed(tmp_path, "mine")
    assert (found.names, found.splits, found.clusters) == (("a", "b", "c", "d"), ("",) * 4, ("k", "", "", ""))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("name,split\na,train\n", "no column `id`"),
        ("", "no column `id`"),
        ("id,split\na,training\n", "row 2: `training` is none of train, val, test"),
        ("id,split\na,train\na,val\n", "has a twice"),
    ],
)
def test_a_wrong_index_is_missing_data(tmp_path, rows, words):
    write(tmp_path / "a.pdb", line(" CA "))
    write(tmp_path / "index.csv", rows)
    with pytest.raises(DataMissing, match=words):
        listed(tmp_path, "mine")


def test_the_cache_knows_changed_files_and_forgives_torn_ones(tmp_path):
    folder, cache = tmp_path / "in", tmp_path / "cache"
    write(folder / "a.pdb", line(" CA ", 1))
    write(folder / "b.pdb", line(" CA ", 2))
    first = structures(folder, cache)
    assert first.table["xyz_A"][:, 0].tolist() == [1, 2]
    (kept,) = (cache / "structures").glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    assert np.array_equal(structures(folder, cache).table, first.table)
    write(folder / "b.pdb", line(" CA ", 3))
    os.utime(folder / "b.pdb", (1, 1))
    second = structures(folder, cache)
    assert second.table["xyz_A"][:, 0].tolist() == [1, 3]
    assert second.key != first.key


def test_joined_atoms_are_those_of_each_structure_in_every_process(tmp_path):
    folder = tmp_path / "in"
    for n in range(3):
        write(folder / f"g{n}.pdb", pdb_text(globule(n, radius_A=8.0 + n)))
    found = structures(folder, tmp_path / "cache")
    source = StructureAtoms(found, VoxelImage.model_validate(IMAGE))
    joined, rows = source.of(np.array([2, 0]))
    assert rows.tolist() == [2, 0]
    assert np.array_equal(joined.first, found.first)
    assert np.array_equal(joined.xyz_A, found.table["xyz_A"])
    again, _ = pickle.loads(pickle.dumps(source)).of(np.array([1]))
    assert np.array_equal(again.channel, joined.channel)


@needs_proteins
def test_220_real_structures_have_the_atoms_that_their_index_counts(tmp_path):
    found = structures(PROTEINS, tmp_path)
    with (PROTEINS / "index.csv").open() as file:
        index = {row["id"]: row for row in csv.DictReader(file)}
    assert len(found.names) == 220
    assert not found.left_out
    for s, name in enumerate(found.names):
        assert int(found.atoms(s)["polymer"].sum()) == int(index[name]["n_heavy"]), name
        assert (found.splits[s], found.clusters[s]) == (index[name]["split"], index[name]["seq_cluster"])
    assert int(found.table["polymer"].sum()) == 337_178
    assert set(found.elements()) >= {"C", "N", "O", "S", "SE", "P", "FE"}
    began = time.process_time()
    assert structures(PROTEINS, tmp_path).names == found.names
    assert time.process_time() - began < 1.0


def test_the_embedded_structures_are_the_known_ones(tmp_path):
    files, folder = embedded_structures.embedded()
    found = read(files, folder, tmp_path)
    assert embedded_structures.fingerprint_of(found) == NeighborLocation.embedded_fingerprint
    assert dict(zip(found.names, found.splits, strict=True)) == {"1ia1": "test", "1of6": "train", "1s3v": "test", "1uou": "val"}
    assert np.diff(found.first).tolist() == [3243, 20912, 1502, 3209]
    assert not NeighborLocation.generated
    with pytest.raises(DataMissing, match="are not the known ones: fingerprint"):
        embedded_structures.check(found, "0" * 40)
