"""From staged events and record folders into the tables, for the stages that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from interpreter.plan.types import Stage
from interpreter.results import records
from interpreter.results.rows import hand_over, insert
from interpreter.results.staging import Chunk
from interpreter.run.events import IGNORES_INPUT, Corrupt

_EVENT_TABLES = (
    "metrics",
    "epochs",
    "resources",
    "baselines",
    "memory_slopes",
    "metric_tables",
    "phase_starts",
    "findings",
    "datasets",
    "probes",
    "candidates",
)
_FILE_TABLES = ("checkpoints", "prediction_segments", "score_files", "ingested")
_RECORD_CODES = "('unreadable-record', 'unreadable-attempt', 'unreadable-predictions', 'unreadable-scores')"
# A metric is split/name; what has no slash is of no split.
_PARTS = "left(u.key, greatest(instr(u.key, '/') - 1, 0)) AS split, substr(u.key, instr(u.key, '/') + 1) AS metric"
_ID = '"#" AS stage_id, attempt'
_AT = f"{_ID}, coalesce(epoch, 0) + 1 AS epoch"
_SOURCES = '[{"name": "VARCHAR", "fingerprint": "VARCHAR"}]'
_EVENTS = {
    "metrics": f"""
        SELECT stage_id, attempt, epoch, {_PARTS}, u.value AS value
        FROM (SELECT {_AT}, unnest(map_entries(metrics)) AS u FROM staged WHERE kind = 'epoch')""",
    "resources": f"""
        SELECT stage_id, attempt, epoch, u.key AS resource, u.value AS value
        FROM (SELECT {_AT}, unnest(map_entries(resources)) AS u FROM staged WHERE kind = 'epoch')""",
    "epochs": f"""
        SELECT {_AT}, try_cast(t AS TIMESTAMPTZ)::TIMESTAMP AS finished, step, examples, phase, rates
        FROM staged WHERE kind = 'epoch'""",
    "baselines": f"""
        SELECT stage_id, attempt, rule, {_PARTS}, u.value AS value
        FROM (SELECT {_ID}, coalesce(rule, '{IGNORES_INPUT}') AS rule, unnest(map_entries(metrics)) AS u
              FROM staged WHERE kind = 'baseline')""",
    "probes": f"""
        SELECT stage_id, attempt, checkpoint, epoch, {_PARTS}, u.value AS value
        FROM (SELECT {_AT}, checkpoint, unnest(map_entries(metrics)) AS u FROM staged WHERE kind = 'probe')""",
    "candidates": f"""
        SELECT {_ID}, n AS position, checkpoint, file, trained + 1 AS trained, reached + 1 AS epoch,
               try_cast(value AS DOUBLE) AS value, why IS NOT NULL AS picked, why
        FROM staged WHERE kind = 'candidate'""",
    "memory_slopes": f"""
        SELECT {_ID}, resource, size_mb, slope_mb, slope_mb / nullif(size_mb, 0) AS share, n AS epochs
        FROM staged WHERE kind = 'memory'""",
    "metric_tables": f"SELECT {_AT}, split, name, value FROM staged WHERE kind = 'table'",
    "phase_starts": f"""
        SELECT {_AT}, phase, groups, trainable, tensors, parameters, rate, restored + 1 AS restored, why
        FROM staged WHERE kind = 'phase'""",
    "findings": f"""
        SELECT {_ID}, coalesce("of", epoch, 0) + 1 AS epoch, code, coalesce(severity, 'warning') AS severity, text
        FROM staged WHERE kind = 'finding'""",
    "datasets": f"""
        SELECT e.stage_id, e.attempt, e.name AS dataset, d.source, nullif(x.fingerprint, '') AS fingerprint, e.origin, e.facts
        FROM (SELECT {_ID}, name, origin, facts FROM staged WHERE kind = 'data') e
        JOIN (SELECT stage_id, settings->>'$.data.source' AS source FROM stages) d USING (stage_id)
        LEFT JOIN (SELECT stage_id, unnest(from_json(sources, '{_SOURCES}'), recursive := true) FROM stages
                   WHERE stage_id IN (SELECT stage_id FROM changed)) x ON x.stage_id = e.stage_id AND x.name = d.source""",
}
_STRANGE = """
INSERT INTO findings BY NAME
SELECT DISTINCT "#" AS stage_id, 'unknown-event' AS code, 'note' AS severity,
       'events of the kind `' || kind || '` are not taken in by this version' AS text
