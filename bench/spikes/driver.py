"""What should drive training: the stock Lightning Trainer, or Lightning Fabric under a small loop of ours?

`python bench/spikes/driver.py --out results.json` times a step under each driver, and the imports. It trains a small network
on digits, kills real processes with SIGKILL, resumes them in fresh ones, and compares what comes out, bit for bit, with a
run that was never killed. The findings are in docs/decisions/0001-what-drives-training.md.

Drivers: `hand` a bare loop (times only); `trainer` the Trainer as its manual shows it; `trainer-derived` that, but with
randomness derived from (seed, purpose, epoch, example) and no self.log; `trainer-patched` the sampler also told its epoch
by hand before a resume; `fabric` a small own loop; `fabric-set-epoch` the same with a sampler that has `set_epoch`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Sampler, TensorDataset

SEED, EPOCHS, BATCH, TRAIN, STEPS, PEAK, WARM_UP, NOISE = 7, 6, 64, 1437, 23, 3e-3, 20, 0.1  # 23 batches hold 1437 examples
STOPS = {"boundary": ((2, 0), (4, 0)), "inside": ((2, 9), (4, 15))}  # (epoch, batch) before which the process is killed
SIZES = {"tiny": (32, 16, 600), "large": (1024, 1600, 60)}  # hidden width, batch and steps of the two timed steps
TIMED = ("hand", "trainer", "trainer-derived", "fabric")
adamw = partial(torch.optim.AdamW, lr=PEAK, fused=True)
QUIET = {"accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
UNIT = "import lightning_fabric; from lightning.pytorch import LightningModule"
IMPORTS = ("pass", "import torch", "import lightning", "import lightning.fabric", "import lightning_fabric", UNIT)


class Cell(NamedTuple):
    """One square of the resume matrix."""

    driver: str
    workers: int
    threads: int
    dropout: bool = True
    norm: bool = True
    kill: str = "never"

    def folder(self, root: Path) -> Path:
        """Where its run is."""
        return root / "_".join(map(str, self))


def derive(*parts: int | str) -> int:
    """A 63-bit number that depends on `parts` alone."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big") >> 1


def rate_factor(step: int) -> float:
    """The rate at a step as a share of its peak: linear warm-up, then half a cosine."""
    return min((step + 1) / WARM_UP, 0.5 + 0.5 * math.cos(math.pi * max(0, step - WARM_UP) / (EPOCHS * STEPS - WARM_UP)))


class Noisy(TensorDataset):
    """Examples with noise: by index from the process's own generator, by (epoch, index) derived from that."""

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor]:
        x, y = super().__getitem__(key if isinstance(key, int) else key[1])
        generator = None if isinstance(key, int) else torch.Generator().manual_seed(derive(SEED, "augment", *key))
        return x + NOISE * torch.randn(x.shape, generator=generator), y


class Order(Sampler[tuple[int, int]]):
    """(epoch, index) in the order of `epoch`, as that stands when iteration begins."""

    epoch = 0

    def __len__(self) -> int:
        return TRAIN

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = torch.Generator().manual_seed(derive(SEED, "order", self.epoch))
        yield from ((self.epoch, i) for i in torch.randperm(TRAIN, generator=generator).tolist())


def network(cell: Cell) -> nn.Module:
    """A small CNN with the layers that `cell` asks for, with the same weights each time; sets the global seed."""
    torch.manual_seed(derive(SEED, "init"))
    norms = [nn.BatchNorm2d(width) if cell.norm else nn.Identity() for width in (16, 32)]
    first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, stride=2, padding=1)
    layers = [first, norms[0], nn.ReLU(), second, norms[1], nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(0.3 if cell.dropout else 0.0), nn.Linear(512, 10))


