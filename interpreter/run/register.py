"""Registration: what a page claims is written to the ledger the first time that anyone looks at the page."""

from __future__ import annotations

from interpreter.check.types import CheckedPage
from interpreter.plan.types import Plan
from interpreter.project import Project
from interpreter.run.ledger import Ledger


def register(project: Project, *pages: CheckedPage) -> None:
    """Note every claim of `pages` (by its hash) and their waivers, unless they are noted already."""
    lines = []
    for profile, entry in ((checked.profile, entry) for checked in pages for entry in checked.entries):
        common = {"entry": entry.id, "profile": profile}
        for claim in entry.entry.claims:
            lines.append({"kind": "claim", **common, "claim": claim.name, "hash": claim.hash})
        for waiver in entry.entry.waivers:
            lines.append({"kind": "waiver", **common, "rule": waiver.rule, "why": waiver.why})
    if lines:
        Ledger(project).note_all(lines)


def register_run(project: Project, plan: Plan) -> None:
    """Keep the page's text, and note that it is run at this profile."""
    ledger = Ledger(project)
    ledger.keep_text(plan.text_hash, plan.text)
    ledger.note("page", page=plan.page, file=plan.file, profile=plan.profile, text_hash=plan.text_hash, verb="run")
