"""Events: torn tails, corrupt middles, and which lines count."""

from __future__ import annotations

from pathlib import Path

import pytest

from interpreter.run.events import EventWriter, drop_torn_tail, effective, encode, last_epochs, read_events


def write(path: Path, attempt: int, *lines: dict[str, object]) -> int:
    writer = EventWriter(path, attempt, lambda: None)
    size = writer.write(*lines)
    writer.close()
    return size


def begin(epoch: int) -> dict[str, object]:
    return {"kind": "attempt", "resume_epoch": epoch}


def epoch(number: int, **metrics: float) -> dict[str, object]:
    return {"kind": "epoch", "epoch": number, "metrics": metrics}


def test_a_torn_tail_is_left_for_later_and_cut_by_the_next_attempt(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    whole = write(path, 1, begin(0), epoch(0))
    with open(path, "ab") as file:
        file.write(encode({"kind": "epoch", "attempt": 1, "epoch": 1})[:-5])
    read = read_events(path)
    assert [line["kind"] for line in read.lines] == ["attempt", "epoch"]
    assert (read.end, read.corrupt) == (whole, ())
    assert drop_torn_tail(path) > 0
    assert path.stat().st_size == whole
    assert drop_torn_tail(path) == 0
    assert read_events(path, read.end).lines == ()


def test_a_tail_torn_before_any_newline_is_cut_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"x" * 200_000)
    assert drop_torn_tail(path) == 200_000
    assert drop_torn_tail(tmp_path / "absent") == 0


def test_a_corrupt_line_in_the_middle_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first = write(path, 1, begin(0), epoch(0))
    with open(path, "ab") as file:
        file.write(b"\x00\x00\x00 \xff\n[1]\n")
    write(path, 1, epoch(1))
    read = read_events(path)
    assert [line.get("epoch") for line in read.lines] == [None, 0, 1]
    assert [(c.offset, c.text) for c in read.corrupt] == [(first, "\x00\x00\x00 \\xff"), (first + 6, "[1]")]
    again = read_events(path, first)
    assert len(again.lines) == 1
    assert again.end == path.stat().st_size


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """The file system is real: a file size limit stands in for the disk's end."""
    import subprocess
    import sys

    code = """
import resource, signal, sys
from pathlib import Path
from interpreter.run.events import EventWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
writer = EventWriter(Path(sys.argv[1]), 1, lambda: None)
try:
    for n in range(1000):
        writer.write({"kind": "epoch", "epoch": n})
except OSError as error:
    print(n, error.errno)
"""
    path = tmp_path / "events.jsonl"
    out = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout.split()
    read = read_events(path)
    assert len(read.lines) == int(out[0])
    assert read.corrupt == ()
    assert read.end == path.stat().st_size


def test_numbers_that_are_none_are_words() -> None:
    nan = float("nan")
    assert encode({"a": nan, "b": [float("inf"), -float("inf")], "c": {"d": 1.5}}) == (
        b'{"a":"NaN","b":["Infinity","-Infinity"],"c":{"d":1.5}}\n'
    )


def line(attempt: int, body: dict[str, object]) -> dict[str, object]:
    return {**body, "attempt": attempt}


def test_an_attempt_supersedes_the_epochs_it_repeats() -> None:
    lines = [
        line(1, begin(0)),
        line(1, epoch(0, a=1.0)),
        line(1, epoch(1, a=2.0)),
        line(1, epoch(2, a=3.0)),
        line(2, begin(1)),
        line(1, epoch(3, a=9.0)),  # a writer that woke up too late
        line(2, epoch(1, a=2.5)),
        line(3, begin(2)),
        line(3, epoch(2, a=3.5)),
    ]
    counted = effective(lines)
    assert [(x["attempt"], x["epoch"]) for x in counted if x["kind"] == "epoch"] == [(1, 0), (2, 1), (3, 2)]
    assert [x["attempt"] for x in counted if x["kind"] == "attempt"] == [1, 2, 3]


def test_starting_over_supersedes_everything() -> None:
    lines = [line(1, begin(0)), line(1, {"kind": "start", "epoch": 0}), line(1, epoch(0)), line(2, begin(0))]
    assert [x["kind"] for x in effective(lines)] == ["attempt", "attempt"]


@pytest.mark.parametrize("limit", [400, 65536])
def test_the_tail_tells_the_last_epoch(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "events.jsonl"
    write(path, 1, begin(0), *(epoch(n, a=float(n)) for n in range(50)))
    write(path, 2, begin(49), epoch(49, a=0.5))
    last = last_epochs(path, limit)[-1]
    assert (last["attempt"], last["epoch"], last["metrics"]) == (2, 49, {"a": 0.5})
    assert last_epochs(tmp_path / "absent") == ()
