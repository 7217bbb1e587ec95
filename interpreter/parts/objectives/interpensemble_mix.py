"""Builder of `interpensemble_mix`."""

from __future__ import annotations

from interpreter.parts.contract import Data
from interpreter.parts.objectives.interpensemble import Branched, outputs_of
from interpreter.spec.components.objectives import InterpensembleMix


def build(config: InterpensembleMix, data: Data) -> Branched:
    """The objective for the classes of `data`: every step is for both branches, or for the one that has all the weight.

    Raises: StageFailed when its targets are no classes.
    """
    return Branched(config.big, outputs_of(data, config.type))
