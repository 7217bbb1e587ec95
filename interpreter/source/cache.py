"""Parsed trees kept by their text's hash: parsing is most of what checking a page costs, and texts seldom change.

A file of the cache is plain JSON and can be thrown away at any time. Only trees without problems are kept, so that a broken
page is parsed, and told, each time. The hash covers the source of this room: a parser that changes starts anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from interpreter.errors import Place
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence

MAX_FILES = 400  # of the folder; the oldest quarter goes when there are more


def recall(folder: Path, text: str, shown: str) -> Mapping | None:
    """The tree of `text`, called `shown` in messages, if it was kept; a damaged file counts as none."""
    try:
        data = json.loads(_file(folder, text).read_text("utf-8"))
        tree = _restore(data, shown)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    return tree if isinstance(tree, Mapping) else None


def keep(folder: Path, text: str, tree: Mapping) -> None:
    """Keep the tree of `text`. A folder that can't be written keeps nothing."""
    path = _file(folder, text)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(_dump(tree), ensure_ascii=False, separators=(",", ":")), "utf-8")
        beside.replace(path)
        _tidy(folder)


def _file(folder: Path, text: str) -> Path:
    digest = hashlib.sha256((_program() + text).encode()).hexdigest()
    return folder / f"{digest[:40]}.json"


@lru_cache(maxsize=1)
def _program() -> str:
    """A hash of what makes trees."""
    room = Path(__file__).parent
    return hashlib.sha256(
        b"".join((room / name).read_bytes() for name in ("cache.py", "load.py", "nodes.py", "scalars.py"))
    ).hexdigest()


def _tidy(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in files[: MAX_FILES // 4] if len(files) > MAX_FILES else ():
        path.unlink(missing_ok=True)


def _dump(node: Node) -> list[Any]:
    place = [node.place.line, node.place.column, node.place.length]
    if isinstance(node, Scalar):
        return [*place, "s", node.value] if node.value == node.text else [*place, "v", node.value, node.text]
    if isinstance(node, Sequence):
        return [*place, "l", [_dump(item) for item in node.items]]
    keys = [[name, key.line, key.column, key.length] for name, key in node.keys.items()]
    return [*place, "m", keys, [_dump(node.items[name]) for name in node.keys]]


def _restore(data: list[Any], shown: str) -> Node:
    place = Place(shown, data[0], data[1], data[2])
    kind = data[3]
    if kind == "s":
        return Scalar(place, data[4], data[4])
    if kind == "v":
        return Scalar(place, data[4], data[5])
    if kind == "l":
        return Sequence(place, tuple([_restore(item, shown) for item in data[4]]))
    keys = {name: Place(shown, line, column, length) for name, line, column, length in data[4]}
    return Mapping(place, dict(zip(keys, [_restore(item, shown) for item in data[5]], strict=True)), keys)
