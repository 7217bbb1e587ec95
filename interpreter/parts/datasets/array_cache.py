"""Arrays made once and kept in the cache folder: written beside and renamed, so that several stages may make the same ones."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when that went well, and is gone otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def kept(path: Path, make: Callable[[], Arrays]) -> Arrays:
    """The arrays of the file `path` (.npz); made now where there is none, or it is torn."""
    try:
        with path.open("rb") as written, np.load(written, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        arrays = make()
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez(file, allow_pickle=False, **dict(arrays))
    return arrays
