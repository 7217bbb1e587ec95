"""docs/language.md: the frame, with tables made of the schema of pages and examples cut out of real pages."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from interpreter.cli.schema import built_in, offers
from interpreter.errors import Problems
from interpreter.source.load import load
from interpreter.source.nodes import Mapping
from interpreter.spec.metrics import METRICS
from interpreter.spec.names import DATE
from interpreter.spec.schema import NOT_BUILT, notebook_schema, page_schema

ROOT = Path(__file__).resolve().parents[1]
NOTE = "<!-- Made by `make docs` from language_frame.md and the models that read pages: change those. -->\n\n"
_MARK = re.compile(r"^\{\{(\w+)(?: ([^ }]+))?(?: ([^ }]+))?\}\}$", re.MULTILINE)
_KINDS = ("dataset", "model", "objective", "schedule")
_TYPES = {"AnyOptimizer": "optimizer", "AnyRateRule": "rule"}
# Definitions that have a place of their own in the frame: what a link to them says, and where it leads.
_PLACES = {
    "Entry": ("entry", "entries"),
    "Fit": ("fit", "fit"),
    "Evaluate": ("evaluate", "evaluate"),
    "Probe": ("probe", "probe"),
    "Score": ("score", "score"),
    "Head": ("head", "models"),
    "Schedule": ("schedule", "schedules"),
    "Arm": ("chain", "chain"),
    "Combine": ("combine", "combine"),
    "Import": ("import", "import"),
    "Range": ("range", "seeds"),
    "Adaptive": ("adaptive", "seeds"),
    "Measure": ("measure", "measures"),
    "Reference": ("reference", "references"),
    "Order": ("claim", "claim"),
    "Value": ("value", "value"),
    "Trend": ("trend", "trend"),
    "Shape": ("shape", "shape"),
    "Reproduces": ("reproduces", "reproduces"),
    "Finishes": ("finishes", "finishes"),
    "Waiver": ("waiver", "allow"),
    "Chart": ("chart", "charts"),
    "SqlChart": ("query", "charts"),
    "Table": ("table", "tables"),
    "SqlTable": ("query", "tables"),
    "Update": ("update", "updates-and-outcome"),
    "Outcome": ("outcome", "updates-and-outcome"),
}
_PLAIN = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "null": "nothing"}


def language() -> str:
    """The whole document."""
    frame = (ROOT / "docs" / "language_frame.md").read_text("utf-8")
    writer = _Writer(frame)
    head, _, rest = frame.partition("\n\n")
    return f"{head}\n\n{NOTE}" + _MARK.sub(writer.put, rest)


class _Writer:
    """Fills in the marks of the frame. Mappings that are inside others follow the first table that speaks of them."""

    def __init__(self, frame: str) -> None:
        page, notebook = page_schema(offers(built_in())), notebook_schema()
        self.definitions: dict[str, Any] = {**page.pop("definitions"), "page": page, "notebook": notebook}
        tables = {found[2] for found in _MARK.finditer(frame) if found[1] == "table"}
        assert tables == _PLACES.keys() | {"page", "notebook"}
        self.written: set[str] = set()
        self.waiting: list[str] = []

    def put(self, found: re.Match[str]) -> str:
        """What stands in the place of a mark."""
        kind, first, second = found.groups()
        if kind == "example":
            return example(ROOT / first, second)
        if kind == "metrics":
            return metrics()
        if kind == "components":
            return self.components(first)
        if kind == "types":
            return self.types(first)
        return self.whole(first)

    def whole(self, name: str, depth: int = 4) -> str:
        """The table of a definition, then those of what is inside it and has no place of its own."""
        parts = [self.told(name), self.table(name)]
        while self.waiting:
            inner = self.waiting.pop(0)
            parts += [f"{'#' * depth} {inner}", self.told(inner), self.table(inner)]
        return "\n\n".join(parts)

    def told(self, name: str) -> str:
        """What a definition is."""
        text: str = self.definitions[name]["description"]
        return text if text.endswith((".", NOT_BUILT)) else f"{text}."

    def table(self, name: str, leave_out: tuple[str, ...] = ("type", "extends")) -> str:
        """The keys of a definition."""
        schema = self.definitions[name]
        self.written.add(name)
        rows = ["| key | takes | default | what |", "|---|---|---|---|"]
        for key, below in schema["properties"].items():
            if key in leave_out:
                continue
            default = "**required**" if key in schema.get("required", ()) else _default(below)
            rows.append(f"| `{key}` | {_cell(self.words(below))} | {default} | {_cell(below['description'])} |")
        if isinstance(schema["additionalProperties"], dict):
            rows.insert(2, f"| name of a measure | {self.words(schema['additionalProperties'])} | **required** | Its value. |")
        return "\n".join(rows) if len(rows) > 2 else "No settings."

    def components(self, kind: str) -> str:
        """Every type of a kind."""
        names = [f"{kind}.{type_}" for type_ in built_in()[kind]]
        return "\n\n".join(f"### {kind.title()} `{name.partition('.')[2]}`\n\n{self.whole(name)}" for name in names)

    def types(self, name: str) -> str:
        """Every type of a mapping that `type` tells apart."""
        branches = [branch["then"] for branch in self.definitions[name]["allOf"]]
        parts = []
        for branch in branches:
            own = _name(branch)
            type_ = self.definitions[own]["properties"]["type"]["const"]
            parts.append(f"#### {_TYPES[name]} `{type_}`\n\n{self.whole(own, 5)}")
        return "\n\n".join(parts)

    def words(self, schema: dict[str, Any]) -> str:
        """What a value may be, in words."""
        if "$ref" in schema:
            return self.link(_name(schema))
        if "anyOf" in schema:
            parts = [p for below in schema["anyOf"] if below.get("pattern") != "^off$" for p in self.told_apart(below)]
            return _or(list(dict.fromkeys(parts)))
        if "if" in schema or "allOf" in schema:
            return _or(self.told_apart(schema))
        if "const" in schema or "enum" in schema:
            values = schema.get("enum", [schema.get("const")])
            return _or([f"`{word}`" for word in dict.fromkeys(v if isinstance(v, str) else json.dumps(v) for v in values)])
        return self._plain(schema)

    def told_apart(self, schema: dict[str, Any]) -> list[str]:
        """What the mappings of a chain of `if`, `then` and `else` may be; of anything else, itself."""
        if "if" in schema:
            return [*self.told_apart(schema["then"]), *self.told_apart(schema["else"])]
        if "allOf" in schema:
            return self.told_apart(schema["allOf"][0])
        text = self.words(schema)
        return [text] if text else []

    def _plain(self, schema: dict[str, Any]) -> str:
        kind = schema.get("type")
        if kind == "array":
            items = _one(self.words(schema.get("items", {}))) or "values"
            least, most = schema.get("minItems"), schema.get("maxItems")
            count = f"{least} of " if least is not None and least == most else ""
            return f"list of {count}{items}" + (f", {least} or more" if least and not count and least > 1 else "")
        if kind == "object":
            inside = schema.get("additionalProperties")
            below = _one(self.words(inside)) if isinstance(inside, dict) else ""
            keys = schema.get("propertyNames", {}).get("pattern", "")
            named = "keys" if not keys else "[paths](#how-a-page-is-read)" if "seeds" in keys else "names"
            return f"mapping of {named} to {below or 'values'}" if inside is not None and inside is not False else ""
        if kind is None:
            return ""
        if kind == "string":
            pattern = schema.get("pattern", "")
            return "day" if pattern == f"^{DATE.pattern}$" else "percentage" if "%" in pattern else "text"
        return _PLAIN[kind] + _range(schema)

    def link(self, name: str) -> str:
        """A link to where a definition is told, which is wanted from now on."""
        if name in _KINDS:
            return f"[{name}](#{name}s)"
        if name in _TYPES:
            return f"[{_TYPES[name]}](#{'optimizers' if name == 'AnyOptimizer' else 'learning-rates-over-time'})"
        if name == "changes":
            return "mapping of [paths](#how-a-page-is-read) to values"
        if name in _PLACES:
            label, anchor = _PLACES[name]
            return f"[{label}](#{anchor})"
        if name not in self.written and name not in self.waiting:
            self.waiting.append(name)
        return f"[{name}](#{name.lower()})"


def example(path: Path, dotted: str) -> str:
    """The part of a page that is at a dotted path, as a block of YAML."""
    problems = Problems()
    tree, text = load(path, path.name, problems)
    assert isinstance(tree, Mapping) and not problems.found, problems.found
    node, key = tree, ""
    place = tree.place
    for step in dotted.split("."):
        assert isinstance(node, Mapping), dotted
        key, place, node = step, node.keys[step], node.items[step]  # type: ignore[assignment]
    lines = text.splitlines()
    first, indent = place.line - 1, place.column - 1
    last = first + 1
    while last < len(lines) and (not lines[last].strip() or len(lines[last]) - len(lines[last].lstrip()) > indent):
        last += 1
    block = textwrap.dedent("\n".join(line.rstrip() for line in lines[first:last])).rstrip()
    assert block.startswith(f"{key}:"), dotted
    shown = path.relative_to(ROOT).as_posix()
    return f"```yaml\n# {shown}\n{block}\n```"


def metrics() -> str:
    """The table of metrics."""
    rows = ["| metric | better | unit | what |", "|---|---|---|---|"]
    rows += [f"| `{name}` | {info.better} | {info.unit} | {_cell(info.description)} |" for name, info in METRICS.items()]
    return "\n".join(rows)


def _name(reference: dict[str, Any]) -> str:
    name: str = reference["$ref"].rpartition("/")[2]
    return name


def _or(words: list[str]) -> str:
    words = [word for word in words if word]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _one(words: str) -> str:
    """`words`, in brackets where they are several things."""
    return f"({words})" if " or " in words else words


def _range(schema: dict[str, Any]) -> str:
    parts = []
    for key, text in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below")):
        if key in schema:
            parts.append(f"{text} {schema[key]:g}" if abs(schema[key]) < 1e6 else f"{text} {schema[key]}")
    return f" {' '.join(parts)}" if parts else ""


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return ""
    value = schema["default"]
    shown = value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else json.dumps(value)
    return f"`{shown}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
