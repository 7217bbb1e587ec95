"""Writing reports: the files of each entry, made only when something they say has changed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.report import notebooks, page, render
from interpreter.report.conclusion import states_in_words
from interpreter.report.content import Content, Grid
from interpreter.report.gather import gather
from interpreter.report.inputs import folder_of, inputs_hash, is_current, stamp_of
from interpreter.report.stamps import read_stamp
from interpreter.report.twin import twin
from interpreter.run.record import write_atomically
from interpreter.verdicts.types import Judgement


def write_reports(project: Project, plan: Plan, judgements: Sequence[Judgement], *, force: bool = False) -> tuple[Path, ...]:
    """The HTML report of each entry judged, in order, written where it is not current (or everywhere: `force`).

    Beside each: <entry>.md, figures/, tables/; and an index.html where a date has several entries, and the pages of the
    notebooks that have a file of their own.
    Raises: ReportError when a page asks for what isn't there (reports of earlier entries are kept); RecordError.
    """
    folder = folder_of(project, plan)
    written = []
    changed = []
    for judgement in judgements:
        entry = judgement.entry
        if force or not is_current(project, plan, entry):
            # Taken before reading: what changes meanwhile makes the report stale, not wrongly current.
            stamp = inputs_hash(project, entry, plan)
            content = gather(project, plan, judgement)
            _write(project, folder, content, stamp, stamp_of(project, plan, entry))
            changed.append(entry)
        written.append(folder / f"{entry.entry.name}.html")
    _write_index(folder, plan)
    notebooks.write(project, plan, changed)
    return tuple(written)


def _write(project: Project, folder: Path, content: Content, stamp: str, stamp_path: Path) -> None:
    entry = content.plan.entry
    name = entry.name
    files: dict[str, bytes] = {}
    for figure in content.figures:
        if figure.drawing is not None:
            svg = render.svg(render.drawing(figure.drawing, content.datasets))
            files[f"figures/{name}-{figure.name}.svg"] = svg
            files[f"figures/{name}-{figure.name}.png"] = render.png(svg)
    for grid in content.tables:
        if not grid.notice:
            files[f"tables/{name}-{grid.name}.csv"] = _csv(grid)
    files[f"{name}.md"] = twin(content).encode("utf-8")
    drawn = any(figure.panels for figure in content.figures)
    files[f"{name}.html"] = page.page(content, render.bundle(project) if drawn else "").encode("utf-8")
    for gone in set(map(str, read_stamp(stamp_path).get("files", ()))) - set(files):
        (folder / gone).unlink(missing_ok=True)  # a chart or table that the page no longer asks for
    for path, data in files.items():
        write_atomically(folder / path, data)
    listed = {
        "hash": stamp, "files": sorted(files), "name": name, "title": entry.title, "question": entry.question,
        "states": states_in_words(content.verdicts) if content.verdicts else "", "origin": content.origin,
        "notebook": entry.notebook, "about": entry.about, "conclusion": content.conclusion, "unbuilt": content.unbuilt,
        "outcome": entry.outcome.status if entry.outcome else "",
    }  # fmt: skip
    write_atomically(stamp_path, json.dumps(listed, ensure_ascii=False, indent=1).encode("utf-8") + b"\n")


def _csv(grid: Grid) -> bytes:
    """A table's exact values: floats by their shortest form that reads back equal, nothing where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(grid.csv_columns)
    writer.writerows([repr(v) if isinstance(v, float) else "" if v is None else v for v in row] for row in grid.csv_rows)
    return out.getvalue().encode("utf-8")


def _write_index(folder: Path, plan: Plan) -> None:
    """List the entries of a date, those of its other pages too, where there are several."""
    order = {entry.entry.name: i for i, entry in enumerate(plan.entries)}
    stamps = [read_stamp(path) for path in sorted(folder.glob(".*.inputs"))]
    stamps = [stamp for stamp in stamps if isinstance(stamp.get("name"), str)]
    stamps.sort(key=lambda stamp: (order.get(str(stamp["name"]), len(order)), str(stamp["name"])))
    if len(stamps) < 2:
        return
    entries = [
        {"href": f"{s['name']}.html", **{k: str(s.get(k, "")) for k in ("title", "question", "states", "origin")}} for s in stamps
    ]
    title = plan.title or f"Page of {plan.page}"
    title += f" (profile {plan.profile}: not full scale)" if plan.profile else ""
    data = page.index(title, entries).encode("utf-8")
    path = folder / "index.html"
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, data)
