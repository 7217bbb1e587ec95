"""The top of a report, in HTML and in Markdown: where the entry belongs, how it ended, what can't run yet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from interpreter.report import markdown
from interpreter.report.content import Content, Link
from interpreter.spec.entry import Notebook, Outcome

OUTCOMES = {"failed": "Failed", "abandoned": "Abandoned"}


def notebook_folder(profile: str) -> str:
    """Where pages of notebooks are, below reports/."""
    return f"notebooks-{profile}" if profile else "notebooks"


def html(content: Content) -> str:
    """The header: date, notebook, title, question, and what a reader has to know before anything else."""
    entry, plan = content.plan.entry, content.plan
    meta = [f'<time datetime="{escape(plan.page)}">{escape(plan.page)}</time>']
    if entry.in_notebook:
        words = escape(entry.in_notebook.title or entry.notebook)
        meta.append(f'notebook <a href="../{notebook_folder(plan.profile)}/{escape(entry.in_notebook.name)}.html">{words}</a>')
    elif entry.notebook:
        meta.append(f"notebook {escape(entry.notebook)}")
    meta += [f"<code>{escape(plan.id)}</code>"]
    mark = f' <span class="profile">profile {escape(plan.profile)}: not full scale</span>' if plan.profile else ""
    parts = [f'<p class="meta">{" · ".join(meta)}{mark}</p>', f"<h1>{escape(entry.title)}</h1>"]
    if entry.about:
        parts.append(
            f'<p class="about">About the work of <time datetime="{escape(entry.about)}">{escape(entry.about)}</time></p>'
        )
    parts += [f'<p class="question">{escape(entry.question)}</p>'] if entry.question else []
    parts += [_outcome_html(entry.outcome, content)] if entry.outcome else []
    parts += [f'<p class="unbuilt">{markdown.inline(content.unbuilt)}</p>'] if content.unbuilt else []
    return "<header>\n" + "\n".join(parts) + "\n</header>\n<main>"


def nav_html(content: Content) -> str:
    """The notebook's entries in order, the present one marked, and its aim; "" without a file of the notebook."""
    notebook = content.plan.entry.in_notebook
    if notebook is None:
        return ""
    items = "".join(f"<li>{_item_html(link, content.plan.profile)}</li>" for link in content.siblings)
    aim = f'<div class="notes">{markdown.html(notebook.aim, content.plan.profile)}</div>' if notebook.aim.strip() else ""
    folder = notebook_folder(content.plan.profile)
    title = f'<a href="../{folder}/{escape(notebook.name)}.html">{escape(notebook.title or notebook.name)}</a>'
    return f'<nav class="notebook"><h2>Notebook: {title}</h2>{aim}<ol>{items}</ol></nav>'


def link_html(link: Link, profile: str) -> str:
    """A link to another entry: its title where it is known, and how it stands."""
    words = escape(link.title or link.id)
    if link.there:
        words = f'<a href="{escape(markdown.entry_link(link.id, profile, "html"))}">{words}</a>'
    tail = [f"<code>{escape(link.id)}</code>"] if link.title else []
    tail += [escape(link.state)] if link.state else []
    tail += ["no report yet"] if not link.there else []
    return words + (f' <span class="soft">· {" · ".join(tail)}</span>' if tail else "")


def _item_html(link: Link, profile: str) -> str:
    date = f'<time datetime="{link.date}">{link.date}</time> '
    title = escape(link.title or link.id)
    if link.present:
        return f'{date}<b aria-current="page">{title}</b>'
    if link.there:
        return f'{date}<a href="{escape(markdown.entry_link(link.id, profile, "html"))}">{title}</a>'
    return f'{date}{title} <span class="soft">· no report yet</span>'


