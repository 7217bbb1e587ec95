"""`import`: an arm of results that were made elsewhere, and what can be told of such a file without heavy libraries."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, field_validator, model_validator

from interpreter.fingerprint import file_hash
from interpreter.spec import prediction_files
from interpreter.spec.base import Config
from interpreter.spec.components.objectives import Classification, Regression
from interpreter.spec.curve_files import Layout, named, read_curves
from interpreter.spec.metrics import METRICS
from interpreter.spec.names import NAME, did_you_mean

LIMIT_BYTES = 50_000_000
EVENTS = "events.out.tfevents"  # what names of TensorBoard's event files begin with
_SUFFIXES = {".csv": "curves", ".tsv": "curves", ".npz": "predictions", ".parquet": "predictions"}
_OBJECTIVES: dict[str, type[Classification | Regression]] = {"classification": Classification, "regression": Regression}
_SEED = re.compile(r"0|[1-9]\d{0,8}")

Kind = Literal["curves", "predictions", "tensorboard"]


class Import(Config):
    """Results made elsewhere, taken in as trials: curves, predictions, or TensorBoard's event files."""

    import_: str | dict[str, str] = Field(alias="import")
    """The file, from the project's root; or one for each seed: `{0: a.csv, 1: b.csv}`."""
    split: str = Field(default="val", pattern=f"^{NAME.pattern}$")
    """The split of what is called without one; of predictions, the split they are for."""
    data: str | None = None
    """The dataset of this page it was measured on. Absent: nobody knows, and claims that compare it say so."""
    kind: Kind | None = None
    """What is in it. Absent: by its name: .csv, .tsv curves; .npz, .parquet predictions; event files or a folder tensorboard."""
    columns: dict[str, str] | None = Field(default=None, min_length=1)
    """Column or tag -> `split/metric` or `metric`; of predictions, array -> outputs, probabilities, classes, targets, ids.
    Absent: what is called after a metric, such as `val_loss`, `val/loss`, `validation_accuracy`, `Loss/train`."""
    epoch: str = "epoch"
    """The column, or scalar tag, that counts epochs. Event files without it count them by their steps."""
    first_epoch: Literal[0, 1] = 1
    """What the file calls the first epoch."""
    seed: str = "seed"
    """The column that tells seeds apart. A file without it serves every seed that names it."""
    objective: Literal["classification", "regression"] | None = None
    """What predictions are of. Absent: classes where the targets are whole numbers."""
    source: str = ""
    """Where the numbers come from, in words."""
    baseline: bool = False
    """Claims and tables compare against this arm."""

    @field_validator("import_")
    @classmethod
    def _inside(cls, value: str | dict[str, str]) -> str | dict[str, str]:
        for path in [value] if isinstance(value, str) else value.values():
            pure = PurePosixPath(path)
            if not path.strip() or "\\" in path or pure.is_absolute() or ".." in pure.parts or path.startswith("~"):
                raise ValueError(f"`{path}` is no path from the project's root: relative, with `/`, without `..`")
        if isinstance(value, dict):
            if not value:
                raise ValueError("no files")
            for seed in value:
                if not _SEED.fullmatch(seed):
                    raise ValueError(f"`{seed}` is no seed, and files are given by seed: {{0: FILE, 1: FILE}}")
        return value

    @model_validator(mode="after")
    def _known_columns(self) -> Import:
        kinds = {self.kind or kind_of(path) for path in self.files.values()}
        for name, meaning in (self.columns or {}).items():
            if kinds == {"predictions"}:
                if meaning not in prediction_files.ROLES:
                    hint = did_you_mean(meaning, prediction_files.ROLES)
                    raise ValueError(f"columns.{name}: `{meaning}` is nothing that predictions have; {hint}")
                continue
            split, slash, metric = meaning.rpartition("/")
            if slash and not NAME.fullmatch(split):
                raise ValueError(f"columns.{name}: `{split}` is no name of a split")
            if metric not in METRICS:
                raise ValueError(f"columns.{name}: there is no metric `{metric}`; {did_you_mean(metric, METRICS)}")
        if self.objective is not None and "predictions" not in kinds:
            raise ValueError("`objective` is for predictions, and this is none")
        return self

    @property
    def files(self) -> dict[int | None, str]:
        """The file of each seed; under None the one of all seeds."""
        if isinstance(self.import_, str):
            return {None: self.import_}
        return {int(seed): path for seed, path in self.import_.items()}

    @property
    def layout(self) -> Layout:
        """What the file calls things."""
        return Layout(self.split, self.columns, self.epoch, self.first_epoch, self.seed)


