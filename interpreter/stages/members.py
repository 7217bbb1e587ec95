"""What a joint fit of several networks has to say against itself: each of these was once a bug that trained on unnoticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from interpreter.parts.contract import Model
from interpreter.parts.models.members import Members
from interpreter.stages.findings import few
from interpreter.stages.work import Event, finding, finding_at_end


def of_start(model: Model, settings: Mapping[str, Any], precision: str) -> list[Event]:
    """Findings on the members as they begin, where `model` has several networks of one kind; `settings` are the model's."""
    encoder, head = model.encoder, model.head
    if not isinstance(encoder, Members) or not isinstance(head, Members):
        return []
    networks = [nn.ModuleDict({"encoder": e, "head": h}) for e, h in zip(encoder.networks, head.networks, strict=True)]
    said = _sharing(networks, settings)
    if not said and settings.get("init") != "shared":
        said = _equal(networks)
    why = "mixed precision does not reach into such a pass" if encoder.at_once and precision != "32" else encoder.why_in_turn
    if why:
        said.append(finding(0, "members-in-turn", f"members can't be run at once, and run in turn: {why}", "note"))
    return said


def _sharing(networks: Sequence[nn.Module], settings: Mapping[str, Any]) -> list[Event]:
    """A finding when two members hold the same tensor or the same memory, or there are fewer numbers than there should be."""
    held = [{p.untyped_storage().data_ptr() for p in network.parameters()} for network in networks]
    shared = [(a, b) for a, b in combinations(range(len(networks)), 2) if held[a] & held[b]]
    unique = {id(p): p.numel() for network in networks for p in network.parameters()}
    single = sum(p.numel() for p in networks[0].parameters())
    found, expected = sum(unique.values()), single * len(networks)
    if not shared and found == expected:
        return []
    counts = f"{found:,} parameters, where {len(networks)} networks of {single:,} have {expected:,}"
    if not shared:
        return [finding(0, "members-share-weights", f"the members have {counts}", "error")]
    who = sorted({member for pair in shared for member in pair})
    why = " (`share: all`): one network seen several times, and no ensemble" if settings.get("share") == "all" else ""
    text = f"members {', '.join(map(str, who))} hold the same weights{why}; {counts}"
    return [finding(0, "members-share-weights", text, "error")]


def _equal(networks: Sequence[nn.Module]) -> list[Event]:
    """A finding when a matrix or a kernel of two members begins with the same numbers; what begins constant is left out."""
    named = [{name: p.detach() for name, p in network.named_parameters() if p.ndim > 1} for network in networks]
    drawn = [name for name, p in named[0].items() if p.numel() > 1 and bool((p != p.flatten()[0]).any())]
    equal = [
        name for name in drawn if any(torch.equal(named[a][name], named[b][name]) for a, b in combinations(range(len(named)), 2))
    ]
    if not equal:
        return []
    return [finding(0, "members-begin-equal", f"some members begin with the same numbers in {few(equal)}")]


def passes_of(examples: int, schedule: Mapping[str, Any]) -> int:
    """How often a fit calls its model to train on so many examples: once a step, or once for each part of a batch."""
    full, rest = divmod(examples, schedule["batch_size"])
    parts: int = schedule.get("accumulate", 1)
    return full * parts + min(parts, rest)


class NormCounts:
    """How often batch normalization was updated in an epoch, where a model has several networks."""

    def __init__(self, model: Model) -> None:
        networks = isinstance(model.encoder, Members)
        norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.num_batches_tracked is not None]
        self._norms: list[_BatchNorm] = norms if networks else []
        self._before = self._counts()

    def _counts(self) -> list[Tensor]:
        return [norm.num_batches_tracked.detach().cpu().clone() for norm in self._norms if norm.num_batches_tracked is not None]

    def since(self, epoch: int, passes: int) -> list[Event]:
        """A finding when any was updated more or less often than there were `passes`; a frozen one is not updated at all."""
        found = {int(now - before) for before, now in zip(self._before, self._counts(), strict=True)} - {0, passes}
        if not found:
            return []
        count = max(found)
        text = f"batch normalization was updated {count} times in the {passes} passes of an epoch"
        momenta = {norm.momentum for norm in self._norms}
        if count % passes == 0 and len(momenta) == 1 and (momentum := momenta.pop()) is not None:
            times = count // passes
            text += (
                f", {times} times in each: its running statistics follow the last batches as with a momentum of"
                f" {1 - (1 - momentum) ** times:.3g}, not {momentum:g}"
            )
        return [finding(epoch, "norm-updates", text)]


def of_end(epochs: Sequence[Mapping[str, Any]], end: int) -> list[Event]:
    """A finding when members of a finished fit agree on every example; `epochs` are its epoch events, in order."""
    last = epochs[-1]["metrics"] if epochs else {}
    agreeing = [name.partition("/")[0] for name, value in last.items() if name.endswith("/disagreement") and value == 0]
    if not agreeing:
        return []
    text = f"all members predict the same class for every example of {', '.join(agreeing)} after {end} epochs"
    return [finding_at_end(end, "members-never-disagree", text)]
