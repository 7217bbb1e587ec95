"""Of each 2 x 2 x 2 voxels the value that is largest in absolute value, with its sign; of +v and -v, +v.

On a processor it is compiled: torch would pass over samples, the largest thing there is in the network, some thirty times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from interpreter.parts.compiled import compiled


def extreme(x: torch.Tensor) -> torch.Tensor:
    """The extremes of all neighbourhoods of eight voxels, one apart; differentiable.

    Shape: (..., X, Y, Z) -> (..., X - 1, Y - 1, Z - 1).
    """
    for axis in (-3, -2, -1):
        n = x.shape[axis] - 1
        a, b = x.narrow(axis, 0, n), x.narrow(axis, 1, n)
        x = torch.where((a + b >= 0) == (a >= b), a, b)
    return x


def compiled_for(x: torch.Tensor) -> bool:
    """Whether `picked` takes such a tensor."""
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)


def picked(x: torch.Tensor, tell: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What `extreme` gives, without a gradient, and to `tell`, which of the eight voxels each is: what `given_back` takes."""
    out = x.new_empty((*x.shape[:-3], *(side - 1 for side in x.shape[-3:])))
    if not tell:
        _spread(_pick, _volumes(x), _volumes(out))
        return out, None
    choice = torch.empty(out.shape, dtype=torch.uint8)
    _spread(_pick_and_tell, _volumes(x), _volumes(out), _volumes(choice))
    return out, choice


def given_back(slope: torch.Tensor, choice: torch.Tensor, sides: Sequence[int]) -> torch.Tensor:
    """The gradient of `extreme`: each extreme's goes to the voxel it is of.

    Shape: slope and choice (..., X - 1, Y - 1, Z - 1) -> (..., X, Y, Z).
    """
    back = slope.new_zeros((*slope.shape[:-3], *sides))
    _spread(_give_back, _volumes(slope), _volumes(choice), _volumes(back))
    return back


def _volumes(x: torch.Tensor) -> np.ndarray:
    volumes: np.ndarray = x.detach().contiguous().view(-1, *x.shape[-3:]).numpy()
    return volumes


def _spread(function: Callable[..., None], *arrays: np.ndarray) -> None:
    """Calls `function` on equal shares of all arrays' volumes, as many at a time as torch has threads."""
    threads = min(torch.get_num_threads(), len(arrays[0]))
    if threads <= 1:
        function(*arrays)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(function, *(np.array_split(array, threads) for array in arrays)))


@compiled
def _pick(values, results):
    n, sides_x, sides_y, sides_z = values.shape
    row = np.empty(sides_z, values.dtype)
    for v in range(n):
        for i in range(sides_x - 1):
            for j in range(sides_y - 1):
                for k in range(sides_z):
                    a, b = values[v, i, j, k], values[v, i, j + 1, k]
                    c, d = values[v, i + 1, j, k], values[v, i + 1, j + 1, k]
                    a = a if (a + b >= 0) == (a >= b) else b
                    c = c if (c + d >= 0) == (c >= d) else d
                    row[k] = a if (a + c >= 0) == (a >= c) else c
                for k in range(sides_z - 1):
                    a, b = row[k], row[k + 1]
                    results[v, i, j, k] = a if (a + b >= 0) == (a >= b) else b


@compiled
def _pick_and_tell(values, results, choice):
    """As `_pick`; and which of the eight it was, one bit an axis."""
    n, sides_x, sides_y, sides_z = values.shape
    row = np.empty(sides_z, values.dtype)
    told = np.empty(sides_z, np.uint8)
    for v in range(n):
        for i in range(sides_x - 1):
            for j in range(sides_y - 1):
                for k in range(sides_z):
                    a, b = values[v, i, j, k], values[v, i, j + 1, k]
                    c, d = values[v, i + 1, j, k], values[v, i + 1, j + 1, k]
                    keep_a, keep_c = (a + b >= 0) == (a >= b), (c + d >= 0) == (c >= d)
                    a = a if keep_a else b
                    c = c if keep_c else d
                    keep = (a + c >= 0) == (a >= c)
                    row[k] = a if keep else c
                    told[k] = (0 if keep_a else 2) if keep else (4 if keep_c else 6)
                for k in range(sides_z - 1):
                    a, b = row[k], row[k + 1]
                    keep = (a + b >= 0) == (a >= b)
                    results[v, i, j, k] = a if keep else b
                    choice[v, i, j, k] = told[k] if keep else told[k + 1] + 1


@compiled
def _give_back(slope, choice, back):
    n, sides_x, sides_y, sides_z = slope.shape
    for v in range(n):
        for i in range(sides_x):
            for j in range(sides_y):
                for k in range(sides_z):
                    told = choice[v, i, j, k]
                    back[v, i + (told >> 2), j + ((told >> 1) & 1), k + (told & 1)] += slope[v, i, j, k]
