"""What a plain (unquoted) word of a page means: the YAML 1.2 core schema, as a scientist reads it.

`off`, `NO`, `1-4-20` and `2024-06-28` are text; `010` is ten; `1_000` is a thousand; `1e-3` is a number.
"""

from __future__ import annotations

import math
import re

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+(_[0-9]+)*")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(_[0-9]+)*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LARGEST = 2**63 - 1


class BadScalar(ValueError):
    """A plain word that looks like a number and can't be one; `hint` says what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def resolve(text: str) -> bool | int | float | str | None:
    """The value of a plain word. Raises: BadScalar for infinity, NaN, and numbers that don't fit."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _BASED.fullmatch(text):
        return _fitting(int(text, 0), text) if len(text) <= 18 else _too_large(text)
    if _INT.fullmatch(text):
        return _fitting(int(text.replace("_", "")), text) if len(text) <= 40 else _too_large(text)
    if _NOT_FINITE.fullmatch(text):
        raise BadScalar(f"{text} is not a number an experiment can use", "leave the key out, or write `off`")
    if _FLOAT.fullmatch(text):
        value = float(text.replace("_", ""))
        if math.isinf(value):
            raise BadScalar(f"{text} is too large for a 64-bit number", "the largest is about 1.8e308")
        return value
    return text


def _fitting(value: int, text: str) -> int:
    return value if abs(value) <= _LARGEST else _too_large(text)


def _too_large(text: str) -> int:
    raise BadScalar(
        f"{text[:24]}{'...' if len(text) > 24 else ''} is too large for a 64-bit whole number", "quote it if it is a name"
    )
