"""Golden keys: what pages of today are called for ever.

A changed line here makes somebody's results be trained again. If that is meant, raise the component's
`component_version`, renew the line, and write it under **Keys** in CHANGELOG.md.
"""

import json
from pathlib import Path

from interpreter.check.page import check_page
from interpreter.plan.build import build_plan
from interpreter.plan.differences import ancestors
from interpreter.plan.lock import read_lock
from interpreter.project import load_project
from interpreter.spec.library import Library
from tests.conftest import ROOT

GOLDEN = Path(__file__).parent / "golden_keys.json"


def found() -> dict[str, str]:
    """The keys of every stage of the project's own pages at seed 0: "page@profile/entry/arm.stage" -> key."""
    project = load_project(ROOT)
    library, locked = Library(project), read_lock(ROOT / "data.lock")
    keys = {}
    for path in library.files():
        page = library.page(path)
        each = [set(getattr(entry.get("profiles"), "items", {})) for entry in page.entries.values()]
        profiles = set.intersection(*each)  # a page is planned whole at a profile: one that all its entries have
        for profile in ["", *sorted(profiles)]:
            plan = build_plan(check_page(library, page, profile), locked)
            for entry in plan.entries:
                for arm in entry.arms:
                    for stage, key in arm.trials[0].stages:
                        if any(step.unbuilt for step in ancestors(plan, key)):
                            continue  # what was never run may still change
                        keys[f"{path.stem}@{profile}/{entry.entry.name}/{arm.name}.{stage}"] = key
    return keys


def test_keys_are_what_they_were():
    golden = json.loads(GOLDEN.read_text("utf-8"))
    now = found()
    assert {name: now.get(name) for name in golden} == golden
    assert set(now) == set(golden), "a new page: write its keys with `python -m tests.plan.test_golden_keys`"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(found(), indent=0, sort_keys=True) + "\n", "utf-8")
