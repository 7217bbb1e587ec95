"""The strict pydantic base of everything people write, and what of it is identity.

Strictness: one numeric type per field, no number from a string, no NaN or infinity, unknown keys refused, frozen.

Identity: `identity(config)` is what enters a stage's key. A field is left out when it is marked `how()` (it can't
change numbers), or when it was added `since` a later version and equals its frozen `neutral` value. The component's
own integer `component_version` always enters.
"""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from typing import Any, ClassVar, Literal

# Looking for plugins of pydantic costs some 15 ms at each start, and we have none. It must be said before the import.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from pydantic import BaseModel, ConfigDict, Field, model_validator

OFF = "off"


class Config(BaseModel):
    """A mapping a person wrote: strict, closed, frozen. `off` stands for an absent value."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, validate_default=False)

    @model_validator(mode="before")
    @classmethod
    def _off_is_absent(cls, data: Any) -> Any:
        """Drop keys whose value is `off`, where `off` isn't a value of the field itself: the default then holds."""
        if not isinstance(data, dict):
            return data
        literal_off = cls._fields_with_off()
        return {k: v for k, v in data.items() if not (v == OFF and isinstance(v, str) and k not in literal_off)}

    @classmethod
    def _fields_with_off(cls) -> frozenset[str]:
        return frozenset(name for name, f in cls.model_fields.items() if "'off'" in repr(f.annotation))


def description(cls: type[Config], field: str) -> str:
    """The docstring below a field of `cls` or of a class it extends, "" where there is none.

    Read from the source when asked for: at each start, pydantic's own reading of them would cost more than everything else.
    """
    for owner in cls.__mro__:
        if issubclass(owner, Config) and field in owner.__annotations__:
            body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
            assert isinstance(body, ast.ClassDef)
            for this, following in zip(body.body, body.body[1:], strict=False):
                named = isinstance(this, ast.AnnAssign) and isinstance(this.target, ast.Name) and this.target.id == field
                if named and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                    return inspect.cleandoc(str(following.value.value))
    return ""


class Component(Config):
    """A named part of an experiment: `type` picks the class, `component_version` is raised by hand when its numbers change."""

    component_version: ClassVar[int] = 1
    type: str


def how(default: Any, description: str = "") -> Any:
    """A field that says how a thing is done, never what comes out: it stays out of identity."""
    return Field(default=default, description=description or None, json_schema_extra={"identity": False})


def since(version: int, default: Any, *, neutral: Any, description: str = "") -> Any:
    """A field added in component version-line `version`; when equal to `neutral` it is left out of identity, for ever.

    `neutral` is the value that means "as before the field existed". It is frozen: changing it would change old keys.
    """
    return Field(
        default=default,
        description=description or None,
        json_schema_extra={"since": version, "neutral": neutral},
    )


def identity(value: Any) -> Any:
    """The part of a config that decides numbers, as plain data: mappings, lists, strings, numbers, booleans, None.

    Raises: TypeError for a value without a stable form.
    """
    if isinstance(value, Config):
        out: dict[str, Any] = {}
        for name, info in type(value).model_fields.items():
            extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
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


__all__ = ["OFF", "Component", "Config", "Literal", "how", "identity", "since"]
