"""The unit that is trained: a LightningModule around a model and an objective."""

from __future__ import annotations

from typing import Any

from lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from interpreter.parts.build import build_optimizer


class TrainingUnit(LightningModule):
    """A model with its objective and schedule. Nothing is logged from a step: sums stay on the device till the epoch ends."""

    def __init__(self, model: nn.Module, objective: Any, schedule: Any) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.schedule = schedule

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of the model. Shape: (B, outputs)."""
        outputs: Tensor = self.model(x)
        return outputs

    def configure_optimizers(self) -> Optimizer:
        """The schedule's optimizer over the model's trainable parameters."""
        return build_optimizer(self.schedule, self.model)
