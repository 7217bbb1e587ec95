"""Whole batches of a split, fetched here or by loader processes; what a batch holds depends only on (draw, index)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from interpreter.parts.contract import Data, Draw, Split

# One size for every evaluation of data of one sort, so that a split evaluated twice gives the same bits. Volumes are large.
_EVALUATED_IMAGES, _EVALUATED_VOLUMES = 128, 16
Draws = Draw | Sequence[Draw] | None
_Request = tuple[np.ndarray, Draws]


def _fetched(split: Split, index: np.ndarray, draw: Draws) -> tuple[Tensor, Tensor]:
    """A batch of `split`. With a draw for each of several networks, `index` is (B, M): x is (B, M, ...) and y (B, M)."""
    if draw is None or isinstance(draw, Draw):
        return split.batch(index, draw)
    each = [split.batch(own, by) for own, by in zip(index.T, draw, strict=True)]
    return torch.stack([x for x, _ in each], dim=1), torch.stack([y for _, y in each], dim=1)


class _Fetch(Dataset[tuple[Tensor, Tensor]]):
    """A split, asked for whole batches."""

    def __init__(self, split: Split) -> None:
        self._split = split

    def __getitem__(self, request: _Request) -> tuple[Tensor, Tensor]:
        index, draw = request
        return _fetched(self._split, index, draw)


class _Requests(Sampler[_Request]):
    """The batches of the epoch at hand; replaced before each epoch, while loader processes may stay."""

    def __init__(self) -> None:
        self.now: list[_Request] = []

    def __iter__(self) -> Iterator[_Request]:
        return iter(self.now)

    def __len__(self) -> int:
        return len(self.now)


class Batches:
    """Serves batches of the split `name` of `data`. With `workers` > 0 by as many processes.

    They live until `close`, or with `restart` for one pass over the batches each: what they hold is then given back.
    """

    def __init__(self, data: Data, name: str, workers: int, restart: bool = False) -> None:
        split = data.splits[name]
        self._split = split
        self._poses = data.poses.get(name, 1)
        self._anew = name in data.anew
        self.evaluated_at_once = _EVALUATED_VOLUMES if len(data.shape) > 3 else _EVALUATED_IMAGES
        self._requests = _Requests()
        self._loader: DataLoader[tuple[Tensor, Tensor]] | None = None
        if workers:
            # Its own generator: a loader without one draws from the global stream, which is dropout's.
            self._loader = DataLoader(
                _Fetch(split),
                batch_size=None,
                sampler=self._requests,
                num_workers=workers,
                generator=torch.Generator(),
                persistent_workers=not restart,
            )

    def train(self, order: np.ndarray, batch_size: int, draw: Draws, drop_last: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the examples `order`, augmented as `draw` says. The iterator is ready: making it drew what it draws.

        `order` is (N,) with one draw, or (N, M) with M, for as many networks that see examples of their own.
        """
        by = draw if isinstance(draw, Draw) or draw is None or len(draw) > 1 else draw[0]
        return self._serve([(index, by) for index in in_batches(order, batch_size, drop_last)])

    def drawn(self, draw: Draw | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Every example once, in order, seen as a training example with this draw is, in batches of an evaluation."""
        return self.train(np.arange(len(self._split), dtype=np.int64), self.evaluated_at_once, draw, drop_last=False)

    def all(self, draw: Draw | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Every example once, in order; in each of its poses where there are several, pose by pose.

        Nothing is random, but for splits that are evaluated anew each epoch: they are seen as `draw` says.
        """
        drawn = draw if self._anew else None
        every = np.arange(len(self._split) * self._poses, dtype=np.int64)
        return self._serve([(index, drawn) for index in in_batches(every, self.evaluated_at_once, drop_last=False)])

    def mean_over_poses(self, outputs: Tensor) -> Tensor:
        """What `all` gave outputs for, one for each example. Shape: (poses * N, outputs) -> (N, outputs)."""
        return outputs if self._poses == 1 else outputs.unflatten(0, (self._poses, -1)).mean(0)

    def _serve(self, requests: list[_Request]) -> Iterator[tuple[Tensor, Tensor]]:
        if self._loader is None:
            return iter(_fetched(self._split, index, draw) for index, draw in requests)
        self._requests.now = requests
        return iter(self._loader)

    def close(self) -> None:
        """End the loader processes."""
        self._loader = None


def in_batches(order: np.ndarray, batch_size: int, drop_last: bool) -> list[np.ndarray]:
    """`order` cut into batches; the last may be smaller, and with `drop_last` is left out then.

    Shape: (N,) -> (B,) each; of several networks' orders (N, M) -> (B, M).
    """
    return [order[i * batch_size : (i + 1) * batch_size] for i in range(steps_of(len(order), batch_size, drop_last))]


def steps_of(n: int, batch_size: int, drop_last: bool) -> int:
    """Steps of an epoch over n examples."""
    return n // batch_size if drop_last else -(-n // batch_size)


def outputs_of(unit: torch.nn.Module, batches: Batches, device: torch.device, draw: Draw | None = None) -> Tensor:
    """Outputs of `unit` in evaluation mode for a whole split, as float32 on the CPU. Shape: (N, outputs).

    `draw`: how examples are seen that are evaluated anew each epoch; all others are as they are.
    """
    was = unit.training
    unit.eval()
    try:
        with torch.inference_mode():
            parts = [unit(x.to(device, non_blocking=True)).float() for x, _ in batches.all(draw)]
            return batches.mean_over_poses(torch.cat(parts)).cpu()
    finally:
        unit.train(was)
