"""`expt data`: what is where, whether it is as locked, who uses it, and how to get it."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from interpreter.cli import data
from interpreter.cli.main import main
from interpreter.fingerprint import fingerprint
from interpreter.project import Project
from interpreter.run import sources
from interpreter.run.downloads import Download, File
from tests.run.serving import serving
from tests.run.test_fetching import archive

Write = Callable[[str, str], Path]
IMAGES = """\
expt: 1
date: 2026-01-01
datasets: {pictures: {type: image_folder, source: photos, size: 8}}
models: {net: {type: mlp, hidden: [16]}}
schedules: {short: {epochs: 2, batch_size: 32, optimizer: {type: adam, lr: 1e-3}}}
entries:
  first:
    title: A first entry
    stages: {tune: {fit: classification, data: pictures, model: net, schedule: short}}
    arms: {naive: [tune]}
    seeds: 1
    profiles:
      quick: {schedules.short.epochs: 1}
      others: {datasets.pictures.source: others}
"""


@pytest.fixture
def say(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs `expt data ...` in the project; returns what it printed."""
    monkeypatch.chdir(project.root)

    def run(*arguments: str, code: int = 0) -> str:
        assert main(["data", *arguments]) == code
        got = capsys.readouterr()
        return got.err if code else got.out

    return run


def settle(project: Project, **folders: str) -> None:
    (project.root / "expt.toml").write_text("[data]\n" + "".join(f'{name} = "{folder}"\n' for name, folder in folders.items()))


def words(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def test_a_source_from_absent_to_locked_to_changed(project: Project, say: Callable[..., str]) -> None:
    assert say() == "no data source is named on a page, in expt.toml, data.lock or the environment\n"
    settle(project, photos="pictures")
    assert words(say().splitlines()[0]) == ["photos", "not here"]
    folder = project.root / "pictures"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"x" * 1_500_000)
    assert words(say()) == ["photos", "not locked", "folder", "1 file, 1.5 MB", str(folder)]
    mark = fingerprint(folder)[0][:12]
    assert words(say("--hash")) == ["photos", "not locked", "folder", "1 file, 1.5 MB", mark, str(folder)]
    assert words(say("lock")) == ["photos", "as locked", "folder", "1 file, 1.5 MB", mark, str(folder)]
    assert words(say())[1] == "as locked"
    (folder / "a.bin").write_bytes(b"y" * 1_500_000)  # as large: only a hash can tell
    assert words(say())[1::3] == ["not hashed", mark]
    assert words(say("--hash"))[1] == "changed"
    (folder / "a.bin").write_bytes(b"y")  # not as large: nothing has to be hashed
    assert words(say())[1] == "changed"
    (folder / "a.bin").unlink()
    folder.rmdir()
    assert words(say().splitlines()[0]) == ["photos", "not here, locked", "1 file, 1.5 MB", mark]


