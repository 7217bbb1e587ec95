"""`import`: an arm of results that were made elsewhere, and what can be told of such a file without heavy libraries."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from interpreter.fingerprint import file_hash
from interpreter.project import Project
from interpreter.spec import prediction_files
from interpreter.spec.base import Config
from interpreter.spec.components.objectives import Classification, Regression
from interpreter.spec.curve_files import Layout, named, read_curves
from interpreter.spec.formats import pieces, try_form
from interpreter.spec.metrics import METRICS
from interpreter.spec.names import NAME, did_you_mean

LIMIT_BYTES = 50_000_000
EVENTS = "events.out.tfevents"  # what names of TensorBoard's event files begin with
_SUFFIXES = {".csv": "curves", ".tsv": "curves", ".npz": "predictions", ".parquet": "predictions"}
_OBJECTIVES: dict[str, type[Classification | Regression]] = {"classification": Classification, "regression": Regression}
_NO_LABEL = re.compile(r"[\s\[\]=,@#/]+")
_SEED = re.compile(r"0|[1-9]\d{0,8}")
_FAR = 10**6  # a row as far down as any

Kind = Literal["curves", "predictions", "tensorboard"]


class ImportedSplit(Config):
    """One of several splits that a file has predictions for."""

    columns: dict[str, str] = Field(min_length=1)
    """Array -> outputs, probabilities, classes, targets, ids."""
    data: str | None = None
    """The dataset of this page it was measured on. Absent: nobody knows, and claims that compare it say so."""
    ids: str | None = None
    """What examples are called, by their row from 0: `v6-{row:05d}`. Absent: by the array of ids, else by their row."""


class Import(Config):
    """Results made elsewhere, taken in as trials: curves, predictions, or TensorBoard's event files."""

    import_: str | dict[str, str] = Field(alias="import")
    """The file, from the project's root or that of the source `from`; or one for each seed: `{0: a.csv, 1: b.csv}`."""
    from_: str | None = Field(default=None, alias="from", pattern=f"^{NAME.pattern}$")
    """The data source whose folder the file is in, by its name in `expt.toml`. Absent: the project's root."""
    each: str | dict[str, Annotated[list[str], Field(min_length=1)]] | None = None
    """The column of a table, or the array of names of an archive, that tells models apart: a point of a sweep for each. Or only
    some of them: `{model: [vgg, darc]}`, which is known where the file is not here, too."""
    splits: dict[str, ImportedSplit] | None = Field(default=None, min_length=1)
    """Of predictions for several splits: which arrays each has. They are one model's, and stages of one chain."""
    split: str = Field(default="val", pattern=f"^{NAME.pattern}$")
    """The split of what is called without one; of predictions, the split they are for."""
    data: str | None = None
    """The dataset of this page it was measured on. Absent: nobody knows, and claims that compare it say so."""
    ids: str | None = None
    """Of predictions: what examples are called, by row from 0: `v6-{row:05d}`. Absent: by the array of ids, or their row."""
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
                _roles({name: meaning}, "columns")
                continue
            split, slash, metric = meaning.rpartition("/")
            if slash and not NAME.fullmatch(split):
                raise ValueError(f"columns.{name}: `{split}` is no name of a split")
            if metric not in METRICS:
                raise ValueError(f"columns.{name}: there is no metric `{metric}`; {did_you_mean(metric, METRICS)}")
        if self.objective is not None and "predictions" not in kinds:
            raise ValueError("`objective` is for predictions, and this is none")
        return self

    @model_validator(mode="after")
    def _one_of_each(self) -> Import:
        kinds = {self.kind or kind_of(path) for path in self.files.values()}
        for key, given in (("splits", self.splits), ("ids", self.ids)):
            if given is not None and kinds != {"predictions"}:
                raise ValueError(f"`{key}` is for predictions, and this is none")
        if self.splits is not None:
            twice = [key for key in ("split", "columns", "data", "ids") if key in self.model_fields_set]
            if twice:
                raise ValueError(f"`{twice[0]}` is said for each of the `splits`, or once without them")
            for name, split in self.splits.items():
                if not NAME.fullmatch(name):
                    raise ValueError(f"`{name}` is no name of a split")
                _roles(split.columns, f"splits.{name}.columns")
                _template(split.ids, split.columns, f"splits.{name}.ids")
        _template(self.ids, self.columns or {}, "ids")
        if self.each is None:
            return self
        if isinstance(self.import_, dict):
            raise ValueError("`each` goes with one file")
        if kinds == {"tensorboard"}:
            raise ValueError("`each` is for tables and archives: give the event files of each model an arm of their own")
        if isinstance(self.each, dict) and len(self.each) != 1:
            raise ValueError("`each` is one column or array, with the names of some models: {model: [NAME, NAME]}")
        return self

    @property
    def each_name(self) -> str:
        """The column or array that tells models apart, "" where there is one model."""
        return next(iter(self.each)) if isinstance(self.each, dict) else self.each or ""

    @property
    def asked(self) -> tuple[str, ...]:
        """The models that the page names, () where it takes all that there are."""
        return tuple(next(iter(self.each.values()))) if isinstance(self.each, dict) else ()

    def parts(self) -> dict[str, Import]:
        """What is read of the file, by the stage that reads it: itself, or each of its splits as if there were no other."""
        if self.splits is None:
            return {"import": self}
        alone = {"splits": None}
        return {
            name: self.model_copy(update={**alone, "split": name, "columns": of.columns, "data": of.data, "ids": of.ids})
            for name, of in self.splits.items()
        }

    @property
    def files(self) -> dict[int | None, str]:
        """The file of each seed; under None the one of all seeds."""
        if isinstance(self.import_, str):
            return {None: self.import_}
        return {int(seed): path for seed, path in self.import_.items()}

    @property
    def layout(self) -> Layout:
        """What the file calls things."""
        return Layout(self.split, self.columns, self.epoch, self.first_epoch, self.seed, self.each_name, "", self.ids or "")


