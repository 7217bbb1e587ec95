"""The generated documentation says what the code says."""

import importlib.util
import re

import pytest

from interpreter import catalog
from interpreter.check.page import check_page
from interpreter.spec.claim_forms import CLAIM_FORMS
from interpreter.spec.grammar import ARM_FORMS, STAGE_FORMS, WrittenEntry, WrittenPage, keys
from interpreter.spec.library import Library
from tests.conftest import ROOT
from tests.problem_codes import Source, told


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
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        text = re.sub(
            r"^```.*?^```|`[^`\n]*`(?!\])", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
        )  # code is no link
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_link_within_a_page_leads_to_a_heading():
    docs = {page.name: page.read_text("utf-8") for page in ROOT.glob("docs/*.md")}
    headings = {name: anchors(text) for name, text in docs.items()}
    for name, text in docs.items():
        for page, anchor in re.findall(r"\]\((\w+\.md)?#([^)]+)\)", text):
            assert anchor in headings[page or name], f"{name}: {page}#{anchor}"


def anchors(text):
    """What the headings of a page are linked by."""
    lines = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#+ (.*)$", lines, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_the_language_tells_every_type_and_every_key_of_a_page():
    text = (ROOT / "docs" / "language.md").read_text("utf-8")
    headings = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    for line in catalog.LINES:
        assert f"{line.kind.title()} `{line.type}`" in headings
        cls = catalog.config_class(line.kind, line.type)
        section = text.partition(f"### {line.kind.title()} `{line.type}`\n")[2].partition("\n### ")[0]
        for name, info in cls.model_fields.items():
            assert name == "type" or f"| `{info.alias or name}` |" in section, (line.type, name)
        assert ("(not built yet)" in section.partition("|")[0]) == (not catalog.built(line.kind, line.type))
    for form in (WrittenPage, WrittenEntry, *STAGE_FORMS.values(), *ARM_FORMS.values(), *CLAIM_FORMS.values()):
        for key in keys(form):
            assert f"| `{key}` |" in text, (form.__name__, key)


def test_errors_speaks_of_every_code_and_of_no_other():
    text = (ROOT / "docs" / "errors.md").read_text("utf-8")
    codes = re.findall(r"^### (.*)$", text, re.MULTILINE)
    broken = ROOT / "tests" / "check" / "broken"
    assert codes == sorted(Source().codes() | told(broken) | told(broken.parent / "noted"))
    for code, paragraph in zip(codes, re.split(r"^### .*$", text, flags=re.MULTILINE)[1:], strict=True):
        assert len(paragraph.split()) >= 10, f"{code} says next to nothing"
    shown = text.partition("```\n")[2].partition("```")[0]
    assert shown.strip() == (broken / "unknown-optimizer-key.txt").read_text("utf-8").strip()


def test_volumes_names_tests_and_findings_that_there_are():
    text = (ROOT / "docs" / "volumes.md").read_text("utf-8")
    tests = "\n".join(path.read_text("utf-8") for path in ROOT.glob("tests/**/test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 40
    assert not {name for name in named if f"def {name}(" not in tests}
    golden = {path.stem for room in ("broken", "noted") for path in (ROOT / "tests" / "check" / room).glob("*.txt")}
    cases = set(re.findall(r"`test_\w+` \(`([a-z-]+)`\)", text))
    assert cases
    assert cases <= golden
    code = "\n".join(path.read_text("utf-8") for path in ROOT.glob("interpreter/**/*.py"))
    rows = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    findings = {name for row in rows for name in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", row)}
    assert len(findings) > 20
    assert not {name for name in findings if f'"{name}"' not in code}
