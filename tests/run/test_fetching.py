"""Downloads, from a server on this machine: whole, resumed, refused; what is half is never where data is looked for."""

from __future__ import annotations

import hashlib
import io
import json
import random
import socket
import tarfile
from pathlib import Path

import pytest

from interpreter.errors import DataMissing, UsageError
from interpreter.fingerprint import fingerprint
from interpreter.run import fetching
from interpreter.run.downloads import KNOWN, Download, File, that_reads
from interpreter.run.fetching import ABOUT, fetch
from tests.run.serving import Served, serving

BLOB = random.Random(0).randbytes(3_000_000)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSE_S", 0.0)


def archive(**members: bytes) -> bytes:
    """A tar.gz; in names `__` stands for a slash."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


def of(served: Served, name: str, checksum: str = "") -> Download:
    return Download("toy", "A toy", (File(served.url(name), checksum),), ("toys",))


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_archive_is_checked_unpacked_and_put_in_place(tmp_path: Path) -> None:
    content = archive(split__train__data=b"items", readme=b"words")
    said: list[str] = []
    with serving(toy_tar_gz=content) as served:
        got = fetch(of(served, "toy.tar.gz", md5(content)), tmp_path / "data" / "toy", "", said.append)
    sha256 = hashlib.sha256(content).hexdigest()
    assert got.folder == tmp_path / "data" / "toy"
    assert got.files == (("toy.tar.gz", sha256, True),)
    assert left(tmp_path) == [f"data/toy/{ABOUT}", "data/toy/readme", "data/toy/split/train/data"]
    assert (got.folder / "split" / "train" / "data").read_bytes() == b"items"
    about = json.loads((got.folder / ABOUT).read_text())
    assert about["files"]["toy.tar.gz"] == {"url": served.url("toy.tar.gz"), "sha256": sha256, "bytes": len(content)}
    before = fingerprint(got.folder)
    (got.folder / ABOUT).unlink()
    assert fingerprint(got.folder) == before  # when it was fetched is no part of what it is
    assert said == ["unpacking toy.tar.gz"]


def test_several_plain_files_and_a_checksum_that_nobody_knows(tmp_path: Path) -> None:
    with serving(a_npy=b"one", b_npy=b"two") as served:
        toy = Download("toy", "A toy", (File(served.url("a.npy")), File(served.url("b.npy"), md5(b"two"))), ())
        got = fetch(toy, tmp_path / "toy", "", lambda line: None)
    assert [(name, checked) for name, _, checked in got.files] == [("a.npy", False), ("b.npy", True)]
    assert got.files[0][1] == hashlib.sha256(b"one").hexdigest()
    assert left(tmp_path) == [f"toy/{ABOUT}", "toy/a.npy", "toy/b.npy"]


def test_a_connection_that_ends_early_is_taken_up_where_it_ended(tmp_path: Path) -> None:
    with serving(toy_bin=BLOB) as served:
        served.drop_after, served.drops = 1_000_000, 2
        fetch(of(served, "toy.bin", md5(BLOB)), tmp_path / "toy", "", lambda line: None)
    assert served.asked == ["", "bytes=1000000-", "bytes=2000000-"]
    assert served.sent == len(BLOB)
    assert (tmp_path / "toy" / "toy.bin").read_bytes() == BLOB


def test_a_download_that_was_given_up_goes_on_the_next_time(tmp_path: Path) -> None:
    with serving(toy_bin=BLOB) as served:
        served.drop_after, served.drops = 1_000_000, 1
        toy = of(served, "toy.bin", md5(BLOB))
        whole, served.files = served.files, {}
        with pytest.raises(DataMissing, match="HTTP 404"):
            fetch(toy, tmp_path / "toy", "", lambda line: None)
        served.files = whole

        def stop(line: str) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):  # asked for when the connection breaks off
            fetch(toy, tmp_path / "toy", "", stop)
        assert not (tmp_path / "toy").exists()
        assert (tmp_path / ".toy.part" / "toy.bin.partial").stat().st_size == 1_000_000
        served.asked.clear()
        said: list[str] = []
        fetch(toy, tmp_path / "toy", "", said.append)
    assert served.asked == ["bytes=1000000-"]
    assert said == ["toy.bin: going on after 1.0 MB of 3 MB"]
    assert (tmp_path / "toy" / "toy.bin").read_bytes() == BLOB
    assert left(tmp_path) == [f"toy/{ABOUT}", "toy/toy.bin"]


def begun(tmp_path: Path, beginning: bytes, validator: str = '"one"') -> None:
    """As an earlier download would have left it."""
    work = tmp_path / ".toy.part"
    work.mkdir()
    (work / "toy.bin.partial").write_bytes(beginning)
    if validator:
        (work / "toy.bin.partial.validator").write_text(validator)


@pytest.mark.parametrize(
    ("beginning", "validator", "ranges", "sent"),
    [
        (BLOB[:500], '"one"', True, len(BLOB) - 500),
        (BLOB[:500], '"older"', True, len(BLOB)),  # another file by now: from its beginning
        (BLOB[:500], "", True, len(BLOB) - 500),
        (BLOB[:500], '"one"', False, len(BLOB)),  # a server without ranges
        (BLOB, '"one"', True, 0),  # all but its name
        (BLOB + b"more", '"one"', True, len(BLOB)),  # no beginning of this file
    ],
)
def test_what_is_there_is_used_if_it_is_the_same_file(
    tmp_path: Path, beginning: bytes, validator: str, ranges: bool, sent: int
) -> None:
    begun(tmp_path, beginning, validator)
    with serving(toy_bin=BLOB) as served:
        served.ranges = ranges
        fetch(of(served, "toy.bin", md5(BLOB)), tmp_path / "toy", "", lambda line: None)
    assert served.sent == sent
    assert (tmp_path / "toy" / "toy.bin").read_bytes() == BLOB


def test_a_wrong_checksum_leaves_nothing_behind(tmp_path: Path) -> None:
    begun(tmp_path, b"not the same beginning", "")
    with serving(toy_bin=BLOB) as served:
        toy = of(served, "toy.bin", md5(BLOB))
        with pytest.raises(DataMissing, match=f"its checksum is not {md5(BLOB)}") as caught:
            fetch(toy, tmp_path / "toy", "", lambda line: None)
        assert "--checksum" in caught.value.hint
        assert left(tmp_path) == []
        assert not (tmp_path / "toy").exists()
        fetch(toy, tmp_path / "toy", "", lambda line: None)
    assert (tmp_path / "toy" / "toy.bin").read_bytes() == BLOB


def test_a_checksum_that_is_given_is_what_counts(tmp_path: Path) -> None:
    with serving(toy_bin=BLOB) as served:
        wrong = of(served, "toy.bin", md5(b"something else"))
        got = fetch(wrong, tmp_path / "toy", f"SHA256:{hashlib.sha256(BLOB).hexdigest().upper()}", lambda line: None)
        assert got.files[0][2]
        for bad in ("abc", "md5:abc", "crc:" + "0" * 32):
            with pytest.raises(UsageError, match="is no checksum"):
                fetch(wrong, tmp_path / "other", bad, lambda line: None)
        two = Download("toy", "A toy", wrong.files * 2, ())
        with pytest.raises(UsageError, match="has 2 files"):
            fetch(two, tmp_path / "other", md5(BLOB), lambda line: None)


def test_what_is_here_already_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "mine").write_bytes(b"work of years")
    with serving(toy_bin=BLOB) as served, pytest.raises(UsageError, match="is here already"):
        fetch(of(served, "toy.bin"), tmp_path / "toy", "", lambda line: None)
    assert served.asked == []
    assert left(tmp_path) == ["toy/mine"]


def test_no_network(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/toy.bin"  # nobody listens
        with pytest.raises(DataMissing, match=f"{address} could not be downloaded: .*refused") as caught:
            fetch(Download("toy", "A toy", (File(address),), ()), tmp_path / "toy", "", lambda line: None)
    assert "is there a network here?" in caught.value.hint
    assert left(tmp_path) == []


def test_a_server_that_is_ill_is_asked_again_and_one_that_refuses_is_not(tmp_path: Path) -> None:
    with serving(toy_bin=BLOB) as served:
        for status, times in ((503, fetching.TRIES), (403, 1)):
            served.status = status
            served.asked.clear()
            with pytest.raises(DataMissing, match=f"HTTP {status}"):
                fetch(of(served, "toy.bin"), tmp_path / "toy", "", lambda line: None)
            assert len(served.asked) == times


def link(name: str, target: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.SYMTYPE, target
        tar.addfile(info)
        inside = tarfile.TarInfo(f"{name}/evil")
        inside.size = 1
        tar.addfile(inside, io.BytesIO(b"x"))
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [archive(good=b"1", **{"..__..__evil": b"x"}), link("away", "../.."), link("etc", "/tmp")],
    ids=["a path that climbs", "a link that climbs", "a link from the root"],
)
def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path: Path, content: bytes) -> None:
    with serving(toy_tar_gz=content) as served, pytest.raises(DataMissing, match=r"toy\.tar\.gz was not unpacked"):
        fetch(of(served, "toy.tar.gz", md5(content)), tmp_path / "data" / "toy", "", lambda line: None)
    assert left(tmp_path) == ["data/.toy.part/toy.tar.gz"]


@pytest.mark.parametrize(
    "content",
    [archive(a=BLOB)[:-1000], b"<html>not found</html>", archive(a=b"1")[:30]],
    ids=["its end is missing", "a page instead", "its beginning alone"],
)
def test_a_damaged_archive_is_said_and_fetched_anew(tmp_path: Path, content: bytes) -> None:
    with serving(toy_tar_gz=content) as served:
        with pytest.raises(DataMissing, match=r"toy\.tar\.gz is a damaged archive"):
            fetch(of(served, "toy.tar.gz"), tmp_path / "toy", "", lambda line: None)
        assert left(tmp_path) == []
        served.files["toy.tar.gz"] = archive(a=b"1")
        fetch(of(served, "toy.tar.gz"), tmp_path / "toy", "", lambda line: None)
    assert (tmp_path / "toy" / "a").read_bytes() == b"1"


def test_the_table_of_known_downloads() -> None:
    from interpreter import catalog

    for name, found in KNOWN.items():
        assert found.name == name
        for file in found.files:
            assert file.url.startswith("https://")
            assert not file.checksum or fetching._CHECKSUM.fullmatch(file.checksum)
        for dataset in found.datasets:
            assert catalog.config_class("dataset", dataset)
    assert [found.name for found in that_reads("atom3d_lba")] == ["lba-30", "lba-60"]
    assert that_reads("digits") == []
