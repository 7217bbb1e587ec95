"""What objectives over classes share: that targets are classes, and the rule that knows only how frequent each is."""

from __future__ import annotations

import torch
from torch import Tensor

from interpreter.errors import StageFailed
from interpreter.parts.contract import Data


def check_classes(data: Data, objective: str, each: str = "class") -> None:
    """Raises: StageFailed when the targets of `data` are no classes, which `objective` needs one of for each example."""
    for split in data.splits.values():
        if split.targets.dtype != torch.int64 or split.targets.ndim != 1:
            raise StageFailed(f"`{objective}` needs a {each} for each example, and the targets of this data are numbers")


def frequencies(train_targets: Tensor, classes: int) -> Tensor:
    """The logarithm of how frequent each class is among these targets. Shape: (N,) -> (K,) float64.

    A class without an example counts as if it had half a one, for its log-probability to be finite.
    """
    counts = torch.bincount(train_targets, minlength=classes).double().clamp(min=0.5)
    return torch.log(counts / counts.sum())
