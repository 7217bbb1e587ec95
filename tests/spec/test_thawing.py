"""Which parameters a thaw trains in which phase, from names and shapes alone."""

from __future__ import annotations

from typing import Any

import pytest

from interpreter.spec.stages import Thaw
from interpreter.spec.thawing import PhaseOf, ThawError, layers, phases_of

# A convolution with its normalization, one with a bias, a linear layer; a head of two linear layers: 11 tensors.
PARAMETERS = [
    ("encoder.conv1.0.weight", (8, 1, 3, 3), True),
    ("encoder.conv1.1.weight", (8,), True),
    ("encoder.conv1.1.bias", (8,), True),
    ("encoder.conv2.0.weight", (8, 8, 3, 3), True),
    ("encoder.conv2.0.bias", (8,), True),
    ("encoder.conv2.1.weight", (8, 8), True),
    ("encoder.conv2.1.bias", (8,), True),
    ("head.0.weight", (16, 8), True),
    ("head.0.bias", (16,), True),
    ("head.2.weight", (10, 16), True),
    ("head.2.bias", (10,), True),
]
GROUPS = {
    "conv1": tuple(n for n, *_ in PARAMETERS[:3]),
    "conv2": tuple(n for n, *_ in PARAMETERS[3:7]),
    "head": tuple(n for n, *_ in PARAMETERS[7:]),
}
ALL = tuple(name for name, *_ in PARAMETERS)


def phases(by: Any, groups: Any = GROUPS, parameters: Any = PARAMETERS, **said: Any) -> tuple[PhaseOf, ...]:
    return phases_of(Thaw.model_validate({"by": by, "max_epochs": 2, **said}), groups, parameters)


def test_none_is_one_phase_of_everything_and_frozen_one_of_the_head() -> None:
    (whole,) = phases("none")
    assert (whole.index, whole.groups, whole.parameters, whole.new) == (0, ("conv1", "conv2", "head"), ALL, ALL)
    (head,) = phases("frozen")
    assert (head.groups, head.parameters) == (("head",), ALL[7:])
    assert (head.max_epochs, head.until_epoch, head.patience) == (None, None, None)


def test_layers_go_down_from_the_head_and_take_their_normalization_along() -> None:
    assert layers(GROUPS, PARAMETERS) == {
        "conv1": ALL[:3],
        "conv2.0": ALL[3:5],
        "conv2.1": ALL[5:7],
        "head": ALL[7:],
    }
    found = phases({"layers": 2})
    assert [p.groups for p in found] == [("head",), ("conv2.1", "conv2.0"), ("conv1",)]
    assert [len(p.new) for p in found] == [4, 4, 3]
    assert found[2].parameters == ALL
    assert found[1].parameters == ALL[3:]


@pytest.mark.parametrize(("k", "sizes"), [(1, [1] * 11), (2, [2] * 5 + [1]), (4, [4, 4, 3]), (20, [11])])
def test_tensors_go_from_last_to_first_and_the_last_phase_has_the_rest(k: int, sizes: list[int]) -> None:
    found = phases({"tensors": k})
    assert [len(p.new) for p in found] == sizes
    assert found[0].groups == tuple(reversed(ALL))[:k]
    assert [name for p in found for name in reversed(p.new)] == list(reversed(ALL))


def test_phases_by_hand_with_globs() -> None:
    found = phases({"phases": [["head"], ["head", "conv2"], "all"]})
    assert [p.groups for p in found] == [("head",), ("conv2",), ("conv1",)]
    assert [p.parameters for p in found] == [ALL[7:], ALL[3:], ALL]
    (one, two) = phases({"phases": [["head"], ["conv*"]]})
    assert two.groups == ("conv1", "conv2")
    assert (one.parameters, two.parameters) == (ALL[7:], ALL)


def test_what_is_not_cumulative_freezes_again_and_a_parameter_is_new_once() -> None:
    found = phases({"phases": [["head"], ["conv2"], ["head", "conv1"]]}, cumulative=False)
    assert [p.parameters for p in found] == [ALL[7:], ALL[3:7], ALL[:3] + ALL[7:]]
    assert [p.groups for p in found] == [("head",), ("conv2",), ("conv1", "head")]
    assert [p.new for p in found] == [ALL[7:], ALL[3:7], ALL[:3]]
    layered = phases({"layers": 1}, cumulative=False)
    assert [len(p.parameters) for p in layered] == [4, 2, 2, 3]


