"""Builder of `interpensemble_draw`."""

from __future__ import annotations

from interpreter.parts.contract import Data
from interpreter.parts.objectives.interpensemble import Branched, outputs_of
from interpreter.spec.components.objectives import InterpensembleDraw


class BranchDrawn(Branched):
    """Each step is for one of the branches. `begin_step` decides; before the first step the loss is the expected one."""

    def begin_step(self, luck: float) -> None:
        """Draw the branch of the step that begins. `luck`: a uniform number in [0, 1)."""
        wide = luck < self.big
        self.weigh(float(wide), float(not wide))


def build(config: InterpensembleDraw, data: Data) -> BranchDrawn:
    """The objective for the classes of `data`. Raises: StageFailed when its targets are no classes."""
    return BranchDrawn(config.big, outputs_of(data, config.type))