def _outcome_html(outcome: Outcome, content: Content) -> str:
    where = f" at stage <code>{escape(outcome.stage)}</code>" if outcome.stage else ""
    lines = [f'<p class="what">{OUTCOMES.get(outcome.status, outcome.status)}{where}</p>']
    lines += [f"<pre>{escape(outcome.error.strip())}</pre>"] if outcome.error.strip() else []
    lines += (
        [f"<div><b>Cause.</b> {_unwrapped(markdown.html(outcome.cause, content.plan.profile))}</div>"]
        if outcome.cause.strip()
        else []
    )
    see = [link_html(content.links[id_], content.plan.profile) for id_ in outcome.see if id_ in content.links]
    lines += [f"<div><b>See</b><ul>{''.join(f'<li>{link}</li>' for link in see)}</ul></div>"] if see else []
    return f'<div class="outcome" role="note">{"".join(lines)}</div>'


def _unwrapped(text: str) -> str:
    """A single paragraph without its tags, to stand behind a word."""
    text = text.strip()
    single = text.startswith("<p>") and text.endswith("</p>") and text.count("<p>") == 1
    return text[3:-4] if single else text


def twin(content: Content) -> list[str]:
    """The same in Markdown, a part a paragraph."""
    entry, plan = content.plan.entry, content.plan
    parts = [f"# {_line(entry.title)}"]
    notebook = [f"notebook {entry.notebook}"] if entry.notebook else []
    if entry.in_notebook:
        notebook = [f"notebook [{_line(entry.in_notebook.title or entry.notebook)}]({_page(entry.in_notebook, plan.profile)})"]
    meta = [plan.page, *notebook, f"`{plan.id}`"]
    parts.append(" · ".join(meta) + (f" · **profile {plan.profile}: not full scale**" if plan.profile else ""))
    parts += [f"About the work of {entry.about}"] if entry.about else []
    parts += [f"*{_line(entry.question)}*"] if entry.question else []
    if entry.outcome:
        parts.append(_outcome_twin(entry.outcome, content))
    parts += [f"> **{_line(content.unbuilt)}**"] if content.unbuilt else []
    return parts


def nav_twin(content: Content) -> list[str]:
    """The notebook's entries in order."""
    notebook = content.plan.entry.in_notebook
    if notebook is None:
        return []
    title = f"## Notebook: [{_line(notebook.title or notebook.name)}]({_page(notebook, content.plan.profile)})"
    aim = [markdown.twin(notebook.aim, content.plan.profile)] if notebook.aim.strip() else []
    return [title, *aim, listed(content.siblings, content.plan.profile)]


def listed(links: Sequence[Link], profile: str) -> str:
    """Links as a numbered list, the present one in bold."""
    lines = []
    for i, link in enumerate(links, 1):
        title = _line(link.title or link.id)
        if link.present:
            title = f"**{title}**"
        elif link.there:
            title = f"[{title}]({markdown.entry_link(link.id, profile, 'md')})"
        else:
            title += " (no report yet)"
        lines.append(f"{i}. {link.date} {title}")
    return "\n".join(lines)


def link_twin(link: Link, profile: str) -> str:
    """A link to another entry in Markdown."""
    words = _line(link.title or link.id)
    words = f"[{words}]({markdown.entry_link(link.id, profile, 'md')})" if link.there else words
    tail = (
        ([f"`{link.id}`"] if link.title else [])
        + ([link.state] if link.state else [])
        + ([] if link.there else ["no report yet"])
    )
    return f"{words} ({', '.join(tail)})" if tail else words


def _outcome_twin(outcome: Outcome, content: Content) -> str:
    where = f" at stage `{outcome.stage}`" if outcome.stage else ""
    said = [f"**{OUTCOMES.get(outcome.status, outcome.status)}{where}.**"]
    said += [f"`{_line(outcome.error.strip()).replace('&lt;', '<')}`"] if outcome.error.strip() else []
    said += [f"Cause: {markdown.twin(outcome.cause.strip(), content.plan.profile)}"] if outcome.cause.strip() else []
    see = [link_twin(content.links[id_], content.plan.profile) for id_ in outcome.see if id_ in content.links]
    said += [f"See {', '.join(see)}."] if see else []
    return "\n>\n".join("\n".join(f"> {line}" for line in part.split("\n")) for part in said)


def _page(notebook: Notebook, profile: str) -> str:
    return f"../{notebook_folder(profile)}/{notebook.name}.md"


def _line(text: str) -> str:
    return text.replace("<", "&lt;").replace("\n", " ")
