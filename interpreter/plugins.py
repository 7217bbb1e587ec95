"""Plug-ins: components of other packages, named in expt.toml or announced by an installed one. Never found by looking around.

A plug-in is a module with `LINES`, a tuple of `Line`. Reading it imports no config class and no builder: those follow when
a page names their type, the builder in workers alone. docs/plugins.md says how one is written, decision 0006 why so.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, get_args, get_origin

from interpreter.errors import UsageError
from interpreter.spec.base import Component
from interpreter.spec.components import contract
from interpreter.spec.metrics import METRICS

GROUP = "expt.parts"  # the entry-point group by which an installed package announces its plug-in
KINDS: Mapping[str, type[Component]] = {"dataset": contract.Dataset, "model": contract.Model, "objective": contract.Objective}

_TYPE = re.compile(r"[a-z][a-z0-9_]*")
_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_STRICT = ("strict", "frozen")  # of `Config.model_config`, besides extra="forbid" and allow_inf_nan=False
_CLASS_SETTINGS = {"objective": ("task", "metrics")}  # ClassVars without a default
_CLASS_METHODS = {"dataset": ("facts", "measured")}  # methods that only raise NotImplementedError

Key = tuple[str, str]  # kind and type


@dataclass(frozen=True, slots=True)
class Line:
    """One component: where its config class and its builder are, as "module:name".

    A builder of "" announces a type of a later release: pages that use it are checked and planned, and refused when run.
    """

    kind: str
    type: str
    config: str
    builder: str
    summary: str


@dataclass(frozen=True, slots=True)
class Offered:
    """A component of a plug-in."""

    plugin: str  # the plug-in's module
    line: Line

    def config_class(self) -> type[Component]:
        """The config class, held to what every config class keeps to. Raises: UsageError."""
        cls = self._load(self.line.config, "config class")
        if wrong := _config_fault(cls, self.line):
            raise UsageError(
                f"plug-in `{self.plugin}`: the config class {self.line.config} {wrong}",
                hint="docs/plugins.md says what a config class keeps to; to go without it, take the plug-in out",
            )
        assert isinstance(cls, type)
        return cls

    def builder(self) -> Any:
        """The builder; importing it imports what is heavy. Raises: UsageError."""
        found = self._load(self.line.builder, "builder")
        if not callable(found):
            raise UsageError(
                f"plug-in `{self.plugin}`: the builder {self.line.builder} is not a function",
                hint=f"name one in its line for the {self.line.kind} `{self.line.type}`",
            )
        return found

    def _load(self, reference: str, what: str) -> Any:
        module, _, name = reference.partition(":")
        try:
            return getattr(import_module(module), name)
        except (Exception, SystemExit) as error:
            hint = f"mend it, or its line for the {self.line.kind} `{self.line.type}`"
            raise UsageError(
                f"plug-in `{self.plugin}`: its {what} {reference} can't be imported: {_reason(error)}", hint=hint
            ) from error


@dataclass(slots=True)
class Plugins:
    """What a project has besides the built-in components.

    Listed plug-ins are read at the first question of any kind. Installed ones are looked for only when a type is found nowhere
    else or all are asked for: what some package announces stands in the way of nobody who does not use it.
    """

    builtin: Mapping[Key, Line]
    listed: tuple[str, ...] = ()
    _of_listed: dict[Key, Offered] | None = None
    _of_all: dict[Key, Offered] | None = None

    def use(self, listed: Sequence[str]) -> None:
        """Take the plug-ins of a project instead of those before; nothing is imported yet."""
        if tuple(listed) != self.listed:
            self.listed, self._of_listed, self._of_all = tuple(listed), None, None

    def find(self, kind: str, type_: str) -> Offered | None:
        """The component that a plug-in offers, or None; a type that is built in is no plug-in's. Raises: UsageError."""
        offered = self._read_listed()
        if (kind, type_) in self.builtin:
            return None
        return offered.get((kind, type_)) or self._read_all().get((kind, type_))

    def types(self, kind: str) -> tuple[str, ...]:
        """Types of a kind that plug-ins offer, listed ones first. Raises: UsageError."""
        return tuple(offered.line.type for offered in self._read_all().values() if offered.line.kind == kind)

    def _read_listed(self) -> dict[Key, Offered]:
        if self._of_listed is None:
            self._of_listed = self._taken({}, self.listed)
        return self._of_listed

    def _read_all(self) -> dict[Key, Offered]:
        if self._of_all is None:
            installed = (module for module in announced() if module not in self.listed)
            self._of_all = self._taken(self._read_listed(), installed)
        return self._of_all

    def _taken(self, before: Mapping[Key, Offered], modules: Iterable[str]) -> dict[Key, Offered]:
        """`before` and what `modules` offer. Raises: UsageError for a plug-in that is wrong, or takes a type that is taken."""
        found = dict(before)
        for module in modules:
            for line in read_lines(module):
                key = (line.kind, line.type)
                if key in self.builtin:
                    raise UsageError(
                        f"plug-in `{module}` redefines the {line.kind} `{line.type}`, which is built in",
                        hint="pages mean the built-in one: give the plug-in's another name",
                    )
                if key in found:
                    other = found[key].plugin
                    who = "twice" if other == module else f"and so does plug-in `{other}`"
                    raise UsageError(
                        f"plug-in `{module}` defines the {line.kind} `{line.type}` {who}",
                        hint="one of the two needs another name, or must not be installed or listed",
                    )
                found[key] = Offered(module, line)
        return found


