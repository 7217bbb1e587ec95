"""Twelve small trials (3 arms x 4 seeds, 5 epochs) from the shell prompt to the report, beside what people write by hand.

By hand: one process, one loop over the trials, nothing recorded. A process per trial: 3 of the 12 are timed, and the
time is multiplied by 4.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ARMS = {"narrow": [16, 32], "wide": [32, 64], "deep": [16, 32, 32]}
SEEDS, EPOCHS, BATCH = 4, 5, 32

PAGE = f"""\
expt: 1
date: 2026-01-01
datasets: {{digits: {{type: digits}}}}
models:
  narrow: {{type: cnn2d, channels: {ARMS["narrow"]}, pool: [1, 2]}}
  wide: {{type: cnn2d, channels: {ARMS["wide"]}, pool: [1, 2]}}
  deep: {{type: cnn2d, channels: {ARMS["deep"]}, pool: [1, 2, 1]}}
schedules: {{s: {{epochs: {EPOCHS}, batch_size: {BATCH}, optimizer: {{type: adam, lr: 1e-3}}}}}}
entries:
  sweep:
    stages: {{fit: {{fit: classification, data: digits, model: narrow, schedule: s}}}}
    arms:
      narrow: {{chain: [fit], baseline: true}}
      wide: {{chain: [fit], set: {{stages.fit.model: wide}}}}
      deep: {{chain: [fit], set: {{stages.fit.model: deep}}}}
    seeds: {SEEDS}
    measures: {{acc: {{metric: val/accuracy, read: best}}}}
    expect: {{wider: {{claim: wide > narrow, on: acc, margin: 0}}}}
"""

BY_HAND = """
import sys, torch
from sklearn.datasets import load_digits
from torch import nn
ARMS, SEEDS, EPOCHS, BATCH, ONLY = %r
x, y = load_digits(return_X_y=True)
x = (torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16 - 0.3054) / 0.3755
y = torch.tensor(y)
train, val = slice(0, 1149), slice(1149, 1437)
def net(channels):
    layers, before = [], 1
    for i, c in enumerate(channels):
        layers += [nn.Conv2d(before, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if i == 1 else []
        before = c
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))
for channels in list(ARMS.values())[:ONLY]:
    for seed in range(SEEDS if ONLY > 1 else 1):
        torch.manual_seed(seed)
        model = net(channels)
        opt = torch.optim.Adam(model.parameters(), 1e-3)
        for epoch in range(EPOCHS):
            model.train()
            for index in torch.randperm(1149).split(BATCH):
                opt.zero_grad()
                nn.functional.cross_entropy(model(x[train][index]), y[train][index]).backward()
                opt.step()
            model.eval()
            with torch.no_grad():
                accuracy = (model(x[val]).argmax(1) == y[val]).float().mean().item()
"""


def by_hand(only: int = 3) -> float:
    code = BY_HAND % ((ARMS, SEEDS, EPOCHS, BATCH, only),)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def ours() -> float:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "specs").mkdir()
        (Path(name) / "specs" / "2026-01-01.yaml").write_text(PAGE)
        start = time.perf_counter()
        command = [sys.executable, "-m", "interpreter.cli.main", "run", "2026-01-01", "--quiet"]
        subprocess.run(command, cwd=name, check=True)
        return time.perf_counter() - start


def main() -> None:
    ours(), by_hand()  # warm the disk cache
    mine, hand = [], []
    for _ in range(3):
        mine.append(ours())
        hand.append(by_hand())
    each = statistics.median(by_hand(only=1) for _ in range(3)) * len(ARMS) * SEEDS
    row = {"what": "12 trials, 5 epochs, shell to report", "ours": statistics.median(mine), "unit": "s", "goal": "< 16"}
    print(
        json.dumps(
            [
                {**row, "beside": "one loop by hand, nothing recorded", "theirs": statistics.median(hand)},
                {**row, "beside": "a process per trial (3 timed, x 4)", "theirs": each},
            ]
        )
    )


if __name__ == "__main__":
    main()
