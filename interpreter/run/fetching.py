"""Downloading a known dataset: resumed where it stopped, checked, unpacked safely, and put in place whole or not at all.

Everything happens in a hidden folder beside the goal, which the goal replaces by one rename. A download that breaks off leaves
its beginning there, and the next one goes on from it, if the server knows ranges and the file is still the same.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpreter.errors import DataMissing, UsageError
from interpreter.fingerprint import file_hash
from interpreter.run.downloads import Download, File
from interpreter.run.record import now, write_atomically

ABOUT = ".download.json"  # in the folder: hidden, hence no part of its fingerprint
CHUNK = 1 << 20
TRIES = 4  # connections that may break off before we do
TIMEOUT_S = 30.0  # without a byte
PAUSE_S = 1.0  # before another try, longer each time
_CHECKSUM = re.compile(r"(md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A dataset that is here now: its folder, and of each file its sha256 and whether that was checked against a known one."""

    folder: Path
    files: tuple[tuple[str, str, bool], ...]


def fetch(download: Download, folder: Path, checksum: str, say: Say) -> Fetched:
    """Download all files of `download` and put them, archives unpacked, into the new folder `folder`.

    checksum: of its only file, instead of the one that is known; "" for that. say: told how it goes, a line at a time.
    Raises: UsageError for a checksum that is none, or a folder that is not empty; DataMissing where something can't be had, is
    not what it should be, or can't be unpacked: the folder is then as it was.
    """
    given = _given(download, checksum)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is here already", hint="move it away to download it again")
    work = folder.parent / f".{folder.name}.part"
    whole = work / "whole"
    told: list[tuple[str, str, bool]] = []
    about: dict[str, Any] = {"name": download.name, "fetched": now(), "files": {}}
    try:
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir(parents=True)
        for file in download.files:
            known = given or file.checksum
            path = _download(file, known, work, say)
            sha256 = file_hash(path)
            told.append((file.name, sha256, bool(known)))
            about["files"][file.name] = {"url": file.url, "sha256": sha256, "bytes": path.stat().st_size}
            if file.archive:
                say(f"unpacking {file.name}")
                _unpack(path, whole)
            else:
                shutil.copyfile(path, whole / file.name)
        write_atomically(whole / ABOUT, json.dumps(about, indent=1).encode())
        if folder.exists():
            folder.rmdir()
        whole.rename(folder)
        shutil.rmtree(work)
    except OSError as error:
        raise DataMissing(f"{download.name} could not be written: {error.strerror or error}", hint=f"at {work}") from None
    finally:
        shutil.rmtree(whole, ignore_errors=True)
    return Fetched(folder, tuple(told))


def _given(download: Download, checksum: str) -> str:
    """The checksum that the user gave, in small letters."""
    if not checksum:
        return ""
    if not _CHECKSUM.fullmatch(checksum.lower()):
        raise UsageError(
            f"`{checksum}` is no checksum", hint="write the kind in front: md5:..., sha1:..., sha256:... or sha512:..."
        )
    if len(download.files) > 1:
        raise UsageError(f"{download.name} has {len(download.files)} files, and a checksum is of one")
    return checksum.lower()


def _download(file: File, known: str, work: Path, say: Say) -> Path:
    """The whole file, in `work`; one that an earlier call has fetched is not fetched again. Raises: DataMissing, OSError."""
    import pooch  # only a download needs it

    pooch.get_logger().setLevel("ERROR")  # what it has to tell is told here

    def arrive(url: str, output: str, _: object) -> None:
        part = work / f"{file.name}.partial"
        _resume(url, part, say)
        os.replace(part, output)
        _validator(part).unlink(missing_ok=True)

    try:
        return Path(pooch.retrieve(file.url, known or None, file.name, work, downloader=arrive))
    except ValueError:
        raise DataMissing(
            f"{file.name} is not what it should be: its checksum is not {known}",
            hint="try again; if its publisher tells another checksum, give that: --checksum md5:... or sha256:...",
        ) from None


