"""What records under runs/ hold besides their events: read folder by folder, as rows for the tables."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow import ArrowException, types

from interpreter.errors import RecordError
from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.record import PICKED, SCORES, Record, read_json
from interpreter.run.status import status_of

_KEY = re.compile(r"[0-9a-f]{16,64}")
_CHECKPOINT = re.compile(r"epoch-(\d+)\.pt")
_ATTEMPT = re.compile(r"\d{4,}\.json")
_ENVIRONMENT = ("python", "torch", "lightning", "timm", "numpy", "git_commit", "source_hash")
_NUMERICS = ("threads", "device", "precision", "tf32", "loader_workers")

Row = dict[str, Any]


@dataclass(slots=True)
class Found:
    """One record, apart from its events. `problems` are (code, text) findings about the record itself."""

    stage: Row
    attempts: list[Row] = field(default_factory=list)
    checkpoints: list[Row] = field(default_factory=list)
    segments: list[Row] = field(default_factory=list)
    scores: list[Row] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def keys(project: Project) -> list[str]:
    """Keys of all records, sorted."""
    with contextlib.suppress(FileNotFoundError), os.scandir(project.runs) as folders:
        return sorted(f.name for f in folders if _KEY.fullmatch(f.name) and f.is_dir())
    return []


def signature(project: Project, key: str) -> str:
    """A text that changes whenever a file of the record `key` is added, removed or grows."""
    folder = f"{project.runs}/{key}"  # plain text: this runs for every record at every ingest
    parts = []
    for path in (folder, f"{folder}/attempts", f"{folder}/checkpoints", f"{folder}/events.jsonl"):
        try:
            found = os.stat(path)
            parts.append(f"{found.st_mtime_ns:x}.{found.st_size:x}")
        except OSError:
            parts.append("-")
    return ":".join(parts)


def first_line(record: Record) -> bytes:
    """The first line of the events; b"" when there is none."""
    with contextlib.suppress(FileNotFoundError), open(record.events, "rb") as file:
        return file.readline(65536)
    return b""


def attempt_files(record: Record) -> list[str]:
    """Names of the files in which attempts say who they are, in order."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(filter(_ATTEMPT.fullmatch, os.listdir(record.attempts)))
    return []


def planned(stage: Stage) -> Row:
    """The row of a stage that has no record."""
    return {
        "key": stage.key, "kind": stage.kind, "name": stage.name, "seed": stage.seed, "state": "new",
        "planned_epochs": stage.epochs, "epochs": 0, "ended": None, "attempt": None, "finished": None, "best_metric": None,
        "best_value": None, "best_epoch": None,
        "settings": _json(stage.settings), "error": "",
        "inputs": _json([{"role": i.role, "key": i.key, "checkpoint": i.checkpoint, "take": i.take} for i in stage.inputs]),
        "sources": _json([{"name": s.name, "fingerprint": s.fingerprint} for s in stage.sources]),
    }  # fmt: skip


def read(project: Project, key: str, stage: Stage | None, attempts: list[str]) -> Found:
    """What the record `key` holds, `attempts` as attempt_files has them. `stage` stands in for an unreadable stage.json."""
    record = Record.of(project, key)
    problems: list[tuple[str, str]] = []
    try:
        stage = record.read_stage()
    except (RecordError, FileNotFoundError) as error:
        if record.stage_file.exists() or stage is None:
            problems.append(("unreadable-record", _first_line(error)))
    row = planned(stage) if stage else _unknown(key)
    status = status_of(project, key)
    row |= {
        "state": status.state, "attempt": status.attempt or None, "epochs": status.epoch,
        "error": "" if status.state in ("done", "running") else status.error.partition("\n")[0],
    }  # fmt: skip
    done = status.done or {}
    if status.state == "unreadable":
        problems.append(("unreadable-record", status.error.partition("\n")[0]))
    if done:
        best = done.get("best") or {}
        value, epoch = best.get("value"), best.get("epoch")
        row |= {
            "ended": done.get("why"), "finished": done.get("finished"), "best_metric": best.get("metric"),
            "best_value": None if value is None else float(value), "best_epoch": None if epoch is None else int(epoch) + 1,
        }  # fmt: skip
        if row["kind"] in ("evaluate", "combine", "score"):
            row["epochs"] = 1
    found = Found(row, problems=problems)
    found.attempts = list(_attempts(record, attempts, problems))
    found.checkpoints = list(_checkpoints(project, record, done))
    found.segments = list(_segments(project, record, done, problems))
    if done and stage is not None and stage.kind == "score":
        found.scores = list(_scores(project, record, str(stage.settings["name"]), problems))
    return found