def _roles(columns: dict[str, str], where: str) -> None:
    """Raise ValueError for a role that predictions don't have."""
    for name, role in columns.items():
        if role not in prediction_files.ROLES:
            hint = did_you_mean(role, prediction_files.ROLES)
            raise ValueError(f"{where}.{name}: `{role}` is nothing that predictions have; {hint}")


def _template(ids: str | None, columns: dict[str, str], where: str) -> None:
    """Raise ValueError for a template that does not call every row something else, or names what has names."""
    if ids is None:
        return
    try:
        for piece in pieces(ids):
            if piece.hole not in ("", "row"):
                raise ValueError(f"there is no `{piece.hole}`")
            try_form(piece.form, whole=True)
        if ids.format(row=_FAR) == ids.format(row=_FAR + 1):
            raise ValueError("large numbers come out alike")
    except ValueError as error:
        raise ValueError(f"{where}: `{ids}` does not call every row something else: {error}; such as `v6-{{row:05d}}`") from None
    if "ids" in columns.values():
        raise ValueError(f"{where}: the examples have names already, in `columns`")


def folder_of(project: Project, source: str) -> Path | None:
    """Where imported files are: the project's root, or the folder of a data source, None where that is not here."""
    return project.source(source) if source else project.root


def point_labels(names: Iterable[str]) -> dict[str, str]:
    """What points are called, by the names of their models: as these, with `-` for signs that no label has."""
    return {name: _NO_LABEL.sub("-", name).strip("-") for name in names}


@dataclass(frozen=True, slots=True)
class ImportFacts:
    """What is known of an imported file before a worker reads it. `problems` are in words that follow its name."""

    sha256: str  # of its content, see `content_hash`; "" when it is not there or is not read
    kind: str  # curves | predictions | tensorboard, "" when it can't be told
    metrics: tuple[str, ...] | None = None  # `split/metric`; None: not known without heavy libraries
    seeds: tuple[int, ...] = ()  # that it tells apart; (): it serves any
    epochs: int | None = None
    problems: tuple[str, ...] = ()
    models: tuple[str, ...] = ()  # that it tells apart, those that are asked for


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


