"""Many heads trained at once on features of their own: the same examples, in the same order, with the same luck.

The heads of a probe begin with equal weights and have equal shapes. A stack of them is one tensor (S, ...) for each of a head's
parameters, and one step of one optimizer, whose arithmetic goes number by number, is then a step of each. Norms of gradients are
taken head by head. Dropout draws one mask for all, the one that a head alone would draw. So each head comes out as if it had been
trained alone, but for the order in which sums are added up.

Where that is not so - an optimizer that looks at a whole tensor, a rate that follows a head's own metric, a head that is no plain
sequence - heads take their steps in turn, each with the same random numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from interpreter.parts.contract import Model, Objective
from interpreter.parts.models.groups import groups
from interpreter.parts.optim import optimizers
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.stages import Thaw
from interpreter.spec.thawing import PhaseOf, phases_of
from interpreter.stages.rates import Rates

PREFIX = "head."
_LAYERS = (nn.Linear, nn.ReLU, nn.Dropout)
_AT_ONCE = 4096  # examples of an evaluation
State = dict[str, Tensor]


def why_in_turn(head: nn.Module, schedule: Schedule, features_ndim: int) -> str:
    """Why heads can't be trained all at once, in words; "" when they can. `features_ndim`: axes of one example's features."""
    if not isinstance(head, nn.Sequential) or not all(isinstance(layer, _LAYERS) for layer in head) or features_ndim != 1:
        return "the head is more than layers on one vector of features"
    if schedule.optimizer.type == "adafactor":
        return "adafactor looks at a weight matrix as a whole"
    if schedule.lr_schedule.type == "plateau":
        return "the learning rate of each head follows its own metric"
    return ""


def separable(objective: Objective, targets: Tensor) -> bool:
    """Whether the loss of several heads' outputs, one below the other, is the mean of the heads' losses: tried on numbers.

    Shape: targets (N, ...), those of a few examples.
    """
    if objective.batchwise or hasattr(objective, "begin_step") or objective.head_groups != 1 or len(targets) < 2:
        return False
    outputs = torch.randn(3, len(targets), objective.outputs, generator=torch.Generator().manual_seed(0), requires_grad=True)
    together = objective.loss(outputs.flatten(0, 1), _repeated(targets, 3))
    apart = torch.stack([objective.loss(one, targets) for one in outputs]).mean()
    gradients = [torch.autograd.grad(loss, outputs)[0] for loss in (together, apart)]
    return torch.allclose(together, apart, rtol=1e-5) and torch.allclose(*gradients, rtol=1e-4, atol=1e-7)


def phases_of_head(model: Model) -> tuple[PhaseOf, ...]:
    """The one phase in which the head of `model` trains and nothing else."""
    parameters = [(name, tuple(p.shape), p.requires_grad) for name, p in model.named_parameters()]
    return phases_of(Thaw(by="frozen"), groups(model), parameters)


class Stack:
    """Heads that take their steps together, `count` of them; of a single one also those that can't be stacked."""

    def __init__(
        self, model: Model, objective: Objective, settings: Mapping[str, Any], steps: Sequence[int], count: int, *,
        device: torch.device, stacked: bool, separable: bool,
    ) -> None:  # fmt: skip
        schedule = Schedule.model_validate(dict(settings))
        self.count, self.stacked = count, stacked
        self._objective, self.separable, self._device = objective, separable, device
        self._clip, self._parts = schedule.clip, schedule.accumulate
        self._head = copy.deepcopy(model.head).to(device)
        self._drops = any(isinstance(layer, nn.Dropout) for layer in self._head.modules())
        named = dict(self._head.named_parameters())
        if stacked:
            named = {name: nn.Parameter(torch.stack([p.detach()] * count)) for name, p in named.items()}
        self.parameters: dict[str, nn.Parameter] = named
        phases = phases_of_head(model)
        names = {id(p): name.removeprefix(PREFIX) for name, p in model.named_parameters() if name.startswith(PREFIX)}
        made = optimizers.groups(model, schedule, phases)
        made = [{**group, "params": [named[names[id(p)]] for p in group["params"]]} for group in made]
        self.optimizer = optimizers.of_groups(schedule, made, phases)
        self.rates = Rates(settings, phases, steps)
        self.rates.bind(self.optimizer)
        self._luck: Tensor | None = None

    def outputs(self, features: Tensor) -> Tensor:
        """Outputs without dropout. Shape: (S, N, ...) -> (S, N, outputs)."""
        self._head.eval()
        with torch.no_grad():
            return torch.cat([self._forward(some) for some in features.split(_AT_ONCE, dim=1)], dim=1)

    def begin_epoch(self, seed: int) -> None:
        """Draw dropout from `seed` on."""
        if self._drops:
            torch.manual_seed(seed)
            self._luck = _generator_state(self._device)

    def step(self, features: Tensor, targets: Tensor, number: int, *, each: bool) -> tuple[Tensor, Tensor | None]:
        """Train on a batch, step `number` of the probe; returns outputs, and each head's loss if asked for or not separable.

        Shape: (S, B, ...), (B, ...) -> (S, B, outputs), (S,).
        """
        self._head.train()
        self.rates.set(number)
        self.optimizer.zero_grad(set_to_none=True)
        made, losses = [], []
        if self._luck is not None:  # another stack has drawn since the last step
            _set_generator_state(self._device, self._luck)
        for some, y in zip(features.tensor_split(self._parts, dim=1), targets.tensor_split(self._parts), strict=True):
            if len(y):  # the last batch of an epoch may have fewer examples than parts
                outputs = self._forward(some)
                loss, apart = self._loss(outputs, y, each)
                (loss * (len(y) / len(targets))).backward()  # type: ignore[no-untyped-call]
                made.append(outputs.detach())
                losses += [] if apart is None else [apart * (len(y) / len(targets))]
        if self._luck is not None:
            self._luck = _generator_state(self._device)
        if self._clip is not None:
            self._clipped()
        self.optimizer.step()
        return torch.cat(made, dim=1), torch.stack(losses).sum(0) if losses else None

    def head(self, place: int) -> State:
        """Parameters of one head, copied, by their names in a model: "head.0.weight"."""
        return {PREFIX + name: (p[place] if self.stacked else p).detach().cpu().clone() for name, p in self.parameters.items()}

    def with_heads(self, heads: Sequence[State], features: Tensor) -> Tensor:
        """Outputs of other weights than the own ones. Shape: (S, N, ...) -> (S, N, outputs)."""
        own = [self.head(place) for place in range(self.count)]
        self.put(heads)
        try:
            return self.outputs(features)
        finally:
            self.put(own)

    def put(self, heads: Sequence[State]) -> None:
        """Give each head these weights."""
        with torch.no_grad():
            for name, p in self.parameters.items():
                values = [head[PREFIX + name] for head in heads]
                p.copy_(torch.stack(values) if self.stacked else values[0])

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        heads = [self.head(place) for place in range(self.count)]
        return {"heads": heads, "optimizer": self.optimizer.state_dict(), "rate": self.rates.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self.put(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rates.load(state["rate"])
        self.rates.bind(self.optimizer)

    def _forward(self, x: Tensor) -> Tensor:
        """Shape: (S, B, ...) -> (S, B, outputs)."""
        if not self.stacked:
            outputs: Tensor = self._head(x[0])
            return outputs[None]
        assert isinstance(self._head, nn.Sequential)
        for place, layer in enumerate(self._head):
            if isinstance(layer, nn.Linear):
                weight, bias = self.parameters[f"{place}.weight"], self.parameters[f"{place}.bias"]
                x = torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))
            elif isinstance(layer, nn.ReLU):
                x = functional.relu(x)
            elif layer.training:
                assert isinstance(layer, nn.Dropout)
                x = x * functional.dropout(x.new_ones(x.shape[1:]), layer.p)  # drawn as for one head
        return x

    def _loss(self, outputs: Tensor, targets: Tensor, each: bool) -> tuple[Tensor, Tensor | None]:
        """The sum of the heads' losses, and each, detached, where they were taken one by one."""
        if self.separable and not each:
            return self._objective.loss(outputs.flatten(0, 1), _repeated(targets, self.count)) * self.count, None
        losses = torch.stack([self._objective.loss(one, targets) for one in outputs])
        return losses.sum(), losses.detach()

    def _clipped(self) -> None:
        gradients = [p.grad if self.stacked else p.grad[None] for p in self.parameters.values() if p.grad is not None]
        norm = getattr(self._clip, "norm", None)
        if norm is None:
            for gradient in gradients:
                gradient.clamp_(-self._clip.value, self._clip.value)  # type: ignore[union-attr]
            return
        squares = torch.stack([gradient.flatten(1).square().sum(dim=1) for gradient in gradients]).sum(dim=0)
        shrink = (norm / (squares.sqrt() + 1e-6)).clamp(max=1.0)  # as torch's own clipping
        for gradient in gradients:
            gradient.mul_(shrink.view(-1, *[1] * (gradient.ndim - 1)))


def _generator_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_generator_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _repeated(targets: Tensor, times: int) -> Tensor:
    return targets.repeat(times, *[1] * (targets.ndim - 1))
