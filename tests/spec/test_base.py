"""Strictness, and what of a config is identity."""

from typing import ClassVar, Literal

import pytest
from pydantic import ValidationError

from interpreter.spec.base import Component, how, identity, since
from interpreter.spec.canonical import key_of


class First(Component):
    component_version: ClassVar[int] = 3
    type: Literal["thing"] = "thing"
    width: int
    rate: float = 0.5
    note: Literal["off", "on"] = "on"


class Later(First):
    """The same component after two releases: a field was added, and one that can't change numbers."""

    smoothing: float = since(2, 0.1, neutral=0.0)
    workers: int = how(4)


@pytest.mark.parametrize(
    "bad", [{"width": "3"}, {"width": 3.0}, {"width": True}, {"width": 1, "rate": float("nan")}, {"width": 1, "x": 1}, {}]
)
def test_nothing_is_guessed(bad):
    with pytest.raises(ValidationError):
        First.model_validate(bad)


def test_off_is_absent_except_where_it_is_a_value():
    assert First.model_validate({"width": 1, "rate": "off", "note": "off"}) == First(width=1, rate=0.5, note="off")


def test_a_whole_number_in_a_number_field_is_that_number():
    assert identity(First(width=1, rate=1)) == identity(First(width=1, rate=1.0))
    assert key_of(identity(First.model_validate({"width": 1, "rate": 1}))) == key_of(identity(First(width=1, rate=1.0)))


def test_the_version_is_identity():
    assert identity(First(width=1)) == {"type": "thing", "width": 1, "rate": 0.5, "note": "on", "component_version": 3}


def test_a_field_added_later_leaves_old_keys_alone():
    old = key_of(identity(First(width=1)))
    assert key_of(identity(Later(width=1, smoothing=0.0))) == old
    assert key_of(identity(Later(width=1, smoothing=0.0, workers=9))) == old
    assert key_of(identity(Later(width=1))) != old  # a new default that is not neutral is a new thing


def test_what_has_no_stable_form_has_no_identity():
    with pytest.raises(TypeError):
        identity({"x": {1, 2}})
