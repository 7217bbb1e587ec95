"""The views `predictions` and `scores`: tables over the Parquet files of all records, though the numbers stay in the record.

A view lists its files, because DuckDB then opens only those that a constant `key` asks for (a join on file names, or
on stage_id, reads all). Without files it is empty.
"""

from __future__ import annotations

from collections.abc import Mapping

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
    "split": "The part of the data: val, test, or train where a score stage or an evaluation measured it.",
    "epoch": "Epochs finished: counted from 1.",
    "row": "Row of the split, from 0.",
    "example": "Id of the example.",
    "target": "Class (from 0) or number to be predicted; NULL where there are several.",
    "targets": "Numbers to be predicted, where an example has several.",
    "output": "What came out of the network: logits of classes, or predicted numbers.",
}


_SCORES = """
CREATE OR REPLACE VIEW scores AS
SELECT s.stage_id, f.key, f.split, f.row, f.example, f.difficulty
FROM (SELECT parse_path(filename)[-4] AS key, parse_path(filename)[-2] AS split, row, id AS example, difficulty
      FROM read_parquet({paths}, filename := true)) f JOIN stages s ON s.key = f.key"""
_NO_SCORES = """
CREATE OR REPLACE VIEW scores AS
SELECT 0::INTEGER AS stage_id, ''::VARCHAR AS key, ''::VARCHAR AS split, 0::INTEGER AS row, ''::VARCHAR AS example,
       0::DOUBLE AS difficulty WHERE false"""
_SCORE_COMMENTS = {
    **{name: _COMMENTS[name] for name in ("stage_id", "key", "row", "example")},
    "split": "The part of the data that was scored.",
    "difficulty": "1 - probability of the true class, averaged over the draws of the example: 0 is easy, 1 is hopeless.",
}


def make_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views list what prediction_segments and score_files hold, where they do not."""
    _make_predictions(connection)
    paths = [row[0] for row in connection.execute("SELECT path FROM score_files ORDER BY path").fetchall()]
    sql = _SCORES.format(paths=_list(paths)) if paths else _NO_SCORES
    _put(connection, "scores", sql, "Scores of examples by score stages that are done", _SCORE_COMMENTS)


def _make_predictions(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute("SELECT path, targets, target_kind FROM prediction_segments ORDER BY path").fetchall()
    sql = _EMPTY
    if rows:
        parts = []
        for kind, target, targets in _TARGET_KINDS:
            paths = sorted({row[1] for row in rows if row[2] == kind})
            if paths:
                parts.append(_TARGETS.format(paths=_list(paths), target=target, targets=targets))
        sql = _VIEW.format(outputs=_OUTPUTS.format(paths=_list([row[0] for row in rows])), targets=" UNION ALL ".join(parts))
    _put(connection, "predictions", sql, "Predictions of stages that are done, for every epoch that was kept", _COMMENTS)


def _put(connection: duckdb.DuckDBPyConnection, view: str, sql: str, words: str, comments: Mapping[str, str]) -> None:
    """Make a view by `sql`, unless it is there: its comment says of which files it is."""
    mark = f"{words}. Files: {digest(sql)[:16]}."
    present = connection.execute("SELECT comment FROM duckdb_views() WHERE view_name = ?", [view]).fetchall()
    if present == [(mark,)]:
        return
    connection.execute(sql)
    connection.execute(f"COMMENT ON VIEW {view} IS {_text(mark)}")
    for name, comment in comments.items():
        connection.execute(f"COMMENT ON COLUMN {view}.{name} IS {_text(comment)}")


def _list(paths: list[str]) -> str:
    return "[" + ", ".join(map(_text, paths)) + "]"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
