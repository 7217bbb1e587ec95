"""`expt data`: the named data sources, their fingerprints, who uses them, and how to get what is public."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interpreter.check.page import check_page
from interpreter.cli.session import here, library_of
from interpreter.errors import ExptError, PageError, UsageError
from interpreter.plan.build import build_plan
from interpreter.plan.lock import read_lock
from interpreter.project import SOURCE_VARIABLE, Project, variable_of
from interpreter.run.downloads import KNOWN, Download, that_reads
from interpreter.run.fetching import fetch
from interpreter.run.sources import SourceState, kind_of, lock, state_of
from interpreter.source.nodes import Mapping as Node
from interpreter.spec.names import did_you_mean
from interpreter.spec.page import PageText


@dataclass
class Use:
    """Who uses a source: pages, each with the profile if only a profile does, and the types of dataset that read it."""

    pages: dict[str, None] = field(default_factory=dict)
    datasets: set[str] = field(default_factory=set)


def run(args: argparse.Namespace) -> int:
    """List the sources, lock them, or fetch a dataset."""
    if args.action == "fetch":
        return _fetch(args)
    if args.to or args.checksum:
        raise UsageError("--to and --checksum are for `expt data fetch`")
    project = here()
    if args.action == "lock":
        names = args.sources or [name for name in known_sources(project) if project.source(name) is not None]
        if not names:
            raise UsageError("no data source is here to lock", hint='name one in expt.toml: [data] photos = "folder"')
        show(lock(project, names))
        return 0
    used, unread = uses(project)
    names = args.sources or sorted({*known_sources(project), *used})
    if not names:
        print("no data source is named on a page, in expt.toml, data.lock or the environment")
    show([state_of(project, name, hashed=args.hash) for name in names], used)
    if unread:
        print(f"\npages that can't be read, and may use more: {', '.join(unread)} (`expt check` says why)")
    return 0


def known_sources(project: Project) -> list[str]:
    """Every source named in expt.toml, data.lock or the environment."""
    variables = [name for name in os.environ if name.startswith(SOURCE_VARIABLE)]
    environment = {name.removeprefix(SOURCE_VARIABLE).lower().replace("_", "-") for name in variables}
    return sorted({*project.data, *read_lock(project.data_lock), *environment})


def uses(project: Project) -> tuple[dict[str, Use], list[str]]:
    """Who uses each source that a page names, and the pages that can't be read."""
    library, locked = library_of(project), read_lock(project.data_lock)
    found: dict[str, Use] = {}
    unread: list[str] = []
    for path in library.files():
        try:
            page = library.page(path)
            for profile in ("", *_profiles(page)):
                for stage in build_plan(check_page(library, page, profile, others=False), locked).stages.values():
                    for need in stage.sources:
                        use = found.setdefault(need.name, Use())
                        use.datasets.add(stage.settings["data"]["type"])
                        if path.stem not in use.pages:
                            use.pages[f"{path.stem} ({profile})" if profile else path.stem] = None
        except (PageError, UsageError):  # wrong, or of a plug-in that is not here
            unread.append(path.stem)
    return found, unread


def _profiles(page: PageText) -> list[str]:
    """The profiles of all entries of a page."""
    nodes = [entry.get("profiles") for entry in page.entries.values()]
    return list(dict.fromkeys(name for node in nodes if isinstance(node, Node) for name in node.items))


def show(states: Iterable[SourceState], used: Mapping[str, Use] | None = None) -> None:
    """A line a source, and below it who uses it, and how to get it where it is not here."""
    for state in states:
        row = state.now or state.locked
        told = f"{row.files} file{'s' * (row.files != 1)}, {row.bytes / 1e6:.1f} MB" if row else ""
        kind = _kind(state.path)
        known = row.fingerprint if row else ""
        if state.state == "not hashed" and state.locked:
            known = state.locked.fingerprint
        print(f"{state.name:<16} {state.state:<17} {kind:<16} {told:<24} {known[:12]:<13} {state.path or ''}".rstrip())
        use = (used or {}).get(state.name)
        if use is not None:
            print(f"  used by {', '.join(use.pages)}")
        if state.path is None:
            for line in _ways(state.name, use):
                print(f"  {line}")


def _kind(path: Path | None) -> str:
    try:
        return "" if path is None else kind_of(path)
    except OSError:
        return ""


def _ways(name: str, use: Use | None) -> list[str]:
    """How a source that is not here can be had."""
    ways = [found for dataset in sorted(use.datasets if use else ()) for found in that_reads(dataset)]
    if name in KNOWN and KNOWN[name] not in ways:
        ways.append(KNOWN[name])
    lines = [f"expt data fetch {found.name}   {found.title}" for found in ways]
    return [*lines, f'name it in expt.toml: [data] {name} = "folder", or in {variable_of(name)}']


def _fetch(args: argparse.Namespace) -> int:
    if not args.sources:
        for found in KNOWN.values():
            note = f"; {found.note}" if found.note else ""
            print(f"{found.name:<12} {found.title}{note}\n{'':<12} {found.files[0].url}")
        return 0
    if len(args.sources) > 1:
        raise UsageError("fetch takes one dataset at a time")
    (name,) = args.sources
    if name not in KNOWN:
        raise UsageError(f"there is no known dataset `{name}`", hint=did_you_mean(name, list(KNOWN)))
    project, download = here(), KNOWN[name]
    folder = Path(args.to).expanduser() if args.to else project.root / "data" / name
    folder = folder if folder.is_absolute() else Path.cwd() / folder
    got = fetch(download, folder, args.checksum or "", lambda line: print(line, file=sys.stderr))
    for file, sha256, checked in got.files:
        print(f"{file}  sha256:{sha256}" + ("  (checked)" if checked else "  (no checksum is known: this is what came)"))
    print(f"\n{download.title}: in {got.folder}")
    if download.note:
        print(download.note)
    source, where = _source_of(project, download), _shown(got.folder, project.root)
    print(f'\nsay so in expt.toml:\n\n[data]\n{source} = "{where}"\n\nthen: expt data lock')
    return 0


def _source_of(project: Project, download: Download) -> str:
    """What pages call data of this sort: the one source that they read as such and that is not here; else the dataset's name."""
    try:
        used, _ = uses(project)
    except ExptError:
        used = {}
    names = [name for name, use in used.items() if use.datasets & set(download.datasets) and project.source(name) is None]
    return names[0] if len(names) == 1 else download.name


def _shown(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else str(folder)
