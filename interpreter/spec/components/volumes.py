"""Config classes of volumes: molecules as voxels, and the datasets made of them. Networks are in `volume_models`.

Lengths are in angstrom and angles in degrees, as their keys say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from interpreter.spec.base import Config
from interpreter.spec.components.contract import DataFacts, Doubt
from interpreter.spec.components.datasets import SPLITS
from interpreter.spec.components.subsets import Scored

Length = Annotated[float, Field(gt=0)]
Distance = Annotated[float, Field(ge=0)]
Angle = Annotated[float, Field(ge=0, le=180)]
SourceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
SplitName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]

MASKS = ("polymer", "ligand")
_ELEMENTS = """
H D HE LI BE B C N O F NE NA MG AL SI P S CL AR K CA SC TI V CR MN FE CO NI CU ZN GA GE AS SE BR KR RB SR Y ZR NB MO TC RU RH PD
AG CD IN SN SB TE I XE CS BA LA CE PR ND PM SM EU GD TB DY HO ER TM YB LU HF TA W RE OS IR PT AU HG TL PB BI PO AT RN FR RA AC
TH PA U NP PU AM CM
"""
ELEMENTS = frozenset(_ELEMENTS.split())


def _channel(written: str) -> str:
    """One channel in its canonical spelling: elements in capitals, `*` and masks as they are."""
    if written == "*" or written in MASKS:
        return written
    elements = [part.strip().upper() for part in re.split(r"\|", written)]
    if wrong := [element or "nothing" for element in elements if element not in ELEMENTS]:
        raise ValueError(
            f"a channel is an element (C), several (S|SE), `*` for all others, polymer or ligand; {wrong[0]} is none of them"
        )
    return "|".join(elements)


def _once(channels: list[str]) -> list[str]:
    seen: set[str] = set()
    for name in (part for channel in channels for part in channel.split("|")):
        if name in seen:
            raise ValueError(f"`channels` names {name} twice")
        seen.add(name)
    return channels


Channels = Annotated[list[Annotated[str, AfterValidator(_channel)]], Field(min_length=1), AfterValidator(_once)]


class VoxelNormalize(Config):
    """Constants subtracted from and divided into each voxel, for all channels alike or one each."""

    mean: float | list[float] = 0.0
    """Mean of a voxel, one number or one for each channel."""
    std: Length | list[Length]
    """Standard deviation of a voxel, one number or one for each channel."""


class VoxelImage(Config):
    """A cube of voxels in which each atom is a sphere: which atoms go to which channel, and how they fill it."""

    voxels: Annotated[int, Field(ge=1, le=256)]
    """Voxels along a side."""
    resolution_A: Annotated[float, Field(gt=0, le=10)]
    """Side of a voxel."""
    channels: Channels
    """What each channel holds: an element (C), several (S|SE), `*` for every element not named, or a mask: `polymer` for atoms
    of the macromolecule, `ligand` for the others. Atoms of a mask are in the channel of their element as well."""
    radius_A: Length | None = None
    """Radius of every atom. Absent: half a voxel."""
    fill: Literal["overlap", "binary"] = "overlap"
    """`overlap`: the exact overlap of sphere and voxel over the sphere's volume, so that an atom sums to its occupancy.
    `binary`: 1 in the voxel of the atom's centre, never summed (Townshend et al. 2021)."""
    normalize: VoxelNormalize | Literal["computed"] | None = None
    """Constants for voxels; `computed` takes them from the training split, channel by channel, and records them. Absent: none."""

    @model_validator(mode="after")
    def _consistent(self) -> VoxelImage:
        if self.fill == "binary" and self.radius_A is not None:
            raise ValueError("`fill: binary` sets the voxel of an atom's centre: `radius_A` means nothing")
        if isinstance(self.normalize, VoxelNormalize):
            for name, numbers in (("mean", self.normalize.mean), ("std", self.normalize.std)):
                if isinstance(numbers, list) and len(numbers) != len(self.channels):
                    raise ValueError(f"`normalize.{name}` has {len(numbers)} numbers for {len(self.channels)} channels")
        return self

    def side_A(self) -> float:
        """Side of the cube."""
        return self.voxels * self.resolution_A

    def shape(self) -> tuple[int, int, int, int]:
        """(C, X, Y, Z)."""
        return (len(self.channels), self.voxels, self.voxels, self.voxels)

    def elements(self) -> frozenset[str]:
        """Every element that a channel names."""
        return frozenset(part for channel in self.channels for part in channel.split("|")) - {"*", *MASKS}


