"""`expt migrate`: pages of older versions of the language, lifted to the present one."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path

from interpreter.cli.fmt import write_in_place
from interpreter.cli.session import chosen_pages
from interpreter.errors import PageError, Problem, Problems
from interpreter.source.load import load
from interpreter.spec.migrations import CURRENT, Lifted, lift


def run(args: argparse.Namespace) -> int:
    """Show what lifting the pages named, or all, would change; with `--write`, change it."""
    _, library, paths = chosen_pages(args.pages)
    wrong: list[Problem] = []
    old = 0
    for path in paths:
        shown = library.shown(path)
        try:
            text, lifted = lifted_page(path, shown, library.texts)
        except PageError as error:
            wrong += error.problems
            continue
        if lifted.version == CURRENT:
            if args.pages:
                print(f"{shown}: in version {CURRENT} already")
            continue
        old += 1
        if args.write:
            write_in_place(path, lifted.text.encode("utf-8"))
            print(f"{shown}: lifted from version {lifted.version} to {CURRENT}: {'; '.join(lifted.steps)}")
        else:
            rows = difflib.unified_diff(
                text.splitlines(keepends=True),
                lifted.text.splitlines(keepends=True),
                f"{shown} (version {lifted.version})",
                f"{shown} (version {CURRENT})",
            )
            print("".join(row if row.endswith("\n") else f"{row}\n" for row in rows), end="")
    if wrong:
        raise PageError(wrong)
    if not old and not args.pages:
        print(f"{len(paths)} page{'s' * (len(paths) != 1)}: in version {CURRENT} already")
    elif old:
        print("next: expt check, then expt fmt" if args.write else "nothing was written: `expt migrate --write` does")
    return 0


def lifted_page(path: Path, shown: str, texts: dict[str, str]) -> tuple[str, Lifted]:
    """The text of the page at `path`, and the page lifted; the text is put into `texts` as well. Raises: PageError."""
    problems = Problems()
    _, text = load(path, shown, problems)
    texts[shown] = text
    problems.raise_if_fatal()
    return text, lift(text, shown)
