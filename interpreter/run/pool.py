"""Executes stages in warm workers on this machine: a server process imports what is heavy once, and forks for each stage.

The server and its children are in a session of their own: the terminal's Ctrl-C reaches the coordinator alone. They
talk in JSON lines. When the coordinator is gone the server reads the end of its input and asks its children to stop;
when the server is gone they notice by themselves; both at the end of an epoch.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import interpreter
from interpreter.project import Project
from interpreter.run.executor import Ended

SERVER = "interpreter.stages.server"
_SINGLE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Pool:
    """The local executor. `submit` may be called before the server is ready: the stage begins when it is."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._log = project.cache / "server.log"
        self._server: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._stopping = False
        self._running: set[str] = set()
        self._buffer = b""

    @property
    def ready(self) -> bool:
        """True once the server has imported what is heavy."""
        return self._ready

    @property
    def server_pid(self) -> int:
        """The server's process id, 0 when there is none."""
        return self._server.pid if self._server else 0

    def start(self) -> None:
        """Start the server, which then imports for some seconds, and return at once."""
        if self._server is not None:
            return
        self._log.parent.mkdir(parents=True, exist_ok=True)
        package = str(Path(interpreter.__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
        # One thread for the numerical libraries in the server, where they start some on import: threads don't survive a
        # fork. A stage sets torch's own number.
        env = {**os.environ, **dict.fromkeys(_SINGLE, "1"), "PYTHONPATH": path}
        with open(self._log, "wb") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-P", "-m", SERVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=env,
                bufsize=0,
            )
        self._ready, self._buffer = False, b""
        project = self._project
        execution = asdict(project.execution)
        about = {"root": str(project.root), "data": project.data, "execution": execution, "plugins": project.plugins}
        self._send({"do": "project", **about})

    def submit(self, key: str, parts: tuple[tuple[str, str], ...]) -> None:
        """Begin the stage `key` in a forked child of the server."""
        self.start()
        self._running.add(key)
        self._send({"do": "start", "key": key, "parts": parts})

    def poll(self, timeout: float) -> list[tuple[str, Ended]]:
        """Keys that have ended; waits up to `timeout` seconds. When the server is gone, all that ran there."""
        if self._server is None:
            time.sleep(timeout)
            return []
        out = self._server.stdout
        assert out is not None
        if not select.select([out], [], [], timeout)[0]:
            return []
        data = os.read(out.fileno(), 1 << 16)
        if not data:
            return self._server_gone()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        ended: list[tuple[str, Ended]] = []
        for line in lines:
            said = json.loads(line)
            if said["said"] == "ready":
                self._ready = True
            else:
                self._running.discard(said["key"])
                ended.append((said["key"], Ended(said["how"], said["error"])))
        return ended

    def stop(self) -> None:
        """Ask all stages to stop at the end of their epoch. A server that is still importing runs none: it is ended."""
        if self._server is not None and not self._ready:
            self._stopping = True
            self._server.kill()
        elif self._server is not None:
            self._send({"do": "stop"})

    def kill(self) -> None:
        """Kill all stages."""
        if self._server is not None:
            self._send({"do": "kill"})

    def close(self) -> None:
        """End the server. Stages that still run are asked to stop and left to it."""
        server, self._server = self._server, None
        if server is None:
            return
        assert server.stdin is not None
        assert server.stdout is not None
        with contextlib.suppress(OSError):
            server.stdin.close()
        if not self._ready:
            server.kill()  # it is still importing, and has no children
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=10)
        server.stdout.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._server is not None
        assert self._server.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `poll` will find out
            self._server.stdin.write(json.dumps(message).encode() + b"\n")

    def _server_gone(self) -> list[tuple[str, Ended]]:
        """What ran there: its children stop by themselves at the end of an epoch; till then their stages are busy."""
        server, keys = self._server, sorted(self._running)
        assert server is not None
        assert server.stdin is not None
        assert server.stdout is not None
        server.wait()
        with contextlib.suppress(OSError):
            server.stdin.close()
        server.stdout.close()
        ready, self._server, self._ready = self._ready, None, False
        self._running.clear()
        if self._stopping:
            return [(key, Ended("stopped")) for key in keys]
        if ready:
            return [(key, Ended("busy", "the server of the workers is gone")) for key in keys]
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        why = f"the workers can't be started: {lines[-1] if lines else f'exit code {server.returncode}'}"
        return [(key, Ended("failed", why)) for key in keys]
