"""Measures, claims and verdicts into the database, after judging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import duckdb

from interpreter.errors import RecordError
from interpreter.plan.types import EntryPlan
from interpreter.project import Project
from interpreter.results.connect import open_database, writer_lock
from interpreter.results.rows import insert
from interpreter.results.schema import migrate


class Judgement(Protocol):
    """What judging hands on; the room of verdicts, which stands on this one, has the types."""

    @property
    def entry(self) -> EntryPlan:
        """The entry judged."""
        ...

    @property
    def measures(self) -> Sequence[Any]:
        """A MeasureValue for each trial and measure."""
        ...

    @property
    def verdicts(self) -> Sequence[Any]:
        """A Verdict for each claim."""
        ...


def put_judgements(project: Project, judgements: Sequence[Judgement], *, wait_s: float = 20.0) -> None:
    """Replace the measures, claims and verdicts of the judged entries, at their profiles.

    Raises: DatabaseBusy when the database stays held for `wait_s` seconds; RecordError when an entry isn't in it.
    """
    if not judgements:
        return
    with writer_lock(project, wait_s):
        connection = open_database(project.database, project.root, read_only=False, wait_s=wait_s)
        try:
            migrate(connection)
            connection.execute("BEGIN")
            for judgement in judgements:
                _put(connection, judgement)
            connection.execute("COMMIT")
        except duckdb.Error as error:
            raise RecordError(f"verdicts can't be written: {str(error).strip().splitlines()[0]}", hint="expt rebuild") from error
        finally:
            connection.close()  # what was not committed is gone with it


def _put(connection: duckdb.DuckDBPyConnection, judgement: Judgement) -> None:
    entry = judgement.entry
    sql = "SELECT entry_id FROM entries WHERE entry = ? AND profile = ?"
    found = connection.execute(sql, [entry.id, entry.profile]).fetchall()
    if not found:
        raise RecordError(f"{entry.id} is not in the database", hint="take it in first: expt run, or expt rebuild")
    entry_id = found[0][0]
    for table in ("measures", "claims", "verdicts"):
        connection.execute(f"DELETE FROM {table} WHERE entry_id = ?", [entry_id])
    insert(connection, "measures", [
        {"entry_id": entry_id, "arm": m.arm, "seed": m.seed, "measure": m.measure, "value": m.value, "epoch": m.epoch,
         "selected": m.selected, "complete": m.complete, "note": m.note}
        for m in judgement.measures
    ])  # fmt: skip
    claims = [verdict.claim for verdict in judgement.verdicts]
    insert(connection, "claims", [
        {"entry_id": entry_id, "claim": c.name, "kind": c.kind, "text": c.text, "left": str(c.left), "relation": c.relation,
         "right": str(c.right), "margin": float(c.margin), "over": c.over, "why": c.why, "hash": c.hash,
         "line": c.place.line if c.place else None}
        for c in claims
    ])  # fmt: skip
    insert(connection, "verdicts", [
        {"entry_id": entry_id, "claim": v.claim.name, "state": v.state, "effect": v.effect, "lo": v.lo, "hi": v.hi,
         "level": v.level, "n": v.n,
         "pairs": [{"seed": p.seed, "a": p.a, "b": p.b, "difference": p.difference} for p in v.pairs] or None,
         "p_better": v.p_better, "dz": v.dz, "method": v.method, "family": v.family, "registered": v.registered,
         "registered_at": v.registered_at or None,
         "confounds": [{"rule": c.rule, "severity": c.severity, "text": c.text, "waived": c.waived} for c in v.confounds] or None,
         "notes": list(v.notes) or None, "explanation": v.explanation,
         "seeds_to_settle_from": v.seeds_to_settle[0] if v.seeds_to_settle else None,
         "seeds_to_settle_to": v.seeds_to_settle[1] if v.seeds_to_settle else None}
        for v in judgement.verdicts
    ], replace="try_cast(registered_at AS TIMESTAMPTZ)::TIMESTAMP AS registered_at")  # fmt: skip
