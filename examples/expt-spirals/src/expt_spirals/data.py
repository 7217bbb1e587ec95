"""Builder of `spirals`. Every point is a hash of (seed, split, number): the same on every machine, whatever else is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from expt_spirals.config import Spirals
from interpreter.parts.contract import Data, Draw, Split
from interpreter.parts.random import derive, uniform

CLASSES = ("inner start right", "inner start left")  # where a spiral leaves the middle


class PointSplit:
    """One split of the spirals, as a tensor in memory."""

    def __init__(self, ids: Sequence[str], points: torch.Tensor, targets: torch.Tensor, jitter: float) -> None:
        self.ids = ids
        self.points = points  # (N, 2, 1, 1)
        self.targets = targets  # (N,)
        self.jitter = jitter

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, index: NDArray[np.int64], draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The points at `index` (B,) and their classes; moved about where a draw is given and the split has a jitter."""
        at = torch.from_numpy(index)
        points = self.points[at]
        if draw is not None and self.jitter:
            # Depends on the draw and the example's number alone, so a batch is the same however it is put together.
            moved = (2 * uniform(draw.stream, draw.epoch, index, 2) - 1) * self.jitter
            points = points + torch.from_numpy(moved.astype(np.float32))[:, :, None, None]
        return points, self.targets[at]


def points_of(config: Spirals, split: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The points of a split and which spiral each is of, in turn. Shape: (N, 2) and (N,)."""
    index = np.arange(getattr(config, split), dtype=np.int64)
    classes = index % 2
    place, length, angle = uniform(derive(config.data_seed, "spirals", split), 0, index, 3).T
    radius = np.sqrt(place)  # so that points are as dense at the outer end as in the middle
    turn = 2 * np.pi * config.turns * radius + np.pi * classes
    off = config.noise * np.sqrt(-2 * np.log1p(-length))  # Box and Muller: two normal numbers of two uniform ones
    x = radius * np.cos(turn) + off * np.cos(2 * np.pi * angle)
    y = radius * np.sin(turn) + off * np.sin(2 * np.pi * angle)
    return np.stack([x, y], axis=1).astype(np.float32), classes


def build(config: Spirals, source: Path | None, cache: Path) -> Data:
    """The spirals; neither a folder nor a cache is needed."""
    splits: dict[str, Split] = {}
    for split in ("train", "val", "test"):
        points, classes = points_of(config, split)
        ids = [f"{split}-{n:05d}" for n in range(len(points))]
        jitter = config.jitter if split == "train" else 0.0
        splits[split] = PointSplit(ids, torch.from_numpy(points)[:, :, None, None], torch.from_numpy(classes), jitter)
    facts = config.facts()
    return Data(
        splits=splits,
        shape=(2, 1, 1),
        outputs=2,
        class_names=CLASSES,
        target_space=facts.target_space,
        origin=f"generated: two spirals of {config.turns:g} turns, noise {config.noise:g}",
        findings=(),
        facts={
            "n": {split: len(part) for split, part in splits.items()},
            "classes": {split: torch.bincount(part.targets, minlength=2).tolist() for split, part in splits.items()},
            "class_names": list(CLASSES),
            "normalization": None,
        },
    )
