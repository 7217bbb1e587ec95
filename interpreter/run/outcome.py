"""How a run stands, for display, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from interpreter.plan.types import Stage
from interpreter.run.status import NO_PACE, Pace

State = Literal["waiting", "running", "elsewhere", "done", "reused", "failed", "blocked", "stopped"]
FINAL = frozenset({"done", "reused", "failed", "blocked", "stopped"})


@dataclass(frozen=True, slots=True)
class Row:
    """A stage as it stands, for display."""

    stage: Stage
    state: State
    error: str = ""
    pace: Pace = NO_PACE
    seconds: float = 0.0  # since it began here


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as it stands, for display. `ready` is False while workers are still importing."""

    rows: tuple[Row, ...]
    ready: bool
    stopping: bool
    seconds: float

    def count(self, *states: State) -> int:
        """How many stages are in one of `states`."""
        return sum(row.state in states for row in self.rows)


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended, by key."""

    done: tuple[str, ...]  # done in this run, here or by another run meanwhile
    reused: tuple[str, ...]  # done before
    failed: Mapping[str, str]  # with the error
    blocked: Mapping[str, str]  # with the reason
    stopped: tuple[str, ...]
    seconds: float
    hint: str = ""  # how to go on, when stopped

    @property
    def ok(self) -> bool:
        """True when every stage is done."""
        return not (self.failed or self.blocked or self.stopped)

    @property
    def exit_code(self) -> int:
        """0 when every stage is done, else 3."""
        return 0 if self.ok else 3
