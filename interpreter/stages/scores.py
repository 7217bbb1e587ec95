"""The scores of a record, `predictions/<split>/scores.parquet`: written by a score stage, read by fits chosen by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from interpreter.errors import StageFailed
from interpreter.run.record import SCORES, Record

_SCHEMA = pa.schema([("row", pa.int32()), ("id", pa.string()), ("difficulty", pa.float64())])


def table_of(ids: Sequence[str], difficulty: np.ndarray) -> pa.Table:
    """Scores as they are kept: a row an example, in the order of the split. Shape: difficulty (N,) float64."""
    rows = np.arange(len(difficulty), dtype=np.int32)
    names = pa.array([str(example) for example in ids], pa.string())
    return pa.Table.from_arrays([pa.array(rows), names, pa.array(difficulty, pa.float64())], schema=_SCHEMA)


def read_scores(record: Record) -> dict[str, float]:
    """The difficulty of each example that a score stage scored, by id, in the order of the split.

    Raises: StageFailed when the stage is not done, or its scores can't be read.
    """
    done = record.done()
    if done is None:
        raise StageFailed(f"stage {record.key} is not done, and training examples are to be chosen by its scores")
    stage = record.read_stage()
    hint = f"move runs/{record.key} away and run again"
    if stage.kind != "score":
        raise StageFailed(f"stage {record.key} gave no scores: its kind is {stage.kind}")
    path = record.predictions / str(stage.settings["name"]) / SCORES
    try:
        table = pq.read_table(path, columns=["id", "difficulty"])
        found = dict(zip(table["id"].to_pylist(), table["difficulty"].to_pylist(), strict=True))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        text = str(error).strip().splitlines()[0]
        raise StageFailed(f"the scores of stage {record.key} can't be read: {text}", hint=hint) from None
    if len(found) != table.num_rows:
        raise StageFailed(f"the scores of stage {record.key} have an example twice", hint=hint)
    return found
