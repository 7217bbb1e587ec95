"""Batch normalization of fields."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from interpreter.parts.models.equivariant.fields import Field


class FieldNorm(_BatchNorm):
    """Batch normalization that commutes with rotations: a variance and a scale a field, a mean and a bias of its first channel.

    That channel is the one that does not turn. Means and variances are constants in the gradient. There is one number a field
    in each parameter and running statistic, and what is done with other batch normalizations is done with this one.

    Shape: (B, channels of the fields, X, Y, Z) -> the same.
    Source: escnn's IIDBatchNorm3d.
    """

    def __init__(self, fields: Sequence[tuple[Field, int]]) -> None:
        sizes = [field.size for field, n in fields for _ in range(n)]
        super().__init__(len(sizes))
        size = torch.tensor(sizes)
        self.register_buffer("owner", torch.arange(len(sizes)).repeat_interleave(size, output_size=sum(sizes)), persistent=False)
        self.register_buffer("first", size.cumsum(0) - size, persistent=False)
        self.register_buffer("size", size, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The normalized map.

        Raises: ValueError in training on a single number a channel, which has no variance.
        """
        mean, variance = (
            self._batch(x.detach().to(self.running_mean.dtype)) if self.training else (self.running_mean, self.running_var)
        )
        return nn.functional.batch_norm(
            x,
            self._at_first(mean),
            variance[self.owner],
            self.weight[self.owner],
            self._at_first(self.bias),
            False,
            0.0,
            self.eps,
        )

    @torch.no_grad()
    def _batch(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if x.numel() == x.shape[1]:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}")
        variances, means = torch.var_mean(x, dim=(0, 2, 3, 4))
        mean = means[self.first]
        variance = torch.zeros_like(mean).index_add(0, self.owner, variances) / self.size
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)
        return mean, variance

    def _at_first(self, values: torch.Tensor) -> torch.Tensor:
        return values.new_zeros(self.owner.shape).index_copy(0, self.first, values)

    def _check_input_dim(self, x: torch.Tensor) -> None:
        if x.ndim != 5:
            raise ValueError(f"expected maps (B, C, X, Y, Z), got {x.ndim} dimensions")
