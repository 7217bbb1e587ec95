"""Builder of `digits`: read straight from the file inside scikit-learn, which need not be imported (that takes seconds)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from interpreter.errors import DataMissing
from interpreter.fingerprint import LENGTH
from interpreter.parts.contract import Data, Draw, Split
from interpreter.parts.datasets import subset
from interpreter.parts.datasets.labelled import counted, within_budget
from interpreter.parts.random import derive, uniform
from interpreter.spec.components.datasets import Digits

INK = 16.0  # the darkest value of the scans
MEAN, STD = 0.3054, 0.3755  # of ink / 16 over the 1,437 scans outside the test part, to four places


class DigitSplit:
    """One split of the digits, as a tensor in memory."""

    def __init__(self, ids: list[str], x: torch.Tensor, targets: torch.Tensor, blank: float, shift: int, views: int) -> None:
        self.ids: Sequence[str] = ids
        self.targets = targets
        self.shift = shift
        self.views = views
        self.x = x  # (N, 1, 8, 8)
        self.wide = torch.nn.functional.pad(x, (shift,) * 4, value=blank) if shift else None

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, index: NDArray[np.int64], draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The examples at `index` and their targets; moved about where a draw is given and the split has a shift.

        Shape: (B, 1, 8, 8), or (B, 2, 1, 8, 8) where an example drawn is two views; and (B,).
        """
        at = torch.from_numpy(index)
        if draw is None or self.wide is None:
            return self.x[at], self.targets[at]
        # Two numbers a view, so that the first of two views is the one that there would be alone.
        places = uniform(draw.stream, draw.epoch, index, 2 * self.views) * (2 * self.shift + 1)
        offset = torch.from_numpy(places.astype(np.int64)).unflatten(1, (self.views, 2))
        side = torch.arange(self.x.shape[-1])
        rows = (offset[..., 0, None] + side)[..., :, None]
        columns = (offset[..., 1, None] + side)[..., None, :]
        moved = self.wide[at[:, None, None, None], 0, rows, columns][:, :, None]
        return (moved if self.views > 1 else moved[:, 0]), self.targets[at]


def load() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The scans (1797, 8, 8) with ink from 0 to 16, and the digits (1797,).

    Raises: DataMissing when scikit-learn is not installed, or its file is not the one the fingerprint was taken of.
    """
    package = find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise DataMissing("`digits` comes with scikit-learn, which is not installed", hint="pip install scikit-learn")
    path = Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    try:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise DataMissing(f"the digits inside scikit-learn can't be read: {error}") from None
    images, targets = np.ascontiguousarray(table[:, :64]), np.ascontiguousarray(table[:, 64])
    found = hashlib.sha256(images.tobytes() + targets.tobytes()).hexdigest()[:LENGTH]
    if found != Digits.embedded_fingerprint:
        raise DataMissing(
            f"the digits inside scikit-learn are not the known ones: fingerprint {found}, not {Digits.embedded_fingerprint}",
            hint="install a release of scikit-learn with the original file, or raise the component's version",
        )
    return images.reshape(-1, 8, 8), targets.astype(np.int64)


def build(config: Digits, source: Path | None, cache: Path) -> Data:
    """The digits, split; neither a folder nor a cache is needed."""
    images, digits = load()
    wanted = config.digits()
    classes = np.full(10, -1, dtype=np.int64)
    classes[list(wanted)] = np.arange(len(wanted))
    names = np.arange(len(digits), dtype=np.int64)
    known = classes[digits] >= 0
    test = names >= len(digits) - Digits.TEST
    pool = names[known & ~test]
    is_val = subset.share(digits[pool], pool, derive(config.split_seed, "digits", "val"), config.val_fraction, leave=1)
    train = pool[~is_val]
    train = train[within_budget(config, digits[train], train, derive(config.split_seed, "digits", "labels"))]
    parts = {"train": train, "val": pool[is_val], "test": names[known & test]}

    mean, std = (MEAN, STD) if config.normalize == "standard" else (0.0, 1.0)
    x = torch.from_numpy(((images / INK - mean) / std).astype(np.float32))[:, None]
    y = torch.from_numpy(classes[digits])
    facts = config.facts()
    splits: dict[str, Split] = {}
    for split, chosen in parts.items():
        at = torch.from_numpy(chosen)
        shift = config.shift if split == "train" else 0
        splits[split] = DigitSplit([f"digit-{n:04d}" for n in chosen], x[at], y[at], -mean / std, shift, facts.views)
    return Data(
        splits=splits,
        shape=(1, 8, 8),
        outputs=len(wanted),
        class_names=tuple(str(digit) for digit in wanted),
        target_space=facts.target_space,
        origin="embedded: real 8x8 scans of handwritten digits, shipped with scikit-learn",
        findings=(),
        facts={
            **counted(splits, [str(digit) for digit in wanted]),
            "normalization": {"mean": [mean], "std": [std], "scale": INK},
            "fingerprint": Digits.embedded_fingerprint,
        },
    )
