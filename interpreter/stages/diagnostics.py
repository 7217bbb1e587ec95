"""What a fit can get wrong without failing: weights that did not arrive, frozen ones that moved, a loss that stands still."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from interpreter.stages.findings import few
from interpreter.stages.phases import Thawing
from interpreter.stages.rules import IGNORES_INPUT, read_rules
from interpreter.stages.work import Event, finding, finding_at_end

IMPROVED_BY = 0.01  # of the first epoch's loss
STAGNANT = 5  # epochs without that, after which a start from other weights has stagnated
AT_CHANCE_WITHIN = 0.02  # of what the rule that ignores the input has
AT_CHANCE = 5  # epochs in a row
LENGTH = 16  # hex digits of a hash


def hash_of(weights: Mapping[str, Tensor], prefix: str = "encoder.") -> str:
    """A hash over the tensors whose names begin with `prefix`: names, kinds, shapes and bytes, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(name for name in weights if name.startswith(prefix)):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name}\t{tensor.dtype}\t{tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:LENGTH]


def of_start(model: nn.Module, carried: str) -> tuple[dict[str, str], list[Event]]:
    """What the start event says of the encoder's weights at step 0, and a finding when they are not those that were carried.

    carried: the hash of the encoder that was to be carried over, "" where none was.
    """
    found = hash_of(model.state_dict())
    if carried in ("", found):
        return {"encoder_hash": found}, []
    text = f"the encoder at step 0 ({found}) is not the one that was carried over ({carried})"
    return {"encoder_hash": found, "carried_hash": carried}, [finding(0, "transfer-differs", text, "error")]


class Held:
    """What must not change in a phase: frozen parameters, and statistics of frozen normalizations unless they go on tracking."""

    def __init__(self, model: nn.Module, thawing: Thawing) -> None:
        self._model, self._thawing = model, thawing
        self.remember()

    def remember(self) -> None:
        """A phase begins, or goes on from a checkpoint."""
        self._was = self._hashes()

    def changed(self, end: int) -> list[Event]:
        """A finding when something of it has changed by now."""
        now = self._hashes()
        moved = [name for name, was in self._was.items() if now.get(name, was) != was]
        if not moved:
            return []
        text = f"frozen in phase {self._thawing.clock.phase}, and changed in it: {few(moved)}"
        return [finding_at_end(end, "frozen-changed", text, "error")]

    def _hashes(self) -> dict[str, str]:
        return {name: hash_of({name: tensor}, name) for name, tensor in self._thawing.held(self._model).items()}


def stagnant_epochs(losses: Sequence[float]) -> int | None:
    """Epochs after the first until one is 1 % better than it, that one not counted: 0 improves at once, None never does."""
    if not losses or not math.isfinite(losses[0]):
        return None
    goal = losses[0] - IMPROVED_BY * abs(losses[0])
    return next((i for i, loss in enumerate(losses[1:]) if loss <= goal), None)


def of_losses(lines: Sequence[Mapping[str, Any]], end: int) -> tuple[int | None, list[Event]]:
    """Epochs that a fit stagnated at its start (see `stagnant_epochs`), and findings about a loss that stands still.

    `lines` are the record's events that count. At a start the loss is that of val, where there is one; at chance it is that of
    train, since on other data a loss may come back to chance by overfitting.
    """
    epochs = [line for line in lines if line["kind"] == "epoch"]
    start: Mapping[str, Any] = next((line for line in lines if line["kind"] == "start"), {})
    name = "val/loss" if epochs and "val/loss" in epochs[0]["metrics"] else "train/loss"
    stood = stagnant_epochs(_curve(epochs, name))
    said: list[Event] = []
    waited = max(len(epochs) - 1, 0) if stood is None else stood
    if start.get("carried") and waited > STAGNANT:
        text = f"{name} took {waited} epochs to become 1 % better than after the first, from weights that were carried over"
        if stood is None:
            text = f"{name} never became 1 % better than after the first epoch, from weights that were carried over"
        said.append(finding_at_end(end, "stagnates-at-start", text))
    level = read_rules(lines, "train").get(IGNORES_INPUT, {}).get("loss", math.nan)
    began, length = _longest(_curve(epochs, "train/loss"), level)
    if length >= AT_CHANCE:
        text = (
            f"train/loss stayed within {100 * AT_CHANCE_WITHIN:g} % of {level:.4g}, which a rule that ignores the input has,"
            f" for {length} epochs, from epoch {began + 1} to {began + length}"
        )
        said.append(finding_at_end(end, "at-chance", text))
    return stood, said


def _curve(epochs: Sequence[Mapping[str, Any]], metric: str) -> list[float]:
    return [float(line["metrics"].get(metric, math.nan)) for line in epochs]


def _longest(losses: Sequence[float], level: float) -> tuple[int, int]:
    """Where the longest run of epochs at `level` begins, from 0, and its length."""
    best, began = (0, 0), 0
    for i, loss in enumerate(losses):
        if not abs(loss - level) <= AT_CHANCE_WITHIN * abs(level):  # not: a NaN ends a run
            began = i + 1
        elif i + 1 - began > best[1]:
            best = began, i + 1 - began
    return best
