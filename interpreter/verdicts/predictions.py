"""Recorded predictions of one stage at one epoch, and what each example adds to a metric."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from interpreter.errors import RecordError
from interpreter.parts.metrics.classification import log_softmax
from interpreter.parts.metrics.classification import predicted as predicted_classes
from interpreter.project import Project
from interpreter.results.read import query

Floats = npt.NDArray[np.float64]

_SEGMENTS = """
SELECT s.key, p.path, p.targets
FROM prediction_segments p JOIN stages s USING (stage_id)
WHERE p.split = ? AND s.key IN (SELECT unnest(?::VARCHAR[]))
"""
_NAME = re.compile(r"epochs-(\d+)-(\d+)\.parquet")


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a stage gave for each example of a split, in the order of their ids.

    Shape: ids (N,), targets (N,) or (N, K), outputs (N, K).
    """

    ids: tuple[str, ...]
    targets: npt.NDArray[np.generic]
    outputs: Floats


class Recorded:
    """Predictions of stages of a project, each file read once. Raises: RecordError where a file can't be read."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._segments: dict[str, dict[str, list[tuple[str, str]]]] = {}
        self._read: dict[tuple[str, str, int], Outputs | None] = {}

    def outputs(self, key: str, split: str, epoch: int) -> Outputs | None:
        """The predictions of the stage `key` for `split` at `epoch`, counted from 1; None where they were not kept."""
        if (key, split, epoch) not in self._read:
            self._read[key, split, epoch] = self._outputs(key, split, epoch)
        return self._read[key, split, epoch]

    def expect(self, split: str, keys: Iterable[str]) -> None:
        """Ask for the files of many stages at once, which is quicker than one by one."""
        known = self._segments.setdefault(split, {})
        missing = sorted(set(keys) - known.keys())
        known.update({key: [] for key in missing})
        if missing:
            for key, path, targets in query(self._project, _SEGMENTS, (split, missing)).rows:
                known[key].append((path, targets))

    def _outputs(self, key: str, split: str, epoch: int) -> Outputs | None:
        self.expect(split, [key])
        for path, targets in self._segments[split][key]:
            span = _NAME.fullmatch(Path(path).name)
            if span is None or not int(span[1]) <= epoch - 1 <= int(span[2]):
                continue
            table = self._table(path, [("epoch", "=", epoch - 1)]).sort_by("row")
            about = self._table(targets, None).sort_by("row")
            if not len(table):
                return None
            if not table["row"].equals(about["row"]):
                raise RecordError(f"{path}: not one output for each row of {targets}")
            ids = np.array(about["id"].to_pylist(), dtype=np.str_)
            order = np.argsort(ids, kind="stable")
            outputs = np.asarray(_values(table["output"]), dtype=np.float64).reshape(len(ids), -1)
            return Outputs(tuple(ids[order].tolist()), _values(about["target"])[order], outputs[order])
        return None

    def _table(self, path: str, filters: list[tuple[str, str, int]] | None) -> pa.Table:
        try:
            return pq.read_table(self._project.root / path, filters=filters)
        except (OSError, pa.ArrowException) as error:
            words = str(error).strip().partition("\n")[0]
            raise RecordError(f"{path} can't be read: {words}", hint="`expt rebuild` forgets what is gone") from None


def _values(column: pa.ChunkedArray) -> npt.NDArray[np.generic]:
    """A column of numbers (N,), or of lists of equal length (N, K), as an array."""
    if pa.types.is_list(column.type):
        return np.asarray(pc.list_flatten(column).to_numpy(), dtype=np.float64).reshape(len(column), -1)
    return np.asarray(column.to_numpy())


@dataclass(frozen=True, slots=True)
class PerExample:
    """A metric as a function of a mean over examples: what each adds, and what is made of the mean."""

    adds: Callable[[Outputs], Floats]  # -> (N,)
    of_mean: Callable[[Floats], Floats] | None = None  # None: the mean is the metric


def _hits(found: Outputs) -> Floats:
    return np.asarray(predicted_classes(found.outputs) == found.targets, dtype=np.float64)


def _top5(found: Outputs) -> Floats:
    classes = found.targets.astype(np.int64)
    own = found.outputs[np.arange(len(classes)), classes][:, None]
    before = np.arange(found.outputs.shape[1])[None, :] < classes[:, None]
    above = (found.outputs > own) | ((found.outputs == own) & before)  # of equal outputs the first is higher
    return np.asarray((above.sum(axis=1) < 5) & ~np.isnan(found.outputs).any(axis=1), dtype=np.float64)


def _nll(found: Outputs) -> Floats:
    own = log_softmax(found.outputs)[np.arange(len(found.targets)), found.targets.astype(np.int64)]
    return np.asarray(-own, dtype=np.float64)


def _brier(found: Outputs) -> Floats:
    p = np.exp(log_softmax(found.outputs))
    p[np.arange(len(found.targets)), found.targets.astype(np.int64)] -= 1
    return np.asarray(np.square(p).sum(axis=1), dtype=np.float64)


def _errors(found: Outputs) -> Floats:
    return np.asarray(found.outputs - found.targets.astype(np.float64).reshape(found.outputs.shape), dtype=np.float64)


def _absolute(found: Outputs) -> Floats:
    return np.asarray(np.abs(_errors(found)).mean(axis=1), dtype=np.float64)


def _squares(found: Outputs) -> Floats:
    return np.asarray(np.square(_errors(found)).mean(axis=1), dtype=np.float64)


PER_EXAMPLE: Mapping[str, PerExample] = MappingProxyType(
    {
        "accuracy": PerExample(_hits),
        "top5": PerExample(_top5),
        "nll": PerExample(_nll),
        "brier": PerExample(_brier),
        "mae": PerExample(_absolute),
        "rmse": PerExample(_squares, np.sqrt),
    }
)
"""Metrics that are a mean over examples, or a function of one. As `interpreter.parts.metrics` has them over a whole split."""
