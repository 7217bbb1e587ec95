"""What datasets of labelled images share: where they are, validation drawn from train, label budgets, missing classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpreter.errors import DataMissing
from interpreter.parts.contract import Split
from interpreter.parts.datasets import subset
from interpreter.project import variable_of
from interpreter.spec.components.datasets import LabelBudget, Normalize, ValFromTrain

Finding = tuple[str, str]
Ints = NDArray[np.int64]
Chosen = NDArray[np.bool_]


def here(source: Path | None, name: str) -> Path:
    """Where the data source `name` is. Raises: DataMissing when it is not here."""
    if source is None or not source.exists():
        raise absent(name)
    return source


def absent(name: str) -> DataMissing:
    """What is said of the data source `name` when it is not here."""
    return DataMissing(f"the data source `{name}` is not here", hint=f"name its folder in expt.toml or in {variable_of(name)}")


def drawn(val: ValFromTrain, targets: Ints, numbers: Ints, stream: int) -> Chosen:
    """Which training examples are drawn for validation, class by class.

    `numbers` stand for the examples, whatever else is in the dataset. Shape: (N,) from (N,) and (N,).
    Raises: DataMissing when that would leave none to train on.
    """
    if val.n is not None:
        if val.n >= len(targets):
            raise DataMissing(f"`val` draws {val.n} examples of a training split that has {len(targets)}")
        return subset.exactly(targets, numbers, stream, val.n)
    assert val.fraction is not None
    return subset.share(targets, numbers, stream, val.fraction, leave=1)


def within_budget(config: LabelBudget, targets: Ints, numbers: Ints, stream: int) -> Chosen:
    """Which training examples a label budget keeps; all where there is none. Shape: (N,) from (N,) and (N,)."""
    if config.label_fraction is not None:
        return subset.share(targets, numbers, stream, config.label_fraction)
    if config.per_class is not None:
        return subset.at_most(targets, numbers, stream, config.per_class)
    return np.ones(len(targets), dtype=bool)


def counts(targets: Ints, classes: Sequence[str]) -> list[int]:
    """Examples of each class, in class order."""
    found: list[int] = np.bincount(targets, minlength=len(classes)).tolist()
    return found


def counted(splits: Mapping[str, Split], classes: Sequence[str]) -> dict[str, Any]:
    """Facts of every dataset with classes: examples of each split, in all and of each class, and what the classes are called."""
    return {
        "n": {split: len(part) for split, part in splits.items()},
        "classes": {split: counts(part.targets.numpy(), classes) for split, part in splits.items()},
        "class_names": list(classes),
    }


def divided_by(constants: Normalize, *, computed: bool) -> dict[str, Any]:
    """The fact of how bytes were normalized."""
    return {"mean": list(constants.mean), "std": list(constants.std), "scale": 255.0, "computed": computed}


def missing_classes(splits: Mapping[str, Ints], classes: Sequence[str], source: str, *, empty: str, hint: str) -> list[Finding]:
    """A finding for each split that has no example of a class. `splits`: the targets of each.

    Raises: DataMissing when a split has no examples ("the val split of `photos` " and what `empty` says), or when the training
    split is one that lacks a class.
    """
    for split, targets in splits.items():
        if not len(targets):
            raise DataMissing(f"the {split} split of `{source}` {empty}")
    gone = {
        split: names
        for split, targets in splits.items()
        if (names := [name for name, count in zip(classes, counts(targets, classes), strict=True) if not count])
    }
    if "train" in gone:
        raise DataMissing(f"the training split of `{source}` has no images of {', '.join(gone['train'])}", hint=hint)
    return [
        ("missing-class", f"the {split} split has no images of {', '.join(names)}: means over classes leave them out")
        for split, names in gone.items()
    ]
