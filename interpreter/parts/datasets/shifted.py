"""Builder of `shifted`: the test split of another dataset, corrupted as it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from interpreter import catalog
from interpreter.errors import StageFailed
from interpreter.parts.contract import Data, Draw, Split
from interpreter.parts.datasets.corruptions import CORRUPTIONS
from interpreter.parts.random import derive, uniform
from interpreter.spec.components.images import Shifted


class ShiftedSplit:
    """A split whose images are corrupted: in 0..1, and normalized after that as they were before.

    What is drawn for an image hangs on the seed, the corruption and the image's id, on nothing else.
    """

    def __init__(
        self, split: Split, shape: tuple[int, ...], mean: Sequence[float], std: Sequence[float], corruptions: Sequence[str],
        severity: int, seed: int,
    ) -> None:  # fmt: skip
        self.ids = split.ids
        self.targets = split.targets
        self._split = split
        self._shape = shape
        self._names = np.array([derive(name) for name in split.ids], dtype=np.int64)
        self._mean = torch.tensor(mean, dtype=torch.float64)[:, None, None]
        self._std = torch.tensor(std, dtype=torch.float64)[:, None, None]
        self._steps = [(CORRUPTIONS[name], derive(seed, "shifted", name, place)) for place, name in enumerate(corruptions)]
        self._severity = severity

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, index: NDArray[np.int64], draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The examples at `index`, corrupted, and their targets; the same with any draw."""
        x, y = self._split.batch(index, None)
        pixels = (x.double() * self._std + self._mean).clamp_(0, 1)
        names = self._names[index]
        for corruption, stream in self._steps:
            pixels = corruption(pixels, self._severity, uniform(stream, 0, names, corruption.drawn(self._shape)))
        return pixels.sub_(self._mean).div_(self._std).float(), y


def build(config: Shifted, source: Path | None, cache: Path) -> Data:
    """The test split of the dataset inside, corrupted.

    Raises: DataMissing as that dataset does; StageFailed when its examples are no images, or it doesn't say how they were
    normalized.
    """
    inner: Data = catalog.builder("dataset", config.of.type)(config.of, source, cache)
    constants = inner.facts.get("normalization")
    if len(inner.shape) != 3 or "test" not in inner.splits:
        raise StageFailed(f"corruptions are of images of a test split, and `{config.of.type}` has none")
    if not isinstance(constants, dict) or not {"mean", "std"} <= constants.keys():
        raise StageFailed(
            f"the dataset `{config.of.type}` does not say how its images were normalized, and corruptions are of pixels in 0..1",
            hint='its facts must have "normalization": {"mean": [...], "std": [...]}',
        )
    corruptions = [config.corruption] if isinstance(config.corruption, str) else list(config.corruption)
    test = inner.splits["test"]
    split = ShiftedSplit(test, inner.shape, constants["mean"], constants["std"], corruptions, config.severity, config.seed)
    what = f"{' then '.join(corruptions)} severity {config.severity}"
    kept = {name: inner.facts[name] for name in ("class_names", "normalization", "fingerprint") if name in inner.facts}
    counted = {name: {"test": inner.facts[name]["test"]} for name in ("n", "classes") if name in inner.facts}
    return Data(
        splits={"test": split},
        shape=inner.shape,
        outputs=inner.outputs,
        class_names=inner.class_names,
        target_space=inner.target_space,
        origin=f"shifted: {inner.origin}, {what}; a stand-in for data from elsewhere",
        findings=inner.findings,
        facts={**kept, **counted, "shifted": {"of": config.of.type, "corruption": corruptions, "severity": config.severity}},
    )
