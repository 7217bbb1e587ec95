"""Reading curves from a CSV file that another program wrote: forgiving about its form, never about its numbers.

Two forms are understood. Wide: a column a metric, and a row an epoch (of a seed, where there is such a column); an empty cell
is no value, so that training and validation may stand in rows of their own. Long: columns `metric` and `value`. In both a
column `split` says of which split a row's metrics are that name none themselves. Separator: comma, semicolon or tab, whichever
the header has most of. UTF-8, with or without a byte order mark; any line ends.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from interpreter.spec.metrics import METRICS
from interpreter.spec.names import NAME, did_you_mean

SPLITS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
ALIASES: Mapping[str, str] = {
    "acc": "accuracy", "top_5": "top5", "top5_acc": "top5", "top5_accuracy": "top5", "f1_score": "f1", "brier_score": "brier",
    "pearsonr": "pearson", "spearmanr": "spearman",
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|inf(inity)?)|nan", re.IGNORECASE)
_WHOLE = re.compile(r"\d{1,9}(\.0*)?")
_TOLD = 10  # problems told of one file; a wrong column has one on every line
_SLACK = 1e-6  # beyond a metric's bounds: single precision


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file calls things: see the fields of `Import`."""

    split: str = "val"
    columns: Mapping[str, str] | None = None
    epoch: str = "epoch"
    first_epoch: int = 1
    seed: str = "seed"
    each: str = ""  # the column, or the array, that tells models apart; "": there is one model
    model: str = ""  # the one of them that is read; "": all
    ids: str = ""  # how examples without names are called, by their row: "v6-{row:05d}"


Epochs = dict[int, dict[str, float]]  # epoch (from 0) -> split/metric -> value


@dataclass(slots=True)
class Curves:
    """Curves of one file by seed (None: it has none). With `problems`, in words, the rest is not to be used."""

    by_seed: dict[int | None, Epochs] = field(default_factory=dict)
    models: dict[str, dict[int | None, Epochs]] = field(default_factory=dict)  # by name, where a column tells them apart
    problems: list[str] = field(default_factory=list)
    more: int = 0  # problems not told

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every `split/metric` that has a value, in order of appearance."""
        every = [self.by_seed, *self.models.values()]
        return tuple(dict.fromkeys(m for of in every for epochs in of.values() for row in epochs.values() for m in row))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, ascending."""
        return tuple(sorted(seed for seed in self.by_seed if seed is not None))

    @property
    def epochs(self) -> int:
        """The last epoch, counted from 1."""
        return max((max(epochs) + 1 for epochs in self.by_seed.values() if epochs), default=0)

    def of_model(self, name: str) -> Curves:
        """Those of one model."""
        return Curves(self.models.get(name, {}), {}, self.problems, self.more)

    def tell(self, text: str) -> None:
        """Keep a problem, or count it where there are many."""
        if len(self.problems) < _TOLD:
            self.problems.append(text)
        else:
            self.more += 1


def metric_of(name: str, split: str) -> str | None:
    """`split/metric` that a column or tag called `name` stands for, or None.

    The words of a name are what stands between other signs than letters and digits, in any case. A first or last word that
    means a split (train, val, test and their longer forms, or `split` itself) says which, else it is `split`; the rest must
    be a metric of this program or an alias of one. A last word `epoch` is dropped: `train_loss_epoch` is train/loss.
    """
    words = [word for word in re.split(r"[\W_]+", name.lower()) if word]
    if len(words) > 1 and words[-1] == "epoch":
        words = words[:-1]
    known = {**SPLITS, split: split}
    found = split
    for at in (0, -1):
        if len(words) > 1 and words[at] in known:
            found = known[words.pop(at)]
            break
    metric = "_".join(words)
    metric = ALIASES.get(metric, metric)
    return f"{found}/{metric}" if metric in METRICS else None


def named(columns: Mapping[str, str], split: str) -> dict[str, str]:
    """`columns` as the page gives them, with `split` where they name none."""
    return {name: metric if "/" in metric else f"{split}/{metric}" for name, metric in columns.items()}


