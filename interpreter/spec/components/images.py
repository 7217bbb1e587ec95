"""Config classes of the CIFAR-10 family of datasets, wide residual networks, and ensembles of networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from interpreter.spec.base import Config, since
from interpreter.spec.components.contract import DataFacts, Dataset, Doubt, InnerDataset, InnerModel, Model
from interpreter.spec.components.datasets import SPLITS, Augment, LabelBudget, Normalize, ValFromTrain
from interpreter.spec.components.models import Rate

CIFAR_SHAPE = (3, 32, 32)
CIFAR_CLASSES = 10
CIFAR_SPACE = "cifar10"
# One place for the constants of `standard`: of CIFAR-10's training images, scaled to 0..1 (Krizhevsky 2009).
CIFAR_STANDARD = Normalize(mean=[0.4914, 0.4822, 0.4465], std=[0.2471, 0.2435, 0.2616])


def _not_embedded(name: str) -> str:
    if name == "embedded":
        raise ValueError("this dataset has no embedded data: name a source of expt.toml")
    return name


SourceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$"), AfterValidator(_not_embedded)]


class ValIsTest(Config):
    """The test split taken for validation, as it is: whatever is selected on it is selected on the test set."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Literal["test"] = Field(alias="from")
    """The split it is."""


class Cifar10(LabelBudget):
    """60,000 colour images of 32 pixels in ten classes (Krizhevsky 2009), from its python or binary archive."""

    type: Literal["cifar10"] = "cifar10"
    source: SourceName
    """Name of the folder or archive, found through expt.toml."""
    part: Literal["test"] | None = None
    """`test`: only the 10,000 test images, to evaluate. Absent: all."""
    val: ValFromTrain | ValIsTest | None = None
    """The validation split: {from: train, n: 5000} draws it from the training images, {from: test} is the test set itself
    (then nothing is held out, and the report says so). Absent: there is none."""
    normalize: Normalize | Literal["standard", "range"] = "standard"
    """`standard`: mean 0.4914, 0.4822, 0.4465 and standard deviation 0.2471, 0.2435, 0.2616. `range`: only scaled to 0..1. Or
    constants of your own; what is evaluated must have the same."""
    augment: Augment | None = None
    """Random changes of training images. Absent: none."""
    label_seed: Annotated[int, Field(ge=0)] = 0
    """Decides which training labels a budget keeps; not the seed of a trial."""

    @model_validator(mode="after")
    def _consistent(self) -> Cifar10:
        of_train = (self.val, self.augment, self.label_fraction, self.per_class, self.subset)
        if self.part == "test" and any(value is not None for value in of_train):
            raise ValueError("`part: test` has no training images: leave out `val`, `augment`, `subset` and a label budget")
        if isinstance(self.val, ValFromTrain) and self.val.n is not None and self.val.n >= 50_000:
            raise ValueError(f"a validation split of {self.val.n} leaves nothing of the 50,000 training images")
        if self.augment is not None and self.augment.shift >= CIFAR_SHAPE[1]:
            raise ValueError(f"a shift of {self.augment.shift} pixels moves images of {CIFAR_SHAPE[1]} out of sight")
        return self

    def facts(self) -> DataFacts:
        """What is known before the archive is read: everything."""
        splits = ("test",) if self.part == "test" else tuple(s for s in SPLITS if s != "val" or self.val is not None)
        views = 2 if self.augment is not None and self.augment.two_crops else 1
        return DataFacts(splits, CIFAR_SHAPE, CIFAR_CLASSES, "classification", CIFAR_SPACE, views)

    def doubts(self) -> Sequence[Doubt]:
        """Validation on the test set is told."""
        if not isinstance(self.val, ValIsTest):
            return ()
        text = "`val: {from: test}`: what is selected by it (an epoch, a checkpoint, an arm) is selected on the test set"
        return (Doubt(text, "hold images out of train: `val: {from: train, n: 5000}`"),)

    def measured(self, split: str) -> dict[str, Any]:
        """What decides an evaluated split. What touches only training (label budget, subset, augmentation) is left out."""
        drawn = self.val.model_dump() if isinstance(self.val, ValFromTrain) and split != "test" else None
        return {
            "type": self.type,
            "version": self.component_version,
            "source": self.source,
            "split": "test" if split == "val" and isinstance(self.val, ValIsTest) else split,
            "val": drawn,
            "normalize": _constants(self.normalize),
        }


