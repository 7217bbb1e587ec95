"""What the building blocks hand to the stages: data, objectives, models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from interpreter.parts.datasets.curriculum import Growing


@dataclass(frozen=True, slots=True)
class Draw:
    """Where the randomness of a batch comes from."""

    stream: int  # 64-bit; see interpreter.parts.random.derive
    epoch: int  # from 0


class Split(Protocol):
    """One split of a dataset, in memory or memory-mapped; can be pickled and used after a fork."""

    ids: Sequence[str]  # stable names of the examples
    targets: torch.Tensor  # (N,) int64 classes, or (N, K) float32

    def __len__(self) -> int: ...

    def batch(self, index: np.ndarray, draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The examples at `index` (B,) and their targets; without a draw nothing is random.

        What is random about an example depends on the draw and its index alone, not on the rest of the batch. Where examples are
        made without end, or evaluated in several poses, index i + k * len(self) is look k at example i, unlike look 0.

        Shape: x (B, C, H, W) or (B, C, X, Y, Z) float32, or (B, 2, C, ...) where an example is two views; y as `targets`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Data:
    """A dataset, read."""

    splits: Mapping[str, Split]  # of "train", "val", "test", and named further validation splits
    shape: tuple[int, ...]  # of one view of an example, (C, H, W) or (C, X, Y, Z)
    outputs: int  # classes, or numbers to predict
    class_names: tuple[str, ...]  # () for regression
    target_space: str
    origin: str  # begins with "real", "embedded" or "generated"; in words, for the report
    findings: tuple[tuple[str, str], ...]  # (code, text)
    facts: Mapping[str, Any]  # plain data: n and class histogram of each split, normalization used
    growing: Growing | None = None  # which examples of the train split each epoch has; None: all of them, always
    per_epoch: int | None = None  # training examples of an epoch where they have no end; None: each of the split once
    poses: Mapping[str, int] = field(
        default_factory=dict
    )  # evaluated split -> looks at an example that its prediction is the mean of
    anew: frozenset[str] = frozenset()  # evaluated splits that are drawn anew each epoch
    # Trivial rules to beat, fitted on train alone: rule -> split -> its outputs for the split, as a model's would be.
    rules: Mapping[str, Mapping[str, torch.Tensor]] = field(default_factory=dict)


class Objective(Protocol):
    """What is minimized, and what is measured on a whole split.

    Outputs are (N, K) for N examples; of several networks, or groups of features, (N, M, K). One that takes several networks has
    `join(count, predict)` too, which tells it how many there are and by which rule their predictions become one. One whose steps
    are for some of the networks has `attach(model)`, and keeps `running` of the model up to date; `idle` are the numbers of those
    that no step is for. One that draws has `begin_step(luck)`, called once before each step.
    """

    outputs: int  # numbers the model must give for an example
    views: int  # of an example, whose features the head takes side by side; 1: the head sees each view alone
    head_settings: Mapping[str, Any] | None  # of the head, where the objective and not the stage decides it; else None
    head_groups: int  # equal parts that features are cut into, each with a head of its own; 1: one head for all of them
    batchwise: bool  # True: the loss compares the examples of a batch, so outputs of several batches mean nothing together

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch, differentiable."""
        ...

    def combined(self, outputs: torch.Tensor) -> torch.Tensor:
        """What is predicted, one row an example, from the outputs of several members: (N, M, K) -> (N, K); of one as they are."""
        ...

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """Every metric of the config class, over a whole split; NaN where one is not defined."""
        ...

    def tables(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, Any]:
        """Tables over a whole split, as plain data."""
        ...

    def baseline(self, train_targets: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """The metrics of a rule that only knows the training targets."""
        ...

    def constant(self, outputs: torch.Tensor) -> bool:
        """True when the predictions of a split of several examples are all the same."""
        ...


class Model(nn.Module):
    """An encoder and a head: `forward(x)` is `head(encoder(x))`. Views of one example all go through the one encoder.

    Shape: encoder (B, C, ...) -> (B, features); head (B, views * features) -> (B, outputs), or (B, groups, outputs) where
    each of several groups of features has a head. A batch of single views has `dims` dimensions.

    Of several networks, `members` > 1: encoder (B, C, ...) -> (B, M, features), head -> (B, M, outputs). With `orders` > 1 each
    is trained on examples of its own, (B, M, C, ...).

    `running` are the networks that training steps are for, None for all: others are not run where there is to be a gradient, and
    their outputs are NaN. It is for encoders and heads that take it (`interpreter/parts/models/branches.py`). Without a gradient,
    as in an evaluation, all are run.
    """

    running: tuple[int, ...] | None = None

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        features: int,
        dims: int,
        views: int = 1,
        members: int = 1,
        orders: int = 1,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.features = features
        self.dims = dims
        self.views = views
        self.members = members
        self.orders = orders

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs.

        Shape: (B, C, ...) -> (B, outputs); (B, V, C, ...) -> (B, outputs) where the head takes V views side by side, otherwise
        (B, V, outputs). Of several networks (B, C, ...) or (B, M, C, ...) -> (B, M, outputs).
        """
        if self.running is not None and torch.is_grad_enabled():
            some: torch.Tensor = self.head(self.encoder(x, self.running), self.running)
            return some
        if x.ndim == self.dims or self.members > 1:
            features = self.encoder(x)
        else:
            features = self.encoder(x.flatten(0, 1)).unflatten(0, x.shape[:2])
            features = features.flatten(1) if self.views > 1 else features
        outputs: torch.Tensor = self.head(features)
        return outputs
