"""An entry of a page, typed: what is asked, what is expected, what is shown. Arms are resolved by `plan`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from interpreter.errors import Place
from interpreter.spec.claims import Claim, Waiver
from interpreter.spec.measures import Measure, Reference
from interpreter.spec.views import Chart, Table


@dataclass(frozen=True, slots=True)
class Update:
    """A dated remark added to an entry later; `entry` is the id of an entry that ran something for it."""

    date: str
    text: str
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as far as a reader, a verdict or a report needs it."""

    name: str
    title: str
    place: Place
    notebook: str = ""
    question: str = ""
    notes: str = ""  # Markdown
    assumed: tuple[str, ...] = ()  # dotted paths of settings the notebook did not tell
    measures: Mapping[str, Measure] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    charts: Mapping[str, Chart] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    updates: tuple[Update, ...] = ()
    conclusion: str = ""  # Markdown with {{ verdict.NAME }} and {{ measure.ARM.NAME }}
    concludes: Mapping[str, str] = field(default_factory=dict)  # claim -> the state the author concluded
