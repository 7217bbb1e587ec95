"""data.lock, read: what each named data source was when it was locked, so that planning needs no data."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from interpreter.errors import UsageError


@dataclass(frozen=True, slots=True)
class Locked:
    """One source as locked: a hash over its files' names and contents, their total size and number."""

    fingerprint: str
    bytes: int
    files: int


def read_lock(path: Path) -> dict[str, Locked]:
    """Every locked source by name; none when there is no data.lock. Raises: UsageError when it can't be read."""
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        return {name: Locked(str(row["fingerprint"]), int(row["bytes"]), int(row["files"])) for name, row in table.items()}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} can't be read: {error}", hint="it is written by `expt data lock`; take it back from version control"
        ) from None


def written(locked: dict[str, Locked]) -> str:
    """The text of a data.lock that holds `locked`."""
    lines = ["# Written by `expt data lock`; commit it. A source's fingerprint is part of every key that reads it.", ""]
    for name in sorted(locked):
        row = locked[name]
        lines += [f"[{name}]", f'fingerprint = "{row.fingerprint}"', f"bytes = {row.bytes}", f"files = {row.files}", ""]
    return "\n".join(lines)
