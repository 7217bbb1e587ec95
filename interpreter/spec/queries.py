"""Queries on a page: what can be told of one without a database, lightly. What it asks for is seen when it is asked."""

from __future__ import annotations

import re

# Texts, names in quotes and remarks, none of whose letters say anything of the query itself.
_ASIDE = re.compile(
    r"""(?P<remark>--[^\n]*|/\*.*?\*/)|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$""",
    re.DOTALL,
)
_FIRST = re.compile(r"[\s(;]*(\w*)")
_READING = ("select", "with", "from", "values", "table", "unpivot", "describe", "desc", "show", "summarize")


def no_query(sql: str) -> str:
    """Why `sql` is not one query that only reads, or "" where it may be."""
    bare = _ASIDE.sub(lambda found: " " if found["remark"] else "''", sql)
    statements = [text for text in bare.split(";") if text.strip()]
    if not statements:
        return "there is no query"
    if len(statements) > 1:
        return f"{len(statements)} statements, and one is asked"
    first = _FIRST.match(bare)
    word = first[1] if first else ""
    return (
        ""
        if word.lower() in _READING
        else "a query that reads begins with SELECT or WITH" + (f", not with {word}" if word else "")
    )
