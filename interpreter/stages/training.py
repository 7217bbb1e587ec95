"""What a fit and a probe have in common before the first step: the splits they read, their steps, their luck, what they keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from interpreter.errors import StageFailed
from interpreter.parts import random
from interpreter.parts.contract import Data, Model, Objective
from interpreter.spec.canonical import canonical
from interpreter.stages import checkpoint as checkpoints
from interpreter.stages.batches import steps_of
from interpreter.stages.module import drawing, head_of
from interpreter.stages.work import Event, table_events

RUNNING_LIMIT = 5_000_000  # training outputs kept for an epoch's running metrics: numbers, not bytes
TABLE_LIMIT = 10_000  # cells of a table; larger ones are left to be computed from predictions

Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Streams:
    """Where the luck of a stage comes from: (seed, purpose, what is drawn from), never a place or a name."""

    order: tuple[int, ...]  # one for each of several networks that see examples of their own
    augment: tuple[int, ...]
    evaluate: int  # of splits that are evaluated anew each epoch
    luck: Callable[[int, int], None] | None  # tells an objective that draws the luck of (epoch, step)
    dropout: tuple[int | str, ...]  # parts, to which the epoch is added

    @classmethod
    def of(cls, settings: Settings, seed: int, objective: Objective, orders: int = 1) -> Streams:
        """Those of a stage's settings. Of several networks the first sees the examples that it would see alone."""
        drawn = settings["streams"]
        of = (drawn["data"], drawn["occurrence"])
        each = [(*of, *([member] if member else [])) for member in range(orders)]
        return cls(
            order=tuple(random.derive(seed, "order", *own) for own in each),
            augment=tuple(random.derive(seed, "augment", *own) for own in each),
            evaluate=random.derive(seed, "evaluate", *of),
            luck=drawing(objective, random.derive(seed, "draw", *of)),
            dropout=(seed, "dropout", canonical(settings["model"]), drawn["occurrence"]),
        )


def splits_read(data: Data) -> list[str]:
    """The split that is trained on, and those that are evaluated every epoch, of which val is the first."""
    further = [name for name in data.splits if name not in ("train", "val", "test")]
    return [name for name in ("train", "val", *further) if name in data.splits]


def steps_of_epochs(schedule: Settings, counts: Sequence[int]) -> list[int]:
    """Steps of each epoch, which has so many examples. Raises: StageFailed when one has no whole batch."""
    size = schedule["batch_size"]
    steps = [steps_of(n, size, bool(schedule["drop_last"])) for n in counts]
    if not all(steps):
        raise StageFailed(f"no whole batch of {size} in {min(counts)} training examples")
    return steps


def keeps_outputs(objective: Objective, model: Model, examples: int) -> bool:
    """Whether the outputs of an epoch's training are kept, and metrics made of them: where they are few and mean something."""
    return examples * objective.outputs * model.members <= RUNNING_LIMIT and not objective.batchwise


def small_tables(objective: Objective, outputs: Tensor, targets: Tensor, epoch: int) -> list[Event]:
    """The tables of the outputs for val, large ones left out."""
    tables = objective.tables(outputs, targets)
    return table_events({k: v for k, v in tables.items() if len(v) * len(v[0]) <= TABLE_LIMIT}, epoch, "val")


def head_identity(settings: Settings, objective: Objective, data: Data) -> str:
    """What decides whether the head that is trained may be carried over into another stage."""
    meant = (objective.outputs, data.target_space, objective.head_groups)
    return checkpoints.head_identity(head_of(settings, objective), *meant)
