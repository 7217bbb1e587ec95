"""The one table of components: kind and type -> config class and builder, both as strings, imported only when named.

Adding a component means one config class (light: pydantic only), one builder (heavy), one line here, one test.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from interpreter.spec.base import Component


@dataclass(frozen=True, slots=True)
class Line:
    """One component: where its config class and its builder are, as "module:name"."""

    kind: str
    type: str
    config: str
    builder: str
    summary: str


_DATASETS = "interpreter.spec.components.datasets"
_MODELS = "interpreter.spec.components.models"
_OBJECTIVES = "interpreter.spec.components.objectives"

LINES: tuple[Line, ...] = (
    Line(
        "dataset",
        "digits",
        f"{_DATASETS}:Digits",
        "interpreter.parts.datasets.digits:build",
        "1,797 real 8x8 scans of handwritten digits, shipped with scikit-learn",
    ),
    Line(
        "dataset",
        "image_folder",
        f"{_DATASETS}:ImageFolder",
        "interpreter.parts.datasets.image_folder:build",
        "a folder of images per split, a folder per class in it",
    ),
    Line("model", "mlp", f"{_MODELS}:Mlp", "interpreter.parts.models.mlp:build", "a multilayer perceptron"),
    Line(
        "model", "cnn2d", f"{_MODELS}:Cnn2d", "interpreter.parts.models.cnn2d:build", "a plain convolutional network for images"
    ),
    Line("model", "timm", f"{_MODELS}:Timm", "interpreter.parts.models.timm:build", "any image model of the timm library"),
    Line(
        "objective",
        "classification",
        f"{_OBJECTIVES}:Classification",
        "interpreter.parts.objectives.classification:build",
        "cross-entropy over classes",
    ),
    Line(
        "objective",
        "regression",
        f"{_OBJECTIVES}:Regression",
        "interpreter.parts.objectives.regression:build",
        "squared, absolute or Huber error of a number",
    ),
)

# What a later release will build: the grammar knows the names, and says "not built yet".
NOT_BUILT: dict[str, tuple[str, ...]] = {
    "dataset": ("neighbor_location", "atom3d_lba", "cifar10", "cifar10_1", "shifted"),
    "model": ("cnn3d", "atom3d_cnn", "resnet3d", "equivariant_resnet", "ensemble", "wide_resnet18", "wrn28_10", "interpensemble"),
    "objective": ("neighbor_location", "supcon", "simclr", "interpensemble_mix", "interpensemble_draw"),
}

# There is one class of each of these, so they have no type of their own.
SCHEDULE = "interpreter.spec.components.schedules:Schedule"
HEAD = f"{_MODELS}:Head"

_BY_NAME = {(line.kind, line.type): line for line in LINES}


def types(kind: str) -> tuple[str, ...]:
    """Names of the built types of a kind ("dataset", "model", "objective")."""
    return tuple(line.type for line in LINES if line.kind == kind)


def find(kind: str, type_: str) -> Line | None:
    """The line of a component, or None when there is no such type."""
    return _BY_NAME.get((kind, type_))


def load(reference: str) -> Any:
    """What a "module:name" string names."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def config_class(kind: str, type_: str) -> type[Component]:
    """The config class of a component. Raises KeyError for an unknown type."""
    cls = load(_BY_NAME[kind, type_].config)
    assert isinstance(cls, type) and issubclass(cls, Component)
    return cls


def builder(kind: str, type_: str) -> Any:
    """The builder of a component; importing it imports what is heavy. Raises KeyError for an unknown type."""
    return load(_BY_NAME[kind, type_].builder)