FROM staged WHERE kind NOT IN ('attempt', 'start', 'epoch', 'baseline', 'table', 'finding', 'phase', 'data', 'memory',
                   'probe', 'candidate', 'end')
  AND NOT EXISTS (FROM findings f WHERE f.stage_id = "#" AND f.code = 'unknown-event' AND contains(f.text, '`' || kind || '`'))"""
# What is read of a probe by its name is the history of what it picked. Until it has, there is none.
_PICKED = """
DELETE FROM metrics WHERE stage_id IN (SELECT stage_id FROM candidates WHERE stage_id IN (SELECT stage_id FROM changed));
INSERT INTO metrics BY NAME
SELECT p.* EXCLUDE (checkpoint) FROM probes p
JOIN candidates c ON c.stage_id = p.stage_id AND c.checkpoint = p.checkpoint AND c.picked
WHERE p.stage_id IN (SELECT stage_id FROM changed)"""
_FINALS = """
INSERT INTO finals
SELECT stage_id, split, metric, n, last_epoch, last, low.e, low.v, -high.e, high.v, kept FROM (
  SELECT m.stage_id, split, metric, count(*)::INTEGER AS n, max(epoch) AS last_epoch, arg_max_null(value, epoch) AS last,
         min({'v': value, 'e': epoch}) FILTER (NOT isnan(value)) AS low,
         max({'v': value, 'e': -epoch}) FILTER (NOT isnan(value)) AS high, min(value) FILTER (epoch = s.best_epoch) AS kept
  FROM metrics m JOIN stages s USING (stage_id) WHERE m.stage_id IN (SELECT stage_id FROM changed)
  GROUP BY m.stage_id, split, metric)"""
_FORGET = """
UPDATE stages SET state = 'new', epochs = 0, ended = NULL, attempt = NULL, finished = NULL, best_metric = NULL, best_value = NULL,
                  best_epoch = NULL, start = NULL, carried = NULL, error = ''
WHERE stage_id IN (SELECT stage_id FROM vanished)"""
# Where a stage started, and where its attempts began, is told once, in an event that may have been taken in earlier.
_STARTED = """
CREATE OR REPLACE TEMP TABLE started AS
SELECT "#" AS stage_id, arg_max("from", attempt) AS start, arg_max(carried, attempt) AS carried
FROM staged WHERE kind = 'start' GROUP BY "#"
UNION ALL SELECT stage_id, start, carried FROM stages
WHERE start IS NOT NULL AND stage_id IN (SELECT stage_id FROM changed) AND stage_id NOT IN (SELECT stage_id FROM replaced)"""
_BEGUN = """
CREATE OR REPLACE TEMP TABLE begun AS
SELECT "#" AS stage_id, attempt, max(resume_epoch) + 1 AS first_epoch FROM staged WHERE kind = 'attempt' GROUP BY ALL
UNION ALL SELECT stage_id, attempt, first_epoch FROM attempts
WHERE first_epoch IS NOT NULL AND stage_id IN (FROM changed) AND stage_id NOT IN (FROM replaced)"""
_STAGES = """
INSERT INTO stages BY NAME
SELECT h.* REPLACE (try_cast(h.finished AS TIMESTAMPTZ)::TIMESTAMP AS finished), s.start, s.carried
FROM handed h LEFT JOIN started s USING (stage_id)"""
_ENVIRONMENTS = """
INSERT INTO environments
SELECT (SELECT coalesce(max(environment_id), 0) FROM environments) + row_number() OVER (ORDER BY everything), *
FROM (SELECT DISTINCT python, torch, lightning, timm, numpy, git_commit, source_hash, everything FROM handed
      WHERE everything NOT IN (SELECT everything::VARCHAR FROM environments))"""
_ATTEMPTS = """
INSERT INTO attempts BY NAME
SELECT h.stage_id, h.attempt, b.first_epoch, try_cast(h.started AS TIMESTAMPTZ)::TIMESTAMP AS started,
       try_cast(h.finished AS TIMESTAMPTZ)::TIMESTAMP AS finished, h.how, h.error, h.host, h.pid, v.environment_id,
       h.threads, h.device, h.precision, h.tf32, h.loader_workers, h.numerics
