"""Config classes of networks for volumes: plain, residual and rotation-equivariant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from interpreter.spec.components.contract import Model
from interpreter.spec.components.models import Activation, Rate, Width


def _short(side: int, layer: str, needed: int) -> str:
    return f"is too deep for these images: before {layer} they are {side} voxels a side, and it takes {needed}"


class Conv3d(Model):
    """What the networks for volumes share: they take cubes, and say where one becomes too small."""

    input_dims: ClassVar[int | None] = 3

    def misfit(self, shape: tuple[int, ...]) -> str:
        """Why an example of `shape` (C, X, Y, Z) does not fit, or ""."""
        if text := super().misfit(shape):
            return text
        walked = self.walk(min(shape[1:]))
        return walked if isinstance(walked, str) else ""

    def walk(self, side: int) -> Mapping[str, int] | str:
        """Layer -> side of its output, for images of `side` voxels; or why they are too small."""
        raise NotImplementedError

    def last_sides(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Sides of the last maps, for examples of `shape` (C, X, Y, Z) that fit."""
        walks = [self.walk(side) for side in shape[1:]]
        return tuple([*walked.values()][-1] for walked in walks if not isinstance(walked, str))


class Cnn3d(Conv3d):
    """A plain network for volumes: convolution, normalization, nonlinearity, pooling and dropout, for each of `channels`."""

    weightless: ClassVar[frozenset[str]] = frozenset({"padding", "pool", "activation", "global_pool", "dropout"})

    type: Literal["cnn3d"] = "cnn3d"
    channels: Annotated[list[Width], Field(min_length=1)]
    """Output channels of each convolution."""
    kernel: Annotated[int, Field(ge=1)] = 3
    """Side of the kernels."""
    padding: Literal["none", "same", "same_after_first"] = "none"
    """Zeros around images: none, so that a convolution shrinks them; enough to keep their size; or that from the second on."""
    pool: Width | list[Width] = 2
    """Side and stride of the max-pooling after each convolution: one for all, or one each; 1 is none."""
    batch_norm: bool = True
    """Batch normalization after each convolution."""
    bias: bool = True
    """Convolutions have a bias, also where a normalization follows."""
    activation: Activation = "relu"
    """Nonlinearity after each convolution."""
    global_pool: Literal["flatten", "avg", "max"] = "flatten"
    """From the last map to features: all positions side by side, or their mean or maximum."""
    dropout: Rate = 0.0
    """Probability of zeroing a number after each convolution and its pooling."""

    @model_validator(mode="after")
    def _consistent(self) -> Cnn3d:
        if self.padding != "none" and self.kernel % 2 == 0:
            raise ValueError(f"`kernel` must be odd where padding keeps the size of images, and is {self.kernel}")
        if isinstance(self.pool, list) and len(self.pool) != len(self.channels):
            raise ValueError(f"`pool` has {len(self.pool)} numbers for {len(self.channels)} convolutions")
        return self

    def pools(self) -> tuple[int, ...]:
        """The pooling after each convolution."""
        return tuple(self.pool) if isinstance(self.pool, list) else (self.pool,) * len(self.channels)

    def paddings(self) -> tuple[int, ...]:
        """The zeros on each side of the images that each convolution takes."""
        first, later = {"none": (0, 0), "same": (1, 1), "same_after_first": (0, 1)}[self.padding]
        return tuple(self.kernel // 2 * (later if number else first) for number in range(len(self.channels)))

    def walk(self, side: int) -> Mapping[str, int] | str:
        """Layer -> side of its output, pooled: 21 voxels become 19, 8, 6 and 2 with pools of 1, 2, 1, 2."""
        sides = {}
        for number, (padding, pool) in enumerate(zip(self.paddings(), self.pools(), strict=True), start=1):
            if side + 2 * padding < self.kernel:
                return _short(side, f"conv{number}", self.kernel)
            side += 2 * padding - self.kernel + 1
            if side < pool:
                return _short(side, f"the pooling of conv{number}", pool)
            side = sides[f"conv{number}"] = side // pool
        return sides

    def features(self) -> int | None:
        """How many features come out, unless they are flattened maps."""
        return None if self.global_pool == "flatten" else self.channels[-1]


class Atom3dCnn(Conv3d):
    """The 3-D network published with ATOM3D (Townshend et al. 2021), without its head: {hidden: 512, dropout: 0.25}.

    Convolutions of 3 without padding, with bias; ReLU; max-pooling of 2 after every second one; dropout.
    """

    weightless: ClassVar[frozenset[str]] = frozenset({"dropout"})

    type: Literal["atom3d_cnn"] = "atom3d_cnn"
    layers: Annotated[int, Field(ge=1, le=8)] = 4
    """Number of convolutions."""
    width: Width = 32
    """Channels of the first convolution; each further one has twice as many."""
    batch_norm: bool = False
    """Batch normalization after the pooling."""
    dropout: Rate = 0.1
    """Probability of zeroing a number after each convolution and its pooling."""

    def plain(self) -> Cnn3d:
        """The plain network it is, but for the place of its normalizations."""
        return Cnn3d(
            channels=[self.width * 2**k for k in range(self.layers)],
            pool=[1 + k % 2 for k in range(self.layers)],
            batch_norm=self.batch_norm,
            dropout=self.dropout,
        )

    def walk(self, side: int) -> Mapping[str, int] | str:
        """Layer -> side of its output, pooled: 41 voxels become 39, 18, 16 and 7."""
        return self.plain().walk(side)


class Resnet3d(Conv3d):
    """A residual network for volumes (He et al. 2015): a convolution of 3 without padding, then a stage for each further width.

    Blocks are post-activation; each stage halves the side. A shortcut is a convolution of 1 with normalization wherever the
    width or the side changes. Convolutions have no bias.
    """

    weightless: ClassVar[frozenset[str]] = frozenset({"downsample", "activation", "global_pool", "dropout"})

    type: Literal["resnet3d"] = "resnet3d"
    widths: Annotated[list[Width], Field(min_length=2)]
    """Channels after the first convolution, and after each stage: [64, 128, 256, 512] has three stages."""
    cap: Width | None = None
    """No width is above this: of [64, 128, 256, 512], 256 makes [64, 128, 256, 256]. Absent: none."""
    repeats: Annotated[int, Field(ge=1)] = 1
    """Blocks in each stage; the first one changes width and side."""
    block: Literal["basic", "bottleneck"] = "basic"
    """`basic`: two convolutions of 3. `bottleneck`: of 1, 3 and 1, between which there are `factor` times fewer channels than
    come in."""
    factor: Annotated[int, Field(ge=2)] | None = None
    """How many times narrower the middle of a bottleneck is than what comes in; must be said with `block: bottleneck`."""
    downsample: Literal["stride", "pool"] = "stride"
    """How a stage halves the side: its first convolution of 3, and the shortcut, have stride 2; or a max-pooling of 2 comes
    before both."""
    activation: Activation = "relu"
    """Nonlinearity after each convolution, and after the sum with the shortcut."""
    global_pool: Literal["avg", "max", "flatten"] = "avg"
    """From the last map to features: mean or maximum over positions, or all positions side by side."""
    dropout: Rate = 0.0
    """Probability of zeroing a number after each block."""

    @model_validator(mode="after")
    def _consistent(self) -> Resnet3d:
        if (self.factor is not None) != (self.block == "bottleneck"):
            raise ValueError("`factor` and `block: bottleneck` go together: it says how narrow the middle of a block is")
        if self.factor is not None:
            # What comes into a stage, and with repeats also what comes out of it, is divided.
            divided = self.capped() if self.repeats > 1 else self.capped()[:-1]
            if wrong := [width for width in divided if width % (self.factor or 1)]:
                raise ValueError(f"`factor` {self.factor} does not divide a width of {wrong[0]}")
        return self

    def capped(self) -> tuple[int, ...]:
        """The widths, none above the cap."""
        return tuple(width if self.cap is None else min(width, self.cap) for width in self.widths)

    def walk(self, side: int) -> Mapping[str, int] | str:
        """Layer -> side of its output: 27 voxels become 25, 13, 7 and 4 by strides; pooling rounds down instead of up."""
        if side < 3:
            return _short(side, "the first convolution", 3)
        sides = {"stem": side - 2}
        for number in range(1, len(self.widths)):
            before = sides["stem" if number == 1 else f"stage{number - 1}"]
            if self.downsample == "pool" and before < 2:
                return _short(before, f"stage{number}", 2)
            sides[f"stage{number}"] = before // 2 if self.downsample == "pool" else (before + 1) // 2
        return sides

    def features(self) -> int | None:
        """How many features come out, unless they are flattened maps."""
        return None if self.global_pool == "flatten" else self.capped()[-1]


_CUBE = 24  # rotations that take a cube to itself
_OF_CUBE_SIZES = (1, 1, 2, 3, 3)  # of their representations A1, A2, E, T1 and T2
# How often each of these is in the representation of SO(3) of order 0, 1, ...
_OF_CUBE = ((1, 0, 0, 0, 0), (0, 0, 0, 1, 0), (0, 0, 1, 0, 1), (0, 1, 0, 1, 1), (1, 0, 1, 1, 1), (0, 0, 1, 2, 1))


class EquivariantResnet(Conv3d):
    """A residual network on fields that turn with the volume: steerable convolutions for SO(3) on R^3 (Cesa et al. 2022, escnn).

    A channel is a field: one copy of a band-limited representation, whose nonlinearities act on samples over the group. A
    convolution of 3 without padding, then a block for each further width: pool, convolve, normalize, gate, convolve,
    normalize, add the shortcut, pointwise nonlinearity. Convolutions have no bias; a shortcut is a convolution of 1 where the
    number of fields changes. A head of linear layers on features is not invariant: features are fields, and turn.
    """

    weightless: ClassVar[frozenset[str]] = frozenset(
        {"grid", "samples", "pointwise", "stem_pointwise", "pool", "pool_by", "blur_sigma_voxels", "pool_grid", "global_pool"}
    )

    type: Literal["equivariant_resnet"] = "equivariant_resnet"
    channels: Annotated[list[Width], Field(min_length=2)]
    """Fields after the first convolution, and after each block: [2, 4, 7, 14, 28] has four blocks."""
    middle: Annotated[list[Width], Field(min_length=1)] | None = None
    """Fields inside the blocks of each width. Absent: as many as come into the block."""
    group: Literal["so3"] = "so3"
    """The symmetry: rotations of space, without reflections."""
    fields: Literal["regular", "quotient"] = "regular"
    """`regular`: functions on SO(3). `quotient`: functions on the sphere, smaller."""
    max_frequency: Annotated[int, Field(ge=0, le=5)] = 2
    """Band limit L: a regular field has the sum of (2l+1)^2 over l up to L numbers (35 for 2), a quotient field (L+1)^2."""
    grid: Literal["thomson_cube", "thomson"] = "thomson_cube"
    """How samples lie over the group: points that repel each other, with the 24 symmetries of a cube or without."""
    samples: Annotated[int, Field(ge=1, le=1024)] = 96
    """Samples over the group (over the sphere for `quotient`) at which pointwise nonlinearities and extreme pooling act."""
    gate: Literal["gated", "fourier"] = "gated"
    """First nonlinearity of a block: each field times a sigmoid of a scalar of its own; or `pointwise`, like the second."""
    pointwise: Literal["relu", "elu", "gelu", "leaky_hardshrink"] = "leaky_hardshrink"
    """Function at samples, at the end of a block; leaky_hardshrink is hardshrink(x, 2) + 0.1 x."""
    stem_pointwise: Literal["relu", "elu", "gelu", "leaky_hardshrink"] = "relu"
    """Function at samples after the first convolution."""
    pool: Annotated[int, Field(ge=1, le=2)] | list[Annotated[int, Field(ge=1, le=2)]] = 2
    """Halving (2) of the side before each block, or not (1): one for all, or one each."""
    pool_by: Literal["extreme", "average"] = "extreme"
    """`extreme`: the sample largest in absolute value, with its sign, then a blur. `average`: the blur alone."""
    blur_sigma_voxels: Annotated[float, Field(gt=0, le=4)] = 0.6
    """Standard deviation of the Gaussian blur before every second voxel is taken; its kernel reaches four of them."""
    pool_grid: Literal["centered", "corner"] = "centered"
    """Which voxels stay. `centered`: they lie around the middle of the image, whatever its side, so that turns of a cube commute
    with the network. `corner`: the first, and every second, as published; half a voxel off the middle where a side is odd."""
    repeats: Annotated[int, Field(ge=1)] = 1
    """Blocks for each width after the first; only the first of them pools."""
    global_pool: Literal["flatten", "avg"] = "flatten"
    """From the last map to features: all positions side by side, or their mean."""

    @model_validator(mode="after")
    def _consistent(self) -> EquivariantResnet:
        blocks = len(self.channels) - 1
        for name, numbers in (("middle", self.middle), ("pool", self.pool)):
            if isinstance(numbers, list) and len(numbers) != blocks:
                raise ValueError(f"`{name}` has {len(numbers)} numbers for {blocks} blocks")
        if self.grid == "thomson_cube" and self.samples % _CUBE:
            raise ValueError(
                f"`grid: thomson_cube` comes in multiples of the cube's {_CUBE} rotations, and `samples` is {self.samples}"
            )
        if self.samples < self.least_samples():
            raise ValueError(
                f"`samples` {self.samples} can't tell apart the {self.field_size()} numbers of a field: take"
                f" {self.least_samples()} or more, or lower `max_frequency`"
            )
        return self

    def least_samples(self) -> int:
        """So many samples tell apart all numbers of a field."""
        if self.grid == "thomson":
            return self.field_size()
        # With a cube's symmetry, samples come as orbits of 24. An orbit tells apart as many copies of a representation of the
        # cube's rotations as that has dimensions.
        orders = range(self.max_frequency + 1)
        copies = [2 * order + 1 if self.fields == "regular" else 1 for order in orders]
        return _CUBE * max(
            math.ceil(sum(n * _OF_CUBE[order][kind] for order, n in zip(orders, copies, strict=True)) / size)
            for kind, size in enumerate(_OF_CUBE_SIZES)
        )

    def field_size(self) -> int:
        """Numbers of one field at one voxel."""
        orders = range(self.max_frequency + 1)
        return sum((2 * order + 1) ** 2 if self.fields == "regular" else 2 * order + 1 for order in orders)

    def middles(self) -> tuple[int | None, ...]:
        """Fields inside the blocks of each width; None where they are as many as come in."""
        return tuple(self.middle) if self.middle is not None else (None,) * (len(self.channels) - 1)

    def pools(self) -> tuple[int, ...]:
        """Whether each block halves the side (2) or not (1)."""
        return tuple(self.pool) if isinstance(self.pool, list) else (self.pool,) * (len(self.channels) - 1)

    def walk(self, side: int) -> Mapping[str, int] | str:
        """Layer -> side of its output: 33 voxels become 31, 15, 7, 3 and 1."""
        if side < 3:
            return _short(side, "the first convolution", 3)
        sides, side = {"stem": side - 2}, side - 2
        for number, pool in enumerate(self.pools(), start=1):
            if side < pool:
                return _short(side, f"the pooling of block{number}", pool)
            side = sides[f"block{number}"] = side // pool
        return sides

    def features(self) -> int | None:
        """How many features come out, unless they are flattened maps."""
        return None if self.global_pool == "flatten" else self.channels[-1] * self.field_size()
