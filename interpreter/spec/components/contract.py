"""What every dataset, model and objective config tells the light rooms about itself, without building anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from interpreter.spec.base import Component, Config


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What is known of a dataset before it is read."""

    splits: tuple[str, ...]  # of "train", "val", "test"
    shape: tuple[int, ...] | None  # of one example, (C, H, W); None until read
    outputs: int | None  # classes, or numbers to predict; None until read
    task: str  # "classification" | "regression"
    target_space: str  # what the outputs stand for: heads carry over only between equal target spaces


class Dataset(Component):
    """Named data. `source` is a name found through expt.toml, or `embedded` for data that comes with a package."""

    source: str
    embedded_fingerprint: ClassVar[str] = ""  # of the embedded data; "" where there is none
    generated: ClassVar[bool] = False  # True: not measured in the world, and every report says so

    def facts(self) -> DataFacts:
        """What is known before the data is read."""
        raise NotImplementedError

    def measured(self, split: str) -> dict[str, Any]:
        """What decides the examples and transforms of an evaluated split; two arms are comparable when it is equal."""
        raise NotImplementedError


class Model(Component):
    """An encoder: from examples to features. The head is the stage's."""

    input_dims: ClassVar[int | None] = None  # 2 for images, 3 for volumes; None takes any

    def misfit(self, shape: tuple[int, ...]) -> str:
        """Why an example of `shape` does not fit, or "" when it does."""
        if self.input_dims is not None and len(shape) != self.input_dims + 1:
            return f"takes {self.input_dims}-D images with channels, and an example is {' x '.join(map(str, shape))}"
        return ""


class Objective(Component):
    """What is minimized, and which metrics come of it."""

    task: ClassVar[str]  # the DataFacts.task it takes
    metrics: ClassVar[tuple[str, ...]]  # every metric it logs on a split, `loss` included


def settings(config: Config) -> dict[str, Any]:
    """All settings of a config as plain data: what a worker builds from."""
    return config.model_dump(mode="python")