FROM handed h LEFT JOIN begun b USING (stage_id, attempt) LEFT JOIN environments v ON v.everything::VARCHAR = h.everything"""


@dataclass(frozen=True, slots=True)
class Change:
    """A record with something new: all of it (`whole`), or the lines of `chunk` and whatever is small."""

    stage_id: int
    key: str
    found: records.Found
    chunk: Chunk
    whole: bool
    head: str
    signature: str


def put_changes(
    connection: duckdb.DuckDBPyConnection, changes: Sequence[Change], corrupt: Sequence[tuple[int, Corrupt]],
    vanished: Sequence[int], new: Sequence[tuple[int, Stage]],
) -> int:  # fmt: skip
    """Write what changed; returns how many rows of metrics came in.

    The changes' events are in the table `staged`, less what was `corrupt`, by stage id. vanished: ids of stages whose
    record is gone. new: stages that are planned and have no record.
    """
    _list_ids(connection, "changed", [c.stage_id for c in changes])
    _list_ids(connection, "replaced", [*(c.stage_id for c in changes if c.whole), *vanished])
    _list_ids(connection, "vanished", vanished)
    for table in (*_EVENT_TABLES, "finals"):
        connection.execute(f"DELETE FROM {table} WHERE stage_id IN (SELECT stage_id FROM replaced)")
    for table in (*_FILE_TABLES, "finals"):
        connection.execute(f"DELETE FROM {table} WHERE stage_id IN (FROM changed UNION ALL FROM vanished)")
    _put_stages(connection, changes, new)
    _put_attempts(connection, changes)
    inserted = {
        table: int(connection.execute(f"INSERT INTO {table} BY NAME {sql}").fetchall()[0][0]) for table, sql in _EVENTS.items()
    }
    connection.execute(_PICKED)
    connection.execute(_STRANGE)
    _put_findings(connection, changes, [(i, "corrupt-line", _words(c.offset, c.text)) for i, c in corrupt])
    connection.execute(_FINALS)
    for table, name in (("checkpoints", "checkpoints"), ("prediction_segments", "segments"), ("score_files", "scores")):
        insert(connection, table, [{"stage_id": c.stage_id, **row} for c in changes for row in getattr(c.found, name)])
    insert(connection, "ingested", [
        {"stage_id": c.stage_id, "bytes": c.chunk.end, "head": c.head, "signature": c.signature} for c in changes
    ])  # fmt: skip
    connection.execute("DROP TABLE staged")
    return inserted["metrics"]


def remove_orphans(connection: duckdb.DuckDBPyConnection) -> None:
    """Remove stages that no page asks for any more and that have no record."""
    connection.execute("""DELETE FROM stages WHERE stage_id NOT IN (SELECT stage_id FROM trial_stages)
        AND stage_id NOT IN (SELECT stage_id FROM ingested)""")


def _put_stages(connection: duckdb.DuckDBPyConnection, changes: Sequence[Change], new: Sequence[tuple[int, Stage]]) -> None:
    connection.execute(_FORGET)
    connection.execute("DELETE FROM attempts WHERE stage_id IN (SELECT stage_id FROM vanished)")
    rows = [{"stage_id": c.stage_id, **c.found.stage} for c in changes]
    rows += [{"stage_id": stage_id, **records.planned(stage)} for stage_id, stage in new]
    if rows:
        connection.execute(_STARTED)
        connection.execute("DELETE FROM stages WHERE stage_id IN (SELECT stage_id FROM changed)")
        hand_over(connection, "handed", rows)
        connection.execute(_STAGES)
        connection.unregister("handed")


def _put_attempts(connection: duckdb.DuckDBPyConnection, changes: Sequence[Change]) -> None:
    connection.execute(_BEGUN)
    connection.execute("DELETE FROM attempts WHERE stage_id IN (SELECT stage_id FROM changed)")
    rows: list[dict[str, Any]] = [
        {"stage_id": c.stage_id, **{k: v for k, v in row.items() if k != "environment"}, **row["environment"]}
        for c in changes
        for row in c.found.attempts
    ]
    if rows:
        hand_over(connection, "handed", rows)
        connection.execute(_ENVIRONMENTS)
        connection.execute(_ATTEMPTS)
        connection.unregister("handed")


def _put_findings(connection: duckdb.DuckDBPyConnection, changes: Sequence[Change], more: Sequence[tuple[int, str, str]]) -> None:
    connection.execute(f"DELETE FROM findings WHERE code IN {_RECORD_CODES} AND stage_id IN (SELECT stage_id FROM changed)")
    told = [*more, *((c.stage_id, code, text) for c in changes for code, text in c.found.problems)]
    insert(connection, "findings", [
        {"stage_id": stage_id, "attempt": None, "epoch": None, "code": code, "severity": "warning", "text": text}
        for stage_id, code, text in told
    ])  # fmt: skip


def _words(offset: int, text: str) -> str:
    where = f"byte {offset} of events.jsonl: " if offset >= 0 else "events.jsonl: "
    return f"{where}not an event, left out: {text!r}"


def _list_ids(connection: duckdb.DuckDBPyConnection, name: str, ids: Sequence[int]) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT unnest(?::INTEGER[]) AS stage_id", [list(ids)])
