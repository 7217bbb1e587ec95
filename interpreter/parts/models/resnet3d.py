"""Builder of `resnet3d`."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from interpreter.parts.models.layers import ACTIVATIONS, BasicBlock, Bottleneck, global_pool
from interpreter.spec.components.volume_models import Resnet3d


def build(config: Resnet3d, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The encoder, its children named stem, stage1, stage2, ..., and its number of features. `config.misfit(shape)` must be "".

    Weights are torch's own random ones.
    """
    channels, *widths = config.capped()
    children: OrderedDict[str, nn.Module] = OrderedDict(stem=_stem(config, shape[0], channels))
    for number, width in enumerate(widths, start=1):
        children[f"stage{number}"] = _stage(config, channels, width)
        channels = width
    children["pool"], features = global_pool(config.global_pool, channels, config.last_sides(shape))
    return nn.Sequential(children), features


def _stem(config: Resnet3d, inputs: int, outputs: int) -> nn.Module:
    conv = nn.Conv3d(inputs, outputs, 3, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm3d(outputs), activation=ACTIVATIONS[config.activation]()))


def _stage(config: Resnet3d, inputs: int, outputs: int) -> nn.Module:
    """Blocks of one width. Each layer has a name, so that weights fit however the side is halved, with dropout or without."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if config.downsample == "pool":
        layers["pool"] = nn.MaxPool3d(2)
    for number in range(1, config.repeats + 1):
        first = number == 1  # it alone changes width and side, so it alone has a convolution in its shortcut
        stride = 2 if first and config.downsample == "stride" else 1
        layers[f"block{number}"] = _block(config, inputs if first else outputs, outputs, stride, first)
        if config.dropout:
            layers[f"dropout{number}"] = nn.Dropout(config.dropout)
    return nn.Sequential(layers)


def _block(config: Resnet3d, inputs: int, outputs: int, stride: int, project: bool) -> nn.Module:
    if config.factor is None:
        return BasicBlock(3, inputs, outputs, stride=stride, project=project, activation=config.activation)
    middle = inputs // config.factor
    return Bottleneck(3, inputs, middle, outputs, stride=stride, project=project, activation=config.activation)
