"""What the end of a fit says of an encoder that is to turn with its volumes: how far it is from that, and what heads make of it.

Features that turn with a volume do not stay as they are, so a head of linear layers on them is no invariant function. Nothing
here claims that predictions do not depend on how an example lies: how much they do is measured.
"""

from __future__ import annotations

import numpy as np

from interpreter.parts.contract import Data, Model
from interpreter.parts.models.equivariance import Turn, Turning, equivariance_error, invariance_error
from interpreter.stages.work import Event, finding_at_end

# A third of a turn about a diagonal and a quarter about an axis: all 24 rotations of a cube are made of these two.
GENERATORS = (Turn((1, 2, 0), (False, False, False)), Turn((0, 2, 1), (False, True, False)))
ROUNDING = 0.05
"""A larger error is of the network, not of single precision: that leaves 1e-6, and some 1e-2 where a nonlinearity jumps."""


def of_end(model: Model, data: Data, end: int) -> list[Event]:
    """One finding for an encoder that says how its features turn; none for another.

    It is measured on the first evaluated example. The larger of both turns counts, as a root mean square over that of what is
    turned. The outputs of pairs are left out: of a turned pair, the right answer is another one.
    """
    encoder = model.encoder
    if not isinstance(encoder, Turning):
        return []
    split = data.splits["val" if "val" in data.splits else "train"]
    x = split.batch(np.zeros(1, dtype=np.int64), None)[0].to(next(model.parameters()).device)
    volume = x if model.views == 1 else x[:, 0]
    error = equivariance_error(encoder, volume, GENERATORS)
    text = f"under turns of a cube the encoder's features are {error:.1e} of their size from turning with the volume"
    if model.views == 1:
        text += f", and predictions change by {invariance_error(model, volume, GENERATORS):.1e} of theirs"
    return [
        finding_at_end(end, "turns-with-volume", text, "note")
        if error <= ROUNDING
        else finding_at_end(end, "not-equivariant", text)
    ]
