"""Pages as plain data: written as YAML, read back, and changed at random."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from interpreter.errors import Problems
from interpreter.source.load import parse
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence

Draw = Callable[[st.SearchStrategy[Any]], Any]
Step = str | int
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_OPEN_LEVELS = 4  # levels of a page that are written with a line for each member

NAMES = ("a", "tune", "naive", "nothing", "x-1", "Big", "2024-06-28", "1", "", "é", "a.b", "[*]", "*", "_", "off")
REFERENCES = (
    "2024-06-28#models.cnn",
    "2024-06-28#datasets.gym",
    "2024-06-28/finetune-curriculum#lba",
    "2024-06-28/finetune-curriculum/naive",
    "2024-06-28/finetune-curriculum/naive.lba@best",
    "2024-06-29/gradual-thaw/thaw[*].lba",
    "2024-06-29/gradual-thaw/thaw[max_epochs=1,patience=3]",
    "2024-06-29/gradual-thaw/thaw[nothing=1]",
    "thaw[*]",
    "all thaw < naive",
    "best thaw ~ naive.rmse",
    "a0[*].f0@*",
    "f0@epoch-1",
    "2099-01-01/later/arm",
    "2024-06-28/finetune-curriculum/nobody[",
    "val/loss",
    "f0.val/accuracy",
    "{{ verdict.nothing }} {{ measure.a.b }} {{ a.b }} {{",
    "{val/accuracy:.2%} {",
    "a < b < c",
    "50%",
)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 2**62, 10**30, 1e-300, 0.5, "", "off", "random", "all", "best", "{mean:.3f", "\x07", "𝒳" * 40),
    *([], [[]], [1, "a", None], {}, {"": {}}, {"a": {"b": {"c": 1}}}, {"from": 1}, {"type": "mlp", "hidden": [1]}),
    *({"extends": "a"}, {"type": "nothing"}, "x" * 3000, list(range(200))),
)
KEYS = (
    *("set", "vary", "zip", "points", "one_at_a_time", "combine", "import", "members", "chain", "extends", "type"),
    *("start", "thaw", "keep", "seeds", "subset", "scored_by", "profiles", "charts", "tables", "expect", "assumed"),
    *("allow", "updates", "outcome", "concludes", "where", "cell", "sql", "head", "average", "fit", "probe", "evaluate"),
    *("score", "at", "pick", "rerun"),
)


def write(page: dict[str, Any]) -> str:
    """`page` as YAML: its upper levels a line a member, what is below on one line."""
    return "".join(f"{_key(key)}: {_written(item, 1)}\n" for key, item in page.items())


def _written(item: Any, depth: int) -> str:
    if isinstance(item, dict) and item:
        if depth > _OPEN_LEVELS:
            return "{" + ", ".join(f"{_key(k)}: {_written(v, depth + 1)}" for k, v in item.items()) + "}"
        pad = "  " * depth
        return "\n" + "\n".join(f"{pad}{_key(k)}: {_written(v, depth + 1)}" for k, v in item.items())
    if isinstance(item, list) and item:
        return "[" + ", ".join(_written(v, _OPEN_LEVELS + 1) for v in item) + "]"
    if isinstance(item, Raw):
        return item
    return _key(item) if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


class Raw(str):
    """A word that is written as it is: a number in its author's spelling."""


def _key(text: str) -> str:
    plain = _WORD.fullmatch(text) and text.lower() not in ("true", "false", "null")
    return text if plain else json.dumps(text, ensure_ascii=False)


def tree_of(text: str) -> dict[str, Any]:
    """The page `text` as plain data, words that are no text in their author's spelling."""
    tree = parse(text, "page", Problems())
    assert tree is not None
    return {key: _plain(item) for key, item in tree.items.items()}


def _plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.value if isinstance(node.value, str) or node.text == "" else Raw(node.text)
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    assert isinstance(node, Mapping)
    return {key: _plain(item) for key, item in node.items.items()}


def _paths(item: Any, path: tuple[Step, ...] = ()) -> list[tuple[Step, ...]]:
    found = [path] if path else []
    members = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    return found + [p for key, below in members for p in _paths(below, (*path, key))]


