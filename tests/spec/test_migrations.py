"""Pages of the draft before version 1, lifted: each difference alone, a whole page, and what can't be lifted."""

from pathlib import Path

import pytest

from interpreter.errors import PageError, Problems
from interpreter.source.load import parse
from interpreter.source.nodes import plain
from interpreter.source.spans import comments
from interpreter.spec.migrations import lift

FOLDER = Path(__file__).parent / "migrations"


def lifted(body: str) -> object:
    text = lift(f"version: 0\n{body}", "old.yaml").text
    problems = Problems()
    tree = parse(text, "old.yaml", problems)
    assert tree is not None
    assert problems.found == []
    found = plain(tree)
    assert found.pop("expt") == 1
    return found


def entry(body: str) -> object:
    return lifted(f"experiments: {{e: {body}}}\n")["entries"]["e"]


def test_a_whole_page_is_lifted_to_the_letter():
    before, after = (FOLDER / "v0-draft.yaml").read_text(), (FOLDER / "v1.yaml").read_text()
    found = lift(before, "old.yaml")
    assert found.text == after
    assert found.version == 0
    assert len(found.steps) == 8  # every step had something to do
    assert comments(after) == comments(before)
    assert len(comments(after)) == 16
    again = lift(after, "new.yaml")
    assert (again.text, again.version, again.steps) == (after, 1, ())


def test_kind_is_type():
    assert lifted("models: {m: {kind: mlp}}\n") == {"models": {"m": {"type": "mlp"}}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{epochs: 3, optimizer: adam, lr: 1e-3}", {"epochs": 3, "optimizer": {"type": "adam", "lr": 1e-3}}),
        ("{lr: 0.1, momentum: 0.9, optimizer: sgd}", {"optimizer": {"type": "sgd", "lr": 0.1, "momentum": 0.9}}),
        ("{optimizer: adam, lr: 1, epochs: 2, betas: [0.9, 0.9]}",
         {"optimizer": {"type": "adam", "lr": 1, "betas": [0.9, 0.9]}, "epochs": 2}),
        ("{extends: t, lr: 1e-4}", {"extends": "t", "optimizer": {"lr": 1e-4}}),
        ("{epochs: 3, optimizer: {type: adam, lr: 1}}", {"epochs": 3, "optimizer": {"type": "adam", "lr": 1}}),
        ("\n    # why\n    lr: 1\n    optimizer: adam # x\n    epochs: 2", {"optimizer": {"type": "adam", "lr": 1}, "epochs": 2}),
        ("\n    extends: t\n    lr: 1 # c\n    eps: 2\n    epochs: 2",
         {"extends": "t", "optimizer": {"lr": 1, "eps": 2}, "epochs": 2}),
    ],
)  # fmt: skip
def test_an_optimizer_has_its_settings_in_it(old, new):
    assert lifted(f"schedules:\n  s: {old}\n")["schedules"]["s"] == new


def test_keys_of_entries_and_arms():
    assert entry("{description: d, seed: 5, arms: {a: {chain: [x], control: true}, b: [x]}}") == {
        "notes": "d", "seeds": 5, "arms": {"a": {"chain": ["x"], "baseline": True}, "b": ["x"]}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("weights: random", "random"),
        ("finetune_from: pre@best", {"from": "pre@best"}),
        ('finetune_from: "a[x=1].pre@last"', {"from": "a[x=1].pre@last"}),
    ],
)
def test_where_weights_come_from(old, new):
    assert entry(f"{{stages: {{s: {{fit: c, {old}}}}}}}") == {"stages": {"s": {"fit": "c", "start": new}}}


