"""Texts with numbers in braces are taken apart and tried out before any is filled in: nothing wide is ever made."""

import pytest

from interpreter.spec.formats import MOST, Piece, pieces, try_form
from interpreter.spec.queries import no_query


def test_a_text_is_taken_apart():
    found = pieces("{val/accuracy:.2%} at {a.val/loss} {{n}}")
    assert found[:2] == [Piece("", "val/accuracy", ".2%"), Piece(" at ", "a.val/loss", "")]
    assert "".join(piece.words for piece in found) == " at  {n}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{a", "expected '}'"),
        ("a}", "Single '}'"),
        ("{}", "no name"),
        ("{:.2f}", "no name"),
        ("{a!r}", "`!r`"),
        ("words", "shows no number"),
        ("{{a}}", "shows no number"),
    ],
)
def test_a_text_that_shows_no_number_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        pieces(text)


@pytest.mark.parametrize("form", ["", ".3f", "+.2e", ",", "_.2f", ".2%", "0>9", "010.2f", f">{MOST}", f".{MOST}f", "=+8"])
def test_a_format_of_any_number(form):
    try_form(form)
    try_form(form, whole=True)


@pytest.mark.parametrize(
    "form",
    [f">{MOST + 1}", f".{MOST + 1}f", ">10000000000000000", ".999999999f", "9" * 5000, "{n}", ".2q", "s", "c", "\u0669" * 3],
    ids=lambda form: ascii(form[:12]),
)
def test_a_format_that_is_none_or_too_wide(form):
    for whole in (False, True):
        with pytest.raises(ValueError, match=r"no format of|more than 99|braces"):
            try_form(form, whole)


def test_some_formats_are_of_whole_numbers_only():
    try_form("05d", whole=True)
    with pytest.raises(ValueError, match="`05d` is no format of a number"):
        try_form("05d")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  select ';' ; ",
        "WITH x AS (SELECT 1) SELECT * FROM x;",
        "-- first; this\nSELECT 1 /* ; */ -- ;",
        "(SELECT 1)",
        "FROM t",
        "VALUES (1)",
        "DESCRIBE t",
        r"SELECT E'a\';b'",
        "SELECT $$;$$, $a$;$$;$a$, \"a;b\", 'it''s;'",
        "SELECT $entry || ';' || $profile",
    ],
)
def test_a_query_that_may_be_one(sql):
    assert no_query(sql) == ""


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("", "there is no query"),
        (" ; ", "there is no query"),
        ("-- SELECT 1", "there is no query"),
        ("SELEKT 1", "begins with SELECT or WITH, not with SELEKT"),
        ("DROP TABLE metrics", "not with DROP"),
        ("'SELECT'", "begins with SELECT or WITH"),
        ("SELECT 1; DROP TABLE metrics", "2 statements"),
    ],
)
def test_a_query_that_is_none(sql, why):
    assert why in no_query(sql)
