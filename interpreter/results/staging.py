"""New event lines of many records, as one table `staged` of the connection, whatever is wrong with some of them.

The quick way gives DuckDB the lines as they are, with the stage's id put in front. When it refuses one, all new lines are
read in Python, what is no event is told, and the rest is given again. Records with several attempts always go that way,
since `effective` alone says which of their lines count.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from interpreter.errors import RecordError
from interpreter.run.events import Corrupt, effective, encode, parse

_TYPES = {
    "#": "INTEGER", "kind": "VARCHAR", "attempt": "INTEGER", "epoch": "INTEGER", "resume_epoch": "INTEGER", "t": "VARCHAR",
    "from": "VARCHAR", "carried": "VARCHAR[]", "why": "VARCHAR", "step": "BIGINT", "examples": "BIGINT", "phase": "INTEGER",
    "metrics": "MAP(VARCHAR, DOUBLE)", "rates": "MAP(VARCHAR, DOUBLE)", "resources": "MAP(VARCHAR, DOUBLE)",
    "split": "VARCHAR", "name": "VARCHAR", "value": "JSON", "code": "VARCHAR", "severity": "VARCHAR", "text": "VARCHAR",
    "trainable": "VARCHAR[]", "groups": "VARCHAR[]", "tensors": "INTEGER", "parameters": "BIGINT", "rate": "DOUBLE",
    "restored": "INTEGER", "origin": "VARCHAR", "facts": "JSON", "rule": "VARCHAR", "resource": "VARCHAR", "slope_mb": "DOUBLE",
    "size_mb": "DOUBLE", "n": "INTEGER", "of": "INTEGER", "checkpoint": "VARCHAR", "file": "VARCHAR", "trained": "INTEGER",
    "reached": "INTEGER",
}  # fmt: skip
_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})
_NO_EVENT = """SELECT 1 FROM staged WHERE "#" IS NULL OR kind IS NULL OR attempt IS NULL
    OR (kind = 'epoch' AND (epoch IS NULL OR metrics IS NULL)) OR (kind = 'attempt' AND resume_epoch IS NULL) LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Chunk:
    """New whole lines of one record: `data` begins at byte `start` of its events. `mixed`: they are of several attempts."""

    stage_id: int
    start: int
    data: bytes
    mixed: bool
    attempts: int  # how many begin in it

    @property
    def end(self) -> int:
        """Where the next lines will begin."""
        return self.start + len(self.data)


def chunk_of(stage_id: int, path: Path, start: int, mixed: bool) -> Chunk:
    """The lines of `path` from byte `start` that are whole by now."""
    try:
        with open(path, "rb") as file:
            file.seek(start)
            data = file.read()
    except FileNotFoundError:
        data = b""
    data = data[: data.rfind(b"\n") + 1]
    attempts = data.count(b'{"kind":"attempt"') + data.count(b'{"kind": "attempt"')
    return Chunk(stage_id, start, data, mixed or attempts > 1, attempts)


def stage_lines(connection: duckdb.DuckDBPyConnection, chunks: Iterable[Chunk], folder: Path) -> list[tuple[int, Corrupt]]:
    """Make the table `staged` of all events in `chunks` that count; returns what was no event, by stage id.

    `folder` is where lines are put together. Call it outside of a transaction, which a refused line would end.
    Raises: RecordError when there is no room.
    """
    chunks = list(chunks)
    corrupt: list[tuple[int, Corrupt]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="ingest-") as place:
            path = Path(place) / "lines.ndjson"
            corrupt = _write(path, chunks, careful=False)
            if not _load(connection, path):
                corrupt = _write(path, chunks, careful=True)
                if not _load(connection, path):
                    raise RecordError("new events can't be read, though each of them can", hint="please report this")
    except OSError as error:
        raise RecordError(f"no room to take records in: {error.strerror or error}") from None
    return corrupt


def _write(path: Path, chunks: Iterable[Chunk], careful: bool) -> list[tuple[int, Corrupt]]:
    corrupt: list[tuple[int, Corrupt]] = []
    with open(path, "wb") as out:
        for chunk in chunks:
            if careful or chunk.mixed:
                found = parse(chunk.data, chunk.start)
                corrupt += [(chunk.stage_id, c) for c in found.corrupt]
                sound = []
                for line in found.lines:
                    if fault := _fault(line):
                        corrupt.append((chunk.stage_id, Corrupt(-1, f"{fault} in {json.dumps(line)[:60]}")))
                    else:
                        sound.append(line)
                lines = effective(sound) if chunk.mixed else sound
                out.writelines(encode({"#": chunk.stage_id} | {k: v for k, v in line.items() if k != "#"}) for line in lines)
            elif chunk.data:
                out.write((b"\n" + chunk.data).replace(b"\n{", b'\n{"#":%d,' % chunk.stage_id)[1:])
    return corrupt


def _load(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    columns = ", ".join(f"\"{name}\": '{type_}'" for name, type_ in _TYPES.items())
    if path.stat().st_size == 0:
        nothing = ", ".join(f'NULL::{type_} AS "{name}"' for name, type_ in _TYPES.items())
        connection.execute(f"CREATE OR REPLACE TEMP TABLE staged AS SELECT {nothing} WHERE false")
        return True
    try:
        # Rows say themselves where they belong; keeping their order would keep one core waiting for the other.
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE staged AS SELECT * FROM"
            f" read_json(?, format = 'newline_delimited', columns = {{{columns}}}, maximum_object_size = 1073741824)",
            [str(path)],
        )
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return False
    return not connection.execute(_NO_EVENT).fetchall()


def _fault(line: Mapping[str, Any]) -> str:
    """What of an event can't be stored, or ""."""
    for name in _faults(line):
        return f"`{name}`"
    return ""


def _faults(line: Mapping[str, Any]) -> Iterator[str]:
    if line["kind"] == "epoch":
        yield from (name for name in ("epoch", "metrics") if line.get(name) is None)
    if line["kind"] == "attempt" and line.get("resume_epoch") is None:
        yield "resume_epoch"
    for name, type_ in _TYPES.items():
        value = line.get(name)
        if value is None or type_ == "JSON":
            continue
        if type_ in ("INTEGER", "BIGINT"):
            limit = 2**31 if type_ == "INTEGER" else 2**63
            right = type(value) is int and -limit <= value < limit
        elif type_ == "VARCHAR[]":
            right = isinstance(value, list) and all(isinstance(item, str) for item in value)
        elif type_ == "VARCHAR":
            right = isinstance(value, str)
        elif type_ == "DOUBLE":
            right = _number(value)
        else:
            right = isinstance(value, dict) and all(map(_number, value.values()))
        if not right:
            yield name


def _number(value: Any) -> bool:
    return value is None or value in _NUMBERS if isinstance(value, (str, type(None))) else type(value) in (int, float)
