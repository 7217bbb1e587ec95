"""`expt show`: every setting as YAML that can be read again, and where each was written."""

import numpy as np
import pytest
from ruamel.yaml import YAML

from interpreter.cli.main import main
from tests.check.pages import PAGE

WHOLE = """\
expt: 1
date: 2026-01-02
datasets: {digits: {type: digits}}
models: {net: {type: mlp, hidden: [16]}}
schedules:
  tune: {epochs: 4, batch_size: 32, optimizer: {type: adam, lr: 1e-3}, lr_schedule: {type: cosine, warmup: 1, from: 1e-8}}
entries:
  second:
    title: Everything there is
    question: Does it show?
    assumed: [stages.tune.head.dropout]
    stages:
      first: 2026-01-01/first#tune
      tune: {fit: classification, data: digits, model: net, head: {dropout: 0.5}, schedule: tune, keep: {every: 2}, start: random}
      head: {probe: classification, data: digits, schedule: tune, at: {from: 2, every: 2, and: best}, pick: {ties: latest}}
      difficulty: {score: digits, replicates: 3}
      final: {evaluate: digits}
    arms:
      plain: {chain: [tune, head, final], baseline: true}
      scored: [tune, difficulty]
      slow: {chain: [first], set: {stages.first.schedule.optimizer.lr: 1e-4}, rerun: true}
      swept: {chain: [tune, final], vary: {stages.tune.head.dropout: [0.0, 0.25, 0.5], stages.tune.schedule.epochs: [4, 6]}}
      together: {combine: "swept[dropout=0.0,epochs=4]", members: 2}
      elsewhere: {import: old.npz, source: a server that is gone, split: test}
    seeds: {tune: 2, head: 4}
    measures: {acc: {metric: val/accuracy, read: best}}
    references: {paper: {acc: 0.9, split: val, source: a paper}}
    expect:
      more: {trend: rising, arm: "swept[epochs=4]", along: dropout, on: acc, margin: 0}
      any-of: {claim: any swept > plain, on: acc, margin: 0.01, why: it should}
    allow: [{rule: unequal-epochs, why: that is the question}]
    charts: {curves: {y: [val/accuracy]}}
    tables: {best: {columns: [acc]}}
    profiles:
      quick: {schedules.tune.epochs: 4, models.net.hidden: [4], seeds: 3}
"""


@pytest.fixture
def show(project, write, monkeypatch, capsys):
    write("2026-01-01", PAGE)
    write("2026-01-02", WHOLE)
    logits = np.log(np.full((20, 10), 0.1, dtype=np.float32))
    np.savez(project.root / "old.npz", outputs=logits, targets=np.arange(20) % 10, ids=np.arange(20))
    monkeypatch.chdir(project.root)

    def run(*arguments, code=0):
        found = main(["show", *arguments])
        out, err = capsys.readouterr()
        assert found == code, err
        return out if code == 0 else err

    return run


def entry_of(text, name="2026-01-02/second"):
    return YAML(typ="safe").load(text)["entries"][name]


def stage(entry, arm, name):
    return entry["arms"][arm]["stages"][name]


def test_the_text_itself(show):
    assert show("2026-01-01") == PAGE


@pytest.mark.parametrize("flags", [["--origin"], ["--arm", "naive"], ["--entry", "first"], ["--profile", "quick"]])
def test_flags_of_settings_do_nothing_to_the_text(show, flags):
    assert f"{flags[0]} goes with --resolved" in show("2026-01-01", *flags, code=2)


