"""What a report says, before it is set as HTML or Markdown: one frozen value that both are written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from interpreter.plan.types import EntryPlan
from interpreter.report.charts.palette import Look, Tint
from interpreter.verdicts.types import Verdict

Rows = list[dict[str, Any]]


class Keeper(Protocol):
    """Keeps rows under a name."""

    def add(self, kind: str, rows: Rows) -> str:
        """Keep `rows`, and return their name."""
        ...


# Kinds of figures in the order of the report, and the headings they stand under.
SECTIONS = (
    ("forest", "Effects"),
    ("robustness", "Robustness"),
    ("curves", "Learning curves"),
    ("measures", "Measures"),
    ("schedule_trace", "Schedules"),
    ("sql", "From the database"),
)


@dataclass(frozen=True, slots=True)
class Grid:
    """One table: texts for the reader, and exact values for the CSV file. Without data: only a notice."""

    name: str
    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]  # the first cell is the row's heading
    footer: tuple[tuple[str, ...], ...]  # trivial baselines and references, below a thin rule
    csv_columns: tuple[str, ...]
    csv_rows: tuple[tuple[Any, ...], ...]
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One chart: its panels for the page, and one drawing of all of them for files. Without data: only a notice."""

    name: str
    kind: str  # one of SECTIONS
    title: str
    caption: str
    alt: str  # what is to be seen, for readers who don't see it
    panels: tuple[Mapping[str, Any], ...] = ()  # Vega-Lite, naming data sets of the page
    drawing: Mapping[str, Any] | None = None  # Vega-Lite, naming the same data sets
    look: Look | None = None  # colours of what is told apart
    legend: Literal["", "mute", "plain"] = ""  # above the panels of the page; "mute": each can be muted
    wide: bool = False  # panels one below the other
    notice: str = ""  # instead of a drawing
    grid: Grid | None = None  # the numbers of the drawing, among the tables


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a run said about itself, or the report noticed: where, and what."""

    severity: str  # "warning" | "note"
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class StageLine:
    """One stage as it was run, for the provenance table."""

    key: str
    name: str
    used_by: str
    seed: int
    state: str
    epochs: str
    attempts: int
    environment: str  # name of a set of versions and numerics, explained below the table


@dataclass(frozen=True, slots=True)
class Link:
    """Another entry that is named: where its report is, and how it stands."""

    id: str
    title: str  # "" when nothing is known of it
    date: str
    present: bool = False  # it is the one being read
    there: bool = True  # it has a report to go to
    state: str = ""  # "2 supported, 1 undecided", "3 of 9 stages done"


@dataclass(frozen=True, slots=True)
class Content:
    """A report."""

    plan: EntryPlan
    unbuilt: str  # why nothing, or not everything, can run yet; "" when all can
    links: Mapping[str, Link]  # entries that updates and the outcome name, by id
    siblings: tuple[Link, ...]  # the notebook's entries in order, this one among them; () without a notebook's own file
    page_title: str
    origin: str  # "" when all data was measured in the world and is the user's
    verdicts: tuple[Verdict, ...]
    figures: tuple[Figure, ...]
    tables: tuple[Grid, ...]
    findings: tuple[Finding, ...]
    conclusion: str  # Markdown, filled in
    disagreements: tuple[str, ...]  # what the author concluded and what was computed, where they differ
    assumed: tuple[tuple[str, str], ...]  # path, value
    data: tuple[tuple[str, str, str], ...]  # dataset, where it is from, fingerprint
    stages: tuple[StageLine, ...]
    environments: tuple[tuple[str, str], ...]  # name, in words
    tints: tuple[Tint, ...]  # colours of what the figures tell apart
    datasets: Mapping[str, Rows] = field(default_factory=dict)  # what the figures draw
