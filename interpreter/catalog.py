"""The one table of components: kind and type -> config class and builder, both as strings, imported only when named.

Adding a component means one config class (light: pydantic only), one builder (heavy), one line here, one test. Components of
other packages have such lines in a module of their own: `use` takes them in, and they are found as the ones here are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from interpreter.plugins import Line, Plugins
from interpreter.spec.base import Component

_DATASETS = "interpreter.spec.components.datasets"
_MODELS = "interpreter.spec.components.models"
_OBJECTIVES = "interpreter.spec.components.objectives"
_IMAGES = "interpreter.spec.components.images"
_VOLUMES = "interpreter.spec.components.volumes"
_VOLUME_MODELS = "interpreter.spec.components.volume_models"

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
        "draw",
        f"{_OBJECTIVES}:Draw",
        "interpreter.parts.objectives.draw:build",
        "one of two objectives at each step, drawn at random",
    ),
    Line(
        "objective",
        "regression",
        f"{_OBJECTIVES}:Regression",
        "interpreter.parts.objectives.regression:build",
        "squared, absolute or Huber error of a number",
    ),
    # A line without a builder is announced: pages can name it, and not run it yet.
    Line(
        "dataset",
        "cifar10",
        f"{_IMAGES}:Cifar10",
        "interpreter.parts.datasets.cifar10:build",
        "60,000 colour images of 32 pixels in ten classes",
    ),
    Line(
        "dataset",
        "cifar10_1",
        f"{_IMAGES}:Cifar10v1",
        "interpreter.parts.datasets.cifar10_1:build",
        "some 2,000 images collected anew by CIFAR-10's recipe",
    ),
    Line(
        "dataset",
        "shifted",
        f"{_IMAGES}:Shifted",
        "interpreter.parts.datasets.shifted:build",
        "another dataset's test split, corrupted",
    ),
    Line(
        "dataset",
        "atom3d_lba",
        f"{_VOLUMES}:Atom3dLba",
        "interpreter.parts.datasets.atom3d_lba:build",
        "affinities of protein-ligand complexes, as ATOM3D splits them",
    ),
    Line(
        "dataset",
        "neighbor_location",
        f"{_VOLUMES}:NeighborLocation",
        "interpreter.parts.datasets.neighbor_location:build",
        "pairs of cubes cut out of protein structures: on which side does the second lie?",
    ),
    Line(
        "model",
        "wide_resnet18",
        f"{_IMAGES}:WideResnet18",
        "interpreter.parts.models.wide_resnet18:build",
        "ResNet-18, every width k times as large",
    ),
    Line(
        "model",
        "wrn28_10",
        f"{_IMAGES}:Wrn28",
        "interpreter.parts.models.wrn28_10:build",
        "WRN-28-10, with pre-activation blocks",
    ),
    Line(
        "model",
        "ensemble",
        f"{_IMAGES}:Ensemble",
        "interpreter.parts.models.ensemble:build",
        "several networks of one kind trained in one fit",
    ),
    Line(
        "model",
        "interpensemble",
        f"{_IMAGES}:Interpensemble",
        "interpreter.parts.models.interpensemble:build",
        "a wide network and the narrow ones inside it",
    ),
    Line(
        "model",
        "cnn3d",
        f"{_VOLUME_MODELS}:Cnn3d",
        "interpreter.parts.models.cnn3d:build",
        "a plain convolutional network for volumes",
    ),
    Line(
        "model",
        "atom3d_cnn",
        f"{_VOLUME_MODELS}:Atom3dCnn",
        "interpreter.parts.models.atom3d_cnn:build",
        "the 3-D network published with ATOM3D",
    ),
    Line(
        "model",
        "resnet3d",
        f"{_VOLUME_MODELS}:Resnet3d",
        "interpreter.parts.models.resnet3d:build",
        "a residual network for volumes, basic or bottleneck",
    ),
    Line(
        "model",
        "equivariant_resnet",
        f"{_VOLUME_MODELS}:EquivariantResnet",
        "interpreter.parts.models.equivariant_resnet:build",
        "a residual network whose features turn with the volume",
    ),
    Line(
        "objective",
        "neighbor_location",
        f"{_OBJECTIVES}:NeighborLocation",
        "interpreter.parts.objectives.neighbor_location:build",
        "cross-entropy over the six sides of a cube",
    ),
    Line(
        "objective",
        "supcon",
        f"{_OBJECTIVES}:SupCon",
        "interpreter.parts.objectives.supcon:build",
        "supervised contrastive loss",
    ),
    Line(
        "objective",
        "simclr",
        f"{_OBJECTIVES}:SimClr",
        "interpreter.parts.objectives.simclr:build",
        "contrastive loss of two views, without labels",
    ),
    Line(
        "objective",
        "interpensemble_mix",
        f"{_OBJECTIVES}:InterpensembleMix",
        "interpreter.parts.objectives.interpensemble_mix:build",
        "a mixture of the wide network's loss and the narrow ones'",
    ),
    Line(
        "objective",
        "interpensemble_draw",
        f"{_OBJECTIVES}:InterpensembleDraw",
        "interpreter.parts.objectives.interpensemble_draw:build",
        "at each step the wide network's loss or the narrow ones', at random",
    ),
)

# There is one class of each of these, so they have no type of their own.
SCHEDULE = "interpreter.spec.components.schedules:Schedule"
HEAD = f"{_MODELS}:Head"

_BY_NAME = {(line.kind, line.type): line for line in LINES}


_plugins = Plugins(_BY_NAME)


def use(project_plugins: Sequence[str]) -> None:
    """Take in the plug-ins of a project, those of another one given up. Said by whoever opens a project; imports nothing yet.

    From then on every function here raises UsageError for a plug-in that can't be imported, has bad lines or takes a taken type.
    """
    _plugins.use(project_plugins)


def types(kind: str) -> tuple[str, ...]:
    """Names of the types of a kind ("dataset", "model", "objective"), announced ones and those of all plug-ins included.

    All installed plug-ins are looked for and read: to know about one type, `find` it.
    """
    return (*(line.type for line in LINES if line.kind == kind), *_plugins.types(kind))


def built(kind: str, type_: str) -> bool:
    """True when the type can be run, not only checked and planned. Raises KeyError for an unknown type."""
    line = find(kind, type_)
    if line is None:
        raise KeyError((kind, type_))
    return line.builder != ""


def find(kind: str, type_: str) -> Line | None:
    """The line of a component, or None when there is no such type."""
    offered = _plugins.find(kind, type_)
    return offered.line if offered else _BY_NAME.get((kind, type_))


def plugins_of(kind: str, settings: Mapping[str, Any]) -> frozenset[str]:
    """The modules of the plug-ins that offer the component with these settings, or one inside it. An unknown type is nobody's."""
    type_ = str(settings.get("type"))
    offered = _plugins.find(kind, type_)
    if offered is None and (kind, type_) not in _BY_NAME:
        return frozenset()
    inside = [
        plugins_of(plural.removesuffix("s"), settings[field])
        for field, plural in config_class(kind, type_).nested.items()
        if isinstance(settings.get(field), Mapping)
    ]
    return frozenset({offered.plugin} if offered else ()).union(*inside)


