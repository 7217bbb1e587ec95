"""From a model of the language to values that people might write: the models are walked, field by field."""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from hypothesis import strategies as st
from pydantic import StringConstraints, ValidationError
from pydantic.fields import FieldInfo

from interpreter import catalog
from interpreter.spec.base import Config
from interpreter.spec.components.contract import Dataset, Model
from interpreter.spec.grammar import Named

Draw = Callable[[st.SearchStrategy[Any]], Any]

# Texts that fields take by a pattern or a validator of their own; the models say only "text".
BY_NAME: dict[str, tuple[Any, ...]] = {
    "monitor": ("val/loss", "val/accuracy", "train/loss"),
    "at": ("acc",),
    "arms": (["a0"], ["a0", "a1"]),
    "only": (["t0"],),
    "best": ("val/loss", "val/accuracy", "train/loss"),
    "checkpoint": ("best", "last", "epoch-1"),
    "source": ("lba", "photos"),
    "channels": (["C", "N", "O"], [8, 16]),
    "warmup": (0, 1, "10%", {"steps": 3}),
    "easiest": ("40%", 0.5),
    "hardest": ("10%",),
    "result": ("score", "a0.score", "2024-06-20/score-gym/resnet.score"),
    "sha256": ("0" * 64,),
    "map": ({"backbone.": "encoder."},),
    "epochs": ([1, 2], [2, 2], [1, 50]),
}
WORDS = ("a", "conv1", "val", "head", "layer4", "x-1", "Ångström", "two words", "")


@dataclass(frozen=True)
class Known:
    """Names that a page has defined so far, by "datasets" and the like."""

    names: dict[str, list[str]]

    def one(self, plural: str) -> list[str]:
        """What may stand where a component of a kind is named."""
        return self.names.get(plural) or ["nothing"]


def config(draw: Draw, cls: type[Config], known: Known, *, more: float = 0.12, given: dict[str, Any] | None = None) -> Any:
    """A mapping that `cls` might read: what it needs, and each further field with a chance of `more`.

    Values that don't go together are drawn anew with fewer fields, so that most of what comes out is valid.
    """
    out: dict[str, Any] = {}
    for chance in (more, more / 3, 0.0):
        out = dict(given or {})
        for name, info in cls.model_fields.items():
            key = info.alias or name
            if key in out:
                continue
            if name == "type":
                out[key] = info.default
            elif info.is_required() or (chance and draw(st.integers(0, 999)) < 1000 * chance):
                out[key] = field(draw, name, info, known)
        if _valid(cls, out):
            break
    return out


def component(draw: Draw, kind: str, type_: str, known: Known) -> dict[str, Any]:
    """A component of a type, as it is written under `datasets` and the like."""
    cls = catalog.config_class(kind, type_)
    inner = {key: draw(st.sampled_from(known.one(plural))) for key, plural in cls.nested.items()}
    return {"type": type_, **{k: v for k, v in config(draw, cls, known, given=inner).items() if k != "type"}}


def field(draw: Draw, name: str, info: FieldInfo, known: Known) -> Any:
    """A value of one field."""
    named = [mark for mark in info.metadata if isinstance(mark, Named)]
    if named:
        return draw(st.sampled_from(known.one(named[0].plural)))
    if name in BY_NAME and draw(st.integers(0, 39)):
        return draw(st.sampled_from(BY_NAME[name]))
    return value(draw, info.annotation, info.metadata, known)


def value(draw: Draw, annotation: Any, marks: list[Any], known: Known) -> Any:
    """A value of an annotation, within its limits."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        flat = [m for mark in more for m in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]
        named = next((mark for mark in flat if isinstance(mark, Named)), None)
        return draw(st.sampled_from(known.one(named.plural))) if named else value(draw, inner, [*marks, *flat], known)
    if origin in (Union, types.UnionType):
        return value(draw, draw(st.sampled_from(get_args(annotation))), marks, known)
    if origin is Literal:
        return draw(st.sampled_from(get_args(annotation)))
    if origin in (list, tuple):
        inner = [arg for arg in get_args(annotation) if arg is not Ellipsis]
        low = next((m.min_length for m in marks if isinstance(m, MinLen)), 0)
        high = next((m.max_length for m in marks if isinstance(m, MaxLen)), max(3, low))
        many = len(inner) if origin is tuple else draw(st.integers(low, min(high, low + 3)))
        return [value(draw, inner[i % len(inner)], [], known) for i in range(many)]
    if origin is dict:
        words = draw(st.lists(st.sampled_from(WORDS), max_size=2, unique=True))
        return {word: value(draw, get_args(annotation)[1], [], known) for word in words}
    if isinstance(annotation, type) and issubclass(annotation, (Model, Dataset)):
        return draw(st.sampled_from(known.one("models" if issubclass(annotation, Model) else "datasets")))
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return config(draw, annotation, known)
    return _leaf(draw, annotation, marks)


def _leaf(draw: Draw, annotation: Any, marks: list[Any]) -> Any:
    low = next((m.ge if isinstance(m, Ge) else m.gt for m in marks if isinstance(m, (Ge, Gt))), None)
    high = next((m.le if isinstance(m, Le) else m.lt for m in marks if isinstance(m, (Le, Lt))), None)
    if annotation is bool:
        return draw(st.booleans())
    if annotation is int:
        first = int(low) if low is not None else -2
        return draw(st.integers(first, int(high) if high is not None else first + 20))
    if annotation is float:
        first, last = float(low if low is not None else 0.0), float(high if high is not None else 10.0)
        inside = draw(st.sampled_from((0.5, 0.1, 0.9, 0.001)))
        return first + (last - first) * inside if draw(st.integers(0, 9)) else draw(st.sampled_from((first, last, 0, 1)))
    if annotation is str:
        pattern = next((p for m in marks if (p := getattr(m, "pattern", None) or _pattern(m))), None)
        return next((w for w in (*WORDS, "2024-06-20", "val/loss") if pattern is None or re.search(pattern, w)), "a")
    return draw(st.sampled_from((None, 0, "a", [1], {"a": 1})))


def _pattern(mark: Any) -> str | None:
    return str(mark.pattern) if isinstance(mark, StringConstraints) and mark.pattern else None


def _valid(cls: type[Config], out: dict[str, Any]) -> bool:
    nested = getattr(cls, "nested", {})
    try:
        cls.model_validate({k: v for k, v in out.items() if k not in nested})
    except ValidationError as error:
        return all(item["loc"][:1] and item["loc"][0] in nested for item in error.errors(include_url=False))
    return True