def out_of_bounds(metric: str, value: float) -> str:
    """Why `value` can't be one of `metric` (`split/name`), or ""."""
    info = METRICS.get(metric.rpartition("/")[2])
    if info is None or not math.isfinite(value):
        return ""
    low, high = info.low, info.high
    if (low is None or value >= low - _SLACK) and (high is None or value <= high + _SLACK):
        return ""
    bounds = f"between {low:g} and {high:g}" if low is not None and high is not None else f"{low:g} or more"
    percent = " (percent? divide by 100)" if high == 1.0 and 1 < value <= 100 else ""
    return f"{metric} is {bounds}, and this is {value:g}{percent}"


def read_curves(data: bytes, name: str, layout: Layout) -> Curves:
    """The curves in `data`, the content of the file `name`."""
    found = Curves()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found.tell(f"line {line}: not UTF-8 text (byte {error.start}); save it as UTF-8")
        return found
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = "\t" if name.lower().endswith(".tsv") else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = next((row for row in reader if any(cell.strip() for cell in row)), None)
        if header is None:
            found.tell("is empty")
            return found
        table = _Table([cell.strip() for cell in header], layout, found)
        if not found.problems:
            for row in reader:
                if any(cell.strip() for cell in row):
                    table.take(row, reader.line_num)
            table.end()
    except csv.Error as error:
        found.tell(f"line {reader.line_num}: {error}")
    if found.more:
        found.problems.append(f"and {found.more} more")
    return found