class Cifar10v1(Dataset):
    """CIFAR-10.1: some 2,000 images collected anew by CIFAR-10's recipe (Recht et al. 2018). Only a test split."""

    type: Literal["cifar10_1"] = "cifar10_1"
    source: SourceName
    """Name of the folder with the npy files, found through expt.toml."""
    version: Literal["v4", "v6"]
    """v4: 2,021 images, used in the paper. v6: 2,000, the classes equally often; its authors' advice."""
    normalize: Normalize | Literal["standard", "range"] = "standard"
    """As of the dataset the model was trained on; `standard` are CIFAR-10's constants."""

    def facts(self) -> DataFacts:
        """What is known before the files are read: everything."""
        return DataFacts(("test",), CIFAR_SHAPE, CIFAR_CLASSES, "classification", CIFAR_SPACE)

    def measured(self, split: str) -> dict[str, Any]:
        """What decides an evaluated split."""
        return {
            "type": self.type,
            "version": self.component_version,
            "source": self.source,
            "split": split,
            "files": self.version,
            "normalize": _constants(self.normalize),
        }


def _constants(normalize: Normalize | str) -> Any:
    """Constants as plain data, `standard` spelled out, so that saying them and naming them measure the same."""
    if normalize == "range":
        return None
    return (normalize if isinstance(normalize, Normalize) else CIFAR_STANDARD).model_dump()


Corruption = Literal[
    "gaussian_noise", "shot_noise", "impulse_noise", "gaussian_blur", "pixelate", "brightness", "contrast", "rotate", "translate"
]


class Shifted(Dataset):
    """Another dataset's test split, corrupted: a stand-in for data from elsewhere, and named as one (Hendrycks 2019)."""

    nested: ClassVar[Mapping[str, str]] = {"of": "datasets"}

    type: Literal["shifted"] = "shifted"
    of: InnerDataset
    """The dataset whose test split is corrupted, by name."""
    source: str = ""
    """The source of that dataset; filled in."""
    corruption: Corruption | Annotated[list[Corruption], Field(min_length=1)]
    """What is done to each image, or several things in this order."""
    severity: Annotated[int, Field(ge=1, le=5)]
    """How strongly, in the five grades of Hendrycks & Dietterich."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides the noise of each image; not the seed of a trial."""

    @model_validator(mode="before")
    @classmethod
    def _source_of(cls, data: Any) -> Any:
        inner = data.get("of") if isinstance(data, dict) else None
        if not isinstance(inner, Dataset):
            return data
        if data.get("source", inner.source) not in ("", inner.source):
            raise ValueError(f"`source` is that of the dataset it is made of, `{inner.source}`: leave it out")
        return {**data, "source": inner.source}

    @model_validator(mode="after")
    def _of_a_test_split(self) -> Shifted:
        facts = self.of.facts()
        if isinstance(self.of, Shifted):
            raise ValueError("`of` is shifted already: list several corruptions instead")
        if "test" not in facts.splits:
            raise ValueError(f"`of` has no test split, only {', '.join(facts.splits)}")
        if facts.shape is not None and len(facts.shape) != 3:
            raise ValueError("`of` must be images: corruptions are for two dimensions")
        return self

    @property
    def embedded_fingerprint(self) -> str:  # type: ignore[override]
        """That of the dataset it is made of."""
        return self.of.embedded_fingerprint

    @property
    def generated(self) -> bool:  # type: ignore[override]
        """Whether the dataset it is made of is made up."""
        return self.of.generated

    def facts(self) -> DataFacts:
        """What is known before the data is read: as of the dataset it is made of, and only a test split."""
        inner = self.of.facts()
        return DataFacts(("test",), inner.shape, inner.outputs, inner.task, inner.target_space)

    def measured(self, split: str) -> dict[str, Any]:
        """What decides an evaluated split."""
        return {
            "type": self.type,
            "version": self.component_version,
            "source": self.source,
            "split": split,
            "of": self.of.measured("test"),
            "corruption": [self.corruption] if isinstance(self.corruption, str) else list(self.corruption),
            "severity": self.severity,
            "seed": self.seed,
        }


