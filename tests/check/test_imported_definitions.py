"""What another page defines keeps its meaning: the components that it names inside are that page's, not those of this one."""

import pytest

from interpreter.check.page import check_page
from interpreter.errors import PageError
from interpreter.plan.build import build_plan
from interpreter.spec.library import Library

EARLIER = """\
expt: 1
date: 2026-01-01
datasets: {whole: {type: digits}, noisy: {type: shifted, of: whole, corruption: contrast, severity: 2}}
models: {net: {type: cnn2d, channels: [8, 8]}, two: {type: ensemble, of: net, members: 2}}
objectives: {sum: {type: classification, members: sum_of_losses}}
schedules: {short: {epochs: 2, batch_size: 64, optimizer: {type: adam, lr: 1e-3}}}
entries:
  first:
    stages:
      fit: {fit: sum, data: whole, model: two, schedule: short}
      test: {evaluate: noisy}
    arms: {two: [fit, test]}
    profiles: {small: {models.net.channels: [4, 4]}}
"""
# The same names stand for other things here.
LATER = """\
expt: 1
date: 2026-01-02
datasets:
  earlier: {extends: 2026-01-01#datasets.whole}
  whole: {type: digits, classes: [0, 1]}
  noisy: {extends: 2026-01-01#datasets.noisy}
models: {net: {type: mlp, hidden: [3]}, again: {extends: 2026-01-01#models.two}}
schedules: {short: {epochs: 7, batch_size: 8, optimizer: {type: adam, lr: 1e-4}}}
entries:
  second:
    stages:
      fit: 2026-01-01/first#fit
      named: {fit: 2026-01-01#objectives.sum, data: earlier, model: 2026-01-01#models.two, schedule: 2026-01-01#schedules.short}
      extended: {fit: 2026-01-01#objectives.sum, data: earlier, model: again, schedule: 2026-01-01#schedules.short}
      test: 2026-01-01/first#test
      other: {evaluate: noisy}
    arms: {a: [fit, test, other], b: [named], c: [extended]}
    profiles: {small: {}}
"""


def planned(project, write, date, profile=""):
    write("2026-01-01", EARLIER)
    write("2026-01-02", LATER)
    library = Library(project)
    return build_plan(check_page(library, library.page(project.specs / f"{date}.yaml"), profile), {})


def keys(plan, kind):
    return [key for key, stage in plan.stages.items() if stage.kind == kind]


@pytest.mark.parametrize("kind", ["fit", "evaluate"])
def test_names_inside_are_those_of_the_page_that_defines(project, write, kind):
    earlier, later = planned(project, write, "2026-01-01"), planned(project, write, "2026-01-02")
    assert keys(later, kind) == keys(earlier, kind)
    assert len(keys(later, kind)) == 1  # three ways to name one thing


def test_a_stage_carries_the_profile_of_its_own_page_inside_too(project, write):
    earlier, later = planned(project, write, "2026-01-01", "small"), planned(project, write, "2026-01-02", "small")
    (small,) = keys(earlier, "fit")
    assert earlier.stages[small].settings["model"]["of"]["channels"] == [4, 4]
    assert small in keys(later, "fit")


def test_what_is_inside_itself_on_another_page_is_told_and_ends(project, write):
    inside = EARLIER.replace("two: {type: ensemble, of: net, members: 2}", "two: {type: ensemble, of: two, members: 2}")
    write("2026-01-01", inside)
    write("2026-01-02", LATER)
    library = Library(project)
    with pytest.raises(PageError) as wrong:
        check_page(library, library.page(project.specs / "2026-01-02.yaml"))
    assert {p.code for p in wrong.value.problems} == {"cycle", "unknown-model"}
    assert "this model is inside itself" in {p.message for p in wrong.value.problems}
