"""The JSON Schema (draft 7) of pages, for editors: made from the models that read them, so that it can't say anything else.

What is one of several things is told apart by `if`/`then` on what it says (`type`, or the key that makes it a fit or an
import), not by `anyOf` over all of them: an editor then offers the keys of that one thing alone, and tells what is wrong with
it. What changes something else (`extends`, `set`, profiles) is partial: no key must be there, however deep.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from interpreter.spec.base import Component, Config, description
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.grammar import Changes, Named, WrittenArm, WrittenEntry, WrittenNotebook, WrittenPage
from interpreter.spec.measures import Reference
from interpreter.spec.metrics import METRICS
from interpreter.spec.names import NAME
from interpreter.spec.page import KINDS

Schema = dict[str, Any]
DIALECT = "http://json-schema.org/draft-07/schema#"
NOT_BUILT = "(not built yet)"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_PATH = rf"^({'|'.join(KINDS)}|stages|seeds)(\.[^.\s]+)*$"
_STAGE_REF = f"^{_DAY}/{NAME.pattern}#{NAME.pattern}$"
_PRIMITIVES = {int: "integer", float: "number", bool: "boolean", str: "string"}
# What a constraint is called in JSON Schema, by the types that it can be about.
_BOUNDS = {
    "ge": {"number": "minimum", "integer": "minimum"},
    "gt": {"number": "exclusiveMinimum", "integer": "exclusiveMinimum"},
    "le": {"number": "maximum", "integer": "maximum"},
    "lt": {"number": "exclusiveMaximum", "integer": "exclusiveMaximum"},
    "min_length": {"string": "minLength", "array": "minItems", "object": "minProperties"},
    "max_length": {"string": "maxLength", "array": "maxItems", "object": "maxProperties"},
    "pattern": {"string": "pattern"},
}
# `off` takes a value away; a pattern, and no constant, so that editors don't offer it everywhere.
_OFF: Schema = {"type": "string", "pattern": "^off$"}
_OFF_OR_NULL: Schema = {"type": ["string", "null"], "pattern": "^off$"}


@dataclass(frozen=True, slots=True)
class Offered:
    """A type that a component may have: its config class, what it is in a line, and whether it can be run."""

    config: type[Component]
    summary: str
    built: bool


Offers = Mapping[str, Mapping[str, Offered]]  # "dataset", "model", "objective" -> type -> what it is


def page_schema(offers: Offers) -> Schema:
    """The schema of a page whose components may have the types of `offers`."""
    return _Maker(offers).whole(WrittenPage)


def notebook_schema() -> Schema:
    """The schema of specs/notebooks/NAME.yaml."""
    return _Maker({}).whole(WrittenNotebook)


def docstring(cls: type[Config]) -> str:
    """What `cls` is, as one line of text."""
    return " ".join((inspect.getdoc(cls) or "").split())


class _Maker:
    """Makes schemas of types; what has a name is made once, under `definitions`."""

    def __init__(self, offers: Offers) -> None:
        self.offers = offers
        self.definitions: dict[str, Schema] = {}
        self.owners: dict[str, object] = {}

    def whole(self, root: type[Config]) -> Schema:
        """The schema whose root `root` reads. It has no title: editors would show it over every hover."""
        made = self._mapping(root, partial=False)
        definitions = {name: self.definitions[name] for name in sorted(self.definitions)}
        return {"$schema": DIALECT, **made, "definitions": definitions}

    def value(self, annotation: Any, partial: bool = False) -> Schema:
        """The schema of a value of type `annotation`. Of a partial mapping, mappings inside are partial too."""
        origin = get_origin(annotation)
        if annotation is Any:
            return {}
        if annotation in _PRIMITIVES:
            return {"type": _PRIMITIVES[annotation]}
        if origin is Annotated:
            inner, *marks = get_args(annotation)
            return self._marked(inner, marks, partial)
        if origin is Literal:
            words = list(get_args(annotation))
            return {"const": words[0]} if len(words) == 1 else {"enum": words}
        if origin in (Union, types.UnionType):
            return self._union([part for part in get_args(annotation) if part is not types.NoneType], partial)
        if origin is list:
            return {"type": "array", "items": self.value(get_args(annotation)[0])}
        if origin is tuple:
            parts = get_args(annotation)
            size = {} if ... in parts else {"minItems": len(parts), "maxItems": len(parts)}
            return {"type": "array", "items": self.value(parts[0]), **size}
        if origin is dict:
            key, item = get_args(annotation)
            names = self.value(key)
            closed = {"propertyNames": {"pattern": names["pattern"]}} if "pattern" in names else {}
            return {"type": "object", **closed, "additionalProperties": self.value(item)}
        if annotation is Schedule:
            return self._component("schedules", partial)
        if not (isinstance(annotation, type) and issubclass(annotation, Config)):
            return {}  # something of a plug-in that can't be told here: anything
        name = annotation.__name__.removeprefix("Written")
        return self._named(name, annotation, partial, lambda: self._mapping(annotation, partial=partial))

    def _marked(self, inner: Any, marks: Iterable[Any], partial: bool) -> Schema:
        """The schema of `inner`, narrowed by what is annotated to it."""
        flat: list[Any] = []
        for mark in marks:
            flat += [*mark.metadata, mark.json_schema_extra] if isinstance(mark, FieldInfo) else [mark]
        for mark in flat:
            if isinstance(mark, Named):
                return self._component(mark.plural, partial)
            if isinstance(mark, WithJsonSchema):
                return dict(mark.json_schema or {})
            if isinstance(mark, BeforeValidator) and mark.json_schema_input_type is not PydanticUndefined:
                return self.value(mark.json_schema_input_type, partial)
        made = self.value(inner, partial)
        for mark in flat:
            source = mark if not isinstance(mark, StringConstraints) else {"pattern": mark.pattern}
            for name in _BOUNDS:
                bound = source.get(name) if isinstance(source, dict) else getattr(source, name, None)
                if bound is not None:
                    _narrow(made, name, bound)
        return made

    def _union(self, parts: list[Any], partial: bool) -> Schema:
        """One of several things: mappings are told apart by what they say, the rest by their kind."""
        configs = [part for part in parts if isinstance(part, type) and issubclass(part, Config)]
        if len(configs) < 2:
            return _any_of([self.value(part, partial) for part in parts])
        mappings = [part for part in parts if get_origin(part) is dict]
        others = [self.value(part, partial) for part in parts if part not in configs and part not in mappings]
        if all("type" in c.model_fields for c in configs):
            tagged = {str(c.model_fields["type"].default): cast("type[Component]", c) for c in configs}
            return _any_of([*others, self._by_type(tagged, partial)])
        return _any_of([*others, self._by_key(configs, [self.value(m) for m in mappings], partial)])

    def _by_key(self, configs: list[type[Config]], rest: list[Schema], partial: bool) -> Schema:
        """One of several mappings, each known by a key that it must have and no other has; then one of `rest`."""
        told: dict[str, type[Config]] = {}
        unknown: list[type[Config]] = []
        for cls in configs:
            wanted = _required(cls)
            others = {key for other in configs if other is not cls for key in _keys(other)}
            mine = [key for key in wanted if key not in others]
            if mine:
                told[mine[0]] = cls
            else:
                unknown.append(cls)
        rest = [*(self.value(cls, partial) for cls in unknown), *rest]
        offered = {key: {"description": _told(cls)} for key, cls in told.items()}
        if rest:
            made: Schema = {"allOf": [_any_of(rest)], "properties": offered} if told else _any_of(rest)
        else:
            made = {"type": "object", "properties": offered, "anyOf": [{"required": [key]} for key in told]}
        for key, cls in reversed(told.items()):
            made = {"if": {"type": "object", "required": [key]}, "then": self.value(cls, partial), "else": made}
        return made

    def _by_type(self, tagged: Mapping[str, type[Component]], partial: bool) -> Schema:
        """A mapping whose `type` says which of several it is."""
        name = f"Any{_base(tagged.values())}"
        offers = {type_: Offered(cls, docstring(cls), cls.built) for type_, cls in tagged.items()}
        return self._named(name, tuple(tagged), partial, lambda: self._typed(name, offers, partial, extends=False))

    def _component(self, plural: str, partial: bool) -> Schema:
        """A component of a kind: its name, the definition on another page, a type that needs no settings, or written out."""
        kind = KINDS[plural]
        offers = self.offers.get(kind, {})
        bare = [type_ for type_, offered in offers.items() if not _required(offered.config)]

        def named() -> Schema:
            text: Schema = {"type": "string", "pattern": f"^({NAME.pattern}|{_DAY}#{plural}\\.{NAME.pattern})$"}
            text |= {"examples": bare} if bare else {}
            written = self._named(f"{kind}.mapping", plural, partial, lambda: self._written(plural, offers, partial))
            return {"anyOf": [text, written]}

        return self._named(kind, plural, partial, named)

    def _written(self, plural: str, offers: Mapping[str, Offered], partial: bool) -> Schema:
        kind = KINDS[plural]
        if kind != "schedule":
            return self._typed(kind, offers, partial, extends=True)
        whole = self._named(
            "Schedule", Schedule, partial, lambda: self._mapping(Schedule, partial=partial, also=_extends(plural))
        )
        changed = self._named("Schedule", Schedule, True, lambda: self._mapping(Schedule, partial=True, also=_extends(plural)))
        return {"if": {"type": "object", "required": ["extends"]}, "then": changed, "else": whole}

    def _typed(self, name: str, offers: Mapping[str, Offered], partial: bool, *, extends: bool) -> Schema:
        """A mapping read by the class that its `type` names; with `extends`, whatever it changes."""
        also = _extends(f"{name}s") if extends else {}

        def one(type_: str, partial: bool) -> Schema:
            offered = offers[type_]
            own = f"{name}.{type_}" if extends else offered.config.__name__
            return self._named(own, offered.config, partial, lambda: self._of_type(type_, offered, partial, also))

        def chosen(partial: bool) -> Schema:
            branches = [
                {"if": {"properties": {"type": _is(type_)}, "required": ["type"]}, "then": one(type_, partial)}
                for type_ in offers
            ]
            return {"type": "object", "properties": {"type": _types(offers)}, "allOf": branches}

        def changed() -> Schema:
            found: dict[str, list[Schema]] = {}
            for type_ in offers:
                made = self.definitions[one(type_, True)["$ref"].rpartition("/")[2]]
                for key, schema in made["properties"].items():
                    found.setdefault(key, []).append(schema)
            merged = {key: _merged(schemas) for key, schemas in found.items()} | {"type": _types(offers)}
            free = {"type": "object", "properties": merged, "additionalProperties": False}
            return {"if": {"type": "object", "required": ["type"]}, "then": chosen(True), "else": free}

        if partial:
            return changed()
        whole = chosen(False)
        if not extends:
            return {**whole, "required": ["type"]}
        start = {**whole, "properties": {**whole["properties"], **also}, "required": ["type"]}
        change = self._named(f"{name}.mapping", f"{name}s", True, changed)
        return {"if": {"type": "object", "required": ["extends"]}, "then": change, "else": start}

    def _of_type(self, type_: str, offered: Offered, partial: bool, also: Schema) -> Schema:
        made = self._mapping(offered.config, partial=partial, also=also)
        made["properties"] = {"type": {"const": type_}, **{k: v for k, v in made["properties"].items() if k != "type"}}
        if not partial:
            made["required"] = list(dict.fromkeys(["type", *made.get("required", ())]))
        return {**made, "description": _summary(docstring(offered.config), offered.built), **_mark(offered.built)}

    def _mapping(self, cls: type[Config], *, partial: bool, also: Schema | None = None) -> Schema:
        """A mapping that `cls` reads; `also` are keys that are no fields."""
        nested = getattr(cls, "nested", {})
        properties: dict[str, Schema] = dict(also or {})
        for name, info in cls.model_fields.items():
            key = info.alias or name
            if (cls, name) == (Reference, "values"):
                continue
            if key in nested:
                made = self._component(nested[key], partial)
            else:
                made = self._marked(info.annotation, [*info.metadata, info.json_schema_extra], partial)
            if (cls, name) == (WrittenArm, "set"):
                made = self._changes()
            elif (cls, name) in ((WrittenArm, "points"), (WrittenEntry, "profiles")):
                made = {**made, "additionalProperties": self._changes()}
            elif name == "metrics":
                made = {**made, "items": {**made["items"], "examples": list(METRICS)}}
            elif cls is WrittenArm and name in ("vary", "zip", "one_at_a_time"):
                made = {**made, "propertyNames": {"pattern": _PATH}}
            properties[key] = self._field(cls, name, info, made, partial)
        values = {"additionalProperties": {"type": "number"}, "minProperties": 2} if cls is Reference else {}
        wanted = [] if partial else [key for key in _required(cls) if (cls, key) != (Reference, "values")]
        must = {"required": wanted} if wanted else {}
        return {
            "type": "object",
            "description": _told(cls),
            **_mark(cls.built),
            "properties": properties,
            **must,
            "additionalProperties": False,
            **values,
        }

    def _field(self, cls: type[Config], name: str, info: FieldInfo, made: Schema, partial: bool) -> Schema:
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        built = extra.get("built") is not False
        by_hand = cls in (WrittenPage, WrittenEntry, WrittenNotebook)  # read key by key: `off` is a word there like any other
        if made and (partial or not info.is_required()) and not by_hand and name != "type":
            none = types.NoneType in get_args(info.annotation)
            made = _any_of([made, _OFF_OR_NULL if none else _OFF])
        told: Schema = {"description": _summary(" ".join(description(cls, name).split()), built), **_mark(built)}
        if not info.is_required() and isinstance(info.default, (bool, int, float, str, list)) and info.default != "":
            told["default"] = info.default
        return {**told, **made}

    def _changes(self) -> Schema:
        """Paths and what is set there: a whole component is checked, what is inside one is not."""

        def made() -> Schema:
            wholes = {rf"^{plural}\.[^.\s]+$": self._component(plural, True) for plural in KINDS}
            return {"type": "object", "propertyNames": {"pattern": _PATH}, "patternProperties": wholes}

        return self._named("changes", Changes, False, made)

    def _named(self, name: str, owner: object, partial: bool, make: Callable[[], Schema]) -> Schema:
        """A reference to the definition of `owner`, made when it is first wanted; with a number where another has its name."""
        whole, count = name, 1
        name = _partial(name) if partial else name
        while self.owners.setdefault(name, owner) != owner:
            count += 1
            name = _partial(f"{whole}.{count}") if partial else f"{whole}.{count}"
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = make()
        return {"$ref": f"#/definitions/{name}"}


def _base(classes: Iterable[type[Config]]) -> str:
    """What several classes are one of: the name of the nearest class that all of them extend."""
    first, *others = classes
    common = next(base for base in first.__mro__[1:] if all(issubclass(other, base) for other in others))
    return common.__name__.removesuffix("Base")


def _partial(name: str) -> str:
    return f"{name}.partial"


def _keys(cls: type[Config]) -> list[str]:
    return [info.alias or name for name, info in cls.model_fields.items()]


def _required(cls: type[Config]) -> list[str]:
    """The keys that `cls` must be given."""
    return [info.alias or name for name, info in cls.model_fields.items() if info.is_required()]


def _any_of(parts: list[Schema]) -> Schema:
    """One of `parts`; each once."""
    flat: list[Schema] = []
    for part in parts:
        inside = part["anyOf"] if set(part) == {"anyOf"} else [part]
        flat += [schema for schema in inside if schema not in flat]
    return flat[0] if len(flat) == 1 else {"anyOf": flat}


def _merged(parts: list[Schema]) -> Schema:
    """A key that several types have: what it may be in any of them, told as the first of them tells it."""
    bare = [{key: value for key, value in part.items() if key not in ("description", "default", "x-built")} for part in parts]
    return {"description": parts[0].get("description", ""), **_any_of(bare)}


def _is(type_: str) -> Schema:
    """That a type is this one. No constant: while typing, servers take the beginning of one for the whole (adam, adamw)."""
    return {"type": "string", "pattern": f"^{type_}$"}


def _narrow(made: Schema, name: str, bound: Any) -> None:
    """Put a constraint where it can hold: into each alternative of its type."""
    for part in made.get("anyOf", [made]):
        key = _BOUNDS[name].get(part.get("type", "")) if isinstance(part.get("type", ""), str) else None
        if key is not None:
            part[key] = bound


def _extends(plural: str) -> Schema:
    kind = KINDS[plural]
    told = f"The {kind} that this one is but for the keys given here: a name of this page, or `DATE#{plural}.NAME`."
    return {"extends": {"type": "string", "description": told}}


def _types(offers: Mapping[str, Offered]) -> Schema:
    told = [_summary(offered.summary, offered.built) for offered in offers.values()]
    return {"description": "What it is.", "enum": list(offers), "enumDescriptions": told}


def _told(cls: type[Config]) -> str:
    return _summary(docstring(cls), cls.built)


def _summary(text: str, built: bool) -> str:
    return text if built else f"{text} {NOT_BUILT}".strip()


def _mark(built: bool) -> Schema:
    return {} if built else {"x-built": False}
