"""An import: results that were made elsewhere become the record of a stage. A pure function of the file and its settings."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interpreter.errors import DataMissing, StageFailed
from interpreter.parts.build import build_objective
from interpreter.run.record import now
from interpreter.spec.curve_files import Curves, Layout, read_curves
from interpreter.spec.imported import content_hash, folder_of
from interpreter.spec.prediction_files import CLASS_METRICS
from interpreter.stages import findings
from interpreter.stages.event_files import read_event_files
from interpreter.stages.foreign import Foreign, read_foreign
from interpreter.stages.outputs import finish_single, record_outputs
from interpreter.stages.work import Event, Work, finding

WHY = "imported"


def run_import(work: Work) -> int:
    """Do an import; returns the epochs that the file has. Raises: DataMissing, StageFailed, Fenced, OSError."""
    settings: Mapping[str, Any] = work.stage.settings["import"]
    try:
        folder = folder_of(work.project, settings.get("from", ""))
        if folder is None:
            raise DataMissing(f"the data source `{settings['from']}` of the file to import is not here")
        found = _read(folder / settings["path"], settings, work.stage.seed)
        return _predictions(work, found) if isinstance(found, Foreign) else _curves(work, found)
    except StageFailed as error:
        raise _named(error, settings) from None


def _read(path: Path, settings: Mapping[str, Any], seed: int) -> Curves | Foreign:
    """What the file holds, if it is the one that was planned with. Raises: DataMissing, StageFailed."""
    names = ("split", "columns", "epoch", "first_epoch", "seed_column")
    layout = Layout(*(settings[name] for name in names), *(settings.get(name, "") for name in ("each", "model", "ids")))
    try:
        if settings["kind"] == "tensorboard":
            _verify(content_hash(path), settings)
            found = read_event_files(path, layout)
            _verify(content_hash(path), settings)  # still: its reader opens the files by itself
            return found
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataMissing(f"the file `{settings['path']}` to import is not here") from None
    _verify(hashlib.sha256(data).hexdigest(), settings)
    if settings["kind"] == "predictions":
        return read_foreign(data, path.name, layout, settings["objective"], seed)
    found = read_curves(data, path.name, layout)
    return found.of_model(layout.model) if layout.each else found


def _named(error: StageFailed, settings: Mapping[str, Any]) -> StageFailed:
    """`error` with the file it is about; one of a subclass (fenced, changed) is about something else, and stays as it is."""
    return StageFailed(f"`{settings['path']}`: {error}", hint=error.hint) if type(error) is StageFailed else error


def _verify(found: str, settings: Mapping[str, Any]) -> None:
    """Raise DataMissing unless the file is the one that was planned with."""
    if found != settings["sha256"]:
        raise DataMissing(
            f"the file `{settings['path']}` has changed since it was planned with: its sha256 is {found[:12]}..., not "
            f"{settings['sha256'][:12]}...",
            hint="plan again: its results are then others, under a key of their own",
        )


def _begin(work: Work, facts: Mapping[str, Any]) -> list[Event]:
    """The first events: that numbers come from a file, and from where."""
    settings = work.stage.settings["import"]
    model = {"model": settings["model"]} if settings.get("model") else {}
    at = f" of the source {settings['from']}" if settings.get("from") else ""
    origin = f"imported from {settings['path']}{at}" + (f": {settings['source']}" if settings["source"] else "")
    said: list[Event] = [{"kind": "attempt", "resume_epoch": 0, "t": now()}]
    said.append(
        {
            "kind": "data",
            "epoch": 0,
            "name": settings.get("data") or settings["path"],
            "origin": origin,
            "facts": {**facts, **model},
        }
    )
    return said + [finding(0, code, text) for code, text in work.notes]


def _curves(work: Work, found: Curves) -> int:
    if found.problems:
        raise StageFailed("; ".join(found.problems))
    seed = work.stage.seed if found.seeds else None
    epochs = found.by_seed.get(seed)
    if epochs is None:
        raise StageFailed(f"has no seed {seed}; it has {', '.join(map(str, found.seeds))}")
    empty = {"step": None, "examples": None, "rates": {}, "phase": 0, "resources": {}}
    lines: list[Event] = [
        {"kind": "epoch", "epoch": epoch, "t": now(), "metrics": epochs[epoch], **empty} for epoch in sorted(epochs)
    ]
    reached = max(epochs) + 1
    said = findings.of_curves(lines, reached)
    if len(epochs) < reached:
        text = f"the file has {len(epochs)} of {reached} epochs"
        said.append(finding(reached, "epochs-missing", text, "note"))
    if any(math.isinf(value) or math.isnan(value) for row in epochs.values() for value in row.values()):
        said.append(finding(reached, "non-finite-metric", "some values in the file are not finite numbers", "note"))
    end: Event = {"kind": "end", "epoch": reached, "planned": reached, "reached": reached, "why": WHY}
    work.events.write(*_begin(work, {}), *lines, *said, end)
    finish_single(work, reached, WHY, {})
    return reached


def _predictions(work: Work, found: Foreign) -> int:
    name, count = work.stage.settings["name"], found.outputs.shape[1]
    objective = build_objective({"type": found.task}, found.split.as_data(name, count, found.class_names))
    said = _begin(work, {"n": {name: len(found.split)}, "class_names": list(found.class_names)})
    if found.only_classes:
        text = f"the file has predicted classes and nothing of their probabilities: only {', '.join(CLASS_METRICS)} are told"
        said.append(finding(0, "only-classes", text, "note"))
    work.events.write(*said)
    only = CLASS_METRICS if found.only_classes else None
    return record_outputs(work, found.split, objective, found.outputs, why=WHY, rules={}, began=None, only=only)
