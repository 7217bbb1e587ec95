"""Contrastive losses: vectors of unit length, each to be nearer to its positives than to all others.

With z the vectors scaled to length 1, s_ij = z_i . z_j / t for a temperature t, A(i) all vectors but i and P(i) its positives
among them, an anchor i costs (Khosla et al. 2020, the form L_out, whose mean is outside the logarithm)

    l_i = (t / t_base) (log sum_{a in A(i)} exp s_ia - 1/|P(i)| sum_{p in P(i)} s_ip),    0 where P(i) is empty,

and the loss is the mean over all anchors. If all vectors are equal, an anchor with positives costs (t / t_base) log(M - 1), M
being the number of vectors.

Vectors of all processes of a distributed fit are compared with each other, where there is one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import distributed
from torch.nn import functional

from interpreter.errors import StageFailed
from interpreter.spec.components.objectives import Contrast

_ROWS = 256  # anchors compared at a time over a whole split
_EQUAL = 1e-6  # vectors whose cosine with the first is within this of 1 are the same: a thousandth of a radian


def costs(anchors: torch.Tensor, vectors: torch.Tensor, itself: torch.Tensor, alike: torch.Tensor, t: float) -> torch.Tensor:
    """log sum exp s_ia - mean s_ip of each anchor; 0 for one without positives. Differentiable.

    `itself`: the place of each anchor among the vectors. `alike`: whether a vector is of the anchor's class, itself counted too.
    Shape: (A, d), (M, d), (A,), (A, M) -> (A,). Anchors and vectors have unit length.
    """
    own = torch.arange(vectors.shape[0], device=vectors.device) == itself[:, None]
    similar = anchors @ vectors.T / t
    positive = alike & ~own
    count = positive.sum(dim=1)
    alone = count == 0
    # Inside logsumexp the greatest similarity is taken off, that with itself left out: at low temperatures all others vanish
    # beside it. A row without positives keeps itself, since a row of -inf alone would make NaN of the gradient.
    rest = torch.logsumexp(similar.masked_fill(own & ~alone[:, None], -math.inf), dim=1)
    mean = similar.masked_fill(~positive, 0.0).sum(dim=1) / count.clamp(min=1)
    return torch.where(alone, torch.zeros_like(rest), rest - mean)


class Contrastive:
    """A contrastive objective. The stage's head is the projection: `head_settings` say which, and its outputs are the vectors."""

    views = 1
    head_groups = 1
    batchwise = Contrast.batchwise  # outputs of several steps mean nothing together
    evaluated_views = 1  # of an image: where there are fewer, its one view is taken so often

    def __init__(self, config: Contrast, temperature: float) -> None:
        self.head_settings, self.outputs = config.own_head()
        self.temperature = temperature
        self.scale = temperature / config.base_temperature
        self.first_views_only = False

    def groups(self, targets: torch.Tensor, first: int) -> torch.Tensor:
        """What makes views positives of each other: a number for each example, the first of which is example `first` of all.

        Shape: (B,) -> (B,).
        """
        raise NotImplementedError

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss over the anchors of a batch, with a gradient. Shape: (B, V, d) or (B, d), and (B,) -> ().

        Computed in single precision at least. Of several processes each has its own examples, of one number of views: the loss is
        that of all of them together, and the mean of the gradients over processes is its gradient.
        Raises: StageFailed when examples have fewer views than have to be told apart.
        """
        if self.evaluated_views > 1 and outputs.ndim == 2:
            raise StageFailed(f"the loss compares {self.evaluated_views} views of each image, and this data gives one")
        with torch.autocast(outputs.device.type, enabled=False):
            z = outputs if outputs.dtype == torch.float64 else outputs.float()
            z = functional.normalize(z.unsqueeze(1) if z.ndim == 2 else z, dim=-1)
            sizes, mine = _sizes(z)
            before = sum(sizes[:mine])
            every = _gathered(z, sizes, mine)
            groups = _gathered(self.groups(targets, before), sizes, mine)
            views = z.shape[1]
            places = torch.arange(every.shape[0] * views, device=z.device).unflatten(0, (-1, views))
            chosen = 1 if self.first_views_only else views
            itself = places[before : before + len(z), :chosen].flatten()
            alike = groups.repeat_interleave(views)
            same = alike[itself][:, None] == alike
            found = costs(z[:, :chosen].flatten(0, 1), every.flatten(0, 1), itself, same, self.temperature)
            share = self.scale * found.sum() / (sum(sizes) * chosen)
            return share if len(sizes) == 1 else _of_all(share, len(sizes))

    def combined(self, outputs: torch.Tensor) -> torch.Tensor:
        """The outputs as they are: there is one model."""
        return outputs

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """{"loss": ...} over a whole split, every vector compared with all others of the split, in double precision.

        It grows with the logarithm of the number of examples, so it is to be compared with itself and with `baseline`, not with
        the loss of training batches. NaN where no vector has a positive, or one is not finite.
        Shape: (N, d), or (N, V, d) for several views, and (N,).
        """
        z = outputs.detach().cpu().double()
        z = functional.normalize(z.unsqueeze(1) if z.ndim == 2 else z, dim=-1)
        repeated = z.shape[1] < self.evaluated_views
        z = z.expand(-1, self.evaluated_views, -1) if repeated else z
        views = z.shape[1]
        groups = self.groups(targets.cpu(), 0).repeat_interleave(views)
        z = z.flatten(0, 1)
        if not _with_positives(groups).any() or not bool(z.isfinite().all()):
            return {"loss": math.nan}
        first = self.first_views_only or repeated  # of equal views one is enough
        places = torch.arange(0, len(z), views if first else 1)
        total = 0.0
        for at in places.split(_ROWS):
            total += float(costs(z[at], z, at, groups[at][:, None] == groups, self.temperature).sum())
        return {"loss": self.scale * total / len(places)}

    def tables(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, Any]:
        """None."""
        return {}

    def baseline(self, train_targets: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """The loss of a model that gives every image the same vector: (t / t_base) log(M - 1) for each that has positives."""
        groups = self.groups(targets.cpu(), 0).repeat_interleave(self.evaluated_views)
        having = _with_positives(groups)
        if not having.any():
            return {"loss": math.nan}
        return {"loss": self.scale * math.log(len(groups) - 1) * float(having.double().mean())}

    def constant(self, outputs: torch.Tensor) -> bool:
        """True when the vectors of several examples all point the same way: the representation has collapsed."""
        z = functional.normalize(outputs.detach().cpu().double().flatten(0, -2), dim=-1)
        return len(z) > 1 and bool(((z - z[0]).square().sum(dim=-1) < 2 * _EQUAL).all())


def _with_positives(groups: torch.Tensor) -> torch.Tensor:
    """Whether each vector has another one in its group. Shape: (M,) -> (M,)."""
    _, place, count = torch.unique(groups, return_inverse=True, return_counts=True)
    return count[place] > 1


def _sizes(z: torch.Tensor) -> tuple[list[int], int]:
    """The examples of the batch in each process, and which process this is."""
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return [len(z)], 0
    here = torch.tensor([len(z)], device=z.device)
    found = [torch.zeros_like(here) for _ in range(distributed.get_world_size())]
    distributed.all_gather(found, here)
    return [int(n) for n in found], distributed.get_rank()


def _gathered(x: torch.Tensor, sizes: list[int], mine: int) -> torch.Tensor:
    """The rows of all processes, one process after the other. Shape: (B, ...) -> (sum(sizes), ...)."""
    if len(sizes) == 1:
        return x
    found: torch.Tensor = _Gather.apply(x, sizes, mine)
    return found


class _Gather(torch.autograd.Function):
    """Rows of all processes, any number from each. A row's gradient is the sum of what it gets in each process."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, sizes: list[int], mine: int) -> torch.Tensor:  # type: ignore[override]
        ctx.span = (sum(sizes[:mine]), sum(sizes[: mine + 1]))
        padded = x.new_zeros(max(sizes), *x.shape[1:])
        padded[: len(x)] = x
        found = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(found, padded)
        return torch.cat([rows[:n] for rows, n in zip(found, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # type: ignore[override]
        whole = gradient.contiguous().clone()
        distributed.all_reduce(whole)
        return whole[slice(*ctx.span)], None, None


def _of_all(share: torch.Tensor, processes: int) -> torch.Tensor:
    """The sum of all processes' shares as a value; as a gradient that of the own share, so often that the mean is the sum's."""
    total = share.detach().clone()
    distributed.all_reduce(total)
    weighted = share * processes
    return weighted + (total - weighted).detach()
