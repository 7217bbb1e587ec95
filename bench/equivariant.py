"""The equivariant network beside the same network written with escnn's layers: evaluation, and a step of training.

Both have the same weights and give the same numbers, which is asserted here. One thread, and processor time rather than the
clock's, of the faster of several passes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from run import Line

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from interpreter import catalog
from interpreter.parts.build import build_model
from tests.parts.escnn_twin import Twin, take_weights

CHANNELS = 7  # of the volumes
LARGE = {
    "21 voxels, [2, 4, 7], batch 4": (21, 4, {"channels": [2, 4, 7]}),
    "33 voxels, as published, batch 2": (33, 2, {"channels": [2, 4, 7, 14, 28], "middle": [2, 5, 5, 10]}),
}
# Settings that train in minutes on a laptop.
SMALL = {
    "15 voxels, [1, 2, 4], L = 1, 24 samples": (15, 16, {"channels": [1, 2, 4], "max_frequency": 1, "samples": 24}),
    "21 voxels, [1, 2, 4], L = 1, 48 samples": (21, 16, {"channels": [1, 2, 4], "max_frequency": 1, "samples": 48}),
    "21 voxels, [2, 4, 8], L = 1, 24 samples": (21, 16, {"channels": [2, 4, 8], "max_frequency": 1, "samples": 24}),
    "15 voxels, [1, 2, 4], L = 2, 72 samples": (15, 16, {"channels": [1, 2, 4], "samples": 72}),
}


def cost_ms(run: Callable[[], object], passes: int = 5) -> float:
    run()
    times = []
    for _ in range(passes):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def step(network: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    def run() -> None:
        network.zero_grad(set_to_none=True)
        network.train()(x).square().mean().backward()

    return run


def evaluation(network: torch.nn.Module, x: torch.Tensor) -> Callable[[], torch.Tensor]:
    return torch.no_grad()(lambda: network.eval()(x))


def main() -> None:
    torch.set_num_threads(1)
    lines = []
    for name, (side, batch, chosen) in (LARGE | SMALL).items():
        settings = {"type": "equivariant_resnet", "pool_grid": "corner", **chosen}
        ours = build_model(settings, {}, (CHANNELS, side, side, side), 1, 0).encoder
        x = torch.randn(batch, CHANNELS, side, side, side, generator=torch.Generator().manual_seed(0))
        beside = None
        if name in LARGE:
            beside = Twin(catalog.typed("model", settings), CHANNELS)
            take_weights(beside, ours)
            torch.testing.assert_close(evaluation(ours, x)(), evaluation(beside, x)(), rtol=1e-3, atol=1e-4)
        for what, work in (("evaluation", evaluation), ("training step", step)):
            per = 1 if name in LARGE else batch
            unit = "ms" if name in LARGE else "ms an image"
            theirs = cost_ms(work(beside, x), 3) / per if beside is not None else None
            goal = "below half of it" if beside is not None else ""
            label = "escnn's layers" if beside is not None else ""
            lines.append(Line(f"equivariant, {name}: {what}", cost_ms(work(ours, x)) / per, unit, goal, label, theirs))
    print(json.dumps([asdict(line) for line in lines]))


if __name__ == "__main__":
    main()
