"""Plans with sweeps made by hand: each point is an arm of its own, with its factors."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from interpreter.plan.types import ArmPlan, Plan
from tests.plans import make_plan

EPOCHS = 12


def sweep_plan(
    factors: Mapping[str, Sequence[str]], *, base: str = "thaw", labels: Sequence[str] = (), seeds: int = 3, **fields: Any
) -> Plan:  # fmt: skip
    """An arm `naive`, and the points of `base`: the product of `factors`, or one for each of `labels`."""
    points: dict[str, dict[str, str]] = {f"{base}[{label}]": {} for label in labels}
    for values in itertools.product(*factors.values()) if factors else ():
        levels = dict(zip(factors, values, strict=True))
        points[f"{base}[{','.join(f'{k}={v}' for k, v in levels.items())}]"] = levels
    names = ["naive", *points]
    made = make_plan(
        {name: ["lba"] for name in names},
        seeds=seeds,
        epochs=EPOCHS,
        set_={n: {"point": i} for i, n in enumerate(names)},
        **fields,
    )
    (entry,) = made.entries
    arms = tuple(_point(arm, base, points.get(arm.name)) for arm in entry.arms)
    return dataclasses.replace(made, entries=(dataclasses.replace(entry, arms=arms),))


def _point(arm: ArmPlan, base: str, levels: Mapping[str, str] | None) -> ArmPlan:
    return arm if levels is None else dataclasses.replace(arm, base=base, factors=levels)


def history(arm: str, seed: int, stage: str) -> dict[str, list[float]]:
    """Metrics by epoch, the same on every call: the numbers in an arm's name say how good it becomes."""
    del stage
    values = [float(text) for text in re.findall(r"[0-9]+(?:\.[0-9]+)?", arm)]
    top = 0.80 + 0.15 * (sum(np.log1p(values)) % 1.0 if values else 0.4)
    noise = np.random.default_rng([seed, len(arm), round(1000 * top)]).normal(0, 0.004, (2, EPOCHS))
    rise = 1 - np.exp(-np.arange(1, EPOCHS + 1) / (2 + 3 * top))
    return {"val/accuracy": list(top * rise + noise[0]), "val/loss": list(2.3 - 2 * top * rise + noise[1])}
