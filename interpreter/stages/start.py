"""Where a fit's first weights come from: random ones, an earlier stage, or a file."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from interpreter.errors import DataMissing, StageFailed
from interpreter.parts.optim.averages import evaluated
from interpreter.run.record import Record
from interpreter.stages.checkpoint import load, of_rule
from interpreter.stages.findings import few
from interpreter.stages.work import Work

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Carried:
    """What was carried over, from where, and why not more."""

    source: str  # "random", the key of a stage, or "sha256:..."
    parts: tuple[str, ...]  # of "encoder", "head"
    why: str


def begin(work: Work, model: nn.Module, head_identity: str) -> Carried:
    """Put the weights into `model` that the stage's `start` asks for. Raises: StageFailed for a misfit, DataMissing."""
    start = work.stage.settings["start"]
    if start["kind"] == "random":
        return Carried("random", (), "starts from random weights")
    if start["kind"] == "file":
        return _from_file(work, start["file"], start["sha256"], model)
    source = next(i for i in work.stage.inputs if i.role == "start")
    path = of_rule(Record.of(work.project, source.key), source.checkpoint)
    checkpoint = load(path)
    weights: Weights = evaluated(checkpoint)
    where = f"{path.name} ({source.checkpoint}) of {source.key}"
    take = start.get("take", source.take)
    _put(model, {k: v for k, v in weights.items() if k.startswith("encoder.")}, "encoder.", where)
    if take == "encoder-only":
        return Carried(source.key, ("encoder",), f"the encoder of {where}; never the head")
    same = checkpoint["head_identity"] == head_identity
    if take == "encoder" and not same:
        return Carried(source.key, ("encoder",), f"the encoder of {where}; the head differs in settings or outputs")
    if take == "all" and not same:
        raise StageFailed(f"take: all, but the head of {where} differs in settings, outputs or what they mean")
    _put(model, {k: v for k, v in weights.items() if k.startswith("head.")}, "head.", where)
    return Carried(source.key, ("encoder", "head"), f"the encoder and the head of {where}")


def whole(model: nn.Module, path: Path, class_names: Sequence[str]) -> None:
    """Put all weights of the checkpoint at `path` into `model`, to tell `class_names` apart.

    Raises: StageFailed for a misfit of tensors, or for weights that learned other classes, or the same in another order.
    """
    content = load(path)
    learned = list(content["class_names"])
    if learned != list(class_names):
        raise StageFailed(
            f"the weights tell {', '.join(learned)} apart, and this data's classes are {', '.join(class_names)}",
            hint="give the dataset the same `classes`, in the same order, as the one that was fitted",
        )
    _put(model, evaluated(content), "", path.name)


def _from_file(work: Work, name: str, sha256: str, model: nn.Module) -> Carried:
    path = work.project.source(name) or work.project.root / name
    if not path.is_file():
        raise DataMissing(f"the weights file `{name}` is not here", hint=f"name it in expt.toml: [data] {name} = ...")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise DataMissing(f"the weights file `{name}` is not the one asked for: its sha256 is {found}, not {sha256}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise StageFailed(f"the weights file `{name}` can't be read as tensors: {str(error).splitlines()[0]}") from None
    for wrapping in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(wrapping), Mapping):
            content = content[wrapping]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise StageFailed(f"the weights file `{name}` holds no mapping of names to tensors")
    named = any(k.startswith("encoder.") for k in content)
    prefix = "" if named else "encoder."
    encoder = {prefix + k: v for k, v in content.items() if (prefix + k).startswith("encoder.")}
    if not named:
        encoder = _without_classifier(encoder, model)
    _put(model, encoder, "encoder.", f"the file `{name}`")
    source = f"sha256:{sha256}"
    head = {k: v for k, v in content.items() if k.startswith("head.")} if named else {}
    if head and _misfit(model, head, "head.") == "":
        _put(model, head, "head.", f"the file `{name}`")
        return Carried(source, ("encoder", "head"), f"the encoder and the head of the file `{name}`")
    return Carried(source, ("encoder",), f"the encoder of the file `{name}`; the head is random")


def _without_classifier(weights: Weights, model: nn.Module) -> dict[str, Tensor]:
    """`weights` less a classifier of their own, which whole published networks have and an encoder has not."""
    own = model.state_dict()
    classifier = ("fc.", "classifier.", "head.")
    return {k: v for k, v in weights.items() if k in own or not k.removeprefix("encoder.").startswith(classifier)}


def _put(model: nn.Module, weights: Weights, prefix: str, where: str) -> None:
    problem = _misfit(model, weights, prefix)
    if problem:
        raise StageFailed(f"the weights of {where} do not fit the model: {problem}")
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.startswith(prefix):
                tensor.copy_(weights[name])


def _misfit(model: nn.Module, weights: Weights, prefix: str) -> str:
    """What does not fit, naming the first tensors of each kind; "" when all does."""
    own = {k: v for k, v in model.state_dict().items() if k.startswith(prefix)}
    wrong = [
        f"{k} is {'x'.join(map(str, weights[k].shape))}, not {'x'.join(map(str, v.shape))}"
        for k, v in own.items()
        if k in weights and weights[k].shape != v.shape
    ]
    lists = (
        ("missing", [k for k in own if k not in weights]),
        ("not in the model", [k for k in weights if k not in own]),
        ("of another shape", wrong),
    )
    return "; ".join(f"{what}: {few(names)}" for what, names in lists if names)
