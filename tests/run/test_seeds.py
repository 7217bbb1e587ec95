"""How many seeds an arm has by now, of those that are added as claims need them: the ledger says it, and plans follow."""

from __future__ import annotations

import pytest

from interpreter.check.page import check_page
from interpreter.check.types import CheckedPage
from interpreter.errors import PageError
from interpreter.plan.build import build_plan
from interpreter.run.seeds import Wanted, ask_for, grown
from interpreter.spec.library import Library
from tests.check.pages import PAGE

GROWING = PAGE.replace("seeds: 3", "seeds: {min: 6, max: 9}").replace("seeds: 1}", "seeds: {min: 6, max: 7}}")


def by_stage(seeds: str) -> str:
    return PAGE.replace("seeds: 3", f"seeds: {seeds}")


def checked(project, path, profile: str = "", seeds: int | None = None) -> CheckedPage:
    library = Library(project)
    return check_page(library, library.page(path), profile, seeds)


def counts(project, page: CheckedPage) -> dict[str, int]:
    (entry,) = build_plan(page, {}, grown=grown(project, page)).entries
    return {arm.name: arm.seeds for arm in entry.arms}


def test_a_plan_has_the_first_seeds_and_those_that_were_asked_for(project, write):
    page = checked(project, write("2026-01-01", GROWING))
    assert counts(project, page) == {"naive": 6, "pretrained": 6, "slow": 6}
    before = set(build_plan(page, {}).stages)
    ask_for(project, "", [Wanted("2026-01-01/first", "slow", 7, ("alike",)), Wanted("2026-01-01/first", "naive", 8, ("helps",))])
    assert counts(project, page) == {"naive": 8, "pretrained": 6, "slow": 7}
    plan = build_plan(page, {}, grown=grown(project, page))
    assert before < set(plan.stages)
    (naive, *_) = plan.entries[0].arms
    assert [trial.seed for trial in naive.trials] == list(range(8))


def test_of_another_profile_or_entry_and_beyond_the_bounds_nothing_counts(project, write):
    path = write("2026-01-01", GROWING)
    ask_for(project, "", [Wanted("2026-01-01/first", "slow", 50, ()), Wanted("2026-01-01/second", "naive", 8, ())])
    assert counts(project, checked(project, path)) == {"naive": 6, "pretrained": 6, "slow": 9}
    assert counts(project, checked(project, path, "quick")) == {"naive": 6, "pretrained": 6, "slow": 6}


def test_as_many_as_the_command_line_says_and_no_more(project, write):
    path = write("2026-01-01", GROWING)
    page = checked(project, path, seeds=3)
    assert counts(project, page) == {"naive": 3, "pretrained": 3, "slow": 3}
    (entry,) = build_plan(page, {}).entries
    assert {arm.growth.max for arm in entry.arms if arm.growth} == {3}


def test_seeds_of_one_stage_are_added_to_the_stages_that_go_along_with_it(project, write):
    page = checked(project, write("2026-01-01", by_stage("{pre: 1, tune: {min: 6, max: 9}}")))
    ask_for(project, "", [Wanted("2026-01-01/first", "pretrained", 8, ())])
    (entry,) = build_plan(page, {}, grown=grown(project, page)).entries
    arm = next(arm for arm in entry.arms if arm.name == "pretrained")
    assert [(t.seed, t.levels["pre"], t.levels["tune"], t.levels["final"]) for t in arm.trials] == [
        (i, 0, i, i) for i in range(8)
    ]
    assert (arm.given, arm.seeds) == (("pre",), 8)


def test_trials_keep_their_numbers_when_the_outer_level_grows(project, write):
    page = checked(project, write("2026-01-01", by_stage("{pre: {min: 6, max: 9}, tune: 2}")))
    before = trials(page, 0)
    after = trials(page, 7)
    assert len(before) == 12 and len(after) == 14
    assert after[:12] == before


def trials(page: CheckedPage, seeds: int) -> list[tuple[int, tuple[tuple[str, str], ...]]]:
    (entry,) = build_plan(page, {}, grown={"2026-01-01/first/pretrained": seeds}).entries
    (arm,) = [arm for arm in entry.arms if arm.name == "pretrained"]
    return [(trial.seed, trial.stages) for trial in arm.trials]


def test_a_start_from_an_arm_that_grows_too_trains_what_it_has_not_got_yet(project, write):
    write("2026-01-01", GROWING)
    later = GROWING.replace("date: 2026-01-01", "date: 2026-01-02").replace(
        "tune: {fit: classification, data: few, model: net, schedule: short}",
        "tune: {fit: classification, data: few, model: net, schedule: short, start: {from: 2026-01-01/first/slow.tune@best}}",
    )
    page = checked(project, write("2026-01-02", later))
    plan = build_plan(page, {}, grown={"2026-01-02/first/naive": 9})
    trial = plan.entries[0].arms[0].trials[-1]
    (start,) = [each for each in plan.stages[trial.key_of("tune")].inputs if each.role == "start"]
    assert (trial.seed, plan.stages[start.key].seed) == (8, 8)
    with pytest.raises(PageError) as wrong:
        build_plan(checked(project, write("2026-01-02", later.replace("max: 9", "max: 12"))), {})
    found = {(p.code, p.got) for p in wrong.value.problems if p.severity == "error"}
    assert found == {("missing-seed", "9 to 11")}
