"""How charts look: one colour, dash and shape per arm over all charts of an entry, and Vega-Lite's configuration.

Colours are those of Okabe & Ito, darkened or lightened for contrast on white and on near-black; the baseline is grey.
In the page, charts name CSS variables, so that the same drawing follows the reader's light or dark scheme and the
printer's; figures written as files have the light colours spelled out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interpreter.report.charts.palette import Tint, declarations
from interpreter.report.words import STATES, TONES

LIGHT = {
    "ink": "#1c2024", "soft": "#5d646c", "line": "#d9dde1", "grid": "#eceef0", "paper": "#ffffff", "wash": "#eef1f4",
    "good": "#00795c", "same": "#2f66a8", "bad": "#b5400d", "open": "#84600a", "flaw": "#7c4a8a", "none": "#6a7078",
}  # fmt: skip
DARK = {
    "ink": "#e7eaed", "soft": "#a2aab2", "line": "#3a4148", "grid": "#2a3036", "paper": "#15181b", "wash": "#20252a",
    "good": "#4fcaa4", "same": "#80b4f0", "bad": "#ff9363", "open": "#e0bb58", "flaw": "#cfa0dd", "none": "#9aa2aa",
}  # fmt: skip

FILE_FONT = "Arial, Liberation Sans, Helvetica, sans-serif"
PAGE_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"

PANEL_HEIGHT = 260
FILE_WIDTH = 440  # of one panel in a figure's file
LONE_WIDTH = 640  # of the only panel of a file


def legend_columns(labels: Sequence[str]) -> int:
    """How many labels fit beside each other in a file's legend."""
    return max(1, LONE_WIDTH // (7 * max(map(len, labels)) + 45))


def colour(name: str, *, page: bool) -> str:
    """A named colour of the theme ("ink", "good", ...)."""
    return f"var(--{name})" if page else LIGHT[name]


def tone_colours(*, page: bool) -> list[str]:
    """A colour per tone, in the order of TONES."""
    return [colour(tone, page=page) for tone in TONES]


def tone_of(state: str) -> str:
    """The tone of a verdict's state."""
    return STATES[state].tone if state in STATES else "none"


def variables(tints: Iterable[Tint], *, dark: bool) -> str:
    """The theme as CSS declarations, with the `tints` that charts use."""
    named: Mapping[str, str] = DARK if dark else LIGHT
    return " ".join([*(f"--{name}: {value};" for name, value in named.items()), declarations(tints, dark=dark)])


def config(*, page: bool) -> dict[str, Any]:
    """Vega-Lite's configuration: quiet axes, no frame, titles at the left."""
    ink, soft = colour("ink", page=page), colour("soft", page=page)
    line, grid = colour("line", page=page), colour("grid", page=page)
    font = PAGE_FONT if page else FILE_FONT
    label = {"labelFont": font, "labelFontSize": 11, "labelColor": soft}
    title = {"titleFont": font, "titleFontSize": 11.5, "titleColor": soft, "titleFontWeight": "normal"}
    return {
        "background": "transparent" if page else LIGHT["paper"],
        "font": font,
        "padding": {"left": 2, "right": 8, "top": 4, "bottom": 2} if page else 14,
        "view": {"stroke": None, "continuousWidth": FILE_WIDTH, "continuousHeight": PANEL_HEIGHT},
        "axis": {**label, **title, "domain": False, "ticks": False, "gridColor": grid, "gridWidth": 1, "labelPadding": 6,
                 "titlePadding": 8, "tickCount": 6, "labelOverlap": True},
        "axisX": {"grid": False, "domain": True, "domainColor": line, "ticks": True, "tickColor": line, "tickSize": 4,
                  "labelPadding": 3, "titlePadding": 6},
        "legend": {**label, **title, "orient": "top", "direction": "horizontal", "labelFontSize": 11.5, "labelColor": ink,
                   "labelLimit": 420, "symbolStrokeWidth": 2.5, "symbolSize": 500, "title": None, "columnPadding": 16},
        "title": {"font": font, "fontSize": 13, "fontWeight": 600, "color": ink, "anchor": "start", "offset": 10,
                  "frame": "group"},
        "text": {"font": font, "fontSize": 11.5, "color": ink},
        "concat": {"spacing": 28},
    }  # fmt: skip


def mark(name: str, *, page: bool) -> dict[str, Any]:
    """The look of a mark that stands for no arm: "zero", "trivial", "trivial-text", "hover", "claimed", ..."""
    ink, soft = colour("ink", page=page), colour("soft", page=page)
    marks: dict[str, dict[str, Any]] = {
        "zero": {"stroke": soft, "strokeWidth": 1},
        "trivial": {"stroke": soft, "strokeWidth": 1, "strokeDash": [2, 3]},
        "trivial-text": {"fill": soft, "fontSize": 10.5},
        "hover": {"stroke": soft, "strokeWidth": 1},
        "claimed": {"fill": colour("wash", page=page)},
        "pair": {"stroke": soft, "strokeWidth": 1, "opacity": 0.28},
        "difference": {"stroke": soft, "strokeWidth": 1.2, "opacity": 0.8},
        "row-name": {"fill": ink, "fontSize": 12, "fontWeight": 600},
        "halo": {
            "fontSize": 12,
            "fontWeight": 600,
            "stroke": colour("paper", page=page),
            "strokeWidth": 5,
            "strokeJoin": "round",
        },
    }
    return marks[name]
