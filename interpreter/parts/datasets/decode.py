"""From an image file to a square of bytes in colour."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

RULE = 1  # raised when the bytes that come out change: part of the name of a cache
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2"})


class UnreadableImage(Exception):
    """An image that can't be decoded; the message says why, without the name of the file."""


def decode(path: Path, size: int, crop: str) -> NDArray[np.uint8]:
    """The image as red, green and blue bytes, upright, made square by the rule `crop` (see `square`).

    Grey, palette, CMYK and 16-bit images are turned into 8-bit colour; transparent parts become white; of an animation the
    first picture is taken. What the file is called does not matter, only what is in it.

    Shape: (3, size, size).
    Raises: UnreadableImage for a file that is empty, cut short, or no image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd but readable metadata
            with Image.open(path) as image:
                image.load()
                upright = ImageOps.exif_transpose(image)
                pixels = np.asarray(square(in_colour(upright), size, crop))
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and path.is_file() and path.stat().st_size == 0:
            raise UnreadableImage("the file is empty") from None
        raise UnreadableImage("no image that can be read" if "identify" in str(error) else str(error)) from None
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def in_colour(image: Any) -> Any:
    """The image in 8-bit red, green and blue; transparency over white."""
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits of grey: brought to 0..255 by its depth, not cut off
        values = np.asarray(image, dtype=np.float64)
        scale = 1.0 if values.max(initial=0.0) <= 255 else 1 / 257
        return Image.fromarray(np.clip(values * scale + 0.5, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def square(image: Any, size: int, crop: str) -> Any:
    """The image as a square of `size` pixels.

    `center`: short side to `size`, the middle of the long one; `pad`: long side to `size`, black at both ends of the short
    one; `squash`: both sides to `size`. Bicubic with antialiasing; an image that already has the size is not resampled.
    """
    width, height = image.size
    if crop == "squash":
        return _resized(image, size, size)
    side = min(width, height) if crop == "center" else max(width, height)
    width, height = max(1, round(width * size / side)), max(1, round(height * size / side))
    image = _resized(image, width, height)
    if crop == "center":
        left, top = (width - size) // 2, (height - size) // 2
        return image.crop((left, top, left + size, top + size))
    canvas = Image.new("RGB", (size, size))
    canvas.paste(image, ((size - width) // 2, (size - height) // 2))
    return canvas


def _resized(image: Any, width: int, height: int) -> Any:
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BICUBIC)
