"""Builder of `neighbor_location`: the cross-entropy of `classification` over six sides, for two views side by side."""

from __future__ import annotations

import math

import torch

from interpreter.parts.contract import Data
from interpreter.parts.objectives.classes import check_classes
from interpreter.parts.objectives.classification import CrossEntropy
from interpreter.spec.components.objectives import Classification, NeighborLocation


class SideCrossEntropy(CrossEntropy):
    """Cross-entropy over the sides of a cube."""

    views = NeighborLocation.views

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """Every metric over a whole split. Shape: (N, K), (N,)."""
        found = super().metrics(outputs, targets)
        return {name: found[name] for name in NeighborLocation.metrics}

    def baseline(self, train_targets: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """The metrics of chance: all sides alike, and a guess among them. It is calibrated, whatever the targets are."""
        chance, surprise = 1 / self.outputs, math.log(self.outputs)
        return {"loss": surprise, "accuracy": chance, "nll": surprise, "brier": 1 - chance, "ece": 0.0}


def build(config: NeighborLocation, data: Data) -> SideCrossEntropy:
    """The objective for the sides of `data`. Raises: StageFailed when its targets are no classes."""
    check_classes(data, config.type, "side")
    return SideCrossEntropy(Classification(), data.outputs)
