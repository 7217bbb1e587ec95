"""A plug-in of expt: the dataset `spirals` and the model `fourier_mlp`. This module only says where they are."""

from interpreter.catalog import Line

__version__ = "0.1.0"

LINES: tuple[Line, ...] = (
    Line(
        "dataset",
        "spirals",
        "expt_spirals.config:Spirals",
        "expt_spirals.data:build",
        "points of two spirals wound into each other, generated",
    ),
    Line(
        "model",
        "fourier_mlp",
        "expt_spirals.config:FourierMlp",
        "expt_spirals.model:build",
        "random Fourier features, then a multilayer perceptron",
    ),
)