def _at(item: Any, path: tuple[Step, ...]) -> Any:
    for step in path:
        item = item[step]
    return item


def _copy(item: Any) -> Any:
    if isinstance(item, dict):
        return {k: _copy(v) for k, v in item.items()}
    return [_copy(v) for v in item] if isinstance(item, list) else item


def mutate_tree(draw: Draw, page: dict[str, Any]) -> dict[str, Any]:
    """`page` with one to four changes: members dropped, moved, renamed, nested, replaced by what stands elsewhere or nowhere."""
    page = _copy(page)
    for _ in range(draw(st.integers(1, 4))):
        paths = _paths(page)
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        above, last = _at(page, path[:-1]), path[-1]
        match draw(st.sampled_from(("drop", "replace", "swap", "rename", "nest", "refer", "add", "again", "deep", "text"))):
            case "drop":
                del above[last]
            case "replace":
                above[last] = _copy(draw(st.sampled_from(VALUES)))
            case "swap":
                other = draw(st.sampled_from(paths))
                above[last] = _copy(_at(page, other))
            case "rename" if isinstance(last, str):
                items = [(draw(st.sampled_from((*NAMES, *KEYS))) if k == last else k, v) for k, v in above.items()]
                above.clear()
                above.update(items)
            case "nest":
                above[last] = [above[last]] if draw(st.booleans()) else {draw(st.sampled_from(KEYS)): above[last]}
            case "refer":
                above[last] = draw(st.sampled_from(REFERENCES))
            case "add" if isinstance(above[last], dict):
                above[last][draw(st.sampled_from((*KEYS, *NAMES)))] = _copy(_at(page, draw(st.sampled_from(paths))))
            case "again" if isinstance(above, list):
                above.insert(int(last), _copy(above[last]))
            case "deep":
                for _ in range(draw(st.integers(5, 60))):
                    above[last] = {"a": above[last]}
            case "text" if isinstance(above[last], str) and above[last]:
                above[last] = _change(draw, str(above[last]))
    return page


TOKENS = (
    *("\t", "  ", "\n", "\r\n", "\r", ":", ": ", "- ", "? ", "#", " #", "{", "}", "[", "]", ",", "&a ", "*a", "<<: ", "!!int "),
    *("%YAML 1.1\n", "---\n", "...\n", "|\n", ">-\n", "'", '"', "\\", "@", "`", "\\x", "\\uD800", "é", "𝒳", "\x00", "\x07"),
    *("\x85", "\u2028", "\ufeff", "\u200b", "\ud7ff", "off", "010", "1_000", ".inf", ".nan", "0.1e400", "9" * 30, "~", "true"),
    *("NO", "x" * 5000, "[" * 60, "{a: " * 60, "\n" * 300, "{{ ", "}}", "[*]", "@best", "#models.", "2024-06-28/", " < ", " ~ "),
    *("all ", "expt: 1\n", "entries:\n", "{m: v}"),
)


def mutate_text(draw: Draw, text: str) -> str:
    """`text` with one to four changes: parts deleted, doubled, swapped, or something of YAML or of no language put in."""
    for _ in range(draw(st.integers(1, 4))):
        text = _change(draw, text)
    return text


def _change(draw: Draw, text: str) -> str:
    start = draw(st.integers(0, len(text)))
    end = min(len(text), start + draw(st.sampled_from((1, 1, 2, 5, 20, 200))))
    match draw(st.sampled_from(("delete", "insert", "insert", "double", "swap", "line", "letter"))):
        case "delete":
            return text[:start] + text[end:]
        case "insert":
            return text[:start] + draw(st.sampled_from(TOKENS)) + text[start:]
        case "double":
            return text[:end] + text[start:end] * draw(st.sampled_from((1, 2, 50))) + text[end:]
        case "swap":
            middle = (start + end) // 2
            return text[:start] + text[middle:end] + text[start:middle] + text[end:]
        case "line":
            lines = text.splitlines(keepends=True)
            if len(lines) > 1:
                i, j = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
                lines[i], lines[j] = lines[j], lines[i]
            return "".join(lines)
        case _:
            return text[:start] + draw(st.characters(codec="utf-8")) + text[start:]
