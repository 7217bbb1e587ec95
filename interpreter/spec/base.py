"""The strict pydantic base of everything people write, and what of it is identity.

Strictness: one numeric type per field, no number from a string, no NaN or infinity, unknown keys refused, frozen.

Identity: `identity(config)` is what enters a stage's key. A field is left out when it is marked `how()` (it can't
change numbers), or when it was added `since` a later version and equals its frozen `neutral` value. The component's
own integer `component_version` always enters.

What is announced and not built yet is marked here too: a class by `built = False`, a field by `since(..., built=False)`.
`unbuilt(config)` finds what of it a page uses.
"""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Literal

# Looking for plugins of pydantic costs some 15 ms at each start, and we have none. It must be said before the import.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

OFF = "off"


class Config(BaseModel):
    """A mapping a person wrote: strict, closed, frozen. `off` stands for an absent value."""

    built: ClassVar[bool] = True  # False: announced; pages that use it are checked and planned, and refused when run
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, validate_default=False, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _off_is_absent(cls, data: Any) -> Any:
        """Drop keys whose value is `off`, where `off` isn't a value of the field itself: the default then holds."""
        if not isinstance(data, dict):
            return data
        literal_off = _fields_with_off(cls)
        return {k: v for k, v in data.items() if not (v == OFF and isinstance(v, str) and k not in literal_off)}


def description(cls: type[Config], field: str) -> str:
    """The docstring below a field of `cls` or of a class it extends, "" where there is none.

    Read from the source when asked for: at each start, pydantic's own reading of them would cost more than everything else.
    """
    for owner in cls.__mro__:
        if issubclass(owner, Config) and field in owner.__annotations__:
            text = _docstrings(owner).get(field)
            if text is not None:
                return text
    return ""


@cache
def _docstrings(owner: type[Config]) -> dict[str, str]:
    """Field -> the docstring below it, of what `owner` itself defines."""
    body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for this, following in zip(body.body, body.body[1:], strict=False):
        documented = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if isinstance(this, ast.AnnAssign) and isinstance(this.target, ast.Name) and documented:
            assert isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            found[this.target.id] = inspect.cleandoc(str(following.value.value))
    return found


@cache
def _fields_with_off(cls: type[Config]) -> frozenset[str]:
    # Of a yes or no, `off` would be read as no, and the default may be yes: there it is nothing, and told to be written out.
    return frozenset(name for name, f in cls.model_fields.items() if f.annotation is bool or "'off'" in repr(f.annotation))


class Component(Config):
    """A named part of an experiment: `type` picks the class, `component_version` is raised by hand when its numbers change."""

    component_version: ClassVar[int] = 1
    nested: ClassVar[Mapping[str, str]] = {}  # fields that name another component -> where it is defined: {"of": "models"}
    type: str


def how(default: Any, description: str = "") -> Any:
    """A field that says how a thing is done, never what comes out: it stays out of identity."""
    return Field(default=default, description=description or None, json_schema_extra={"identity": False})


def since(version: int, default: Any, *, neutral: Any, description: str = "", built: bool = True) -> Any:
    """A field added in component version-line `version`; when equal to `neutral` it is left out of identity, for ever.

    `neutral` is the value that means "as before the field existed". It is frozen: changing it would change old keys.
    With `built=False` the field is announced: it may be written, and any other value than `neutral` can't be run yet.
    """
    extra = {"since": version, "neutral": neutral}
    return Field(
        default=default,
        description=description or None,
        json_schema_extra=extra if built else {**extra, "built": False},
    )


def identity(value: Any) -> Any:
    """The part of a config that decides numbers, as plain data: mappings, lists, strings, numbers, booleans, None.

    Raises: TypeError for a value without a stable form.
    """
    if isinstance(value, Config):
        out: dict[str, Any] = {}
        for name, info in type(value).model_fields.items():
            extra = _extra(info)
            if extra.get("identity") is False:
                continue
            item = identity(getattr(value, name))
            if "neutral" in extra and item == extra["neutral"]:
                continue
            out[name] = item
        if isinstance(value, Component):
            out["component_version"] = value.component_version
        return out
    if isinstance(value, dict):
        return {str(k): identity(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [identity(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"no stable form for {type(value).__name__}")


def unbuilt(config: Config) -> list[tuple[str, ...]]:
    """Where `config` uses what is not built yet: a path of keys, as they are written, to each such value.

    () stands for `config` itself, when its class is not built. Nothing below such a value is told.
    """
    return _unbuilt(config, ())


def _unbuilt(value: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    if isinstance(value, Config):
        if not value.built:
            return [path]
        found = []
        for name, info in type(value).model_fields.items():
            item, extra, below = getattr(value, name), _extra(info), (*path, info.alias or name)
            if extra.get("built") is False:
                found += [below] if identity(item) != extra["neutral"] else []
            else:
                found += _unbuilt(item, below)
        return found
    if isinstance(value, dict):
        return [hit for key, item in value.items() for hit in _unbuilt(item, (*path, str(key)))]
    if isinstance(value, (list, tuple)):
        return [hit for index, item in enumerate(value) for hit in _unbuilt(item, (*path, str(index)))]
    return []


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


__all__ = ["OFF", "Component", "Config", "Literal", "how", "identity", "since", "unbuilt"]