def _resume(url: str, part: Path, say: Say) -> None:
    """Append to `part` until it is the whole file. Raises: DataMissing, OSError."""
    problem, failures = "", 0
    while failures < TRIES:
        if failures:
            say(f"broke off ({problem}); trying again")
            time.sleep(PAUSE_S * failures)
        before = _size(part)
        try:
            if _take(url, part, say):
                return
            problem = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                hint = "its publisher may have moved it"
                raise DataMissing(f"{url} is not to be had: HTTP {error.code} {error.reason}", hint=hint) from None
            problem = f"HTTP {error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", None) or error
            problem = str(reason) or type(error).__name__
        failures = 1 if _size(part) > before else failures + 1  # only what gets nowhere is given up
    kept = f"{_size(part) / 1e6:.1f} MB are kept, and " if _size(part) else ""
    hint = f"is there a network here? {kept}the same command goes on from where it stopped"
    raise DataMissing(f"{url} could not be downloaded: {problem}", hint=hint)


def _take(url: str, part: Path, say: Say) -> bool:
    """Ask for what `part` lacks and append it; True when it is whole then, as far as the server tells."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity", "User-Agent": "expt"}
    validator = _validator(part)
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator.exists():
            headers["If-Range"] = validator.read_text("utf-8")  # another file by now is sent from its beginning
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 416:
                raise
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return True
            part.unlink()  # longer than the file is: no beginning of it
            return False
    with response:
        at = _begins(response.headers, have) if response.status == 206 else 0
        length = response.headers.get("Content-Length")
        total = None if length is None else at + int(length)
        if name := _same_as(response.headers):
            validator.write_text(name, "utf-8")
        else:
            validator.unlink(missing_ok=True)
        with open(part, "r+b" if at else "wb") as out:
            out.seek(at)
            out.truncate()
            for chunk in _chunks(response, at, total, url.rpartition("/")[2], say):
                out.write(chunk)
            done = out.tell()
    return total is None or done == total


def _begins(headers: Mapping[str, str], have: int) -> int:
    """Where a partial answer begins. Raises: HTTPException when that is not where it was asked to."""
    told = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    if told is None or int(told[1]) != have:
        raise http.client.HTTPException("the server sent another part than it was asked for")
    return have


def _same_as(headers: Mapping[str, str]) -> str:
    """What tells one content of an address from another: its strong ETag, or its date; "" where the server has neither."""
    tag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _validator(part: Path) -> Path:
    return part.with_name(f"{part.name}.validator")


def _chunks(response: http.client.HTTPResponse, at: int, total: int | None, name: str, say: Say) -> Iterator[bytes]:
    """The body, piece by piece, with a line of progress at most every ten seconds."""
    size = f" of {total / 1e6:.0f}" if total else ""
    if at:
        say(f"{name}: going on after {at / 1e6:.1f} MB{size and f'{size} MB'}")
    elif total and total > 10 * CHUNK:
        say(f"{name}: {total / 1e6:.0f} MB")
    told = time.monotonic()
    while chunk := response.read(CHUNK):
        at += len(chunk)
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(f"{name}: {at / 1e6:.0f}{size} MB")
        yield chunk


def _unpack(path: Path, into: Path) -> None:
    """Unpack a tar archive. Raises: DataMissing for one that is damaged or leads out of its folder."""
    try:
        with tarfile.open(path) as archive:
            archive.extractall(into, filter="data")
    except tarfile.FilterError as error:
        hint = "an archive that writes outside of its folder is broken, or meant to do harm"
        raise DataMissing(f"{path.name} was not unpacked: {error}", hint=hint) from None
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        path.unlink(missing_ok=True)  # fetched anew by the next try, where no checksum told
        raise DataMissing(f"{path.name} is a damaged archive: {error}", hint="try again") from None
