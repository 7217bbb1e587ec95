"""`expt schema`: the JSON Schema of pages, for editors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from interpreter import catalog
from interpreter.cli.session import here
from interpreter.errors import UsageError
from interpreter.run.record import write_atomically
from interpreter.spec.schema import Offered, Offers, Schema, page_schema

KINDS = ("dataset", "model", "objective")


def run(args: argparse.Namespace) -> int:
    """Print the schema, or write it; the types of the project's plug-ins are in it."""
    here()
    text = as_text(page_schema(offers({kind: catalog.types(kind) for kind in KINDS})))
    if args.output is None:
        print(text, end="")
        return 0
    path = Path(args.output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode("utf-8"))
    except OSError as error:
        raise UsageError(f"{args.output} can't be written: {error.strerror}") from None
    print(args.output)
    return 0


def built_in() -> dict[str, tuple[str, ...]]:
    """The types that come with the program, by kind."""
    return {kind: tuple(line.type for line in catalog.LINES if line.kind == kind) for kind in KINDS}


def offers(types: dict[str, tuple[str, ...]]) -> Offers:
    """What the schema needs to know of the types of each kind."""
    return {kind: {type_: _offered(kind, type_) for type_ in names} for kind, names in types.items()}


def as_text(schema: Schema) -> str:
    """A schema as it is written to a file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _offered(kind: str, type_: str) -> Offered:
    line = catalog.find(kind, type_)
    assert line is not None
    return Offered(catalog.config_class(kind, type_), line.summary, catalog.built(kind, type_))
