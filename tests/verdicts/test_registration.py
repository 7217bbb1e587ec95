"""Registered or post hoc: the claim's line in the ledger against the first computable difference."""

from __future__ import annotations

from datetime import UTC, datetime

from interpreter.verdicts.registration import registration, withdrawn
from tests.plans import make_claim, make_plan

CLAIM = make_claim("naive > 0.5", name="learns", hash="h1")
ENTRY = make_plan(claims=[CLAIM]).entries[0]
NOON = datetime(2024, 6, 28, 12, tzinfo=UTC)


def line(t: str, **changed: str) -> dict[str, str]:
    return {"t": t, "kind": "claim", "entry": ENTRY.id, "profile": "", "claim": "learns", "hash": "h1", **changed}


def test_a_line_before_the_first_difference_registers() -> None:
    found = registration([line("2024-06-28T11:59:59.999Z")], ENTRY, CLAIM, NOON)
    assert (found.registered, found.at) == (True, "2024-06-28T11:59:59.999Z")


def test_a_line_at_or_after_it_is_post_hoc_and_keeps_its_time() -> None:
    for at in ("2024-06-28T12:00:00Z", "2024-06-29T00:00:00+00:00"):
        found = registration([line(at)], ENTRY, CLAIM, NOON)
        assert (found.registered, found.at) == (False, at)


def test_the_first_of_several_lines_counts_whatever_their_zone() -> None:
    found = registration([line("2024-06-28T13:30:00+02:00"), line("2024-06-28T11:45:00Z")], ENTRY, CLAIM, NOON)
    assert (found.registered, found.at) == (True, "2024-06-28T13:30:00+02:00")


def test_nothing_to_see_yet_registers_and_no_line_never_does() -> None:
    assert registration([line("2030-01-01T00:00:00Z")], ENTRY, CLAIM, None).registered
    assert not registration([], ENTRY, CLAIM, None).registered


def test_another_hash_entry_or_profile_is_another_claim() -> None:
    for changed in ({"hash": "h2"}, {"entry": "2024-06-28/other"}, {"profile": "laptop"}, {"kind": "page"}):
        assert registration([line("2024-06-28T11:00:00Z", **changed)], ENTRY, CLAIM, NOON).at == ""


def test_claims_taken_back_are_remembered() -> None:
    lines = [
        line("2024-06-28T11:00:00Z"),
        line("2024-06-28T11:00:00Z", claim="dropped"),
        line("2024-06-28T11:00:01Z", claim="dropped"),
    ]
    assert withdrawn(lines, ENTRY) == ("dropped",)