def test_listing_reads_no_data(project: Project, say: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    settle(project, photos="pictures")
    (project.root / "pictures").mkdir()
    (project.root / "pictures" / "a.bin").write_bytes(b"1")
    hashed: list[Path] = []
    monkeypatch.setattr(sources, "fingerprint", lambda path: hashed.append(path) or fingerprint(path))
    say()
    assert hashed == []
    say("--hash")
    say("--hash")
    assert len(hashed) == 1  # remembered while nothing changes
    assert words(say())[4] == fingerprint(project.root / "pictures")[0][:12]


def test_folders_of_lmdb_and_single_files_are_told(project: Project, say: Callable[..., str]) -> None:
    settle(project, binding="lba", gym="gym.sqlite", notes="notes.txt")
    for split in ("train", "val", "test"):
        (project.root / "lba" / split).mkdir(parents=True)
        (project.root / "lba" / split / "data.mdb").write_bytes(b"0" * 4096)
        (project.root / "lba" / split / "lock.mdb").write_bytes(b"0" * 100)
    with contextlib.closing(sqlite3.connect(project.root / "gym.sqlite")) as made:
        made.execute("CREATE TABLE zones (id INTEGER)")
        made.commit()
    (project.root / "notes.txt").write_text("words")
    told = {words(line)[0]: words(line)[2:4] for line in say("--hash").splitlines()}
    assert told == {
        "binding": ["LMDB, 3 folders", "3 files, 0.0 MB"],
        "gym": ["SQLite database", "1 file, 0.0 MB"],
        "notes": ["file", "1 file, 0.0 MB"],
    }
    assert [words(line)[1] for line in say("lock").splitlines()] == ["as locked"] * 3
    (project.root / "lba" / "train" / "lock.mdb").write_bytes(b"1" * 200)
    assert {words(line)[1] for line in say("--hash").splitlines()} == {"as locked"}


def test_pages_that_use_a_source_are_named(project: Project, say: Callable[..., str], write: Write) -> None:
    write("2026-01-01", IMAGES)
    write("2026-01-02", IMAGES.replace("2026-01-01", "2026-01-02").replace("photos", "drawings"))
    write("2026-01-03", "expt: 1\n")
    lines = say().splitlines()
    used = {line.split()[0]: lines[i + 1] for i, line in enumerate(lines) if "not here" in line}
    assert used == {
        "drawings": "  used by 2026-01-02",
        "others": "  used by 2026-01-01 (others), 2026-01-02 (others)",
        "photos": "  used by 2026-01-01",
    }
    assert '  name it in expt.toml: [data] photos = "folder", or in EXPT_DATA_PHOTOS' in lines
    assert lines[-1] == "pages that can't be read, and may use more: 2026-01-03 (`expt check` says why)"


def toy(served_url: str, checksum: str) -> dict[str, Download]:
    return {"toy": Download("toy", "A toy", (File(served_url, checksum),), ("image_folder",), "mind its terms")}


def test_fetching_says_what_to_write_and_then_it_is_found(
    project: Project, say: Callable[..., str], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("2026-01-01", IMAGES.replace("      others: {datasets.pictures.source: others}\n", ""))
    content = archive(train__cat__a=b"1", train__dog__b=b"2")
    with serving(toy_tar_gz=content) as served:
        known = toy(served.url("toy.tar.gz"), "")
        monkeypatch.setattr(data, "KNOWN", known)
        monkeypatch.setattr(data, "that_reads", lambda dataset: list(known.values()) if dataset == "image_folder" else [])
        assert "  expt data fetch toy   A toy" in say().splitlines()
        assert served.asked == []  # never by itself
        assert say("fetch").splitlines() == ["toy          A toy; mind its terms", f"             {served.url('toy.tar.gz')}"]
        assert served.asked == []
        told = say("fetch", "toy").splitlines()
    sha256 = hashlib.sha256(content).hexdigest()
    assert told[0] == f"toy.tar.gz  sha256:{sha256}  (no checksum is known: this is what came)"
    assert told[2:4] == [f"A toy: in {project.root / 'data' / 'toy'}", "mind its terms"]
    assert told[5:9] == ["say so in expt.toml:", "", "[data]", 'photos = "data/toy"']
    (project.root / "expt.toml").write_text("\n".join(told[7:9]) + "\n")
    assert words(say("list", "photos").splitlines()[0])[:4] == ["photos", "not locked", "folder", "2 files, 0.0 MB"]
    assert "is here already" in say("fetch", "toy", code=2)


def test_what_cannot_be_fetched_is_told(
    project: Project, say: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "did you mean `cifar10` or `cifar10-1`?" in say("fetch", "cifar1", code=2)
    assert "one dataset at a time" in say("fetch", "cifar10", "lba-30", code=2)
    assert "are for `expt data fetch`" in say("list", "--to", "here", code=2)
    with serving(toy_tar_gz=archive(a=b"1")) as served:
        monkeypatch.setattr(data, "KNOWN", toy(served.url("toy.tar.gz"), f"md5:{'0' * 32}"))
        error = say("fetch", "toy", "--to", str(tmp_path / "elsewhere"), code=3)
        assert "toy.tar.gz is not what it should be" in error
        assert not (tmp_path / "elsewhere").exists()
        right = f"md5:{hashlib.md5(served.files['toy.tar.gz']).hexdigest()}"
        said = say("fetch", "toy", "--to", str(tmp_path / "elsewhere"), "--checksum", right)
    assert "(checked)" in said
    assert (tmp_path / "elsewhere" / "a").read_bytes() == b"1"
