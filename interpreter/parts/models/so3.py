"""Rotations of space: the representations of SO(3), their couplings and spherical harmonics, computed with `wigners`.

With them the equivariant networks need no other library. escnn, which their numbers are held against, calls two functions of
libraries that can't be installed beside a current numpy: Clebsch-Gordan coefficients of py3nj, and Wigner matrices of
lie_learn. `escnn()` hands it these while it is imported, unless the real ones are there.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interpreter.errors import StageFailed

Floats = NDArray[np.float64]

INSTALL = "pip install --no-deps escnn==1.0.11"

_PARTS = ("group", "gspaces", "kernels", "nn")  # of escnn: all that it imports, it imports with these


@cache
def escnn() -> ModuleType:
    """The library escnn 1.0.11, imported, with its parts `group`, `gspaces`, `kernels` and `nn`.

    Raises: StageFailed when it, or wigners, is not installed.
    """
    if find_spec("escnn") is None:
        raise StageFailed("this needs the library escnn, which is not installed", hint=INSTALL)
    with _stand_ins(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its docstrings' escapes, and of optional libraries that are absent
        library = importlib.import_module("escnn")
        for part in _PARTS:
            importlib.import_module(f"escnn.{part}")
    return library


def wigner(order: int, alpha_rad: float, beta_rad: float, gamma_rad: float) -> Floats:
    """The real irreducible representation of SO(3) of an order l, of a rotation by ZYZ Euler angles.

    Shape: (2l + 1, 2l + 1), rows and columns by m from -l to l; for l = 1 these are the axes y, z, x.
    """
    complex_d = _wigners().wigner_D_array(order, float(alpha_rad), float(beta_rad), float(gamma_rad))[order]
    basis = _real_to_complex(order)
    real: Floats = (basis.T @ complex_d @ basis.conj()).real
    return real


def euler(rotations: Floats) -> Floats:
    """ZYZ Euler angles in radians of rotation matrices, as `wigner` takes them.

    Shape: (..., 3, 3) -> (..., 3).
    """
    r = np.asarray(rotations, dtype=np.float64)
    sine = np.hypot(r[..., 0, 2], r[..., 1, 2])
    beta = np.arctan2(sine, r[..., 2, 2])
    # About the z axis alone, or with half a turn about y, the first and the last turn are about one axis: the first is said 0.
    lone = sine < 1e-12
    alpha = np.where(lone, 0.0, np.arctan2(r[..., 1, 2], r[..., 0, 2]))
    gamma = np.where(lone, np.arctan2(r[..., 1, 0], r[..., 1, 1]), np.arctan2(r[..., 2, 1], -r[..., 2, 0]))
    return np.stack([alpha, beta, gamma], axis=-1)


def clebsch_gordan(two_j1: ArrayLike, two_j2: ArrayLike, two_j3: ArrayLike, two_m1: ArrayLike, two_m2: ArrayLike,
                   two_m3: ArrayLike) -> Floats:  # fmt: skip
    """Clebsch-Gordan coefficients <j1 m1 j2 m2 | j3 m3> of whole j, doubled as py3nj takes them; m broadcast, j are single.

    Raises: ValueError for several j, or a half-integer.
    """
    orders = []
    for doubled in (two_j1, two_j2, two_j3):
        found = np.unique(np.asarray(doubled))
        if found.size != 1 or found[0] % 2:
            raise ValueError(f"one whole j is wanted, and 2j is {found.tolist()}")
        orders.append(int(found[0]) // 2)
    table: Floats = _wigners().clebsch_gordan_array(*orders)
    picked = [np.asarray(doubled) // 2 + order for doubled, order in zip((two_m1, two_m2, two_m3), orders, strict=True)]
    return table[tuple(np.broadcast_arrays(*picked))]


@cache
def _real_to_complex(order: int) -> NDArray[np.complex128]:
    # Columns are real basis functions in terms of complex ones, with the Condon-Shortley phase: sines below m = 0, cosines above.
    basis = np.zeros((2 * order + 1, 2 * order + 1), dtype=np.complex128)
    basis[order, order] = 1
    for m in range(1, order + 1):
        sign = (-1) ** m
        basis[order - m, order - m], basis[order + m, order - m] = -1j * np.sqrt(0.5), 1j * sign * np.sqrt(0.5)
        basis[order - m, order + m], basis[order + m, order + m] = np.sqrt(0.5), sign * np.sqrt(0.5)
    return basis


def _wigners() -> Any:
    try:
        return importlib.import_module("wigners")
    except ImportError:
        raise StageFailed("rotation-equivariant networks need the library wigners", hint="pip install wigners") from None


def _lie_learn_wigner(l: int, alpha: float, beta: float, gamma: float, field: str = "real") -> Floats:  # noqa: E741
    if field != "real":
        raise ValueError(f"only real matrices are given, and field is {field}")
    return wigner(l, alpha, beta, gamma)


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Within: modules of the two names, where absent. They are gone afterwards, so that nobody else takes them for real."""
    added = []
    for name, function, given in (
        ("py3nj", "clebsch_gordan", clebsch_gordan),
        ("lie_learn.representations.SO3.wigner_d", "wigner_D_matrix", _lie_learn_wigner),
    ):
        top = name.partition(".")[0]
        if top in sys.modules or find_spec(top) is not None:
            continue
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            module = ModuleType(".".join(parts[:depth]))
            module.__path__ = []  # a package, so that names below it are looked for
            sys.modules[module.__name__] = module
            added.append(module.__name__)
        setattr(module, function, given)
    try:
        yield
    finally:
        for name in added:
            sys.modules.pop(name, None)


@cache
def couple(first: int, second: int, third: int) -> Floats:
    """Clebsch-Gordan coefficients between real representations of three orders.

    Shape: (2 first + 1, 2 second + 1, 2 third + 1).
    """
    table = _wigners().clebsch_gordan_array(first, second, third)
    a, b, c = (_real_to_complex(order) for order in (first, second, third))
    real = np.einsum("jlm,jo,li,mk->oik", table, a, b, c.conj())
    return real.real if (first + second + third) % 2 == 0 else real.imag


def harmonics(order: int, points: Floats) -> Floats:
    """Real spherical harmonics of an order l in the directions of `points`, of norm 1 together; at the origin 0 for l > 0.

    Shape: (P, 3) -> (P, 2l + 1).
    """
    values = np.zeros((len(points), 2 * order + 1))
    for row, (x, y, z) in zip(values, points, strict=True):
        if order == 0 or x or y or z:
            row[:] = wigner(order, np.arctan2(y, x), np.arctan2(np.hypot(x, y), z), 0.0)[:, order]
    return values
