"""Every broken page tells what is wrong with it in the words of its golden file.

Renew the golden files with `python -m tests.check.render_broken`, and read the difference.
"""

import pytest

from tests.check.render_broken import BROKEN, rendered

PAGES = sorted(BROKEN.glob("*.yaml"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_broken_page_says_so_in_the_same_words(page):
    text = rendered(page)
    assert text == page.with_suffix(".txt").read_text("utf-8")
    assert "error[" in text
    assert "Traceback" not in text


def test_every_problem_has_a_place_in_the_file():
    for page in PAGES:
        for line in rendered(page).splitlines():
            if "error[" in line:
                assert line.startswith("specs/2026-01-01.yaml:"), (page.name, line)