def unseen(file: str, config: Import) -> ImportFacts:
    """What is known of a file that is not here."""
    return ImportFacts("", config.kind or kind_of(PurePosixPath(file).name) or "", problems=("is not here",), models=config.asked)


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
        return unseen(path.name, config)
    except OSError as error:
        return ImportFacts("", config.kind or "", problems=(f"can't be read: {error.strerror or error}",))
    sha256 = hashlib.sha256(data).hexdigest()
    if kind == "curves":
        return _look_curves(sha256, data, path.name, config)
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


def _look_curves(sha256: str, data: bytes, name: str, config: Import) -> ImportFacts:
    found = read_curves(data, name, config.layout)
    models = config.asked or tuple(found.models)
    problems = [*found.problems, *(prediction_files.wrong_names(config.each_name, found.models, models) if config.each else ())]
    if problems:
        return ImportFacts(sha256, "curves", problems=tuple(problems))
    parts = [found.of_model(model) for model in models] if config.each else [found]
    seeds = tuple(sorted({seed for part in parts for seed in part.seeds}))
    epochs = max((part.epochs for part in parts), default=0)
    return ImportFacts(sha256, "curves", found.metrics, seeds, epochs, (), models if config.each else ())


def _look_predictions(sha256: str, data: bytes, name: str, config: Import) -> ImportFacts:
    metrics: list[str] = []
    if not name.lower().endswith(".npz"):
        for part in config.parts().values():
            metrics += _metrics(config.objective, part.split, False) if config.objective else ()
        if config.each and not config.asked:
            text = f"is no archive: say which models it has, `each: {{{config.each_name}: [NAME, NAME]}}`"
            return ImportFacts(sha256, "predictions", problems=(text,))
        return ImportFacts(sha256, "predictions", tuple(metrics) or None, (), 1, (), config.asked)
    arrays, problems = prediction_files.headers(data)
    models: tuple[str, ...] = ()
    if config.each and not problems:
        models, problems = _models(data, arrays, config)
    seeds = 0
    for part in config.parts().values() if not problems else ():
        found, wrong = prediction_files.roles([each for each in arrays if each != config.each_name], part.columns)
        of = arrays
        if config.each and not wrong:
            of, wrong = prediction_files.of_each(arrays, found, config.each_name, arrays[config.each_name].shape[0])
        several, more = prediction_files.misfit(of, found) if not wrong else (0, wrong)
        if more:
            problems += [f"{part.split}: {text}" if config.splits else text for text in more]
            continue
        seeds = max(seeds, several)
        task = config.objective or prediction_files.task_of(arrays, found)
        metrics += _metrics(task, part.split, "classes" in found)
    if problems:
        return ImportFacts(sha256, "predictions", problems=tuple(problems))
    return ImportFacts(sha256, "predictions", tuple(metrics), tuple(range(seeds)), 1, (), models)


def _models(data: bytes, arrays: Mapping[str, prediction_files.Array], config: Import) -> tuple[tuple[str, ...], list[str]]:
    """(the models that are asked for, what is wrong) of an archive."""
    each = config.each_name
    if each not in arrays:
        return (), [f"has no `{each}` to tell models apart; {did_you_mean(each, arrays)}"]
    there = prediction_files.texts(data, each, arrays[each])
    if there is None:
        return (), [f"`{each}` is no list of names"]
    models = config.asked or there
    return models, prediction_files.wrong_names(each, there, models)


def _metrics(task: str, split: str, only_classes: bool) -> tuple[str, ...]:
    names = prediction_files.CLASS_METRICS if only_classes else _OBJECTIVES[task].metrics
    return tuple(f"{split}/{name}" for name in names)


def _told(config: Import) -> tuple[str, ...] | None:
    """The metrics that the page itself names, for a file that is read by heavy libraries only."""
    return tuple(dict.fromkeys(named(config.columns, config.split).values())) if config.columns is not None else None


def _too_large(size: int) -> str:
    most = LIMIT_BYTES // 1_000_000
    return f"has {size / 1e6:.0f} MB, and {most} MB is the most that is read; keep what is needed, one row an epoch"
