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
from interpreter.parts.contract import Data, Draw, Split
from interpreter.parts.datasets import subset
from interpreter.parts.datasets.augment import DRAWS, augmented
from interpreter.parts.datasets.decode import SUFFIXES
from interpreter.parts.datasets.image_cache import decoded, hashes
from interpreter.parts.random import derive, uniform
from interpreter.spec.components.datasets import SPLITS, Augment, ImageFolder, Normalize

_NAMED = 20  # findings of one kind that are told one by one
_CHUNK = 256  # images at a time when statistics are taken

Finding = tuple[str, str]


class ImageSplit:
    """One split of an image folder: rows of a memory-mapped array of bytes."""

    def __init__(self, ids: list[str], targets: torch.Tensor, array: Path, rows: NDArray[np.int64], constants: Normalize,
                 augment: Augment | None) -> None:  # fmt: skip
        self.ids: Sequence[str] = ids
        self.targets = targets
        self.array = array
        self.rows = rows
        self.augment = augment
        self.mean = torch.tensor(constants.mean, dtype=torch.float32)[:, None, None]
        self.std = torch.tensor(constants.std, dtype=torch.float32)[:, None, None]
        self._pixels = _mapped(array)

    def __len__(self) -> int:
        return len(self.ids)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_pixels"}  # a map is opened anew, not copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._pixels = _mapped(self.array)

    def batch(self, index: NDArray[np.int64], draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The examples at `index` and their targets; two views, (B, 2, C, H, W), where the augmentation says so."""
        x = torch.from_numpy(self._pixels[self.rows[index]]).float().div_(255)
        y = self.targets[torch.from_numpy(index)]
        if draw is None or self.augment is None:
            return x.sub_(self.mean).div_(self.std), y
        views = 2 if self.augment.two_crops else 1
        draws = uniform(draw.stream, draw.epoch, index, DRAWS * views)
        recipe = self.augment.recipe()
        seen = [augmented(x, draws[:, DRAWS * v : DRAWS * (v + 1)], recipe).sub(self.mean).div_(self.std) for v in range(views)]
        return (seen[0] if views == 1 else torch.stack(seen, dim=1)), y


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
    if source is None:
        variable = f"EXPT_DATA_{config.source.upper().replace('-', '_')}"
        raise DataMissing(f"the data source `{config.source}` is not here", hint=f"name its folder in expt.toml or in {variable}")
    findings: list[Finding] = []
    listed = {split: _listed(source, root, config.source) for split, root in config.folders().items()}
    classes = tuple(config.classes or sorted({name for part in listed.values() for name in part.folders}))
    findings += _strays([stray for part in listed.values() for stray in part.strays])
    splits = {split: _read(source, part, classes, config, cache, findings) for split, part in listed.items()}
    if len(classes) < 2:
        raise DataMissing(f"`{config.source}` has {len(classes)} class folders and needs two: {', '.join(classes)}")
    if config.val is not None:
        splits |= _drawn(splits["train"], config)
    _check_classes(splits, classes, config)
    findings += _absent(splits, classes) + _repeated(splits, classes)
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
            "n": {split: len(part) for split, part in built.items()},
            "n_before_budget": whole,
            "classes": {split: torch.bincount(part.targets, minlength=len(classes)).tolist() for split, part in built.items()},
            "class_names": list(classes),
            "normalization": {"mean": list(constants.mean), "std": list(constants.std), "scale": 255.0,
                              "computed": config.normalize == "computed"},
        },
    )  # fmt: skip


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
    stream, names = derive(config.val.seed, "image_folder", "val"), _name_numbers(train)
    if config.val.n is not None:
        if config.val.n >= len(names):
            raise DataMissing(f"`val` draws {config.val.n} examples of a training folder that has {len(names)}")
        chosen = subset.exactly(train.targets, names, stream, config.val.n)
    else:
        assert config.val.fraction is not None
        chosen = subset.share(train.targets, names, stream, config.val.fraction, leave=1)
    return {"train": train.only(~chosen), "val": train.only(chosen)}


def _budget(train: _Read, config: ImageFolder) -> _Read:
    stream = derive(config.label_seed, "image_folder", "labels")
    if config.label_fraction is not None:
        return train.only(subset.share(train.targets, _name_numbers(train), stream, config.label_fraction))
    if config.per_class is not None:
        return train.only(subset.at_most(train.targets, _name_numbers(train), stream, config.per_class))
    return train


def _check_classes(splits: Mapping[str, _Read], classes: Sequence[str], config: ImageFolder) -> None:
    for split, part in splits.items():
        if not part.names:
            raise DataMissing(f"the {split} split of `{config.source}` has no image that can be read")
    if "train" in splits and (gone := _without(splits["train"], classes)):
        raise DataMissing(
            f"the training split of `{config.source}` has no images of {', '.join(gone)}",
            hint="a class folder is missing or empty there: add its images, or name the classes to use under `classes`",
        )


def _without(part: _Read, classes: Sequence[str]) -> list[str]:
    counts = np.bincount(part.targets, minlength=len(classes))
    return [name for name, count in zip(classes, counts, strict=True) if count == 0]


def _absent(splits: Mapping[str, _Read], classes: Sequence[str]) -> list[Finding]:
    return [
        ("missing-class", f"the {split} split has no images of {', '.join(gone)}: means over classes leave them out")
        for split, part in splits.items()
        if (gone := _without(part, classes))
    ]


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