def _unknown(key: str) -> Row:
    return planned(Stage(key, "", "", {}, {"schedule": {"epochs": 0}}, (), (), 0)) | {"state": "unreadable", "settings": None}


def _attempts(record: Record, names: list[str], problems: list[tuple[str, str]]) -> Iterator[Row]:
    for name in names:
        path = record.attempts / name
        end: Mapping[str, Any] = {}
        try:
            who = read_json(path)
            with contextlib.suppress(FileNotFoundError):
                end = read_json(path.with_suffix(".end"))
        except (RecordError, FileNotFoundError) as error:
            problems.append(("unreadable-attempt", _first_line(error)))
            continue
        environment, numerics = who.get("environment") or {}, who.get("numerics") or {}
        yield {
            "attempt": int(path.stem), "started": who.get("started"), "finished": end.get("at"), "how": end.get("how"),
            "error": str(end.get("error") or "").partition("\n")[0], "host": who.get("host"), "pid": who.get("pid"),
            "environment": {n: _word(environment.get(n)) for n in _ENVIRONMENT} | {"everything": _json(environment)},
            **{n: numerics.get(n) for n in _NUMERICS}, "precision": _word(numerics.get("precision")), "numerics": _json(numerics),
        }  # fmt: skip


def _checkpoints(project: Project, record: Record, done: Mapping[str, Any]) -> Iterator[Row]:
    best, last = (done.get(name, {}).get("checkpoint") if done.get(name) else None for name in ("best", "last"))
    with contextlib.suppress(FileNotFoundError):
        folder = _relative(project, record.checkpoints)
        for entry in sorted(os.scandir(record.checkpoints), key=lambda e: e.name):
            match = _CHECKPOINT.fullmatch(entry.name)
            made = int(match[1]) if match else int(done["best"]["epoch"]) if done and entry.name == PICKED else None
            if made is not None:
                with contextlib.suppress(FileNotFoundError):  # removed while we look
                    yield {
                        "epoch": made + 1, "path": f"{folder}/{entry.name}", "bytes": entry.stat().st_size,
                        "best": entry.name == best if done else None, "last": entry.name == last if done else None,
                    }  # fmt: skip


def _segments(project: Project, record: Record, done: Mapping[str, Any], problems: list[tuple[str, str]]) -> Iterator[Row]:
    for split, names in (done.get("predictions") or {}).items():
        targets = record.predictions / split / "targets.parquet"
        missing = [n for n in names if not (record.predictions / split / n).is_file()]
        try:
            several = types.is_list(pq.read_schema(targets).field("target").type)
            if missing:
                raise FileNotFoundError(", ".join(missing))
        except (OSError, KeyError, ArrowException) as error:
            problems.append(("unreadable-predictions", f"predictions of {split}: {_first_line(error)}"))
            continue
        for name in names:
            yield {
                "split": split, "path": _relative(project, record.predictions / split / name),
                "targets": _relative(project, targets), "target_kind": "several" if several else "one",
            }  # fmt: skip


def _scores(project: Project, record: Record, split: str, problems: list[tuple[str, str]]) -> Iterator[Row]:
    path = record.predictions / split / SCORES
    try:
        names = pq.read_schema(path).names
        if not {"row", "id", "difficulty"} <= set(names):
            raise KeyError(f"columns {', '.join(names)}")
    except (OSError, KeyError, ArrowException) as error:
        problems.append(("unreadable-scores", f"scores of {split}: {_first_line(error)}"))
        return
    yield {"split": split, "path": _relative(project, path)}


def _relative(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=dict)  # default: mappings that are no dict


def _word(value: Any) -> str | None:
    return None if value is None else str(value)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
