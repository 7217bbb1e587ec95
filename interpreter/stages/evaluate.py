"""An evaluation: the weights of a finished fit, on one split of a dataset, once."""

from __future__ import annotations

import time

from interpreter.errors import StageFailed
from interpreter.parts import random
from interpreter.parts.contract import Data, Draw, Model, Objective, Split
from interpreter.run.record import Record, now
from interpreter.spec.canonical import canonical
from interpreter.stages.batches import Batches, outputs_of
from interpreter.stages.checkpoint import of_rule
from interpreter.stages.module import model_of, objective_of
from interpreter.stages.outputs import record_outputs
from interpreter.stages.rules import on_split
from interpreter.stages.start import whole
from interpreter.stages.work import Event, Work, data_events, finding


def fitted(work: Work) -> tuple[Data, Split, Objective, Model]:
    """What a stage measures a fit with: its data, the split of it, the objective, and the model with the fit's weights.

    The record has heard of it all. Raises: StageFailed, Fenced, OSError.
    """
    settings, part = work.stage.settings, work.stage.settings["part"]
    data = work.data()
    if part not in data.splits:
        raise StageFailed(f"the data has no `{part}` split", hint=f"it has: {', '.join(data.splits)}")
    objective = objective_of(settings, data)
    model = model_of(settings, data, objective, work.stage.seed)
    source = work.stage.inputs[0]
    path = of_rule(Record.of(work.project, source.key), source.checkpoint)
    whole(model, path, data.class_names)
    why = f"all weights of {path.name} ({source.checkpoint}) of {source.key}"
    said: list[Event] = [{"kind": "attempt", "resume_epoch": 0, "t": now()}]
    said += [{"kind": "start", "epoch": 0, "from": source.key, "carried": ["encoder", "head"], "why": why}]
    said += [*data_events(data, settings["data"]["type"]), *(finding(0, code, text) for code, text in work.notes)]
    work.events.write(*said)
    return data, data.splits[part], objective, model


def run_evaluate(work: Work) -> int:
    """Do an evaluation; returns 1, the epochs it has. Raises: StageFailed, Fenced, OSError."""
    began = time.perf_counter()
    data, split, objective, model = fitted(work)
    fabric = work.fabric()
    batches = Batches(data, work.stage.settings["part"], work.numerics.loader_workers)
    draw = Draw(random.derive(work.stage.seed, "evaluate", canonical(work.stage.identity["settings"]["data"])), 0)
    outputs = outputs_of(fabric.setup_module(model), batches, fabric.device, draw)
    batches.close()
    told = on_split(data, objective, work.stage.settings["part"])
    return record_outputs(work, split, objective, outputs, why="evaluated", rules=told, began=began)