def test_ends_and_rates_are_the_phases_own_or_the_thaws() -> None:
    by_hand = [
        {"groups": ["head"], "max_epochs": 7, "lr": 0.1},
        {"groups": ["conv2"], "until_epoch": 5, "patience": 1, "weight_decay": 0.0},
        {"groups": "all", "lr": 0.001, "lr_schedule": {"type": "cosine"}},
    ]
    first, second, third = phases({"phases": by_hand}, lr=0.01, until_epoch=3, patience=4)
    assert (first.max_epochs, first.until_epoch, first.patience, first.lr) == (7, 3, 4, 0.1)
    assert (second.max_epochs, second.until_epoch, second.patience, second.lr, second.weight_decay) == (2, 5, 1, 0.01, 0.0)
    assert (third.max_epochs, third.until_epoch, third.patience, third.lr) == (None, None, None, 0.001)
    assert third.lr_schedule is not None
    assert third.lr_schedule.type == "cosine"
    plain = phases({"phases": [["head"], ["conv2"], "all"]}, until_epoch=3)
    assert [p.until_epoch for p in plain] == [3, 6, None]
    assert [p.lr for p in plain] == [None, None, None]  # no rate is made up: it is the stage's


def test_shared_and_untrained_parameters() -> None:
    # A tensor that two modules share is told once, under the first's name; what the model keeps frozen never trains.
    kept = [(name, shape, name != "encoder.conv1.0.weight") for name, shape, _ in PARAMETERS if name != "head.2.weight"]
    found = phases({"tensors": 3}, {**GROUPS, "head": ALL[7:9] + ALL[10:]}, kept)
    assert [len(p.new) for p in found] == [3, 3, 3]
    assert "encoder.conv1.0.weight" not in found[-1].parameters
    only_norm = phases({"layers": 5}, {**GROUPS, "head": ALL[7:9] + ALL[10:]}, kept)[-1]
    assert "encoder.conv1.1.weight" in only_norm.new


def test_a_childs_own_head_is_not_the_stages() -> None:
    groups = {"stem": ("encoder.stem.weight",), "encoder.head": ("encoder.head.weight",), "head": ("head.0.weight",)}
    parameters = [(name, (2, 2), True) for names in groups.values() for name in names]
    assert [p.groups for p in phases({"layers": 1}, groups, parameters)] == [("head",), ("encoder.head",), ("stem",)]


HAVE = "its groups: conv1, conv2, head"


@pytest.mark.parametrize(
    ("by", "said", "text", "hint"),
    [
        ({"phases": [["head"], ["conv9"]]}, {}, "phase 1 of the thaw: no group of the model that trains is called `conv9`", HAVE),
        ({"phases": [["head"], ["all"]]}, {}, "is called `all`", f"{HAVE}; `all` is written without brackets"),
        ({"phases": [["conv*", "conv2"], "all"]}, {}, "names `conv2` twice, by `conv*` and by `conv2`", HAVE),
        ({"phases": [["head", "head"], "all"]}, {}, "names `head` twice, by `head` and by `head`", HAVE),
        ({"phases": [[], "all"]}, {}, "phase 0 of the thaw names no group", HAVE),
        ({"phases": [["head"], ["head"]]}, {}, "names nothing that is not thawed already", "`cumulative: false`"),
        ({"phases": [["head"], "all"]}, {"max_epochs": None}, "phase 0 of the thaw would never end", "`max_epochs`"),
        ({"phases": [["head"], {"groups": "all", "patience": 3}]}, {}, "its `patience` would do nothing", "`early_stopping`"),
        (
            {"phases": [["head"], ["conv1"], {"groups": ["head"], "lr": 0.1}]},
            {"cumulative": False},
            "phase 2 of the thaw has its own `lr`, and thaws nothing for the first time",
            "the phase that first thaws a parameter",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_the_models_own_names(by: Any, said: Any, text: str, hint: str) -> None:
    with pytest.raises(ThawError) as told:
        phases(by, **said)
    assert text in str(told.value)
    assert hint in told.value.hint


def test_a_head_without_parameters() -> None:
    body = {name: names for name, names in GROUPS.items() if name != "head"}
    assert [p.groups for p in phases({"layers": 3}, body, PARAMETERS[:7])] == [("conv2.1", "conv2.0", "conv1")]
    with pytest.raises(ThawError, match="this head has no parameters"):
        phases("frozen", body, PARAMETERS[:7])
    with pytest.raises(ThawError, match="no parameters that train"):
        phases("none", body, [(name, shape, False) for name, shape, _ in PARAMETERS[:7]])
