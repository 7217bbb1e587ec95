"""Prints, as JSON, what heads on 8 checkpoints of a ResNet-18 cost: on kept features, and by the usual loop through the encoder.

1,000 photographs at 64 pixels in ten classes (what there is of them for validation besides), 100 epochs of a linear head. The
checkpoints hold random weights, each others: what they cost does not depend on what they know. Everything counts on our side:
reading the checkpoints, each example once through each encoder, training, measuring both splits after each epoch, the records.
The usual loop - a fit with a frozen encoder - is run for two epochs of one checkpoint, and its second one times 8 x 100 is its
time; both ways have the same accuracies in those epochs, or this program ends with an error.

The second comparison is of heads alone, all on kept features: 8 of them trained together, and one after the other.

    python bench/probes.py [--threads 1] [--per-class 100]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from interpreter.catalog import typed
from interpreter.parts.build import build_data, build_model
from interpreter.plan.types import Input, Stage
from interpreter.project import Execution, Project
from interpreter.run.events import effective, read_events
from interpreter.run.record import FORMAT, Record
from interpreter.spec.canonical import key_of
from interpreter.spec.components.contract import settings
from interpreter.stages.main import run_stage

CLOTHING = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "clothing"
CHECKPOINTS, EPOCHS, MEASURED = 8, 100, 2
MODEL = {"type": "timm", "name": "resnet18"}
HEAD = {"hidden": None, "dropout": 0.0}
STREAMS = {"data": "d", "occurrence": 1}


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--threads", type=int, default=1)
    asked.add_argument("--per-class", type=int, default=100)
    options = asked.parse_args()
    warnings.simplefilter("ignore")
    if not CLOTHING.is_dir():
        print("the photographs are not beside the project: nothing to measure", file=sys.stderr)
        print("[]")
        return
    data = settings(
        typed("dataset", {"type": "image_folder", "source": "clothing", "size": 64, "per_class": options.per_class,
                          "roots": {"train": "train", "val": "validation"}})
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        execution = Execution(jobs=1, threads=options.threads, accelerator="cpu", keep_predictions="none")
        project = Project(Path(folder), {"clothing": str(CLOTHING.resolve())}, execution)
        read = build_data(data, project.source("clothing"), project.cache)  # decoded before anything is timed
        classes, shape = list(read.class_names), read.shape
        backbone = make_backbone(project, data, classes, shape)
        rules = tuple(f"epoch-{n}" for n in range(1, CHECKPOINTS + 1))
        kept = seconds_of(project, cached := probe(backbone, data, rules))
        usual = frozen_fit(backbone, data, rules[0])
        seconds_of(project, usual)
        epochs = [line for line in lines(project, usual) if line["kind"] == "epoch"]
        compare(project, cached, epochs)
        loop = sum(line["resources"]["seconds"] for line in epochs[1:]) / (MEASURED - 1) * CHECKPOINTS * EPOCHS
        together = seconds_of(project, probe(backbone, data, rules, seed=1))
        apart = sum(seconds_of(project, probe(backbone, data, (rule,), seed=1)) for rule in rules)
        images = f"{len(read.splits['train'])} images"
    at = f"{CHECKPOINTS} checkpoints x {EPOCHS} epochs, ResNet-18, 64 px, {images}"
    rows = [
        {"what": f"probe of {at}", "ours": kept, "unit": "s", "goal": "at least 40 times as fast",
         "beside": "through the frozen encoder each epoch; one measured, and scaled", "theirs": loop},
        {"what": f"heads on kept features, {CHECKPOINTS} together", "ours": together, "unit": "s", "goal": "",
         "beside": "one after the other", "theirs": apart},
    ]  # fmt: skip
    print(json.dumps(rows))


def make_backbone(project: Project, data: dict[str, Any], classes: list[str], shape: tuple[int, ...]) -> Stage:
    """The record of a finished fit whose checkpoints hold random weights, each others."""
    stage = staged("fit", {"data": data, "model": MODEL}, (), 0)
    record = Record.of(project, stage.key)
    record.write_stage(stage)
    record.checkpoints.mkdir()
    for epoch in range(CHECKPOINTS):
        model = build_model(MODEL, HEAD, shape, len(classes), epoch)
        content = {"format": FORMAT, "model": model.state_dict(), "averages": None, "class_names": classes, "head_identity": ""}
        torch.save(content, record.checkpoint(epoch))
    last = {"epoch": CHECKPOINTS - 1, "checkpoint": record.checkpoint(CHECKPOINTS - 1).name}
    record.done_file.write_text(json.dumps({"format": FORMAT, "key": stage.key, "kind": "fit", "best": last, "last": last}))
    return stage


def schedule(epochs: int) -> dict[str, Any]:
    """SGD at one rate, so that the first epochs of a long and of a short fit are the same."""
    optimizer = {"type": "sgd", "lr": 0.1, "momentum": 0.9}
    rest = {"clip": None, "precision": "32", "early_stopping": None, "drop_last": False}
    return {"epochs": epochs, "batch_size": 256, "optimizer": optimizer, "lr_schedule": {"type": "constant"}, **rest}


def probe(of: Stage, data: dict[str, Any], rules: tuple[str, ...], seed: int = 0) -> Stage:
    """Linear heads on checkpoints of `of`."""
    asked = {"objective": {"type": "classification"}, "data": data, "head": HEAD, "schedule": schedule(EPOCHS), "model": MODEL,
             "pick": {"best": "val/accuracy", "ties": "earliest"}, "streams": STREAMS}  # fmt: skip
    return staged("probe", asked, tuple(Input("weights", of.key, rule, "encoder") for rule in rules), seed)


def frozen_fit(of: Stage, data: dict[str, Any], rule: str) -> Stage:
    """The usual way, for a few epochs of one checkpoint."""
    asked = {"objective": {"type": "classification"}, "data": data, "head": HEAD, "schedule": schedule(MEASURED), "model": MODEL,
             "keep": {"best": "val/accuracy", "every": None, "last": True}, "thaw": {"by": "frozen"}, "streams": STREAMS,
             "start": {"kind": "stage", "take": "encoder-only"}}  # fmt: skip
    return staged("fit", asked, (Input("start", of.key, rule, "encoder-only"),), 0)


def staged(kind: str, asked: dict[str, Any], inputs: tuple[Input, ...], seed: int) -> Stage:
    """A stage of these settings."""
    identity = {"kind": kind, "settings": asked, "inputs": [[i.key, i.checkpoint] for i in inputs], "seed": seed}
    return Stage(key_of(identity), kind, kind, identity, asked, inputs, (), seed)


def seconds_of(project: Project, stage: Stage) -> float:
    """Do a stage; returns the seconds it took."""
    Record.of(project, stage.key).write_stage(stage)
    began = time.perf_counter()
    ended = run_stage(project, stage.key, lambda: False)
    if ended.how != "done":
        sys.exit(f"{stage.kind} {ended.how}: {ended.error}")
    return time.perf_counter() - began


def lines(project: Project, stage: Stage) -> list[Any]:
    """Events of a stage."""
    return list(effective(read_events(Record.of(project, stage.key).events).lines))


def compare(project: Project, cached: Stage, epochs: list[Any]) -> None:
    """End with an error where both ways have not the same accuracies and losses in the epochs they share."""
    ours = [line["metrics"] for line in lines(project, cached) if line["kind"] == "probe" and line["checkpoint"] == "epoch-1"]
    for line in epochs:
        for name in ("train/accuracy", "val/accuracy", "train/loss", "val/loss"):
            mine, theirs = ours[line["epoch"]][name], line["metrics"][name]
            near = 2e-3 if name.endswith("accuracy") else 1e-4 * max(1.0, abs(theirs))
            if abs(mine - theirs) > near:
                sys.exit(f"{name} of epoch {line['epoch'] + 1} is {mine} on kept features, and {theirs} by the usual loop")


if __name__ == "__main__":
    main()
