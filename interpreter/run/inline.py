"""Executes stages in this process, one after the other: for tests and debuggers. Made of what is heavy only when used."""

from __future__ import annotations

from interpreter.catalog import load
from interpreter.project import Project
from interpreter.run.executor import Ended


class Inline:
    """An executor without processes. `stop` takes effect at the next safe point when called from a signal handler."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._waiting: list[str] = []
        self._stop = False

    @property
    def ready(self) -> bool:
        """Always."""
        return True

    def start(self) -> None:
        """Nothing to prepare."""

    def submit(self, key: str, parts: tuple[tuple[str, str], ...]) -> None:
        """Keep `key` for the next `poll`, which runs it."""
        self._waiting.append(key)

    def poll(self, timeout: float) -> list[tuple[str, Ended]]:
        """Run what was submitted, to its end."""
        run_stage = load("interpreter.stages.main:run_stage")
        keys, self._waiting = self._waiting, []
        return [(key, run_stage(self._project, key, lambda: self._stop)) for key in keys]

    def stop(self) -> None:
        """Stop what runs at its next safe point."""
        self._stop = True

    def kill(self) -> None:
        """As `stop`: there is no process to end but this one."""
        self._stop = True

    def close(self) -> None:
        """Nothing to let go of."""
