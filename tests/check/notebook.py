"""The project's own pages, checked and planned once for all tests of them."""

from functools import cache

from interpreter.check.page import check_page
from interpreter.plan.build import build_plan
from interpreter.plan.lock import read_lock
from interpreter.project import load_project
from interpreter.spec.library import Library
from tests.conftest import ROOT

PROJECT = load_project(ROOT)
LIBRARY = Library(PROJECT)


@cache
def checked(date, profile=""):
    return check_page(LIBRARY, LIBRARY.page(ROOT / "specs" / f"{date}.yaml"), profile)


@cache
def planned(date, profile=""):
    return build_plan(checked(date, profile), read_lock(ROOT / "data.lock"))


def entry_of(id_, profile=""):
    return next(entry for entry in planned(id_[:10], profile).entries if entry.id == id_)


def settings_of(id_, arm, stage, profile=""):
    """The settings of a stage at the first seed."""
    found = next(each for each in entry_of(id_, profile).arms if each.name == arm)
    return planned(id_[:10], profile).stages[found.trials[0].key_of(stage)].settings
