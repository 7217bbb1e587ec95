"""Which training examples each epoch of a fit has, and in what order: a pure function of a stream and the epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from interpreter.parts import random
from interpreter.parts.contract import Data

Ints = NDArray[np.int64]


class Orders:
    """The orders of all epochs. Nothing is saved with a checkpoint, since nothing depends on what came before.

    With several streams there is an order for each, of the same examples: several networks are trained side by side on them.
    """

    def __init__(self, data: Data, *streams: int) -> None:
        self._n = len(data.splits["train"]) if "train" in data.splits else 0
        self._growing = data.growing
        self._per_epoch = data.per_epoch
        self._streams = streams

    def counts(self, epochs: int) -> Sequence[int]:
        """Training examples of each of the first `epochs` epochs."""
        if self._per_epoch is not None:
            return [self._per_epoch] * epochs
        return [self._n] * epochs if self._growing is None else self._growing.counts(epochs)

    def of(self, epoch: int) -> Ints:
        """Indices of the examples of `epoch`, from 0, in their order. Shape: (counts(epochs)[epoch],), of M streams (..., M).

        Where examples have no end, passes over the split follow one another, each in an order of its own, and an epoch begins
        where the one before ended: index i + k * n is example i, drawn anew in pass k.
        """
        orders = [self._by(stream, epoch) for stream in self._streams]
        return orders[0] if len(orders) == 1 else np.stack(orders, axis=1)

    def _by(self, stream: int, epoch: int) -> Ints:
        if self._per_epoch is None:
            return self._kept(random.permutation(stream, epoch, self._n), epoch)
        begin, end = epoch * self._per_epoch, (epoch + 1) * self._per_epoch
        size = self._n if self._growing is None else len(self._growing.members(epoch))
        passes = range(begin // size, -(-end // size))
        drawn = [self._kept(random.permutation(stream, p, self._n), epoch) + p * self._n for p in passes]
        first = passes.start * size
        return np.concatenate(drawn)[begin - first : end - first]

    def _kept(self, order: Ints, epoch: int) -> Ints:
        """`order` less what has not come in by `epoch`."""
        return order if self._growing is None else order[np.isin(order, self._growing.members(epoch))]
