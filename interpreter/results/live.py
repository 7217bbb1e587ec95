"""Takes new records in while a run goes on, so that another terminal sees them seconds later."""

from __future__ import annotations

import threading
from types import TracebackType

from interpreter.errors import ExptError
from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.results.ingest import ingest

EVERY_S = 3.0


class LiveIngest:
    """Ingests every few seconds in a thread of its own, until left. What it can't take in now, the next ingest does."""

    def __init__(self, project: Project, plan: Plan, every_s: float = EVERY_S) -> None:
        self._project, self._plan, self._every_s = project, plan, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="ingest", daemon=True)
        self.trouble = ""  # the last thing that went wrong, for the end of the run

    def __enter__(self) -> LiveIngest:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                found = ingest(self._project, [self._plan], wait_s=1.0)
                self.trouble = found.message if found.behind else ""
            except ExptError as error:
                self.trouble = str(error)
