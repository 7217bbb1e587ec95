"""What the objectives of an interpensemble share: two branches, the wide network and the narrow ones, and what comes of both.

Outputs are (N, 1 + G, K), the wide network's first. In training, those of a network that was not run are NaN.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from interpreter.parts.contract import Data, Model
from interpreter.parts.objectives import classification, members
from interpreter.parts.objectives.classes import check_classes, frequencies
from interpreter.spec.components.objectives import Classification


class Branched:
    """The loss is `big` times the wide network's cross-entropy, plus 1 - `big` times the mean of the narrow networks'.

    The prediction is `big` times the wide network's probabilities, plus 1 - `big` times those that the narrow networks have
    together. A branch of weight 0 is not run in training and takes no part in the prediction; in an evaluation it is measured.
    """

    views = 1
    head_settings = None
    head_groups = 1
    batchwise = False

    def __init__(self, big: float, outputs: int) -> None:
        self.outputs = outputs
        self.big = big
        self._weights = self._step = (big, 1 - big)  # of the branches in all and in this step, the wide network's first
        self._one = classification.CrossEntropy(Classification(), outputs)
        self._model: Model | None = None
        self.join(0, "mean_probability")

    def join(self, count: int, predict: str) -> None:
        """Tell it of how many networks the outputs are, and by which of `PREDICTIONS` those of the narrow ones become one."""
        self._count = count
        self._combine = members.PREDICTIONS[predict]

    @property
    def idle(self) -> tuple[int, ...]:
        """The numbers of the networks that no step is for."""
        wide, narrow = self._weights
        return self._of(wide == 0, narrow == 0)

    def attach(self, model: Model) -> None:
        """Tell `model` from now on which of its networks a step is for."""
        self._model = model
        self.weigh(*self._weights)

    def weigh(self, wide: float, narrow: float) -> None:
        """Give the branches these weights in the loss of the steps that follow; one of 0 is not run."""
        self._step = (wide, narrow)
        if self._model is not None:
            running = self._of(wide > 0, narrow > 0)
            self._model.running = None if len(running) == self._count else running

    def _of(self, wide: bool, narrow: bool) -> tuple[int, ...]:
        """The numbers of the networks of these branches."""
        return tuple(number for number in range(self._count) if (narrow if number else wide))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, of the branches that the step is for. Shape: (B, 1 + G, K), (B,) -> ()."""
        return _loss(outputs, targets, self._step)

    def combined(self, outputs: Tensor) -> Tensor:
        """The log-probabilities of the prediction; a prediction as it is. Shape: (N, 1 + G, K) or (N, K) -> (N, K)."""
        if outputs.ndim == 2:
            return outputs
        wide, narrow = self._weights
        parts = [functional.log_softmax(outputs[:, 0], dim=-1) + math.log(wide)] if wide else []
        parts += [self._combine(outputs[:, 1:]) + math.log(narrow)] if narrow else []
        return torch.logsumexp(torch.stack(parts), dim=0)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """Every metric over a whole split, with the expected loss. Shape: (N, 1 + G, K), or (N, K) as if all gave it; (N,).

        In training a network may not have been run for all examples: then the accuracies are over those that it was run for, and
        the prediction is measured only where all examples have what it takes; what can't be measured is NaN.
        """
        made, y = outputs.detach().cpu().double(), targets.detach().cpu()
        if made.ndim == 2:
            if not self._count:
                return self._one.metrics(made, y)
            made = made.unsqueeze(1).expand(-1, self._count, -1)
        branches = (made[:, :1], made[:, 1:])
        ran = [~branch.isnan().flatten(1).all(dim=1) for branch in branches]
        known = all(bool(rows.all()) for rows, weight in zip(ran, self._weights, strict=True) if weight)
        found = self._one.metrics(self.combined(made), y) if known else dict.fromkeys(Classification.metrics, math.nan)
        found["loss"] = float(_loss(made, y, self._weights)) if known else math.nan
        wide, narrow = (branch[rows] for branch, rows in zip(branches, ran, strict=True))
        found["big_accuracy"] = members.member_accuracy(wide, y[ran[0]])
        found["member_accuracy"] = members.member_accuracy(narrow, y[ran[1]])
        found["disagreement"] = members.disagreement(narrow) if len(narrow) else math.nan
        return found

    def tables(self, outputs: Tensor, targets: Tensor) -> dict[str, Any]:
        """{"confusion": counts, true class by predicted class}."""
        return self._one.tables(self._prediction(outputs), targets)

    def baseline(self, train_targets: Tensor, targets: Tensor) -> dict[str, float]:
        """The metrics of always giving the class frequencies of train, hence its most frequent class."""
        return self.metrics(frequencies(train_targets, self.outputs).expand(len(targets), -1), targets)

    def constant(self, outputs: Tensor) -> bool:
        """True when several examples all get the same class."""
        return self._one.constant(self._prediction(outputs))

    def _prediction(self, outputs: Tensor) -> Tensor:
        return self.combined(outputs.detach().cpu().double())


def _loss(outputs: Tensor, targets: Tensor, weights: tuple[float, float]) -> Tensor:
    """The mean losses of the branches, summed with these weights; one of weight 0 is not looked at."""
    wide, narrow = weights
    losses = [wide * functional.cross_entropy(outputs[:, 0], targets)] if wide else []
    losses += [narrow * members.mean_of_losses(outputs[:, 1:], targets, 0.0)] if narrow else []
    return torch.stack(losses).sum()


def outputs_of(data: Data, objective: str) -> int:
    """How many classes `data` has. Raises: StageFailed when its targets are no classes."""
    check_classes(data, objective)
    return data.outputs
