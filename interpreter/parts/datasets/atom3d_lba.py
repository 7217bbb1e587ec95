"""Builder of `atom3d_lba`: complexes of a protein and a ligand as voxels, centred on the ligand.

The centre is the unweighted mean of the ligand's atoms that are kept: where hydrogens are left out, it does not depend on whether
the file has them. In training each complex is turned anew, by what the draw and its index decide. An evaluated one keeps poses
that are derived from its id: the same in each epoch, for each seed and in each arm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from interpreter.errors import DataMissing
from interpreter.parts import rotations
from interpreter.parts.contract import Data, Draw, Split
from interpreter.parts.datasets import generated_complexes
from interpreter.parts.datasets.array_cache import Arrays, kept
from interpreter.parts.datasets.complexes import Complexes, read_complexes
from interpreter.parts.datasets.labelled import absent
from interpreter.parts.random import derive, uniform
from interpreter.parts.voxels.atoms import Atoms, channels_of, in_no_channel, told
from interpreter.parts.voxels.image import computed, normalized, voxelize
from interpreter.spec.canonical import key_of
from interpreter.spec.components.datasets import SPLITS
from interpreter.spec.components.volumes import ELEMENTS, Atom3dLba, VoxelImage, VoxelNormalize

EVALUATED = ("val", "test")
SAMPLE = 512  # training images, evenly spaced, that statistics of voxels are taken of

_CHUNK = 16  # images at a time when statistics are taken
_NAMED = 5  # ids that are named where there are more
_UNPACKED = {"split-by-sequence-identity-30", "split-by-sequence-identity-60"}  # folders in ATOM3D's archives
_POSES = derive("atom3d_lba", "pose")
_ROTATIONS: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], int]] = {  # rule, numbers it is made of
    "haar": (rotations.haar, 3),
    "uniform_angle": (rotations.uniform_angle, 3),
    "fibonacci_400": (rotations.fibonacci_400, 1),
}

Finding = tuple[str, str]


class ComplexSplit:
    """One split, its atoms in memory; images are drawn when they are asked for."""

    def __init__(
        self, complexes: Complexes, image: VoxelImage, rotation: str, constants: VoxelNormalize | None, drawn: bool
    ) -> None:
        self.ids: Sequence[str] = complexes.ids
        self.targets = torch.from_numpy(complexes.affinity_pK.astype(np.float32))[:, None]
        self.image = image
        self.rotation = rotation
        self.constants = constants
        self.drawn = drawn  # whether a draw turns a complex, or it keeps its pose
        self.atoms = atoms_of(complexes, image)
        self.centre_A = complexes.centre_A
        self.names = np.array([derive(name) for name in complexes.ids], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, index: NDArray[np.int64], draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Images of the complexes at `index` and their affinities; index i + k * len(self) is look k at complex i."""
        x = normalized(self.raw(index, draw), self.constants)
        return torch.from_numpy(x), self.targets[torch.from_numpy(index % len(self))]

    def raw(self, index: NDArray[np.int64], draw: Draw | None) -> NDArray[np.float32]:
        """The images before they are normalized. Shape: (B, C, L, L, L)."""
        at = index % len(self)
        return voxelize(self.atoms, at, self.turns(index, draw), self.centre_A[at], self.image)

    def turns(self, index: NDArray[np.int64], draw: Draw | None) -> NDArray[np.float64]:
        """How each look at a complex is turned. Shape: (B,) -> (B, 3, 3)."""
        if self.rotation == "none":
            return np.tile(np.eye(3), (len(index), 1, 1))
        rule, numbers = _ROTATIONS[self.rotation]
        if draw is not None and self.drawn:
            return rule(uniform(draw.stream, draw.epoch, index, numbers))
        look, names = index // len(self), self.names[index % len(self)]
        u = np.empty((len(index), numbers))
        for number in np.unique(look).tolist():
            mine = look == number
            u[mine] = uniform(_POSES, number, names[mine], numbers)
        return rule(u)


