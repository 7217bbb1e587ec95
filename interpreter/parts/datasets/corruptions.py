"""Named corruptions of images in five grades, after Hendrycks & Dietterich 2019, with the strengths of their CIFAR-10-C.

Images are (B, C, S, S) in 0..1, of any number of channels; what comes out is kept within 0..1. `c` is the strength of a grade,
u are numbers in [0, 1) drawn for each image alone, the same in every grade, so that a higher grade is more of the same.

    gaussian_noise  x + c z, with z normal for each number
    shot_noise      Poisson(c x) / c: light counted in c quanta
    impulse_noise   each number, with probability c, becomes 0 or 1
    gaussian_blur   convolved with a Gaussian of deviation c max(1, S / 32) pixels; what lies outside is as the edge
    pixelate        floor(c S) blocks a side, each the mean of the pixels whose middles lie in it (Pillow's box filter)
    brightness      V = max over channels becomes min(V + c, 1) in HSV; of one channel, x + c
    contrast        (x - m) c + m, with m the mean of each channel
    rotate          turned by c degrees, to a side drawn for each image; what comes in is 0
    translate       moved by c sides in a direction drawn for each image; what comes in is 0

The last two are not theirs, and have grades of ours. Values between pixels are interpolated linearly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

Floats = NDArray[np.float64]

_BLUR_REACH = 4.0  # deviations after which a Gaussian is cut off


def _gaussian_noise(x: torch.Tensor, c: float, u: Floats) -> torch.Tensor:
    # u is a multiple of 2^-53: half a step more keeps it off 0, whose normal number is minus infinity.
    return x + c * torch.special.ndtri(_like(x, u) + 2.0**-54)


def _shot_noise(x: torch.Tensor, c: float, u: Floats) -> torch.Tensor:
    return _poisson(c * x, _like(x, u)) / c


def _impulse_noise(x: torch.Tensor, c: float, u: Floats) -> torch.Tensor:
    luck = _like(x, u)
    salted = torch.where(luck < c / 2, torch.zeros_like(x), x)
    return torch.where(luck >= 1 - c / 2, torch.ones_like(x), salted)


def _gaussian_blur(x: torch.Tensor, c: float, u: Floats) -> torch.Tensor:
    deviation = c * max(1.0, x.shape[-1] / 32)
    reach = max(1, math.ceil(_BLUR_REACH * deviation))
    at = torch.arange(-reach, reach + 1, dtype=x.dtype)
    kernel = torch.exp(-(at**2) / (2 * deviation**2))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)
    wide = functional.pad(x, (reach,) * 4, mode="replicate")
    across = functional.conv2d(wide, kernel, groups=x.shape[1])
    return functional.conv2d(across, kernel.transpose(2, 3), groups=x.shape[1])


def _pixelate(x: torch.Tensor, c: float, u: Floats) -> torch.Tensor:
    side, few = x.shape[-1], max(1, int(c * x.shape[-1]))
    twice = (2 * torch.arange(side) + 1) * few  # the middle of each pixel, in halves of a block and `side` to the whole
    block, shown = -(-twice // (2 * side)) - 1, twice // (2 * side)  # a middle on an edge belongs to the block before it
    down = functional.one_hot(block, few).T.to(x.dtype)
    down = down / down.sum(dim=1, keepdim=True)
    small = down @ x @ down.T
    return small[:, :, shown][:, :, :, shown]


def _brightness(x: torch.Tensor, c: float, u: Floats) -> torch.Tensor:
    value = x.amax(dim=1, keepdim=True)
    brighter = (value + c).clamp(max=1)
    return torch.where(value > 0, x * (brighter / value.clamp(min=1e-12)), brighter)


def _contrast(x: torch.Tensor, c: float, u: Floats) -> torch.Tensor:
    mean = x.mean(dim=(2, 3), keepdim=True)
    return (x - mean) * c + mean


def _rotate(x: torch.Tensor, c: float, u: Floats) -> torch.Tensor:
    angle = math.radians(c) * np.where(u[:, 0] < 0.5, -1.0, 1.0)
    turn = np.zeros((len(x), 2, 3))
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    return _moved(x, turn)


def _translate(x: torch.Tensor, c: float, u: Floats) -> torch.Tensor:
    direction = 2 * math.pi * u[:, 0]
    move = np.zeros((len(x), 2, 3))
    move[:, 0, 0] = move[:, 1, 1] = 1
    move[:, 0, 2], move[:, 1, 2] = 2 * c * np.cos(direction), 2 * c * np.sin(direction)  # an image is two units wide
    return _moved(x, move)


Rule = Callable[[torch.Tensor, float, Floats], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Corruption:
    """One corruption: what is done, how strongly in each grade, and how many numbers it draws."""

    rule: Rule
    strengths: tuple[float, float, float, float, float]
    draws: str = "none"  # "none", "one" for each image, or "each" for each number of it

    def drawn(self, shape: tuple[int, ...]) -> int:
        """Numbers drawn for one image of `shape`."""
        return {"none": 0, "one": 1, "each": math.prod(shape)}[self.draws]

    def __call__(self, x: torch.Tensor, severity: int, u: Floats) -> torch.Tensor:
        """The images corrupted in one of the grades 1 to 5. Shape: x (B, C, S, S) in 0..1, u (B, draws) -> as x, in 0..1."""
        return self.rule(x, self.strengths[severity - 1], u).clamp(0, 1)


CORRUPTIONS = {
    "gaussian_noise": Corruption(_gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10), "each"),
    "shot_noise": Corruption(_shot_noise, (500, 250, 100, 75, 50), "each"),
    "impulse_noise": Corruption(_impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07), "each"),
    "gaussian_blur": Corruption(_gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1.0)),
    "pixelate": Corruption(_pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),
    "brightness": Corruption(_brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": Corruption(_contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "rotate": Corruption(_rotate, (6, 12, 18, 24, 30), "one"),
    "translate": Corruption(_translate, (0.02, 0.04, 0.06, 0.08, 0.1), "one"),
}


def _like(x: torch.Tensor, u: Floats) -> torch.Tensor:
    return torch.from_numpy(u).reshape(x.shape)


def _poisson(mean: torch.Tensor, luck: torch.Tensor) -> torch.Tensor:
    """The Poisson number that each uniform number stands for: the least k whose cumulated probability exceeds it.

    Means above about 700 would begin with a probability of 0; those here end at 500.
    """
    probability = torch.exp(-mean)
    count, reached = torch.zeros_like(mean), probability.clone()
    limit = int(float(mean.max()) + 10 * math.sqrt(float(mean.max())) + 20)  # beyond, 53 bits of luck don't go
    for k in range(1, limit + 1):
        more = luck >= reached
        if not more.any():
            break
        count += more
        probability *= mean / k
        reached += probability
    return count


def _moved(x: torch.Tensor, where: Floats) -> torch.Tensor:
    """Each image as seen through a map from its own coordinates, -1 to 1 across, to those it is read at; 0 outside."""
    grid = functional.affine_grid(torch.from_numpy(where).to(x.dtype), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
