"""The optimizers a schedule may name: every first-order one of torch that needs no closure and takes dense gradients.

Defaults are torch's, written out here so that they are part of a stage's identity.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from interpreter.spec.base import Component, Config, since

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class LinearRate(Config):
    """A scaling rule: a rate that follows the batch size."""

    base: Positive
    """The learning rate at the batch size `per`."""
    per: Annotated[int, Field(ge=1)]
    """The batch size that `base` belongs to."""
    scale: Literal["linear", "sqrt"] = since(1, "linear", neutral="linear")
    """`linear`: in proportion to the batch size, meant for SGD. `sqrt`: to its square root, meant for Adam and its kin."""

    def at(self, batch_size: int) -> float:
        """The rate at a batch size."""
        if self.scale == "linear":
            return self.base * batch_size / self.per
        return self.base * math.sqrt(batch_size / self.per)


class OptimizerBase(Component):
    """What every optimizer has."""

    lr: Positive | LinearRate
    """Peak learning rate: a number, or {base, per} for lr = base * batch_size / per, or its square root with `scale: sqrt`."""
    weight_decay: NonNegative = 0.0
    """Weight decay: added to the gradient as an L2 penalty, except where the optimizer decouples it."""
    decay_exclude: Literal["none", "norm_and_bias"] = "none"
    """Which parameters weight decay spares: none, or biases and the scales and shifts of normalizations (all of one axis)."""

    def peak_lr(self, batch_size: int) -> float:
        """The peak learning rate at a batch size."""
        return self.lr.at(batch_size) if isinstance(self.lr, LinearRate) else self.lr

    def has_momentum(self) -> bool:
        """Whether the optimizer has a momentum, or betas, the first of which is one."""
        return bool({"momentum", "betas"} & set(type(self).model_fields))


class Betas(OptimizerBase):
    """What the family of Adam has."""

    betas: list[Decay] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    """Decay of the running mean of the gradient and of its square, per step."""
    eps: NonNegative = 1e-8
    """Added to the denominator."""


class Sgd(OptimizerBase):
    """Stochastic gradient descent."""

    type: Literal["sgd"] = "sgd"
    momentum: Decay = 0.0
    """Share of the last step carried into the next."""
    dampening: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the gradient left out of the momentum."""
    nesterov: bool = False
    """Nesterov's momentum; needs a momentum and no dampening."""

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Sgd:
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError("`nesterov` needs a `momentum` above 0 and no `dampening`")
        return self


class Adam(Betas):
    """Adam; weight decay is an L2 penalty."""

    type: Literal["adam"] = "adam"
    amsgrad: bool = False
    """Keep the largest running square of the gradient, not the latest."""


class AdamW(Betas):
    """Adam with decoupled weight decay."""

    type: Literal["adamw"] = "adamw"
    weight_decay: NonNegative = 0.01
    """Decoupled weight decay: each step shrinks the weights by lr * weight_decay."""
    amsgrad: bool = False
    """Keep the largest running square of the gradient, not the latest."""


class Adamax(Betas):
    """Adam by the infinity norm."""

    type: Literal["adamax"] = "adamax"


class NAdam(Betas):
    """Adam with Nesterov's momentum."""

    type: Literal["nadam"] = "nadam"
    momentum_decay: NonNegative = 4e-3
    """Decay of the momentum's own schedule."""
    decoupled_weight_decay: bool = False
    """Decay weights as AdamW does, not as an L2 penalty."""


class RAdam(Betas):
    """Rectified Adam."""

    type: Literal["radam"] = "radam"
    decoupled_weight_decay: bool = False
    """Decay weights as AdamW does, not as an L2 penalty."""


class RmsProp(OptimizerBase):
    """Gradient over the root of its running square."""

    type: Literal["rmsprop"] = "rmsprop"
    alpha: Decay = 0.99
    """Decay of the running square of the gradient, per step."""
    eps: NonNegative = 1e-8
    """Added to the denominator."""
    momentum: Decay = 0.0
    """Share of the last step carried into the next."""
    centered: bool = False
    """Divide by the running standard deviation of the gradient instead."""


class Adagrad(OptimizerBase):
    """Gradient over the root of the sum of its squares."""

    type: Literal["adagrad"] = "adagrad"
    lr_decay: NonNegative = 0.0
    """The rate is divided by 1 + steps * lr_decay, on top of the schedule."""
    initial_accumulator_value: NonNegative = 0.0
    """Where the sum of squares starts."""
    eps: NonNegative = 1e-10
    """Added to the denominator."""


class Adadelta(OptimizerBase):
    """Adadelta; its usual rate is 1."""

    type: Literal["adadelta"] = "adadelta"
    rho: Decay = 0.9
    """Decay of the running squares, per step."""
    eps: NonNegative = 1e-6
    """Added to both running squares."""


class Asgd(OptimizerBase):
    """Averaged stochastic gradient descent."""

    type: Literal["asgd"] = "asgd"
    lambd: NonNegative = 1e-4
    """Decay term of the rate."""
    alpha: NonNegative = 0.75
    """Power of the rate's decay."""
    t0: NonNegative = 1e6
    """Step at which averaging starts."""


class Rprop(OptimizerBase):
    """Resilient backpropagation: only signs of gradients count. For whole-split batches."""

    type: Literal["rprop"] = "rprop"
    weight_decay: Annotated[float, Field(ge=0, le=0)] = 0.0
    """Rprop has none."""
    etas: list[Positive] = Field(default=[0.5, 1.2], min_length=2, max_length=2)
    """What a parameter's step is multiplied by when the sign of its gradient changes, and when it stays."""
    step_sizes: list[Positive] = Field(default=[1e-6, 50.0], min_length=2, max_length=2)
    """Smallest and largest step."""


class Adafactor(OptimizerBase):
    """Adam with a factored second moment, for memory."""

    type: Literal["adafactor"] = "adafactor"
    beta2_decay: Annotated[float, Field(le=0)] = -0.8
    """Power of the step in the decay of the running square."""
    d: Positive = 1.0
    """Clipping threshold of the update."""


Optimizer = Annotated[
    Sgd | Adam | AdamW | Adamax | NAdam | RAdam | RmsProp | Adagrad | Adadelta | Asgd | Rprop | Adafactor,
    Field(discriminator="type"),
]
