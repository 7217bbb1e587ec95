"""An evaluation: the weights of a finished fit, on one split of a dataset, once."""

from __future__ import annotations

import time

from interpreter.errors import StageFailed
from interpreter.parts.build import build_model, build_objective
from interpreter.run.record import Record, now
from interpreter.stages import findings
from interpreter.stages.batches import Batches, outputs_of
from interpreter.stages.checkpoint import of_rule
from interpreter.stages.predictions import Predictions, mode_of
from interpreter.stages.start import whole
from interpreter.stages.work import Event, Work, data_events, finding, table_events


def run_evaluate(work: Work) -> int:
    """Do an evaluation; returns 1, the epochs it has. Raises: StageFailed, Fenced, OSError."""
    settings, began = work.stage.settings, time.perf_counter()
    name, part = settings["name"], settings["part"]
    data = work.data()
    if part not in data.splits:
        raise StageFailed(f"the data has no `{part}` split", hint=f"it has: {', '.join(data.splits)}")
    split = data.splits[part]
    objective = build_objective(settings["objective"], data)
    model = build_model(settings["model"], settings["head"], data.shape, objective.outputs, work.stage.seed)
    source = work.stage.inputs[0]
    path = of_rule(Record.of(work.project, source.key), source.checkpoint)
    whole(model, path, data.class_names)
    why = f"all weights of {path.name} ({source.checkpoint}) of {source.key}"
    said: list[Event] = [{"kind": "attempt", "resume_epoch": 0, "t": now()}]
    said += [{"kind": "start", "epoch": 0, "from": source.key, "carried": ["encoder", "head"], "why": why}]
    said += [*data_events(data, settings["data"]["type"]), *(finding(0, code, text) for code, text in work.notes)]
    work.events.write(*said)
    fabric = work.fabric()
    batches = Batches(split, work.numerics.loader_workers)
    outputs = outputs_of(fabric.setup_module(model), batches, fabric.device)
    batches.close()
    metrics = {f"{name}/{metric}": value for metric, value in objective.metrics(outputs, split.targets).items()}
    predictions = Predictions(work, name, mode_of(work.project.execution.keep_predictions, len(split), objective.outputs, 1), [])
    predictions.targets(split)
    predictions.add(0, outputs, is_best=True)
    said = findings.of_count(0, name, len(split), len(outputs))
    if "train" in data.splits:
        trivial = objective.baseline(data.splits["train"].targets, split.targets)
        said.append({"kind": "baseline", "epoch": 0, "metrics": {f"{name}/{metric}": value for metric, value in trivial.items()}})
    if objective.constant(outputs):
        said.append(finding(0, "constant-predictions", f"every example of {name} gets the same prediction"))
    said += table_events(objective.tables(outputs, split.targets), 0, name)
    seconds = time.perf_counter() - began
    resources = {"seconds": round(seconds, 4), "it_per_s": 0.0, "rss_mb": round(findings.rss_mb(), 1)}
    line: Event = {"kind": "epoch", "epoch": 0, "t": now(), "step": 0, "examples": len(split), "metrics": metrics, "rates": {}}
    end: Event = {"kind": "end", "epoch": 1, "planned": 1, "reached": 1, "why": "evaluated"}
    work.events.write({**line, "phase": 0, "resources": resources}, *said, end)
    segments = predictions.segments
    work.finish(
        {
            "planned_epochs": 0,
            "epochs": 1,
            "best": None,
            "last": None,
            "predictions": {name: segments} if segments else {},
            "why": "evaluated",
        }
    )
    predictions.prune()
    return 1
