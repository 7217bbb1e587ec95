"""Checkpoints: tensors and plain values only, one file an epoch, superseded ones removed."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from interpreter.errors import StageFailed
from interpreter.run.record import FORMAT, Record
from interpreter.spec.canonical import canonical, digest
from interpreter.stages.predictions import missing
from interpreter.stages.work import Work

_NAME = re.compile(r"epoch-(\d{4,})\.pt")
_RULE = re.compile(r"epoch-(\d+)")
Checkpoint = dict[str, Any]


def save(work: Work, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of its epoch."""
    path = work.record.checkpoint(checkpoint["epoch"])
    work.write(path, lambda file: torch.save(checkpoint, file))


def prune(work: Work, keep: set[int]) -> None:
    """Remove the checkpoints of all epochs but `keep`."""
    work.attempt.check()
    for epoch in epochs_of(work.record):
        if epoch not in keep:
            work.record.checkpoint(epoch).unlink(missing_ok=True)


def epochs_of(record: Record) -> list[int]:
    """Epochs (from 0) that have a checkpoint, ascending."""
    if not record.checkpoints.is_dir():
        return []
    return sorted(int(m[1]) for m in (_NAME.fullmatch(p.name) for p in record.checkpoints.iterdir()) if m)


def newest(record: Record, events_bytes: int) -> tuple[Checkpoint | None, list[str]]:
    """The latest checkpoint a stage can go on from, and in words why later ones are of no use.

    Of use: readable, of this stage, made from events that are still there, and the checkpoints of the best epoch and of the one
    that the next phase may begin with, and the predictions it names, are there too.
    """
    refused: list[str] = []
    for epoch in reversed(epochs_of(record)):
        path = record.checkpoint(epoch)
        try:
            found = load(path)
            why = _unfit(found, record, epoch, events_bytes)
        except StageFailed as error:
            why = str(error)
        if not why:
            return found, refused
        refused.append(f"{path.name} is of no use: {why}")
    return None, refused


def _unfit(found: Checkpoint, record: Record, epoch: int, events_bytes: int) -> str:
    if found.get("key") != record.key or found.get("epoch") != epoch:
        return "it belongs to another stage or epoch"
    if found["event_offset"] > events_bytes:
        return "events it goes with are lost"
    best = found["best"]
    named = [("calls epoch {} the best", best["epoch"])] if best else []
    named += [("may go back to epoch {}", needed) for needed in found.get("needs", [])]
    for words, other in named:
        try:
            if other != epoch:
                load(record.checkpoint(other))
        except StageFailed as error:
            return f"it {words.format(other + 1)}: {error}"
    gone = missing(record.predictions / "val", found["predictions"])
    return f"predictions are lost: {', '.join(gone)}" if gone else ""


def load(path: Path) -> Checkpoint:
    """The checkpoint in `path`, on the CPU. Raises: StageFailed when there is none that can be read."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise StageFailed(f"{path.name} is not there") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise StageFailed(
            f"{path.name} can't be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise StageFailed(f"{path.name} is not a checkpoint of this program's format {FORMAT}")
    return found


def of_rule(record: Record, rule: str) -> Path:
    """The checkpoint of a finished stage that a rule means: "best", "last", "epoch-50", the 50th epoch; "picked" of a probe.

    Raises: StageFailed when the stage is not done or kept no such checkpoint.
    """
    done = record.done()
    if done is None:
        raise StageFailed(f"stage {record.key} is not done, and weights are to come from it")
    match = _RULE.fullmatch(rule)
    if match:
        path = record.checkpoint(int(match[1]) - 1)
    elif rule in ("best", "last", "picked") and done.get(rule):
        path = record.checkpoints / done[rule]["checkpoint"]
    else:
        raise StageFailed(f"stage {record.key} has no checkpoint `{rule}`", hint="best, last, or epoch-N")
    if not path.is_file():
        kept = ", ".join(f"epoch-{e + 1}" for e in epochs_of(record)) or "none"
        raise StageFailed(
            f"stage {record.key} kept no checkpoint `{rule}`", hint=f"kept: {kept}; ask with `keep: {{every: N}}` for more"
        )
    return path


def head_identity(head: Mapping[str, Any], outputs: int, target_space: str, groups: int = 1) -> str:
    """What two heads must have in common for one's weights to mean something in the other; `groups` of features have one each."""
    hidden = head["hidden"]
    widths = [] if hidden is None else [hidden] if isinstance(hidden, int) else list(hidden)
    settings = {**head, "hidden": widths, **({"groups": groups} if groups > 1 else {})}
    return digest(canonical({"head": settings, "outputs": outputs, "target_space": target_space}))
