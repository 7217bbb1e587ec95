"""The phases of a fit: what trains now, when that ends, and what begins then.

A phase is judged after each of its epochs, so it trains at least one, also when its `until_epoch` is already past. It ends by
the first of its ends that holds; when several hold at once it is told by the first of max_epochs, until_epoch, patience. The
last phase lasts as long as the fit: there, early stopping of the schedule alone ends a fit early, and only there.

Improvement is counted from the phase's own best, or with `best: global` from the best of the fit so far. Only more than
`min_delta` is an improvement: a tie is none, nor is NaN. The epoch to go back to, for `restore_best`, is the best one outright
(of equal ones the earliest), of the phase or of the fit likewise.

Between two phases, in this order: the ended phase is told; with `restore_best` weights, buffers, optimizer state and averages
are read from the checkpoint file of the best epoch; the next phase's parameters are thawed, all others frozen; its clock starts.
All of it happens before the first epoch of the new phase, from what the checkpoint of the epoch before holds. So a fit that goes
on from that checkpoint does the same.

A frozen parameter has `requires_grad` False and no gradient: every optimizer of torch passes it by, with its decay and momentum.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from interpreter.errors import StageFailed
from interpreter.parts.contract import Model
from interpreter.parts.models.groups import groups
from interpreter.spec.members import alone
from interpreter.spec.stages import Thaw
from interpreter.spec.thawing import PhaseOf, phases_of
from interpreter.stages.judging import better, value_of
from interpreter.stages.rates import Planned


@dataclass
class Clock:
    """How far a phase has come. All of it is in each checkpoint."""

    phase: int = 0
    began: int = 0  # the epoch it began with, from 0
    epochs: int = 0  # epochs trained in it
    best: dict[str, Any] | None = None  # value, epoch: by the thaw's monitor, of the phase or of the fit
    mark: float | None = None  # the value an improvement is counted from
    wait: int = 0  # epochs since the last improvement


class Thawing:
    """The phases of one fit over one model. A fit without a `thaw` is one phase, in which everything trains."""

    def __init__(self, settings: Mapping[str, Any] | None, model: Model) -> None:
        self.given = settings is not None
        self.thaw = Thaw() if settings is None else Thaw.model_validate(dict(settings))
        self._named = dict(model.named_parameters())
        parameters = [(name, tuple(p.shape), p.requires_grad) for name, p in self._named.items()]
        self.phases = phases_of(self.thaw, groups(model), parameters)
        self.clock = Clock()
        # Without a thaw nothing is frozen but what the model freezes itself, and how it normalizes then is its own affair.
        self._norms = [] if settings is None else _normalizations(model)

    @property
    def phase(self) -> PhaseOf:
        """The phase at hand."""
        return self.phases[self.clock.phase]

    @property
    def ever(self) -> frozenset[str]:
        """Names of the parameters that train in some phase."""
        return frozenset(name for phase in self.phases for name in phase.parameters)

    @property
    def last(self) -> bool:
        """True in the last phase."""
        return self.clock.phase == len(self.phases) - 1

    @property
    def monitored(self) -> str:
        """The metric that some phase can't do without, "" when there is none."""
        return self.thaw.monitor if self.thaw.restore_best or any(p.patience for p in self.phases) else ""

    @property
    def needs(self) -> list[int]:
        """Epochs whose checkpoints have to stay, since the next phase may begin with them."""
        return [self.clock.best["epoch"]] if self.thaw.restore_best and not self.last and self.clock.best else []

    def trainable(self) -> list[str]:
        """Names of the parameters that train now, in the order of the network."""
        return [name for name, p in self._named.items() if p.requires_grad]

    def event(self, why: str, rate: Planned | None) -> dict[str, Any]:
        """What there is to say of the phase at hand when it begins; `rate`: what is planned for what it thaws first."""
        phase, began = self.phase, self.clock.began
        trained = [p for p in self._named.values() if p.requires_grad]
        said = {"kind": "phase", "epoch": began, "phase": phase.index, "trainable": self.blocks(), "why": why}
        said |= {"tensors": len(trained), "parameters": sum(p.numel() for p in trained)}
        highest = None if rate is None else rate.highest
        return said | {"groups": list(phase.groups), "rate": highest, "began": began} if self.given else said

    def blocks(self) -> list[str]:
        """What trains now in brief: direct parts of the encoder, and the head."""
        names = (alone(name).split(".") for name in self.trainable())
        return list(dict.fromkeys(".".join(n[:2]) if n[0] == "encoder" else n[0] for n in names))

    def freeze_all_but(self, names: Collection[str]) -> None:
        """Let exactly the parameters `names` train; the others lose their gradients. Normalizations follow the policy."""
        wanted = set(names)
        for name, p in self._named.items():
            p.requires_grad_(name in wanted)
            if name not in wanted:
                p.grad = None
        for module, deciding in self._norms:
            # Without tracking, training normalizes by the batch and leaves the running statistics alone; evaluation uses them.
            module.track_running_stats = self.thaw.norm != "batch" or any(p.requires_grad for p in deciding)

    def held(self, model: nn.Module) -> dict[str, Tensor]:
        """What must not change now, by name: frozen parameters, and statistics of frozen normalizations but under `track`."""
        frozen = {name: p.detach() for name, p in self._named.items() if not p.requires_grad}
        still = {id(module) for module, deciding in self._norms if not any(p.requires_grad for p in deciding)}
        for name, module in model.named_modules() if self.thaw.norm != "track" else ():
            if id(module) in still:
                frozen |= {f"{name}.{key}": buffer for key, buffer in module.named_buffers(recurse=False)}
        return frozen

    def train(self, unit: nn.Module) -> None:
        """Training mode, but for the frozen normalizations that the policy `eval` keeps at their running statistics."""
        unit.train()
        if self.thaw.norm == "eval":
            for module, deciding in self._norms:
                if not any(p.requires_grad for p in deciding):
                    module.training = False  # not eval(): what the module holds besides (activation, dropout) trains on

    def observe(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Count the finished `epoch`. Raises: StageFailed when the monitored metric is needed and there is none."""
        clock, monitor = self.clock, self.thaw.monitor
        clock.epochs += 1
        if self.last:
            return
        value = value_of(metrics, monitor) if self.monitored else metrics.get(monitor, math.nan)
        if math.isfinite(value) and (clock.best is None or better(monitor, value, clock.best["value"])):
            clock.best = {"value": value, "epoch": epoch}
        if math.isfinite(value) and (clock.mark is None or better(monitor, value, clock.mark, self.thaw.min_delta)):
            clock.mark, clock.wait = value, 0
        else:
            clock.wait += 1

    def due(self) -> str:
        """Why the phase ends now, "" when it goes on."""
        phase, clock = self.phase, self.clock
        if self.last or not clock.epochs:
            return ""
        if phase.max_epochs is not None and clock.epochs >= phase.max_epochs:
            return "max_epochs"
        if phase.until_epoch is not None and clock.began + clock.epochs >= phase.until_epoch:
            return "until_epoch"
        return "patience" if phase.patience is not None and clock.wait >= phase.patience else ""

    def ended_at_once(self) -> bool:
        """True when patience, at its end, has seen no improvement after what the phase had to count from."""
        first = self.phase.own_best and self.clock.mark is not None  # its own first epoch counts as its best
        return self.clock.epochs == (self.phase.patience or 0) + first

    def advance(self) -> Clock:
        """Begin the next phase; returns the clock of the one that ended."""
        ended = self.clock
        self.clock = Clock(ended.phase + 1, ended.began + ended.epochs)
        if self.thaw.best == "global":
            self.clock.best, self.clock.mark = ended.best, ended.mark
        self.freeze_all_but(self.phase.parameters)
        return ended

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        clock = asdict(self.clock)
        return {"phase": clock.pop("phase"), "phase_clock": clock, "trainable": self.trainable(), "needs": self.needs}

    def load(self, checkpoint: Mapping[str, Any]) -> None:
        """Go on as the checkpoint says: its phase, its clock and its trainable parameters, not what is derived anew.

        Raises: StageFailed when it names phases or parameters that there are none of.
        """
        if not isinstance(checkpoint["phase_clock"], Mapping):
            return  # of an earlier release, which had no phases
        self.clock = Clock(checkpoint["phase"], **checkpoint["phase_clock"])
        unknown = set(checkpoint["trainable"]) - self._named.keys()
        if unknown or self.clock.phase >= len(self.phases):
            raise StageFailed("the checkpoint is of another schedule of phases, or of another model")
        self.freeze_all_but(checkpoint["trainable"])


def _normalizations(model: nn.Module) -> list[tuple[_BatchNorm, list[nn.Parameter]]]:
    """Batch normalizations with running statistics, each with the parameters that decide whether it is frozen.

    They are its own; for one without any, those of the module before it. (Layer and group normalization keep no statistics.)
    """
    found: list[tuple[_BatchNorm, list[nn.Parameter]]] = []
    deciding: list[nn.Parameter] = []
    for module in model.modules():
        deciding = list(module.parameters(recurse=False)) or deciding
        if isinstance(module, _BatchNorm) and module.running_mean is not None and deciding:
            found.append((module, deciding))
    return found
