"""An entry of a page, typed: what is asked, what is expected, what is shown. Arms are resolved by `plan`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from interpreter.errors import Place
from interpreter.spec.claims import Claim, Waiver
from interpreter.spec.measures import Measure, Reference
from interpreter.spec.views import AnyChart, AnyTable


@dataclass(frozen=True, slots=True)
class Update:
    """A dated remark added to an entry later; `entry` is the id of an entry that ran something for it."""

    date: str
    text: str
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an entry's work ended when it did not end well: it failed or was abandoned, where, why, and what to read."""

    status: str  # "failed" | "abandoned"
    stage: str = ""
    error: str = ""
    cause: str = ""
    see: tuple[str, ...] = ()  # ids of entries


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook's own file, specs/notebooks/NAME.yaml: what its entries are about, and their order."""

    name: str
    title: str
    aim: str = ""  # Markdown
    discussion: str = ""  # Markdown
    order: tuple[str, ...] = ()  # ids of entries; those not named follow by date


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as far as a reader, a verdict or a report needs it."""

    name: str
    title: str
    place: Place
    notebook: str = ""
    about: str = ""  # the day the work was done, where it wasn't the page's
    question: str = ""
    notes: str = ""  # Markdown
    assumed: tuple[str, ...] = ()  # dotted paths of settings the notebook did not tell
    measures: Mapping[str, Measure] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    charts: Mapping[str, AnyChart] = field(default_factory=dict)
    tables: Mapping[str, AnyTable] = field(default_factory=dict)
    updates: tuple[Update, ...] = ()
    conclusion: str = ""  # Markdown with {{ verdict.NAME }} and {{ measure.ARM.NAME }}
    concludes: Mapping[str, str] = field(default_factory=dict)  # claim -> the state the author concluded
    outcome: Outcome | None = None
    in_notebook: Notebook | None = None  # the notebook's own file, where there is one
