"""Whether a claim was written down before there was anything to see: its line in the ledger against the first difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from interpreter.plan.types import EntryPlan
from interpreter.spec.claims import Claim


@dataclass(frozen=True, slots=True)
class Registration:
    """When a claim was first in the ledger ("" when never), and whether that was before its first difference."""

    registered: bool
    at: str


def registration(
    lines: Iterable[Mapping[str, Any]], entry: EntryPlan, claim: Claim, first_difference: datetime | None
) -> Registration:
    """The registration of `claim`. `first_difference`: when both sides of a pair were first done, None before.

    A changed claim has another hash: it counts from when it was changed.
    """
    times = [
        str(line["t"])
        for line in lines
        if line.get("kind") == "claim"
        and line.get("entry") == entry.id
        and line.get("profile", "") == entry.profile
        and line.get("hash") == claim.hash
    ]
    if not times:
        return Registration(False, "")
    first = min(times, key=moment)
    return Registration(first_difference is None or moment(first) < first_difference, first)


def withdrawn(lines: Iterable[Mapping[str, Any]], entry: EntryPlan) -> tuple[str, ...]:
    """Names of claims that were in the ledger for this entry and are no longer on its page."""
    names = {c.name for c in entry.entry.claims}
    return tuple(
        dict.fromkeys(
            str(line["claim"])
            for line in lines
            if line.get("kind") == "claim"
            and line.get("entry") == entry.id
            and line.get("profile", "") == entry.profile
            and line["claim"] not in names
        )
    )


def moment(text: str) -> datetime:
    """An ISO time as a moment; one without a zone is UTC."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
