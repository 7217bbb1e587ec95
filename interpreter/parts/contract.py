"""What the building blocks hand to the stages: data, objectives, models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

        What is random about an example depends on the draw and its index alone, not on the rest of the batch.

        Shape: x (B, C, H, W) float32, or (B, 2, C, H, W) where two views are drawn; y as `targets`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Data:
    """A dataset, read."""

    splits: Mapping[str, Split]  # of "train", "val", "test"
    shape: tuple[int, ...]  # of one example, (C, H, W)
    outputs: int  # classes, or numbers to predict
    class_names: tuple[str, ...]  # () for regression
    target_space: str
    origin: str  # begins with "real", "embedded" or "generated"; in words, for the report
    findings: tuple[tuple[str, str], ...]  # (code, text)
    facts: Mapping[str, Any]  # plain data: n and class histogram of each split, normalization used
    growing: Growing | None = None  # which examples of the train split each epoch has; None: all of them, always


class Objective(Protocol):
    """What is minimized, and what is measured on a whole split."""

    outputs: int  # numbers the model must give for an example

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch, differentiable."""
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
    """An encoder and a head: `forward(x)` is `head(encoder(x))`.

    Shape: encoder (B, C, H, W) -> (B, features); head (B, features) -> (B, outputs).
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, features: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.features = features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs. Shape: (B, C, H, W) -> (B, outputs)."""
        outputs: torch.Tensor = self.head(self.encoder(x))
        return outputs
