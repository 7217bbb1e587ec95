"""Random changes of a whole batch of images at once, from numbers drawn for each image.

Each change has its own columns among the draws of an image, so that adding one to a page leaves what the others do as it was.
What is computed from the draws is computed in double precision, and images are only touched number by number: the view of an
image is the same bits in whatever batch it comes.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from interpreter.spec.components.datasets import Augment, Jitter, RandomCrop

Floats = NDArray[np.float64]

_FLIP, _AREA, _RATIO, _TOP, _LEFT, _DOWN, _ACROSS, _JITTER, _BRIGHT, _CONTRAST, _COLOUR, _HUE, _GRAY = range(13)
DRAWS = 13  # of one view of an image
_LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in grey (Rec. 601)


def augmented(x: torch.Tensor, draws: Floats, recipe: Augment) -> torch.Tensor:
    """A random view of each image: crop, shift, mirror image, colours, grey, in this order.

    Shape: x (B, 3, S, S) in 0..1, draws (B, 13) in [0, 1) -> (B, 3, S, S) in 0..1.
    """
    x = x.clone() if recipe.crop is None else _cropped(x, draws, recipe.crop)
    if recipe.shift:
        x = _shifted(x, draws, recipe.shift)
    if recipe.flip:
        at = np.flatnonzero(draws[:, _FLIP] < recipe.flip)
        x[at] = x[at].flip(-1)
    if recipe.jitter is not None:
        at = np.flatnonzero(draws[:, _JITTER] < recipe.jitter.p)
        x[at] = _jittered(x[at], draws[at], recipe.jitter)
    if recipe.gray:
        at = np.flatnonzero(draws[:, _GRAY] < recipe.gray)
        x[at] = _grey(x[at]).expand(-1, 3, -1, -1)
    return x


def _cropped(x: torch.Tensor, draws: Floats, crop: RandomCrop) -> torch.Tensor:
    """A part of random area, shape and place, resampled linearly to the whole size; a part never reaches outside."""
    area = crop.scale[0] + draws[:, _AREA] * (crop.scale[1] - crop.scale[0])
    low, high = math.log(crop.ratio[0]), math.log(crop.ratio[1])
    ratio = np.exp(low + draws[:, _RATIO] * (high - low))
    width, height = np.minimum(np.sqrt(area * ratio), 1), np.minimum(np.sqrt(area / ratio), 1)
    side = x.shape[-1]
    centres = (2 * np.arange(side) + 1) / side - 1  # of the pixels, from -1 to 1 across the image
    across = ((2 * draws[:, _LEFT] - 1) * (1 - width))[:, None] + width[:, None] * centres
    down = ((2 * draws[:, _TOP] - 1) * (1 - height))[:, None] + height[:, None] * centres
    grid = torch.empty(len(x), side, side, 2)
    grid[..., 0] = torch.from_numpy(across)[:, None, :]
    grid[..., 1] = torch.from_numpy(down)[:, :, None]
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _shifted(x: torch.Tensor, draws: Floats, most: int) -> torch.Tensor:
    """The images moved by whole pixels, -most..most each way, filled up with black."""
    offsets = (draws[:, [_DOWN, _ACROSS]] * (2 * most + 1)).astype(np.int64).tolist()
    wide, side, moved = functional.pad(x, (most,) * 4), x.shape[-1], torch.empty_like(x)
    for image, (down, across) in enumerate(offsets):  # for photographs faster than gathering number by number
        moved[image] = wide[image, :, down : down + side, across : across + side]
    return moved


def _jittered(x: torch.Tensor, draws: Floats, jitter: Jitter) -> torch.Tensor:
    """Brightness, contrast, saturation, hue, each kept within 0..1 before the next."""

    def factor(column: int, strength: float) -> torch.Tensor:
        return torch.from_numpy((1 + (2 * draws[:, column] - 1) * strength).astype(np.float32))[:, None, None, None]

    if jitter.brightness:
        x = (x * factor(_BRIGHT, jitter.brightness)).clamp_(0, 1)
    if jitter.contrast:
        middle = _grey(x).mean(dim=(2, 3), keepdim=True, dtype=torch.float64).float()
        x = ((x - middle) * factor(_CONTRAST, jitter.contrast) + middle).clamp_(0, 1)
    if jitter.saturation:
        grey = _grey(x)
        x = ((x - grey) * factor(_COLOUR, jitter.saturation) + grey).clamp_(0, 1)
    if jitter.hue:
        x = _turned(x, (2 * draws[:, _HUE] - 1) * jitter.hue * 2 * math.pi).clamp_(0, 1)
    return x


def _grey(x: torch.Tensor) -> torch.Tensor:
    red, green, blue = x.unbind(1)
    return (red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2])[:, None]


def _turned(x: torch.Tensor, angle: Floats) -> torch.Tensor:
    """The colours turned by `angle` (B,) in radians about the grey axis: a rotation of the two chroma axes of YIQ."""
    to_yiq = np.array([_LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
    turn = np.zeros((len(x), 3, 3))
    turn[:, 0, 0] = 1
    turn[:, 1, 1], turn[:, 1, 2], turn[:, 2, 1], turn[:, 2, 2] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    weight = torch.from_numpy((np.linalg.inv(to_yiq) @ turn @ to_yiq).astype(np.float32))[:, :, :, None, None]
    red, green, blue = x[:, 0:1], x[:, 1:2], x[:, 2:3]
    turned: torch.Tensor = weight[:, :, 0] * red + weight[:, :, 1] * green + weight[:, :, 2] * blue
    return turned
