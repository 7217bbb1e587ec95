"""What becomes of the outputs of several networks for one example: one loss, one prediction, and how far they differ.

Outputs are (N, M, K): N examples, M members, K classes. Predictions are logarithms of probabilities that sum to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional


def log_mean_probability(outputs: Tensor) -> Tensor:
    """Logarithms of the mean of the members' probabilities. Shape: (N, M, K) -> (N, K)."""
    return torch.logsumexp(torch.log_softmax(outputs, dim=-1), dim=1) - math.log(outputs.shape[1])


def log_geometric_mean(outputs: Tensor) -> Tensor:
    """Logarithms of the geometric mean of the members' probabilities, renormalized. Shape: (N, M, K) -> (N, K)."""
    return torch.log_softmax(torch.log_softmax(outputs, dim=-1).mean(dim=1), dim=-1)


PREDICTIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"mean_probability": log_mean_probability, "geometric_mean": log_geometric_mean}
)


def each_loss(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The mean cross-entropy of each member.

    Shape: (N, M, K), and (N,) for targets that all members share or (N, M) for targets of each -> (M,).
    """
    n, m, _ = outputs.shape
    own = targets.unsqueeze(1).expand(n, m) if targets.ndim == 1 else targets
    losses = functional.cross_entropy(outputs.flatten(0, 1), own.flatten(), reduction="none", label_smoothing=smoothing)
    return losses.unflatten(0, (n, m)).mean(dim=0)


def sum_of_losses(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The sum of the members' losses. Shape: as of `each_loss` -> ()."""
    return each_loss(outputs, targets, smoothing).sum()


def mean_of_losses(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The mean of the members' losses. Shape: as of `each_loss` -> ()."""
    return each_loss(outputs, targets, smoothing).mean()


def loss_of_mean_probability(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The cross-entropy of the mean probability. Shape: (N, M, K), (N,) -> ()."""
    # Softmax of normalized log-probabilities is the identity: this is their own cross-entropy, not that of a second softmax.
    return functional.cross_entropy(log_mean_probability(outputs), targets, label_smoothing=smoothing)


def loss_of_mean_logit(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The cross-entropy of the mean output. Shape: (N, M, K), (N,) -> ()."""
    return functional.cross_entropy(outputs.mean(dim=1), targets, label_smoothing=smoothing)


LOSSES: Mapping[str, Callable[[Tensor, Tensor, float], Tensor]] = MappingProxyType({
    "sum_of_losses": sum_of_losses,
    "mean_of_losses": mean_of_losses,
    "loss_of_mean_probability": loss_of_mean_probability,
    "loss_of_mean_logit": loss_of_mean_logit,
})  # fmt: skip


def member_accuracy(outputs: Tensor, targets: Tensor) -> float:
    """The mean of the members' accuracies; of equal outputs the first counts, and one that is not a number is never right.

    Shape: (N, M, K), and (N,) or (N, M).
    """
    own = targets.unsqueeze(1) if targets.ndim == 1 else targets
    return float((_classes(outputs) == own).double().mean())


def disagreement(outputs: Tensor) -> float:
    """The share of examples on which two members predict different classes, the mean over all pairs. Shape: (N, M, K), M > 1."""
    classes = _classes(outputs)
    n, m = classes.shape
    k = outputs.shape[2] + 1  # a place for what is not a number, which is no class and yet the same to two members
    place = torch.arange(n).unsqueeze(1) * k + classes + 1
    votes = torch.bincount(place.flatten(), minlength=n * k).double()
    same = (votes * (votes - 1)).sum() / 2
    return 1.0 - float(same) / (n * m * (m - 1) / 2)


def _classes(outputs: Tensor) -> Tensor:
    """The class that each member predicts, -1 where an output is not a number. Shape: (N, M, K) -> (N, M)."""
    return outputs.argmax(dim=-1).masked_fill(outputs.isnan().any(dim=-1), -1)
