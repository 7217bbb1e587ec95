"""`runs/ledger.jsonl`: when each claim and page text was first seen. What nothing else could tell again."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from interpreter.errors import RecordError
from interpreter.project import Project
from interpreter.run.record import now, write_atomically
from interpreter.spec.canonical import canonical


class Ledger:
    """The ledger of one project."""

    def __init__(self, project: Project) -> None:
        self._path = project.ledger
        self._texts = project.page_texts

    def note(self, kind: str, **fields: Any) -> bool:
        """Write a line with the time, unless one with the same content is there; True when it was written.

        Raises: RecordError when it can't be written.
        """
        content = {"kind": kind, **fields}
        return self.note_all([content]) == 1

    def note_all(self, contents: Sequence[Mapping[str, Any]]) -> int:
        """Write the lines not there yet, under one lock; returns how many. Each content holds `kind`. Raises: RecordError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                data = os.pread(fd, os.fstat(fd).st_size, 0)
                seen = {_content(line) for line in _parse(data)[0]}
                fresh: dict[str, Mapping[str, Any]] = {}
                for content in contents:
                    text = _content(content)
                    if text not in seen:
                        fresh.setdefault(text, content)
                if not fresh:
                    return 0
                out = b"".join(json.dumps({"t": now(), **c}, ensure_ascii=False).encode() + b"\n" for c in fresh.values())
                # Close what a crash left, so that ours begins a line.
                torn = b"\n" if data and not data.endswith(b"\n") else b""
                if os.write(fd, torn + out) != len(torn + out):
                    os.ftruncate(fd, len(data))
                    raise OSError(28, "no space left")
                os.fsync(fd)
                return len(fresh)
            finally:
                os.close(fd)
        except OSError as error:
            raise RecordError(f"{self._path} can't be written: {error.strerror or error}") from None

    def keep_text(self, text_hash: str, text: str) -> None:
        """Keep a page's text under its hash, once."""
        path = self._texts / f"{text_hash}.yaml"
        if not path.exists():
            write_atomically(path, text.encode("utf-8"))

    def lines(self) -> list[dict[str, Any]]:
        """All readable lines, oldest first."""
        return self.read()[0]

    def read(self) -> tuple[list[dict[str, Any]], list[str]]:
        """All readable lines, oldest first, and the beginnings of those that are not."""
        try:
            return _parse(self._path.read_bytes())
        except FileNotFoundError:
            return [], []
        except OSError as error:
            raise RecordError(f"{self._path} can't be read: {error.strerror or error}") from None


def _content(line: Mapping[str, Any]) -> str:
    return canonical({k: v for k, v in line.items() if k != "t"})


def _parse(data: bytes) -> tuple[list[dict[str, Any]], list[str]]:
    lines, bad = [], []
    for raw in data.split(b"\n"):
        if not raw.strip():
            continue
        try:
            value = json.loads(raw)
            if not isinstance(value, dict) or "kind" not in value:
                raise ValueError
            lines.append(value)
        except ValueError:
            bad.append(raw[:80].decode("utf-8", "backslashreplace"))
    return lines, bad
