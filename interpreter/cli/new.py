"""`expt new`: a small page that is right, to begin with."""

from __future__ import annotations

import argparse
import datetime
import json
import re
from pathlib import Path

from interpreter.cli.session import here, library_of
from interpreter.errors import UsageError
from interpreter.project import Project
from interpreter.run.record import write_atomically
from interpreter.source.scalars import BadScalar, resolve
from interpreter.spec.names import DATE, NAME

SCHEMA = "docs/schema/expt-1.json"

_PAGE = """\
{schema}expt: 1
date: {date}

# What is used, by name. Change it to what you have: `expt data` lists your own data sources.
datasets:
  digits: {{type: digits, source: embedded}}      # 1,797 real scans, shipped with scikit-learn
  few:    {{extends: digits, per_class: 10}}

models:
  small: {{type: mlp, hidden: [64]}}

schedules:
  short: {{epochs: 20, batch_size: 32, optimizer: {{type: adam, lr: 2e-3}}}}

entries:
  {name}:
    title: {title}
    question: Does dropout in the head help when there are ten labels a class?
    # A fit trains, an evaluate measures; an arm is a chain of them. Equal stages are trained once.
    stages:
      train: {{fit: classification, data: few, model: small, schedule: short}}
      final: {{evaluate: digits}}
    arms:
      plain:   {{chain: [train, final], baseline: true}}
      dropout: {{chain: [train, final], set: {{stages.train.head.dropout: 0.5}}}}
    seeds: 10     # arms with the same seed are pairs; fewer may leave claims undecided
    measures:
      test: {{metric: final/accuracy}}
    # What you expect to see, and by how much. Write it down before the first run: then it counts as registered.
    expect:
      dropout-helps: {{claim: dropout > plain, on: test, margin: 0.01, why: ten labels a class are learned by heart}}
    # `expt run {page} --profile quick` tries the page out.
    profiles:
      quick: {{schedules.short.epochs: 2, seeds: 2}}
    conclusion: |
      Dropout in the head: {{{{ verdict.dropout-helps }}}}.
"""


def run(args: argparse.Namespace) -> int:
    """Write the page, and say what comes next."""
    project = here()
    date = day(args.date)
    slug = args.slug or ""
    if slug and not NAME.fullmatch(slug):
        raise UsageError(f"`{slug}` can't be in a file's name", hint="a small letter, then letters, digits, _ or -")
    title = (args.title if args.title is not None else "An entry to begin with").strip()
    if not title or not title.isprintable():
        raise UsageError("a title is one line of text")
    stem = f"{date}-{slug}" if slug else date
    path = project.specs / f"{stem}.yaml"
    with_schema = (project.root / SCHEMA).is_file()
    schema = f"# yaml-language-server: $schema=../{SCHEMA}\n" if with_schema else ""
    name = entry_name(project, date, slug or slug_of(title) if args.title or slug else "first")
    text = _PAGE.format(schema=schema, date=date, name=name, title=as_scalar(title), page=stem)
    try:
        write_atomically(path, text.encode("utf-8"), exclusive=True)
    except FileExistsError:
        hint = "another page of the same day takes a slug of its own: --slug NAME"
        raise UsageError(f"{shown(project, path)} is there already, and stays as it is", hint=hint) from None
    except OSError as error:
        raise UsageError(f"{shown(project, path)} can't be written: {error.strerror}") from None
    print(shown(project, path))
    if not with_schema:
        print(f"for completion in editors, once: expt schema --output {SCHEMA}")
    print(f"next: expt check {stem}")
    return 0


def day(text: str) -> str:
    """The day that `text` names, as YYYY-MM-DD. Raises: UsageError."""
    if text == "today":
        return datetime.date.today().isoformat()
    try:
        if not DATE.fullmatch(text):
            raise ValueError
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"`{text}` is no day", hint="write YYYY-MM-DD, 2024-06-28 for instance, or `today`") from None


def slug_of(title: str) -> str:
    """A name made of the first words of a title; "first" where there are no letters in it."""
    words = re.findall("[a-z0-9]+", title.lower())
    while words and not words[0][0].isalpha():
        words.pop(0)
    return "-".join(words[:5]) or "first"


def entry_name(project: Project, date: str, name: str) -> str:
    """`name`, numbered where an entry of that day has it already."""
    library, tried, count = library_of(project), name, 1
    while library.entry(date, tried) is not None:
        count += 1
        tried = f"{name}-{count}"
    return tried


def as_scalar(text: str) -> str:
    """`text` as a page writes it: quoted only where it would be read as something else."""
    try:
        is_text = isinstance(resolve(text), str)
    except BadScalar:
        is_text = False
    plain = is_text and re.fullmatch(r"[^\W_](?:[^:#\\\"'{}\[\]]|:(?=\S)|(?<=\S)#)*", text) and not text.endswith(":")
    return text if plain else json.dumps(text, ensure_ascii=False)


def shown(project: Project, path: Path) -> str:
    """How messages call a file: from the project's root."""
    return str(path.relative_to(project.root))
