"""Loops over numbers, compiled for the processor.

What one compiled function calls stays in its own file: the cache on disk does not notice that another file has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled when it is first called, and kept on disk where a folder for that can be written."""
    try:
        return njit(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:  # no such folder: it is compiled anew in each process
        return njit(function, nogil=True, error_model="numpy")
