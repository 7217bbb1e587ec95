"""Counter-based randomness: golden values, independence of the batch, and a statistical smoke test."""

import numpy as np
import pytest

from interpreter.parts.random import _mix, _mix_int, derive, permutation, uniform


def test_golden_values():
    """Changing any of these changes every result ever recorded."""
    assert derive(0, "order", "abc", 0) == 6836741016247110374
    assert derive(7, "augment", "digits", 1) == 6353203219193953904
    assert permutation(12345, 0, 8).tolist() == [7, 1, 5, 6, 0, 3, 4, 2]
    assert permutation(12345, 1, 8).tolist() == [3, 1, 5, 0, 4, 2, 6, 7]
    expected = [[0.943876364255204, 0.16928748285668427], [0.38913835040030087, 0.24475771512501876]]
    assert uniform(99, 3, np.array([0, 41]), 2).tolist() == expected


def test_the_mixer_is_that_of_splitmix64():
    steps = np.arange(1, 6, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert _mix(np.uint64(1234567) + steps).tolist() == published
    assert [_mix_int(1234567 + int(s)) for s in steps] == published


def test_derive_tells_types_and_order_apart():
    parts = [("a", 1), ("a", "1"), (1, "a"), ("a", 1, 0), ("a1",), ("a", -1)]
    assert len({derive(*p) for p in parts}) == len(parts)
    assert all(0 <= derive(*p) < 2**63 for p in parts)
    for wrong in (1.0, True, None, [1]):
        with pytest.raises(TypeError, match="integers and strings"):
            derive("a", wrong)


def test_an_example_draws_the_same_in_any_batch():
    whole = uniform(5, 2, np.arange(1000), 13)
    some = np.array([999, 3, 3, 500])
    assert np.array_equal(uniform(5, 2, some, 13), whole[some])
    assert np.array_equal(uniform(5, 2, some, 4), whole[some, :4])


def test_permutation_is_one_and_moves():
    for n in (0, 1, 2, 1437):
        assert np.array_equal(np.sort(permutation(1, 0, n)), np.arange(n))
    a, b = permutation(1, 0, 5000), permutation(1, 1, 5000)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.06
    assert abs(np.corrcoef(a, np.arange(5000))[0, 1]) < 0.06


def test_every_order_of_four_is_as_likely():
    seen = [tuple(permutation(stream, epoch, 4).tolist()) for stream in range(60) for epoch in range(40)]
    counts = np.unique(np.array(seen), axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert ((counts - 100) ** 2 / 100).sum() < 52  # chi-squared, 23 degrees of freedom: p = 0.0005


def test_uniform_is_uniform_and_independent():
    u = uniform(derive("smoke"), 0, np.arange(20000), 4)
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.histogram(u, bins=100, range=(0, 1))[0]
    assert ((counts - 800) ** 2 / 800).sum() < 150  # chi-squared, 99 degrees of freedom: p = 0.0007
    assert abs(u.mean() - 0.5) < 0.005
    assert abs(u.var() - 1 / 12) < 0.002
    others = [
        uniform(derive("smoke"), 1, np.arange(20000), 1),  # the next epoch
        uniform(derive("smoke") + 1, 0, np.arange(20000), 1),  # the next stream
        uniform(derive("smoke"), 0, np.arange(1, 20001), 1),  # the next example
    ]
    columns = np.column_stack([u, *others])
    correlation = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    assert np.abs(correlation).max() < 0.03  # 4 sigma is 0.028