def load(reference: str) -> Any:
    """What a "module:name" string names."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def config_class(kind: str, type_: str) -> type[Component]:
    """The config class of a component. Raises KeyError for an unknown type."""
    if offered := _plugins.find(kind, type_):
        return offered.config_class()
    cls = load(_BY_NAME[kind, type_].config)
    assert isinstance(cls, type) and issubclass(cls, Component)
    return cls


def typed(kind: str, settings: Mapping[str, Any]) -> Component:
    """The typed config of a component's settings, the components inside it included.

    Raises: KeyError for an unknown type, pydantic.ValidationError for settings that are not valid.
    """
    cls = config_class(kind, str(settings.get("type")))
    inner = {
        field: typed(plural.removesuffix("s"), settings[field])
        for field, plural in cls.nested.items()
        if isinstance(settings.get(field), Mapping)
    }
    return cls.model_validate({**settings, **inner})


def builder(kind: str, type_: str) -> Any:
    """The builder of a component; importing it imports what is heavy. Raises KeyError for an unknown type."""
    if offered := _plugins.find(kind, type_):
        return offered.builder()
    return load(_BY_NAME[kind, type_].builder)


__all__ = [
    "HEAD",
    "LINES",
    "SCHEDULE",
    "Line",
    "builder",
    "built",
    "config_class",
    "find",
    "load",
    "plugins_of",
    "types",
    "use",
]
