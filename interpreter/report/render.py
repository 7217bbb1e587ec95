"""Drawings as files, and the one bundle of JavaScript that a page carries."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import vl_convert as vlc

from interpreter.errors import RecordError
from interpreter.project import Project
from interpreter.report.charts import theme
from interpreter.report.content import Rows
from interpreter.run.record import write_atomically

VEGALITE = "6.1"  # the version Altair's schema is of
SCALE = 2.0  # pixels of a PNG per unit of the drawing
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


def drawing(spec: Mapping[str, Any], datasets: Mapping[str, Rows]) -> dict[str, Any]:
    """`spec` with the data sets it names, and the configuration for files."""
    whole = copy.deepcopy(dict(spec))
    whole["datasets"] = {name: datasets[name] for name in named(spec) if name in datasets}
    whole["config"] = theme.config(page=False)
    return whole


def svg(spec: dict[str, Any]) -> bytes:
    """A whole drawing as SVG."""
    text: str = vlc.vegalite_to_svg(spec, vl_version=VEGALITE)
    return text.encode("utf-8")


def png(drawn: bytes) -> bytes:
    """An SVG drawing as PNG, twice its size in pixels."""
    data: bytes = vlc.svg_to_png(drawn.decode("utf-8"), scale=SCALE)
    return data


def named(spec: Any) -> set[str]:
    """Names of the data sets that a chart refers to."""
    if isinstance(spec, Mapping):
        here = {str(spec["data"]["name"])} if isinstance(spec.get("data"), Mapping) and "name" in spec["data"] else set()
        return here.union(*(named(value) for value in spec.values()))
    return set().union(*(named(value) for value in spec)) if isinstance(spec, (list, tuple)) else set()


def bundle(project: Project) -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that sets `vegaEmbed`; made once, then kept in the project's cache."""
    path = project.cache / "report" / f"vega-embed-{version('vl-convert-python')}-{VEGALITE}.js"
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        text: str = vlc.javascript_bundle(_SNIPPET, vl_version=VEGALITE)
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} can't be read: {error}", hint="it is a cache: remove it") from None
    write_atomically(path, text.encode("utf-8"))
    return text
