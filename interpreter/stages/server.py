"""The server of a pool: imports what stages need once, then forks a child for each, told by JSON lines on its input.

A fork costs about 0.1 s where a fresh process costs the imports, several seconds. Commands:

    {"do": "project", ...}   first: root, data, execution, plugins
    {"do": "start", "key": ..., "parts": [[kind, type], ...]}
    {"do": "stop"}           all children stop at their next safe point
    {"do": "kill"}           all children end now

and, on its output: {"said": "ready"}, {"said": "ended", "key", "how", "error"}. The end of its input means that the
coordinator is gone: as stop, and exit when the last child has ended.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpreter import catalog
from interpreter.project import Execution, Project
from interpreter.run.environment import PARTS, environment, plugins
from interpreter.run.record import Record
from interpreter.stages.main import run_stage

_ERROR_LIMIT = 2000  # characters of an error passed on; a pipe holds more, so the child never waits for us to read
_asked_to_stop = False


@dataclass(frozen=True, slots=True)
class Child:
    """A forked child: the stage it does, and where it leaves word of how that ended."""

    key: str
    word: int


class Server:
    """Forks and reaps. One thread."""

    def __init__(self, commands: int, replies: int) -> None:
        self._commands, self._replies = commands, replies
        self._wake, wake = os.pipe()
        for fd in (self._wake, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._own = (commands, replies, self._wake, wake)
        self._children: dict[int, Child] = {}
        self._project: Project | None = None
        self._buffer = b""

    def serve(self) -> None:
        """Do what is asked until the input ends and the last child has."""
        self._say({"said": "ready"})
        listening = True
        while listening or self._children:
            watched = [self._wake, *([self._commands] if listening else [])]
            ready, _, _ = select.select(watched, [], [], 5.0)
            if self._wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
            self._reap()
            if self._commands in ready:
                data = os.read(self._commands, 1 << 16)
                listening = bool(data) and self._obey(data)
                if not listening:
                    self._signal(signal.SIGTERM)
            if _asked_to_stop and listening:
                listening = False
                self._signal(signal.SIGTERM)

    def _obey(self, data: bytes) -> bool:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            match command["do"]:
                case "project":
                    execution, listed = Execution(**command["execution"]), tuple(command["plugins"])
                    self._project = Project(Path(command["root"]), command["data"], execution, listed)
                    catalog.use(listed)
                case "start":
                    self._fork(command["key"], command["parts"])
                case "stop":
                    self._signal(signal.SIGTERM)
                case "kill":
                    self._signal(signal.SIGKILL)
        return True

    def _fork(self, key: str, parts: list[tuple[str, str]]) -> None:
        for kind, type_ in parts:
            with contextlib.suppress(Exception):  # the child meets the same error, and knows how to tell it
                catalog.builder(kind, type_)
                plugins({PARTS[kind]: {"type": type_}})  # so that no child has to look it up
        assert self._project is not None
        word, tell = os.pipe()
        gc.collect()
        gc.freeze()  # what is there stays there: a collection in a child need not touch, and so copy, it
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(word)
            for fd in (*self._own, *(child.word for child in self._children.values())):
                os.close(fd)
            _child(self._project, key, server, tell)
        os.close(tell)
        os.set_blocking(word, False)
        self._children[pid] = Child(key, word)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                if number == signal.SIGKILL:
                    os.killpg(pid, number)  # with its loader processes
                else:
                    os.kill(pid, number)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            child = self._children.pop(pid)
            said: dict[str, Any] = {"how": "died", "error": _cause(status)}
            with contextlib.suppress(BlockingIOError, ValueError):
                said = json.loads(os.read(child.word, 1 << 16))
            os.close(child.word)
            self._say({"said": "ended", "key": child.key, **said})

    def _say(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # the coordinator is gone: the end of the input says the same
            os.write(self._replies, json.dumps(message).encode() + b"\n")


def _cause(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        return f"its process was ended by {name}" + (" (out of memory?)" if number == signal.SIGKILL else "")
    return f"its process exited with {os.waitstatus_to_exitcode(status)}"


def _child(project: Project, key: str, server: int, tell: int) -> None:
    """Do the stage and leave; never returns."""
    code = 70
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(Record.of(project, key).attempts / "output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        ended = run_stage(project, key, lambda: _asked_to_stop or os.getppid() != server)
        os.write(tell, json.dumps({"how": ended.how, "error": ended.error[:_ERROR_LIMIT]}).encode())
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)  # no exit handlers: they are the server's


def _stop(*_: object) -> None:
    global _asked_to_stop
    _asked_to_stop = True


def main() -> None:
    """Serve the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the loop
    replies = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no reply
    commands = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    environment()
    Server(commands, replies).serve()


if __name__ == "__main__":
    main()
