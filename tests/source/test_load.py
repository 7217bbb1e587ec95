import pytest

from interpreter.errors import Problems
from interpreter.source.load import MAX_DEPTH, load, parse
from interpreter.source.nodes import Mapping, locate, merge, plain
from interpreter.source.scalars import BadScalar, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("010", 10),
        ("1_000", 1000),
        ("1e-3", 0.001),
        ("1-4-20", "1-4-20"),
        ("2024-06-28", "2024-06-28"),
        ("-0", 0),
        (".5", 0.5),
        ("5.", 5.0),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("~", None),
        ("1__0", "1__0"),
        ("12:30", "12:30"),
        ("+3", 3),
        ("1e5", 1e5),
        ("0b1", "0b1"),
        ("", None),
    ],
)
def test_a_plain_word_means_what_a_scientist_thinks(text, value):
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["0.1e400", ".inf", "-.INF", ".nan", "9" * 19, "9" * 5000, "0x" + "f" * 17])
def test_a_number_that_is_none_is_refused(text):
    with pytest.raises(BadScalar):
        resolve(text)


def codes(text: str) -> list[tuple[str, int, int]]:
    problems = Problems()
    parse(text, "x.yaml", problems)
    return [(p.code, p.place.line, p.place.column) for p in problems.found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\n", [("anchor", 1, 4)]),
        ("a: &x 1\nb: *x\n", [("anchor", 1, 4), ("alias", 2, 4)]),
        ("a: !!int 3\n", [("tag", 1, 4)]),
        ("<<: {q: 1}\n", [("merge-key", 1, 1)]),
        ("a: 1\na: 2\na: 3\n", [("duplicate-key", 2, 1), ("duplicate-key", 3, 1)]),
        ("? [a]\n: 3\n", [("bad-key", 1, 3)]),
        ("%YAML 1.1\n---\na: 1\n", [("directive", 1, 1)]),
        ("a: 1\n---\nb: 2\n", [("several-documents", 2, 1)]),
        ("a: 1\n\tb: 2\n", [("tab", 2, 1)]),
        ("a:\t5\n", [("tab", 1, 3)]),
        ("a: 'b\n", [("syntax", 1, 4)]),
        ("a: b\n  c: d\n", [("syntax", 2, 3)]),  # the line, not its colon
        ("a: b: c\n", [("syntax", 1, 5)]),
        ('a: "b\tc" d\n', [("syntax", 1, 10)]),
        ('a: "\\ud800"\n"\\udfff": 1\nb: ["\\0"]\n', [("syntax", 1, 4), ("syntax", 2, 1), ("syntax", 3, 5)]),
        ("", [("not-a-page", 1, 1)]),
        ("just words\n", [("not-a-page", 1, 1)]),
        ("[" * 200 + "\n", [("too-deep", 1, MAX_DEPTH + 1)]),
    ],
)
def test_what_a_page_may_not_hold_is_refused_with_its_place(text, expected):
    assert codes(text) == expected


@pytest.mark.parametrize(
    ("text", "loc", "place"),
    [
        ("a:\n\n# a remark\nb: 1\n", ("a",), (1, 1, 1)),
        ("first: {second:\n}\nb: 1\n", ("first", "second"), (1, 9, 6)),
        ("a:\n  long:   # a remark\n\n", ("a", "long"), (2, 3, 4)),
        ("a:", ("a",), (1, 1, 1)),
        ("a: [1, {b, c}]\n", ("a", 1, "c"), (1, 12, 1)),
        ("a:\n  -\n\n  - 1\n", ("a", 0), (2, 4, 1)),
        ("a: ~\n", ("a",), (1, 4, 1)),
    ],
)
def test_a_value_that_is_not_written_stands_at_its_key(text, loc, place):
    node, _, _ = locate(tree(text), loc)
    assert plain(node) is None
    assert (node.place.line, node.place.column, node.place.length) == place


def test_no_tree_has_text_that_no_file_can_hold():
    problems = Problems()
    found = parse('a: "x\\ud800\\udc00y"\nb: "\\0"\n', "x.yaml", problems)
    assert plain(found) == {"a": "x??y", "b": "?"}
    assert [p.code for p in problems.found] == ["syntax", "syntax"]


def test_depth_is_refused_before_recursion_hurts():
    deep = "a:\n" + "".join(" " * i + "- \n" for i in range(1, 20)) + "{" * 100_000
    assert any(code == "too-deep" for code, _, _ in codes("[" * 100_000))
    assert codes(deep)  # a problem, not a RecursionError


def test_bytes_that_are_not_utf8_are_told_with_their_place(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    problems = Problems()
    assert load(path, "p.yaml", problems)[0] is None
    (problem,) = problems.found
    assert (problem.code, problem.place.line, problem.place.column, problem.got) == ("not-utf8", 2, 4, "byte 0xff")


def test_a_page_too_large_and_a_page_not_there(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("a: " + "x" * 300_000)
    problems = Problems()
    assert load(path, "p.yaml", problems)[0] is None
    assert load(tmp_path / "none.yaml", "none.yaml", problems)[0] is None
    assert [p.code for p in problems.found] == ["page-too-large", "unreadable-file"]


def tree(text: str) -> Mapping:
    problems = Problems()
    found = parse(text, "x.yaml", problems)
    assert found is not None
    assert not problems.found
    return found


def test_merging_follows_the_rules():
    base = tree("{type: a, x: {p: 1, q: 2}, l: [1, 2], gone: 3}")
    merged = merge(base, tree("{x: {q: 5}, l: [9], gone: off}"))
    assert plain(merged) == {"type": "a", "x": {"p": 1, "q": 5}, "l": [9], "gone": "off"}
    assert plain(merge(base, tree("{type: b, y: 1}"))) == {"type": "b", "y": 1}  # a changed type drops its siblings
    assert plain(merge(base, tree("{type: a, y: 1}")))["x"] == {"p": 1, "q": 2}


def test_a_merged_value_knows_the_line_that_wrote_it():
    merged = merge(tree("x: {p: 1}\n"), tree("\n\n\nx: {p: 7}\n"))
    node, place, used = locate(merged, ("x", "p"))
    assert (plain(node), place.line, used) == (7, 4, ("x", "p"))


def test_locating_passes_over_tags_and_stops_at_the_nearest_parent():
    node, _, used = locate(tree("a: {b: 1}"), ("a", "sometag", "b"))
    assert (plain(node), used) == (1, ("a", "b"))
    node, _, used = locate(tree("a: {b: 1}"), ("a", "missing"))
    assert (plain(node), used) == ({"b": 1}, ("a",))
