"""Arrays made once and kept in the cache folder: written beside and renamed, so that several stages may make the same ones."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpreter.fingerprint import LENGTH

Arrays = Mapping[str, NDArray[Any]]


def key_of(*parts: Any) -> str:
    """A name for what `parts`, plain data, decide."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def kept(path: Path, make: Callable[[], Arrays]) -> Arrays:
    """The arrays of the file `path` (.npz); made now where there is none, or it is torn."""
    try:
        with path.open("rb") as written, np.load(written, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        arrays = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, **dict(arrays))
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return arrays
