"""Splits of colour images that are kept as bytes, and become numbers batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from interpreter.parts.contract import Draw
from interpreter.parts.datasets.augment import DRAWS, augmented
from interpreter.parts.random import uniform
from interpreter.spec.components.datasets import Augment, Normalize


class PixelSplit:
    """One split of images kept as bytes, wherever a class that extends it keeps them."""

    def __init__(self, ids: Sequence[str], targets: torch.Tensor, constants: Normalize, augment: Augment | None) -> None:
        self.ids = ids
        self.targets = targets
        self.augment = augment
        self.mean = torch.tensor(constants.mean, dtype=torch.float32)[:, None, None]
        self.std = torch.tensor(constants.std, dtype=torch.float32)[:, None, None]

    def __len__(self) -> int:
        return len(self.ids)

    def pixels(self, index: NDArray[np.int64]) -> torch.Tensor:
        """The images at `index` as bytes. Shape: (B,) -> (B, 3, S, S) uint8."""
        raise NotImplementedError

    def batch(self, index: NDArray[np.int64], draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The examples at `index` and their targets; two views, (B, 2, C, H, W), where the augmentation says so."""
        x = self.pixels(index).float().div_(255)
        y = self.targets[torch.from_numpy(index)]
        if draw is None or self.augment is None:
            return x.sub_(self.mean).div_(self.std), y
        views = 2 if self.augment.two_crops else 1
        draws = uniform(draw.stream, draw.epoch, index, DRAWS * views)
        recipe = self.augment.recipe()
        seen = [augmented(x, draws[:, DRAWS * v : DRAWS * (v + 1)], recipe).sub(self.mean).div_(self.std) for v in range(views)]
        return (seen[0] if views == 1 else torch.stack(seen, dim=1)), y


class MemorySplit(PixelSplit):
    """One split of images that are all in memory."""

    def __init__(self, ids: Sequence[str], targets: torch.Tensor, constants: Normalize, augment: Augment | None,
                 images: torch.Tensor) -> None:  # fmt: skip
        super().__init__(ids, targets, constants, augment)
        self.images = images  # (N, 3, S, S) uint8

    def pixels(self, index: NDArray[np.int64]) -> torch.Tensor:
        """The images at `index` as bytes. Shape: (B,) -> (B, 3, S, S) uint8."""
        return self.images[torch.from_numpy(index)]
