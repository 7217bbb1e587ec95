"""The head: from features to outputs."""

from __future__ import annotations

from torch import nn

from interpreter.spec.components.models import Head


def build_head(config: Head, features: int, outputs: int) -> nn.Sequential:
    """The head as a sequence; torch's own initialization of linear layers.

    Shape: (B, features) -> (B, outputs).
    """
    layers: list[nn.Module] = []
    for width in config.widths():
        layers += [nn.Linear(features, width), nn.ReLU()]
        if config.dropout:
            layers.append(nn.Dropout(config.dropout))
        features = width
    if config.dropout and not config.widths():
        layers.append(nn.Dropout(config.dropout))
    layers.append(nn.Linear(features, outputs))
    return nn.Sequential(*layers)
