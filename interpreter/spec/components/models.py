"""Config classes of the models. A model is an encoder, from examples to a vector of features; `Head` is the stage's."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from interpreter.spec.base import Config
from interpreter.spec.components.contract import Model

Width = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Activation = Literal["relu", "gelu", "silu", "elu", "leaky_relu", "tanh"]


class Head(Config):
    """What turns features into outputs: hidden layers (linear, ReLU, dropout) and a last linear layer."""

    hidden: Width | list[Width] | None = None
    """Width of the hidden layer, or widths of several. Absent: the last linear layer alone."""
    dropout: Rate = 0.0
    """Probability of zeroing a number before the last linear layer, and after each hidden one."""

    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        if self.hidden is None:
            return ()
        return (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)


class Mlp(Model):
    """A multilayer perceptron; images are flattened. With no hidden layer the features are the pixels."""

    input_dims: ClassVar[int | None] = None
    weightless: ClassVar[frozenset[str]] = frozenset({"activation", "dropout"})
    flattens: ClassVar[bool] = True

    type: Literal["mlp"] = "mlp"
    hidden: list[Width]
    """Widths of the layers, the last being the number of features; [] makes the whole model linear in the pixels."""
    activation: Activation = "relu"
    """Nonlinearity after each layer."""
    batch_norm: bool = False
    """Batch normalization before each nonlinearity."""
    dropout: Rate = 0.0
    """Probability of zeroing a feature after each layer."""

    def features(self) -> int | None:
        """Width of the last layer; None where the features are the pixels."""
        return self.hidden[-1] if self.hidden else None


class Cnn2d(Model):
    """A plain convolutional network: convolution, normalization, nonlinearity, pooling, for each of `channels`."""

    input_dims: ClassVar[int | None] = 2
    weightless: ClassVar[frozenset[str]] = frozenset({"activation", "dropout", "pool", "global_pool"})

    type: Literal["cnn2d"] = "cnn2d"
    channels: Annotated[list[Width], Field(min_length=1)]
    """Output channels of each convolution."""
    kernel: Annotated[int, Field(ge=1)] = 3
    """Side of the kernels, odd; images are zero-padded so that a convolution keeps their size."""
    pool: Width | list[Width] = 2
    """Side and stride of the max-pooling after each convolution: one for all, or one each; 1 is none."""
    batch_norm: bool = True
    """Batch normalization after each convolution, which then has no bias."""
    activation: Activation = "relu"
    """Nonlinearity after each convolution."""
    global_pool: Literal["avg", "max", "flatten"] = "avg"
    """From the last map to features: mean or maximum over positions, or all positions side by side."""
    dropout: Rate = 0.0
    """Probability of zeroing a whole channel after each convolution."""

    @model_validator(mode="after")
    def _consistent(self) -> Cnn2d:
        if self.kernel % 2 == 0:
            raise ValueError(f"`kernel` must be odd, to keep the size of images, and is {self.kernel}")
        if isinstance(self.pool, list) and len(self.pool) != len(self.channels):
            raise ValueError(f"`pool` has {len(self.pool)} numbers for {len(self.channels)} convolutions")
        return self

    def pools(self) -> tuple[int, ...]:
        """The pooling after each convolution."""
        return tuple(self.pool) if isinstance(self.pool, list) else (self.pool,) * len(self.channels)

    def misfit(self, shape: tuple[int, ...]) -> str:
        """Why an example of `shape` (C, H, W) does not fit, or ""."""
        if text := super().misfit(shape):
            return text
        height, width = shape[1:]
        for number, pool in enumerate(self.pools(), start=1):
            if min(height, width) < pool:
                return (
                    f"pools too often for images of {shape[1]} x {shape[2]}: before the pooling of conv{number} they are"
                    f" {height} x {width}, and it takes {pool} x {pool}"
                )
            height, width = height // pool, width // pool
        return ""

    def features(self) -> int | None:
        """How many features come out, unless they are flattened maps."""
        return None if self.global_pool == "flatten" else self.channels[-1]


class Timm(Model):
    """Any image model of the timm library, without its classifier."""

    input_dims: ClassVar[int | None] = 2
    weightless: ClassVar[frozenset[str]] = frozenset({"max_pool", "dropout", "drop_path", "zero_init_last", "pretrained"})

    type: Literal["timm"] = "timm"
    name: Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9_.\-]*$")]
    """The model's name in timm: resnet18, seresnext50_32x4d, vit_tiny_patch16_224."""
    stem: Literal["cifar"] | None = None
    """`cifar`: the first convolution is 3x3 with stride 1, for small images (ResNet family only). Absent: timm's own."""
    max_pool: Literal["keep", "remove"] | None = None
    """Whether the max-pooling behind the first convolution stays. Must be said with a `stem`. Absent: timm's own."""
    dropout: Rate = 0.0
    """Dropout of the features (timm's drop_rate)."""
    drop_path: Rate = 0.0
    """Stochastic depth (timm's drop_path_rate)."""
    zero_init_last: bool | None = None
    """Start each residual branch at zero (ResNet family only). Absent: timm's own default."""
    pretrained: bool = False
    """Start from the weights timm publishes for this name, which must be on this machine: nothing is fetched."""

    @model_validator(mode="after")
    def _pool_said(self) -> Timm:
        if self.stem is not None and self.max_pool is None:
            raise ValueError("with `stem: cifar`, say whether the max-pooling stays: `max_pool: keep` or `max_pool: remove`")
        if self.stem is not None and self.pretrained:
            raise ValueError("`stem: cifar` has a first convolution that no published weights fit; drop it, or `pretrained`")
        return self
