"""The generated documentation says what the code says."""

import importlib.util

import pytest

from interpreter.check.page import check_page
from interpreter.spec.library import Library
from tests.conftest import ROOT


def test_generated_documents_are_current():
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "docs" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for path, text in module.made().items():
        assert path.read_text("utf-8") == text, f"{path.name} is not current: run `make docs`"


@pytest.mark.parametrize("path", sorted(ROOT.glob("interpreter/**/*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_says_its_purpose_and_keeps_to_its_size(path):
    text = path.read_text("utf-8")
    assert text.startswith('"""'), "a file begins with what it is for"
    assert text.count("\n") <= 400, "a file over 400 lines wants to be two"


def test_the_page_of_the_readme_is_right(project):
    text = (ROOT / "README.md").read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]
    path = project.specs / "2026-11-22-dropout.yaml"
    path.write_text(text, "utf-8")
    library = Library(project)
    checked = check_page(library, library.page(path))
    assert [claim.name for claim in checked.entries[0].entry.claims] == ["helps"]
    assert len(text.splitlines()) <= 15


def test_every_link_of_the_readme_and_docs_leads_somewhere():
    import re

    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
