"""The coordinator: executes what a plan asks for and the record does not have yet, in the order inputs allow."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from interpreter.errors import RecordError
from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.attempts import latest, mark_ended
from interpreter.run.executor import Ended, Executor
from interpreter.run.outcome import FINAL, Row, RunOutcome, Snapshot, State
from interpreter.run.pool import Pool
from interpreter.run.record import Record
from interpreter.run.status import NO_PACE, obstacle, pace_of, status_of

GO_ON = "run the same command again: finished epochs are kept"

_RETRIES = 1  # of a stage whose process was killed
_TICK_S = 0.1
_LOOK_ELSEWHERE_S = 0.5
_SHOW_S = 0.25


@dataclass(slots=True)
class _Unit:
    stage: Stage
    state: State = "waiting"
    error: str = ""
    deaths: int = 0
    began: float = 0.0
    looked: float = 0.0


@dataclass(slots=True)
class _Interrupts:
    count: int = 0
    obeyed: int = 0
    saved: dict[int, Any] = field(default_factory=dict)

    def __call__(self, *_: object) -> None:
        self.count += 1


def run_plan(
    project: Project,
    stages: Mapping[str, Stage],
    *,
    jobs: int = 0,
    quiet: bool = False,
    on_progress: Callable[[Snapshot], None] | None = None,
    executor: Executor | None = None,
) -> RunOutcome:
    """Execute the stages that are not done, at most `jobs` at a time (0: as the project says); returns how it ended.

    A stage that fails holds up only those that need it. Ctrl-C stops at the next safe point, a second one at once. The
    executor (default: a Pool, which starts no process unless something has to run) may have been started before, so that it
    gets ready while the plan is made; it is closed in any case.
    Raises: RecordError when a record is unreadable or another stage's.
    """
    jobs = jobs or project.execution.resolved_jobs()
    return _Run(project, stages, jobs, executor or Pool(project), None if quiet else on_progress).run()


class _Run:
    def __init__(
        self,
        project: Project,
        stages: Mapping[str, Stage],
        jobs: int,
        executor: Executor,
        show: Callable[[Snapshot], None] | None,
    ) -> None:
        self._project, self._jobs, self._executor, self._show = project, jobs, executor, show
        self._units = {key: _Unit(stage) for key, stage in stages.items()}
        self._stopping = False
        self._began = time.monotonic()
        self._shown = 0.0

    def run(self) -> RunOutcome:
        try:
            self._reuse()
            with _interrupts() as interrupts:
                while self._open():
                    self._heed(interrupts)
                    self._advance()
                    self._tell()
                    if self._open():
                        for key, ended in self._executor.poll(_TICK_S):
                            self._ended(key, ended)
                self._tell(force=True)
        finally:
            self._executor.close()
        return self._outcome()

    def _reuse(self) -> None:
        for key, unit in self._units.items():
            status = status_of(self._project, key)
            if status.state == "unreadable":
                raise RecordError(status.error, hint=f"look at runs/{key}, or move it away and run again")
            if status.state == "done":
                unit.state = "reused"

    def _open(self) -> bool:
        return any(unit.state not in FINAL for unit in self._units.values())

    def _in(self, *states: State) -> list[tuple[str, _Unit]]:
        return [(key, unit) for key, unit in self._units.items() if unit.state in states]

    def _heed(self, interrupts: _Interrupts) -> None:
        if interrupts.count == interrupts.obeyed:
            return
        interrupts.obeyed = interrupts.count
        if not self._stopping:
            self._stopping = True
            self._executor.stop()
            for _, unit in self._in("waiting", "elsewhere"):
                unit.state = "stopped"
        else:
            self._executor.kill()

    def _advance(self) -> None:
        """Look at what runs elsewhere, and begin what can be begun."""
        now = time.monotonic()
        if not self._executor.ready:  # a stage's time counts from when it can begin
            for _, unit in self._in("running"):
                unit.began = now
        for key, unit in self._in("elsewhere"):
            if now - unit.looked >= _LOOK_ELSEWHERE_S:
                unit.looked = now
                self._look_elsewhere(key, unit)
        changed = True
        while changed:  # a failure may block a chain
            changed = False
            for key, unit in self._in("waiting"):
                changed |= self._consider(key, unit)

    def _look_elsewhere(self, key: str, unit: _Unit) -> None:
        status = status_of(self._project, key)
        if status.state == "done":
            unit.state = "done"
        elif status.state == "failed":
            unit.state, unit.error = "failed", status.error
        elif status.state != "running":
            unit.state = "waiting"  # it died or was stopped there: ours to go on with

    def _consider(self, key: str, unit: _Unit) -> bool:
        """Begin, block or leave a waiting stage; True when that changes what others may do."""
        inputs = [(i.key, self._units.get(i.key)) for i in unit.stage.inputs]
        for input_key, other in inputs:
            if other is None:
                if status_of(self._project, input_key).state != "done":
                    return self._block(unit, f"its input {input_key} is not done and not in this run")
            elif other.state == "stopped":
                unit.state = "stopped"
                return True
            elif other.state in ("failed", "blocked"):
                return self._block(unit, f"{other.stage.name} {other.state}")
        if why := obstacle(self._project, unit.stage):
            return self._block(unit, why)
        if any(other is not None and other.state not in ("done", "reused") for _, other in inputs):
            return False
        if len(self._in("running")) >= self._jobs:
            return False
        if status_of(self._project, key).state == "running":
            unit.state, unit.looked = "elsewhere", time.monotonic()
            return False
        try:
            Record.of(self._project, key).write_stage(unit.stage)
        except OSError as error:
            unit.state, unit.error = "failed", f"its record can't be written: {error.strerror or error}"
            return True
        unit.state, unit.began = "running", time.monotonic()
        self._executor.submit(key, _parts(unit.stage))
        return False

    def _block(self, unit: _Unit, why: str) -> bool:
        unit.state, unit.error = "blocked", why
        return True

    def _ended(self, key: str, ended: Ended) -> None:
        unit = self._units[key]
        status = status_of(self._project, key)
        if status.state == "done":
            unit.state = "done"
            return
        unit.error = ended.error
        if ended.how in ("busy", "fenced"):
            unit.state = "stopped" if self._stopping else "elsewhere"
            return
        self._close(key, ended)
        if ended.how == "failed":
            unit.state = "failed"
        elif self._stopping:
            unit.state = "stopped"
        else:  # its process was ended, or told to stop by somebody else
            unit.deaths += 1
            unit.state = "waiting" if unit.deaths <= _RETRIES else "failed"

    def _close(self, key: str, ended: Ended) -> None:
        """Write how the last attempt ended when it could not do so itself."""
        record = Record.of(self._project, key)
        with contextlib.suppress(OSError, RecordError):
            found = latest(record)
            if found is not None and found.end is None and not found.alive:
                mark_ended(record, found.number, "failed" if ended.how == "failed" else "died", ended.error)

    def _tell(self, force: bool = False) -> None:
        now = time.monotonic()
        if self._show is None or (not force and now - self._shown < _SHOW_S):
            return
        self._shown = now
        rows = []
        for key, unit in self._units.items():
            live = unit.state in ("running", "elsewhere")
            pace = pace_of(self._project, key) if live else NO_PACE
            rows.append(Row(unit.stage, unit.state, unit.error, pace, now - unit.began if unit.began else 0.0))
        self._show(Snapshot(tuple(rows), self._executor.ready, self._stopping, now - self._began))

    def _outcome(self) -> RunOutcome:
        def keys(state: State) -> tuple[str, ...]:
            return tuple(key for key, _ in self._in(state))

        return RunOutcome(
            done=keys("done"),
            reused=keys("reused"),
            failed={key: unit.error for key, unit in self._in("failed")},
            blocked={key: unit.error for key, unit in self._in("blocked")},
            stopped=keys("stopped"),
            seconds=time.monotonic() - self._began,
            hint=GO_ON if keys("stopped") else "",
        )


def _parts(stage: Stage) -> tuple[tuple[str, str], ...]:
    kinds = (("dataset", "data"), ("model", "model"), ("objective", "objective"))
    return tuple((kind, stage.settings[name]["type"]) for kind, name in kinds if name in stage.settings)


@contextlib.contextmanager
def _interrupts() -> Iterator[_Interrupts]:
    """Count Ctrl-C (and SIGTERM, as one) instead of raising, while the run lasts."""
    counted = _Interrupts()
    main = threading.current_thread() is threading.main_thread()
    numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)
    for number in numbers if main else ():
        counted.saved[number] = signal.signal(number, counted)
    try:
        yield counted
    finally:
        for saved, handler in counted.saved.items():
            signal.signal(saved, handler)
