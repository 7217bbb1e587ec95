"""Config classes of the datasets: which examples, how they are split, how they become numbers."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from interpreter.spec.base import Config, since
from interpreter.spec.components.contract import DataFacts
from interpreter.spec.components.subsets import Scored

Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
SPLITS = ("train", "val", "test")


class LabelBudget(Scored):
    """A dataset of which only part of the training labels may be used; evaluated splits stay whole."""

    label_fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of each class's training examples that is kept, at least one; a smaller share is a subset of a larger one."""
    per_class: Annotated[int, Field(ge=1)] | None = None
    """Training examples kept of each class, or all where there are fewer; a smaller number is a subset of a larger one."""

    @model_validator(mode="after")
    def _one_budget(self) -> LabelBudget:
        if self.label_fraction is not None and self.per_class is not None:
            raise ValueError("`label_fraction` and `per_class` both say how many training labels are kept: give one")
        return self


class Digits(LabelBudget):
    """Real 8x8 scans of handwritten digits (1,797, ten classes), shipped with scikit-learn.

    The test part is the last 360 in the order of the file, for everybody and for ever. It is harder than a random part: a
    small network that reaches 0.92 on validation, drawn from the rest, reaches 0.90 on it.
    """

    # Of the 1,797 x 64 pixels (bytes 0..16, row by row) followed by the 1,797 targets (bytes): sha256, first 40 hex digits.
    embedded_fingerprint: ClassVar[str] = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a0"
    TEST: ClassVar[int] = 360
    SIDE: ClassVar[int] = 8

    type: Literal["digits"] = "digits"
    source: Literal["embedded"] = "embedded"
    """The data comes with scikit-learn; there is no folder to name."""
    classes: Annotated[list[Annotated[int, Field(ge=0, le=9)]], Field(min_length=2, max_length=10)] | None = None
    """Only these digits, as classes 0, 1, ... in the order given. Absent: all ten."""
    val_fraction: Share = 0.2
    """Share of each class that is drawn from the examples outside the test part for validation."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Decides which examples are drawn for validation and which labels a budget keeps; not the seed of a trial."""
    normalize: Literal["standard", "range"] = "standard"
    """`range`: ink from 0 to 1. `standard`: that, less 0.3054 and over 0.3755, constants of what is not the test part."""
    shift: Annotated[int, Field(ge=0, le=7)] = 0
    """Training images are moved by up to this many pixels each way, both ways, filled up with blank paper."""
    two_views: bool = since(1, False, neutral=False)
    """Two views of each training image, for contrastive objectives: each is moved on its own, so it takes a `shift`."""

    @model_validator(mode="after")
    def _consistent(self) -> Digits:
        if self.classes is not None and len(set(self.classes)) != len(self.classes):
            raise ValueError("`classes` names a digit twice")
        if self.two_views and not self.shift:
            raise ValueError("`two_views` without a `shift` are one view twice: say by how many pixels each is moved")
        return self

    def digits(self) -> tuple[int, ...]:
        """The digits that are classes, in class order."""
        return tuple(range(10)) if self.classes is None else tuple(self.classes)

    def facts(self) -> DataFacts:
        """What is known before the data is read: everything."""
        digits = self.digits()
        space, views = "digits:" + ",".join(map(str, digits)), 2 if self.two_views else 1
        return DataFacts(SPLITS, (1, self.SIDE, self.SIDE), len(digits), "classification", space, views)

    def measured(self, split: str) -> dict[str, Any]:
        """What decides an evaluated split. What touches only training (label budget, shifts) is left out."""
        out: dict[str, Any] = {
            "type": self.type,
            "version": self.component_version,
            "source": self.source,
            "split": split,
            "classes": list(self.digits()),
            "normalize": self.normalize,
        }
        if split != "test":
            out |= {"val_fraction": self.val_fraction, "split_seed": self.split_seed}
        return out


