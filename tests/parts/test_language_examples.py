"""The components of the language's own examples, as briefly as they are written there."""

import pytest

from interpreter import catalog
from interpreter.spec.components.models import Head
from interpreter.spec.components.schedules import Schedule

SUPCON = {"mean": [0.0418, 0.0353, 0.0409], "std": [0.0956, 0.0911, 0.0769]}
DYB = {"type": "image_folder", "source": "dyb", "size": 224}
PARTS = [
    ("dataset", {**DYB, "roots": {"train": "linear-head/train"}, "normalize": SUPCON, "augment": {"two_crops": "simclr"}}),
    ("dataset", {**DYB, "roots": {"train": "linear-head/train", "val": "original/val"}}),
    ("dataset", {**DYB, "roots": {"test": "original/test"}}),
    ("model", {"type": "timm", "name": "seresnext50_32x4d"}),
    ("model", {"type": "timm", "name": "resnet18", "stem": "cifar", "max_pool": "keep"}),
    ("objective", {"type": "classification"}),
    ("objective", {"type": "regression"}),
]
SGD = {"type": "sgd", "lr": 0.016, "momentum": 0.9}
SCHEDULES = [
    {"epochs": 50, "batch_size": 64, "optimizer": {"type": "adam", "lr": 1e-3}},
    {"epochs": 1000, "batch_size": 32, "optimizer": SGD, "lr_schedule": {"type": "cosine", "floor": 1e-3}},
    {"epochs": 100, "batch_size": 256, "optimizer": SGD, "lr_schedule": {"type": "step", "at": [60, 75, 90], "times": 0.2}},
    {"epochs": 100, "batch_size": 256, "optimizer": {**SGD, "nesterov": True},
     "lr_schedule": {"type": "cosine", "warmup": "30%", "from": 1e-8}},
]  # fmt: skip


@pytest.mark.parametrize(("kind", "written"), PARTS)
def test_components(kind, written):
    config = catalog.config_class(kind, written["type"]).model_validate(written)
    assert type(config).model_validate(config.model_dump()) == config


@pytest.mark.parametrize("written", SCHEDULES)
def test_schedules(written):
    config = Schedule.model_validate(written)
    assert Schedule.model_validate(config.model_dump()) == config
    assert config.optimizer.peak_lr(config.batch_size) == config.peak_lr() == written["optimizer"]["lr"]


def test_off_is_the_default():
    schedule = Schedule.model_validate({**SCHEDULES[0], "clip": "off", "early_stopping": "off", "lr_schedule": "off"})
    assert schedule == Schedule.model_validate(SCHEDULES[0])


def test_heads():
    assert Head.model_validate({"hidden": 512, "dropout": 0.25}).widths() == (512,)
    assert Head.model_validate({}).widths() == ()
