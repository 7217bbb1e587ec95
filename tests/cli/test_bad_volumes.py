"""Damaged complexes and structures, by the command line: a clear error that names the file, or findings that count."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.test_end_to_end import expt, rows
from tests.parts.made_complexes import LIGAND, PROTEIN, item, overwrite
from tests.parts.made_complexes import write as write_complexes
from tests.parts.molecules import folder_of_globules, globule, line, pdb_text
from tests.parts.molecules import write as write_text

HEAD = """\
expt: 1
date: {date}
datasets:
  lba:
    type: atom3d_lba
    source: lba
    split: identity30
    atoms: pocket
    image: {{voxels: 9, resolution_A: 1.6, channels: [C, N, O]}}
  gym:
    type: neighbor_location
    source: gym
    image: {{voxels: 9, resolution_A: 1.6, channels: [C, N, O, "*"]}}
    zones: {{neighbor_distance_A: 17, min_density_per_nm3: 30}}
    structures: {{by: structure, val: 0.2, test: 0}}
    examples_per_epoch: 16
    val_examples: 8
"""
PARTS = """\
models: {cnn: {type: cnn3d, channels: [2, 4], pool: [1, 2]}}
schedules: {s: {epochs: 1, batch_size: 8, optimizer: {type: adam, lr: 1e-3}}}
"""
WHOLE = """\
entries:
  e:
    stages:
      gym: {fit: neighbor_location, data: gym, model: cnn, schedule: s}
      lba: {fit: regression, data: lba, model: cnn, schedule: s}
      final: {evaluate: lba}
    arms: {pocket: [lba, final], sides: [gym]}
    seeds: 1
"""


def home(folder: Path, page: str, sources: list[str], date: str) -> Path:
    (folder / "specs").mkdir(parents=True)
    (folder / "specs" / f"{date}.yaml").write_text(page)
    (folder / "expt.toml").write_text("[data]\n" + "".join(f'{name} = "data/{name}"\n' for name in sources))
    return folder


# --- what is left out is counted, and the rest is used


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose sources hold good examples and bad ones; its page was run, and drawn."""
    page = HEAD.format(date="2026-01-01") + PARTS + WHOLE
    folder = home(tmp_path_factory.mktemp("dirty"), page, ["lba", "gym"], "2026-01-01")
    far = [(x + 40.0, y, z, *rest) for x, y, z, *rest in PROTEIN]
    good = [item(f"good{i}", label=5.0 + i) for i in range(9)]
    train = [
        *good,
        item("torn"),
        item("no-json"),
        item("nan", ligand=[*LIGAND, (float("nan"), 0.0, 0.0, "C")]),
        item("strange", protein=[*PROTEIN, (2.0, 2.0, 2.0, "Xx"), (2.0, 2.0, -2.0, "SE")]),
        item("far", protein=far),
        item("bare", ligand=[]),
    ]
    write_complexes(folder / "data" / "lba", train=train)
    overwrite(folder / "data" / "lba" / "train", b"9", gzip.compress(b"{}" * 500)[:-20])
    overwrite(folder / "data" / "lba" / "train", b"10", gzip.compress(b"[1, 2"))
    gym = folder_of_globules(folder / "data" / "gym", count=5)
    write_text(gym / "empty.pdb", "REMARK nothing\n")
    write_text(gym / "nan.pdb.gz", pdb_text(globule(7)[:500]) + line(" CA ", "nan", 1.0, 2.0))
    (gym / "torn.cif.gz").write_bytes(gzip.compress(b"data_x\n" * 100)[:30])
    write_text(gym / "strange.pdb", pdb_text(globule(8)) + line(" X1 ", element="QQ", n=9999))
    expt(folder, "data", "lock")
    expt(folder, "run", "2026-01-01", "--quiet")
    return folder


@dataclass(frozen=True)
class Said:
    """What a stage says of its data: code -> text, the facts, and the examples of its epoch."""

    findings: Mapping[str, str]
    facts: Mapping[str, Any]
    examples: int


Told = Mapping[str, Said]


