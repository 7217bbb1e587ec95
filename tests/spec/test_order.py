"""The order of keys follows the models that read a page."""

from interpreter import catalog
from interpreter.errors import Problems
from interpreter.source.load import parse
from interpreter.spec.order import orders

PAGE = """\
expt: 1
datasets: {d: {type: digits, per_class: 3}, e: {extends: d, classes: [1, 2]}, far: {extends: 2024-01-01#datasets.x}}
models: {m: {type: nothing-known}}
schedules: {s: {epochs: 1, optimizer: {type: sgd, momentum: 0.9}, clip: {norm: 1.0}}}
entries:
  one:
    stages: {a: {fit: classification, head: {dropout: 0.1}}, b: {evaluate: d}}
    arms: {x: {chain: [a]}, y: [a, b]}
    expect: {c: {claim: x > y, on: m}, v: {value: m > 1, arm: x}}
    references: {r: {acc: 0.9, source: s, split: val, other: 1}}
    updates: [{date: 2024-01-02, text: t}]
"""


def test_each_mapping_has_the_order_of_its_model_and_names_have_none():
    tree = parse(PAGE, "x.yaml", Problems())
    found = orders(tree, lambda kind, type_: catalog.config_class(kind, type_) if catalog.find(kind, type_) else None)
    assert found[()][:3] == ("expt", "date", "title")
    assert found["datasets", "d"][:3] == ("type", "extends", "source")
    assert found["datasets", "e"] == found["datasets", "d"]
    assert found["datasets", "far"] == found["models", "m"] == ("type", "extends")
    assert found["schedules", "s"][2:5] == ("epochs", "batch_size", "optimizer")
    assert "momentum" in found["schedules", "s", "optimizer"] and "betas" not in found["schedules", "s", "optimizer"]
    assert found["schedules", "s", "clip"] == ("norm",)
    assert found["entries", "one", "stages", "a"][:3] == ("fit", "data", "model")
    assert found["entries", "one", "stages", "a", "head"] == ("hidden", "dropout")
    assert found["entries", "one", "stages", "b"][0] == "evaluate"
    assert found["entries", "one", "arms", "x"][:2] == ("chain", "baseline")
    assert found["entries", "one", "expect", "c"][:3] == ("claim", "on", "margin")
    assert found["entries", "one", "expect", "v"][:2] == ("value", "arm")
    assert found["entries", "one", "references", "r"][:2] == ("acc", "other")
    assert found["entries", "one", "updates", 0] == ("date", "text", "entry")
    for path in [("datasets",), ("entries",), ("entries", "one", "arms"), ("entries", "one", "expect")]:
        assert path not in found