class Unit(L.LightningModule):
    """Network and objective; under the Trainer also its hooks. Stops before (epoch, batch) `stop`, to be killed there."""

    def __init__(self, driver: str, net: nn.Module, folder: Path = Path(), stop: Sequence[int] = ()) -> None:
        super().__init__()
        self.driver, self.net, self.place, self.stop = driver, net, folder, tuple(stop)
        self.total, self.stamps, self.values = torch.zeros(()), list[float](), dict[str, Tensor]()
        self.order = Order()
        if driver != "fabric":
            self.order.set_epoch = partial(setattr, self.order, "epoch")  # Lightning calls it by this name

    def forward(self, x: Tensor) -> Tensor:
        self.stamps.append(time.perf_counter())
        return self.net(x)

    def begin(self, epoch: int) -> None:
        """Seed dropout for an epoch and start its sum of losses."""
        self.total = torch.zeros(())
        torch.manual_seed(derive(SEED, "dropout", epoch))

    def gate(self, *here: int) -> None:
        """Wait for SIGKILL, if this (epoch, batch) is the place."""
        if here == self.stop:
            (self.place / "parked-{}-{}".format(*here)).touch()
            time.sleep(3600)

    def record(self, epoch: int, metrics: Mapping[str, Tensor]) -> None:
        """Append one epoch to the history."""
        with (self.place / "history.jsonl").open("a") as file:
            file.write(json.dumps([os.getpid(), epoch, [float(metrics[name]) for name in sorted(metrics)]]) + "\n")

    def validation_step(self, batch: Sequence[Tensor], batch_idx: int) -> None:
        out = self.net(batch[0])  # the whole split is one batch
        self.values = {"val_loss": cross_entropy(out, batch[1]), "val_accuracy": (out.argmax(1) == batch[1]).float().mean()}
        if self.driver == "trainer":
            self.log_dict(self.values)

    def on_train_epoch_start(self) -> None:
        if self.driver != "trainer":
            self.begin(self.current_epoch)

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        self.gate(self.current_epoch, batch_idx)
        loss = cross_entropy(self(batch[0]), batch[1])
        if self.driver == "trainer":
            self.log("train_loss", loss, on_step=False, on_epoch=True)
        else:
            self.total += loss.detach()
        return loss

    def on_train_epoch_end(self) -> None:
        values = dict(self.trainer.callback_metrics) if self.driver == "trainer" else {**self.values, "train_loss": self.total}
        self.record(self.current_epoch, values)

    def configure_optimizers(self) -> Any:
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer := adamw(self.parameters()), rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def own_step(fabric: L.Fabric | None, model: nn.Module, optimizer: Any, batch: Sequence[Tensor], step: int) -> Tensor:
    """The detached loss of one step of a loop of our own, with Fabric or bare."""
    for group in optimizer.param_groups:
        group["lr"] = PEAK * rate_factor(step)
    loss = cross_entropy(model(batch[0]), batch[1])
    optimizer.zero_grad()
    fabric.backward(loss) if fabric else loss.backward()
    optimizer.step()
    return loss.detach()


def own_loop(unit: Unit, loader: DataLoader[Any], val: Sequence[Tensor], last: Path) -> Any:
    """The optimizer after Fabric and a small loop have trained `unit`."""
    fabric, first = L.Fabric(accelerator="cpu", devices=1), 0
    (model, optimizer), train = fabric.setup(unit, adamw(unit.parameters())), fabric.setup_dataloaders(loader)
    if last.exists():
        first, weights, moments = torch.load(last, weights_only=True)
        unit.net.load_state_dict(weights)
        optimizer.load_state_dict(moments)
    for epoch in range(first, EPOCHS):
        unit.order.epoch = epoch
        unit.begin(epoch)
        for i, batch in enumerate(train):
            unit.gate(epoch, i)
            unit.total += own_step(fabric, model, optimizer, batch, epoch * STEPS + i)
        model.eval()
        with torch.no_grad():
            unit.validation_step(val, 0)
        model.train()
        unit.record(epoch, {**unit.values, "train_loss": unit.total})
        torch.save((epoch + 1, unit.net.state_dict(), optimizer.state_dict()), last.with_suffix(".part"))
        os.replace(last.with_suffix(".part"), last)
    return optimizer


def attempt(cell: Cell, folder: Path, stop: Sequence[int]) -> None:
    """Train to the end, or to `stop`, from last.ckpt if there is one; leaves history.jsonl and final.pt."""
    torch.set_num_threads(cell.threads)
    folder.mkdir(exist_ok=True)
    digits = load_digits()
    x, y = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, torch.tensor(digits.target)
    unit, last = Unit(cell.driver, network(cell), folder, stop), folder / "last.ckpt"
    if usual := cell.driver == "trainer":
        L.seed_everything(SEED, workers=True, verbose=False)
    how: dict[str, Any] = {"shuffle": True} if usual else {"sampler": unit.order, "generator": torch.Generator()}
    train = DataLoader(Noisy(x[:TRAIN], y[:TRAIN]), BATCH, num_workers=cell.workers, **how)
    val = DataLoader(TensorDataset(x[TRAIN:], y[TRAIN:]), len(x), generator=None if usual else torch.Generator())
    if cell.driver.startswith("trainer"):
        best: dict[str, Any] = {"monitor": "val_accuracy", "mode": "max"} if usual else {}
        trainer = L.Trainer(max_epochs=EPOCHS, callbacks=[ModelCheckpoint(folder, save_top_k=1, save_last=True, **best)], **QUIET)
        if cell.driver == "trainer-patched" and last.exists():
            unit.order.epoch = torch.load(last)["epoch"] + 1
        trainer.fit(unit, train, val, ckpt_path=last if last.exists() else None)
    optimizer = trainer.optimizers[0] if cell.driver.startswith("trainer") else own_loop(unit, train, next(iter(val)), last)
    torch.save((unit.net.state_dict(), optimizer.state_dict()), folder / "final.pt")


