"""Builder of `supcon`."""

from __future__ import annotations

import torch

from interpreter.parts.contract import Data
from interpreter.parts.objectives.classes import check_classes
from interpreter.parts.objectives.contrast import Contrastive
from interpreter.spec.components.objectives import SupCon


class SupervisedContrast(Contrastive):
    """Views of images of one class are positives of each other. An evaluated image has one view, and its class for positives."""

    def __init__(self, config: SupCon) -> None:
        super().__init__(config, config.temperature)
        self.first_views_only = config.anchors == "one"

    def groups(self, targets: torch.Tensor, first: int) -> torch.Tensor:
        """The classes. Shape: (B,) -> (B,)."""
        return targets


def build(config: SupCon, data: Data) -> SupervisedContrast:
    """The objective for the classes of `data`. Raises: StageFailed when its targets are no classes."""
    check_classes(data, config.type)
    return SupervisedContrast(config)
