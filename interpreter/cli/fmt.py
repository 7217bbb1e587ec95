"""`expt fmt`: pages in one layout."""

from __future__ import annotations

import argparse
from pathlib import Path

from interpreter import catalog
from interpreter.cli.session import chosen_pages
from interpreter.errors import ExptError, PageError, Problem, Problems, UsageError
from interpreter.run.record import write_atomically
from interpreter.source.layout import LayoutError, lay_out
from interpreter.source.load import load
from interpreter.spec.base import Config
from interpreter.spec.order import orders


def run(args: argparse.Namespace) -> int:
    """Lay out the pages named, or all; with `--check` only name those that would change, and 2 when there are any."""
    _, library, paths = chosen_pages(args.pages)
    wrong: list[Problem] = []
    changed = 0
    for path in paths:
        shown = library.shown(path)
        try:
            new = laid_out(path, shown, library.texts).encode("utf-8")
        except PageError as error:
            wrong += error.problems
            continue
        if new != path.read_bytes():
            changed += 1
            print(shown)
            if not args.check:
                write_in_place(path, new)
    if wrong:
        raise PageError(wrong)
    if args.check and changed:
        raise UsageError(f"{changed} of {len(paths)} {_pages(len(paths))} would change", hint="`expt fmt` lays them out")
    told = f"{changed} laid out, {len(paths) - changed} as they were" if changed else "laid out already"
    print(f"{len(paths)} {_pages(len(paths))}: {told}")
    return 0


def laid_out(path: Path, shown: str, texts: dict[str, str]) -> str:
    """The text of the page at `path`, laid out; as it is, it is put into `texts`, by the name that messages call it.

    Raises: PageError for a page that can't be read, ExptError for a bug of ours.
    """
    problems = Problems()
    tree, text = load(path, shown, problems)
    texts[shown] = text
    problems.raise_if_fatal()
    assert tree is not None
    known = orders(tree, config_class)
    try:
        return lay_out(text, lambda at: known.get(at, ()), frozenset({(), ("entries",)}))
    except LayoutError as error:
        raise ExptError(
            f"{shown}: {error}; nothing was written", hint="this is a bug of ours: please report it with the page"
        ) from None


def config_class(kind: str, type_: str) -> type[Config] | None:
    """The config class of a component that the catalog knows, else None."""
    return catalog.config_class(kind, type_) if catalog.find(kind, type_) else None


def write_in_place(path: Path, data: bytes) -> None:
    """Replace a page's file, whole or not at all; a link stays a link, its mode its mode. Raises: UsageError."""
    path = path.resolve()
    try:
        mode = path.stat().st_mode
        write_atomically(path, data)
        path.chmod(mode & 0o7777)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from None


def _pages(count: int) -> str:
    return f"page{'s' * (count != 1)}"