def _relative(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\\" in value or not path.parts:
        raise ValueError("a root is a folder inside the source, written with `/`, without `..`")
    return path.as_posix()


Root = Annotated[str, AfterValidator(_relative)]


class Roots(Config):
    """The folder of each split, inside the source; a split that is not given is not there."""

    train: Root | None = None
    """Folder of the training split."""
    val: Root | None = None
    """Folder of the validation split."""
    test: Root | None = None
    """Folder of the test split."""

    @model_validator(mode="after")
    def _some(self) -> Roots:
        given = [root for root in (self.train, self.val, self.test) if root is not None]
        if not given:
            raise ValueError("`roots` gives no split: name the folder of train, val or test")
        if len(set(given)) != len(given):
            raise ValueError("two splits have the same folder")
        return self


class ValFromTrain(Config):
    """A validation split drawn from the training folder, class by class."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Literal["train"] = Field(alias="from")
    """The split it is drawn from."""
    fraction: Share | None = None
    """Share of each class."""
    n: Annotated[int, Field(ge=1)] | None = None
    """Number of examples, shared out over the classes in proportion."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides which examples are drawn; not the seed of a trial."""

    @model_validator(mode="after")
    def _one_size(self) -> ValFromTrain:
        if (self.fraction is None) == (self.n is None):
            raise ValueError("give either `fraction` or `n`")
        return self


class Normalize(Config):
    """Constants subtracted from and divided into each colour, for images scaled to 0..1."""

    mean: Annotated[list[float], Field(min_length=3, max_length=3)]
    """Means of red, green and blue, in 0..1."""
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)]
    """Standard deviations of red, green and blue, in 0..1."""

    @model_validator(mode="after")
    def _in_range(self) -> Normalize:
        if any(not 0 <= m <= 1 for m in self.mean) or any(s > 1 for s in self.std):
            raise ValueError("constants are for images scaled to 0..1: divide constants for 0..255 by 255")
        return self


class RandomCrop(Config):
    """A random part of the image, resized back to its whole size."""

    scale: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=2, max_length=2)]
    """Smallest and largest share of the area that is kept."""
    ratio: list[Annotated[float, Field(gt=0)]] = Field(default=[0.75, 4 / 3], min_length=2, max_length=2)
    """Narrowest and widest width over height of the part, drawn evenly on a logarithmic scale."""

    @model_validator(mode="after")
    def _ordered(self) -> RandomCrop:
        if self.scale[0] > self.scale[1] or self.ratio[0] > self.ratio[1]:
            raise ValueError("the first number of `scale` and `ratio` is the smaller one")
        return self


class Jitter(Config):
    """Random changes of colour, in the order brightness, contrast, saturation, hue."""

    brightness: Probability = 0.0
    """Brightness is multiplied by 1 - this to 1 + this."""
    contrast: Probability = 0.0
    """Contrast likewise, around the image's mean grey."""
    saturation: Probability = 0.0
    """Saturation likewise."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Hue is turned by minus this to plus this, in turns of the colour circle."""
    p: Probability = 1.0
    """Probability that an image is changed at all."""


class Augment(Config):
    """What is done to training images at random, anew each epoch; evaluated images are never touched."""

    flip: Probability = 0.0
    """Probability of mirroring left and right."""
    shift: Annotated[int, Field(ge=0)] = 0
    """Moves by up to this many pixels each way, both ways, filled up with black."""
    crop: RandomCrop | None = None
    """A random part, resized back. Absent: the whole image."""
    jitter: Jitter | None = None
    """Random changes of colour. Absent: none."""
    gray: Probability = 0.0
    """Probability of taking the colour out."""
    two_crops: Literal["simclr"] | None = None
    """Two independent views of each image, by SimCLR's recipe: crop 0.2 to 1, flip, jitter 0.4/0.4/0.4/0.1 at 0.8, gray 0.2."""

    @model_validator(mode="after")
    def _recipe_alone(self) -> Augment:
        if self.two_crops and (self.model_fields_set - {"two_crops"}) and self != Augment(two_crops=self.two_crops):
            raise ValueError("`two_crops: simclr` is a whole recipe: leave the other keys out")
        return self

    def recipe(self) -> Augment:
        """The augmentation of one view, with a named recipe spelled out."""
        if self.two_crops is None:
            return self
        jitter = Jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, p=0.8)
        return Augment(flip=0.5, crop=RandomCrop(scale=[0.2, 1.0]), jitter=jitter, gray=0.2)


