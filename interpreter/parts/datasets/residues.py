"""Residues of idealised shape, from which made-up pockets are built: a backbone, and a side chain that points along z."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Name -> elements of the side chain from the CA on, and those of a fork at its end: the tips, which are bonded to the last.
_CARBON = {"ALA": ("C", ""), "VAL": ("C", "CC"), "LEU": ("CC", "CC"), "ILE": ("CCC", ""), "MET": ("CCSC", "")}
_POLAR = {"SER": ("CO", ""), "CYS": ("CS", ""), "LYS": ("CCCCN", ""), "ASP": ("CC", "OO"), "ASN": ("CC", "ON"),
          "GLN": ("CCC", "ON"), "GLU": ("CCC", "OO"), "ARG": ("CCCNC", "NN")}  # fmt: skip
LETTERS = {"ALA": "A", "VAL": "V", "LEU": "L", "ILE": "I", "MET": "M", "SER": "S", "CYS": "C", "LYS": "K", "ASP": "D", "ASN": "N",
           "GLN": "Q", "GLU": "E", "ARG": "R"}  # fmt: skip

_GREEK = "BGDEZH"
_RISE, _ZIGZAG = 1.25, 0.42  # along and across the chain: bonds of 1.51 angstrom
# From the CA; z points to the tip.
_BACKBONE = (
    ("N", "N", (1.2, 0.6, -0.55)),
    ("C", "C", (-1.25, 0.6, -0.6)),
    ("O", "O", (-1.5, 1.75, -0.35)),
    ("H", "H", (1.9, 1.1, -0.9)),
    ("HA", "H", (0.0, -0.95, -0.45)),
)
_FORK = (1.1, 0.0, 0.65)


@dataclass(slots=True)
class Group:
    """Atoms of a residue, an ion or a water molecule."""

    resname: str
    name: list[str]
    element: list[str]
    xyz: Array  # (n, 3)
    number: int = 0  # in its protein

    @property
    def heavy(self) -> NDArray[np.bool_]:
        """Which atoms are no hydrogens. Shape: (n,)."""
        return np.array(self.element) != "H"


def pick(polar: float, u: float) -> str:
    """A kind of residue, from a number in [0, 1): with a polar tip, or one of carbon (or sulphur)."""
    kinds = sorted(_POLAR if polar else _CARBON)
    return kinds[int(u * len(kinds))]


def residue(kind: str, tip_A: Array, turn: Array) -> Group:
    """A residue whose tip is at `tip_A` and whose side chain points along `turn` applied to z."""
    name, element, xyz = _templates[kind]
    return Group(kind, list(name), list(element), xyz @ turn.T + tip_A)


def lone(resname: str, xyz: Array) -> Group:
    """A zinc ion, or the oxygen of a water molecule. Shape: xyz (1, 3)."""
    element = "ZN" if resname == "ZN" else "O"
    return Group(resname, [element], [element], xyz)


def _template(chain: str, fork: str) -> tuple[list[str], list[str], Array]:
    """Names, elements and places of a residue's atoms, the tip at 0 and the rest below it."""
    name, element = ["CA"], ["C"]
    xyz = [np.array([_ZIGZAG, 0.0, 0.0])]
    for k, symbol in enumerate(chain, start=1):
        name.append(symbol + _GREEK[k - 1])
        element.append(symbol)
        xyz.append(np.array([_ZIGZAG * (-1) ** k, 0.0, _RISE * k]))
    end = xyz[-1]
    for number, symbol in enumerate(fork, start=1):
        name.append(f"{symbol}{_GREEK[len(chain)]}{number}")
        element.append(symbol)
        xyz.append(end + np.array(_FORK) * (1 if number == 1 else -1, 1, 1))
    tip = np.array([end[0], 0.0, max(place[2] for place in xyz)])
    for label, symbol, offset in _BACKBONE:
        name.append(label)
        element.append(symbol)
        xyz.append(xyz[0] + np.array(offset))
    name += ["HB2", "HB3"]
    element += ["H", "H"]
    xyz += [xyz[1] + np.array([-0.3, y, -0.1]) for y in (0.98, -0.98)]
    return name, element, np.array(xyz) - tip


_templates = {kind: _template(*of) for kind, of in (_CARBON | _POLAR).items()}