class View(Config):
    """How the second cube lies to the first, beside its direction."""

    gap_A: Annotated[
        float,
        Field(ge=0),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "number", "minimum": 0},
                    {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 2, "maxItems": 2},
                ]
            }
        ),
    ] = 1.0
    """Distance between the facing sides of the two cubes. [smallest, largest] stands for their middle, with a shift of up to
    half their difference: [1, 4] is {gap_A: 2.5, max_shift_A: 1.5}."""
    max_shift_A: Distance = 0.0
    """The second cube is moved by up to this, in a uniform direction, evenly in length."""
    max_angle_deg: Angle = 0.0
    """The second cube is turned by up to this, about a uniform axis, evenly in angle."""

    @model_validator(mode="before")
    @classmethod
    def _range(cls, data: Any) -> Any:
        gap = data.get("gap_A") if isinstance(data, dict) else None
        if not isinstance(gap, list):
            return data
        if len(gap) != 2 or any(type(number) not in (int, float) for number in gap) or not 0 <= gap[0] <= gap[1]:
            raise ValueError("`gap_A` is a distance, or [smallest, largest]")
        if "max_shift_A" in data:
            raise ValueError("`gap_A: [smallest, largest]` says the shift already: leave `max_shift_A` out, or give one gap")
        return {**data, "gap_A": (gap[0] + gap[1]) / 2, "max_shift_A": (gap[1] - gap[0]) / 2}


def _as_train(value: Any, info: ValidationInfo) -> Any:
    """The view of training where `val: train` says so; when that one is wrong, it is told by itself."""
    if isinstance(value, str) and value != "train":
        raise ValueError("is a mapping, or `train` for the view of training")
    return info.data.get("train", View()) if value == "train" else value


class Views(Config):
    """How pairs of cubes are drawn, for training and for evaluation apart, so that arms can share a clean validation split."""

    train: View = View()
    """Pairs to train on."""
    val: Annotated[View, BeforeValidator(_as_train, json_schema_input_type=View | Literal["train"])] = View()
    """Pairs of the validation and test splits; without noise unless it is said here. `train`: as in training."""


class Zones(Config):
    """Where in a structure a pair may begin: a lattice of zones, of which the densely filled ones are kept."""

    size_A: Length = 10.0
    """Spacing of the lattice; the first cube lies anywhere in the zone, evenly."""
    density_radius_A: Length = 15.0
    """Density is atoms per volume in a sphere of this radius."""
    density_voxel_A: Length = 2.0
    """Voxels in which the density is computed."""
    min_density_per_nm3: Distance = 35.0
    """A zone, and each neighbour of it that may be asked for, has more atoms than this (50 is well packed)."""
    max_density_per_nm3: Length = 70.0
    """A structure with a higher density anywhere is left out as clashing."""
    neighbor_distance_A: Length = 30.0
    """Distance of the places, in the 20 directions of an icosahedron's faces, where a neighbour's density is looked at."""

    @model_validator(mode="after")
    def _ordered(self) -> Zones:
        if self.min_density_per_nm3 >= self.max_density_per_nm3:
            raise ValueError("`min_density_per_nm3` must be below `max_density_per_nm3`: no zone would remain")
        return self


class StructureSplit(Config):
    """How structures are shared out, where the source does not say it (as a macromol_gym database does)."""

    by: Literal["cluster", "structure"] = "cluster"
    """`cluster`: similar structures stay together, by the clusters listed with the source. `structure`: each for itself."""
    val: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the zones in the validation split."""
    test: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the zones in the test split; 0 is none."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides which; not the seed of a trial."""

    @model_validator(mode="after")
    def _some_train(self) -> StructureSplit:
        if self.val + self.test >= 1:
            raise ValueError("`val` and `test` leave nothing to train on")
        return self


def _no_hydrogen(image: VoxelImage) -> None:
    if wrong := sorted(image.elements() & {"H", "D"}):
        raise ValueError(f"a channel is for {wrong[0]}, and hydrogens are left out here: it would be empty")


