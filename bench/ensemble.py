"""Prints, as JSON, what a training step of a joint ensemble of four costs: all members at once, against one after the other.

Forward, loss and backward, on one thread, the least of some rounds taken in turns. There is no goal: on a CPU a pass at once is
a grouped convolution, which is not faster than convolutions one by one; what it saves is the cost of many small calls, on a GPU.

    python bench/ensemble.py
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import torch

from interpreter.parts.build import build_model
from interpreter.parts.objectives.classification import CrossEntropy
from interpreter.spec.components.objectives import Classification

MEMBERS, OUTPUTS = 4, 10
RESNET = {"type": "timm", "name": "resnet18", "stem": "cifar", "max_pool": "keep"}
# What it is -> the network, its images, examples in a batch, rounds of steps.
CASES: dict[str, tuple[dict[str, Any], tuple[int, ...], int, int, int]] = {
    "ResNet-18 (cifar stem), 16 px, batch 8": (RESNET, (3, 16, 16), 8, 2, 1),
    "cnn2d of 16 and 32 channels, 8 px, batch 32": ({"type": "cnn2d", "channels": [16, 32]}, (1, 8, 8), 32, 7, 20),
    "mlp of 4 x 32, 8 px, batch 32": ({"type": "mlp", "hidden": [32] * 4, "batch_norm": True}, (1, 8, 8), 32, 7, 50),
}


def step_of(network: dict[str, Any], shape: tuple[int, ...], batch: int, passes: str) -> Callable[[], None]:
    """A training step of four such networks, but for the optimizer's."""
    model = build_model({"type": "ensemble", "of": network, "members": MEMBERS, "passes": passes}, {}, shape, OUTPUTS, 0)
    if model.encoder.at_once != (passes == "vectorized"):
        raise SystemExit(f"{network} does not run {passes}: {model.encoder.why_in_turn}")
    objective = CrossEntropy(Classification(members="sum_of_losses"), OUTPUTS)
    x, y = torch.randn(batch, *shape), torch.arange(batch) % OUTPUTS

    def step() -> None:
        model.zero_grad(set_to_none=True)
        objective.loss(model(x), y).backward()

    return step


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for name, (network, shape, batch, rounds, steps) in CASES.items():
        made = {passes: step_of(network, shape, batch, passes) for passes in ("vectorized", "serial")}
        least = dict.fromkeys(made, float("inf"))
        for number in range(rounds + 1):
            for passes, step in made.items():
                began = time.perf_counter()
                for _ in range(steps if number else 1):
                    step()
                if number:  # the first call of each warms up
                    least[passes] = min(least[passes], (time.perf_counter() - began) / steps)
        rows.append({
            "what": f"a step of 4 members at once: {name}", "ours": least["vectorized"] * 1e3, "unit": "ms", "goal": "",
            "beside": "the members in turn", "theirs": least["serial"] * 1e3,
        })  # fmt: skip
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
