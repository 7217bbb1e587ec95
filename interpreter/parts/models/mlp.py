"""Builder of `mlp`."""

from __future__ import annotations

import math
from collections import OrderedDict

from torch import nn

from interpreter.parts.models.layers import ACTIVATIONS
from interpreter.spec.components.models import Mlp


def build(config: Mlp, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The encoder, layers named layer1, layer2, ..., and its number of features."""
    features = math.prod(shape)
    blocks: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for number, width in enumerate(config.hidden, start=1):
        block: list[nn.Module] = [nn.Linear(features, width)]
        if config.batch_norm:
            block.append(nn.BatchNorm1d(width))
        block.append(ACTIVATIONS[config.activation]())
        if config.dropout:
            block.append(nn.Dropout(config.dropout))
        blocks[f"layer{number}"] = nn.Sequential(*block)
        features = width
    return nn.Sequential(blocks), features