class ImageFolder(LabelBudget):
    """Photographs in folders: a root for each split, in it a folder for each class; kept in colour at one square size."""

    type: Literal["image_folder"] = "image_folder"
    source: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    """Name of the data, found through expt.toml."""
    roots: Roots | None = None
    """Folder of each split, inside the source. Absent: train, val and test (without val where `val` draws it from train)."""
    size: Annotated[int, Field(ge=1, le=1024)]
    """Side of the images a model sees, in pixels."""
    crop: Literal["center", "pad", "squash"] = "center"
    """How an image becomes square: the middle of it, short side to `size`; all of it, padded with black; or out of shape."""
    classes: Annotated[list[str], Field(min_length=2)] | None = None
    """Class folders in class order; others are left out. Absent: all folders of all roots, by sorted name."""
    normalize: Normalize | Literal["computed"] | None = None
    """Constants for each colour; `computed` takes them from the training split, before a label budget or a subset, and records
    them. Absent: images are only scaled to 0..1."""
    augment: Augment | None = None
    """Random changes of training images. Absent: none."""
    val: ValFromTrain | None = None
    """Draws the validation split from the training folder. Absent: it has a root of its own, or there is none."""
    label_seed: Annotated[int, Field(ge=0)] = 0
    """Decides which training labels a budget keeps; not the seed of a trial."""

    @model_validator(mode="after")
    def _consistent(self) -> ImageFolder:
        if self.source == "embedded":
            raise ValueError("an image folder has no embedded data: name a source of expt.toml")
        if self.val is not None and self.roots is not None:
            if self.roots.val is not None:
                raise ValueError("validation has both a folder (`roots.val`) and a share of train (`val`): give one")
            if self.roots.train is None:
                raise ValueError("`val` is drawn from train, and `roots` gives no train")
        if self.roots is not None and self.roots.train is None:
            if self.normalize == "computed":
                raise ValueError("`normalize: computed` is computed on train, and `roots` gives no train: declare mean and std")
            if any(value is not None for value in (self.label_fraction, self.per_class, self.augment, self.subset)):
                raise ValueError("a label budget, `subset` and `augment` touch only train, and `roots` gives no train")
        if self.classes is not None and len(set(self.classes)) != len(self.classes):
            raise ValueError("`classes` names a class twice")
        if self.augment is not None and self.augment.shift >= self.size:
            raise ValueError(f"a shift of {self.augment.shift} pixels moves images of {self.size} out of sight")
        return self

    def folders(self) -> dict[str, str]:
        """Split -> folder inside the source, for each split that has one of its own."""
        roots = self.roots or Roots(train="train", val=None if self.val else "val", test="test")
        found = {"train": roots.train, "val": roots.val, "test": roots.test}
        return {split: root for split, root in found.items() if root is not None}

    def facts(self) -> DataFacts:
        """What is known before the folder is read: the classes only where they are declared."""
        folders = self.folders()
        splits = tuple(split for split in SPLITS if split in folders or (split == "val" and self.val is not None))
        space = "folders" if self.classes is None else ",".join(self.classes)
        outputs = None if self.classes is None else len(self.classes)
        views = 2 if self.augment is not None and self.augment.two_crops else 1
        return DataFacts(splits, (3, self.size, self.size), outputs, "classification", f"{self.source}:{space}", views)

    def measured(self, split: str) -> dict[str, Any]:
        """What decides an evaluated split. What touches only training (label budget, augmentation) is left out."""
        folders = self.folders()
        out: dict[str, Any] = {
            "type": self.type,
            "version": self.component_version,
            "source": self.source,
            "split": split,
            "root": folders.get(split, folders.get("train")),
            "size": self.size,
            "crop": self.crop,
            "classes": self.classes,
            "normalize": self.normalize.model_dump() if isinstance(self.normalize, Normalize) else self.normalize,
        }
        if self.normalize == "computed":
            out["computed_on"] = folders.get("train")
        if self.val is not None and (split != "test" or self.normalize == "computed"):
            out["val"] = self.val.model_dump()
        return out
