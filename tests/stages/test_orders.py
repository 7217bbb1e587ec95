"""Which training examples an epoch has: all of a split once, the part that has come in, or the next ones of an endless row."""

from dataclasses import replace

import numpy as np
import pytest

from interpreter.parts.build import build_data
from interpreter.parts.datasets.curriculum import Growing
from interpreter.spec.components.subsets import Growth
from interpreter.stages.orders import Orders


@pytest.fixture(scope="module")
def digits():
    return build_data({"type": "digits", "per_class": 5}, None, None)  # 50 training examples


def test_a_split_is_seen_once_an_epoch(digits):
    orders = Orders(digits, 7)
    assert orders.counts(3) == [50, 50, 50]
    assert sorted(orders.of(0)) == sorted(orders.of(1)) == list(range(50))
    assert not np.array_equal(orders.of(0), orders.of(1))
    assert not np.array_equal(orders.of(0), Orders(digits, 8).of(0))


@pytest.mark.parametrize("per_epoch", [1, 20, 50, 75, 130])
def test_an_endless_row_goes_on_where_the_epoch_before_ended(digits, per_epoch):
    orders = Orders(replace(digits, per_epoch=per_epoch), 7)
    assert orders.counts(2) == [per_epoch, per_epoch]
    row = np.concatenate([orders.of(epoch) for epoch in range(-(-200 // per_epoch))])
    assert len(row) >= 200
    assert len(set(row.tolist())) == len(row), "no look is taken twice"
    for number in range(4):  # each pass has each example once, as look `number` at it
        one = row[50 * number : 50 * (number + 1)]
        assert set(one // 50) == {number}
        assert sorted(one % 50) == list(range(50))
    assert not np.array_equal(row[:50] % 50, row[50:100] % 50)


def test_an_endless_row_of_a_part_that_grows(digits):
    grows = Growing(np.arange(50)[::-1].copy(), Growth(**{"from": 0.2, "to": 1.0, "over": 4}), 50)
    orders = Orders(replace(digits, per_epoch=30, growing=grows), 7)
    assert orders.counts(2) == [30, 30]
    assert set(orders.of(0) % 50) == set(range(40, 50))  # 20 % of 50, three passes
    assert sorted(orders.of(0) // 50) == [0] * 10 + [1] * 10 + [2] * 10
    assert set(orders.of(1) % 50) <= set(range(30, 50))  # 40 %
    assert len(orders.of(4)) == 30
