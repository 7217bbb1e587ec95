"""Facts of models: names, shapes and counts of parameters, which only torch knows. A process of its own, for many models at once.

Models are built on torch's meta device: shapes without numbers, so that a large one takes neither memory nor time. Asked by
one JSON object on the input, {"plugins": [...], "requests": [{"model", "head", "shape", "outputs", "views", "groups"}, ...]};
answers by JSON lines: {"said": "ready"}, then one object a request, in order (see `look`), or {"error", "hint"} for a model
that can't be built.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import torch

from interpreter import catalog
from interpreter.errors import DataMissing, ExptError, StageFailed
from interpreter.parts.build import build_model
from interpreter.parts.contract import Model
from interpreter.parts.models.groups import groups

# What torch says when code asks a tensor without numbers for its numbers.
_META_LIMIT = re.compile(r"meta tensor|meta device|'Meta' backend|meta backend", re.IGNORECASE)
_BATCH = 2  # examples in the trial pass: batch normalization wants more than one

Json = Mapping[str, Any]


def answer(request: Json) -> dict[str, Any]:
    """What `look` finds, or {"error", "hint"}: the first line of what is wrong, and the remedy where one is known."""
    try:
        try:
            with torch.device("meta"):
                return look(request)
        except Exception as error:
            if not _META_LIMIT.search(str(error)):
                raise
        return look(request)  # a builder that computes with its tensors: built for real, as a stage would
    except ExptError as error:
        return {"error": _first_line(error), "hint": error.hint}
    except Exception as error:  # whatever a builder, ours or a plug-in's, stumbles over
        return {"error": f"{type(error).__name__}: {_first_line(error)}".removesuffix(": "), "hint": ""}


def look(request: Json) -> dict[str, Any]:
    """The facts of one model, as plain data.

    "parameters": [[name, shape, count, trainable], ...] and "buffers": [[name, shape, bytes], ...], shared ones once;
    "total", "encoder", "head": parameters; "features": length of the vector between encoder and head; "groups": name ->
    names of parameters.

    Raises: StageFailed when the model can't be built, or does not take examples of the shape.
    """
    model = _built(request)
    _passes(model, tuple(request["shape"]), int(request["outputs"]), int(request.get("groups", 1)))
    parameters = [[name, list(p.shape), p.numel(), p.requires_grad] for name, p in model.named_parameters()]
    total = sum(count for _, _, count, _ in parameters)
    encoder = sum(p.numel() for p in model.encoder.parameters())
    return {
        "parameters": parameters,
        "buffers": [[name, list(b.shape), b.numel() * b.element_size()] for name, b in model.named_buffers()],
        "total": total,
        "encoder": encoder,
        "head": total - encoder,
        "features": model.features,
        "groups": groups(model),
    }


def _built(request: Json) -> Model:
    settings, rest = dict(request["model"]), (request["head"], tuple(request["shape"]), int(request["outputs"]))
    more = {"seed": 0, "views": int(request.get("views", 1)), "groups": int(request.get("groups", 1))}
    try:
        return build_model(settings, *rest, **more)
    except DataMissing:
        if not settings.get("pretrained"):
            raise
        # Published weights that are not on this machine: they would change no name and no shape.
        return build_model(settings | {"pretrained": False}, *rest, **more)


def _passes(model: Model, shape: tuple[int, ...], outputs: int, groups: int) -> None:
    """Sends blank examples through. Raises: StageFailed when that fails, or gives other shapes than the model says it does."""
    model.eval()
    try:
        with torch.no_grad():
            features = model.encoder(torch.zeros(_BATCH, *shape))
            found = model.head(features if model.views == 1 else features.repeat(1, model.views))
    except Exception as error:
        words = f"{type(error).__name__}: {_first_line(error)}"
        raise StageFailed(f"it does not take examples of {' x '.join(map(str, shape))}: {words}") from None
    members = (model.members,) if model.members > 1 else ()
    for what, given, each, told in (
        ("features", features, members, model.features),
        ("outputs", found, members or ((groups,) if groups > 1 else ()), outputs),
    ):
        if tuple(given.shape) != (_BATCH, *each, told):
            raise StageFailed(f"it says that it gives {told} {what} for an example, and gives {list(given.shape[1:])}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def main() -> None:
    """Answer the process that started this one."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    asked = json.load(sys.stdin)
    catalog.use(asked["plugins"])
    print(json.dumps({"said": "ready"}), file=replies, flush=True)
    for request in asked["requests"]:
        print(json.dumps(answer(request)), file=replies, flush=True)


if __name__ == "__main__":
    main()
