"""What executes stages: anything that can be handed a key, asked what has ended, and told to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

How = Literal["done", "failed", "stopped", "busy", "fenced", "died"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How an execution ended. The record says the same, and more; this is for what could not be written there.

    busy: another attempt, alive, holds the stage (or it is done). fenced: another attempt took it over.
    died: the process was killed. failed and stopped: see the attempt's end.
    """

    how: How
    error: str = ""


class Executor(Protocol):
    """Executes stages whose stage.json is written and whose inputs are done."""

    @property
    def ready(self) -> bool:
        """False while what was submitted can't begin yet."""
        ...

    def start(self) -> None:
        """Get ready, without waiting until that is so."""
        ...

    def submit(self, key: str, parts: tuple[tuple[str, str], ...]) -> None:
        """Begin the stage `key`. `parts` are the (kind, type) of the components it is made of."""
        ...

    def poll(self, timeout: float) -> list[tuple[str, Ended]]:
        """Keys that have ended since the last call; waits up to `timeout` seconds for one."""
        ...

    def stop(self) -> None:
        """Ask everything that runs to stop at its next safe point."""
        ...

    def kill(self) -> None:
        """End everything that runs, now."""
        ...

    def close(self) -> None:
        """Let go of what was held; nothing runs any more."""
        ...
