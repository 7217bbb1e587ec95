"""Tables of one factor against another, with a text in each cell: `{val/accuracy:.2%} / {epoch}`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from interpreter.errors import ReportError
from interpreter.plan.points import base_of, factors, levels, short_labels
from interpreter.plan.types import ArmPlan, EntryPlan
from interpreter.report.content import Grid
from interpreter.report.read import Reader, where_is
from interpreter.report.words import NOTHING, names
from interpreter.spec.formats import Piece, pieces
from interpreter.spec.names import did_you_mean
from interpreter.spec.views import Table
from interpreter.verdicts.types import Judgement

EPOCH = "epoch"
N = "n"
COLUMNS = 24  # on the page; the CSV file has all

Reading = tuple[float, int | None]  # value, epoch it was read at
Readings = Mapping[tuple[str, int], Reading]  # (arm, seed) -> reading


def crossed(
    name: str, title: str, table: Table, judgement: Judgement, reader: Reader, spell: Callable[[float | None], Any]
) -> Grid:  # fmt: skip
    """The table; means are over all trials that a row and a column share. `spell` makes a number that can be formatted.

    Raises: ReportError for a hole that is no measure and no metric, or a format that can't be used.
    """
    entry = judgement.entry
    columns = str(table.columns)
    parts = pieces_of(table.cell or "", name, entry.id)
    readings = {
        hole: _readings(hole, name, judgement, reader)
        for hole in dict.fromkeys(p.hole for p in parts)
        if hole not in ("", EPOCH, N)
    }
    down, across = axis(table.rows, columns, entry), axis(columns, table.rows, entry)
    rows, exact = [], []
    for head, of_row in down:
        cells = []
        for column, of_column in across:
            both = [arm for arm in of_row if arm in of_column]
            means = {hole: _mean(found, both) for hole, found in readings.items()}
            cells.append(in_cell(parts, means, spell, name, entry.id) if both else "")
            if both:
                exact.append((head, column, *(x for value, epoch, n in means.values() for x in (value, epoch, n))))
        rows.append((head, *cells))
    shown = across[:COLUMNS]
    left_out = [arm for arm in entry.arms if any(axis != "arm" and axis not in arm.factors for axis in (table.rows, columns))]
    labels = short_labels(entry.arms)
    said = [table.caption] if table.caption else []
    said.append(_over(table.rows, columns, entry))
    said += [f"Without that factor, hence not here: {names([labels[arm.name] for arm in left_out])}."] if left_out else []
    said += [f"The first {COLUMNS} of {len(across)} columns; the CSV file has all."] if len(across) > COLUMNS else []
    heads = (table.rows, *(column if columns == "arm" else f"{columns} {column}" for column, _ in shown))
    csv = (table.rows, columns, *(f"{hole}.{what}" for hole in readings for what in ("mean", "epoch", "n")))
    return Grid(name, title, " ".join(said), heads, tuple(tuple(row[: len(shown) + 1]) for row in rows), (), csv, tuple(exact))


def axis(axis: str, other: str, entry: EntryPlan) -> list[tuple[str, list[ArmPlan]]]:
    """Headings and their arms. Arms that differ in nothing but the other axis stand under one heading."""
    if axis != "arm":
        return [(v, [a for a in entry.arms if a.factors.get(axis) == v]) for v in levels(entry.arms, axis)]
    labels = short_labels(entry.arms, () if other == "arm" else (other,))
    found: dict[str, list[ArmPlan]] = {}
    for arm in entry.arms:
        if other == "arm" or other in arm.factors:
            found.setdefault(labels[arm.name], []).append(arm)
    return list(found.items())


def _over(rows: str, columns: str, entry: EntryPlan) -> str:
    """Over what the means are taken."""
    arms = [arm for arm in entry.arms if all(axis == "arm" or axis in arm.factors for axis in (rows, columns))]
    varied = []
    if "arm" not in (rows, columns):
        varied = [f for f in factors(arms) if f not in (rows, columns) and len(levels(arms, f)) > 1]
        varied += ["arms"] if len({base_of(arm) for arm in arms}) > 1 else []
    return f"Means over {names(['seeds', *varied])}."


def pieces_of(cell: str, table: str, entry: str) -> list[Piece]:
    """The parts of a cell's text. Raises: ReportError for one that can't be read, or shows no number."""
    try:
        return pieces(cell)
    except ValueError as error:
        raise ReportError(
            f"{entry}: the cell of table `{table}` can't be read: {error}", hint="such as {val/accuracy:.2%} / {epoch}"
        ) from None


def _readings(hole: str, table: str, judgement: Judgement, reader: Reader) -> Readings:
    """What a hole shows of each trial: a measure, or a metric at the checkpoint that was kept."""
    entry = judgement.entry
    if hole in entry.entry.measures:
        return {(m.arm, m.seed): (m.value, m.epoch) for m in judgement.measures if m.measure == hole and m.value is not None}
    there = {(r["arm"], r["seed"], r["stage"], r["split"], r["metric"]): (r["value"], r["epoch"]) for r in reader.kept}
    found: dict[tuple[str, int], Reading] = {}
    if "/" in hole:
        for arm in entry.arms:
            place = where_is(arm, hole)
            found |= {
                (arm.name, t.seed): there[arm.name, t.seed, *place] for t in arm.trials if (arm.name, t.seed, *place) in there
            }
    if not found and (there or "/" not in hole):
        known = [*entry.entry.measures, EPOCH, *sorted({f"{split}/{metric}" for _, _, _, split, metric in there})]
        raise ReportError(
            f"{entry.id}: the cell of table `{table}` asks for `{hole}`, which is no measure and no metric here",
            hint=did_you_mean(hole, known),
        )
    return found


def _mean(found: Readings, arms: Sequence[ArmPlan]) -> tuple[float | None, float | None, int]:
    """Mean value and epoch over the trials of `arms`, and how many there are."""
    kept = [r for arm in arms for t in arm.trials if (r := found.get((arm.name, t.seed))) and math.isfinite(r[0])]
    if not kept:
        return None, None, 0
    epochs = [epoch for _, epoch in kept if epoch is not None]
    return math.fsum(v for v, _ in kept) / len(kept), sum(epochs) / len(epochs) if epochs else None, len(kept)


def in_cell(
    parts: Sequence[Piece], means: Mapping[str, tuple[float | None, float | None, int]], spell: Callable[[float | None], Any],
    table: str, entry: str,
) -> str:  # fmt: skip
    """The text of a cell. `{epoch}` and `{n}`, the trials it is a mean of, are those of the value before, or of the first."""
    if not any(n for _, _, n in means.values()) and means:
        return NOTHING
    last = next(iter(means), "")
    out = []
    for piece in parts:
        out.append(piece.words)
        if piece.hole == EPOCH:
            epoch = means[last][1] if last else None
            form = piece.form or ("" if epoch is None else "d" if epoch == int(epoch) else ".1f")
            value: float | None = int(epoch) if epoch is not None and form == "d" else epoch
        elif piece.hole == N:
            value, form = means[last][2] if last else 0, piece.form or "d"
        elif piece.hole:
            last, value, form = piece.hole, means[piece.hole][0], piece.form or ".4g"
        else:
            continue
        try:
            out.append(format(spell(value), form))
        except ValueError as error:
            raise ReportError(
                f"{entry}: the cell of table `{table}` can't be set in the format {form!r}: {error}",
                hint="formats are Python's: .3f, .2%, .4g",
            ) from None
    return "".join(out)
