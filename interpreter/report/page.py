"""The report as one HTML file that opens offline: text, drawings that answer to the reader, and what they were made from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from interpreter.report import heading, markdown
from interpreter.report.charts import theme
from interpreter.report.charts.palette import Tint, variable
from interpreter.report.conclusion import effect_text
from interpreter.report.content import SECTIONS, Content, Figure, Grid, Rows
from interpreter.report.phrases import (
    FINDINGS,
    PROVENANCE,
    STAGES,
    claim_text,
    confound_heading,
    confound_texts,
    method_text,
    more,
    provenance_cells,
    provenance_heading,
    registered,
    sentence,
)
from interpreter.report.render import named
from interpreter.report.words import interval, percent, slug, state_word
from interpreter.verdicts.types import Verdict

DIGITS = 6  # significant digits of numbers that are only drawn


def page(content: Content, bundle: str) -> str:
    """The whole page. `bundle` is the script that sets `vegaEmbed`; it is put in once, and only when there is a chart."""
    entry = content.plan.entry
    body = [heading.html(content), _verdicts(content.verdicts)]
    for kind, words in SECTIONS:
        body.append(_figures(words, [f for f in content.figures if f.kind == kind], content))
    body.append(_tables(content.tables, content))
    body.append(_findings(content))
    if entry.notes.strip():
        body.append(f'<section class="notes"><h2>Notes</h2>\n{markdown.html(entry.notes, content.plan.profile)}</section>')
    body.append(_updates(content))
    body.append(_conclusion(content))
    body.append(_assumed(content))
    body.append(heading.nav_html(content))
    body.append(_provenance(content))
    body.append(f"<footer>{escape(content.plan.id)}{_profile_words(content.plan.profile)}. Written by expt.</footer>")
    title = f"{entry.title} · {content.plan.page}"
    return shell(title, content.origin, "\n".join(part for part in body if part), content.tints, _scripts(content, bundle))


def shell(title: str, origin: str, body: str, tints: Sequence[Tint], scripts: str = "") -> str:
    """A page around `body`: the theme's colours, the style sheet, and the line about the data before anything else."""
    return Template(_template("page.html")).substitute(
        title=escape(title),
        light=theme.variables(tints, dark=False),
        dark=theme.variables(tints, dark=True),
        style=_template("style.css"),
        origin=f'<p class="origin">{escape(origin)}</p>' if origin else "",
        body=body,
        scripts=scripts,
    )


