"""The generated documentation says what the code says."""

import importlib.util

import pytest

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


def test_every_link_of_the_readme_and_docs_leads_somewhere():
    import re

    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
