"""How many seeds arms have that seeds are added to: asked for in the ledger, by the claims that needed them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from interpreter.check.types import CheckedPage
from interpreter.project import Project
from interpreter.run.ledger import Ledger

_KIND = "seeds"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An arm of an entry that is to have `seeds` seeds, and the claims that ask for them."""

    entry: str
    arm: str
    seeds: int
    claims: tuple[str, ...]


def grown(project: Project, checked: CheckedPage) -> Mapping[str, int]:
    """DATE/entry/arm -> how many seeds it was last given, of arms that `checked` speaks of. Raises: RecordError."""
    if not any(arm.growth for arm in checked.reached.values()):
        return {}
    found: dict[str, int] = {}
    for line in Ledger(project).lines():
        if line["kind"] == _KIND and line.get("profile", "") == checked.profile and type(line.get("seeds")) is int:
            name = f"{line.get('entry')}/{line.get('arm')}"
            found[name] = max(found.get(name, 0), line["seeds"])
    return found


def ask_for(project: Project, profile: str, wanted: Iterable[Wanted]) -> None:
    """Write down that arms have as many seeds from now on. Raises: RecordError."""
    Ledger(project).note_all(
        [
            {"kind": _KIND, "entry": w.entry, "profile": profile, "arm": w.arm, "seeds": w.seeds, "claims": list(w.claims)}
            for w in wanted
        ]
    )
