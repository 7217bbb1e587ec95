"""Predictions that another program wrote, as this one keeps its own. See `interpreter.spec.prediction_files` for the format."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from interpreter.errors import StageFailed
from interpreter.spec import prediction_files as files
from interpreter.spec.curve_files import Layout
from interpreter.stages.outputs import Recorded

# A probability of 0 counts as this, the least normal one of single precision: its logarithm, -87.3, can be kept and averaged.
LEAST = float(np.finfo(np.float32).tiny)
MOST_CLASSES = 100_000
_SUM = 1e-2  # by which probabilities of an example may miss 1: half precision, many classes


@dataclass(frozen=True, slots=True)
class Foreign:
    """Predictions of one split. Shape: outputs (N, K) float32, logits or numbers."""

    split: Recorded
    outputs: torch.Tensor
    task: str  # "classification" | "regression"
    class_names: tuple[str, ...]
    only_classes: bool  # nothing but the predicted class is known


def read_foreign(data: bytes, name: str, layout: Layout, objective: str | None, seed: int) -> Foreign:
    """The predictions of `seed` in `data`, the content of the file `name`. Raises: StageFailed with what is wrong in it."""
    arrays, found = (_archive if name.lower().endswith(".npz") else _table)(data, layout, seed)
    if layout.each and layout.each in arrays:
        arrays = _one_of(arrays, found, layout)
    described = {key: files.Array(value.dtype.kind, value.shape) for key, value in arrays.items()}
    seeds, problems = files.misfit(described, found)
    _refuse(problems)
    role = next(role for role in files.PREDICTED if role in found)
    predicted, targets = arrays[found[role]], arrays[found["targets"]]
    if seeds:
        if seed >= seeds:
            raise StageFailed(f"has predictions of seeds 0 to {seeds - 1}, and this trial has seed {seed}")
        predicted = predicted[seed]
    task = objective or files.task_of(described, found)
    names = tuple(str(text) for text in arrays[found["class_names"]].reshape(-1)) if "class_names" in found else ()
    if layout.ids:
        ids = [layout.ids.format(row=row) for row in range(len(targets))]
    else:
        ids = [str(i) for i in (arrays[found["ids"]].reshape(-1).tolist() if "ids" in found else range(len(targets)))]
    if task == "regression":
        return Foreign(*_numbers(role, predicted, targets, ids), task, (), False)
    classes = _classes(targets)
    outputs = _logits(role, predicted, classes, len(names))
    if names and len(names) != outputs.shape[1]:
        raise StageFailed(f"has {len(names)} class names and {outputs.shape[1]} outputs")
    if classes.max() >= outputs.shape[1]:
        raise StageFailed(f"has a target of class {classes.max()}, and its {outputs.shape[1]} outputs are of classes from 0")
    split = Recorded(ids, torch.from_numpy(classes))
    return Foreign(split, torch.from_numpy(outputs), task, names, role == "classes")


def _archive(data: bytes, layout: Layout, seed: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    headers, problems = files.headers(data)
    _refuse(problems)
    found, problems = files.roles([name for name in headers if name != layout.each], layout.columns)
    _refuse(problems)
    if layout.each and layout.each not in headers:
        raise StageFailed(f"has no `{layout.each}` to tell models apart")
    wanted = {*found.values(), *([layout.each] if layout.each else [])}
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in wanted}, found
    except files.DAMAGED as error:
        raise StageFailed(f"can't be read: {error}") from None


def _one_of(arrays: dict[str, np.ndarray], found: dict[str, str], layout: Layout) -> dict[str, np.ndarray]:
    """The arrays with the predictions of one model, of those in front."""
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in arrays[layout.each].reshape(-1).tolist()]
    _refuse(files.wrong_names(layout.each, names, [layout.model]))
    described = {key: files.Array(value.dtype.kind, value.shape) for key, value in arrays.items()}
    _refuse(files.of_each(described, found, layout.each, len(names))[1])
    role = found[next(role for role in files.PREDICTED if role in found)]
    return {**arrays, role: arrays[role][names.index(layout.model)]}


def _table(data: bytes, layout: Layout, seed: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        table = pq.read_table(pa.BufferReader(data))
        names = list(table.column_names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise StageFailed(f"is no Parquet table that can be read: {str(error).splitlines()[0]}") from None
    found, problems = files.roles([name for name in names if name not in (layout.seed, layout.each)], layout.columns)
    _refuse(problems)
    if layout.each:
        if layout.each not in names:
            raise StageFailed(f"has no column `{layout.each}` to tell models apart")
        models = np.asarray(table[layout.each].to_pylist(), dtype=np.str_)
        _refuse(files.wrong_names(layout.each, dict.fromkeys(models.tolist()), [layout.model]))
        table = table.filter(pa.array(models == layout.model))
    if layout.seed in names:
        seeds = table[layout.seed].to_numpy()
        if not (seeds == seed).any():
            raise StageFailed(f"has no seed {seed}; it has {', '.join(str(s) for s in sorted(set(seeds.tolist()))[:10])}")
        table = table.filter(pa.array(seeds == seed))
    return {name: _column(table[name], name) for name in found.values()}, found


def _column(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """A column as an array; lists become rows of a matrix."""
    if column.null_count:
        raise StageFailed(f"`{name}` has {column.null_count} empty cells")
    try:
        return np.asarray(column.to_pylist()) if pa.types.is_nested(column.type) else column.to_numpy()
    except ValueError:
        raise StageFailed(f"the lists in `{name}` are not equally long") from None


def _numbers(role: str, predicted: np.ndarray, targets: np.ndarray, ids: list[str]) -> tuple[Recorded, torch.Tensor]:
    if role != "outputs":
        raise StageFailed(f"has {role}, which are of classes, and the objective is regression")
    outputs = predicted.astype(np.float32).reshape(len(ids), -1)
    wanted = targets.astype(np.float32).reshape(len(ids), -1)
    if outputs.shape != wanted.shape:
        raise StageFailed(f"has {outputs.shape[1]} outputs and {wanted.shape[1]} targets an example")
    return Recorded(ids, torch.from_numpy(wanted)), torch.from_numpy(outputs)


def _classes(targets: np.ndarray) -> np.ndarray:
    """Targets as classes. Raises: StageFailed when they are none."""
    flat = targets.reshape(-1) if targets.shape[1:] in ((), (1,)) else None
    if flat is None or not np.isfinite(flat).all() or not np.array_equal(flat, np.floor(flat)) or flat.min() < 0:
        raise StageFailed("its targets are no classes: one whole number an example, from 0", hint="say `objective: regression`?")
    return flat.astype(np.int64)


def _logits(role: str, predicted: np.ndarray, classes: np.ndarray, names: int) -> np.ndarray:
    """(N, K) logits; of probabilities, and of predicted classes as if they were certain, the logarithms."""
    if role == "classes":
        if predicted.min() < 0:
            raise StageFailed("has a predicted class below 0; classes are counted from 0")
        count = max(names, int(predicted.max()) + 1, int(classes.max()) + 1, 2)
        if count > MOST_CLASSES:
            raise StageFailed(f"has a class {count - 1}; classes are counted from 0, and {MOST_CLASSES:,} are the most")
        certain = np.full((len(predicted), count), np.log(LEAST), dtype=np.float32)
        certain[np.arange(len(predicted)), predicted.astype(np.int64)] = 0.0
        return certain
    if predicted.ndim != 2 or predicted.shape[1] < 2:
        raise StageFailed(f"`{role}` of classes have one column for each of at least two classes")
    if role == "outputs":
        return predicted.astype(np.float32)
    p = predicted.astype(np.float64)
    wrong = ~((p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1) <= _SUM))
    if wrong.any():
        row = int(wrong.argmax())
        hint = "logits are called `outputs`"
        raise StageFailed(f"its probabilities in row {row} are negative or sum to {p[row].sum():.4g}, not 1", hint=hint)
    return np.log(np.maximum(p, LEAST)).astype(np.float32)


def _refuse(problems: list[str]) -> None:
    if problems:
        raise StageFailed("; ".join(problems))