class WideResnet18(Model):
    """ResNet-18 with every width, the first convolution's too, `width` times as large (after Zagoruyko & Komodakis 2016)."""

    input_dims: ClassVar[int | None] = 2
    weightless: ClassVar[frozenset[str]] = frozenset({"max_pool"})

    type: Literal["wide_resnet18"] = "wide_resnet18"
    width: Annotated[int, Field(ge=1, le=16)]
    """How many times wider than ResNet-18; 1 is ResNet-18 itself."""
    base: Annotated[int, Field(ge=2, le=64)] = since(1, 64, neutral=64)
    """Channels of the first stage at width 1, and so of all stages in proportion; with fewer it is small enough to try things."""
    stem: Literal["cifar", "imagenet"] = "cifar"
    """First convolution: 3x3 with stride 1, for small images, or 7x7 with stride 2."""
    max_pool: Literal["keep", "remove"] = "keep"
    """Whether the max-pooling behind the first convolution stays; without it, maps have four times as many positions."""

    def features(self) -> int | None:
        """Eight times the channels of the first stage: 512 times the width."""
        return 8 * self.base * self.width


class Wrn28(Model):
    """WRN-28-10 (Zagoruyko & Komodakis 2016): pre-activation blocks, stages of 160, 320 and 640 channels, four blocks each."""

    input_dims: ClassVar[int | None] = 2
    weightless: ClassVar[frozenset[str]] = frozenset({"dropout"})

    type: Literal["wrn28_10"] = "wrn28_10"
    dropout: Rate = 0.0
    """Probability of zeroing a number between the two convolutions of a block."""

    def features(self) -> int | None:
        """640."""
        return 640


class Joint(Model):
    """What networks made of other networks share: examples must fit the inner one."""

    joint: ClassVar[bool] = True
    nested: ClassVar[Mapping[str, str]] = {"of": "models"}
    weightless: ClassVar[frozenset[str]] = frozenset({"of"})  # which is asked itself

    of: InnerModel
    """The network it is made of, by name."""

    def misfit(self, shape: tuple[int, ...]) -> str:
        """Why an example of `shape` does not fit the inner network, or ""."""
        return self.of.misfit(shape)

    def weights_misfit(self, other: Model) -> str:
        """Why weights of `other` don't fit, or "": the inner networks are compared as networks."""
        text = super().weights_misfit(other)
        return text if text or not isinstance(other, Joint) else self.of.weights_misfit(other.of)

    def features(self) -> int | None:
        """As of the inner network, for each of its copies."""
        return self.of.features()

    def draws(self) -> tuple[int, ...]:
        """For each network the number of the random weights that it, or its head, begins with: equal ones begin equal.

        Number 0 are those that the inner network has, with the same seed, when it is trained alone.
        """
        raise NotImplementedError

    def prediction(self) -> str:
        """The rule by which the networks' predictions become one, `mean_probability` or `geometric_mean`."""
        raise NotImplementedError

    def one_set(self) -> bool:
        """Whether all of them are one network, seen as often."""
        return False

    def networks(self) -> int:
        """How many networks give outputs for an example, each by a head of its own."""
        return len(self.draws())

    def head_features(self, features: int) -> tuple[int, ...]:
        """How many of the inner network's `features` each network has, and its head sees: all."""
        return (features,) * self.networks()