def atoms_of(complexes: Complexes, image: VoxelImage) -> Atoms:
    """The atoms, with the channels of `image`."""
    masks = channels_of(image)[2]
    return Atoms(
        xyz_A=complexes.xyz_A,
        channel=_channel_of(complexes, image)[complexes.element],
        mask=np.where(complexes.polymer, masks["polymer"], masks["ligand"]).astype(np.int16),
        occupancy=complexes.occupancy,
        first=complexes.first,
    )


def build(config: Atom3dLba, source: Path | None, cache: Path) -> Data:
    """The complexes of `source`, or generated ones; both are read from ATOM3D's format.

    Raises: DataMissing when the source, a split of it or its format is not what it should be, or nothing in a split can be used.
    """
    if config.source == "embedded":
        folder = generated_complexes.written(cache)
        origin = f"generated: {generated_complexes.ORIGIN}"
    else:
        folder = _folder(config, source)
        origin = f"real: complexes of the source `{config.source}`"
    parts = {
        split: read_complexes(folder / split, split, config.atoms, config.hydrogens, config.water, cache) for split in SPLITS
    }
    voxels = _statistics(parts["train"], config, cache)
    constants = config.image.normalize
    if constants == "computed":
        constants = VoxelNormalize(mean=voxels["mean"].tolist(), std=voxels["std"].tolist())
    anew = frozenset(EVALUATED if config.val_rotation == "each_epoch" else ())
    splits: dict[str, Split] = {
        split: ComplexSplit(part, config.image, config.rotation, constants, drawn=split not in EVALUATED or split in anew)
        for split, part in parts.items()
    }
    told = [*(finding for part in parts.values() for finding in part.findings), *_overlap(parts)]
    for split, part in parts.items():
        told += _without_channel(part, config.image, split)
    facts = config.facts()
    return Data(
        splits=splits,
        shape=config.image.shape(),
        outputs=1,
        class_names=(),
        target_space=facts.target_space,
        origin=origin,
        findings=tuple(told),
        facts=_facts(config, parts, voxels, constants),
        poses=dict.fromkeys(EVALUATED, config.val_poses),
        anew=anew,
        rules={"ligand_size": _ligand_size(parts)},
    )


def _folder(config: Atom3dLba, source: Path | None) -> Path:
    """The folder with the splits: what ATOM3D's archive unpacks to, or the source itself."""
    if source is None:
        raise absent(config.source)
    mine = f"split-by-sequence-identity-{config.split.removeprefix('identity')}"
    candidates = [source / mine / "data", source / mine, source / "data", source]
    if source.resolve().name in _UNPACKED - {mine}:
        candidates = []  # what it holds is another split
    folder = next((each for each in candidates if any((each / split).is_dir() for split in SPLITS)), None)
    if folder is None:
        there = ", ".join(sorted(path.name for path in source.iterdir() if path.is_dir())) if source.is_dir() else ""
        raise DataMissing(
            f"the data source `{config.source}`, {source}, has no complexes split by {config.split}",
            hint=f"it has {there or 'no folders'}; wanted are train, val and test, or {mine}/data with them",
        )
    if missing := [split for split in SPLITS if not (folder / split).is_dir()]:
        raise DataMissing(f"the data source `{config.source}` has no {missing[0]} split", hint=f"looked for in {folder}")
    return folder


def _channel_of(complexes: Complexes, image: VoxelImage) -> NDArray[np.int16]:
    """The channel of each of the elements, -1 where none holds it."""
    by_element, others, _ = channels_of(image)
    return np.array([by_element.get(name, others) for name in complexes.elements], dtype=np.int16)


def _without_channel(complexes: Complexes, image: VoxelImage, split: str) -> list[Finding]:
    """What is said of elements that are unknown, and of those that no channel holds."""
    counts = _counts(complexes)
    out = []
    if unknown := {name: n for name, n in counts.items() if name not in ELEMENTS}:
        what = "drawn in the channel `*`" if "*" in image.channels else "in no channel"
        out.append(("unknown-element", f"{split}: atoms of elements that don't exist are {what}: {told(unknown)}"))
    if text := in_no_channel(counts, image):
        out.append(("no-channel", f"{split}: {text}"))
    return out