class NeighborLocation(Scored):
    """Two cubes cut out of one structure: on which of its six sides does the second lie? Pretraining on structures alone.

    Structures are a folder of PDB or mmCIF files, or a macromol_gym database. Water and hydrogens are left out. An example is
    its number: zone, place, direction, side and noise are all derived from it. After Kale Kundert's macromol_gym (2024).

    A folder may have an index.csv with the columns id (of a file, without its ending), split and seq_cluster. Elements and
    density count all heavy atoms, ligands included.
    """

    # Of the names, splits and atoms of four crystal structures that come with posebusters: sha256, first 40 hex digits.
    embedded_fingerprint: ClassVar[str] = "57661734b80c419d1149d35ffd8cd9b8e453759d"
    OUTPUTS: ClassVar[int] = 6

    type: Literal["neighbor_location"] = "neighbor_location"
    source: SourceName
    """Name of the structures, found through expt.toml; or `embedded`, a few real ones."""
    image: VoxelImage
    """The voxels of each cube."""
    views: Views = Views()
    """How the second cube lies to the first: for training, and for validation."""
    also_val: dict[SplitName, View] = Field(default={})
    """Further validation splits by name, of the same zones seen another way: {clean: {gap_A: 1}} gives `clean/accuracy`."""
    examples_per_epoch: Annotated[int, Field(ge=1)] | None = None
    """Training examples of an epoch; the next epoch goes on where it ended. Absent: as many as there are zones."""
    val_examples: Annotated[int, Field(ge=1)] | None = None
    """Examples of each evaluated split, the same ones each epoch. Absent: as many as it has zones."""
    zones: Zones = Zones()
    """Where in a structure a pair may begin."""
    structures: StructureSplit = StructureSplit()
    """How structures are shared out over train, val and test, where the source does not say it."""

    @model_validator(mode="after")
    def _consistent(self) -> NeighborLocation:
        _no_hydrogen(self.image)
        if taken := sorted(self.also_val.keys() & set(SPLITS)):
            raise ValueError(f"`also_val` can't name a split `{taken[0]}`: that one is there already")
        return self

    def facts(self) -> DataFacts:
        """What is known before a structure is read: everything but the number of zones."""
        test = ("test",) if self.structures.test > 0 else ()
        return DataFacts(
            ("train", "val", *test, *self.also_val),
            self.image.shape(),
            self.OUTPUTS,
            "neighbor_location",
            "neighbor_location:cube_faces",
            views=2,
        )

    def doubts(self) -> Sequence[Doubt]:
        """A second view that lies beyond the place where a neighbour was looked for may be empty, and give the side away."""
        seen = {"train": self.views.train, "val": self.views.val, **self.also_val}
        far = {name: self.image.side_A() + view.gap_A + view.max_shift_A for name, view in seen.items()}
        name = max(far, key=lambda each: far[each])
        if far[name] <= self.zones.neighbor_distance_A:
            return ()
        text = (
            f"the two views of `{name}` are up to {far[name]:g} angstrom apart, and neighbours are looked for at"
            f" {self.zones.neighbor_distance_A:g}: the second may be empty, and give the side away"
        )
        hint = "a smaller gap, shift or image; or raise `zones.neighbor_distance_A`"
        return (Doubt(text, hint),)

    def measured(self, split: str) -> dict[str, Any]:
        """What decides an evaluated split; the noise of training is left out."""
        view = self.views.train if split == "train" else self.also_val.get(split, self.views.val)
        return {
            "type": self.type,
            "version": self.component_version,
            "source": self.source,
            "split": "val" if split in self.also_val else split,
            "image": self.image.model_dump(),
            "view": view.model_dump(),
            "examples": self.examples_per_epoch if split == "train" else self.val_examples,
            "zones": self.zones.model_dump(),
            "structures": self.structures.model_dump(),
        }


class Atom3dLba(Scored):
    """Ligand binding affinity: -log10 of Ki or Kd of protein-ligand complexes (PDBbind refined 2019), as ATOM3D splits them.

    Townshend et al., ATOM3D: Tasks on Molecules in Three Dimensions, 2021. The source is what its archive unpacks to, or a folder
    with train, val and test. One image a complex, centred on the mean of its ligand's atoms that are kept. An evaluated complex
    keeps a pose that its id alone decides. Reports tell the least-squares line on the ligand's heavy atoms beside each model.
    """

    generated: ClassVar[bool] = True
    # Of the 400 serialized items, one after the other: sha256, first 40 hex digits.
    embedded_fingerprint: ClassVar[str] = "a8c495e5eff75b54926bee52a43676b573677dcb"

    type: Literal["atom3d_lba"] = "atom3d_lba"
    source: SourceName
    """Name of the data, found through expt.toml; or `embedded`, complexes that are made up, and reports say so."""
    split: Literal["identity30", "identity60"]
    """Which of ATOM3D's splits it is: no two chains of different splits share more than 30 or 60 % of their sequence. Where the
    source has its own train, val and test, and for embedded data, it is only a name."""
    atoms: Literal["pocket", "protein"]
    """Which atoms of the protein are seen beside the ligand: all, or residues within 6 angstrom of it."""
    image: VoxelImage
    """The voxels of a complex."""
    hydrogens: bool = False
    """Keep hydrogens, as the published network does."""
    water: bool = False
    """Keep water: residues HOH, WAT and DOD of the protein."""
    rotation: Literal["haar", "uniform_angle", "fibonacci_400", "none"] = "haar"
    """How a complex is turned: evenly over all rotations; about a uniform axis by a uniform angle, which is not even (Kundert
    2024); by one of 20 directions times 20 rolls (ATOM3D); or as it is in the file."""
    val_rotation: Literal["fixed", "each_epoch"] = "fixed"
    """Whether evaluated complexes keep their pose, or are turned anew each epoch, which adds noise to curves."""
    val_poses: Annotated[int, Field(ge=1, le=64)] = 1
    """Poses in which an evaluated complex is seen; its prediction is the mean over them."""

    @model_validator(mode="after")
    def _consistent(self) -> Atom3dLba:
        if not self.hydrogens:
            _no_hydrogen(self.image)
        if self.rotation == "none" and (self.val_poses > 1 or self.val_rotation == "each_epoch"):
            raise ValueError("`rotation: none` gives one pose: leave `val_poses` and `val_rotation` out")
        return self

    def facts(self) -> DataFacts:
        """What is known before the data is read: everything but its size."""
        return DataFacts(SPLITS, self.image.shape(), 1, "regression", "binding_affinity:pK")

    def measured(self, split: str) -> dict[str, Any]:
        """What decides an evaluated split. A subset touches only training."""
        kept = self.model_dump(exclude={"subset"})
        return {**kept, "version": self.component_version, "measured_split": split}
