"""Builder of `cifar10`: all images in memory as bytes, read from the published files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from interpreter.parts.contract import Data, Split
from interpreter.parts.datasets.cifar_files import CLASSES, TEST, TRAIN, Images, read_batches
from interpreter.parts.datasets.labelled import (
    Finding,
    Ints,
    counted,
    counts,
    divided_by,
    drawn,
    here,
    missing_classes,
    within_budget,
)
from interpreter.parts.datasets.pixels import MemorySplit
from interpreter.parts.random import derive
from interpreter.spec.components.datasets import Augment, Normalize, ValFromTrain
from interpreter.spec.components.images import CIFAR_SHAPE, CIFAR_SPACE, CIFAR_STANDARD, Cifar10, ValIsTest

PUBLISHED = {"train": 5000, "test": 1000}  # images of each class
_TEST_SEEN = "the validation split is the test set: what is selected by it (an epoch, a checkpoint, an arm) has seen the test set"


def build(config: Cifar10, source: Path | None, cache: Path) -> Data:
    """CIFAR-10 of `source`, split; no cache is needed.

    Raises: DataMissing when the source is not here, or is not CIFAR-10 as it was published.
    """
    folder = here(source, config.source)
    parts = {"test": TEST} if config.part == "test" else {"train": TRAIN, "test": TEST}
    read = read_batches(folder, config.source, parts)
    images = read.images
    findings = unusual(
        {split: counts(part.labels, CLASSES) for split, part in images.items()},
        {split: [each] * len(CLASSES) for split, each in PUBLISHED.items()},
    )
    if read.changed:
        text = f"not the published files, byte for byte: {', '.join(read.changed)}"
        findings.append(("unpublished-content", text))

    rows = {split: np.arange(len(part.labels), dtype=np.int64) for split, part in images.items()}
    if isinstance(config.val, ValFromTrain):
        chosen = drawn(config.val, images["train"].labels, rows["train"], derive(config.val.seed, "cifar10", "val"))
        rows = {"train": rows["train"][~chosen], "val": rows["train"][chosen], "test": rows["test"]}
    elif isinstance(config.val, ValIsTest):
        rows = {"train": rows["train"], "val": rows["test"], "test": rows["test"]}
        findings.append(("selected-on-test", _TEST_SEEN))
    origin = {"train": "train", "val": "test" if isinstance(config.val, ValIsTest) else "train", "test": "test"}
    targets = {split: images[origin[split]].labels[at] for split, at in rows.items()}
    hint = "the copy is no longer what was published: get it again"
    findings += missing_classes(targets, CLASSES, config.source, empty="has no images", hint=hint)
    whole = {split: len(at) for split, at in rows.items()}
    if "train" in rows:
        stream = derive(config.label_seed, "cifar10", "labels")
        rows["train"] = rows["train"][within_budget(config, targets["train"], rows["train"], stream)]
    constants = constants_of(config.normalize)
    splits: dict[str, Split] = {
        split: held(images[origin[split]], at, origin[split], constants, config.augment if split == "train" else None)
        for split, at in rows.items()
    }
    origin_words = f"real: CIFAR-10, of the source `{config.source}`"
    return as_data(splits, constants, origin_words, findings, {"n_before_budget": whole, "form": read.form})


def held(images: Images, rows: Ints, origin: str, constants: Normalize, augment: Augment | None) -> MemorySplit:
    """The images at `rows` as a split: a copy of their own, unless they are all. Ids are `origin` and the place in the files."""
    pixels, labels = torch.from_numpy(images.pixels), torch.from_numpy(images.labels)
    if len(rows) < len(labels):
        at = torch.from_numpy(rows)
        pixels, labels = pixels[at], labels[at]
    return MemorySplit([f"{origin}-{row:05d}" for row in rows.tolist()], labels, constants, augment, pixels)


def constants_of(normalize: Normalize | str) -> Normalize:
    """The constants that `normalize` stands for."""
    if isinstance(normalize, Normalize):
        return normalize
    return CIFAR_STANDARD if normalize == "standard" else Normalize(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0])


def as_data(
    splits: Mapping[str, Split], constants: Normalize, origin: str, findings: Sequence[Finding], more: Mapping[str, Any]
) -> Data:  # fmt: skip
    """Splits of images of CIFAR-10's classes as a dataset; `more` facts than are told of all such data."""
    return Data(
        splits=splits,
        shape=CIFAR_SHAPE,
        outputs=len(CLASSES),
        class_names=CLASSES,
        target_space=CIFAR_SPACE,
        origin=origin,
        findings=tuple(findings),
        facts={**counted(splits, CLASSES), "normalization": divided_by(constants, computed=False), **more},
    )


def unusual(found: Mapping[str, list[int]], published: Mapping[str, list[int]]) -> list[Finding]:
    """A finding for each split whose images of each class are not as many as were published."""
    return [
        ("unpublished-counts", f"images of each class of {split} are {_words(own)}, and were published as {_words(known)}")
        for split, own in found.items()
        if own != (known := published[split])
    ]


def _words(numbers: list[int]) -> str:
    return f"{numbers[0]} each" if len(set(numbers)) == 1 else " ".join(map(str, numbers))