def _counts(complexes: Complexes) -> dict[str, int]:
    """Atoms of each element, most frequent first."""
    counts = np.bincount(complexes.element, minlength=len(complexes.elements)).tolist()
    return dict(sorted(zip(complexes.elements, counts, strict=True), key=lambda of: (-of[1], of[0])))


def _overlap(parts: Mapping[str, Complexes]) -> list[Finding]:
    out = []
    names = list(parts)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            if shared := sorted(set(parts[one].ids) & set(parts[other].ids)):
                more = f", and {len(shared) - _NAMED} more" if len(shared) > _NAMED else ""
                said = f"{len(shared)} ids are in {one} and in {other}: {', '.join(shared[:_NAMED])}{more}"
                out.append(("split-overlap", said))
    return out


def _statistics(train: Complexes, config: Atom3dLba, cache: Path) -> Arrays:
    """Of voxels of training images in their fixed poses: mean and std of each channel, and the share that is not 0."""
    at = np.unique(np.linspace(0, len(train) - 1, min(SAMPLE, len(train))).round().astype(np.int64))
    image = config.image.model_copy(update={"normalize": None})

    def make() -> dict[str, NDArray[Any]]:
        split = ComplexSplit(train, image, config.rotation, None, drawn=False)
        filled = np.zeros(len(image.channels))

        def batches() -> Iterator[NDArray[np.float32]]:
            for start in range(0, len(at), _CHUNK):
                raw = split.raw(at[start : start + _CHUNK], None)
                filled[:] += (raw != 0).sum(axis=(0, 2, 3, 4))
                yield raw

        found = computed(batches())
        total = len(at) * image.voxels**3
        return {"mean": np.array(found.mean), "std": np.array(found.std), "filled": filled / total, "images": np.array(len(at))}

    key = key_of(["voxel-statistics", train.key, SAMPLE, config.rotation, image.model_dump()])
    return kept(cache / "complexes" / f"{key}.npz", make)


def _ligand_size(parts: Mapping[str, Complexes]) -> dict[str, torch.Tensor]:
    """The affinity by the least-squares line on the number of heavy atoms of the ligand, fitted on train."""
    slope, intercept = _line(parts["train"])
    return {
        split: torch.from_numpy((intercept + slope * part.ligand_heavy).astype(np.float32))[:, None]
        for split, part in parts.items()
    }


def _line(train: Complexes) -> tuple[float, float]:
    """Slope and intercept of the affinity against heavy atoms of the ligand; a level line where all ligands are of one size."""
    size = train.ligand_heavy - train.ligand_heavy.mean()
    squares = float(size @ size)
    slope = float(size @ train.affinity_pK) / squares if squares else 0.0
    return slope, float(train.affinity_pK.mean() - slope * train.ligand_heavy.mean())


def _facts(config: Atom3dLba, parts: Mapping[str, Complexes], voxels: Arrays, constants: VoxelNormalize | None) -> dict[str, Any]:
    slope, intercept = _line(parts["train"])
    means = {split: float(part.affinity_pK.mean()) for split, part in parts.items()}
    return {
        "n": {split: len(part) for split, part in parts.items()},
        "target_mean_pK": means,
        "target_sd_pK": {split: float(part.affinity_pK.std()) for split, part in parts.items()},
        "atoms": {split: len(part.element) for split, part in parts.items()},
        "ligand_heavy_atoms": {split: float(part.ligand_heavy.mean()) for split, part in parts.items()},
        "elements": {split: _counts(part) for split, part in parts.items()},
        "ligand_size": {"intercept_pK": intercept, "slope_pK": slope},
        "voxels": {
            "channels": list(config.image.channels),
            **{name: voxels[name].tolist() for name in ("mean", "std", "filled", "images")},
        },
        "fill": config.image.fill,
        "normalization": None if constants is None else {
            **constants.model_dump(), "computed": config.image.normalize == "computed",
        },
    }  # fmt: skip
