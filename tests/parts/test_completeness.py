"""A component is a catalog line, a config class, a builder and a test; every field has a line of documentation."""

import re
from typing import get_args

import pytest

from interpreter import catalog
from interpreter.parts import build
from interpreter.spec.base import Component, Config, description, identity
from interpreter.spec.components import contract
from interpreter.spec.components.datasets import Digits, ImageFolder
from interpreter.spec.components.models import Head
from interpreter.spec.components.optimizers import Optimizer
from interpreter.spec.components.schedules import AnyRateRule, Schedule
from interpreter.spec.metrics import METRICS
from tests.conftest import ROOT

KINDS = {"dataset": contract.Dataset, "model": contract.Model, "objective": contract.Objective}
VOXELS = {"voxels": 21, "resolution_A": 0.75, "channels": ["C"]}
LEAST = {  # the least that must be written of each component
    "digits": {},
    "image_folder": {"source": "photos", "size": 8},
    "mlp": {"hidden": [4]},
    "cnn2d": {"channels": [4]},
    "timm": {"name": "resnet18"},
    "classification": {},
    "regression": {},
    "draw": {"one": {"type": "classification"}, "other": {"type": "classification", "label_smoothing": 0.1}},
    "cifar10": {"source": "cifar10"},
    "cifar10_1": {"source": "cifar10-1", "version": "v4"},
    "shifted": {"of": {"type": "digits"}, "corruption": "rotate", "severity": 3},
    "atom3d_lba": {"source": "lba", "split": "identity30", "atoms": "protein", "image": VOXELS},
    ("dataset", "neighbor_location"): {"source": "gym", "image": VOXELS},
    "wide_resnet18": {"width": 2},
    "wrn28_10": {},
    "ensemble": {"of": {"type": "timm", "name": "resnet18"}, "members": 4},
    "interpensemble": {"of": {"type": "wide_resnet18", "width": 2}},
    "cnn3d": {"channels": [4]},
    "atom3d_cnn": {},
    "resnet3d": {"widths": [4, 8]},
    "equivariant_resnet": {"channels": [2, 4]},
    ("objective", "neighbor_location"): {},
    "supcon": {},
    "simclr": {},
    "interpensemble_mix": {"big": 0.5},
    "interpensemble_draw": {"big": 0.5},
}


@pytest.mark.parametrize("line", catalog.LINES, ids=lambda line: f"{line.kind}-{line.type}")
def test_a_line_ties_config_builder_and_test_together(line):
    cls = catalog.config_class(line.kind, line.type)
    assert issubclass(cls, KINDS[line.kind])
    assert cls.model_fields["type"].default == line.type
    assert cls.__doc__
    assert line.summary
    config = catalog.typed(line.kind, {"type": line.type, **LEAST.get((line.kind, line.type), LEAST.get(line.type))})
    assert isinstance(config, cls)
    assert catalog.typed(line.kind, contract.settings(config)) == config
    assert identity(config)["component_version"] >= 1
    assert catalog.built(line.kind, line.type) == bool(line.builder)
    if not line.builder:
        return  # announced: there is nothing yet that a test could build
    assert callable(catalog.builder(line.kind, line.type))
    assert catalog.builder(line.kind, line.type).__module__ == f"interpreter.parts.{line.kind}s.{line.type}"
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests" / "parts").glob("test_*.py"))
    used = rf'"type": "{line.type}"|\b{cls.__name__}\('
    assert len(re.findall(used, tests)) >= 1, "no test builds it"


def test_every_config_of_ours_has_a_line():
    for kind, base in KINDS.items():
        found = {cls for cls in subclasses(base) if "type" in cls.__annotations__}
        assert found == {catalog.config_class(kind, type_) for type_ in catalog.types(kind)}


def subclasses(cls):
    for child in cls.__subclasses__():
        if child.__module__.startswith("interpreter."):
            yield child
            yield from subclasses(child)


def nested(cls):
    """The config classes that the fields of `cls` may hold, at any depth."""
    for field in cls.model_fields.values():
        for part in configs_in(field.annotation):
            yield part
            yield from nested(part)


def configs_in(annotation):
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    return [part for argument in get_args(annotation) for part in configs_in(argument)]


def every_config():
    roots = [catalog.config_class(line.kind, line.type) for line in catalog.LINES] + [Head, Schedule]
    roots += get_args(get_args(Optimizer)[0]) + get_args(get_args(AnyRateRule)[0])
    return sorted(roots, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", every_config(), ids=lambda cls: cls.__name__)
def test_every_field_is_documented(cls):
    for part in {cls, *nested(cls)}:
        assert part.__doc__, part.__name__
        for name in part.model_fields:
            assert name == "type" or description(part, name), f"{part.__name__}.{name}"


def test_metrics_of_objectives_are_in_the_table():
    for type_ in catalog.types("objective"):
        cls = catalog.config_class("objective", type_)
        assert cls.metrics[0] == "loss"
        assert set(cls.metrics) <= set(METRICS)
        assert cls.task in {"classification", "regression", "neighbor_location"}


def test_the_least_settings_build_what_the_facts_say():
    assert isinstance(Digits(), Component)
    assert isinstance(Head(), Config)
    data = build.build_data({"type": "digits"}, None, None)
    objective = build.build_objective({"type": "classification"}, data)
    assert objective.outputs == data.outputs == Digits().facts().outputs
    assert ImageFolder(source="x", size=4).facts().outputs is None
    with pytest.raises(build.StageFailed, match="targets of this data are classes"):
        build.build_objective({"type": "regression"}, data)
