"""What a run shows while it lasts: live lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from interpreter.run.outcome import Row, Snapshot
from interpreter.run.status import Pace

PLAIN_EVERY_S = 10.0
_DOING = {"evaluate": "evaluating", "score": "scoring", "combine": "combining", "import": "importing"}
_LIVE_ROWS = 12  # running stages shown at once; more are counted


class Display:
    """Shows snapshots on `stream`: pass it as `on_progress`, within `with`. `labels` calls stages, by key, as their page does."""

    def __init__(self, stream: TextIO | None = None, labels: Mapping[str, str] | None = None) -> None:
        stream = stream or sys.stderr
        self._labels = labels or {}
        self._console = Console(file=stream, highlight=False, soft_wrap=not stream.isatty())
        self._live: Live | None = None
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._told: dict[str, str] = {}  # key -> state last told
        self._last_plain = time.monotonic()

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, now: Snapshot) -> None:
        """Show `now`: what changed as lines that stay, what runs as lines that move."""
        if self._live is not None and not self._live.is_started:
            self._live.start()
        for row in now.rows:
            self._changes(row)
        if self._live is not None:
            self._live.update(self._picture(now), refresh=True)
        elif time.monotonic() - self._last_plain >= PLAIN_EVERY_S:
            self._last_plain = time.monotonic()
            for row in _live_rows(now):
                self._line(f"{self._label(row)}: {pace_line(row)}")

    def _changes(self, row: Row) -> None:
        before = self._told.get(row.stage.key, "waiting")
        if row.state == before:
            return
        self._told[row.stage.key] = row.state
        if row.state == "reused":
            return  # counted in the outcome; a line each would bury what runs
        if row.state == "waiting":
            self._line(f"{self._label(row)}: begins again, {row.error}")
        elif row.state == "running" and self._live is None:
            self._line(f"{self._label(row)}: started")
        elif row.state == "elsewhere":
            self._line(f"{self._label(row)}: running elsewhere, waiting for it")
        elif row.state == "done":
            self._line(f"{self._label(row)}: done" + (f" in {duration(row.seconds)}" if row.seconds else ""))
        elif row.state in ("failed", "blocked"):
            self._line(f"{self._label(row)}: {row.state}: {row.error}", "bold red" if row.state == "failed" else "yellow")
        elif row.state == "stopped":
            self._line(f"{self._label(row)}: stopped")

    def _label(self, row: Row) -> str:
        """What the page calls a stage, and a piece of its key."""
        return f"{self._labels.get(row.stage.key, row.stage.name)} [{row.stage.key[:8]}]"

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def _picture(self, now: Snapshot) -> Group:
        rows = _live_rows(now)
        table = Table.grid(padding=(0, 2))
        for row in rows[:_LIVE_ROWS]:
            table.add_row(Text(self._label(row), style="bold"), *(Text(cell) for cell in cells(row)))
        finished, total = now.count("done", "reused", "failed", "blocked", "stopped"), len(now.rows)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=max(1, total), completed=finished, width=30), Text(_summary(now, finished, total)))
        more = [Text(f"and {len(rows) - _LIVE_ROWS} more running")] if len(rows) > _LIVE_ROWS else []
        return Group(table, *more, bar)


def _live_rows(now: Snapshot) -> Sequence[Row]:
    return [row for row in now.rows if row.state in ("running", "elsewhere")]


def _summary(now: Snapshot, finished: int, total: int) -> str:
    text = f"{finished} of {total} stages, {duration(now.seconds)}"
    if now.stopping:
        return text + ", stopping at the end of the epoch (Ctrl-C again: at once)"
    return text if now.ready else text + ", starting workers"


def cells(row: Row) -> tuple[str, ...]:
    """What there is to say of a running stage: epoch, metric, best so far, speed, time left, memory."""
    pace, epochs = row.pace, row.stage.epochs
    if not epochs:
        return (_DOING.get(row.stage.kind, "at work"),)
    here = f" {100 * pace.step // pace.steps}%" if pace.steps and pace.step else ""
    out = [f"epoch {min(pace.epoch + 1, epochs)}/{epochs}{here}"]
    metric = str(pace.best.get("metric", "")) or next((m for m in pace.metrics if m.startswith("val/")), "")
    if metric in pace.metrics:
        out.append(f"{metric} {_number(pace.metrics[metric])}")
        if pace.best:
            out.append(f"best {_number(pace.best['value'])} at {pace.best['epoch'] + 1}")
    if pace.it_per_s:
        out.append(f"{pace.it_per_s:.1f} it/s")
    if pace.seconds_per_epoch:
        out.append(f"{duration(_left(pace, epochs))} left")
    if pace.rss_mb:
        out.append(f"{pace.rss_mb:.0f} MB")
    return tuple(out)


def pace_line(row: Row) -> str:
    """The same as one plain line."""
    return ", ".join(cells(row))


def _left(pace: Pace, epochs: int) -> float:
    part = pace.step / pace.steps if pace.steps else 0.0
    return max(0.0, epochs - pace.epoch - part) * pace.seconds_per_epoch


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else str(value)


def duration(seconds: float) -> str:
    """Seconds in words: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
