"""Builder of `equivariant_resnet`."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from interpreter.parts.models.equivariance import Turn
from interpreter.parts.models.equivariant.blocks import Block
from interpreter.parts.models.equivariant.conv import SteerableConv3d
from interpreter.parts.models.equivariant.fields import SCALAR, Field
from interpreter.parts.models.equivariant.nonlinear import FourierPointwise
from interpreter.parts.models.equivariant.norm import FieldNorm
from interpreter.parts.models.equivariant.pool import FieldPool
from interpreter.parts.models.layers import global_pool
from interpreter.spec.components.volume_models import EquivariantResnet


def build(config: EquivariantResnet, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The encoder, its children named stem, block1, block2, ..., and its number of features. `config.misfit(shape)` must be "".

    Source: the "alpha" residual network of atompaint; Cesa et al., A program to build E(n)-equivariant steerable CNNs, 2022.
    """
    field = Field(config.fields, config.max_frequency)
    inputs, *widths = config.channels
    children: OrderedDict[str, nn.Module] = OrderedDict(stem=_stem(config, field, shape[0], inputs))
    for number, (width, middle, pool) in enumerate(zip(widths, config.middles(), config.pools(), strict=True), start=1):
        children[f"block{number}"] = _blocks(config, field, inputs, middle, width, pool)
        inputs = width
    sides = config.last_sides(shape) if config.global_pool == "flatten" else (1, 1, 1)
    children["pool"], features = global_pool(config.global_pool, inputs * field.size, sides)
    return Encoder(children, field, sides), features


class Encoder(nn.Sequential):
    """The encoder: its features are fields at the voxels of the last map, or the fields that are their mean.

    Shape: (B, C, X, Y, Z) -> (B, fields * size * voxels), the voxels of a channel side by side.
    """

    def __init__(self, children: OrderedDict[str, nn.Module], field: Field, sides: tuple[int, ...]) -> None:
        super().__init__(children)
        self.field, self.sides = field, sides

    def turned(self, features: torch.Tensor, turn: Turn) -> torch.Tensor:
        """The features of turned volumes, if the network commutes with the turn, given those of the volumes.

        Shape: (B, features) -> (B, features).
        """
        matrix = torch.tensor(self.field.turned(turn.rotation), dtype=features.dtype, device=features.device)
        maps = features.view(len(features), -1, self.field.size, *self.sides)
        return turn.volume(torch.einsum("ij,bfj...->bfi...", matrix, maps)).flatten(1)


def _stem(config: EquivariantResnet, field: Field, inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(OrderedDict(
        conv=SteerableConv3d(SCALAR, inputs, [(field, outputs)]),
        norm=FieldNorm([(field, outputs)]),
        pointwise=FourierPointwise(field, config.grid, config.samples, config.stem_pointwise),
    ))  # fmt: skip


def _blocks(config: EquivariantResnet, field: Field, inputs: int, middle: int | None, outputs: int, pool: int) -> nn.Module:
    """Blocks of one width, after their pooling. Each layer has a name, so that weights fit with it or without."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if pool == 2:
        rule = (config.pool_by, config.blur_sigma_voxels, config.pool_grid == "centered")
        layers["pool"] = FieldPool(field, config.grid, config.samples, *rule)
    for number in range(1, config.repeats + 1):
        layers[f"block{number}"] = Block(config, field, inputs, middle or inputs, outputs)
        inputs = outputs
    return nn.Sequential(layers)