@pytest.fixture(scope="module")
def told(dirty: Path) -> Told:
    """Stage -> what `expt sql` has of it."""
    found: dict[str, dict[str, str]] = {}
    for row in rows(dirty, "SELECT stage, code, text FROM findings JOIN chains USING (stage_id)"):
        found.setdefault(str(row["stage"]), {})[str(row["code"])] = str(row["text"])
    sql = """SELECT stage, facts::VARCHAR AS facts, e.examples FROM chains
        JOIN datasets USING (stage_id) JOIN epochs e USING (stage_id)"""
    return {
        str(row["stage"]): Said(found[str(row["stage"])], json.loads(str(row["facts"])), int(str(row["examples"])))
        for row in rows(dirty, sql)
    }


def test_bad_complexes_are_counted_and_named_and_all_others_used(told: Told) -> None:
    said = told["lba"].findings
    assert said["corrupt-item"].startswith("train: 2 of 15 items can't be read and are left out: torn (key 9: no whole gzip file")
    assert "no-json (key 10: no JSON" in said["corrupt-item"]
    assert said["nan-coordinates"].startswith("train: 1 of 15 items have atoms whose place is no number and are left out: nan")
    assert "1 of 4 atoms of `atoms_ligand`" in said["nan-coordinates"]
    assert said["no-atoms"].startswith(
        "train: 1 of 15 items have no atoms of the protein or of the ligand and are left out: bare"
    )
    assert said["unknown-element"] == "train: atoms of elements that don't exist are in no channel: XX 1"
    assert re.fullmatch(r"train: [\d.]+% of the atoms are of elements that no channel holds: SE 1, XX 1", said["no-channel"])
    assert "1 of 15 complexes have no atom of the protein within 6 angstrom of the ligand" in said["far-ligand"]
    assert re.search(r": far \(\d\d\.\d\)$", said["far-ligand"])
    assert told["lba"].facts["n"] == {"train": 11, "val": 3, "test": 3}  # 15 less torn, no-json, nan and bare
    assert told["lba"].examples == 11
    assert {code: told["final"].findings[code] for code in ("corrupt-item", "far-ligand")} == {
        code: said[code] for code in ("corrupt-item", "far-ligand")
    }


def test_bad_structures_are_counted_and_named_and_all_others_used(told: Told) -> None:
    said, facts = told["gym"].findings, told["gym"].facts
    words = said["unreadable-structure"]
    assert words.startswith("3 structures left out: empty (no atoms), nan (coordinates that are not numbers), torn (can't be unp")
    assert said["unknown-element"] == "1 structure with 1 atoms of no known element, which only the channel `*` holds: strange"
    assert facts["left_out"] == {"unreadable": 3, "clashing": 0, "without_zones": 0}
    assert sum(facts["structures"].values()) == 6


def test_the_report_tells_every_finding(dirty: Path) -> None:
    folder = dirty / "reports" / "2026-01-01"
    words, html = (folder / "e.md").read_text(), (folder / "e.html").read_text()
    for text in ("2 of 15 items", "whose place is no number", "XX 1", "within 6 angstrom", "3 structures left out", "strange"):
        assert text in words, text
        assert text in html, text


# --- what can't be used at all


def truncated(folder: Path) -> None:
    write_complexes(folder)
    file = folder / "train" / "data.mdb"
    os.truncate(file, file.stat().st_size - 4096)


def emptied(folder: Path) -> None:
    write_complexes(folder)
    (folder / "train" / "data.mdb").write_bytes(b"")


def overwritten(folder: Path) -> None:
    write_complexes(folder)
    (folder / "test" / "data.mdb").write_bytes(b"no database at all" * 1000)


def without_items(folder: Path) -> None:
    write_complexes(folder, val=[])


def all_corrupt(folder: Path) -> None:
    write_complexes(folder)
    for index in range(3):
        overwrite(folder / "train", str(index).encode(), b"no gzip")


def all_nan(folder: Path) -> None:
    write_complexes(folder, train=[item("a", ligand=[(float("nan"), 0.0, 0.0, "C")])])


def without_split(folder: Path) -> None:
    write_complexes(folder)
    shutil.rmtree(folder / "test")


def without_atoms(folder: Path) -> None:
    write_text(folder / "bare.pdb", "REMARK nothing\n")
    write_text(folder / "dry.pdb", line(" O  ", res="HOH"))


def nowhere(folder: Path) -> None:
    write_text(folder / "lost.pdb", line(" CA ", "nan", 1.0, 2.0))


def too_thin(folder: Path) -> None:
    write_text(folder / "thin.pdb", pdb_text(np.round(globule(0) * 3, 3)))


