"""Builder of `classification`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from interpreter.parts.contract import Data
from interpreter.parts.metrics import classification as metrics
from interpreter.parts.objectives import members
from interpreter.parts.objectives.classes import check_classes, frequencies
from interpreter.spec.components.objectives import Classification


class CrossEntropy:
    """Cross-entropy over `outputs` classes: of one network, of the members of an ensemble, or of groups of one's features.

    Where there are several, outputs are (N, M, K) for M members or groups, `combined` makes one prediction of them, and what is
    measured is that prediction. (N, K) is then a prediction already made, as if all members gave it.
    """

    views = 1
    head_settings = None
    batchwise = False

    def __init__(self, config: Classification, outputs: int) -> None:
        self.outputs = outputs
        self.smoothing = config.label_smoothing
        self.head_groups = config.groups
        self.joint = config.members is not None
        self._several = self.joint or config.groups > 1
        self._loss = members.LOSSES[config.members or "mean_of_losses"]
        self.join(1, "mean_probability" if self.joint else "geometric_mean")

    def join(self, count: int, predict: str) -> None:
        """Tell it of how many members the outputs are, and by which of `PREDICTIONS` theirs become one."""
        self._count = count
        self._combine = members.PREDICTIONS[predict]

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy of a batch.

        Shape: (B, K), (B,) -> (); of several (B, M, K), and (B,) or, for examples of each's own, (B, M) -> ().
        """
        if self._several:
            return self._loss(outputs, targets, self.smoothing)
        return functional.cross_entropy(outputs, targets, label_smoothing=self.smoothing)

    def combined(self, outputs: torch.Tensor) -> torch.Tensor:
        """The outputs as they are, of one network; of several the log-probabilities of their prediction. Shape: -> (N, K)."""
        return self._combine(outputs) if self._several and outputs.ndim == 3 else outputs

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """Every metric over a whole split. Shape: (N, K) or (N, M, K), and (N,).

        Where each member has examples of its own, and targets are (N, M), there is no common prediction to measure.
        """
        if not self._several:
            return self._metrics(outputs, targets)
        made, y = outputs.detach().cpu().double(), targets.detach().cpu()
        if made.ndim == 2:
            made = made.unsqueeze(1).expand(-1, self._count, -1)
        undefined = dict.fromkeys(Classification.metrics, math.nan)
        found = undefined if y.ndim == 2 else self._metrics(self.combined(made), y)
        found["loss"] = float(self._loss(made, y, self.smoothing))
        if self.joint and made.shape[1] > 1:
            found["member_accuracy"] = members.member_accuracy(made, y)
            found["disagreement"] = members.disagreement(made) if y.ndim == 1 else math.nan
        return found

    def _metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """Those of one prediction. Shape: (N, K), (N,)."""
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
        scores, y = _arrays(self._prediction(outputs), targets)
        return {"confusion": metrics.confusion(metrics.predicted(scores), y, self.outputs).tolist()}

    def baseline(self, train_targets: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """The metrics of always giving the class frequencies of train, hence its most frequent class."""
        return self.metrics(frequencies(train_targets, self.outputs).expand(len(targets), -1), targets)

    def constant(self, outputs: torch.Tensor) -> bool:
        """True when several examples all get the same class."""
        classes = metrics.predicted(self._prediction(outputs).numpy())
        return len(classes) > 1 and bool((classes == classes[0]).all())

    def _prediction(self, outputs: torch.Tensor) -> torch.Tensor:
        """What is predicted, in double precision. Shape: (N, K) or (N, M, K) -> (N, K)."""
        return self.combined(outputs.detach().cpu().double())


def build(config: Classification, data: Data) -> CrossEntropy:
    """The objective for the classes of `data`. Raises: StageFailed when its targets are no classes."""
    check_classes(data, config.type)
    return CrossEntropy(config, data.outputs)


def _arrays(outputs: torch.Tensor, targets: torch.Tensor) -> tuple[metrics.Floats, metrics.Ints]:
    return outputs.detach().cpu().double().numpy(), np.asarray(targets.detach().cpu().numpy(), dtype=np.int64)
