"""Notes and conclusions as HTML: CommonMark with tables, HTML in them escaped, links to other entries resolved."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

_ENTRY = re.compile(r"^(\d{4}-\d{2}-\d{2})/([a-z][a-z0-9_-]*)(#[\w-]*)?$")
_LINK = re.compile(r"\]\((\d{4}-\d{2}-\d{2}/[a-z][a-z0-9_-]*(?:#[\w-]*)?)\)")


def entry_link(target: str, profile: str, ending: str) -> str:
    """Where the report of the entry `target` (2024-05-21/first-try) is, seen from another page's report.

    Anything that is not an entry's id is returned as it is. Within a profile, links stay in the profile.
    """
    found = _ENTRY.match(target)
    if not found:
        return target
    date, name, anchor = found.groups()
    return f"../{date}{'-' + profile if profile else ''}/{name}.{ending}{anchor or ''}"


class _Renderer(RendererHTML):
    """HTML without anything fetched: an image becomes a link to it."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        words = token.content or "image"
        return f'<a href="{escape(str(token.attrs.get("src", "")))}">{escape(words)}</a>'


def html(text: str, profile: str = "") -> str:
    """`text` (Markdown) as HTML. Headings start at the third level, below the report's own."""
    parser = MarkdownIt("commonmark", {"html": False, "typographer": False}, renderer_cls=_Renderer).enable(
        ["table", "strikethrough"]
    )
    tokens = parser.parse(text)
    for token in _all(tokens):
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
        if token.type == "link_open":
            token.attrs["href"] = entry_link(str(token.attrs.get("href", "")), profile, "html")
    out: str = parser.renderer.render(tokens, parser.options, {})
    return out


def inline(text: str) -> str:
    """A sentence as HTML: what stands in backticks as code, nothing else read as Markdown."""
    return "".join(f"<code>{escape(part)}</code>" if i % 2 else escape(part) for i, part in enumerate(text.split("`")))


def twin(text: str, profile: str = "") -> str:
    """`text` (Markdown) for the Markdown report: links to entries resolved, HTML in it escaped, headings lowered."""
    text = _LINK.sub(lambda m: f"]({entry_link(m.group(1), profile, 'md')})", text)
    lines, fenced = [], False
    for line in text.rstrip().split("\n"):
        if re.match(r"\s*(```|~~~)", line):
            fenced = not fenced
        elif not fenced:
            line = re.sub(r"<(?=[a-zA-Z/!?])(?!https?://[^\s>]*>)", "&lt;", line)
            line = re.sub(r"^(#{1,4})(?= )", r"\1##", line)
        lines.append(line)
    return "\n".join(lines)


def cell(text: Any) -> str:
    """`text` within a cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _all(tokens: Sequence[Token]) -> list[Token]:
    return [t for token in tokens for t in (token, *_all(token.children or []))]
