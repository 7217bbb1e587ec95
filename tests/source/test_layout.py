"""Pages laid out: what moves, what stays, and that nothing is ever lost or changed."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpreter.errors import Problems
from interpreter.source.layout import LayoutError, lay_out, sort_keys
from interpreter.source.load import parse
from interpreter.source.nodes import plain
from interpreter.source.spans import comments

ORDER = {(): ("expt", "date", "models", "entries"), ("models", "net"): ("type", "size", "text"), ("list", 0): ("a", "b", "c")}


def laid_out(text: str) -> str:
    return lay_out(text, lambda path: ORDER.get(path, ()), frozenset({(), ("entries",)}))


def data(text: str) -> object:
    problems = Problems()
    tree = parse(text.removeprefix("\ufeff"), "", problems)
    assert tree is not None
    assert problems.found == []
    return plain(tree)


CASES = {
    "keys are put into order, and comments above and behind go with them": (
        "models:\n  net:\n    # how big\n    size: 3  # three\n    # what\n    type: mlp\n",
        "models:\n  net:\n    # what\n    type: mlp\n    # how big\n    size: 3  # three\n",
    ),
    "what a page begins with stays at its beginning": (
        "# yaml-language-server: $schema=x\n# A page.\ndate: d\n# the version\nexpt: 1\n",
        "# yaml-language-server: $schema=x\n# A page.\n# the version\nexpt: 1\ndate: d\n",
    ),
    "names keep the order of their author": ("models:\n  z: {k: 1}\n  a: {k: 2}\n", "models:\n  z: {k: 1}\n  a: {k: 2}\n"),
    "unknown keys come last": ("other: 1\nmore: 2\nexpt: 1\n", "expt: 1\nother: 1\nmore: 2\n"),
    "deeper comments end what is above them, the end of the file stays": (
        "models:\n    net:\n        size: 3\n        # of net\n    # of models\nexpt: 1\n\n\n# the end\n",
        "expt: 1\n\nmodels:\n  net:\n    size: 3\n    # of net\n  # of models\n\n# the end\n",
    ),
    "a blank line between sections and between entries": (
        "expt: 1\ndate: d\nentries:\n\n  one:\n    x: 1\n  # about two\n  two:\n    x: 2\n\n\n\n  three: {x: 3}\n",
        "expt: 1\ndate: d\n\nentries:\n  one:\n    x: 1\n\n  # about two\n  two:\n    x: 2\n\n  three: {x: 3}\n",
    ),
    "short sections may stand close": (
        "expt: 1\nmodels: {a: 1}\nentries: {b: 2}\n",
        "expt: 1\nmodels: {a: 1}\nentries: {b: 2}\n",
    ),
    "columns aligned by hand stay": (
        "models:\n  a:    {x: 1,   y: 2}   # c\n  long: {x: 100, y: 2}\n",
        "models:\n  a:    {x: 1,   y: 2}   # c\n  long: {x: 100, y: 2}\n",
    ),
    "flow keys in order, spaces right": (
        'models:\n  net: { "text":t,size: [ 1,2 , 3 ],type: mlp, }\n',
        'models:\n  net: {type: mlp, size: [1, 2, 3], "text": t}\n'.replace(", }", "}"),
    ),
    "flow over several lines with comments stays as it is": (
        "models:\n  net: {size: 3,  # big\n        type: mlp}\nlist: [1,  # one\n  2,\n  # three\n  3]\n",
        "models:\n  net: {size: 3,  # big\n        type: mlp}\n\nlist: [1,  # one\n  2,\n  # three\n  3]\n",
    ),
    "texts move as a whole": (
        "models:\n    net:\n        text: |\n            a  \n              # no comment\n\n            b\n\n"
        "        # after\n        type: >-\n          x\n",
        "models:\n  net:\n    # after\n    type: >-\n      x\n    text: |\n        a  \n          # no comment\n\n        b\n",
    ),
    "blank lines that belong to a text stay": (
        "models:\n  net:\n    text: |+\n      a\n\n\n    type: x\nexpt: 1\n",
        "expt: 1\n\nmodels:\n  net:\n    type: x\n    text: |+\n      a\n\n\n",
    ),
    "comments in a list": (
        "list:\n# one\n- c: 1\n  # above a\n  a: 2   # two\n# between\n-   plain\n    text\n# end\n",
        "list:\n  # one\n  # above a\n  - a: 2   # two\n    c: 1\n  # between\n  - plain\n      text\n# end\n",
    ),
    "a text without a line's end stays without one": ("expt: 1\ntext: |\n  a", "expt: 1\n\ntext: |-\n  a\n"),
    "marks of Windows go": ("\ufeffdate: d  \r\nexpt: 1\r\n\r\n", "expt: 1\ndate: d\n"),
    "a mapping written in no usual way stays": ("? expt\n: 1\n", "? expt\n: 1\n"),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_a_page_is_laid_out(before, after):
    assert laid_out(before) == after
    assert laid_out(after) == after
    assert data(after) == data(before)


def test_a_change_of_meaning_is_refused_and_not_handed_on(monkeypatch):
    monkeypatch.setattr("interpreter.source.layout._Block.run", lambda self: self.text.replace("1", "1.0"))
    with pytest.raises(LayoutError, match="change what the page says"):
        laid_out("expt: 1\n")


def test_a_lost_comment_is_refused(monkeypatch):
    monkeypatch.setattr("interpreter.source.layout._Block.run", lambda self: "expt: 1\n")
    with pytest.raises(LayoutError):
        laid_out("expt: 1 # one\n")


def test_comments_are_found_where_they_are_and_not_in_texts():
    text = "# a\nb: 'x # no'  # c\nd: |\n  # no\n# e\nf: [1, # g\n  2]\nh: a#b\n"
    assert comments(text) == ["# a", "# c", "# e", "# g"]


def test_keys_are_sorted_stably():
    assert sort_keys(["x", "b", "y", "a"], ("a", "b")) == [3, 1, 0, 2]


# Random pages: mappings, lists and texts at any depth and indentation, with comments and blank lines wherever they may stand.

KEYS = ["a", "b", "c", "d"]
SCALARS = st.sampled_from(
    [
        "1",
        "1e-3",
        "plain words",
        '"quoted # no comment"',
        "'it''s'",
        "off",
        "",
        "[1,2]",
        "{ b: 1, a: {c: x ,b: y}}",
        "[{b: 1, a: 2}, z]",
    ]
)


@st.composite
def pages(draw) -> str:
    count = 0

    def comment() -> str:
        nonlocal count
        count += 1
        return f"# c{count}"

    def around(indent: int) -> list[str]:
        kinds = draw(st.lists(st.sampled_from(["", "same", "deep"]), max_size=3)) if draw(st.booleans()) else []
        return ["" if kind == "" else " " * (indent + 3 * (kind == "deep")) + comment() for kind in kinds]

    def behind() -> str:
        return f"  {comment()}" if draw(st.integers(0, 4)) == 0 else ""

    def mapping(indent: int, depth: int) -> list[str]:
        lines = []
        for key in draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True)):
            lines += [*around(indent), *member(f"{' ' * indent}{key}:", indent, depth)]
        return lines

    def sequence(indent: int, depth: int) -> list[str]:
        lines = []
        for _ in range(draw(st.integers(1, 3))):
            lines += around(indent)
            if depth and draw(st.booleans()):
                rows = mapping(indent + 2, 0)
                while not rows[0].strip() or rows[0].strip().startswith("#"):
                    rows.pop(0)
                lines += [f"{' ' * indent}- {rows[0].lstrip()}", *rows[1:]]
            else:
                lines.append(f"{' ' * indent}- {draw(SCALARS.filter(bool))}{behind()}")
        return lines

    def member(head: str, indent: int, depth: int) -> list[str]:
        kind = draw(st.sampled_from(["scalar", "text", "mapping", "sequence"] if depth else ["scalar", "text"]))
        deeper = indent + draw(st.integers(1, 4))
        if kind == "mapping":
            return [head + behind(), *around(deeper), *mapping(deeper, depth - 1)]
        if kind == "sequence":
            return [head + behind(), *sequence(deeper, depth - 1)]
        if kind == "text":
            mark = draw(st.sampled_from(["|", ">", "|-", "|+", ">+"]))
            rows = draw(st.lists(st.sampled_from(["word", "  deeper", "", "trailing  ", "# no comment"]), max_size=3))
            return [f"{head} {mark}", *(" " * deeper + row if row else "" for row in ["word", *rows])]
        return [f"{head} {draw(SCALARS)}".rstrip() + behind()]

    lines = [*around(0), *mapping(0, 3), *around(0)]
    end = draw(st.sampled_from(["\n", "\n\n", ""]))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines) + end


def with_order(path: tuple[object, ...]) -> tuple[str, ...]:
    return ("c", "a", "b") if len(path) % 2 == 0 else ()


@settings(max_examples=150, deadline=None)
@given(pages())
def test_any_page_keeps_its_meaning_and_its_comments_and_is_laid_out_once(text):
    after = lay_out(text, with_order, frozenset({(), ("a",)}))
    assert data(after) == data(text)
    assert sorted(re.findall(r"# c\d+", after)) == sorted(re.findall(r"# c\d+", text))
    assert lay_out(after, with_order, frozenset({(), ("a",)})) == after
    assert after.endswith("\n")
    assert "\r" not in after
    assert [line for line in after.split("\n") if line.endswith(" ") and line.split()[-1:] != ["trailing"]] == []
