"""The unit that is trained: a LightningModule around a model and an objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from interpreter.parts import random
from interpreter.parts.build import build_model, build_objective, build_optimizer
from interpreter.parts.contract import Data, Model, Objective
from interpreter.spec.thawing import PhaseOf


def clip_arguments(clip: Mapping[str, float] | None) -> dict[str, Any]:
    """Arguments of Fabric's clipping. A gradient that isn't finite is told of at the end of the epoch, not here."""
    if clip is None:
        return {}
    return {"max_norm": clip["norm"], "error_if_nonfinite": False} if "norm" in clip else {"clip_val": clip["value"]}


def objective_of(settings: Mapping[str, Any], data: Data) -> Objective:
    """The objective of a stage's `settings`, for its data and the outputs of its model."""
    return build_objective(settings["objective"], data, settings["model"])


def model_of(settings: Mapping[str, Any], data: Data, objective: Objective, seed: int) -> Model:
    """The model of a stage's `settings` for its data and objective, with the random weights that belong to `seed`."""
    head, made_for = head_of(settings, objective), (data.shape, objective.outputs)
    model = build_model(settings["model"], head, *made_for, seed, objective.views, objective.head_groups)
    if hasattr(objective, "attach"):
        objective.attach(model)
    return model


def head_of(settings: Mapping[str, Any], objective: Objective) -> Mapping[str, Any]:
    """Settings of the head: the stage's, unless the objective brings its own, as a projection."""
    own = objective.head_settings
    return settings["head"] if own is None else own


def drawing(objective: Any, stream: int) -> Callable[[int, int], None] | None:
    """What tells an objective that draws its luck for a step, given (epoch, step of the epoch); None for all others.

    The luck depends on the stream and the place of the step alone, so that a fit that goes on draws what it would have drawn.
    """
    if not hasattr(objective, "begin_step"):
        return None
    return lambda epoch, step: objective.begin_step(float(random.uniform(stream, epoch, np.array([step]), 1)[0, 0]))


class TrainingUnit(LightningModule):
    """A model with its objective and schedule. Nothing is logged from a step: sums stay on the device till the epoch ends."""

    def __init__(self, model: nn.Module, objective: Any, schedule: Any, phases: Sequence[PhaseOf] = ()) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.schedule = schedule
        self.phases = phases

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of the model. Shape: (B, outputs)."""
        outputs: Tensor = self.model(x)
        return outputs

    def configure_optimizers(self) -> Optimizer:
        """The schedule's optimizer over all parameters that train in some phase. Call it while nothing is frozen for a phase."""
        return build_optimizer(self.schedule, self.model, self.phases)
