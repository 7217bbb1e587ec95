"""Builder of `neighbor_location`: structures, their zones, and pairs of cubes in them, drawn and voxelized when asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpreter.errors import DataMissing
from interpreter.parts.contract import Data
from interpreter.parts.datasets import center_of_mass
from interpreter.parts.datasets.array_cache import Arrays, kept
from interpreter.parts.datasets.center_of_mass import Seen
from interpreter.parts.datasets.pairs import SIDE_NAMES, Geometry, PairSplit
from interpreter.parts.datasets.zoned import Finding, Zoned, zoned_of
from interpreter.parts.datasets.zones import ZoneTable
from interpreter.parts.random import derive
from interpreter.parts.voxels.image import computed
from interpreter.spec.canonical import key_of
from interpreter.spec.components.datasets import SPLITS
from interpreter.spec.components.volumes import NeighborLocation, VoxelNormalize

PAIRS = 1  # raise it when other pairs come of the same numbers
SAMPLE = 512  # training pairs that statistics of voxels are taken of
_BATCH = 32
_OFTEN = 0.05  # share of empty cubes from which on they are told


def build(config: NeighborLocation, source: Path | None, cache: Path) -> Data:
    """Pairs of the structures of `source`; atoms, zones and statistics are kept in `cache`.

    Raises: DataMissing when the source is not there or can't be read, or a split has no zone.
    """
    zoned = zoned_of(config, source, cache)
    parts = _parts(config, zoned)
    splits = _pair_splits(config, zoned, parts)
    key = key_of(["pairs", PAIRS, zoned.key, config.model_dump(exclude={"subset", "structures"})])
    looked = kept(cache / "pairs" / f"{key}.npz", lambda: _looked(splits))
    seen = {name: Seen(looked[f"{name}.atoms"], looked[f"{name}.center_A"]) for name in splits if f"{name}.atoms" in looked}
    statistics = json.loads(str(looked["voxels"]))
    constants = _constants(config, statistics)
    for split in splits.values():
        split.constants = constants
    at = _spread(len(splits["train"]), center_of_mass.FIT_LIMIT)
    rule = center_of_mass.fitted(seen["train"], splits["train"].targets.numpy()[at])
    evaluated = {name: rule.outputs(seen[name]) for name in seen if name != "train"}
    views = {name: _view_facts(split, seen.get(name)) for name, split in splits.items()}
    return Data(
        splits=splits,
        shape=config.image.shape(),
        outputs=config.OUTPUTS,
        class_names=SIDE_NAMES,
        target_space=config.facts().target_space,
        origin=zoned.origin,
        findings=(*zoned.findings, *_empty(views)),
        facts={
            **zoned.facts,
            "n": {name: len(split) for name, split in splits.items()},
            "classes": {name: np.bincount(split.targets.numpy(), minlength=6).tolist() for name, split in splits.items()},
            "class_names": list(SIDE_NAMES),
            "zones": {**zoned.facts["zones"], **{name: len(part) for name, part in parts.items()}},
            "allowed": _allowed(zoned.zones.allowed),
            "neighbor_distance_A": zoned.neighbor_distance_A,
            "views": views,
            "voxels": statistics,
            "normalization": {"mean": _list(constants.mean), "std": _list(constants.std), "scale": 1.0,
                              "computed": config.image.normalize == "computed"} if constants else None,
            "rules": {"center_of_mass": {"towards": rule.towards, "train_hits": rule.hits, "train_sample": rule.of}},
        },
        per_epoch=config.examples_per_epoch,
        rules={"center_of_mass": evaluated},
    )  # fmt: skip


def _parts(config: NeighborLocation, zoned: Zoned) -> dict[str, ZoneTable]:
    """The zones of each split that there is. Raises: DataMissing for one that should have some."""
    parts = {split: zoned.zones.of(np.flatnonzero(zoned.splits == split)) for split in SPLITS}
    for split in ("train", "val", *(("test",) if config.structures.test > 0 else ())):
        if not len(parts[split]):
            hint = "add structures, or lower `zones.min_density_per_nm3`"
            hint += "; or leave test out: `structures: {test: 0}`" * (split == "test")
            raise DataMissing(f"the {split} split of `{config.source}` has no zone where a pair may begin", hint=hint)
    return {split: part for split, part in parts.items() if len(part)}


def _pair_splits(config: NeighborLocation, zoned: Zoned, parts: Mapping[str, ZoneTable]) -> dict[str, PairSplit]:
    """The splits, not yet normalized. Those of `also_val` are of the same pairs as val, seen another way."""
    seen = {split: (split, config.views.train if split == "train" else config.views.val) for split in parts}
    seen |= {name: ("val", view) for name, view in config.also_val.items()}
    return {
        name: PairSplit(
            parts[split], None if split == "train" else config.val_examples, zoned.atoms,
            Geometry(zoned.directions, zoned.zone_A, config.image.side_A(), view), config.image, None,
            derive("neighbor_location", split), fixed=split != "train",
        )
        for name, (split, view) in seen.items()
    }  # fmt: skip


def _looked(splits: Mapping[str, PairSplit]) -> Arrays:
    """What is only known of pairs by looking: statistics of the voxels, and what the cubes hold."""
    out: dict[str, NDArray[Any]] = {"voxels": np.array(json.dumps(_voxels(splits["train"])))}
    for name, split in splits.items():
        if name != "train" and len(split) > center_of_mass.LIMIT:
            continue
        index = _spread(len(split), center_of_mass.FIT_LIMIT if name == "train" else len(split))
        seen = center_of_mass.look(split, index)
        out |= {f"{name}.atoms": seen.atoms, f"{name}.center_A": seen.center_A}
    return out


def _voxels(train: PairSplit) -> dict[str, Any]:
    """Mean and standard deviation of each channel, and the share of voxels in both cubes that are not empty, on a sample."""
    index = _spread(len(train), SAMPLE)
    filled = np.zeros(2)

    def batches() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(index), _BATCH):
            x, _ = train.raw(index[start : start + _BATCH], None)
            filled[:] += (x != 0).any(axis=2).mean(axis=(2, 3, 4)).sum(axis=0)
            yield x

    found = computed(batches())
    share = (filled / len(index)).tolist()
    return {"mean": found.mean, "std": found.std, "filled": {"first": share[0], "second": share[1]}, "sample": len(index)}


def _constants(config: NeighborLocation, statistics: Mapping[str, Any]) -> VoxelNormalize | None:
    if config.image.normalize == "computed":
        return VoxelNormalize(mean=statistics["mean"], std=statistics["std"])
    return config.image.normalize if isinstance(config.image.normalize, VoxelNormalize) else None


def _spread(n: int, most: int) -> NDArray[np.int64]:
    """At most so many of n examples, evenly spread over them."""
    return np.arange(min(n, most), dtype=np.int64) * n // min(n, most)


def _view_facts(split: PairSplit, seen: Seen | None) -> dict[str, Any]:
    """How the cubes of a split lie, and how much is in them: mean atoms, and the share of cubes without any."""
    facts: dict[str, Any] = {**split.geometry.view.model_dump(), "center_distance_A": split.geometry.distance_A()}
    if seen is not None:
        mean, empty = seen.atoms.mean(axis=0).tolist(), (seen.atoms == 0).mean(axis=0).tolist()
        facts |= {"atoms": dict(zip(("first", "second"), mean, strict=True)), "sample": len(seen.atoms)}
        facts["empty"] = dict(zip(("first", "second"), empty, strict=True))
    return facts


def _empty(views: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    return [
        ("empty-side", f"{split}: the {which} cube of {share:.1%} of the pairs is empty, which gives the answer away")
        for split, view in views.items()
        for which, share in view.get("empty", {}).items()
        if share > _OFTEN
    ]


def _allowed(allowed: NDArray[np.bool_]) -> dict[str, Any]:
    """How many directions zones allow: the mean, and the number of zones with 1, 2, ... of them."""
    count = allowed.sum(axis=1)
    return {"mean": float(count.mean()), "zones": np.bincount(count, minlength=allowed.shape[1] + 1)[1:].tolist()}


def _list(numbers: float | list[float]) -> list[float]:
    return numbers if isinstance(numbers, list) else [numbers]