def test_paths_of_set_and_profiles():
    old = (
        "schedules.t.lr: 1, stages.s.schedule.eps: 2, schedules.t.optimizer: sgd, stages.s.weights: random, schedules.t.epochs: 3"
    )
    new = {"schedules.t.optimizer.lr": 1, "stages.s.schedule.optimizer.eps": 2, "schedules.t.optimizer.type": "sgd",
           "stages.s.start": "random", "schedules.t.epochs": 3}  # fmt: skip
    found = entry(f"{{arms: {{a: {{chain: [s], set: {{{old}}}}}}}, profiles: {{q: {{{old}, seed: 1}}}}}}")
    assert found == {"arms": {"a": {"chain": ["s"], "set": new}}, "profiles": {"q": {**new, "seeds": 1}}}


@pytest.mark.parametrize(
    "old",
    [
        "[{name: n, text: a > b on m by 5%, because: w}]",
        "[{text: a > b on m by 5%, name: n, because: w}]",
        "\n    - name: n\n      text: a > b on m by 5%\n      because: w",
        "\n      # c\n      - because: w # c\n        name: n   # c\n        text: >\n          a > b on m\n          by 5%",
        "\n    - {because: w, text: 'a > b on m by 5%', name: n}",
    ],
)
def test_hypotheses_are_claims(old):
    found = lifted(f"experiments:\n  e:\n    hypotheses: {old}\n")
    assert found == {"entries": {"e": {"expect": {"n": {"claim": "a > b", "on": "m", "margin": "5%", "why": "w"}}}}}


@pytest.mark.parametrize(
    ("body", "code", "line", "hint"),
    [
        ("experiments: {e: {hypotheses: [{name: n, text: it gets better}]}}\n", "hypotheses", 2, "A > B on MEASURE by 0.01"),
        ("experiments: {e: {hypotheses: [{name: n, text: a ~ b on m by 1}]}}\n", "hypotheses", 2, "within"),
        ("experiments: {e: {hypotheses:\n  [{name: It helps, text: a > b on m by 1}]}}\n", "bad-name", 3, "`it-helps`"),
        ("experiments: {e: {hypotheses: [a > b]}}\n", "hypotheses", 2, "name"),
        ("experiments: {e: {hypotheses: {}}}\n", "hypotheses", 2, "name"),
        ("experiments: {e: {stages: {s: {weights: imagenet}}}}\n", "weights", 2, "pretrained: true"),
        ("experiments: {e: {stages: {s: {weights: random, finetune_from: x}}}}\n", "both-spellings", 2, "keep one"),
        ("experiments: {e: {seed: 1, seeds: 2}}\n", "both-spellings", 2, "keep one"),
        ("schedules: {s: {optimizer: adam}}\n", "no-rate", 2, "add `lr`"),
        ("schedules: {s: {lr: 1}}\n", "no-optimizer", 2, "optimizer: adam"),
        ("schedules: {s: {optimizer: adam, # c\n  lr: 1, # d\n  epochs: 2}}\n", "comment-between", 3, "move the comment"),
        ("date: [\n", "syntax", 3, ""),
    ],
)
def test_what_cant_be_lifted_is_told_at_its_place(body, code, line, hint):
    with pytest.raises(PageError) as caught:
        lift(f"version: 0\n{body}", "old.yaml")
    (problem,) = caught.value.problems
    assert (problem.code, problem.place.line) == (code, line)
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("text", "code"), [("expt: 2\n", "language-version"), ("version: 7\n", "language-version"), ("date: d\n", "missing-key")]
)
def test_a_version_that_nobody_knows(text, code):
    with pytest.raises(PageError) as caught:
        lift(text, "x.yaml")
    assert [problem.code for problem in caught.value.problems] == [code]


def test_a_list_at_its_keys_own_column_is_told_at_its_own_place():
    text = "version: 0\nexperiments:\n  e:\n    hypotheses:\n    - name: n\n      text: better\n"
    with pytest.raises(PageError) as caught:
        lift(text, "x.yaml")
    (problem,) = caught.value.problems
    assert (problem.place.line, problem.place.column, problem.place.length) == (6, 13, 6)
