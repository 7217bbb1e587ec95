"""Builder of `image_folder`: everything is listed, decoded and checked before the first epoch; dirt becomes findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from interpreter.errors import DataMissing
from interpreter.fingerprint import LITTER, walk
from interpreter.parts.contract import Data, Split
from interpreter.parts.datasets.decode import SUFFIXES
from interpreter.parts.datasets.image_cache import decoded, hashes
from interpreter.parts.datasets.labelled import Finding, counted, divided_by, drawn, here, missing_classes, within_budget
from interpreter.parts.datasets.pixels import PixelSplit
from interpreter.parts.random import derive
from interpreter.spec.components.datasets import SPLITS, Augment, ImageFolder, Normalize

_NAMED = 20  # findings of one kind that are told one by one
_CHUNK = 256  # images at a time when statistics are taken


class ImageSplit(PixelSplit):
    """One split of an image folder: rows of a memory-mapped array of bytes."""

    def __init__(self, ids: list[str], targets: torch.Tensor, array: Path, rows: NDArray[np.int64], constants: Normalize,
                 augment: Augment | None) -> None:  # fmt: skip
        super().__init__(ids, targets, constants, augment)
        self.array = array
        self.rows = rows
        self._pixels = _mapped(array)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_pixels"}  # a map is opened anew, not copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._pixels = _mapped(self.array)

    def pixels(self, index: NDArray[np.int64]) -> torch.Tensor:
        """The images at `index` as bytes. Shape: (B,) -> (B, 3, S, S) uint8."""
        return torch.from_numpy(self._pixels[self.rows[index]])


def _mapped(array: Path) -> NDArray[np.uint8]:
    return np.asarray(np.load(array, mmap_mode="r"))


@dataclass(frozen=True, slots=True)
class _Listed:
    """The images below the folder of one split, in the order of their paths."""

    names: list[str]  # relative to the source
    paths: list[Path]
    classes: list[str]
    strays: list[str]
    folders: list[str]  # of classes, with or without images


@dataclass(frozen=True, slots=True)
class _Read:
    """The readable images of one split."""

    names: list[str]
    targets: NDArray[np.int64]
    digests: list[str]
    array: Path
    rows: NDArray[np.int64]

    def only(self, chosen: NDArray[np.bool_]) -> _Read:
        """Those for which `chosen` (N,) is True."""
        at = np.flatnonzero(chosen)
        return _Read([self.names[i] for i in at], self.targets[at], [self.digests[i] for i in at], self.array, self.rows[at])


def build(config: ImageFolder, source: Path | None, cache: Path) -> Data:
    """The images of `source`, decoded into `cache`.

    Raises: DataMissing when the source, a split's folder, or a class of the training split is not there.
    """
    source = here(source, config.source)
    findings: list[Finding] = []
    listed = {split: _listed(source, root, config.source) for split, root in config.folders().items()}
    classes = tuple(config.classes or sorted({name for part in listed.values() for name in part.folders}))
    findings += _strays([stray for part in listed.values() for stray in part.strays])
    splits = {split: _read(source, part, classes, config, cache, findings) for split, part in listed.items()}
    if len(classes) < 2:
        raise DataMissing(f"`{config.source}` has {len(classes)} class folders and needs two: {', '.join(classes)}")
    if config.val is not None:
        splits |= _drawn(splits["train"], config)
    findings += missing_classes(
        {split: part.targets for split, part in splits.items()},
        classes,
        config.source,
        empty="has no image that can be read",
        hint="a class folder is missing or empty there: add its images, or name the classes to use under `classes`",
    )
    findings += _repeated(splits, classes)
    constants = _constants(config, splits)
    whole = {split: len(part.names) for split, part in splits.items()}
    if "train" in splits:
        splits["train"] = _budget(splits["train"], config)
    built: dict[str, Split] = {
        split: ImageSplit(part.names, torch.from_numpy(part.targets), part.array, part.rows, constants,
                          config.augment if split == "train" else None)
        for split in SPLITS if (part := splits.get(split)) is not None
    }  # fmt: skip
    return Data(
        splits=built,
        shape=(3, config.size, config.size),
        outputs=len(classes),
        class_names=classes,
        target_space=config.facts().target_space,
        origin=f"real: images of the source `{config.source}`",
        findings=tuple(findings),
        facts={
            **counted(built, classes),
            "n_before_budget": whole,
            "normalization": divided_by(constants, computed=config.normalize == "computed"),
        },
    )


def _listed(source: Path, root: str, name: str) -> _Listed:
    folder = source / root
    if not folder.is_dir():
        there = ", ".join(sorted(path.name for path in source.iterdir() if path.is_dir())) if source.is_dir() else ""
        raise DataMissing(f"the data source `{name}` has no folder `{root}`",
                          hint=f"it has {there or 'no folders'}: say which is which under `roots`")  # fmt: skip
    inside = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "." and path.name not in LITTER)
    out = _Listed([], [], [], [], inside)
    for relative, path in walk(folder):
        below = relative.split("/")
        if len(below) < 2 or path.suffix.lower() not in SUFFIXES:
            out.strays.append(f"{root}/{relative}")
            continue
        out.names.append(f"{root}/{relative}")
        out.paths.append(path)
        out.classes.append(below[0])
    return out


def _read(
    source: Path, part: _Listed, classes: Sequence[str], config: ImageFolder, cache: Path, findings: list[Finding]
) -> _Read:
    """The readable images of a split; the others are added to `findings`."""
    number = {name: i for i, name in enumerate(classes)}
    kept = [i for i, name in enumerate(part.classes) if name in number]
    names, paths = [part.names[i] for i in kept], [part.paths[i] for i in kept]
    digests = hashes(source, list(zip(names, paths, strict=True)), cache)
    images = decoded(paths, digests, config.size, config.crop, cache)
    targets = np.array([number[part.classes[i]] for i in kept], dtype=np.int64)
    read = _Read(names, targets, digests, images.path, np.arange(len(names), dtype=np.int64))
    bad = [f"{name}: {error}" for name, error in zip(names, images.errors, strict=True) if error]
    findings += _told("unreadable-image", "(left out)", bad)
    return read.only(np.array([not error for error in images.errors], dtype=bool))


def _strays(strays: Sequence[str]) -> list[Finding]:
    if not strays:
        return []
    more = f" and {len(strays) - _NAMED} more" if len(strays) > _NAMED else ""
    return [("stray-files", f"left out, being no images in a class folder: {', '.join(strays[:_NAMED])}{more}")]


def _told(code: str, text: str, things: Sequence[str]) -> list[Finding]:
    """One finding a thing, and one for all beyond the twentieth."""
    out = [(code, f"{thing} {text}") for thing in things[:_NAMED]]
    if len(things) > _NAMED:
        out.append((code, f"and {len(things) - _NAMED} more like these"))
    return out


def _name_numbers(part: _Read) -> NDArray[np.int64]:
    """A number for each example that depends on its path alone."""
    return np.array([derive(name) for name in part.names], dtype=np.int64)


def _drawn(train: _Read, config: ImageFolder) -> dict[str, _Read]:
    """The training split without, and the validation split with, what `val` draws."""
    assert config.val is not None
    chosen = drawn(config.val, train.targets, _name_numbers(train), derive(config.val.seed, "image_folder", "val"))
    return {"train": train.only(~chosen), "val": train.only(chosen)}


def _budget(train: _Read, config: ImageFolder) -> _Read:
    stream = derive(config.label_seed, "image_folder", "labels")
    return train.only(within_budget(config, train.targets, _name_numbers(train), stream))


def _repeated(splits: Mapping[str, _Read], classes: Sequence[str]) -> list[Finding]:
    """Files of equal content in two splits, or in two classes of one."""
    first: dict[str, tuple[str, str, int]] = {}
    overlap: list[str] = []
    two_labels: list[str] = []
    for split, part in splits.items():
        for name, digest, target in zip(part.names, part.digests, part.targets.tolist(), strict=True):
            other_split, other, other_target = first.setdefault(digest, (split, name, target))
            if other_split != split:
                overlap.append(f"{name} ({split}) is {other} ({other_split})")
            elif other_target != target:
                two_labels.append(f"{name} ({classes[target]}) is {other} ({classes[other_target]})")
    return _told("overlapping-splits", "byte for byte", overlap) + _told("two-labels", "byte for byte", two_labels)


def _constants(config: ImageFolder, splits: Mapping[str, _Read]) -> Normalize:
    if isinstance(config.normalize, Normalize):
        return config.normalize
    if config.normalize is None:
        return Normalize(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0])
    train = splits["train"]
    pixels = _mapped(train.array)
    total, squares = np.zeros(3), np.zeros(3)
    for start in range(0, len(train.rows), _CHUNK):
        block = pixels[train.rows[start : start + _CHUNK]].astype(np.float64) / 255
        total += block.sum(axis=(0, 2, 3))
        squares += np.square(block).sum(axis=(0, 2, 3))
    count = len(train.rows) * config.size**2
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    if not (std > 0).all():
        raise DataMissing(f"all training images of `{config.source}` are of one colour: no deviation to divide by")
    return Normalize(mean=mean.round(6).tolist(), std=std.round(6).tolist())
