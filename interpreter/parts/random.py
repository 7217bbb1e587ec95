"""Counter-based randomness: every number is a hash of (stream, epoch, example, draw). No state, nothing inherited.

Construction. `mix` is the finalizer of SplitMix64, a bijection of 64-bit words with full avalanche:

    z ^= z >> 30; z *= BF58476D1CE4E5B9; z ^= z >> 27; z *= 94D049BB133111EB; z ^= z >> 31        (modulo 2^64)

and with g = 9E3779B97F4A7C15, the odd number nearest to 2^64 over the golden ratio,

    epoch word      e = mix(mix(stream + g) + g * (epoch + 1))
    example word    x = mix(e + g * (index + 1))
    draw word       d = mix(x + g * (draw + 1))

so the draws of an example are the SplitMix64 sequence seeded with x. A uniform number is the upper 53 bits of d over 2^53,
in [0, 1). A permutation sorts the example words. Tests hold golden values: changing anything here changes every result.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_G = 0x9E3779B97F4A7C15
_M1 = 0xBF58476D1CE4E5B9
_M2 = 0x94D049BB133111EB


def derive(*parts: int | str) -> int:
    """A stream: 63 bits of the sha256 of `parts` as a JSON list, so that ("a", 1) and ("a", "1") differ.

    Raises: TypeError for a part that is neither an integer nor a string.
    """
    for part in parts:
        if type(part) not in (int, str):
            raise TypeError(f"a stream is derived from integers and strings, not from {type(part).__name__}")
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") >> 1


def uniform(stream: int, epoch: int, index: NDArray[np.int64], draws: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) for each example of `index`; those of an example do not depend on the others.

    Shape: (B, draws) for an index of (B,). The first k of n draws are those of k draws.
    """
    words = _example_words(stream, epoch, np.asarray(index, dtype=np.int64))
    steps = np.arange(1, draws + 1, dtype=np.uint64) * np.uint64(_G)
    return (_mix(words[:, None] + steps) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(stream: int, epoch: int, n: int) -> NDArray[np.int64]:
    """The numbers 0..n-1 in an order of their own for each (stream, epoch)."""
    return np.argsort(_example_words(stream, epoch, np.arange(n, dtype=np.int64)), kind="stable")


def _example_words(stream: int, epoch: int, index: NDArray[np.int64]) -> NDArray[np.uint64]:
    word = _mix_int(_mix_int(stream + _G) + _G * (epoch + 1))
    return _mix(np.uint64(word) + (index.astype(np.uint64) + np.uint64(1)) * np.uint64(_G))


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_M1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_M2)
    return z ^ (z >> np.uint64(31))


def _mix_int(z: int) -> int:
    z &= _MASK
    z = ((z ^ (z >> 30)) * _M1) & _MASK
    z = ((z ^ (z >> 27)) * _M2) & _MASK
    return z ^ (z >> 31)
