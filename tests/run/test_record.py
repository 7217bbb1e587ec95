"""Files of a record, attempts, and fencing, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interpreter.errors import Fenced, RecordError
from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.attempts import Busy, latest, numbers, take
from interpreter.run.events import EventWriter, read_events
from interpreter.run.ledger import Ledger
from interpreter.run.record import Record, write_atomically
from interpreter.run.status import status_of

STAGE = Stage("a" * 40, "fit", "one", {}, {"schedule": {"epochs": 3}}, (), (), 0)


def record_in(root: Path) -> Record:
    record = Record.of(Project(root), STAGE.key)
    record.write_stage(STAGE)
    return record


def python(code: str, *arguments: object, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, env={**os.environ, **env})


def test_a_stage_is_written_once_and_never_differently(tmp_path: Path) -> None:
    record = record_in(tmp_path)
    before = record.stage_file.stat().st_mtime_ns
    record.write_stage(Stage(**{**_fields(STAGE), "name": "called otherwise"}))
    assert record.stage_file.stat().st_mtime_ns == before
    assert record.read_stage() == STAGE
    with pytest.raises(RecordError, match="is not what this stage would write"):
        record.write_stage(Stage(**{**_fields(STAGE), "seed": 1}))


def _fields(stage: Stage) -> dict[str, object]:
    return {name: getattr(stage, name) for name in Stage.__slots__}


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"old")

    def fails(file: object) -> None:
        file.write(b"ne")  # type: ignore[attr-defined]
        raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        write_atomically(path, fails)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


_TAKE = """
import sys, time
from pathlib import Path
from interpreter.project import Project
from interpreter.run.attempts import Busy, take
from interpreter.run.record import Record
record = Record.of(Project(Path(sys.argv[1])), sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
try:
    attempt = take(record, {})
    print("won", attempt.number, flush=True)
    sys.stdin.readline()
except Busy:
    print("busy", flush=True)
"""


def test_of_many_takers_exactly_one_wins(tmp_path: Path) -> None:
    record = record_in(tmp_path)
    takers = [python(_TAKE, tmp_path, STAGE.key) for _ in range(6)]
    for taker in takers:
        assert taker.stdout.readline() == "ready\n"
    for taker in takers:
        taker.stdin.write("go\n")
        taker.stdin.flush()
    said = [taker.stdout.readline().split() for taker in takers]
    assert sorted(s[0] for s in said) == ["busy"] * 5 + ["won"]
    assert numbers(record) == [1]
    for taker in takers:
        taker.kill()
        taker.wait()
        taker.stdout.close()
        taker.stdin.close()
    assert take(record, {}).number == 2  # all are dead now
    assert json.loads((record.attempts / "0001.end").read_text())["how"] == "died"


_WRITE = """
import sys, time
from pathlib import Path
from interpreter.errors import Fenced
from interpreter.project import Project
from interpreter.run.attempts import take
from interpreter.run.events import EventWriter
from interpreter.run.record import Record
record = Record.of(Project(Path(sys.argv[1])), sys.argv[2])
attempt = take(record, {})
events = EventWriter(record.events, attempt.number, attempt.check)
epoch = 0
try:
    while True:
        events.write({"kind": "epoch", "epoch": epoch})
        epoch += 1
        time.sleep(0.02)
except Fenced:
    print("fenced", flush=True)
"""


def test_a_writer_that_slept_too_long_is_fenced_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPT_HEARTBEAT_S", "0.1")
    monkeypatch.setenv("EXPT_STALE_S", "0.6")
    record = record_in(tmp_path)
    writer = python(_WRITE, tmp_path, STAGE.key)
    while not read_events(record.events).lines:
        time.sleep(0.02)
    with pytest.raises(Busy, match="running on"):
        take(record, {})
    assert status_of(Project(tmp_path), STAGE.key).state == "running"
    writer.send_signal(signal.SIGSTOP)
    time.sleep(0.9)
    assert status_of(Project(tmp_path), STAGE.key).state == "died"
    second = take(record, {})
    size = record.events.stat().st_size
    writer.send_signal(signal.SIGCONT)
    assert writer.communicate(timeout=10)[0] == "fenced\n"
    assert record.events.stat().st_size == size
    second.check()
    second.end("stopped", epoch=2)
    assert status_of(Project(tmp_path), STAGE.key).state == "stopped"


def test_a_fenced_attempt_cannot_say_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_in(tmp_path)
    first = take(record, {})
    monkeypatch.setenv("EXPT_STALE_S", "0")
    second = take(record, {})
    with pytest.raises(Fenced):
        first.end("done")
    assert json.loads((record.attempts / "0001.end").read_text())["how"] == "died"
    second.release()


def test_an_attempt_of_another_host_lives_by_its_heartbeat_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_in(tmp_path)
    who = {"attempt": 1, "host": "elsewhere", "pid": 1, "pid_start": 1, "boot_id": "b", "pid_space": ""}
    (record.attempts / "0001.json").write_text(json.dumps(who))
    assert latest(record).alive
    old = time.time() - 61
    os.utime(record.attempts / "0001.json", (old, old))
    assert not latest(record).alive


def test_states(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert status_of(project, STAGE.key).state == "new"
    record = record_in(tmp_path)
    assert status_of(project, STAGE.key).state == "new"
    attempt = take(record, {})
    events = EventWriter(record.events, 1, attempt.check)
    events.write({"kind": "attempt", "resume_epoch": 0}, {"kind": "epoch", "epoch": 0, "metrics": {"val/loss": 1.0}})
    status = status_of(project, STAGE.key)
    assert (status.state, status.epoch, status.epochs, status.pid) == ("running", 1, 3, os.getpid())
    attempt.end("failed", error="out of ideas", trace="Traceback")
    status = status_of(project, STAGE.key)
    assert (status.state, status.error) == ("failed", "out of ideas")
    assert (record.attempts / "0001.error").read_text() == "Traceback"
    write_atomically(record.done_file, b'{"attempt": 1, "epochs": 3, "planned_epochs": 3}')
    assert status_of(project, STAGE.key).state == "done"
    with pytest.raises(Busy, match="done"):
        take(record, {})
    record.done_file.write_bytes(b"{")
    assert status_of(project, STAGE.key).state == "unreadable"


def test_the_ledger_notes_a_thing_once_whoever_notes_it(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from interpreter.project import Project
from interpreter.run.ledger import Ledger
ledger = Ledger(Project(Path(sys.argv[1])))
print(sum(ledger.note("claim", entry="e", profile="", claim=f"c{i}", hash=str(i)) for i in range(20)))
"""
    writers = [python(code, tmp_path) for _ in range(4)]
    assert sum(int(w.communicate(timeout=30)[0]) for w in writers) == 20
    ledger = Ledger(Project(tmp_path))
    assert [line["claim"] for line in ledger.lines()] == [f"c{i}" for i in range(20)]
    with open(tmp_path / "runs" / "ledger.jsonl", "ab") as file:
        file.write(b'{"kind": "cla')  # a crash in the middle of a line
    assert not ledger.note("claim", entry="e", profile="", claim="c3", hash="3")
    assert ledger.note("claim", entry="e", profile="", claim="c3", hash="changed")
    lines, bad = ledger.read()
    assert len(lines) == 21
    assert bad == ['{"kind": "cla']
