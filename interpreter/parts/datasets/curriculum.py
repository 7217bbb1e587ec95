"""Which training examples a fit sees, by the difficulty that an earlier run gave each: part of them, or a part that grows.

A subset is taken of what a label budget leaves, after everything else is settled: normalization constants stay those of the
whole training split, and evaluated splits are not touched. What is counted is counted in whole numbers and exact fractions,
so that every machine counts alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from interpreter.errors import StageFailed
from interpreter.parts.contract import Data, Draw, Split
from interpreter.spec.components.subsets import Growth, Subset

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_NAMED = 3  # examples that are named where some are missing


@dataclass(frozen=True, slots=True)
class Growing:
    """A share of the training examples that grows from epoch to epoch: a pure function of the epoch, with nothing to save.

    order: indices of the train split, (M,), in the order in which they come in. n: examples that shares are shares of;
    it exceeds M where the growth ends below 100%. least: examples of an epoch at the least, such as a batch (as far as there
    are so many).
    """

    order: Ints
    growth: Growth
    n: int
    least: int = 1

    def count(self, epoch: int) -> int:
        """Examples in `epoch`, from 0: its share of `n` to the nearest whole number, halves up."""
        first, last = _exact(self.growth.from_), _exact(self.growth.to)
        over = self.growth.over
        passed = Fraction(min(epoch, over), over)
        if self.growth.pace == "root":  # the square of the share grows evenly (Platanios et al. 2019, equation 8)
            square = first**2 + (last**2 - first**2) * passed
            count = _rounded_root(square * self.n**2)
        else:
            if self.growth.pace == "step":
                jumps = self.growth.jumps or 1
                passed = Fraction(min(epoch, over) * jumps // over, jumps)
            count = _rounded((first + (last - first) * passed) * self.n)
        return min(max(count, self.least), len(self.order))

    def counts(self, epochs: int) -> tuple[int, ...]:
        """Examples in each of the first `epochs` epochs."""
        return tuple(self.count(epoch) for epoch in range(epochs))

    def members(self, epoch: int) -> Ints:
        """Indices of the train split that `epoch`, from 0, has, those that came in first in front. Shape: (count(epoch),)."""
        return self.order[: self.count(epoch)]

    def at_least(self, examples: int) -> Growing:
        """The same with so many `examples` an epoch at the least."""
        return replace(self, least=max(1, examples))


class Chosen:
    """Some examples of a split, in its order and under their own names.

    An example is augmented as it would be in the whole split: it keeps the index that its draws are counted by.
    """

    def __init__(self, split: Split, rows: Ints) -> None:
        self.ids: Sequence[str] = [split.ids[row] for row in rows.tolist()]
        self.targets = split.targets[torch.from_numpy(rows)]
        self._split = split
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, index: Ints, draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The examples at `index` and their targets, as the whole split has them, and so are further looks at them."""
        n = len(self._rows)
        return self._split.batch(self._rows[index % n] + index // n * len(self._split), draw)


def with_subset(data: Data, subset: Subset, scores: Mapping[str, float]) -> Data:
    """`data` with the training examples that `subset` chooses by `scores` (id -> difficulty), or that come in as it grows.

    Raises: StageFailed when there is no training split, an example has no score, or nothing remains.
    """
    train = data.splits.get("train")
    if train is None:
        raise StageFailed("a subset is of training examples, and the data has no training split")
    difficulty = _of_examples(train.ids, scores)
    rows, growth = _chosen(subset, difficulty)
    kept = np.sort(rows)
    splits = {**data.splits, "train": train if len(kept) == len(train) else Chosen(train, kept)}
    growing = None
    if growth is not None:
        # `kept` is sorted, so an example's place in it is its index in the split that remains.
        growing = Growing(np.searchsorted(kept, rows).astype(np.int64), growth, len(train))
    return replace(data, splits=splits, growing=growing, **_told(data, splits["train"], growing, subset, difficulty[kept]))


def _told(data: Data, train: Split, growing: Growing | None, subset: Subset, difficulty: Floats) -> dict[str, Any]:
    """Facts and findings of `data`, now that only `train` of its training examples is left, and how difficult they are."""
    facts = {
        **data.facts,
        "n": {**data.facts.get("n", {}), "train": len(train)},
        "n_before_subset": len(data.splits["train"]),
        "subset": {
            "rule": words(subset),
            "difficulty": {"min": float(difficulty.min()), "mean": float(difficulty.mean()), "max": float(difficulty.max())},
        },
    }
    findings = list(data.findings)
    if data.class_names:
        counts = _counts(train.targets, data.class_names)
        facts["classes"] = {**data.facts.get("classes", {}), "train": list(counts.values())}
        gone = [name for name, count in counts.items() if not count]
        if gone:
            findings.append(("missing-class", f"the subset leaves no training examples of {', '.join(gone)}"))
        if growing is not None:
            began = _counts(train.targets[torch.from_numpy(growing.members(0))], data.class_names)
            later = [name for name, count in began.items() if not count and counts[name]]
            if later:
                findings.append(("missing-class", f"the subset begins without training examples of {', '.join(later)}"))
    return {"facts": facts, "findings": tuple(findings)}


def words(subset: Subset) -> str:
    """The rule of a subset in words: "easiest 40%", "hardest 20% to 100% over 30 epochs, linear", "difficulty below 0.3"."""
    for name in ("easiest", "hardest"):
        asked = getattr(subset, name)
        if isinstance(asked, Growth):
            pace = asked.pace + (f" in {asked.jumps} jumps" if asked.jumps else "")
            return f"{name} {_percent(asked.from_)} to {_percent(asked.to)} over {asked.over} epochs, {pace}"
        if asked is not None:
            return f"{name} {_percent(asked)}"
    name, limit = ("below", subset.below) if subset.below is not None else ("above", subset.above)
    return f"difficulty {name} {limit:g}"


def _of_examples(ids: Sequence[str], scores: Mapping[str, float]) -> Floats:
    """The difficulty of each example. Shape: (N,)."""
    missing = [example for example in ids if example not in scores]
    if missing:
        named = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        raise StageFailed(
            f"{len(missing)} of {len(ids)} training examples have no score: {named}",
            hint="score the training split that is fitted: the same classes and validation examples, with no smaller budget",
        )
    return np.array([scores[example] for example in ids], dtype=np.float64)


def _chosen(subset: Subset, difficulty: Floats) -> tuple[Ints, Growth | None]:
    """Indices of the examples that are ever seen, in the order in which they come in, and how the seen part grows."""
    n = len(difficulty)
    if subset.below is not None or subset.above is not None:
        inside = difficulty < subset.below if subset.below is not None else difficulty > subset.above
        rows = np.flatnonzero(inside).astype(np.int64)
        spread = f"difficulties go from {difficulty.min():.4g} to {difficulty.max():.4g}"
        return _some(rows, n, subset, f"{spread}, median {np.median(difficulty):.4g}"), None
    asked = subset.easiest if subset.easiest is not None else subset.hardest
    assert asked is not None
    # Stable: of equally difficult examples the earlier one of the dataset comes first, from either end.
    order = np.argsort(difficulty if subset.easiest is not None else -difficulty, kind="stable").astype(np.int64)
    growth = asked if isinstance(asked, Growth) else None
    share = growth.to if growth is not None else asked
    assert isinstance(share, float)
    return _some(order[: _rounded(_exact(share) * n)], n, subset, "ask for a larger share"), growth


def _some(rows: Ints, n: int, subset: Subset, hint: str) -> Ints:
    if not len(rows):
        raise StageFailed(f"the subset ({words(subset)}) leaves none of {n} training examples", hint=hint)
    return rows


def _exact(share: float) -> Fraction:
    """The decimal number that was written: 0.2 is a fifth."""
    return Fraction(repr(share))


def _rounded(number: Fraction) -> int:
    """To the nearest whole number, halves up."""
    return math.floor(number + Fraction(1, 2))


def _rounded_root(number: Fraction) -> int:
    """The square root to the nearest whole number, halves up: floor(r + 1/2) is (floor(2r) + 1) // 2."""
    return (math.isqrt(math.floor(4 * number)) + 1) // 2


def _counts(targets: torch.Tensor, names: Sequence[str]) -> dict[str, int]:
    """Examples of each class, in class order."""
    return dict(zip(names, torch.bincount(targets, minlength=len(names)).tolist(), strict=True))


def _percent(share: float) -> str:
    return f"{float(_exact(share) * 100):g}%"