def test_every_kind_of_stage(show):
    entry = entry_of(show("2026-01-02", "--resolved"))
    assert list(entry["arms"]) == [
        "plain", "scored", "slow",
        *(f"swept[dropout={d},epochs={e}]" for d in ("0.0", "0.25", "0.5") for e in (4, 6)),
        "together", "elsewhere",
    ]  # fmt: skip
    tune = stage(entry, "plain", "tune")
    assert (tune["kind"], tune["inputs"], tune["start"]) == ("fit", [], "random")
    assert tune["schedule"]["optimizer"] | {"lr": 0.001, "amsgrad": False} == tune["schedule"]["optimizer"]
    assert tune["schedule"]["lr_schedule"]["from"] == 1e-8  # by the key that pages have
    assert tune["head"] == {"hidden": "off", "dropout": 0.5}
    assert tune["keep"] == {"best": "val/loss", "every": 2, "last": True}
    head = stage(entry, "plain", "head")
    assert (head["kind"], head["at"]) == ("probe", ["epoch-2", "epoch-4", "best"])
    assert head["inputs"] == ["tune@epoch-2 (encoder)", "tune@epoch-4 (encoder)", "tune@best (encoder)"]
    assert head["pick"] == {"best": "val/accuracy", "ties": "latest"}
    assert "not_built_yet" not in head
    assert "views" not in head
    assert stage(entry, "plain", "final")["inputs"] == ["head@picked (all)"]
    score = stage(entry, "scored", "difficulty")
    assert (score["kind"], score["part"], score["replicates"]) == ("score", "train", 3)
    slow = stage(entry, "slow", "first")
    assert (slow["rerun"], slow["data"]["per_class"]) == ("2026-01-02/second/slow", 5)
    together = stage(entry, "together", "final")
    assert (together["kind"], together["members"], together["inputs"]) == ("combine", 2, ["2 x final@best (all)"])
    elsewhere = stage(entry, "elsewhere", "import")
    assert (elsewhere["files"], elsewhere["source"]) == ({0: "old.npz"}, "a server that is gone")


def test_what_an_entry_says_besides(show):
    entry = entry_of(show("2026-01-02", "--resolved"))
    assert (entry["title"], entry["question"], entry["assumed"]) == (
        "Everything there is",
        "Does it show?",
        ["stages.tune.head.dropout"],
    )
    assert entry["arms"]["plain"]["seeds"] == {"tune": [0, 1], "head": [0, 1, 2, 3]}
    assert entry["arms"]["swept[dropout=0.25,epochs=6]"]["factors"] == {"dropout": "0.25", "epochs": "6"}
    assert entry["references"] == {"paper": {"values": {"acc": 0.9}, "source": "a paper", "split": "val"}}
    assert entry["claims"]["any-of"] == {
        "kind": "order",
        "claim": "any swept > plain",
        "margin": 0.01,
        "over": "seeds",
        "left": [f"swept[dropout={d},epochs={e}]" for d in ("0.0", "0.25", "0.5") for e in (4, 6)],
        "why": "it should",
    }
    assert entry["claims"]["more"]["levels"] == {
        "swept[dropout=0.0,epochs=4]": 0.0,
        "swept[dropout=0.25,epochs=4]": 0.25,
        "swept[dropout=0.5,epochs=4]": 0.5,
    }
    assert entry["allow"] == {"unequal-epochs": "that is the question"}
    assert (entry["charts"]["curves"]["kind"], entry["tables"]["best"]["columns"]) == ("curves", ["acc"])


def origin(text, arm, name, *path):
    """The comment behind the value at `path` of a stage, and the value."""
    lines = iter(text.splitlines())
    for wanted in (f"{arm}:", "stages:", f"{name}:", *(f"{step}:" for step in path)):
        line = next(line for line in lines if line.strip().startswith(wanted))
    value, _, comment = line.partition(" # ")
    return value.partition(": ")[2].strip(), comment


