"""Where a fit's first weights come from: random ones, an earlier stage, or a file."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interpreter.errors import DataMissing, StageFailed
from interpreter.parts.optim.averages import evaluated
from interpreter.run.record import Record
from interpreter.stages.checkpoint import load, of_rule
from interpreter.stages.diagnostics import hash_of
from interpreter.stages.findings import few
from interpreter.stages.work import Work

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Carried:
    """What was carried over, from where, and why not more."""

    source: str  # "random", the key of a stage, or "sha256:..."
    parts: tuple[str, ...]  # of "encoder", "head"
    why: str
    encoder_hash: str = ""  # of the encoder as it was to be carried over


def begin(work: Work, model: nn.Module, head_identity: str) -> Carried:
    """Put the weights into `model` that the stage's `start` asks for. Raises: StageFailed for a misfit, DataMissing."""
    start = work.stage.settings["start"]
    if start["kind"] == "random":
        return Carried("random", (), "starts from random weights")
    if start["kind"] == "file":
        return _from_file(work, start, model)
    source = next(i for i in work.stage.inputs if i.role == "start")
    path = of_rule(Record.of(work.project, source.key), source.checkpoint)
    checkpoint = load(path)
    weights: Weights = evaluated(checkpoint)
    where = f"{path.name} ({source.checkpoint}) of {source.key}"
    take = start.get("take", source.take)
    if start.get("new_channels") == "zero":
        weights = widened(model.state_dict(), weights)
    _put(model, {k: v for k, v in weights.items() if k.startswith("encoder.")}, "encoder.", where)
    hashed = _hash_as(model, weights)
    if take == "encoder-only":
        return Carried(source.key, ("encoder",), f"the encoder of {where}; never the head", hashed)
    same = checkpoint["head_identity"] == head_identity
    if take == "encoder" and not same:
        return Carried(source.key, ("encoder",), f"the encoder of {where}; the head differs in settings or outputs", hashed)
    if take == "all" and not same:
        raise StageFailed(f"take: all, but the head of {where} differs in settings, outputs or what they mean")
    _put(model, {k: v for k, v in weights.items() if k.startswith("head.")}, "head.", where)
    return Carried(source.key, ("encoder", "head"), f"the encoder and the head of {where}", hashed)


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


def widened(own: Weights, weights: Weights) -> dict[str, Tensor]:
    """`weights` with zeros where a tensor of the encoder takes more input channels in `own`: the new ones come last."""
    return {name: _padded(tensor, own[name]) if name in own else tensor for name, tensor in weights.items()}


def _padded(tensor: Tensor, like: Tensor) -> Tensor:
    """`tensor` with zeros behind it on axis 1, where nothing but more of that axis tells `like` from it."""
    if tensor.ndim < 2 or tensor.ndim != like.ndim or tensor.shape[1] >= like.shape[1]:
        return tensor
    if tensor.shape[:1] != like.shape[:1] or tensor.shape[2:] != like.shape[2:]:
        return tensor  # another misfit too, which is told
    padded = tensor.new_zeros(like.shape)
    padded[:, : tensor.shape[1]] = tensor
    return padded


def renamed(weights: Weights, prefixes: Mapping[str, str]) -> dict[str, Tensor]:
    """`weights` under other names: of each name the longest of `prefixes` that begins it is replaced.

    Raises: StageFailed for a prefix that begins no name, and for two tensors that would get one name.
    """
    idle = [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in weights)]
    if idle:
        raise StageFailed(f"`map` renames `{idle[0]}`, and no tensor of the file begins so", hint=f"it has: {few(list(weights))}")
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        prefix = max((p for p in prefixes if name.startswith(p)), key=len, default="")
        new = prefixes[prefix] + name.removeprefix(prefix) if prefix in prefixes else name
        if new in found:
            raise StageFailed(f"`map` gives two tensors of the file the name `{new}`")
        found[new] = tensor
    return found


def _from_file(work: Work, start: Mapping[str, Any], model: nn.Module) -> Carried:
    name, sha256, take = start["file"], start["sha256"], start.get("take", "encoder")
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
    content = renamed(content, start.get("map", {}))
    named = any(k.startswith("encoder.") for k in content)
    prefix = "" if named else "encoder."
    encoder = {prefix + k: v for k, v in content.items() if (prefix + k).startswith("encoder.")}
    if not named:
        encoder = _without_classifier(encoder, model)
    _put(model, encoder, "encoder.", f"the file `{name}`")
    source, hashed = f"sha256:{sha256}", _hash_as(model, encoder)
    head = {k: v for k, v in content.items() if k.startswith("head.")} if named and take != "encoder-only" else {}
    misfit = _misfit(model, head, "head.")
    if take == "all" and misfit:
        raise StageFailed(f"take: all, but the head of the file `{name}` does not fit the model: {misfit}")
    if head and not misfit:
        _put(model, head, "head.", f"the file `{name}`")
        return Carried(source, ("encoder", "head"), f"the encoder and the head of the file `{name}`", hashed)
    return Carried(source, ("encoder",), f"the encoder of the file `{name}`; the head is random", hashed)


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


def _hash_as(model: nn.Module, weights: Weights) -> str:
    """The hash of the encoder in `weights`, its tensors in the kinds of numbers that `model` has them in."""
    own = model.state_dict()
    return hash_of({name: tensor.to(own[name].dtype) for name, tensor in weights.items() if name.startswith("encoder.")})


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
