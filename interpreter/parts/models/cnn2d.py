"""Builder of `cnn2d`."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from interpreter.parts.models.layers import ACTIVATIONS, global_pool
from interpreter.spec.components.models import Cnn2d


def build(config: Cnn2d, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The encoder, layers named conv1, conv2, ..., and its number of features. `config.misfit(shape)` must be ""."""
    channels, height, width = shape
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (out, pool) in enumerate(zip(config.channels, config.pools(), strict=True), start=1):
        block: list[nn.Module] = [nn.Conv2d(channels, out, config.kernel, padding=config.kernel // 2, bias=not config.batch_norm)]
        if config.batch_norm:
            block.append(nn.BatchNorm2d(out))
        block.append(ACTIVATIONS[config.activation]())
        if pool > 1:
            block.append(nn.MaxPool2d(pool))
        if config.dropout:
            block.append(nn.Dropout2d(config.dropout))
        blocks[f"conv{number}"] = nn.Sequential(*block)
        channels, height, width = out, height // pool, width // pool
    blocks["pool"], features = global_pool(config.global_pool, channels, (height, width))
    return nn.Sequential(blocks), features