def test_where_each_value_was_written(show):
    text = show("2026-01-02", "--resolved", "--origin")
    own = "specs/2026-01-02.yaml"
    assert origin(text, "plain", "tune", "head", "dropout") == ("0.5", f"{own}:14")
    assert origin(text, "plain", "tune", "head", "hidden") == ("off", "default")
    assert origin(text, "plain", "tune", "start") == ("random", f"{own}:14")
    assert origin(text, "plain", "tune", "lr_schedule", "from") == ("1e-08", f"{own}:6")
    assert origin(text, "plain", "tune", "lr_schedule", "floor") == ("off", "default")
    assert origin(text, "plain", "tune", "keep", "every") == ("2", f"{own}:14")
    assert origin(text, "plain", "head", "pick", "ties") == ("latest", f"{own}:15")
    assert origin(text, "plain", "head", "at") == ("[epoch-2, epoch-4, best]", f"{own}:15")
    assert origin(text, "slow", "first", "optimizer", "lr") == ("0.0001", "set of arm slow, line 21")
    assert origin(text, "slow", "first", "optimizer", "type") == ("adam", "specs/2026-01-01.yaml:5")
    assert origin(text, "swept[dropout=0.25,epochs=6]", "tune", "schedule", "epochs") == ("6", "sweep of arm swept, line 22")
    assert origin(text, "together", "final", "members") == ("2", f"{own}:23")
    assert origin(text, "together", "final", "how") == ("mean_probability", "default")
    assert origin(text, "elsewhere", "import", "source") == ("a server that is gone", f"{own}:24")
    assert YAML(typ="safe").load(text) == YAML(typ="safe").load(show("2026-01-02", "--resolved"))


def test_where_a_profile_wrote(show):
    text = show("2026-01-02", "--resolved", "--origin", "--profile", "quick", "--arm", "plain")
    assert origin(text, "plain", "tune", "model", "hidden") == ("[4]", "profile quick, line 35")
    assert "seeds: [0, 1, 2]" in text
    assert next(line for line in text.splitlines() if "seeds:" in line).endswith("# profile quick, line 35")
    text = show("2026-01-02", "--resolved", "--origin", "--profile", "quick", "--arm", "slow")
    assert origin(text, "slow", "first", "schedule", "epochs") == ("1", "profile quick, specs/2026-01-01.yaml:29")


@pytest.mark.parametrize(
    ("arms", "shown"),
    [
        (["slow"], ["slow"]),
        (["swept[epochs=6]"], [f"swept[dropout={d},epochs=6]" for d in ("0.0", "0.25", "0.5")]),
        (["slow", "swept[epochs=6,dropout=0.0]"], ["slow", "swept[dropout=0.0,epochs=6]"]),
    ],
)
def test_only_some_arms(show, arms, shown):
    entry = entry_of(show("2026-01-02", "--resolved", *(word for arm in arms for word in ("--arm", arm))))
    assert list(entry["arms"]) == shown


def test_an_arm_that_is_not_there(show):
    assert "the page has no arm `slwo`\nhint: did you mean `slow`?" in show("2026-01-02", "--resolved", "--arm", "slwo", code=2)
    assert "the page has no arm `swept[epochs=7]`" in show("2026-01-02", "--resolved", "--arm", "swept[epochs=7]", code=2)


def test_a_large_sweep_is_its_first_point_and_its_factors(show, write):
    values = ", ".join(f"{n}e-4" for n in range(1, 14))
    page = PAGE.replace("set: {stages.tune.schedule.optimizer.lr: 1e-4}", f"vary: {{schedules.short.optimizer.lr: [{values}]}}")
    write("2026-01-01", page.replace("alike: {claim: slow", "alike: {claim: mean slow"))
    arms = entry_of(show("2026-01-01", "--resolved"), "2026-01-01/first")["arms"]
    assert list(arms) == ["naive", "pretrained", "slow[lr=1e-4]", "slow[*]"]
    assert (arms["slow[*]"]["points"], arms["slow[*]"]["factors"]) == (13, {"lr": [f"{n}e-4" for n in range(1, 14)]})
    every = entry_of(show("2026-01-01", "--resolved", "--arm", "slow"), "2026-01-01/first")["arms"]
    assert len(every) == 13
    rates = [each["stages"]["tune"]["schedule"]["optimizer"]["lr"] for each in every.values()]
    assert rates == pytest.approx([n * 1e-4 for n in range(1, 14)])