def _verdicts(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return ""
    items = "\n".join(_verdict(verdict) for verdict in verdicts)
    return f'<section id="verdicts"><h2>Verdicts</h2>\n<ul class="verdicts">\n{items}\n</ul></section>'


def _verdict(verdict: Verdict) -> str:
    word, claim = state_word(verdict.state), verdict.claim
    lines = [f'<p class="claim"><b>{escape(claim.name)}</b> &ensp;<code>{escape(claim_text(verdict))}</code></p>']
    if verdict.effect is not None:
        bounds = interval(verdict.lo, verdict.hi)
        shown = f"<b>{effect_text(verdict)}</b>"
        shown += f' <span class="soft">{percent(verdict.level)} interval</span> {bounds}' if bounds else ""
        lines.append(f'<p class="numbers">{shown} <span class="soft">· n = {verdict.n} · {registered(verdict)}</span></p>')
    else:
        lines.append(f'<p class="numbers"><span class="soft">{registered(verdict)}</span></p>')
    if verdict.explanation:
        lines.append(f'<p class="explanation">{escape(sentence(verdict.explanation))}</p>')
    if claim.why:
        lines.append(f'<p class="small">Expected because {escape(claim.why.rstrip("."))}.</p>')
    if method := method_text(verdict):
        lines.append(f'<p class="small">{escape(method)}</p>')
    if verdict.confounds:
        items = "".join(f"<li>{escape(text)}</li>" for text in confound_texts(verdict))
        lines.append(f"<details><summary>{confound_heading(verdict)}</summary><ul>{items}</ul></details>")
    state = (
        f'<div class="state" style="--tone: var(--{word.tone})" title="{escape(word.meaning)}">'
        f'<span class="symbol" aria-hidden="true">{word.symbol}</span><span>{escape(word.text)}</span></div>'
    )
    return f'<li class="verdict" id="claim-{slug(claim.name)}">{state}<div>{"".join(lines)}</div></li>'


def _figures(heading: str, figures: Sequence[Figure], content: Content) -> str:
    if not figures:
        return ""
    return f"<section><h2>{heading}</h2>\n" + "\n".join(_figure(figure, content) for figure in figures) + "\n</section>"


def _figure(figure: Figure, content: Content) -> str:
    title = f"<h3>{escape(figure.title)}</h3>"
    if figure.notice:
        words = f"{markdown.inline(figure.notice)} {escape(figure.caption)}".strip()
        return f'<figure id="figure-{figure.name}">{title}<div class="notice">{words}</div></figure>'
    wide = " one" if figure.kind == "forest" or figure.wide or len(figure.panels) == 1 else ""
    panels = "".join(f'<div class="panel" id="{_panel(figure, i)}"></div>' for i in range(len(figure.panels)))
    stem = f"figures/{content.plan.entry.name}-{figure.name}"
    links = f'<span class="files"><a href="{stem}.svg">SVG</a> · <a href="{stem}.png">PNG</a></span>'
    hint = (
        ' <span class="hint">Drag to move along x, shift and wheel to zoom, double click to reset.</span>'
        if figure.kind == "curves"
        else ""
    )
    return (
        f'<figure id="figure-{figure.name}">{title}{_legend(figure)}'
        f'<div class="panels{wide}" role="img" aria-label="{escape(figure.alt)}">{panels}</div>'
        f"<figcaption>{escape(figure.caption)}{hint} {links}</figcaption></figure>"
    )


def _legend(figure: Figure) -> str:
    """What colours stand for: a swatch in colour and dash, and its name; buttons where they mute."""
    look = figure.look
    if look is None or len(look.labels) < 2 or not figure.legend:
        return ""
    items = []
    for arm, tint, form in zip(look.labels, look.tints, look.dashes, strict=True):
        dash = f' stroke-dasharray="{" ".join(map(str, form))}"' if look.by_form and form != (1, 0) else ""
        if figure.legend == "plain":
            items.append(f'<li><span><svg width="10" height="10" aria-hidden="true"><circle cx="5" cy="5" r="5" '
                         f'fill="{variable(tint)}"/></svg>{escape(arm)}</span></li>')  # fmt: skip
            continue
        line = f'<path d="M0 4H24" stroke="{variable(tint)}" stroke-width="2.6"{dash}/>'
        swatch = f'<svg width="24" height="8" aria-hidden="true">{line}</svg>{escape(arm)}'
        items.append(f'<li><button type="button" data-arm="{escape(arm)}" aria-pressed="true">{swatch}</button></li>')
    label = "Arms: press to mute" if figure.legend == "mute" else "Colours"
    return f'<ul class="legend" aria-label="{label}">{"".join(items)}</ul>'


def _tables(grids: Sequence[Grid], content: Content) -> str:
    if not grids:
        return ""
    return "<section><h2>Tables</h2>\n" + "\n".join(_table(grid, content) for grid in grids) + "\n</section>"


def _table(grid: Grid, content: Content) -> str:
    def row(cells: Sequence[str]) -> str:
        return f'<tr><th scope="row">{escape(cells[0])}</th>' + "".join(f"<td>{escape(c)}</td>" for c in cells[1:]) + "</tr>"

    if grid.notice:
        words = f"{markdown.inline(grid.notice)} {escape(grid.caption)}".strip()
        return f'<div class="table" id="table-{grid.name}"><h3>{escape(grid.title)}</h3><div class="notice">{words}</div></div>'
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in grid.columns)
    foot = f"<tfoot>{''.join(row(cells) for cells in grid.footer)}</tfoot>" if grid.footer else ""
    stem = f"tables/{content.plan.entry.name}-{grid.name}.csv"
    return (
        f'<div class="table" id="table-{grid.name}"><h3>{escape(grid.title)}</h3><div class="scroll"><table>'
        f'<caption>{escape(grid.caption)} <a class="files" href="{stem}">CSV</a></caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(row(cells) for cells in grid.rows)}</tbody>{foot}</table></div></div>"
    )


def _findings(content: Content) -> str:
    if not content.findings:
        return ""
    tone = {"error": "bad", "warning": "open"}
    items = "".join(
        f'<li><span class="kind" style="--tone: var(--{tone.get(f.severity, "none")})">{escape(f.severity)}</span>'
        f"<span><b>{escape(f.where)}</b>: {escape(f.text)}</span></li>"
        for f in content.findings[:FINDINGS]
    )
    left = _more(len(content.findings) - FINDINGS, "finding", "findings")
    return f'<section><h2>Findings</h2>\n<ul class="findings">{items}</ul>{left}</section>'


