"""Predictions of a split over the epochs: ids and targets once, outputs in Parquet segments that are merged as they grow.

Segments are written before the checkpoint that names them, and removed only after one that doesn't.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from interpreter.errors import StageFailed
from interpreter.parts.contract import Split
from interpreter.stages.work import Work

AUTO_LIMIT_BYTES = 50_000_000  # under `auto`, every epoch is kept while all of them stay below this
_MERGE_AT = 64  # single-epoch segments
_NAME = re.compile(r"epochs-(\d{4,})-(\d{4,})\.parquet")
_SCHEMA = pa.schema([("epoch", pa.int32()), ("row", pa.int32()), ("output", pa.list_(pa.float32()))])


def mode_of(asked: str, rows: int, outputs: int, epochs: int) -> str:
    """What is kept, "every_epoch", "best" or "none", when `asked` may say "auto"."""
    if asked != "auto":
        return asked
    return "every_epoch" if rows * outputs * max(1, epochs) * 4 < AUTO_LIMIT_BYTES else "best"


class Predictions:
    """The predictions of one split in one record."""

    def __init__(self, work: Work, split: str, mode: str, segments: list[str]) -> None:
        self._work = work
        self._folder = work.record.predictions / split
        self.mode = mode
        self.segments = segments

    def targets(self, split: Split) -> None:
        """Write ids and targets, once. A target is an integer class, a number, or a list of numbers."""
        path = self._folder / "targets.parquet"
        if self.mode == "none" or path.exists():
            return
        values = split.targets.cpu().numpy()
        if values.ndim == 2 and values.shape[1] > 1:
            target: pa.Array = _lists(values)
        else:
            target = pa.array(values.reshape(-1))
        rows = pa.array(np.arange(len(split), dtype=np.int32))
        table = pa.table({"row": rows, "id": pa.array([str(i) for i in split.ids], pa.string()), "target": target})
        self._work.write(path, lambda file: pq.write_table(table, file, compression="zstd"))

    def add(self, epoch: int, outputs: torch.Tensor, is_best: bool) -> None:
        """Keep the outputs of `epoch`, if the mode asks for them. Shape: (N, outputs)."""
        if self.mode == "none" or (self.mode == "best" and not is_best):
            return
        name = f"epochs-{epoch:04d}-{epoch:04d}.parquet"
        values = outputs.numpy().reshape(len(outputs), -1)
        rows = np.arange(len(values), dtype=np.int32)
        table = pa.Table.from_arrays(
            [pa.array(np.full(len(values), epoch, dtype=np.int32)), pa.array(rows), _lists(values)], schema=_SCHEMA
        )
        self._work.write(self._folder / name, lambda file: pq.write_table(table, file, compression="zstd"))
        self.segments = [name] if self.mode == "best" else [*self.segments, name]
        single = [s for s in self.segments if _span(s) == 1]
        if len(single) >= _MERGE_AT:
            self.segments = [*(s for s in self.segments if _span(s) > 1), self._merge(single)]

    def compact(self) -> None:
        """Merge all segments into one; the old ones stay until `prune`."""
        if len(self.segments) > 1:
            self.segments = [self._merge(self.segments)]

    def prune(self) -> None:
        """Remove segments that are no longer named. Call it when what names them is on disk."""
        if not self._folder.is_dir():
            return
        self._work.attempt.check()
        for path in self._folder.glob("epochs-*.parquet"):
            if path.name not in self.segments:
                path.unlink(missing_ok=True)

    def _merge(self, names: list[str]) -> str:
        numbers = [[int(g) for g in m.groups()] for m in map(_NAME.fullmatch, names) if m]
        merged = f"epochs-{numbers[0][0]:04d}-{numbers[-1][1]:04d}.parquet"

        def write(file: object) -> None:
            with pq.ParquetWriter(file, _SCHEMA, compression="zstd") as writer:
                for name in names:
                    writer.write_table(pq.read_table(self._folder / name))

        self._work.write(self._folder / merged, write)
        return merged


def read(folder: Path, segments: list[str], epoch: int) -> tuple[list[str], np.ndarray, np.ndarray] | None:
    """(ids, targets, outputs) of `epoch` (from 0) in a split's folder, or None when that epoch was not kept.

    Shape: targets (N,) or (N, K), outputs (N, K) float32. Raises: StageFailed when the files can't be read or don't fit together.
    """
    spans = {name: [int(g) for g in found.groups()] for name in segments if (found := _NAME.fullmatch(name))}
    chosen = next((name for name, (first, last) in spans.items() if first <= epoch <= last), None)
    if chosen is None:
        return None
    try:
        known = pq.read_table(folder / "targets.parquet").sort_by("row")
        table = pq.read_table(folder / chosen, filters=[("epoch", "=", epoch)]).sort_by("row")
        outputs = table["output"].combine_chunks()
        if not table["row"].equals(known["row"]) or len(outputs) == 0 or len(outputs.flatten()) % len(outputs):
            raise StageFailed(f"predictions of {folder.name} and its examples do not fit together")
        target = known["target"].combine_chunks()
        targets = target.flatten() if pa.types.is_list(target.type) else target
        shape = (len(target), -1) if pa.types.is_list(target.type) else (-1,)
        values = outputs.flatten().to_numpy().reshape(len(outputs), -1)
        return known["id"].to_pylist(), targets.to_numpy().reshape(shape), values
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise StageFailed(f"predictions of {folder.name} can't be read: {str(error).splitlines()[0]}") from None


def missing(folder: Path, segments: list[str]) -> list[str]:
    """Those of `segments` that are not in `folder`."""
    return [name for name in segments if not (folder / name).is_file()]


def _span(name: str) -> int:
    first, last = (int(g) for g in _NAME.fullmatch(name).groups())  # type: ignore[union-attr]
    return last - first + 1


def _lists(values: np.ndarray) -> pa.ListArray:
    """Rows of a matrix as lists of float32."""
    offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.astype(np.float32).ravel()))
