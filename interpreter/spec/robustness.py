"""Lines of accuracy under shift: published ones, those fitted to arms of the entry, and which arms a word means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from interpreter.spec.base import Config
from interpreter.spec.names import own_arm_ref
from interpreter.spec.points import picks

Scale = Literal["probit", "logit", "linear"]


class FittedLine(Config):
    """A line fitted to models of this entry, by least squares on scaled accuracies. Whoever is judged by it is left out of it."""

    fit: Scale
    """The scale on which it is straight: probit (as Miller et al. 2021), logit, or linear."""
    to: list[str] = Field(min_length=1)
    """Arms whose trials are the models: names, `published`, points, `published[vgg]`, or with `*` for any letters."""


Published = Literal["andreassen"]
AnyLine = Published | FittedLine


def means(text: str, name: str, base: str, point: str, factors: Mapping[str, str]) -> bool:
    """Whether `text` means the arm called `name`: by its name, as one of the points it selects, or with `*` for any letters."""
    ref = own_arm_ref(text)
    if ref is not None and not ref.date and ref.arm == base and picks(ref.point, point, factors):
        return True
    if text == name:
        return True
    return "*" in text and re.fullmatch(".*".join(map(re.escape, text.split("*"))), name) is not None
