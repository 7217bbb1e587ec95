"""Averages of a model's weights over the course of a fit, evaluated in place of the trained ones.

    ema: d    after each optimizer step a <- d a + (1 - d) w, from a = w after the first step. The weights of the past sum to
              one from there on, so there is no bias to correct; what the first step leaves is still in with weight d^(t - 1).
    swa: N    after each of the last N epochs of those planned, the mean over their ends so far (Izmailov et al. 2018).

The arithmetic is that of `torch.optim.swa_utils`, in the precision of the weights, so an average taken up again from its
`state` goes on bit for bit. Frozen weights are their own average.

Buffers: counts are as in the trained model. With `ema`, running statistics of batch normalization are averaged as the weights
are. With `swa` they can't be, weights far apart being averaged: they are estimated anew, for the averaged weights, by a pass
over training batches (`estimate`), and until then are those of the trained model.

Until there is an average (before the first step, before the last N epochs) the trained weights stand in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from interpreter.errors import StageFailed
from interpreter.spec.stages import Average


class Averages:
    """The average of one model. Tensors of the model are swapped in place, never replaced: optimizers keep hold of them."""

    def __init__(self, settings: Average | Mapping[str, Any], model: nn.Module, epochs: int) -> None:
        """`epochs` are those planned. The average lies where the model does: make it after the model was moved to a device."""
        said = settings if isinstance(settings, Average) else Average.model_validate(dict(settings))
        self.count = 0  # of the weights in the average: steps, or epochs
        self._model = model
        self._ema = said.ema
        self._first = 0 if said.swa is None else max(0, epochs - said.swa)
        self._mean = get_swa_multi_avg_fn() if said.ema is None else get_ema_multi_avg_fn(said.ema)
        live = model.state_dict(keep_vars=True)
        first: dict[int, str] = {}
        # A tensor under several names is averaged once, under its first.
        self._names = {name: first.setdefault(id(tensor), name) for name, tensor in live.items()}
        self._live = {name: live[name] for name in first.values()}
        self._average = {name: tensor.detach().clone() for name, tensor in self._live.items()}
        weights = {name for name, _ in model.named_parameters(remove_duplicate=False)}
        self._taken = [n for n, t in self._live.items() if t.is_floating_point() and (said.swa is None or n in weights)]
        self._copied = [name for name in self._live if name not in set(self._taken)]

    def step(self) -> None:
        """Take the weights after an optimizer step into the average, where it is one over steps."""
        if self._ema is not None:
            self._take()

    def epoch(self, epoch: int) -> None:
        """Take the weights at the end of an epoch, counted from 0, into the average, where it is one over epochs."""
        if self._ema is None and epoch >= self._first:
            self._take()

    def _take(self) -> None:
        with torch.no_grad():
            # Looked up each time: a swap exchanges the tensors of the average.
            past, now = [self._average[name] for name in self._taken], [self._live[name].detach() for name in self._taken]
            if self.count:
                self._mean(past, now, self.count)
            else:
                torch._foreach_copy_(past, now)
            if self._copied:
                copies = [self._average[name] for name in self._copied]
                torch._foreach_copy_(copies, [self._live[name].detach() for name in self._copied])
        self.count += 1

    def needs_estimate(self) -> bool:
        """Whether `estimate` is to be called before the average is evaluated: there is one over epochs, and what to estimate."""
        return self._ema is None and self.count > 0 and bool(self._normalizations())

    def estimate(self, forward: Callable[[Any], Any], batches: Iterable[Any]) -> None:
        """Estimate the running statistics of batch normalization that go with the averaged weights, and keep them beside these.

        `forward` is called on each of the training `batches`; they are the mean over batches, as of torch's `update_bn`. Only
        normalizations in training mode are estimated, and modes stay as they are: what a thaw holds frozen keeps what it has.
        The model's own statistics are as before, afterwards.
        """
        with self.applied(), torch.no_grad():
            found = self._normalizations()
            momenta = [module.momentum for module in found]
            try:
                for module in found:
                    module.reset_running_stats()
                    module.momentum = None  # the plain mean over batches
                for batch in batches:
                    forward(batch)
            finally:
                for module, momentum in zip(found, momenta, strict=True):
                    module.momentum = momentum

    def _normalizations(self) -> list[_BatchNorm]:
        """Batch normalizations that track statistics as they are now: in training mode, with a momentum that isn't 0."""
        found = [module for module in self._model.modules() if isinstance(module, _BatchNorm)]
        return [m for m in found if m.training and m.track_running_stats and m.momentum != 0]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averaged weights in the model, and the trained ones again afterwards, bit for bit.

        Enter it before the model is put into evaluation mode: some modules prepare their weights then.
        """
        if not self.count:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, tensor in self._live.items():
            tensor.data, self._average[name] = self._average[name], tensor.data

    def state(self) -> dict[str, Any]:
        """What `load` needs: the `count`, and `weights` by all of the model's names, as they are now (not a copy).

        While there is an average, `weights` are a state dict of the model.
        """
        return {"count": self.count, "weights": {name: self._average[first] for name, first in self._names.items()}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`. Raises: StageFailed when it is of another model."""
        weights = state["weights"]
        if set(weights) != set(self._names) or any(weights[name].shape != own.shape for name, own in self._average.items()):
            raise StageFailed("the averaged weights of the checkpoint are those of another model")
        for name, own in self._average.items():
            own.copy_(weights[name])
        self.count = int(state["count"])


def evaluated(checkpoint: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """The weights that a checkpoint's metrics are of: the averaged ones where there are any, else the trained ones."""
    averages = checkpoint.get("averages")
    weights: Mapping[str, Tensor] = averages["weights"] if averages and averages["count"] else checkpoint["model"]
    return weights
