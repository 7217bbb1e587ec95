"""What heads of a probe are fed with: features of each batch by every frozen encoder, kept ones where they are always the same.

    not augmented    the features of a split are computed once by each encoder, and kept
    augmented        they are computed anew each epoch, batch by batch, as in a fit whose encoder is frozen
    `views: k`       the first k epochs' features are kept, and epoch e has those of epoch e mod k

Examples and their order are those of a fit on the same data: they follow from the same streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpreter.errors import StageFailed
from interpreter.parts.contract import Data, Draw, Model
from interpreter.parts.optim.averages import evaluated
from interpreter.stages.batches import Batches, in_batches, steps_of
from interpreter.stages.checkpoint import load
from interpreter.stages.diagnostics import hash_of
from interpreter.stages.feature_cache import Encoder, Floats, Wanted, augmented, obtain, place_of
from interpreter.stages.training import Streams
from interpreter.stages.work import Stopped, Work

IN_MEMORY_BYTES = 2**30  # features of a split by all encoders; of larger ones a batch is read at a time
_AT_ONCE = 4096
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Frozen:
    """An encoder to be probed: the file of a fit's record that holds it, and the hash of its weights."""

    fit: str
    path: Path
    hash: str

    @classmethod
    def of(cls, fit: str, path: Path) -> Frozen:
        """That of a checkpoint's file. Raises: StageFailed."""
        return cls(fit, path, hash_of(evaluated(load(path))))

    @property
    def epoch(self) -> int:
        """The epoch (from 0) of the fit after which it was made."""
        return int(self.path.stem.partition("-")[2])


class Features:
    """Features of one split by each of S encoders."""

    def __init__(self, arrays: Sequence[Floats]) -> None:
        self._arrays = arrays
        fits = sum(array.nbytes for array in arrays) <= IN_MEMORY_BYTES
        self._whole = torch.from_numpy(np.stack(arrays)) if fits else None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example's."""
        return self._arrays[0].shape[1:]

    def at(self, index: Ints) -> Tensor:
        """Those of the examples `index`. Shape: (B,) -> (S, B, ...)."""
        if self._whole is not None:
            return self._whole.index_select(1, torch.from_numpy(index))
        return torch.from_numpy(np.stack([array[index] for array in self._arrays]))

    def all(self) -> Iterator[Tensor]:
        """Those of all examples, a few thousand at a time."""
        rows = len(self._arrays[0])
        for begin in range(0, rows, _AT_ONCE):
            if self._whole is not None:
                yield self._whole[:, begin : begin + _AT_ONCE]
            else:
                yield self.at(np.arange(begin, min(begin + _AT_ONCE, rows)))


