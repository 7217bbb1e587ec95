"""What a verdict needs of the database: how each stage of a plan stands, under which numerics it ran, and its curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.results.read import query
from interpreter.verdicts.curves import Curve

PLANNED_ENDS = frozenset({"planned epochs", "early stopping"})

_FACTS = """
SELECT s.key, s.kind, s.state, s.planned_epochs, s.epochs, s.ended, epoch(s.finished), s.error,
       a.threads, a.device, a.precision, a.tf32, v.torch
FROM stages s
LEFT JOIN attempts a ON a.stage_id = s.stage_id AND a.attempt = s.attempt
LEFT JOIN environments v USING (environment_id)
WHERE s.key IN (SELECT unnest(?::VARCHAR[]))
"""
_CURVES = """
SELECT s.key, list(m.epoch ORDER BY m.epoch), list(m.value ORDER BY m.epoch)
FROM metrics m JOIN stages s USING (stage_id)
WHERE m.split = ? AND m.metric = ? AND s.key IN (SELECT unnest(?::VARCHAR[]))
GROUP BY s.key
"""
_PHASES = """
SELECT s.key, list(e.epoch ORDER BY e.epoch), list(coalesce(e.phase, 0) ORDER BY e.epoch)
FROM epochs e JOIN stages s USING (stage_id)
WHERE s.key IN (SELECT unnest(?::VARCHAR[]))
GROUP BY s.key
"""
_RESOURCES = """
SELECT s.key, list(r.epoch ORDER BY r.epoch), list(r.value ORDER BY r.epoch)
FROM resources r JOIN stages s USING (stage_id)
WHERE r.resource = ? AND s.key IN (SELECT unnest(?::VARCHAR[]))
GROUP BY s.key
"""


@dataclass(frozen=True, slots=True)
class StageFact:
    """How one stage stands."""

    state: str = "new"  # as in the database: new, running, done, failed, stopped, died, unreadable
    kind: str = "fit"
    planned: int = 0
    epochs: int = 0
    ended: str = ""  # why it ended, once done
    finished: datetime | None = None
    error: str = ""
    numerics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """True when it has its result."""
        return self.state == "done"

    @property
    def complete(self) -> bool:
        """True when it reached its planned end: all its epochs, or those that early stopping left of them."""
        return self.done and (self.kind != "fit" or self.ended in PLANNED_ENDS or self.epochs >= self.planned)

    def words(self, stage: str) -> str:
        """What is wrong with a stage that is not complete."""
        if self.done:
            return f"{stage} ended early, at epoch {self.epochs} of {self.planned}" + (f" ({self.ended})" if self.ended else "")
        if self.state == "new":
            return f"{stage} was not run"
        where = f" at epoch {self.epochs} of {self.planned}" if self.planned else ""
        how = {"running": "is running", "failed": "failed", "stopped": "was stopped", "died": "died"}.get(
            self.state, f"is {self.state}"
        )
        return f"{stage} {how}{where}" + (f": {self.error}" if self.error else "")


class History:
    """Facts of all stages of a plan, read at once; curves as they are asked for, each once."""

    def __init__(self, project: Project, plan: Plan) -> None:
        self._project = project
        self._facts = _facts(project, plan.stages)
        self._alike = {key: (stage.kind, stage.name) for key, stage in plan.stages.items()}
        self._curves: dict[tuple[str, ...], dict[str, Curve]] = {}
        self._asked: dict[tuple[str, ...], set[str]] = {}

    def fact(self, key: str) -> StageFact:
        """How the stage `key` stands; one that the database has not heard of is new."""
        return self._facts.get(key, StageFact())

    def curves(self, split: str, metric: str, keys: Iterable[str]) -> Mapping[str, Curve]:
        """The history of `split/metric` of each of `keys` that recorded it."""
        return self._read(_CURVES, (split, metric), keys)

    def phases(self, keys: Iterable[str]) -> Mapping[str, Curve]:
        """The phase of each epoch, from 0, of each of `keys` that has epochs; a fit without phases is in phase 0."""
        return self._read(_PHASES, (), keys)

    def resources(self, resource: str, keys: Iterable[str]) -> Mapping[str, Curve]:
        """What each epoch took of a resource ("it_per_s", "seconds", "rss_mb"), for each of `keys` that recorded it."""
        return self._read(_RESOURCES, (resource,), keys)

    def _read(self, sql: str, names: tuple[str, ...], keys: Iterable[str]) -> Mapping[str, Curve]:
        known = self._curves.setdefault((sql, *names), {})
        asked = self._asked.setdefault((sql, *names), set())
        wanted = set(keys) - asked
        if wanted:
            # What is read of one arm is soon read of the others: all stages of the same name are asked for at once.
            names_of = {self._alike.get(key) for key in wanted}
            missing = sorted(wanted | {key for key, alike in self._alike.items() if alike in names_of and key not in asked})
            asked.update(missing)
            for key, epochs, values in query(self._project, sql, (*names, missing)).rows:
                numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
                known[key] = (np.array(epochs, dtype=np.int64), numbers)
        return known


def _facts(project: Project, keys: Iterable[str]) -> dict[str, StageFact]:
    found = {}
    for key, kind, state, planned, epochs, ended, finished, error, *numerics in query(project, _FACTS, (list(keys),)).rows:
        names = ("threads", "device", "precision", "tf32", "torch")
        at = None if finished is None else datetime.fromtimestamp(finished, UTC)
        ran_under = dict(zip(names, numerics, strict=True))
        found[key] = StageFact(state, kind, planned or 0, epochs or 0, ended or "", at, error or "", ran_under)
    return found
