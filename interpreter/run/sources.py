"""Named data sources: where each is, whether it is still what data.lock says, and the writing of data.lock."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from interpreter.errors import DataMissing, UsageError
from interpreter.fingerprint import fingerprint, walk
from interpreter.plan.lock import Locked, read_lock, written
from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.record import write_atomically


@dataclass(frozen=True, slots=True)
class SourceState:
    """A data source as it is now.

    state: "as locked", "changed", "not locked", "not here", "not here, locked", or "not hashed" where only a hash can tell
    whether it is as locked, and none was asked for.
    """

    name: str
    state: str
    path: Path | None
    now: Locked | None  # its fingerprint is "" where it was not hashed
    locked: Locked | None


def measure(project: Project, name: str) -> Locked | None:
    """The fingerprint of source `name` as it is now, or None where it is not here.

    Files are hashed once: while names, sizes and dates stay, the answer is remembered under the cache folder.
    Raises: DataMissing for a file that can't be read.
    """
    path = project.source(name)
    if path is None:
        return None
    memory = project.cache / "fingerprints" / f"{name}.json"
    try:
        stamp = _stamp(path)
        known = _remembered(memory)
        if known.get("stamp") == stamp:
            return Locked(str(known["fingerprint"]), int(known["bytes"]), int(known["files"]))
        found = Locked(*fingerprint(path))
    except OSError as error:
        raise DataMissing(f"data `{name}` can't be read: {error.strerror}: {error.filename}") from None
    row = {"stamp": stamp, "fingerprint": found.fingerprint, "bytes": found.bytes, "files": found.files}
    write_atomically(memory, json.dumps(row).encode())
    return found


def glance(project: Project, name: str) -> Locked | None:
    """As `measure`, without hashing: the fingerprint is "" unless the source is as it was when it was last hashed.

    Raises: DataMissing for a folder that can't be read.
    """
    path = project.source(name)
    if path is None:
        return None
    try:
        known = _remembered(project.cache / "fingerprints" / f"{name}.json")
        if known.get("stamp") == _stamp(path):
            return Locked(str(known["fingerprint"]), int(known["bytes"]), int(known["files"]))
        sizes = [file.stat().st_size for _, file in _files(path)]
    except OSError as error:
        raise DataMissing(f"data `{name}` can't be read: {error.strerror}: {error.filename}") from None
    return Locked("", sum(sizes), len(sizes))


def kind_of(path: Path) -> str:
    """What a source is, in words: "SQLite database", "file", "LMDB, 3 folders", "folder". Raises: OSError."""
    if path.is_file():
        with path.open("rb") as file:
            return "SQLite database" if file.read(16) == b"SQLite format 3\0" else "file"
    found = sum(Path(name).name == "data.mdb" for name, _ in walk(path))
    return f"LMDB, {found} folder{'s' * (found != 1)}" if found else "folder"


def _files(path: Path) -> Iterable[tuple[str, Path]]:
    return [(path.name, path)] if path.is_file() else walk(path)


def _stamp(path: Path) -> str:
    """A hash over names, sizes and dates of the files of a source, and where it is."""
    digest = hashlib.sha256(str(path.resolve()).encode())
    for name, file in _files(path):
        status = os.stat(file)
        digest.update(f"{name}\t{status.st_size}\t{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _remembered(memory: Path) -> dict[str, str | int]:
    try:
        value = json.loads(memory.read_text("utf-8"))
        return value if isinstance(value, dict) else {}
    except (OSError, ValueError):
        return {}


def state_of(project: Project, name: str, *, hashed: bool = True) -> SourceState:
    """How source `name` stands, as far as can be told without hashing it unless `hashed`. Raises: DataMissing, UsageError."""
    locked = read_lock(project.data_lock).get(name)
    now = measure(project, name) if hashed else glance(project, name)
    if now is None:
        state = "not here, locked" if locked else "not here"
    elif locked is None:
        state = "not locked"
    elif not now.fingerprint and (now.bytes, now.files) == (locked.bytes, locked.files):
        state = "not hashed"
    else:
        state = "as locked" if now.fingerprint == locked.fingerprint else "changed"
    return SourceState(name, state, project.source(name), now, locked)


def verify(project: Project, stages: Iterable[Stage]) -> None:
    """Make sure that every source these stages read is what their keys say. Raises: DataMissing."""
    for need in {need.name: need for stage in stages for need in stage.sources}.values():
        now = measure(project, need.name)
        if now is not None and need.fingerprint and now.fingerprint != need.fingerprint:
            raise DataMissing(
                f"data `{need.name}` is not what data.lock says: {now.files} files, {now.bytes} bytes, "
                f"fingerprint {now.fingerprint[:12]}, locked {need.fingerprint[:12]}",
                hint=f"take the old data back, or `expt data lock {need.name}`: what read it is then run anew",
            )


def lock(project: Project, names: Iterable[str]) -> list[SourceState]:
    """Write the fingerprints of sources `names` into data.lock; returns how each stands now.

    Raises: UsageError for a name that leads nowhere.
    """
    rows = read_lock(project.data_lock)
    states = []
    for name in names:
        now = measure(project, name)
        if now is None:
            raise UsageError(f"data `{name}` is not here", hint=f'say where it is: in expt.toml, [data] {name} = "folder"')
        rows[name] = now
    write_atomically(project.data_lock, written(rows).encode())
    for name in names:
        states.append(state_of(project, name))
    return states