class Feed:
    """Features for the heads of a probe, each split's by every encoder of `frozen`."""

    def __init__(self, work: Work, data: Data, model: Model, frozen: Sequence[Frozen], streams: Streams) -> None:
        self._work, self._data, self._model, self._frozen, self._streams = work, data, model, frozen, streams
        schedule = work.stage.settings["schedule"]
        self._size, self._drop_last = schedule["batch_size"], schedule["drop_last"]
        self._batches: dict[str, Batches] = {}
        self._kept: dict[str, list[Features]] = {}  # split -> one for each view
        self._encoders: list[Encoder] = []
        self._done = self._total = 0
        self.findings: list[tuple[str, str]] = []

    def prepare(self, splits: Sequence[str], epoch: int) -> None:
        """Compute what is kept and not there, before the epoch `epoch`. Raises: StageFailed, Stopped, OSError (disk full)."""
        workers, restart = self._work.numerics.loader_workers, self._work.project.execution.restart_workers
        self._batches = {name: Batches(self._data, name, workers, restart) for name in splits}
        draws = {split: found for split in splits if (found := self._draws(split)) is not None}
        self._total = len(self._frozen) * sum(
            len(found) * steps_of(self._rows(split), self._batches[split].evaluated_at_once, False)
            for split, found in draws.items()
        )
        places = [(one, split, draw) for one in self._frozen for split, found in draws.items() for draw in found]
        arrays = obtain([self._wanted(*place, epoch) for place in places], lambda: self._heed(epoch))
        for split, found in draws.items():
            self._kept[split] = [
                Features([array for array, (_, s, d) in zip(arrays, places, strict=True) if (s, d) == (split, draw)])
                for draw in found
            ]
        if len(draws) < len(splits):
            self._encoders = [self._encoder(one) for one in self._frozen]

    @property
    def ndim(self) -> int:
        """Axes of one example's features."""
        kept = next((found[0] for found in self._kept.values()), None)
        if kept is not None:
            return len(kept.shape)
        return (
            self._encoders[0](torch.zeros(2, *([self._model.views] if self._model.views > 1 else []), *self._data.shape)).ndim - 1
        )

    def train(self, order: Ints, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the training examples `order`: features and targets. Shape: (S, B, ...), (B, ...)."""
        if "train" not in self._kept:
            draw = Draw(self._streams.augment[0], epoch)
            for x, y in self._batches["train"].train(order, self._size, draw, self._drop_last):
                yield torch.stack([encoder(x) for encoder in self._encoders]), y
            return
        features, targets = self._view("train", epoch), self._data.splits["train"].targets
        for index in in_batches(order, self._size, self._drop_last):
            yield features.at(index), targets[torch.from_numpy(index)]

    def evaluated(self, split: str, epoch: int) -> Iterator[Tensor]:
        """Features of all examples of a split as they are evaluated after `epoch`, in order, pose by pose. Shape: (S, n, ...)."""
        if split in self._kept:
            yield from self._view(split, epoch).all()
            return
        for x, _ in self._batches[split].all(Draw(self._streams.evaluate, epoch)):
            yield torch.stack([encoder(x) for encoder in self._encoders])

    def mean_over_poses(self, split: str, outputs: Tensor) -> Tensor:
        """One output an example from those of `evaluated`. Shape: (S, poses * N, ...) -> (S, N, ...)."""
        return torch.stack([self._batches[split].mean_over_poses(one) for one in outputs])

    def check(self) -> None:
        """Raises: StageFailed when an encoder in use is no longer what it was."""
        for encoder in self._encoders:
            encoder.check()

    def close(self) -> None:
        """End loader processes."""
        for batches in self._batches.values():
            batches.close()

    def _view(self, split: str, epoch: int) -> Features:
        views = self._kept[split]
        return views[epoch % len(views)]

    def _draws(self, split: str) -> list[Draw | None] | None:
        """The draws by which the kept features of a split are seen; None where they can't be kept."""
        views: int | None = self._work.stage.settings.get("views")
        if split != "train":
            anew = split in self._data.anew
            return [None] if not anew else self._first(self._streams.evaluate, views)
        if self._data.per_epoch is not None:
            if views is not None:
                text = "training examples of this data have no end, so no number of views of them can be kept"
                raise StageFailed(text, hint="leave `views` out: each epoch's examples then go through the frozen encoders")
            return None
        if augmented(self._data, "train", self._streams.augment[0]):
            return self._first(self._streams.augment[0], views)
        if views is not None:
            self.findings.append(("views-alike", f"all {views} views of every training example are alike: it is not augmented"))
        return [None]

    def _first(self, stream: int, views: int | None) -> list[Draw | None] | None:
        return None if views is None else [Draw(stream, view) for view in range(views)]

    def _rows(self, split: str) -> int:
        return len(self._data.splits[split]) * (1 if split == "train" else self._data.poses.get(split, 1))

    def _wanted(self, one: Frozen, split: str, draw: Draw | None, epoch: int) -> Wanted:
        path = place_of(self._work, one.fit, one.path.name, one.hash, split, draw)
        return Wanted(path, self._rows(split), lambda: self._computed(one, split, draw, epoch))

    def _computed(self, one: Frozen, split: str, draw: Draw | None, epoch: int) -> Iterator[Tensor]:
        encoder, batches, examples = self._encoder(one), self._batches[split], self._data.splits[split]
        at = 0
        for x, y in batches.drawn(draw) if split == "train" else batches.all(draw):
            self._heed(epoch)
            if split == "train" and not torch.equal(y, examples.targets[at : at + len(y)]):
                raise StageFailed("targets of this data are drawn as its examples are, so no views of it can be kept")
            yield encoder(x)
            at += len(y)
            self._done += 1
            self._work.attempt.at = (epoch, self._done, self._total)
        encoder.check()

    def _encoder(self, one: Frozen) -> Encoder:
        return Encoder(self._model, evaluated(load(one.path)), self._work, f"{one.path.name} of {one.fit}")

    def _heed(self, epoch: int) -> None:
        if self._work.stop():
            raise Stopped(epoch)