def announced() -> Iterator[str]:
    """Modules that installed packages announce as plug-ins, in the order of their names. Raises: UsageError for a bad one."""
    from importlib.metadata import entry_points  # wanted by few

    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if not re.fullmatch(r"\w+(\.\w+)*", point.value):
            package = f" of {point.dist.name}" if point.dist else ""
            raise UsageError(
                f"the entry point `{point.name} = {point.value}`{package} in the group {GROUP} does not name a module",
                hint='write the module that has LINES: my-parts = "my_package.lines"',
            )
        yield point.value


def read_lines(module: str) -> tuple[Line, ...]:
    """The lines of a plug-in, none of whose references is followed. Raises: UsageError."""
    try:
        lines = getattr(import_module(module), "LINES", None)
    except (Exception, SystemExit) as error:
        absent = isinstance(error, ModuleNotFoundError) and (module == error.name or module.startswith(f"{error.name}."))
        if absent:
            raise UsageError(
                f"plug-in `{module}` is not here: there is no module of that name",
                hint="install its package beside expt, or put its folder on PYTHONPATH; `plugins` in expt.toml names it",
            ) from None
        raise UsageError(
            f"plug-in `{module}` can't be imported: {_reason(error)}",
            hint="mend it, take it out of `plugins` in expt.toml, or uninstall it",
        ) from error
    if not isinstance(lines, tuple) or not lines:
        raise UsageError(
            f"plug-in `{module}` has no LINES" if lines is None else f"plug-in `{module}`: LINES is not a tuple of lines",
            hint="a plug-in is a module with `LINES: tuple[Line, ...] = (Line(...),)`; Line is in interpreter.catalog",
        )
    for number, line in enumerate(lines, start=1):
        if wrong := _line_fault(line):
            raise UsageError(
                f"plug-in `{module}`: line {number} of LINES {wrong}",
                hint="Line(kind, type, config, builder, summary), all texts",
            )
    return lines


def _line_fault(line: Any) -> str:
    """What is wrong with one of LINES, or ""."""
    if not isinstance(line, Line):
        return f"is not a Line but {type(line).__name__}"
    for name in Line.__slots__:
        if not isinstance(getattr(line, name), str):
            return f"has a `{name}` that is no text: {getattr(line, name)!r}"
    if line.kind not in KINDS:
        return f"is of the kind `{line.kind}`, and kinds are {', '.join(KINDS)}"
    if not _TYPE.fullmatch(line.type):
        return f"has the type `{line.type}`: types are small letters, digits and _"
    for name in ("config", "builder"):
        if not _REFERENCE.fullmatch(getattr(line, name)):
            return f'has the {name} `{getattr(line, name)}`, which is not "module:name"'
    return "" if line.summary.strip() else "has no summary"


def _config_fault(cls: Any, line: Line) -> str:
    """What is wrong with the config class of `line`, or ""."""
    base = KINDS[line.kind]
    if not isinstance(cls, type) or not issubclass(cls, base):
        return f"does not extend interpreter.spec.components.contract.{base.__name__}, as that of a {line.kind} must"
    settings = cls.model_config
    strict = all(settings.get(name) is True for name in _STRICT) and settings.get("allow_inf_nan") is False
    if not strict or settings.get("extra") != "forbid":
        return "is not strict: leave `model_config` as it is in interpreter.spec.base.Config"
    annotation = cls.model_fields["type"].annotation
    if get_origin(annotation) is not Literal or get_args(annotation) != (line.type,):
        return f'does not say its type: write `type: Literal["{line.type}"] = "{line.type}"`'
    version: Any = cls.component_version
    if type(version) is not int or version < 1:
        return f"has the component_version {version!r}, which must be a whole number from 1 up"
    for name in _CLASS_SETTINGS.get(line.kind, ()):
        if not hasattr(cls, name):
            return f"does not say its `{name}`"
    for name in _CLASS_METHODS.get(line.kind, ()):
        if getattr(cls, name) is getattr(base, name):
            return f"has no method `{name}`"
    unknown = [name for name in getattr(cls, "metrics", ()) if name not in METRICS]
    return f"has metrics that nobody knows: {', '.join(map(str, unknown))}" if unknown else ""


def _reason(error: BaseException) -> str:
    """An exception in one line: what, and where it was raised."""
    first = next(iter(str(error).strip().splitlines()), "")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    told = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    where = f" ({told[-1].filename}, line {told[-1].lineno})" if told else ""
    return f"{type(error).__name__}: {first}{where}" if first else f"{type(error).__name__}{where}"
