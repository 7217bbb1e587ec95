"""Builder of `regression`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from interpreter.errors import StageFailed
from interpreter.parts.contract import Data
from interpreter.parts.metrics import regression as metrics
from interpreter.spec.components.objectives import Regression

Floats = NDArray[np.float64]


class NumberError:
    """The error of `outputs` numbers, in the units of the targets."""

    views = 1
    head_settings = None
    head_groups = 1
    batchwise = False

    def __init__(self, config: Regression, outputs: int) -> None:
        self.outputs = outputs
        self.kind = config.loss
        self.delta = config.huber_delta

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch, over examples and outputs. Shape: (B, K), (B, K) -> ()."""
        targets = targets.reshape(outputs.shape)  # never broadcast: (B, 1) against (B,) would compare all with all
        if self.kind == "mse":
            return functional.mse_loss(outputs, targets)
        if self.kind == "mae":
            return functional.l1_loss(outputs, targets)
        return functional.huber_loss(outputs, targets, delta=self.delta)

    def combined(self, outputs: torch.Tensor) -> torch.Tensor:
        """The outputs as they are: there is one model."""
        return outputs

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """Every metric over a whole split; for several outputs errors are over all, correlations the mean of each one's."""
        p, t = self._arrays(outputs), self._arrays(targets)
        flat_p, flat_t = p.ravel(), t.ravel()
        rmse, mae = metrics.rmse(flat_p, flat_t), metrics.mae(flat_p, flat_t)
        loss = {"mse": rmse**2, "mae": mae}.get(self.kind)
        return {
            "loss": metrics.huber(flat_p, flat_t, self.delta) if loss is None else loss,
            "rmse": rmse,
            "mae": mae,
            "pearson": _mean(metrics.pearson, p, t),
            "spearman": _mean(metrics.spearman, p, t),
        }

    def tables(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, Any]:
        """{}: there are none."""
        return {}

    def baseline(self, train_targets: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """The metrics of always giving the mean of the training targets; correlations are NaN."""
        mean = self._arrays(train_targets).mean(axis=0)
        return self.metrics(torch.from_numpy(np.tile(mean, (len(targets), 1))), targets)

    def constant(self, outputs: torch.Tensor) -> bool:
        """True when several examples all get the same numbers, to 1e-6 of their size."""
        p = self._arrays(outputs)
        spread = p.max(axis=0) - p.min(axis=0)
        return len(p) > 1 and bool((spread <= 1e-6 * np.maximum(np.abs(p).max(axis=0), 1e-12)).all())

    def _arrays(self, values: torch.Tensor) -> Floats:
        return np.asarray(values.detach().cpu().double().numpy(), dtype=np.float64).reshape(-1, self.outputs)


def build(config: Regression, data: Data) -> NumberError:
    """The objective for the numbers of `data`. Raises: StageFailed when its targets are classes."""
    for split in data.splits.values():
        if not split.targets.is_floating_point():
            raise StageFailed("`regression` needs numbers to predict, and the targets of this data are classes")
    return NumberError(config, data.outputs)


def _mean(measure: Callable[[Floats, Floats], float], p: Floats, t: Floats) -> float:
    return float(np.mean([measure(p[:, k], t[:, k]) for k in range(p.shape[1])]))
