"""The page of a notebook: its aim, its entries in order with what came of each, and what it all says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from interpreter.plan.types import EntryPlan, Plan
from interpreter.project import Project
from interpreter.report import markdown, page
from interpreter.report.heading import OUTCOMES, notebook_folder
from interpreter.report.stamps import notebook_entries, place_of, read_stamp
from interpreter.run.record import write_atomically
from interpreter.spec.entry import Notebook

Item = tuple[str, Mapping[str, Any]]  # id of an entry, and what its report's stamp says ({} without a report)


def write(project: Project, plan: Plan, changed: Sequence[EntryPlan]) -> None:
    """Write the page, HTML and Markdown, of each notebook with a file of its own that one of `changed` belongs to."""
    first = {e.entry.in_notebook.name: e for e in reversed(changed) if e.entry.in_notebook is not None}
    for entry in first.values():
        notebook = entry.entry.in_notebook
        assert notebook is not None
        items = [(id_, read_stamp(place_of(project, id_, plan.profile))) for id_ in notebook_entries(project, plan, entry)]
        folder = project.reports / notebook_folder(plan.profile)
        write_atomically(folder / f"{notebook.name}.html", _html(notebook, items, plan.profile).encode("utf-8"))
        write_atomically(folder / f"{notebook.name}.md", _twin(notebook, items, plan.profile).encode("utf-8"))


def _html(notebook: Notebook, items: Sequence[Item], profile: str) -> str:
    mark = f' <span class="profile">profile {escape(profile)}: not full scale</span>' if profile else ""
    parts = [f'<header>\n<p class="meta">Notebook · <code>{escape(notebook.name)}</code>{mark}</p>',
             f"<h1>{escape(notebook.title or notebook.name)}</h1>\n</header>\n<main>"]  # fmt: skip
    if notebook.aim.strip():
        parts.append(f'<section class="notes"><h2>Aim</h2>\n{markdown.html(notebook.aim, profile)}</section>')
    parts.append(f'<section><h2>Entries</h2>\n<ul class="entries">{"".join(_item(i, profile) for i in items)}</ul></section>')
    if notebook.discussion.strip():
        parts.append(f'<section class="notes"><h2>Discussion</h2>\n{markdown.html(notebook.discussion, profile)}</section>')
    parts.append("</main>")
    return page.shell(notebook.title or notebook.name, _origins(items), "\n".join(parts), ())


def _item(item: Item, profile: str) -> str:
    id_, said = item
    if not said:
        return f'<li><p class="meta"><time>{id_[:10]}</time></p>{escape(id_)} <span class="soft">· no report yet</span></li>'
    about = f" · about the work of {escape(str(said['about']))}" if said.get("about") else ""
    href = escape(markdown.entry_link(id_, profile, "html"))
    lines = [f'<p class="meta"><time datetime="{id_[:10]}">{id_[:10]}</time> · <code>{escape(id_)}</code>{about}</p>',
             f'<a href="{href}">{escape(str(said.get("title", id_)))}</a>']  # fmt: skip
    lines += [f"<p>{escape(str(said['question']))}</p>"] if said.get("question") else []
    lines += [f'<p class="small">{escape(state)}</p>'] if (state := _state(said)) else []
    if str(said.get("conclusion", "")).strip():
        lines.append(f'<div class="notes said">{markdown.html(str(said["conclusion"]), profile)}</div>')
    return f"<li>{''.join(lines)}</li>"


def _twin(notebook: Notebook, items: Sequence[Item], profile: str) -> str:
    origin = _origins(items)
    parts = [f"> {origin}"] if origin else []
    parts.append(f"# {_line(notebook.title or notebook.name)}")
    parts.append(f"Notebook · `{notebook.name}`" + (f" · **profile {profile}: not full scale**" if profile else ""))
    parts += ["## Aim", markdown.twin(notebook.aim, profile)] if notebook.aim.strip() else []
    parts.append("## Entries")
    for id_, said in items:
        if not said:
            parts.append(f"### {id_}\n\nNo report yet.")
            continue
        parts.append(f"### [{_line(str(said.get('title', id_)))}]({markdown.entry_link(id_, profile, 'md')})")
        parts.append(f"{id_[:10]} · `{id_}`" + (f" · about the work of {said['about']}" if said.get("about") else ""))
        parts += [f"*{_line(str(said['question']))}*"] if said.get("question") else []
        parts += [f"**{_line(state)}**"] if (state := _state(said)) else []
        parts += [markdown.twin(str(said["conclusion"]), profile)] if str(said.get("conclusion", "")).strip() else []
    parts += ["## Discussion", markdown.twin(notebook.discussion, profile)] if notebook.discussion.strip() else []
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _state(said: Mapping[str, Any]) -> str:
    """How an entry stands in a line: its outcome, what came of its claims, what can't run yet."""
    outcome = str(said.get("outcome", ""))
    words = [
        OUTCOMES.get(outcome, outcome) if outcome else "",
        str(said.get("states", "")),
        str(said.get("unbuilt", "")).rstrip("."),
    ]
    return " · ".join(word.replace("`", "") for word in words if word)


def _origins(items: Sequence[Item]) -> str:
    return " ".join(dict.fromkeys(str(said["origin"]) for _, said in items if said.get("origin")))


def _line(text: str) -> str:
    return text.replace("<", "&lt;").replace("\n", " ")
