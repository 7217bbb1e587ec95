"""The folder of one stage, `runs/<key>/`: where its files are, and how they are written so that none is ever half there."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from interpreter.errors import RecordError
from interpreter.plan.types import Input, SourceNeed, Stage
from interpreter.project import Project
from interpreter.spec.canonical import canonical

FORMAT = 1
PART = ".part"  # ending of a file that is still being written; nobody reads those
PICKED = "picked.pt"  # of a probe, beside its checkpoints: the encoder and the head that were picked
SCORES = "scores.parquet"  # name of a split's scores, beside its predictions
_serial = itertools.count()


@dataclass(frozen=True, slots=True)
class Record:
    """One stage's folder. Holds paths only; nothing is read until asked."""

    folder: Path

    @classmethod
    def of(cls, project: Project, key: str) -> Record:
        """The record of the stage `key`, whether or not it exists yet."""
        return cls(project.runs / key)

    @property
    def key(self) -> str:
        """The stage's key."""
        return self.folder.name

    @property
    def stage_file(self) -> Path:
        """What the stage is."""
        return self.folder / "stage.json"

    @property
    def attempts(self) -> Path:
        """Who worked at it."""
        return self.folder / "attempts"

    @property
    def events(self) -> Path:
        """What it had to tell."""
        return self.folder / "events.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Its weights."""
        return self.folder / "checkpoints"

    @property
    def predictions(self) -> Path:
        """Its outputs, a folder a split."""
        return self.folder / "predictions"

    @property
    def done_file(self) -> Path:
        """Its result, written last."""
        return self.folder / "DONE"

    def checkpoint(self, epoch: int) -> Path:
        """The checkpoint made when `epoch` (from 0) was finished."""
        return self.checkpoints / f"epoch-{epoch:04d}.pt"

    def write_stage(self, stage: Stage) -> None:
        """Write stage.json once. Equal content is fine.

        Raises: RecordError when the folder holds another stage's.
        """
        self.attempts.mkdir(parents=True, exist_ok=True)
        content = _stage_document(stage)
        data = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n"
        try:
            write_atomically(self.stage_file, data, exclusive=True)
        except (FileExistsError, FileNotFoundError):
            # Not found: whoever holds the stage, and so has written stage.json, has swept our half-written one away.
            held = read_json(self.stage_file)
            # What the key stands for must agree. Names and what only says how may differ: the first one's stay.
            if any(
                canonical(held.get(part)) != canonical(content[part]) for part in ("key", "kind", "identity", "inputs", "seed")
            ):
                raise RecordError(
                    f"{self.stage_file} is not what this stage would write",
                    hint="the settings a key stands for never change: move the folder away and run again",
                ) from None

    def read_stage(self) -> Stage:
        """The stage as its stage.json has it. Raises: RecordError."""
        held = read_json(self.stage_file)
        if held.get("format") != FORMAT:
            raise RecordError(f"{self.stage_file}: format {held.get('format')!r}, this program reads {FORMAT}")
        try:
            return Stage(
                key=held["key"],
                kind=held["kind"],
                name=held["name"],
                identity=held["identity"],
                settings=held["settings"],
                inputs=tuple(Input(**i) for i in held["inputs"]),
                sources=tuple(SourceNeed(**s) for s in held["sources"]),
                seed=held["seed"],
            )
        except (KeyError, TypeError) as error:
            raise RecordError(f"{self.stage_file}: not a stage: {error}") from None

    def done(self) -> dict[str, Any] | None:
        """The content of DONE, or None when the stage is not done. Raises: RecordError when it can't be read."""
        try:
            return read_json(self.done_file)
        except FileNotFoundError:
            return None

    def sweep(self) -> None:
        """Remove what a dead attempt left half-written. Only for the attempt that holds the stage.

        Beside stage.json others may be writing at this moment: theirs is swept as well, and `write_stage` knows what that means.
        """
        for folder in (self.folder, self.checkpoints, *(p for p in _folders(self.predictions))):
            for path in folder.glob(f".*{PART}"):
                path.unlink(missing_ok=True)


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (p for p in folder.iterdir() if p.is_dir())


def _stage_document(stage: Stage) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "key": stage.key,
        "kind": stage.kind,
        "name": stage.name,
        "identity": _plain(stage.identity),
        "settings": _plain(stage.settings),
        "inputs": [asdict(i) for i in stage.inputs],
        "sources": [asdict(s) for s in stage.sources],
        "seed": stage.seed,
    }


def _plain(value: Any) -> Any:
    """`value` with mappings and tuples as JSON has them."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`. Raises: FileNotFoundError; RecordError when it isn't one."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} can't be read: {error}") from None
    if not isinstance(value, dict):
        raise RecordError(f"{path} can't be read: not an object")
    return value


def write_atomically(
    path: Path,
    data: bytes | Callable[[BinaryIO], object],
    *,
    guard: Callable[[], object] | None = None,
    exclusive: bool = False,
) -> None:
    """Put `data` (bytes, or a function that writes them) at `path`, whole or not at all, and on disk when this returns.

    `guard` is called just before the file takes its name, and may raise. Missing folders are made.
    Raises: FileExistsError when `exclusive` and there is one; OSError (disk full) with nothing changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{path.name}.{os.getpid()}.{next(_serial)}{PART}"
    try:
        with open(part, "wb") as file:
            if callable(data):
                # torch and pyarrow want their own kind of file object, and close what they are given.
                data(cast(BinaryIO, file))
            else:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if guard is not None:
            guard()
        if exclusive:
            os.link(part, path)
        else:
            os.replace(part, path)
        sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