@dataclass(frozen=True, slots=True)
class ImportFacts:
    """What is known of an imported file before a worker reads it. `problems` are in words that follow its name."""

    sha256: str  # of its content, see `content_hash`; "" when it is not there or is not read
    kind: str  # curves | predictions | tensorboard, "" when it can't be told
    metrics: tuple[str, ...] | None = None  # `split/metric`; None: not known without heavy libraries
    seeds: tuple[int, ...] = ()  # that it tells apart; (): it serves any
    epochs: int | None = None
    problems: tuple[str, ...] = ()


def kind_of(path: str) -> str | None:
    """The kind of a file by its name; None for a folder, or a name that says nothing."""
    pure = PurePosixPath(path)
    return "tensorboard" if pure.name.startswith(EVENTS) else _SUFFIXES.get(pure.suffix.lower())


def event_files(folder: Path) -> list[Path]:
    """The event files directly in `folder`, by name, which begins with the time they were made."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.name.startswith(EVENTS) and entry.is_file())


def content_hash(path: Path) -> str:
    """The sha256 of a file, in hex; of a folder, that of a line "name<TAB>size<TAB>sha256<LF>" for each event file in it.

    Raises: OSError.
    """
    if not path.is_dir():
        return file_hash(path)
    lines = (f"{file.name}\t{file.stat().st_size}\t{file_hash(file)}\n" for file in event_files(path))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def look(path: Path, config: Import) -> ImportFacts:
    """What `path`, which `config` names, holds. Reads the file; never raises for what is in it."""
    try:
        if path.is_dir():
            return _look_folder(path, config)
        size = path.stat().st_size
        kind = config.kind or kind_of(path.name)
        if kind is None:
            return ImportFacts(
                "", "", problems=("is of no known kind by its name; say `kind: curves | predictions | tensorboard`",)
            )
        if size > LIMIT_BYTES:
            return ImportFacts("", kind, problems=(_too_large(size),))
        data = path.read_bytes()
    except FileNotFoundError:
        return ImportFacts("", config.kind or kind_of(path.name) or "", problems=("is not here",))
    except OSError as error:
        return ImportFacts("", config.kind or "", problems=(f"can't be read: {error.strerror or error}",))
    sha256 = hashlib.sha256(data).hexdigest()
    if kind == "curves":
        found = read_curves(data, path.name, config.layout)
        if found.problems:
            return ImportFacts(sha256, kind, problems=tuple(found.problems))
        return ImportFacts(sha256, kind, found.metrics, found.seeds, found.epochs)
    if kind == "predictions":
        return _look_predictions(sha256, data, path.name, config)
    return ImportFacts(sha256, kind, _told(config))


def _look_folder(path: Path, config: Import) -> ImportFacts:
    if config.kind is not None and config.kind != "tensorboard":
        return ImportFacts("", config.kind, problems=(f"is a folder, and {config.kind} are a file",))
    files = event_files(path)
    if not files:
        below = sorted(folder.name for folder in path.iterdir() if folder.is_dir() and event_files(folder))
        hint = f"; its folders {', '.join(f'`{name}`' for name in below[:5])} do" if below else ""
        return ImportFacts("", "tensorboard", problems=(f"has no event files, {EVENTS}*{hint}",))
    size = sum(file.stat().st_size for file in files)
    if size > LIMIT_BYTES:
        return ImportFacts("", "tensorboard", problems=(_too_large(size),))
    return ImportFacts(content_hash(path), "tensorboard", _told(config))


def _look_predictions(sha256: str, data: bytes, name: str, config: Import) -> ImportFacts:
    if not name.lower().endswith(".npz"):
        known = _metrics(config.objective, config.split, False) if config.objective else None
        return ImportFacts(sha256, "predictions", known, (), 1)
    arrays, problems = prediction_files.headers(data)
    if not problems:
        found, problems = prediction_files.roles(arrays, config.columns)
    if problems:
        return ImportFacts(sha256, "predictions", problems=tuple(problems))
    seeds, problems = prediction_files.misfit(arrays, found)
    if problems:
        return ImportFacts(sha256, "predictions", problems=tuple(problems))
    task = config.objective or prediction_files.task_of(arrays, found)
    metrics = _metrics(task, config.split, "classes" in found)
    return ImportFacts(sha256, "predictions", metrics, tuple(range(seeds)), 1)


def _metrics(task: str, split: str, only_classes: bool) -> tuple[str, ...]:
    names = prediction_files.CLASS_METRICS if only_classes else _OBJECTIVES[task].metrics
    return tuple(f"{split}/{name}" for name in names)


def _told(config: Import) -> tuple[str, ...] | None:
    """The metrics that the page itself names, for a file that is read by heavy libraries only."""
    return tuple(dict.fromkeys(named(config.columns, config.split).values())) if config.columns is not None else None


def _too_large(size: int) -> str:
    most = LIMIT_BYTES // 1_000_000
    return f"has {size / 1e6:.0f} MB, and {most} MB is the most that is read; keep what is needed, one row an epoch"