def _updates(content: Content) -> str:
    items = []
    for update in content.plan.entry.updates:
        link = ""
        if update.entry:
            link = f"<p>{heading.link_html(content.links[update.entry], content.plan.profile)}</p>"
        text = markdown.html(update.text, content.plan.profile)
        items.append(
            f'<li><time datetime="{escape(update.date)}">{escape(update.date)}</time><div class="notes">{text}{link}</div></li>'
        )
    return f'<section><h2>Updates</h2>\n<ul class="updates">{"".join(items)}</ul></section>' if items else ""


def _conclusion(content: Content) -> str:
    flags = "".join(f'<p class="disagreement">{escape(text)}</p>' for text in content.disagreements)
    if not content.conclusion.strip() and not flags:
        return ""
    text = markdown.html(content.conclusion, content.plan.profile)
    return f'<section><h2>Conclusion</h2>\n<div class="conclusion notes">{text}</div>{flags}</section>'


def _assumed(content: Content) -> str:
    if not content.assumed:
        return ""
    items = "".join(
        f"<li><code>{escape(path)}</code>{': ' + escape(value) if value else ''}</li>" for path, value in content.assumed
    )
    words = "Settings that the notebook did not tell, and this page chose:"
    return f"<section><h2>Assumed</h2>\n<p>{words}</p><ul>{items}</ul></section>"


def _provenance(content: Content) -> str:
    if not content.stages:
        return "</main>"  # a note: nothing was run for it
    head = "".join(f'<th scope="col" class="text">{c}</th>' for c in PROVENANCE)
    body = "".join(
        f'<tr><th scope="row">{escape(s.name)}</th><td class="text key">{s.key}</td>'
        + "".join(f'<td class="text">{escape(str(cell))}</td>' for cell in provenance_cells(s))
        + "</tr>"
        for s in content.stages[:STAGES]
    )
    data = "".join(
        f"<li>{escape(name)}: {escape(origin)}" + (f", fingerprint <code>{escape(mark)}</code>" if mark else "") + "</li>"
        for name, origin, mark in content.data
    )
    places = "".join(f"<li><b>{escape(name)}</b>: {escape(words)}</li>" for name, words in content.environments)
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    left = _more(len(content.stages) - STAGES, "stage", "provenance")
    summary = f"<summary>{provenance_heading(content)}</summary>"
    return f'<details class="sheet">{summary}\n<ul>{data}{places}</ul>{table}{left}</details>\n</main>'


def _more(left_out: int, noun: str, where: str) -> str:
    """What is said of a list that is cut."""
    return f'<p class="small">{more(left_out, noun, where)}</p>' if left_out > 0 else ""


def _profile_words(profile: str) -> str:
    return f", profile {escape(profile)} (not full scale)" if profile else ""


def _panel(figure: Figure, i: int) -> str:
    return f"chart-{figure.name}-{i}"


def _scripts(content: Content, bundle: str) -> str:
    charts = {
        _panel(figure, i): {"spec": spec, "uses": sorted(named(spec))}
        for figure in content.figures
        for i, spec in enumerate(figure.panels)
    }
    if not charts:
        return ""
    data = {
        "charts": charts,
        "config": theme.config(page=True),
        "datasets": {name: columns(rows) for name, rows in content.datasets.items()},
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    script = bundle.replace("</script", "<\\/script")
    return (
        f'<script type="application/json" id="page-data">{text}</script>\n<script id="vega-bundle">{script}</script>\n'
        f"<script>{_template('page.js')}</script>"
    )


def columns(rows: Rows) -> Mapping[str, Any]:
    """`rows` with their names said once, and numbers rounded to what can be seen."""
    head = list(rows[0]) if rows else []
    return {"columns": head, "values": [[_round(row.get(name)) for name in head] for row in rows]}


def _round(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def index(title: str, entries: Sequence[Mapping[str, str]]) -> str:
    """The page that lists a date's entries. Each: href, title, question, states, origin."""
    origins = list(dict.fromkeys(e["origin"] for e in entries if e["origin"]))
    items = "".join(
        f'<li><a href="{escape(e["href"])}">{escape(e["title"])}</a>'
        + (f"<br>{escape(e['question'])}" if e["question"] else "")
        + (f'<br><span class="small">{escape(e["states"])}</span>' if e["states"] else "")
        + "</li>"
        for e in entries
    )
    body = f'<header><h1>{escape(title)}</h1></header>\n<main><ul class="entries">{items}</ul></main>'
    return shell(title, " ".join(origins), body, ())


@cache
def _template(name: str) -> str:
    return (files("interpreter.report") / "templates" / name).read_text("utf-8")
