"""Tables of the checkpoints that a probe looked at, a row each: `rows: head.at`, with a text in each cell.

a cell                 means over seeds, at the epoch that is best by the metric that picks
a mark behind it       the checkpoint was picked, with several seeds by how many of them
below the rule         what the choice has to be seen against: how far seeds of one checkpoint lie apart, and checkpoints
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from interpreter.errors import ReportError
from interpreter.plan.types import ArmPlan, EntryPlan
from interpreter.report.content import Grid
from interpreter.report.crosstab import COLUMNS, EPOCH, N, axis, in_cell, pieces_of
from interpreter.report.read import Reader, Record
from interpreter.report.statistics import summary
from interpreter.spec.names import did_you_mean
from interpreter.spec.views import Table

MARK = "●"
_CAPTION = "At each head's best epoch, chosen on the data it reports; means over seeds."

Cell = list[Record]  # of one checkpoint: a row for each trial and metric


def probe_table(
    name: str, title: str, table: Table, stage: str, entry: EntryPlan, reader: Reader, spell: Callable[[float | None], Any]
) -> Grid:
    """The table of what the probe `stage` looked at. `spell` makes a number that can be formatted.

    Raises: ReportError for a hole that is no metric of the probe, or a format that can't be used.
    """
    columns = str(table.columns)
    found = [record for record in reader.probed if record["stage"] == stage]
    if not found:
        return Grid(name, title, table.caption, (), (), (), (), (), f"No trial has got through `{stage}` yet.")
    pieces = pieces_of(table.cell or "", name, entry.id)
    holes = [hole for hole in dict.fromkeys(piece.hole for piece in pieces) if hole not in ("", EPOCH, N)]
    metrics = {hole: _metric(hole, stage, found, name, entry.id) for hole in holes}
    across = [(head, arms) for head, arms in axis(columns, "arm", entry) if any(stage in arm.chain for arm in arms)]
    rows, exact = [], []
    for checkpoint in _in_order(record["checkpoint"] for record in found):
        cells = []
        for column, arms in across:
            cell = _of(found, arms, checkpoint)
            means = {hole: _mean(cell, *metric) for hole, metric in metrics.items()}
            cells.append(in_cell(pieces, means, spell, name, entry.id) + _mark(cell) if cell else "")
            if cell:
                picked = len({(r["arm"], r["seed"]) for r in cell if r["picked"]})
                numbers = [x for hole, metric in metrics.items() for x in (*means[hole], summary(_values(cell, *metric)).sd)]
                exact.append((checkpoint, column, cell[0]["trained"], picked, *numbers))
        rows.append((checkpoint, *cells))
    shown = across[:COLUMNS]
    first = next(piece for piece in pieces if piece.hole in metrics)
    footer = _noise(found, [arms for _, arms in shown], metrics[first.hole], lambda x: format(spell(x), first.form or ".4g"))
    said = [table.caption] if table.caption else []
    said += [_CAPTION, f"{MARK}: picked."]
    said += [f"The first {COLUMNS} of {len(across)} columns; the CSV file has all."] if len(across) > COLUMNS else []
    heads = (table.rows, *(column if columns == "arm" else f"{columns} {column}" for column, _ in shown))
    csv = (table.rows, columns, "trained", "picked", *(f"{h}.{what}" for h in metrics for what in ("mean", "epoch", "n", "sd")))
    texts = tuple(tuple(row[: len(shown) + 1]) for row in rows)
    return Grid(name, title, " ".join(said), heads, texts, footer, csv, tuple(exact))


def _metric(hole: str, stage: str, found: Sequence[Record], table: str, entry: str) -> tuple[str, str]:
    """(split, name) of what a hole shows."""
    split, _, metric = hole.removeprefix(f"{stage}.").partition("/")
    known = sorted({f"{record['split']}/{record['metric']}" for record in found})
    if f"{split}/{metric}" not in known:
        raise ReportError(
            f"{entry}: the cell of table `{table}` asks for `{hole}`, which `{stage}` did not measure of each checkpoint",
            hint=did_you_mean(hole, [*known, EPOCH, N]),
        )
    return split, metric


def _in_order(names: Iterable[str]) -> list[str]:
    """Epochs as they follow one another, then best and last."""
    place = {name: number for number, name in enumerate(dict.fromkeys(names))}
    numbered = {name: int(name.removeprefix("epoch-")) for name in place if name.startswith("epoch-")}
    return sorted(place, key=lambda name: (name not in numbered, numbered.get(name, 0), place[name]))


def _of(found: Sequence[Record], arms: Sequence[ArmPlan], checkpoint: str) -> Cell:
    names = {arm.name for arm in arms}
    return [record for record in found if record["arm"] in names and record["checkpoint"] == checkpoint]


def _values(cell: Cell, split: str, metric: str) -> list[float]:
    values = (r["value"] for r in cell if (r["split"], r["metric"]) == (split, metric))
    return [value for value in values if value is not None and math.isfinite(value)]


def _mean(cell: Cell, split: str, metric: str) -> tuple[float | None, float | None, int]:
    """Mean value and epoch over the trials of a cell, and how many there are."""
    values = _values(cell, split, metric)
    epochs = [r["epoch"] for r in cell if (r["split"], r["metric"]) == (split, metric)]
    return (math.fsum(values) / len(values), sum(epochs) / len(epochs), len(values)) if values else (None, None, 0)


def _mark(cell: Cell) -> str:
    """Behind a checkpoint that was picked; of several trials, by how many."""
    trials = {(r["arm"], r["seed"]): bool(r["picked"]) for r in cell}
    count = sum(trials.values())
    return "" if not count else f" {MARK}" if len(trials) == 1 else f" {MARK} {count} of {len(trials)}"


def _noise(
    found: Sequence[Record], columns: Sequence[Sequence[ArmPlan]], metric: tuple[str, str], text: Callable[[float | None], str]
) -> tuple[tuple[str, ...], ...]:
    """Standard deviations below the table: over seeds within a checkpoint (pooled), and of the means of checkpoints."""
    within, between = [], []
    for arms in columns:
        own = [record for record in found if record["arm"] in {arm.name for arm in arms}]
        one_each = {record["trained"]: record["checkpoint"] for record in reversed(own)}  # two names of one file count once
        values = [_values(_of(own, arms, checkpoint), *metric) for checkpoint in one_each.values()]
        spreads = [sd**2 for of in values if (sd := summary(of).sd) is not None]
        within.append(math.sqrt(math.fsum(spreads) / len(spreads)) if spreads else None)
        between.append(summary([math.fsum(of) / len(of) for of in values if of]).sd)
    rows: list[tuple[str, Mapping[int, float | None]]] = [
        ("sd over seeds, within a checkpoint", dict(enumerate(within))),
        ("sd between checkpoints", dict(enumerate(between))),
    ]
    return tuple(
        (head, *(text(of[i]) if of[i] is not None else "" for i in of))
        for head, of in rows
        if any(x is not None for x in of.values())
    )
