"""The fingerprint of a data source: a hash over its files. Light: only the standard library."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

LENGTH = 40  # hex digits kept of sha256
# What systems drop into folders; lock.mdb is LMDB's list of readers, which most of them write anew when they open a database.
LITTER = frozenset({"Thumbs.db", "desktop.ini", "__MACOSX", "lock.mdb"})


def walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files below `folder` with their path relative to it (written with `/`), in the order of these paths.

    Links are followed, each folder once on a way down. Hidden files and litter are left out.
    """
    yield from sorted(_walk(folder, "", (os.path.realpath(folder),)))


def _walk(folder: Path, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in LITTER:
                continue
            path = Path(entry.path)
            if entry.is_dir():
                real = os.path.realpath(path)
                if real not in above:
                    yield from _walk(path, f"{prefix}{entry.name}/", (*above, real))
            elif entry.is_file():
                yield prefix + entry.name, path


def file_hash(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(folder: Path, *, pattern: str | None = None) -> tuple[str, int, int]:
    """(fingerprint, bytes, files) of all files below `folder`, or of those whose relative path matches `pattern`.

    The fingerprint is the first 40 hex digits of the sha256 over one line a file, "path<TAB>size<TAB>sha256<LF>", in the order of
    the paths. Dates and rights do not enter. A single file is taken as a folder with that file alone.

    Raises: OSError for a file that can't be read.
    """
    total, count, digest = 0, 0, hashlib.sha256()
    for name, path in [(folder.name, folder)] if folder.is_file() else walk(folder):
        if pattern is not None and not fnmatchcase(name, pattern):
            continue
        size = path.stat().st_size
        digest.update(f"{name}\t{size}\t{file_hash(path)}\n".encode("utf-8", "surrogateescape"))
        total, count = total + size, count + 1
    return digest.hexdigest()[:LENGTH], total, count
