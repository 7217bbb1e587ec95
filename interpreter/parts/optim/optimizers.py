"""From an optimizer's config to torch's optimizer, with its groups of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from interpreter.spec.components.optimizers import OptimizerBase
from interpreter.spec.components.schedules import Schedule

CLASSES: Mapping[str, type[torch.optim.Optimizer]] = MappingProxyType({
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "asgd": torch.optim.ASGD,
    "rprop": torch.optim.Rprop,
    "adafactor": torch.optim.Adafactor,
})  # fmt: skip


def build(schedule: Schedule, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer over all parameters of `model`, at the peak rate; what sets the rate of a step sets it in each group."""
    config = schedule.optimizer
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in config.model_dump(exclude={"type", "lr", "decay_exclude"}).items()
    }
    if config.type == "rprop":
        del options["weight_decay"]  # torch's has none
    make: Any = CLASSES[config.type]
    optimizer: torch.optim.Optimizer = make(groups(model, config), lr=schedule.peak_lr(), **options)
    return optimizer


def groups(model: nn.Module, config: OptimizerBase) -> list[dict[str, Any]]:
    """The parameters in named groups, each parameter once: "all", or "decay" and "no_decay" (of one axis or none)."""
    parameters = list(model.parameters())  # a shared one is named once
    if config.decay_exclude == "none" or config.weight_decay == 0:
        return [{"params": parameters, "name": "all"}]
    found: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "name": "decay"},
        {"params": [p for p in parameters if p.ndim <= 1], "name": "no_decay", "weight_decay": 0.0},
    ]
    return [group for group in found if group["params"]]