def step_ms(driver: str, size: str) -> float:
    """The median milliseconds from one forward pass to the next, in a new run of `driver`."""
    width, batch, steps = SIZES[size]
    unit = Unit(driver, nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10)))
    loader: DataLoader[Any] = DataLoader([(torch.randn(batch, 64), torch.randint(10, (batch,)))] * steps, batch_size=None)
    if driver.startswith("trainer"):
        L.Trainer(max_epochs=1, enable_checkpointing=False, **QUIET).fit(unit, loader)
    else:
        fabric, model, optimizer = None, unit, adamw(unit.parameters())
        if driver == "fabric":
            fabric = L.Fabric(accelerator="cpu", devices=1)
            (model, optimizer), loader = fabric.setup(model, optimizer), fabric.setup_dataloaders(loader)
        for i, each in enumerate(loader):
            unit.total += own_step(fabric, model, optimizer, each, i)
    return 1e3 * torch.tensor(unit.stamps[9:], dtype=torch.float64).diff().median().item()


def child(root: Path, cells: Sequence[Cell], stop: Sequence[int] = ()) -> None:
    """Train `cells` one after the other in a fresh process; with `stop`, SIGKILL it once it has parked there."""
    process = subprocess.Popen([sys.executable, "-W", "ignore", __file__, "--job", json.dumps([str(root), cells, stop])])
    while stop and process.poll() is None and not (cells[0].folder(root) / "parked-{}-{}".format(*stop)).exists():
        time.sleep(0.02)
    if stop:
        process.kill()
    if process.wait() != (-9 if stop else 0):
        raise RuntimeError(f"exit {process.returncode}: {cells}, {stop}")


def outcome(folder: Path) -> tuple[dict[str, Tensor], list[int]]:
    """What a run left, each part as one float64 vector, and the first epoch that each of its processes finished."""
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    weights, moments = torch.load(folder / "final.pt")
    rates = [torch.tensor(group["lr"], dtype=torch.float64) for group in moments["param_groups"]]
    parts = {"weights": [*weights.values()], "optimizer": [v for s in moments["state"].values() for v in s.values()] + rates}
    parts["history"] = [torch.tensor([*{epoch: values for _, epoch, values in lines}.values()], dtype=torch.float64)]
    firsts = {pid: epoch for pid, epoch, _ in reversed(lines)}
    return {part: torch.cat([v.double().flatten() for v in values]) for part, values in parts.items()}, [*firsts.values()][::-1]


def measure(root: Path, cell: Cell) -> dict[str, Any]:
    """How far a run of `cell`, killed and resumed, ends from its reference; `repeated` counts finished epochs done again."""
    stops = STOPS.get(cell.kill, ())
    for stop in (*stops, ()):
        child(root, [cell], stop)
    mine, firsts = outcome(cell.folder(root))
    theirs, _ = outcome(cell._replace(kill="never", driver=cell.driver.removesuffix("-set-epoch")).folder(root))
    equal = all(mine[part].numpy().tobytes() == theirs[part].numpy().tobytes() for part in mine)
    apart = {part: float((mine[part] - theirs[part]).abs().max()) for part in mine}
    again = [stop[0] - first for stop, first in zip(stops, firsts[1:], strict=True)]
    return {**cell._asdict(), "kills": len(stops), "equal": equal, "apart": apart, "repeated": again}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what should drive training.")
    parser.add_argument("--out", type=Path, default=Path("results.json"))
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    logging.disable(logging.INFO)
    if given.job:
        for cell in (Cell(*each) for each in given.job[1]):
            attempt(cell, cell.folder(Path(given.job[0])), given.job[2])
        return
    torch.set_num_threads(1)
    results: dict[str, Any] = {"torch": torch.__version__, "lightning": L.__version__, "cpus": os.cpu_count()}
    results["step_ms"] = {size: [{driver: step_ms(driver, size) for driver in TIMED} for _ in range(9)] for size in SIZES}
    start = {each: partial(subprocess.run, [sys.executable, "-c", each]) for each in IMPORTS}
    results["import_s"] = {each: timeit.repeat(run, number=1, repeat=5) for each, run in start.items()}
    plain = [Cell(driver, w, t) for driver in (*TIMED[1:], "trainer-patched") for w in (0, 2) for t in (1, 2)]
    bare = [Cell(driver, 2, 1, *on) for driver in ("trainer", "fabric") for on in ((False, True), (True, False), (False, False))]
    cells = [cell._replace(kill="control") for cell in plain if cell.driver == "trainer"]
    cells += [cell._replace(kill=kill) for cell in plain for kill in STOPS] + [cell._replace(kill="inside") for cell in bare]
    with tempfile.TemporaryDirectory() as root:
        for threads in (1, 2):  # the references
            child(Path(root), [cell for cell in plain + bare if cell.threads == threads])
        results["cells"] = [measure(Path(root), cell) for cell in (*cells, Cell("fabric-set-epoch", 0, 1, kill="inside"))]
    given.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
