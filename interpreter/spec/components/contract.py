"""What every dataset, model and objective config tells the light rooms about itself, without building anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, SerializeAsAny

from interpreter.spec.base import Component, Config, identity


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something about settings that is allowed and seldom meant."""

    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What is known of a dataset before it is read."""

    splits: tuple[str, ...]  # of "train", "val", "test", and named further validation splits
    shape: tuple[int, ...] | None  # of one view of an example, (C, H, W) or (C, X, Y, Z); None until read
    outputs: int | None  # classes, or numbers to predict; None until read
    task: str  # "classification" | "regression" | "neighbor_location"
    target_space: str  # what the outputs stand for: heads carry over only between equal target spaces
    views: int = 1  # images of a training example: 2 for pairs, and for two crops of a photograph


class Dataset(Component):
    """Named data. `source` is a name found through expt.toml, or `embedded` for data that comes with a package."""

    source: str
    """Name of the data, found through expt.toml; or `embedded`."""
    embedded_fingerprint: ClassVar[str] = ""  # of the embedded data; "" where there is none
    generated: ClassVar[bool] = False  # True: its embedded data are made up, not measured, and every report says so

    def facts(self) -> DataFacts:
        """What is known before the data is read."""
        raise NotImplementedError

    def measured(self, split: str) -> dict[str, Any]:
        """What decides the examples and transforms of an evaluated split; two arms are comparable when it is equal."""
        raise NotImplementedError

    def doubts(self) -> Sequence[Doubt]:
        """What is allowed, and worth a second look before it is trained on."""
        return ()


class Model(Component):
    """An encoder: from examples to features. The head is the stage's."""

    input_dims: ClassVar[int | None] = None  # 2 for images, 3 for volumes; None takes any
    weightless: ClassVar[frozenset[str]] = frozenset()  # settings that decide no parameter's name or shape
    flattens: ClassVar[bool] = False  # True: examples of another size have other parameters
    joint: ClassVar[bool] = False  # True: made of several networks, each of which gives outputs for an example

    def misfit(self, shape: tuple[int, ...]) -> str:
        """Why an example of `shape` does not fit, or "" when it does."""
        if self.input_dims is not None and len(shape) != self.input_dims + 1:
            return f"takes {self.input_dims}-D images with channels, and an example is {' x '.join(map(str, shape))}"
        return ""

    def weights_misfit(self, other: Model) -> str:
        """Why weights of `other` don't fit, or "" when they do: a setting that decides parameters differs."""
        if self.type != other.type:
            return f"{other.type}, and this is {self.type}"
        mine, theirs = identity(self), identity(other)
        for name in {**mine, **theirs}:  # a setting that is as before it existed is in neither
            if name not in self.weightless and mine.get(name) != theirs.get(name):
                return f"`{name}` is {getattr(other, name)} there, and {getattr(self, name)} here"
        return ""

    def features(self) -> int | None:
        """How many features come out, where the settings alone decide it; None where the input does too, or a library."""
        return None

    def networks(self) -> int:
        """How many networks give outputs for an example, side by side."""
        return 1

    def orders(self) -> int:
        """How many orders training examples are seen in: one, or one for each network."""
        return 1


class Objective(Component):
    """What is minimized, and which metrics come of it."""

    task: ClassVar[str]  # the DataFacts.task it takes
    metrics: ClassVar[tuple[str, ...]]  # those it logs on a split whatever its settings, `loss` first
    views: ClassVar[int] = 1  # of an example, whose features the head takes side by side
    batchwise: ClassVar[bool] = False  # True: the loss compares the examples of a batch with one another

    def misfit(self, data: Dataset) -> str:
        """Why it can't be minimized on `data`, said of the objective ("wants ..."), or "" when it can."""
        facts = data.facts()
        if facts.task != self.task:
            return f"wants a {self.task} target, and this dataset's is {facts.task}"
        if facts.views > self.views and not self.batchwise:
            return f"is for one view of an image, and a training example of this dataset is {facts.views}"
        return ""

    def logged(self) -> tuple[str, ...]:
        """Every metric it logs on a split with these settings, `loss` included."""
        return self.metrics

    def own_head(self) -> tuple[dict[str, Any], int] | None:
        """Settings of a head that the objective brings in place of the stage's, and how many outputs; None: it brings none."""
        return None

    def head_groups(self) -> int:
        """Equal parts that the features are cut into, each with a head of its own; 1: one head for all."""
        return 1

    def model_misfit(self, model: Model) -> str:
        """Why it can't be minimized with `model`, said of the model ("is ..."), or "" when it can."""
        return f"is made of several networks (`{model.type}`), and `{self.type}` is for one" if model.joint else ""


def _typed(value: Any) -> Any:
    if not isinstance(value, Component):
        raise ValueError("this must be the name of a component, or one written out with its `type`")
    return value


# A component inside another: given as a typed instance, since which class it has is found through the catalog.
InnerModel = Annotated[SerializeAsAny[Model], BeforeValidator(_typed)]
InnerObjective = Annotated[SerializeAsAny[Objective], BeforeValidator(_typed)]
InnerDataset = Annotated[SerializeAsAny[Dataset], BeforeValidator(_typed)]


def settings(config: Config) -> dict[str, Any]:
    """All settings of a config as plain data: what a worker builds from."""
    return config.model_dump(mode="python")
