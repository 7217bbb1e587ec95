"""Builder of `cnn3d`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from interpreter.parts.models.layers import ACTIVATIONS, global_pool
from interpreter.spec.components.volume_models import Cnn3d

ORDER = ("conv", "bn", "activation", "pool", "dropout")


def build(config: Cnn3d, shape: tuple[int, ...], order: Sequence[str] = ORDER) -> tuple[nn.Module, int]:
    """The encoder, layers named conv1, conv2, ..., and its number of features. `config.misfit(shape)` must be "".

    `order` is that of the parts of each layer; each has a name, so that weights fit whatever else is there.
    """
    channels = shape[0]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    rows = zip(config.channels, config.paddings(), config.pools(), strict=True)
    for number, (out, padding, pool) in enumerate(rows, start=1):
        parts: dict[str, nn.Module] = {
            "conv": nn.Conv3d(channels, out, config.kernel, padding=padding, bias=config.bias),
            "activation": ACTIVATIONS[config.activation](),
        }
        if config.batch_norm:
            parts["bn"] = nn.BatchNorm3d(out)
        if pool > 1:
            parts["pool"] = nn.MaxPool3d(pool)
        if config.dropout:
            parts["dropout"] = nn.Dropout(config.dropout)
        layers[f"conv{number}"] = nn.Sequential(OrderedDict((name, parts[name]) for name in order if name in parts))
        channels = out
    layers["pool"], features = global_pool(config.global_pool, channels, config.last_sides(shape))
    return nn.Sequential(layers), features
