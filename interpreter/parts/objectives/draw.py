"""Builder of `draw`."""

from __future__ import annotations

from typing import Any

import torch

from interpreter.parts.contract import Data
from interpreter.parts.objectives import classification
from interpreter.spec.components.objectives import Classification, Draw


class Drawn:
    """Two objectives, of which each step has one. `begin_step` decides; the fit derives its luck from (seed, epoch, step)."""

    views = 1
    head_settings = None
    batchwise = False

    def __init__(self, one: classification.CrossEntropy, other: classification.CrossEntropy, p: float) -> None:
        self.outputs = one.outputs
        self.one, self.other, self.p = one, other, p
        self.chosen = one
        self.head_groups = one.head_groups

    def join(self, count: int, predict: str) -> None:
        """Tell both of how many members the outputs are, and by which rule theirs become one."""
        self.one.join(count, predict)
        self.other.join(count, predict)

    def begin_step(self, luck: float) -> None:
        """Draw the objective of the step that begins. `luck`: a uniform number in [0, 1)."""
        self.chosen = self.one if luck < self.p else self.other

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch, by the objective drawn. Shape: as of `classification`."""
        return self.chosen.loss(outputs, targets)

    def combined(self, outputs: torch.Tensor) -> torch.Tensor:
        """What is predicted, the same by both. Shape: (N, K) or (N, M, K) -> (N, K)."""
        return self.one.combined(outputs)

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """Every metric over a whole split, with the expected loss. Shape: as of `classification`."""
        return self._expected(self.one.metrics(outputs, targets), self.other.metrics(outputs, targets))

    def tables(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, Any]:
        """Those of either: they don't know the loss."""
        return self.one.tables(outputs, targets)

    def baseline(self, train_targets: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """The metrics of always giving the class frequencies of train, with the expected loss."""
        return self._expected(self.one.baseline(train_targets, targets), self.other.baseline(train_targets, targets))

    def constant(self, outputs: torch.Tensor) -> bool:
        """True when several examples all get the same class."""
        return self.one.constant(outputs)

    def _expected(self, one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
        return {**one, "loss": self.p * one["loss"] + (1 - self.p) * other["loss"]}


def build(config: Draw, data: Data) -> Drawn:
    """The objective for the classes of `data`. Raises: StageFailed when its targets are no classes."""
    assert isinstance(config.one, Classification) and isinstance(config.other, Classification)
    return Drawn(classification.build(config.one, data), classification.build(config.other, data), config.p)