class Ensemble(Joint):
    """Several networks of one kind trained in one fit, each with a head of its own; the objective's `members` says on what.

    Networks trained apart need no model of this type: combine an arm's trials (Lakshminarayanan et al. 2017).
    """

    weightless: ClassVar[frozenset[str]] = Joint.weightless | {"init", "order", "predict", "passes"}

    type: Literal["ensemble"] = "ensemble"
    members: Annotated[int, Field(ge=2, le=64)]
    """How many."""
    share: Literal["none", "all"] = "none"
    """`all`: one set of weights seen `members` times, which is no ensemble and is found out; to reproduce that mistake. It
    has one `init` and one order, and is seen so often in turn, whatever `init` and `passes` say."""
    init: Literal["own", "shared"] = "own"
    """Whether each member starts from random weights of its own, or all from the same."""
    order: Literal["shared", "own"] = "shared"
    """Whether members see the same batches, with the same augmentation, or each its own order. The first member's own is that of
    a network trained alone. Then `train/` has no common prediction to measure, only the loss and `member_accuracy`."""
    predict: Literal["mean_probability", "geometric_mean"] = "mean_probability"
    """How members' predictions become one: arithmetic mean of probabilities, or geometric mean, renormalized."""
    passes: Literal["vectorized", "serial"] = "vectorized"
    """All members in one pass, or one after the other: the same up to rounding. Networks that can't be run in one pass, and all
    in mixed precision, are run one after the other, which a finding says."""

    @model_validator(mode="after")
    def _consistent(self) -> Ensemble:
        if isinstance(self.of, Joint):
            raise ValueError(f"`of` is itself made of networks (`{self.of.type}`): name one network")
        if self.share == "all" and self.order == "own":
            raise ValueError("`share: all` has one set of weights and one order: leave `order` out")
        return self

    def draws(self) -> tuple[int, ...]:
        """Weights of its own for each member, or the same for all."""
        own = self.init == "own" and self.share == "none"
        return tuple(range(self.members)) if own else (0,) * self.members

    def prediction(self) -> str:
        """As `predict` says."""
        return self.predict

    def one_set(self) -> bool:
        """Whether `share` is `all`."""
        return self.share == "all"

    def orders(self) -> int:
        """One for each member with `order: own`."""
        return self.members if self.order == "own" else 1


class Interpensemble(Joint):
    """A wide network and the narrow ones inside it, whose convolutions are blocks of its own (after Abe et al. 2022).

    Each weight of a convolution is cut into groups x groups blocks, by outputs and inputs; there are as many narrow networks,
    each with the width divided by `groups`. First convolutions, normalizations and heads are not shared, and the head of a
    narrow network sees the features that this network has.
    """

    weightless: ClassVar[frozenset[str]] = Joint.weightless | {"shortcut", "predict"}

    type: Literal["interpensemble"] = "interpensemble"
    groups: Annotated[int, Field(ge=2, le=8)] = 2
    """Parts that channels are cut into; 2 makes four narrow networks."""
    shortcut: Literal["switched", "straight"] = "switched"
    """Networks that cross from one part of the channels to another inside a block: the shortcut's convolution crosses too, and
    what comes out is switched back, or it stays within its part. Switched, shortcuts are cut without rest or overlap; straight,
    several networks share a block, and the blocks that cross are the wide network's alone."""
    predict: Literal["mean_probability", "geometric_mean"] = "mean_probability"
    """How the narrow networks' predictions become one."""

    def draws(self) -> tuple[int, ...]:
        """Weights of its own for the wide network, which is the first, and for each of the narrow ones."""
        return tuple(range(1 + self.groups**2))

    def prediction(self) -> str:
        """As `predict` says of the narrow networks."""
        return self.predict

    def head_features(self, features: int) -> tuple[int, ...]:
        """All of the wide network's, and of each narrow one those it has itself."""
        return (features, *[features // self.groups] * self.groups**2)

    @model_validator(mode="after")
    def _cut(self) -> Interpensemble:
        if not isinstance(self.of, WideResnet18):
            raise ValueError(f"only a `wide_resnet18` is cut into narrow networks, and `of` is a `{self.of.type}`")
        if self.of.width % self.groups:
            raise ValueError(f"`groups` {self.groups} does not divide the width {self.of.width} of the network it is made of")
        return self