class _Table:
    """Takes rows in, by what the header says."""

    def __init__(self, header: list[str], layout: Layout, found: Curves) -> None:
        self._width, self._layout, self._found = len(header), layout, found
        self._seen: dict[tuple[str, int | None, int], int] = {}  # (model, seed, epoch) -> line
        twice = sorted({name for name in header if name and header.count(name) > 1})
        for name in twice:
            found.tell(f"has two columns `{name}`")
        at = {cell: place for place, cell in enumerate(header) if cell}
        self._seed = at.get(layout.seed)
        self._epoch = at.get(layout.epoch)
        self._epochless = self._epoch is None
        lower = {cell.lower(): place for cell, place in at.items()}
        self._split = lower.get("split")
        self._each = at.get(layout.each) if layout.each else None
        if layout.each and self._each is None:
            found.tell(f"has no column `{layout.each}` to tell models apart; {did_you_mean(layout.each, at)}")
        self._long = (lower["metric"], lower["value"]) if {"metric", "value"} <= lower.keys() else None
        self._wanted = named(layout.columns, layout.split) if layout.columns is not None else None
        self._columns = {} if self._long or twice else self._choose(at)
        if self._epoch is None and not twice:
            self._no_epoch([cell for cell in at if cell not in (layout.seed, layout.each, *self._columns)])

    def _choose(self, at: Mapping[str, int]) -> dict[str, tuple[int, str]]:
        """Column -> (its place, `split/metric`)."""
        layout, found = self._layout, self._found
        if self._wanted is not None:
            for name in self._wanted:
                if name not in at:
                    found.tell(f"has no column `{name}`; {did_you_mean(name, at)}")
            return {name: (at[name], metric) for name, metric in self._wanted.items() if name in at}
        counted = (layout.epoch, layout.seed, layout.each)
        kept = {name: metric_of(name, layout.split) for name in at if name not in counted}
        chosen = {name: (at[name], metric) for name, metric in kept.items() if metric is not None}
        if not chosen:
            some = ", ".join(f"`{name}`" for name in list(kept)[:8]) or "none besides"
            found.tell(f"has no column that is a known metric (it has {some}); name them: `columns: {{COLUMN: split/metric}}`")
        for name, (_, metric) in chosen.items():
            same = [other for other, (_, m) in chosen.items() if m == metric]
            if same[0] == name and len(same) > 1:
                found.tell(f"has several columns that mean {metric}: {', '.join(same)}; choose with `columns`")
        return chosen

    def _no_epoch(self, others: list[str]) -> None:
        """A column of epochs may be missing where a seed has one row; not where one has nearly that name."""
        wanted = self._layout.epoch
        close = [name for name in others if name.lower() == wanted.lower()]
        hint = f"did you mean `{close[0]}`?" if close else did_you_mean(wanted, others)
        if wanted != "epoch" or hint.startswith("did you mean"):
            self._found.tell(f"has no column `{wanted}`; {hint}")

    def take(self, row: list[str], line: int) -> None:
        """Take the row that ends on `line` in."""
        if len(row) != self._width:
            self._found.tell(f"line {line}: {len(row)} fields, and the header has {self._width}")
            return
        seed = self._whole(row, self._seed, self._layout.seed, line)
        epoch = self._whole(row, self._epoch, self._layout.epoch, line) if not self._epochless else self._layout.first_epoch
        if epoch is None or (seed is None and self._seed is not None):
            return
        index = epoch - self._layout.first_epoch
        if index < 0:
            self._found.tell(f"line {line}: epoch {epoch}, and the first is {self._layout.first_epoch}; say `first_epoch: 0`")
            return
        model, split = "", self._layout.split
        if self._each is not None:
            model = row[self._each].strip()
            if not model:
                self._found.tell(f"line {line}: no name in column `{self._layout.each}`")
                return
            if self._layout.model not in ("", model):
                return
        if self._split is not None:
            split = row[self._split].strip().lower()
            split = SPLITS.get(split, split)
            if not NAME.fullmatch(split):
                self._found.tell(f"line {line}: `{split[:40]}` in column `split` is no name: small letters, digits, _ and -")
                return
        cells = self._cells(row, line, split)
        of = self._found.by_seed if self._each is None else self._found.models.setdefault(model, {})
        values = of.setdefault(seed, {}).setdefault(index, {})
        for name, metric in cells:
            value = self._number(row[name], metric, line)
            if value is None:
                continue
            if metric in values:
                self._twice((model, seed, index), metric, line)
                break
            values[metric] = value
        self._seen.setdefault((model, seed, index), line)

    def _cells(self, row: list[str], line: int, split: str) -> list[tuple[int, str]]:
        """The places of the values in `row`, which is of `split` where nothing else is said, each with its `split/metric`."""
        if self._long is None:
            if self._split is None:
                return list(self._columns.values())
            return [(place, self._meant(name, split) or metric) for name, (place, metric) in self._columns.items()]
        name = row[self._long[0]].strip()
        metric = self._meant(name, split)
        if metric is None and not name:
            self._found.tell(f"line {line}: no name in column `metric`")
        return [(self._long[1], metric)] if metric is not None else []

    def _meant(self, name: str, split: str) -> str | None:
        """`split/metric` that a column, or a metric of the long form, called `name` stands for in a row of `split`."""
        columns = self._layout.columns
        return metric_of(name, split) if columns is None else named(columns, split).get(name)

    def _twice(self, where: tuple[str, int | None, int], metric: str, line: int) -> None:
        before = self._seen[where]
        model, seed, index = where
        epoch = index + self._layout.first_epoch
        if self._epochless and self._long is None:
            self._found.tell(f"line {line}: a second row, and there is no column `{self._layout.epoch}` to tell them apart")
        else:
            when = "" if self._epochless else f" of epoch {epoch}"
            whose = "" if seed is None else f", seed {seed},"
            whose = f"{whose or ','} {self._layout.each} {model}," if model else whose
            self._found.tell(f"line {line}: {metric}{when}{whose} is there twice (its rows begin on line {before})")

    def _number(self, cell: str, metric: str, line: int) -> float | None:
        cell = cell.strip()
        if not cell:
            return None
        if not _NUMBER.fullmatch(cell):
            comma = f"; a decimal comma? write {cell.replace(',', '.')}" if re.fullmatch(r"[+-]?\d+,\d+", cell) else ""
            self._found.tell(f"line {line}: `{cell[:40]}` is no number ({metric}){comma}")
            return None
        value = float(cell)
        if why := out_of_bounds(metric, value):
            self._found.tell(f"line {line}: {why}")
        return value

    def _whole(self, row: list[str], place: int | None, name: str, line: int) -> int | None:
        if place is None:
            return None
        cell = row[place].strip()
        if not _WHOLE.fullmatch(cell):
            self._found.tell(f"line {line}: `{cell[:40]}` in column `{name}` is no whole number from 0 up")
            return None
        return int(cell.partition(".")[0])

    def end(self) -> None:
        """Say what is missing now that all rows are in."""
        every = [self._found.by_seed, *self._found.models.values()]
        for epochs in [epochs for of in every for epochs in of.values()]:
            for index in [index for index, row in epochs.items() if not row]:
                del epochs[index]
        if not self._found.problems and not self._found.metrics:
            self._found.tell("has no values of known metrics" if self._seen else "has no rows")
