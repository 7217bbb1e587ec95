"""The report as Markdown, for reading where there is no browser: the same content, with links to the drawings."""

from __future__ import annotations

from collections.abc import Sequence

from interpreter.report import heading, markdown
from interpreter.report.conclusion import effect_text
from interpreter.report.content import SECTIONS, Content, Figure, Grid
from interpreter.report.markdown import cell
from interpreter.report.phrases import (
    FINDINGS,
    PROVENANCE,
    STAGES,
    claim_text,
    confound_texts,
    method_text,
    more,
    provenance_cells,
    provenance_heading,
    registered,
    sentence,
)
from interpreter.report.words import interval, percent, state_word
from interpreter.verdicts.types import Verdict


def twin(content: Content) -> str:
    """The whole report as Markdown."""
    entry, plan = content.plan.entry, content.plan
    profile = plan.profile
    parts = [f"> {content.origin}"] if content.origin else []
    parts += heading.twin(content)
    if content.verdicts:
        parts += ["## Verdicts", "\n".join(_verdict(v) for v in content.verdicts)]
    for kind, words in SECTIONS:
        figures = [f for f in content.figures if f.kind == kind]
        parts += [f"## {words}", *(_figure(f, entry.name) for f in figures)] if figures else []
    parts += ["## Tables", *(_table(grid, entry.name) for grid in content.tables)] if content.tables else []
    if content.findings:
        parts += [
            "## Findings",
            "\n".join(f"- {f.severity}: **{_plain(f.where)}**: {_plain(f.text)}" for f in content.findings[:FINDINGS]),
        ]
        if (left_out := len(content.findings) - FINDINGS) > 0:
            parts.append(more(left_out, "finding", "findings"))
    if entry.notes.strip():
        parts += ["## Notes", markdown.twin(entry.notes, profile)]
    if entry.updates:
        parts.append("## Updates")
        for u in entry.updates:
            link = f"\n\n{heading.link_twin(content.links[u.entry], profile)}" if u.entry else ""
            parts.append(f"**{u.date}** {markdown.twin(u.text, profile)}{link}")
    if content.conclusion.strip() or content.disagreements:
        parts += [
            "## Conclusion",
            markdown.twin(content.conclusion, profile),
            *(f"> {_plain(text)}" for text in content.disagreements),
        ]
    if content.assumed:
        items = "\n".join(f"- `{path}`{': ' + value if value else ''}" for path, value in content.assumed)
        parts += ["## Assumed", f"Settings that the notebook did not tell, and this page chose:\n\n{items}"]
    parts += heading.nav_twin(content)
    parts.append(_provenance(content))
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _plain(text: str) -> str:
    return text.replace("<", "&lt;").replace("\n", " ")


def _verdict(verdict: Verdict) -> str:
    word = state_word(verdict.state)
    lines = [f"- {word.symbol} **{word.text}**: {verdict.claim.name}, `{claim_text(verdict)}`"]
    said = []
    if verdict.effect is not None:
        bounds = interval(verdict.lo, verdict.hi)
        said.append(
            effect_text(verdict) + (f" ({percent(verdict.level)} interval {bounds})" if bounds else "") + f", n = {verdict.n}"
        )
    lines.append("  " + ", ".join([*said, registered(verdict)]) + ".")
    lines += [f"  {_plain(sentence(verdict.explanation))}"] if verdict.explanation else []
    lines += [f"  Expected because {_plain(verdict.claim.why.rstrip('.'))}."] if verdict.claim.why else []
    lines += [f"  {_plain(method)}"] if (method := method_text(verdict)) else []
    lines += [f"  - {_plain(text)}" for text in confound_texts(verdict)]
    return "\n".join(lines)


def _figure(figure: Figure, entry: str) -> str:
    title = f"### {_plain(figure.title)}"
    if figure.notice:
        return f"{title}\n\n{figure.notice} {_plain(figure.caption)}".rstrip()
    stem = f"figures/{entry}-{figure.name}"
    alt = _plain(figure.alt).replace("[", "(").replace("]", ")")
    return f"{title}\n\n![{alt}]({stem}.png)\n\n{_plain(figure.caption)} ([SVG]({stem}.svg), [PNG]({stem}.png))"


def _table(grid: Grid, entry: str) -> str:
    if grid.notice:
        return f"### {grid.title}\n\n{grid.notice} {_plain(grid.caption)}".rstrip()
    lines = [_row(grid.columns), "| --- |" + " ---: |" * (len(grid.columns) - 1)]
    lines += [_row(row) for row in grid.rows]
    lines += [_row([f"*{row[0]}*", *row[1:]]) for row in grid.footer]
    caption = f"{_plain(grid.caption)} ".lstrip()
    return f"### {grid.title}\n\n{caption}([CSV](tables/{entry}-{grid.name}.csv))\n\n" + "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell(c) for c in cells) + " |"


def _provenance(content: Content) -> str:
    if not content.stages:
        return ""
    lines = [
        f"- {_plain(name)}: {_plain(origin)}" + (f", fingerprint `{mark}`" if mark else "") for name, origin, mark in content.data
    ]
    lines += [f"- **{name}**: {_plain(words)}" for name, words in content.environments]
    rows = [(s.name, f"`{s.key}`", *provenance_cells(s)) for s in content.stages[:STAGES]]
    table = "\n".join([_row(PROVENANCE), "|" + " --- |" * len(PROVENANCE), *(_row(row) for row in rows)])
    summary = f"<details><summary>{provenance_heading(content)}</summary>"
    cut = [more(len(content.stages) - STAGES, "stage", "provenance")] if len(content.stages) > STAGES else []
    return "\n\n".join([summary, "\n".join(lines), table, *cut, "</details>"])