def unindexed(folder: Path) -> None:
    folder_of_globules(folder, count=3)
    write_text(folder / "index.csv", "id,split\ng0,train\ng1,train\ng2,train\n")


BROKEN = {
    truncated: ("lba", r"truncated/train/data\.mdb is cut off: it has [\d,]+ bytes of [\d,]+", "copy or download it anew"),
    emptied: ("lba", r"emptied/train/data\.mdb is empty", "copy or download it anew"),
    overwritten: ("lba", r"overwritten/test/data\.mdb is no LMDB database, or a damaged one", "copy or download it anew"),
    without_items: ("lba", r"the val split at .*/without-items/val has no items", "each of train, val and test needs some"),
    all_corrupt: ("lba", r"no item of the train split at .*: 3 can't be read: train0 \(key 0: no whole gzip", "are damaged"),
    all_nan: ("lba", r"no item of the train split at .*/all-nan/train can be used: 1 have atoms whose place", "are damaged"),
    without_split: ("lba", r"the data source `without-split` has no test split", r"looked for in .*/without-split"),
    without_atoms: ("gym", r"none of 2 structures can be used: bare no atoms", r"looked in .*/without-atoms: a structure has"),
    nowhere: ("gym", r"none of 1 structures can be used: lost coordinates that are not numbers", r"looked in .*/nowhere: "),
    too_thin: ("gym", r"none of the 1 structures of `too-thin` has a zone that is dense and", "lower `zones.min_density"),
    unindexed: ("gym", r"the val split of `unindexed` has no zone where a pair may begin", "add structures, or lower"),
}


@dataclass(frozen=True)
class Ended:
    """A run of stages that all fail: what it printed, before and after `expt data lock`; errors by `expt sql`; the report."""

    unlocked: str
    stderr: str
    errors: Mapping[str, str]
    report: str


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A page with an arm for each unusable source, run."""
    names = {make: make.__name__.replace("_", "-") for make in BROKEN}
    task = {"lba": "regression", "gym": "neighbor_location"}
    text = [HEAD.format(date="2026-01-02").rstrip()]
    text += [f"  on-{name}: {{extends: {BROKEN[make][0]}, source: {name}}}" for make, name in names.items()]
    text += [PARTS.rstrip(), "entries:", "  e:", "    stages:"]
    text += [
        f"      {name}: {{fit: {task[BROKEN[make][0]]}, data: on-{name}, model: cnn, schedule: s}}"
        for make, name in names.items()
    ]
    text += ["    arms:", *(f"      {name}: [{name}]" for name in names.values()), "    seeds: 1\n"]
    folder = home(tmp_path_factory.mktemp("broken"), "\n".join(text), list(names.values()), "2026-01-02")
    for make, name in names.items():
        make(folder / "data" / name)
    unlocked = expt(folder, "run", "2026-01-02", "--quiet", code=3)
    expt(folder, "data", "lock")
    ended = expt(folder, "run", "2026-01-02", "--quiet", code=3)
    errors = rows(folder, "SELECT stage, error FROM stages JOIN chains USING (stage_id) WHERE state = 'failed'")
    assert not list(folder.glob("runs/*/DONE"))
    report = (folder / "reports" / "2026-01-02" / "e.md").read_text()
    return Ended(unlocked.stderr, ended.stderr, {str(row["stage"]): str(row["error"]) for row in errors}, report)


@pytest.mark.parametrize("make", BROKEN, ids=lambda make: make.__name__)
def test_an_unusable_source_fails_its_stage_in_words(broken: Ended, make: Callable[[Path], None]) -> None:
    _, words, hint = BROKEN[make]
    name = make.__name__.replace("_", "-")
    (printed,) = [text for text in broken.stderr.splitlines() if text.startswith(f"failed: {name} (")]
    (drawn,) = [text for text in broken.report.splitlines() if f"stage {name} failed" in text]
    for said in (printed, broken.errors[name], drawn):
        assert re.search(words, said), said
        assert re.search(hint, said), said
        assert "Traceback" not in said
        assert "Error:" not in said  # no name of an exception


def test_what_can_not_begin_says_why_quietly_too(broken: Ended) -> None:
    blocked = [text for text in broken.unlocked.splitlines() if text.startswith("blocked: ")]
    assert len(blocked) == len(BROKEN)
    assert "blocked: data `truncated` is not in data.lock: run `expt data lock`" in blocked
