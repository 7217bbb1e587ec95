"""A page as written: its head, its component definitions and its entries, each still a tree. Shape only, no meaning."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from interpreter.errors import Problem, Problems
from interpreter.source.load import load
from interpreter.source.nodes import Mapping, Node, Scalar, kind_of
from interpreter.spec.grammar import WrittenEntry, WrittenPage, keys
from interpreter.spec.names import NAME, is_day
from interpreter.spec.typed import unknown_key, wrong_type

KINDS = {"datasets": "dataset", "models": "model", "objectives": "objective", "schedules": "schedule"}
PAGE_KEYS = keys(WrittenPage)
ENTRY_KEYS = keys(WrittenEntry)
# What an entry without arms may say: it is a note, and the same one in every profile.
NOTE_KEYS = frozenset({"notebook", "title", "about", "question", "notes", "updates", "conclusion", "outcome"})


@dataclass(frozen=True, slots=True)
class PageText:
    """One page: where it is, its text, and its tree cut into named parts."""

    file: str
    text: str
    text_hash: str
    tree: Mapping
    date: str
    title: str
    components: dict[str, dict[str, Node]]  # by "datasets" and the like, then by name
    entries: dict[str, Mapping]
    problems: Problems = field(default_factory=Problems)


def read_page(path: Path, shown: str, cache: Path | None = None) -> PageText | Problems:
    """The page at `path`, called `shown` in messages; only the Problems when there is no page in it.

    `cache` is a folder where parsed trees are kept.
    """
    problems = Problems()
    tree, text = load(path, shown, problems, cache)
    if tree is None:
        return problems
    _known_keys(tree, PAGE_KEYS, "a page", "", problems)
    _language(tree, problems)
    components = {plural: _named(tree, plural, problems) for plural in KINDS}
    entries: dict[str, Mapping] = {}
    for name, node in _named(tree, "entries", problems).items():
        if isinstance(node, Mapping):
            entries[name] = node
            _known_keys(node, ENTRY_KEYS, "an entry", f"entries.{name}", problems)
        else:
            problems.add(wrong_type(f"entry `{name}`", node, f"entries.{name}", "a mapping"))
    listed = tree.get("entries")
    if listed is None or (isinstance(listed, Mapping) and not listed.items):
        problems.add(
            Problem(
                "missing-key",
                "`entries` is missing: a page has at least one entry",
                (listed or tree).place,
                expected="a key `entries`",
            )
        )
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:40]
    title = tree.get("title")
    return PageText(
        shown,
        text,
        digest,
        tree,
        _date(tree, Path(shown), problems),
        str(title.value) if isinstance(title, Scalar) else "",
        components,
        entries,
        problems,
    )


def _language(tree: Mapping, problems: Problems) -> None:
    node = tree.get("expt")
    if node is None:
        problems.add(
            Problem(
                "missing-key",
                "`expt` is missing: the version of the language",
                tree.place,
                expected="`expt: 1`",
                hint="begin the page with `expt: 1`",
            )
        )
    elif not isinstance(node, Scalar) or type(node.value) is not int or node.value != 1:
        got = f"{kind_of(node)}: {node.text}" if isinstance(node, Scalar) and node.value is not None else kind_of(node)
        problems.add(Problem("language-version", "this program reads language version 1", node.place, "expt", "1", got))


def _date(tree: Mapping, file: Path, problems: Problems) -> str:
    node = tree.get("date")
    if node is None:
        problems.add(Problem("missing-key", "`date` is missing", tree.place, expected="`date: YYYY-MM-DD`"))
        return ""
    text = node.text if isinstance(node, Scalar) else ""
    if not is_day(text):
        problems.add(Problem("bad-date", "`date` must be a day", node.place, "date", "YYYY-MM-DD", text or kind_of(node)))
        return ""
    if not file.stem.startswith(text):
        problems.add(
            Problem(
                "date-mismatch",
                "the file's name begins with another date",
                node.place,
                "date",
                f"a file called {text}.yaml or {text}-slug.yaml",
                file.name,
            )
        )
    return text


def _named(tree: Mapping, key: str, problems: Problems) -> dict[str, Node]:
    """The members of the mapping at `key`, with names checked."""
    node = tree.get(key)
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        problems.add(wrong_type(f"`{key}`", node, key, "a mapping of names"))
        return {}
    check_names(node, key, problems)
    return dict(node.items)


def is_note(entry: Mapping) -> bool:
    """Whether an entry is a note: prose, and nothing that would be run or measured."""
    return "notes" in entry.items and NOTE_KEYS.issuperset(entry.items)


def check_names(node: Mapping, path: str, problems: Problems) -> None:
    """Tell every key of `node` that is not a name."""
    for name in node.items:
        if not NAME.fullmatch(name):
            problems.add(
                Problem(
                    "bad-name",
                    f"`{name}` can't be a name",
                    node.keys[name],
                    f"{path}.{name}",
                    "a small letter, then letters, digits, _ or -",
                    name,
                )
            )


def _known_keys(node: Mapping, known: tuple[str, ...], what: str, path: str, problems: Problems) -> None:
    for key in node.items:
        if key not in known:
            problems.add(unknown_key(what, key, node, path, known))
