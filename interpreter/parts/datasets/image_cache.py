"""Images decoded once: an array of bytes on disk, named by the content of the files and the rule that made it square.

Two files a set of images, written beside and renamed, so that several stages may make the same one at a time:

    images/<key>.npy    (N, 3, size, size) uint8, memory-mapped by whoever reads it
    images/<key>.json   for each file, why it could not be read, or ""

A third remembers the hashes of a folder's files by size and time of change, so that they are not read again for each stage.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from interpreter.errors import DataMissing
from interpreter.fingerprint import LENGTH, file_hash
from interpreter.parts.datasets.array_cache import replacing
from interpreter.parts.datasets.decode import RULE, UnreadableImage, decode

_SETTLED = 2.0  # seconds: a file changed more recently than this may change again within the clock's grain


@dataclass(frozen=True, slots=True)
class Decoded:
    """Images of a list of files: an array on disk with a row a file, and why some rows are empty."""

    path: Path  # of the array
    errors: tuple[str, ...]  # a row each; "" for an image that was read


def hashes(folder: Path, files: Sequence[tuple[str, Path]], cache: Path) -> list[str]:
    """The sha256 of each file, from memory where size and time of change are as they were.

    Raises: DataMissing for a file that can't be opened.
    """
    memory = cache / "images" / f"hashes-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:LENGTH]}.json"
    known = _read_json(memory)
    now, kept, out = time.time(), {}, []
    try:
        for name, path in files:
            stat = path.stat()
            stamp = [stat.st_size, stat.st_mtime_ns]
            old = known.get(name)
            digest = old[2] if isinstance(old, list) and old[:2] == stamp else file_hash(path)
            out.append(digest)
            if now - stat.st_mtime > _SETTLED:
                kept[name] = [*stamp, digest]
    except OSError as error:
        raise DataMissing(f"{error.filename}: {error.strerror}", hint="make the file readable, or take it out") from None
    if kept != known:
        _write(memory, json.dumps({**known, **kept}).encode())
    return out


def decoded(files: Sequence[Path], digests: Sequence[str], size: int, crop: str, cache: Path) -> Decoded:
    """The images of `files`, made now or found from before."""
    rule = json.dumps({"rule": RULE, "size": size, "crop": crop})
    key = hashlib.sha256("\n".join([rule, *digests]).encode()).hexdigest()[:LENGTH]
    array, report = cache / "images" / f"{key}.npy", cache / "images" / f"{key}.json"
    errors = _read_json(report).get("errors")
    if array.is_file() and isinstance(errors, list) and len(errors) == len(files):
        return Decoded(array, tuple(errors))
    return Decoded(array, _make(files, size, crop, array, report))


def _make(files: Sequence[Path], size: int, crop: str, array: Path, report: Path) -> tuple[str, ...]:
    with replacing(array) as beside:
        pixels = np.lib.format.open_memmap(beside, mode="w+", dtype=np.uint8, shape=(len(files), 3, size, size))

        def one(row: int) -> str:
            try:
                pixels[row] = decode(files[row], size, crop)
            except UnreadableImage as error:
                return str(error) or "no image that can be read"
            return ""

        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            errors = tuple(pool.map(one, range(len(files)), chunksize=16))
        pixels.flush()
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
    _write(report, json.dumps({"errors": errors}).encode())
    return errors


def _read_json(path: Path) -> dict[str, Any]:
    """What is in a file of ours, or {} when there is none or it is torn: it can be made again."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as beside:
        beside.write_bytes(content)
