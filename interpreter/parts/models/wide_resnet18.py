"""Builder of `wide_resnet18`."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from interpreter.parts.models.layers import BasicBlock, global_pool, init_kaiming
from interpreter.spec.components.images import WideResnet18


def build(config: WideResnet18, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The encoder and its number of features.

    Children and parameters are named as torchvision and timm name those of a ResNet-18: conv1, bn1, layer1, ..., layer4.
    """
    channels, kernel, stride = config.base * config.width, *((3, 1) if config.stem == "cifar" else (7, 2))
    children: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(shape[0], channels, kernel, stride, padding=kernel // 2, bias=False),
        bn1=nn.BatchNorm2d(channels),
        relu=nn.ReLU(),
    )
    if config.max_pool == "keep":
        children["maxpool"] = nn.MaxPool2d(3, stride=2, padding=1)
    for number in range(1, 5):
        width, stride = config.base * config.width * 2 ** (number - 1), 1 if number == 1 else 2
        first = BasicBlock(2, channels, width, stride=stride, project=stride > 1)
        children[f"layer{number}"] = nn.Sequential(first, BasicBlock(2, width, width))
        channels = width
    children["pool"], features = global_pool("avg", channels, shape[1:])
    encoder = nn.Sequential(children)
    init_kaiming(encoder)
    return encoder, features
