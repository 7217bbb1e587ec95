"""Where a project's things are: its root (the folder with expt.toml), and every path below it.

`expt.toml` (all keys optional):

    plugins = ["my_package"]     # modules with components of your own; docs/plugins.md
    [data]                      # source name -> folder; EXPT_DATA_<NAME> in the environment wins
    clothing = "../photos"
    [run]
    jobs = 2                    # stages at a time          (default: cores // threads)
    threads = 1                 # torch threads of a stage  (default: 1; recorded with the attempt)
    loader_workers = 0          # loader processes of a stage
    restart_workers = false     # true: they end with each epoch and begin anew, so what they leak is given back
    accelerator = "auto"
    keep_predictions = "auto"   # every_epoch | best | none | auto (every_epoch while under 50 MB)
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from interpreter.errors import UsageError

SOURCE_VARIABLE = "EXPT_DATA_"  # and the name of a data source: the environment says where it is


def variable_of(source: str) -> str:
    """The variable of the environment that says where a data source is, whatever expt.toml says."""
    return SOURCE_VARIABLE + source.upper().replace("-", "_")


@dataclass(frozen=True, slots=True)
class Execution:
    """How stages are executed; none of it is identity."""

    jobs: int = 0
    threads: int = 1
    loader_workers: int = 0
    restart_workers: bool = False
    accelerator: str = "auto"
    keep_predictions: str = "auto"

    def resolved_jobs(self) -> int:
        """Stages at a time: as asked, else as many as the cores allow."""
        return self.jobs or max(1, (os.cpu_count() or 1) // self.threads)


@dataclass(frozen=True, slots=True)
class Project:
    """One folder of specs, records, database and reports."""

    root: Path
    data: dict[str, str] = field(default_factory=dict)
    execution: Execution = Execution()
    plugins: tuple[str, ...] = ()  # modules, in the order written

    @property
    def specs(self) -> Path:
        """The pages."""
        return self.root / "specs"

    @property
    def runs(self) -> Path:
        """The record: a folder for each stage, by key."""
        return self.root / "runs"

    @property
    def ledger(self) -> Path:
        """When claims and pages were first seen."""
        return self.runs / "ledger.jsonl"

    @property
    def page_texts(self) -> Path:
        """Page texts by hash, as they were when something was run from them."""
        return self.runs / "pages"

    @property
    def database(self) -> Path:
        """The index over the record, made from it."""
        return self.root / "results.duckdb"

    @property
    def reports(self) -> Path:
        """What is drawn."""
        return self.root / "reports"

    @property
    def data_lock(self) -> Path:
        """Fingerprints of the named data sources."""
        return self.root / "data.lock"

    @property
    def cache(self) -> Path:
        """What can be thrown away and made again: decoded images, parsed trees, facts of models."""
        return self.root / ".expt"

    def source(self, name: str) -> Path | None:
        """The folder of the data source `name`, or None when nothing says where it is or it is not there."""
        text = os.environ.get(variable_of(name)) or self.data.get(name)
        if not text:
            return None
        path = Path(text).expanduser()
        path = path if path.is_absolute() else self.root / path
        return path if path.exists() else None


_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_EXECUTION_TYPES: dict[str, type] = {
    "jobs": int,
    "threads": int,
    "loader_workers": int,
    "restart_workers": bool,
    "accelerator": str,
    "keep_predictions": str,
}


def find_project(start: Path) -> Project:
    """The project that `start` (a file or folder) belongs to: the nearest folder above with expt.toml or specs/."""
    start = start.resolve()
    folders = [start, *start.parents] if start.is_dir() else list(start.parents)
    for folder in folders:
        if (folder / "expt.toml").is_file() or (folder / "specs").is_dir():
            return load_project(folder)
    raise UsageError(
        f"no project here: {start} is in no folder with an expt.toml or a specs/",
        hint="make a specs/ folder, or an empty expt.toml, at the top of your project",
    )


def load_project(root: Path) -> Project:
    """The project at `root`, with its expt.toml read and checked.

    Raises: UsageError for a file that is not TOML, or an unknown or ill-typed key.
    """
    path = root / "expt.toml"
    if not path.is_file():
        return Project(root)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from None
    for key in table:
        if key not in {"data", "run", "plugins"}:
            raise UsageError(f"{path}: unknown table or key `{key}`", hint="known: [data], [run], plugins")
    data = table.get("data", {})
    for name, value in data.items():
        if not isinstance(value, str):
            raise UsageError(f"{path}: [data] {name} must be a path in quotes, got {value!r}")
    run = table.get("run", {})
    for key, value in run.items():
        kind = _EXECUTION_TYPES.get(key)
        if kind is None:
            raise UsageError(f"{path}: [run] has no key `{key}`", hint=f"known: {', '.join(_EXECUTION_TYPES)}")
        if type(value) is not kind or (isinstance(value, int) and value < (1 if key == "threads" else 0)):
            wanted = "true or false" if kind is bool else f"a {kind.__name__} in range"
            raise UsageError(f"{path}: [run] {key} must be {wanted}, got {value!r}")
    return Project(root, dict(data), Execution(**run), _plugins(path, table.get("plugins", [])))


def _plugins(path: Path, written: object) -> tuple[str, ...]:
    hint = 'write it above the first [table]: plugins = ["my_package"]'
    if not isinstance(written, list):
        raise UsageError(f"{path}: plugins must be a list of module names in quotes, got {written!r}", hint=hint)
    for name in written:
        if not isinstance(name, str) or not _MODULE.fullmatch(name):
            raise UsageError(f"{path}: plugins are names of modules, such as my_package or lab.parts, not {name!r}", hint=hint)
    if twice := sorted({name for name in written if written.count(name) > 1}):
        raise UsageError(f"{path}: plugins names {', '.join(twice)} twice")
    return tuple(written)
