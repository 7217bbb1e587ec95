"""Texts with numbers in braces, `{mean:.3f} ± {ci:.3f}`: taken apart and tried out, before any of them is filled in.

Python's formats may ask for a text of any width, and may reach into whatever they are given. Here a hole is a name and nothing
more, and no format makes a number longer than a reader would want it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter

MOST = 99  # letters that a format may set a number in, and decimals it may ask for
EXAMPLES = "formats are Python's: .3f, .2%, .4g"
_DIGITS = re.compile(r"\d+")
_LARGE = 2**40  # a whole number that is no letter's: `c` would set it as one


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: words, then a hole (or none) with the format of its number."""

    words: str
    hole: str
    form: str


def pieces(text: str) -> list[Piece]:
    """The parts of `text`. Raises: ValueError, in words, for braces that are no holes with names, or where no hole is."""
    found = []
    for words, hole, form, conversion in Formatter().parse(text):
        if conversion:
            raise ValueError(f"`!{conversion}` is for texts, and a number stands here")
        if hole == "":
            raise ValueError("a hole `{}` has no name in it")
        found.append(Piece(words, hole or "", form or ""))
    if not any(piece.hole for piece in found):
        raise ValueError("it shows no number")
    return found


def try_form(form: str, whole: bool = False) -> None:
    """Set a number in the format `form`. Raises: ValueError, in words, where it can't be, or gets longer than MOST."""
    if "{" in form:
        raise ValueError(f"`{form}` has braces within braces")
    if any(len(digits) > 9 or int(digits) > MOST for digits in _DIGITS.findall(form)):
        raise ValueError(f"`{form}` asks for more than {MOST} letters or decimals")
    try:
        format(_LARGE if whole else 0.5, form)
    except (ValueError, OverflowError):
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"`{form}` is no format of {kind}") from None
