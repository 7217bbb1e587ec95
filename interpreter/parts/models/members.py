"""Several networks of one kind side by side. Each has parameters of its own; a pass goes through all, at once or in turn.

At once means: the parameters of the members are stacked, a tensor of (M, ...) for each, and one network is called under
`torch.vmap` with all of them. The stack is made anew in each pass, with a gradient, so what is trained, saved and loaded are the
members' own parameters. Buffers are stacked likewise and, in training, written back: running statistics of batch normalization
are then as if each member had been called once. Dropout is drawn for each member by itself.

Under autocast members run in turn: it does not reach into vmap (seen with torch 2.14), and the precision would be another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from interpreter.parts.models.branches import Branches
from interpreter.spec.members import member_name

Places = dict[str, tuple[nn.Module, str]]  # a tensor's name -> the module that has it, and what it is called there
_BATCH = 2  # examples in the trial pass: batch normalization wants more than one


class Members(nn.Module):
    """Networks of one kind, called with the same batch or with a batch each.

    Shape: (B, ...) -> (B, M, ...) where all see the same; (B, M, ...) -> (B, M, ...) where x[:, m] is for member m. The first has
    `dims` dimensions.
    """

    def __init__(self, networks: Sequence[nn.Module], dims: int) -> None:
        super().__init__()
        for number, network in enumerate(networks):
            self.add_module(member_name(number), network)
        self.dims = dims
        self.at_once = False
        self.why_in_turn = ""  # why the members run in turn though they were asked to run at once
        self._norms = [module for module in networks[0].modules() if isinstance(module, _BatchNorm)]
        # Looked up once: walking all modules in each pass would cost as much as the pass of a small network.
        self._parameter_places = [_places(network, "_parameters") for network in networks]
        self._buffer_places = [_places(network, "_buffers") for network in networks]

    @property
    def networks(self) -> list[nn.Module]:
        """The members. One network may be there several times."""
        return [network for network in self._modules.values() if network is not None]

    def run_at_once(self, shape: Sequence[int]) -> None:
        """Run all members at once from now on, if that is possible for examples of `shape`; otherwise `why_in_turn` says why not.

        It is tried on blank examples, which changes neither parameters nor buffers. On the meta device, where models are only
        looked at, nothing is tried and nothing changes.
        """
        if any(p.is_meta for p in self.parameters()):
            return
        try:
            self._stacked(torch.zeros(_BATCH, *shape))
        except Exception as error:  # whatever a network, ours or a library's, does that can't be done for all at once
            self.why_in_turn = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        else:
            self.at_once = True

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of all members, side by side."""
        if not self.at_once or self._counts_batches() or torch.is_autocast_enabled(x.device.type):
            of = x.unbind(1) if x.ndim > self.dims else [x] * len(self._modules)
            return torch.stack([network(own) for network, own in zip(self.networks, of, strict=True)], dim=1)
        made, buffers = self._stacked(x)
        if self.training:
            self._write_back(buffers)
        return made

    def _counts_batches(self) -> bool:
        """Whether a running mean is over all batches so far: its weight is then read off a counter, which vmap can't do."""
        return any(norm.momentum is None and norm.training for norm in self._norms)

    def _stacked(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The outputs of one pass through all members at once, and the stacked buffers as the pass left them."""
        first = self.networks[0]
        parameters = _stack(self._parameter_places)
        with torch.no_grad():
            buffers = _stack(self._buffer_places)

        def one(state: Mapping[str, Tensor], own: Tensor) -> Tensor:
            made: Tensor = functional_call(first, dict(state), (own,))
            return made

        of = 1 if x.ndim > self.dims else None
        made = torch.vmap(one, in_dims=(0, of), out_dims=1, randomness="different")({**parameters, **buffers}, x)
        return made, buffers

    def _write_back(self, buffers: Mapping[str, Tensor]) -> None:
        own = [getattr(*place) for places in self._buffer_places for place in places.values()]
        new = [buffers[name][number] for number, places in enumerate(self._buffer_places) for name in places]
        if own:
            with torch.no_grad():
                torch._foreach_copy_(own, new)


class Groups(Members):
    """Networks of one kind that each see an equal part of the features: the first d / G, the next d / G, and so on.

    Shape: (B, d) -> (B, G, ...).
    """

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of all groups, side by side."""
        return super().forward(x.unflatten(1, (len(self._modules), -1)))


def first_member(module: nn.Module) -> nn.Module:
    """The first of several networks; any other module is itself."""
    return module.networks[0] if isinstance(module, (Members, Branches)) else module


def _places(network: nn.Module, kind: str) -> Places:
    """Where the parameters or the buffers of a network are, by name; one that several parts share is told once, as torch does.

    Tensors themselves aren't held: moving a model to a device replaces its buffers.
    """
    found: Places = {}
    seen: set[int] = set()
    for prefix, module in network.named_modules():
        for key, tensor in getattr(module, kind).items():
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                found[f"{prefix}.{key}" if prefix else key] = (module, key)
    return found


def _stack(members: Sequence[Places]) -> dict[str, Tensor]:
    return {name: torch.stack([getattr(*places[name]) for places in members]) for name in members[0]}
