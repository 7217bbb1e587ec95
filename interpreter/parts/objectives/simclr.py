"""Builder of `simclr`."""

from __future__ import annotations

import torch

from interpreter.parts.contract import Data
from interpreter.parts.objectives.contrast import Contrastive
from interpreter.spec.components.objectives import SimClr


class ImageContrast(Contrastive):
    """The views of one image are positives of each other; labels are not looked at.

    An evaluated image has one view, which then is both of its views: what is measured is the loss without augmentation. It says
    how far apart images lie, and not whether views of one image lie together.
    """

    evaluated_views = 2

    def __init__(self, config: SimClr) -> None:
        super().__init__(config, config.temperature)

    def groups(self, targets: torch.Tensor, first: int) -> torch.Tensor:
        """A number for each image. Shape: (B,) -> (B,)."""
        return torch.arange(first, first + len(targets), device=targets.device)


def build(config: SimClr, data: Data) -> ImageContrast:
    """The objective; its targets may be anything."""
    return ImageContrast(config)
