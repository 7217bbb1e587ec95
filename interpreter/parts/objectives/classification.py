"""Builder of `classification`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from interpreter.errors import StageFailed
from interpreter.parts.contract import Data
from interpreter.parts.metrics import classification as metrics
from interpreter.spec.components.objectives import Classification


class CrossEntropy:
    """Cross-entropy over `outputs` classes."""

    views = 1
    head_settings = None
    batchwise = False

    def __init__(self, config: Classification, outputs: int) -> None:
        self.outputs = outputs
        self.smoothing = config.label_smoothing

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy of a batch. Shape: (B, K), (B,) -> ()."""
        return functional.cross_entropy(outputs, targets, label_smoothing=self.smoothing)

    def combined(self, outputs: torch.Tensor) -> torch.Tensor:
        """The outputs as they are: there is one model."""
        return outputs

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """Every metric over a whole split. Shape: (N, K), (N,)."""
        scores, y = _arrays(outputs, targets)
        log_p = metrics.log_softmax(scores)
        classes = metrics.predicted(scores)
        precision, recall, f1 = metrics.macro(metrics.confusion(classes, y, self.outputs), y)
        return {
            "loss": metrics.smoothed(log_p, y, self.smoothing),
            "accuracy": metrics.accuracy(classes, y),
            "top5": metrics.top(scores, y, 5),
            "nll": metrics.nll(log_p, y),
            "brier": metrics.brier(log_p, y),
            "ece": metrics.ece(log_p, y),
            "precision": precision,
            "recall": recall,
            "f1": f1,
        }

    def tables(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, Any]:
        """{"confusion": counts, true class by predicted class}."""
        scores, y = _arrays(outputs, targets)
        return {"confusion": metrics.confusion(metrics.predicted(scores), y, self.outputs).tolist()}

    def baseline(self, train_targets: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """The metrics of always giving the class frequencies of train, hence its most frequent class.

        A class without a training example counts as if it had half a one, for its log-probability to be finite.
        """
        counts = torch.bincount(train_targets, minlength=self.outputs).double()
        outputs = torch.log(counts.clamp(min=0.5) / counts.clamp(min=0.5).sum())
        return self.metrics(outputs.expand(len(targets), -1), targets)

    def constant(self, outputs: torch.Tensor) -> bool:
        """True when several examples all get the same class."""
        classes = metrics.predicted(outputs.detach().cpu().double().numpy())
        return len(classes) > 1 and bool((classes == classes[0]).all())


def build(config: Classification, data: Data) -> CrossEntropy:
    """The objective for the classes of `data`. Raises: StageFailed when its targets are no classes."""
    for split in data.splits.values():
        if split.targets.dtype != torch.int64 or split.targets.ndim != 1:
            raise StageFailed("`classification` needs a class for each example, and the targets of this data are numbers")
    return CrossEntropy(config, data.outputs)


def _arrays(outputs: torch.Tensor, targets: torch.Tensor) -> tuple[metrics.Floats, metrics.Ints]:
    return outputs.detach().cpu().double().numpy(), np.asarray(targets.detach().cpu().numpy(), dtype=np.int64)
