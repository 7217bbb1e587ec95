"""`expt sql`: a question to results.duckdb."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from interpreter.cli.session import here
from interpreter.errors import UsageError
from interpreter.results.formats import write
from interpreter.results.prompt import prompt
from interpreter.results.read import query, write_parquet


def run(args: argparse.Namespace) -> int:
    """Answer one query, or several at a prompt."""
    project = here()
    if args.format == "parquet" and not args.output:
        raise UsageError("parquet is written to a file", hint="add --output rows.parquet")
    text = args.query
    if text is None and sys.stdin.isatty():
        prompt(project)
        return 0
    text = text if text is not None else sys.stdin.read()
    if args.format == "parquet":
        write_parquet(project, text, str(Path(args.output).absolute()))
    else:
        write(query(project, text), args.format, Path(args.output) if args.output else None)
    return 0
