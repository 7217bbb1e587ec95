"""The canonical form of plain data, and the key that is its hash.

Canonical JSON here: UTF-8, keys sorted by code point, no spaces, floats by shortest repr that reads back equal, -0.0 as
0.0, a float that is whole written with ".0" so that 1 and 1.0 differ (settings are typed, so a field is always one or
the other). Anything else raises: there is no default form, hence no key that depends on an address or a date.
See docs/decisions/0002-key.md.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

KEY_LENGTH = 40  # hex digits kept of sha256: 160 bits


def canonical(value: Any) -> str:
    """`value` as canonical JSON. Raises: TypeError for what has no stable form, ValueError for NaN or infinity."""
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key_of(identity: Any) -> str:
    """The key of a stage: the first 160 bits of the sha256 of its identity's canonical form, in hex."""
    return digest(canonical(identity))


def digest(text: str) -> str:
    """The first 160 bits of the sha256 of `text`, in hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:KEY_LENGTH]


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)) or type(value) is int:
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{value} has no place in a key")
        return value + 0.0  # turns -0.0 into 0.0
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        for k in value:
            if not isinstance(k, str):
                raise TypeError(f"a key of a mapping must be a string, got {k!r}")
        return {k: _plain(v) for k, v in value.items()}
    raise TypeError(f"no stable form for {type(value).__name__}")
