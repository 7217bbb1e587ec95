"""The view `predictions`: one table over the Parquet files of all records, though the numbers stay in the record.

The view lists its files, because DuckDB then opens only those that a constant `key` asks for (a join on file names, or
on stage_id, reads all). Without files it is empty.
"""

from __future__ import annotations

import duckdb

from interpreter.spec.canonical import digest

_OUTPUTS = """
SELECT parse_path(filename)[-4] AS key, parse_path(filename)[-2] AS split, epoch + 1 AS epoch, row, output
FROM read_parquet({paths}, filename := true)"""
_TARGETS = """
SELECT parse_path(filename)[-4] AS key, parse_path(filename)[-2] AS split, row, id, {target} AS target, {targets} AS targets
FROM read_parquet({paths}, filename := true)"""
_VIEW = """
CREATE OR REPLACE VIEW predictions AS
SELECT s.stage_id, o.key, o.split, o.epoch, o.row, t.id AS example, t.target, t.targets, o.output
FROM ({outputs}) o JOIN ({targets}) t ON t.key = o.key AND t.split = o.split AND t.row = o.row JOIN stages s ON s.key = o.key"""
_EMPTY = """
CREATE OR REPLACE VIEW predictions AS
SELECT 0::INTEGER AS stage_id, ''::VARCHAR AS key, ''::VARCHAR AS split, 0::INTEGER AS epoch, 0::INTEGER AS row,
       ''::VARCHAR AS example, 0::DOUBLE AS target, NULL::DOUBLE[] AS targets, NULL::FLOAT[] AS output WHERE false"""
_TARGET_KINDS = (("one", "target::DOUBLE", "NULL::DOUBLE[]"), ("several", "NULL::DOUBLE", "target::DOUBLE[]"))
_COMMENTS = {
    "stage_id": "The stage. To be quick, ask by key: a constant key opens only the files of that stage.",
    "key": "Key of the stage.",
    "split": "The part of the data: val or test.",
    "epoch": "Epochs finished: counted from 1.",
    "row": "Row of the split, from 0.",
    "example": "Id of the example.",
    "target": "Class (from 0) or number to be predicted; NULL where there are several.",
    "targets": "Numbers to be predicted, where an example has several.",
    "output": "What came out of the network: logits of classes, or predicted numbers.",
}


def make_view(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the view list what prediction_segments holds, if it does not."""
    rows = connection.execute("SELECT path, targets, target_kind FROM prediction_segments ORDER BY path").fetchall()
    sql = _EMPTY
    if rows:
        parts = []
        for kind, target, targets in _TARGET_KINDS:
            paths = sorted({row[1] for row in rows if row[2] == kind})
            if paths:
                parts.append(_TARGETS.format(paths=_list(paths), target=target, targets=targets))
        sql = _VIEW.format(outputs=_OUTPUTS.format(paths=_list([row[0] for row in rows])), targets=" UNION ALL ".join(parts))
    mark = f"Predictions of stages that are done, for every epoch that was kept. Files: {digest(sql)[:16]}."
    present = connection.execute("SELECT comment FROM duckdb_views() WHERE view_name = 'predictions'").fetchall()
    if present == [(mark,)]:
        return
    connection.execute(sql)
    connection.execute(f"COMMENT ON VIEW predictions IS {_text(mark)}")
    for name, comment in _COMMENTS.items():
        connection.execute(f"COMMENT ON COLUMN predictions.{name} IS {_text(comment)}")


def _list(paths: list[str]) -> str:
    return "[" + ", ".join(map(_text, paths)) + "]"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
