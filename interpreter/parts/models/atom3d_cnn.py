"""Builder of `atom3d_cnn`: a `cnn3d` with the published settings, and its normalizations in another place."""

from __future__ import annotations

from torch import nn

from interpreter.parts.models import cnn3d
from interpreter.spec.components.volume_models import Atom3dCnn

ORDER = ("conv", "activation", "pool", "bn", "dropout")


def build(config: Atom3dCnn, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The encoder, layers named conv1, conv2, ..., and its number of features. `config.misfit(shape)` must be ""."""
    return cnn3d.build(config.plain(), shape, ORDER)
