"""Every broken page tells what is wrong with it in the words of its golden file; so do pages with only warnings and notes.

Renew the golden files with `python -m tests.check.render_broken`, and read the difference.
"""

import itertools
import re
from types import SimpleNamespace

import pytest

from interpreter.check import sweeps
from interpreter.check.page import check_page
from interpreter.errors import PageError
from interpreter.source.load import MAX_BYTES
from interpreter.spec.library import Library
from tests.check.render_broken import BROKEN, NOTED, cases, golden, rendered

_HEAD = re.compile(r"^(?P<where>\S*): (error|warning|note)\[[a-z0-9-]+\]: \S", re.MULTILINE)


@pytest.mark.parametrize("case", cases(BROKEN), ids=lambda path: path.stem)
def test_a_broken_page_says_so_in_the_same_words(case):
    text = rendered(case)
    assert text == golden(case).read_text("utf-8")
    assert "error[" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("case", cases(NOTED), ids=lambda path: path.stem)
def test_what_is_only_doubtful_stops_nothing(case):
    text = rendered(case)
    assert text == golden(case).read_text("utf-8")
    assert "error[" not in text
    assert text.endswith("no error\n")


def test_every_problem_has_a_place_in_a_file():
    for case in [*cases(BROKEN), *cases(NOTED)]:
        text = golden(case).read_text("utf-8")
        heads = list(_HEAD.finditer(text))
        assert len(heads) == len(re.findall(r"(?:error|warning|note)\[[a-z0-9-]+\]: ", text)), case.name
        for head in heads:
            assert re.fullmatch(r"specs/[\w./-]+\.yaml:\d+:\d+", head["where"]), (case.name, head["where"])


def test_no_golden_file_is_left_over():
    for folder in (BROKEN, NOTED):
        assert {path.stem for path in folder.glob("*.txt")} == {case.stem for case in cases(folder)}


def test_a_page_that_is_too_large_is_not_even_read(project, write):
    path = write("2026-01-01", "expt: 1\ndate: 2026-01-01\n" + "# a remark\n" * (MAX_BYTES // 11))
    with pytest.raises(PageError) as wrong:
        Library(project).page(path)
    assert [(p.code, p.got, str(p.place)) for p in wrong.value.problems] == [
        ("page-too-large", "256 kB", "specs/2026-01-01.yaml:1:1")
    ]


def test_a_sweep_that_is_too_large_is_refused_before_it_is_written_out(project, write, monkeypatch):
    written = []

    def product(*axes):
        written.append([len(axis) for axis in axes])
        return itertools.product(*axes)

    monkeypatch.setattr(sweeps, "itertools", SimpleNamespace(product=product, chain=itertools.chain))
    text = (BROKEN / "sweep-too-large.yaml").read_text("utf-8")
    library = Library(project)
    with pytest.raises(PageError) as wrong:
        check_page(library, library.page(write("2026-01-01", text)))
    assert [p.code for p in wrong.value.problems] == ["sweep-too-large"]
    assert "1000 x 1000 = 1,000,000" in wrong.value.problems[0].message
    assert written == [[]]  # the other arm has no sweep
